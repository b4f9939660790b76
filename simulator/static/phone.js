// One phone: what its keys mean now, and what its screen shows.

import { ask, money, post } from "./api.js";
import { Letters } from "./letters.js";
import { draw } from "./screen.js";

const HOLD = 550; // milliseconds until a key gives its digit

export class Phone {
  constructor(seat, network) {
    this.seat = seat;
    this.number = seat.dataset.phone;
    this.network = network; // its code and short code
    this.path = `/phones/${encodeURIComponent(this.number)}`;
    this.state = null;
    this.view = "home"; // home, inbox, message, compose
    this.chosen = 0;
    this.read = new Set();
    this.trouble = "";
    this.waiting = false;
    this.entry = new Letters("123", () => this.draw());
    this.words = new Letters("abc", () => this.draw());
    this.pin = new Letters("123", () => this.draw());
    this.#listen();
  }

  part(name) {
    return this.seat.querySelector(`[data-part="${name}"]`);
  }

  /** Where the phone is, from what the network says and what its owner does. */
  get place() {
    if (!this.state) return "off";
    if (this.state.stk) return "prompt";
    if (!this.state.reachable) return "off";
    if (this.waiting || this.state.busy) return "running";
    if (this.trouble) return "trouble";
    if (this.state.session) return "session";
    if (this.state.screen) return "ended";
    return this.view === "home" && this.entry.text ? "dial" : this.view;
  }

  get inbox() {
    return this.state ? [...this.state.inbox].reverse() : [];
  }

  get unread() {
    return this.inbox.filter((text) => !this.read.has(text.id)).length;
  }

  /** The letters that keys add to now; none where keys do not type. */
  get typing() {
    const place = this.place;
    if (place === "prompt") return this.pin;
    if (place === "compose") return this.words;
    return ["home", "dial", "session"].includes(place) ? this.entry : null;
  }

  update(state) {
    const before = this.state;
    this.state = state;
    if (!before) state.inbox.forEach((text) => this.read.add(text.id));
    if (before?.session && !state.session) this.#fresh();
    if (before?.reply !== state.reply && state.session) this.entry.mode = "123";
    if (!state.stk) this.pin.text = "";
    this.#owner(before);
    this.draw();
    this.#mirror(before);
  }

  draw() {
    draw(this);
  }

  // -- keys

  key(name) {
    const place = this.place;
    if (name === "end") return this.#end();
    if (name === "up" || name === "down") return this.#move(name === "up" ? -1 : 1);
    if (name === "call" || name === "left") return this.#yes(place, name);
    if (name === "right") return this.#no(place);
    return this.typing?.press(name);
  }

