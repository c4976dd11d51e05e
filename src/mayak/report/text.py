"""Formats names, numbers and times for a report."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

from mayak.i18n import Language, Message, msg, plural, render

_MARKS = 32
"""Longest run of characters that is kept together as one sign."""


class _Long(Message):
    """A message that is shortened when it is rendered."""

    __slots__ = ("max_chars",)
    max_chars: int


def shortened(text: str, max_chars: int) -> str:
    """Shorten text to about ``max_chars`` characters: beginning, end and the full length.

    A message is shortened by ``worded``, in the language in which it is read.
    """
    if isinstance(text, Message):
        long = _Long(str(text), (text,))
        long.max_chars = max_chars
        return long
    if len(text) <= max_chars:
        return text
    count = msg("({count:,} characters)", count=len(text))
    head, tail = cut(text, max_chars // 2), cut(text, len(text) - max_chars // 2)
    return f"{text[:head]} … {text[tail:]} " + count


def worded(text: str, language: Language) -> str:
    """Text as it is read in a language."""
    rendered = render(text, language)
    if isinstance(text, _Long):
        return render(shortened(rendered, text.max_chars), language)
    return rendered


def cut(text: str, at: int) -> int:
    """Return the last position up to ``at`` that is not inside a sign.

    macOS decomposes Korean syllables into letters, and combining marks follow their letter.
    """
    for position in range(at, max(at - _MARKS, 0), -1):
        if position >= len(text) or not _continues(text[position]):
            return position
    return at


def _continues(char: str) -> bool:
    """Whether a character continues the sign before it."""
    return (
        unicodedata.category(char) in ("Mn", "Me", "Mc")
        or "\u1160" <= char <= "\u11ff"  # vowels and ends of Korean syllables
        or char in "\u200d\ufe0f"
    )


def moment(time: datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return "–" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def size(count: int | None) -> str:
    """Return a number of bytes."""
    return "–" if count is None else msg("{count:,} bytes", count=count)


def images(count: int) -> str:
    return plural("{n:,} image", "{n:,} images", count)


def files(count: int) -> str:
    return plural("{n:,} file", "{n:,} files", count)
