// Typing words on twelve keys, the way it was done.

const TAPS = {
  1: ".,?!'-1", 2: "abc2", 3: "def3", 4: "ghi4", 5: "jkl5", 6: "mno6", 7: "pqrs7", 8: "tuv8",
  9: "wxyz9", 0: " 0", "*": "*#+-/@",
};
const PAUSE = 900; // a letter stands when its key has rested so long
const MODES = ["abc", "ABC", "123"];

export class Letters {
  constructor(mode, changed) {
    this.text = "";
    this.mode = mode;
    this.changed = changed;
    this.key = null; // the key whose letter still turns
    this.turn = 0;
  }

  /** A key of the pad. In letters `#` changes between abc, ABC and 123. */
  press(key) {
    if (this.mode === "123") return this.add(key);
    if (key === "#") return this.shift();
    const letters = TAPS[key];
    if (this.key === key) {
      this.turn = (this.turn + 1) % letters.length;
      this.text = this.text.slice(0, -1);
    } else {
      this.turn = 0;
      this.key = key;
    }
    const letter = letters[this.turn];
    this.text += this.mode === "ABC" ? letter.toUpperCase() : letter;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.settle(), PAUSE);
    return this.changed();
  }

  /** A character as it is: from a real keyboard, or a key held down. */
  add(character) {
    this.settle();
    this.text += character;
    this.changed();
  }

  shift() {
    this.settle();
    this.mode = MODES[(MODES.indexOf(this.mode) + 1) % MODES.length];
    this.changed();
  }

  rub() {
    this.settle();
    this.text = this.text.slice(0, -1);
    this.changed();
  }

  settle() {
    clearTimeout(this.timer);
    if (this.key === null) return;
    this.key = null;
    this.changed();
  }

  take() {
    this.settle();
    const text = this.text;
    this.text = "";
    return text;
  }
}
