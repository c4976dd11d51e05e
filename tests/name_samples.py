"""Odd and hostile names, and how each is shown."""

SPELT = {
    "plain": ("사진 é 😀 漢字.jpg", "사진 é 😀 漢字.jpg"),
    "a path of Windows": (r"C:\사진\u1.jpg", r"C:\사진\u1.jpg"),
    "line breaks": ("a\r\nb\u2028c\u2029d\x85e", r"a\u000d\u000ab\u2028c\u2029d\u0085e"),
    "controls": ("\x1b[2J\x00\t\x7f", r"\u001b[2J\u0000\u0009\u007f"),
    "direction": ("a\u202egpj.exe\u2066\u200f\u061c", r"a\u202egpj.exe\u2066\u200f\u061c"),
    "zero width": ("a\u200b\u200d\u2060\ufeff\u00adb", r"a\u200b\u200d\u2060\ufeff\u00adb"),
    "fillers": ("\u3164\u115f\u1160\uffa0\u2800", r"\u3164\u115f\u1160\uffa0\u2800"),
    "blanks": ("a\u00a0\u3000\u2003b", r"a\u00a0\u3000\u2003b"),
    "tags": ("a\U000e0041\U000e007f", r"a\U000e0041\U000e007f"),
    "joiners and implied vowels": ("a\u034f\u17b4\u180b", r"a\u034f\u17b4\u180b"),
    "a musical blank": ("\U0001d159", r"\U0001d159"),
    "variation of a letter": ("a\ufe0f\ufe00\U000e0100", r"a\ufe0f\ufe00\U000e0100"),
    "style of a symbol": ("❤\ufe0f ☎\ufe0e.jpg", "❤\ufe0f ☎\ufe0e.jpg"),
    "style twice": ("❤\ufe0f\ufe0f\ufe0f", "❤\ufe0f\\ufe0f\\ufe0f"),
    "another variation of a symbol": ("❤\ufe01", "❤\\ufe01"),
    "style of nothing": ("\ufe0f", r"\ufe0f"),
    "surrogates": ("a\udcff\ud800b", r"a\udcff\ud800b"),
    "private use and nothing": ("\ue000\U0010ffff\ufdd0", r"\ue000\U0010ffff\ufdd0"),
    "letters in parts": ("한글 é", "한글 é"),
    "empty": ("", ""),
}
