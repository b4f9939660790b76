// What a phone's screen looks like in each place it can be.

import { element } from "./api.js";

const KENYA = { timeZone: "Africa/Nairobi" };
const SOFT = {
  off: ["", ""], running: ["", ""], trouble: ["OK", ""], session: ["Send", "Clear"],
  ended: ["OK", ""], dial: ["Call", "Clear"], home: ["Inbox", "Write"], inbox: ["Open", "Back"],
  message: ["Reply", "Back"], compose: ["Send", "Clear"], prompt: ["", ""],
};
const PARTS = { // characters of the first part, and of each when there are several
  gsm: [160, 153], wide: [70, 67],
};
const GSM = /^[@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !"#¤%&'()*+,\-./0-9:;<=>?¡A-ZÄÖÑÜ§¿a-zäöñüà^{}\\[~\]|€]*$/;

export function draw(phone) {
  const place = phone.place;
  const view = phone.part("view");
  const scrolled = view.querySelector(".text")?.scrollTop ?? 0;
  const drawn = view.dataset.drawn;
  view.replaceChildren(...(DRAW[place] || DRAW.off)(phone));
  view.dataset.drawn = `${place}|${phone.state?.screen}`;
  if (drawn === view.dataset.drawn) view.querySelector(".text")?.scrollTo(0, scrolled);
  const [left, right] = SOFT[place];
  phone.part("left").textContent = left;
  phone.part("right").textContent = place === "session" && !phone.entry.text ? "End" : right;
  phone.part("lcd").classList.toggle("dark", place === "off");
  phone.part("mail").textContent = phone.unread ? `✉${phone.unread}` : "";
  phone.part("mode").textContent = phone.typing?.mode ?? "";
  prompt(phone);
}

const DRAW = {
  off: () => [element("div", "home", "switched off")],

  home: (phone) => {
    const now = new Date();
    const home = element("div", "home");
    home.append(
      element("div", "net", "SIMU KE"),
      element("div", "clock", now.toLocaleTimeString("en-KE", { ...KENYA, hour: "2-digit", minute: "2-digit", hour12: false })),
      element("div", "day", now.toLocaleDateString("en-KE", { ...KENYA, weekday: "short", day: "numeric", month: "short" })),
      element("div", "hint", homeHint(phone)),
    );
    return [home];
  },

  dial: (phone) => [element("div", "big", phone.entry.text)],

  running: () => {
    const running = element("div", "running", "USSD code running…");
    running.append(element("i"));
    return [running];
  },

  trouble: (phone) => [element("div", "text", phone.trouble)],

  session: (phone) => [
    element("div", "text", phone.state.screen),
    entry(phone.entry),
  ],

  ended: (phone) => [element("div", "text", phone.state.screen)],

  inbox: (phone) => {
    const list = element("ul");
    phone.inbox.forEach((text, place) => {
      const line = element("li", phone.read.has(text.id) ? "" : "unread", `${text.sender} ${text.text}`);
      line.classList.toggle("on", place === phone.chosen);
      list.append(line);
    });
    queueMicrotask(() => list.querySelector(".on")?.scrollIntoView({ block: "nearest" }));
    return [
      element("div", "title", `Inbox (${phone.inbox.length})`),
      phone.inbox.length ? list : element("div", "text", "No messages."),
    ];
  },

  message: (phone) => {
    const text = phone.inbox[phone.chosen];
    return [
      element("div", "title", text.sender),
      element("div", "text", text.text),
      element("div", "note", `${text.at} · ${text.segments} SMS`),
    ];
  },

  compose: (phone) => {
    const box = entry(phone.words);
    box.classList.add("text");
    return [
      element("div", "title", `To ${phone.network.shortCode}`),
      box,
      element("div", "note", `${weight(phone.words.text)} · # = ${phone.words.mode}`),
    ];
  },

  prompt: (phone) => (phone.state.screen ? [element("div", "text", phone.state.screen)] : DRAW.home(phone)),
};

function homeHint(phone) {
  if (phone.state.note) return phone.state.note;
  if (phone.unread) return `${phone.unread} new message${phone.unread > 1 ? "s" : ""}`;
  return `Dial ${phone.network.code}`;
}

function entry(letters) {
  const box = element("div", "entry");
  if (letters.key === null) {
    box.textContent = letters.text;
  } else { // the last letter still turns
    box.append(letters.text.slice(0, -1), element("span", "tap", letters.text.slice(-1)));
  }
  queueMicrotask(() => { box.scrollTop = box.scrollHeight; });
  return box;
}

function weight(text) {
  const [one, each] = GSM.test(text) ? PARTS.gsm : PARTS.wide;
  const length = [...text].reduce((sum, char) => sum + ("^{}\\[~]|€".includes(char) ? 2 : 1), 0);
  return `${length} chars, ${length <= one ? 1 : Math.ceil(length / each)} SMS`;
}

function prompt(phone) {
  const { stk } = phone.state ?? {};
  phone.part("prompt").hidden = !stk;
  if (!stk) return;
  phone.part("words").textContent = stk.words;
  phone.part("pin").textContent = "•".repeat(phone.pin.text.length);
}