  #yes(place, name) {
    if (place === "prompt") return this.#do("/stk", { pin: this.pin.take() });
    if (place === "session") return this.#hop("/press", { input: this.entry.take() });
    if (place === "dial") return this.#dial(this.entry.take());
    if (place === "home") return name === "call" ? this.#dial(this.network.code) : this.#open("inbox");
    if (place === "inbox") return this.#read();
    if (place === "message") return this.#open("compose");
    if (place === "compose") return this.#send();
    return this.#end();
  }

  #no(place) {
    if (place === "prompt") return this.pin.text ? this.pin.rub() : this.#do("/stk", { cancel: true });
    if (this.typing?.text) return this.typing.rub();
    if (place === "home") return this.#open("compose");
    if (place === "message") return this.#open("inbox");
    return this.#end();
  }

  #end() {
    const place = this.place;
    if (place === "prompt") return this.#do("/stk", { cancel: true });
    this.trouble = "";
    this.words.text = "";
    this.#fresh();
    this.#open("home");
    return ["session", "ended", "running"].includes(place) ? this.#do("/hangup") : null;
  }

  #move(step) {
    if (this.place === "inbox") {
      this.chosen = Math.max(0, Math.min(this.inbox.length - 1, this.chosen + step));
      return this.draw();
    }
    return this.part("view").querySelector(".text")?.scrollBy({ top: step * 33 });
  }

  #open(view) {
    this.view = view;
    if (view === "inbox" && this.chosen >= this.inbox.length) this.chosen = 0;
    this.draw();
  }

  #fresh() {
    this.entry.text = "";
    this.entry.mode = "123";
  }

  #read() {
    const text = this.inbox[this.chosen];
    if (!text) return this.#open("home");
    this.read.add(text.id);
    return this.#open("message");
  }

  // -- the network

  #dial(code) {
    if (code.startsWith("*") && code.endsWith("#")) return this.#hop("/dial", { code });
    this.trouble = "Call failed.\nOnly codes such as\n*384*7# and texts\nwork here.";
    return this.draw();
  }

  async #hop(path, body) {
    this.waiting = true;
    this.draw();
    await this.#do(path, body);
    this.waiting = false;
    this.draw();
  }

  async #send() {
    if (!this.words.text.trim()) return;
    await this.#do("/text", { text: this.words.take() });
    this.trouble = "Message sent.";
    this.#open("home");
  }

  /** The M-PESA menu's Lipa na M-PESA; what it says of it comes as a text. */
  async #pay(form) {
    const { shortcode, account, amount } = Object.fromEntries(new FormData(form));
    try {
      await post(`${this.path}/pay`, { shortcode, account, amount: Number(amount) });
      form.reset();
    } catch (error) {
      this.trouble = `M-PESA:\n${error.message}`;
      this.draw();
    }
  }

  async #do(path, body = {}) {
    try {
      const told = await post(this.path + path, body);
      if (told.number) this.update(told);
    } catch (error) {
      this.trouble = error.message;
      this.draw();
    }
  }

  // -- hands and eyes

  #listen() {
    const phone = this.seat.querySelector(".phone");
    for (const button of phone.querySelectorAll("[data-key]")) {
      const name = button.dataset.key;
      let held = null;
      button.addEventListener("pointerdown", (event) => {
        event.preventDefault(); // the phone keeps the keyboard
        phone.focus({ preventScroll: true });
        if (/^\d$/.test(name) && this.typing?.mode !== "123") {
          held = setTimeout(() => { held = "done"; this.typing?.add(name); }, HOLD);
        }
      });
      button.addEventListener("click", () => {
        const done = held === "done";
        if (!done) { clearTimeout(held); this.key(name); }
        held = null;
      });
    }
    phone.addEventListener("keydown", (event) => this.#keyboard(event));
    this.part("lipa").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#pay(event.target);
    });
    this.part("reachable").addEventListener("change", (event) => {
      ask("PATCH", this.path, { reachable: event.target.checked });
    });
  }

  #keyboard(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.tagName === "BUTTON" && ["Enter", " "].includes(event.key)) return;
    const names = {
      Enter: "left", Escape: "end", ArrowUp: "up", ArrowDown: "down", Backspace: "right",
    };
    if (event.key in names) {
      if (event.key === "Enter" && this.place === "home") this.key("call");
      else if (event.key !== "Backspace" || this.typing?.text) this.key(names[event.key]);
    } else if (event.key.length === 1) {
      this.typing?.add(event.key);
    } else {
      return;
    }
    event.preventDefault();
  }

  #owner(before) {
    const { name, balance, number, septets, reachable } = this.state;
    this.part("name").textContent = name;
    this.part("number").textContent = number;
    this.part("balance").textContent = money(balance);
    this.part("reachable").checked = reachable;
    const fill = this.part("fill");
    fill.style.width = `${Math.min(100, (septets / 160) * 100)}%`;
    fill.className = septets > 160 ? "over" : "";
    this.part("septets").textContent = septets ? `screen ${septets} / 160` : "screen empty";
    if (before && before.balance !== balance) {
      const moved = this.part("moved");
      moved.className = "";
      void moved.offsetWidth; // starts the animation anew
      moved.textContent = `${balance > before.balance ? "+" : "−"}${Math.abs(balance - before.balance).toLocaleString("en-KE")}`;
      moved.className = balance > before.balance ? "up" : "down";
    }
  }

  /** Reads out what changed, for those who do not see the screen. */
  #mirror(before) {
    const lines = [];
    const now = this.state;
    if (now.screen && (before?.screen !== now.screen || before?.reply !== now.reply)) lines.push(now.screen);
    if (now.stk && before?.stk?.checkout_id !== now.stk.checkout_id) lines.push(`M-PESA: ${now.stk.words}`);
    const known = new Set((before || now).inbox.map((text) => text.id));
    now.inbox.filter((text) => !known.has(text.id))
      .forEach((text) => lines.push(`Text from ${text.sender}: ${text.text}`));
    for (const line of lines) {
      const made = document.createElement("p");
      made.textContent = line;
      this.part("mirror").append(made);
    }
  }
}
