// Recognises keys by their position on the keyboard, or else by their character.
//
// Input methods (`Process`), Caps Lock, full-width digits, keyboards whose digits need Shift, and the
// number pad without Num Lock change the character, not the key.

const HANGUL = { ㅠ: "b", ㅎ: "g", ㅜ: "n", ㄷ: "e", ㄱ: "r", ㄲ: "r", ㄹ: "f", ㅁ: "a" };
const SIGNS = {
  Space: " ", Slash: "/", Equal: "+", Minus: "-", NumpadAdd: "+", NumpadSubtract: "-", NumpadEnter: "Enter",
};
export const MOVING = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"]);
/** Moving and zooming may repeat while a key is held; nothing else does. */
export const REPEATING = new Set([...MOVING, "+", "-"]);

/** `0` to `3`, a small letter, a sign, or the name of another key; with Shift `R` and `?`. */
function keyOf({ code = "", key = "", shiftKey = false }) {
  const named = /^(Digit|Numpad|Key)([0-3A-Z])$/.exec(code);
  const char = key.normalize("NFKC");
  if (named && named[1] !== "Key" && !shiftKey) return named[2];
  if (/^[0-3]$/.test(char)) return char;
  const letter = named?.[1] === "Key" ? named[2].toLowerCase() : (HANGUL[key] ?? char).toLowerCase();
  if (/^[a-z]$/.test(letter)) return letter === "r" && (shiftKey || key === "ㄲ") ? "R" : letter;
  // A name like Enter, or a sign of this layout; with an input method only the position is known.
  if (key && !["Process", "Unidentified", "Dead"].includes(key)) return char === "=" ? "+" : char;
  return code === "Slash" && shiftKey ? "?" : (SIGNS[code] ?? code);
}

/** Milliseconds after which a key without a release counts as pressed again. */
const LOST = 1500;

/** Distinguishes a press from the repetitions of a held key, even if these are not marked. */
export class Keyboard {
  #held = new Map();

  press(event) {
    const name = event.code || event.key;
    const before = this.#held.get(name);
    this.#held.set(name, event.timeStamp);
    const held = before !== undefined && event.timeStamp - before < LOST;
    return { key: keyOf(event), repeated: event.repeat || held };
  }

  release(event) {
    this.#held.delete(event.code || event.key);
  }

  /** The window lost the focus: key releases elsewhere are not reported. */
  clear() {
    this.#held.clear();
  }
}
