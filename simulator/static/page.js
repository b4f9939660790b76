// The page: two phones, a desk of troubles, the books and the wire, all fed by one long poll.

import { ask, element, money, post } from "./api.js";
import { Phone } from "./phone.js";
import { show } from "./wire.js";

const TROUBLES = {
  Deposits: [
    ["Callback lost", { scenario: "losesCallback", on: "stk" }],
    ["Callback three times", { scenario: "duplicatesCallback", on: "stk", count: 3 }],
    ["Callback before answer", { scenario: "callbackBeforeAck", on: "stk" }],
    ["Paid after a 1037", { scenario: "lateSuccessAfter1037", on: "stk" }],
    ["Confirmed by C2B too", { scenario: "c2bAlsoForStk", on: "stk" }],
    ["Paybill, not confirmed", { scenario: "losesCallback", on: "c2b" }],
  ],
  Payouts: [
    ["Paid, answer cut off", { scenario: "losesSync", on: "b2c" }],
    ["Paid, answer is a 500", { scenario: "http500AfterExecuting", on: "b2c" }],
    ["Result lost", { scenario: "losesCallback", on: "b2c" }],
    ["Result three times", { scenario: "duplicatesCallback", on: "b2c", count: 3 }],
    ["Answer 8 s late", { scenario: "slow", on: "b2c", seconds: 8 }],
    ["Queue time-out, yet paid", { scenario: "queueTimeoutEcho", on: "b2c", pays: true }],
  ],
  "USSD and SMS": [
    ["Hop sent twice at once", { scenario: "duplicatesHop", on: "ussd", count: 2 }],
    ["Reply lost on the way", { scenario: "losesReply", on: "ussd" }],
    ["Text three times", { scenario: "duplicatesCallback", on: "sms_in", count: 3 }],
    ["Texts refused", { scenario: "recipientStatus", on: "sms", code: 405 }],
  ],
};
const BOOKS = {
  people: "All customers hold", utility: "The house, utility",
  paid_in: "Paid in", paid_out: "Paid out", taken_back: "Taken back", charges: "Charges",
};

const body = document.body;
const at = (id) => document.getElementById(id);
const network = { code: body.dataset.code, shortCode: body.dataset.shortCode };
const phones = [...document.querySelectorAll(".seat")].map((seat) => new Phone(seat, network));

function activate(phone) {
  for (const each of phones) each.seat.querySelector(".phone").classList.toggle("active", each === phone);
}

/** Keys typed anywhere on the page go to the phone used last. */
function hands() {
  let last = phones[0];
  for (const phone of phones) {
    phone.seat.addEventListener("focusin", () => { last = phone; activate(phone); });
  }
  document.addEventListener("keydown", (event) => {
    if (event.target === body && event.key.length === 1) {
      last.seat.querySelector(".phone").focus({ preventScroll: true });
    }
  }, true);
  activate(last);
}

function troubles() {
  for (const [title, list] of Object.entries(TROUBLES)) {
    at("troubles").append(element("h3", "", title));
    for (const [name, fault] of list) {
      const button = element("button", "", name);
      button.type = "button";
      button.addEventListener("click", () => post("/faults", fault));
      at("troubles").append(button);
    }
  }
}

function armed(faults) {
  at("armed").replaceChildren(...faults.map((fault) => {
    const item = element("li");
    const button = element("button", "", `${fault.on}: ${fault.scenario}${fault.left > 1 ? ` ×${fault.left}` : ""}`);
    button.type = "button";
    button.title = "Disarm";
    button.addEventListener("click", () => ask("DELETE", `/faults/${fault.id}`));
    item.append(button);
    return item;
  }));
}

function books(totals, discrepancies) {
  at("books").replaceChildren(...Object.entries(BOOKS).flatMap(([name, title]) => [
    element("dt", "", title), element("dd", "", money(totals[name])),
  ]));
  at("verdict").textContent = discrepancies.length ? discrepancies.join("; ") : "Every account equals its lines";
  at("verdict").classList.toggle("bad", discrepancies.length > 0);
}

function link(state, words) {
  at("link").className = `link ${state}`;
  at("link").textContent = words;
}

async function live() {
  let version = -1;
  let since = 0;
  for (;;) {
    try {
      const told = await ask("GET", `/watch?version=${version}&since=${since}&phones=${body.dataset.phones}`);
      if (told.version < version) { location.reload(); return; }
      version = told.version;
      told.phones.forEach((state, place) => phones[place].update(state));
      armed(told.faults);
      books(told.totals, told.discrepancies);
      if (told.wire.length) since = told.wire.at(-1).id;
      show(at("wire"), told.wire);
      link("on", "live");
    } catch {
      link("off", "the simulated world does not answer");
      await new Promise((resolve) => { setTimeout(resolve, 1500); });
    }
  }
}

at("clear").addEventListener("click", () => at("wire").replaceChildren());
setInterval(() => phones.filter((phone) => phone.place === "home").forEach((phone) => phone.draw()), 20_000);
hands();
troubles();
live();
