// mpesa-node, asked one call a line of JSON, answering one line each; run by peers.py.

const fs = require("fs");
const os = require("os");
const path = require("path");
const readline = require("readline");
const Mpesa = require("mpesa-node");

function open(told) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "peer-"));
  const certPath = path.join(folder, "mpesa.cer");
  fs.writeFileSync(certPath, told.certificate);
  const client = new Mpesa({
    consumerKey: told.consumer_key,
    consumerSecret: told.consumer_secret,
    shortCode: told.shortcode,
    initiatorName: told.initiator,
    lipaNaMpesaShortCode: told.shortcode,
    lipaNaMpesaShortPass: told.passkey,
    securityCredential: told.password,
    certPath,
  });
  client.baseURL = told.base_url; // the only thing that is not its own
  return client;
}

function calls(client, told) {
  const doors = (kind) => [`${told.callbacks}/${kind}/timeout`, `${told.callbacks}/${kind}/result`];
  return {
    oauth: async () => ({ data: { token: (await client.oAuth()).data.access_token } }),
    stk: ({ phone, amount, reference }) =>
      client.lipaNaMpesaOnline(phone, amount, `${told.callbacks}/stk`, reference, "Deposit"),
    query: ({ checkout_id }) => client.lipaNaMpesaQuery(checkout_id),
    b2c: ({ phone, amount }) => client.b2c(told.b2c_shortcode, phone, amount, ...doors("b2c")),
    status: ({ receipt }) => client.transactionStatus(receipt, told.shortcode, 4, ...doors("status")),
    balance: () => client.accountBalance(told.shortcode, 4, ...doors("balance")),
    register: () => client.c2bRegister(`${told.callbacks}/paid`, `${told.callbacks}/may`),
  };
}

async function answer(known, { call, ...asked }) {
  try {
    return (await known[call](asked)).data;
  } catch (error) {
    if (!error.response) throw error;
    return { refused: error.response.data.errorMessage, status: error.response.status };
  }
}

async function main() {
  let known = null;
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const told = JSON.parse(line);
    if (known === null) {
      known = calls(open(told), told);
    } else {
      process.stdout.write(`${JSON.stringify(await answer(known, told))}\n`);
    }
  }
}

main();
