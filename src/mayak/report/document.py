"""What a report is made of: sections of a few kinds of blocks, which page and PDF both lay out.

Texts are messages, which ``plain`` renders in the reader's language. Templates choose a layout by a
block's ``kind`` and add no words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from mayak.i18n import Language
from mayak.names import printable
from mayak.report.text import worded

Tone = Literal["plain", "soft", "good", "warning", "alarm"]
Cell = str | tuple[str, ...]
"""One line, or several."""


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph; a toned one stands out."""

    text: str
    tone: Tone = "plain"
    points: tuple[str, ...] = ()
    """Listed below the text."""
    kind: str = "prose"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    rows: tuple[tuple[str, str], ...]
    code: frozenset[str] = frozenset()
    """Names whose values are hashes or the like, set in even width."""
    kind: str = "facts"


@dataclass(frozen=True, slots=True)
class Figures:
    """A few large numbers, each with what it counts and a remark."""

    rows: tuple[tuple[str, str, str], ...]
    kind: str = "figures"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the columns' widths are shares of the page's."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    widths: tuple[float, ...]
    numbers: frozenset[int] = frozenset()
    """Columns set to the right."""
    code: frozenset[int] = frozenset()
    small: bool = False
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Card:
    """One image."""

    number: str
    label: str
    """What it was decided to be, or is proposed as."""
    picture: str | None
    """Key in the document's pictures."""
    absent: str
    """Stands where there is no picture."""
    path: str
    hash: str
    score: float | None
    """Drawn as a bar."""
    scored: str
    decided: tuple[str, ...]
    marks: tuple[str, ...]
    reviewed: bool
    kind: str = "card"


@dataclass(frozen=True, slots=True)
class Gallery:
    cards: tuple[Card, ...]
    kind: str = "gallery"


Block = Prose | Facts | Figures | Table | Gallery


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    blocks: tuple[Block, ...]
    alone: bool = False
    """On paper what follows begins a new page."""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report or one volume of it."""

    title: str
    subtitle: str
    running: str
    """At the head of each page of paper."""
    stamp: str
    """At its foot."""
    language: Language
    facts: Facts
    notices: tuple[Prose, ...]
    sections: tuple[Section, ...]
    pictures: dict[str, bytes] = field(repr=False)
    """JPEG files."""


def plain(
    value: Any,  # noqa: ANN401
    language: Language,
    shows: Callable[[str], bool] | None = None,
) -> Any:  # noqa: ANN401
    """Blocks as what JSON holds, every text in the reader's language and made
    ``printable``: here, so that none is forgotten."""
    if isinstance(value, str):
        return printable(worded(value, language), shows)
    if is_dataclass(value):
        return {f.name: plain(getattr(value, f.name), language, shows) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(part, language, shows) for part in value]
    if isinstance(value, frozenset):
        return sorted(plain(part, language, shows) for part in value)
    return value
