r"""Names and texts from evidence made safe to show, with one spelling for what cannot be seen.

A file name can contain line breaks, terminal escapes, characters that reverse the direction of
writing, and characters that look like nothing at all. ``printable`` spells each of them ``\u202e``
(beyond U+FFFF ``\U000e0041``): ASCII, so that every terminal, font and encoding has it, and the
spelling in which cases have recorded undecodable bytes (``\udcff``) since their first version.
Backslashes stay as they are, because Windows paths are made of them; the exact name is the one in
the case's ``location``.

``review/static/names.js`` does the same for the page; a test compares the two.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

_BLANK = frozenset(
    "\u2800"  # the Braille pattern without dots
    "\U0001d159"  # a musical note without a head
    # Printable by category and ignorable by Unicode's DerivedCoreProperties.txt:
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
    + "".join(map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]))
)
"""Characters that Python calls printable and that nobody sees: fillers of Hangul, joiners, vowels
of Khmer that are implied, variation selectors."""

_STYLES = "\ufe0e\ufe0f"
"""Variation selectors for text and emoji style: after a symbol they change how it looks (❤️)."""


def printable(text: str, shows: Callable[[str], bool] | None = None) -> str:
    r"""Return a text as one line in which every character can be seen.

    Spelt out as ``\u202e`` are controls and line breaks, direction overrides, zero-width and other
    invisible characters, blanks other than the space, lone surrogates, unassigned characters, and
    those for which ``shows`` (does the font have it?) is false.
    """
    if shows is None and text.isprintable() and _BLANK.isdisjoint(text):
        return text
    return "".join(
        char
        if (is_visible(char) or (char in _STYLES and _is_symbol(before)))
        and (shows is None or shows(char))
        else _spelt(char)
        for before, char in zip(" " + text, text, strict=False)
    )


def is_visible(char: str) -> bool:
    """Return whether a character leaves a mark, or is the space."""
    return char.isprintable() and char not in _BLANK


def storable(text: str) -> str:
    r"""Return a text that UTF-8 can encode: lone surrogates, which represent undecodable bytes and
    which Windows and NTFS allow in names, become ``\udcff``. Everything else stays as it is."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_symbol(char: str) -> bool:
    return unicodedata.category(char) == "So"


def _spelt(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
