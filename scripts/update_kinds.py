"""Write the table of file kinds into docs/triage.md, from ``mayak.signatures`` and the readers.

    python scripts/update_kinds.py

Run it after a row of ``KINDS`` or a reader has changed; a test fails while the page is stale.
"""

from __future__ import annotations

from pathlib import Path

from mayak.evidence.containers import entered_kinds
from mayak.signatures import KINDS, FileKind, Use
from mayak.signatures.kind import never

PAGE = Path(__file__).parents[1] / "docs" / "triage.md"
BEGIN = "<!-- kinds: written by scripts/update_kinds.py -->\n"
END = "<!-- end of kinds -->\n"

_ENTERED = frozenset(entered_kinds())
OUTCOMES = {
    "decoded": "**images**: decoded; what cannot be decoded counts as not read",
    "entered": "**entered**: the files in it are listed and read",
    "encrypted": "**not read** (`Encrypted`)",
    "not read": "**not read** (`Unsupported`), with a remedy",
    "not opened": "**not read** (`NotOpened`): can hold pictures; `--known-safe` leaves it out",
    "searched": "**left out** (`no-pictures`), or `NotOpened` if a picture begins in it",
    "left out": "**left out** (`no-pictures`, `program`, `apple-double`)",
}


def outcome(kind: FileKind) -> str:
    """Return the key of what becomes of a file of a kind."""
    if kind.is_encrypted and kind.name not in _ENTERED:
        return "encrypted"
    if kind.use is Use.ENTERED and kind.layer is not None:
        return "entered" if kind.name in _ENTERED else "not read"
    return {
        Use.DECODED: "decoded",
        Use.ENTERED: "entered",
        Use.UNREAD: "not read",
        Use.UNEXAMINED: "not opened",
        Use.SEARCHED: "searched",
        Use.NO_PICTURES: "left out",
    }[kind.use]


def described(kind: FileKind) -> str:
    """Return the name of a kind, with its extensions if nothing else tells it."""
    if kind.check is not never:
        return str(kind.name)
    return f"{kind.name} (by its name: `{'`, `'.join(kind.names or kind.extensions)}`)"


def table() -> str:
    """Return the table in Markdown: a row for each outcome and family."""
    rows: dict[tuple[str, str], list[str]] = {}
    for kind in KINDS:
        rows.setdefault((outcome(kind), kind.family), []).append(described(kind))
    lines = ["| what becomes of it | family | kinds |", "|---|---|---|"]
    for key, text in OUTCOMES.items():
        for (found, family), names in rows.items():
            if found == key:
                lines.append(f"| {text} | {family} | {'; '.join(dict.fromkeys(names))} |")
                text = ""
    return "\n".join(lines) + "\n"


def updated(page: str) -> str:
    """Return the page with the table of the present kinds."""
    before, _, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE}: has no {BEGIN.strip()} … {END.strip()}")
    return before + BEGIN + "\n" + table() + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
