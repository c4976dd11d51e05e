"""File names as text that any terminal, font and UTF-8 file can show."""

from __future__ import annotations


def printable(name: str) -> str:
    """A file name in one line that any terminal, font and UTF-8 file can show: what is not
    printable, a line break or an escape above all, is spelt out."""
    text = name.encode("utf-8", errors="backslashreplace").decode()
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
