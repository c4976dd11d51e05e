// Names and texts from evidence made safe to show; the same as `printable` in mayak/names.py, which
// says why. The tests compare the two.

const UNSEEN = /(?! )(?!(?<=\p{So})[\ufe0e\ufe0f])[\p{C}\p{Z}\p{DI}\u2800\u{1d159}]/gu;

const spelt = (char) => {
  const code = char.codePointAt(0).toString(16);
  return code.length > 4 ? `\\U${code.padStart(8, "0")}` : `\\u${code.padStart(4, "0")}`;
};

/** A text as one line in which every character can be seen. */
export const plain = (text) => String(text).replace(UNSEEN, spelt);
