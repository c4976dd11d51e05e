"""The building blocks of a report, which HTML and PDF both lay out.

Texts are messages, which ``to_json_values`` renders in the reader's language. Templates choose a
layout by a block's ``kind`` and add no text.
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
    """A paragraph; ``tone`` highlights it."""

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
    """Names whose values are set in a monospaced font, such as hashes."""
    kind: str = "facts"


@dataclass(frozen=True, slots=True)
class Figures:
    """A few large numbers, each with a label and a remark."""

    rows: tuple[tuple[str, str, str], ...]
    kind: str = "figures"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text; the widths of columns are relative to each other."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    widths: tuple[float, ...]
    numbers: frozenset[int] = frozenset()
    """Right-aligned columns."""
    code: frozenset[int] = frozenset()
    """Columns in a monospaced font."""
    small: bool = False
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Card:
    """One image."""

    number: str
    label: str
    """The decided or proposed class."""
    picture: str | None
    """Key in ``Document.pictures``."""
    absent: str
    """Text shown if there is no picture."""
    path: str
    hash: str
    score: float | None
    """Shown as a bar."""
    scored: str
    decided: tuple[str, ...]
    marks: tuple[str, ...]
    reviewed: bool
    kind: str = "card"


@dataclass(frozen=True, slots=True)
class Gallery:
    """Cards of images."""

    cards: tuple[Card, ...]
    kind: str = "gallery"


Block = Prose | Facts | Figures | Table | Gallery


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter."""

    title: str
    blocks: tuple[Block, ...]
    ends_page: bool = False
    """Whether the next section starts on a new page of the PDF."""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report, or one volume of it."""

    title: str
    subtitle: str
    running: str
    """Header of each PDF page."""
    stamp: str
    """Footer of each PDF page."""
    language: Language
    facts: Facts
    notices: tuple[Prose, ...]
    sections: tuple[Section, ...]
    pictures: dict[str, bytes] = field(repr=False)
    """JPEG files by key."""


def to_json_values(
    value: Any,  # noqa: ANN401
    language: Language,
    shows: Callable[[str], bool] | None = None,
) -> Any:  # noqa: ANN401
    """Return blocks as JSON values: texts in a language and ``printable``, in this one place."""
    if isinstance(value, str):
        return printable(worded(value, language), shows)
    if is_dataclass(value):
        return {
            f.name: to_json_values(getattr(value, f.name), language, shows) for f in fields(value)
        }
    if isinstance(value, tuple | list):
        return [to_json_values(part, language, shows) for part in value]
    if isinstance(value, frozenset):
        return sorted(to_json_values(part, language, shows) for part in value)
    return value
