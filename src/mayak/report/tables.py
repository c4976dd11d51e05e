"""The lists as CSV and XLSX: every file of the case stands in one of three."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self

import xlsxwriter

from mayak.case import CaseStore, Standing, StoredContent, StoredItem
from mayak.i18n import Language, join, msg, render
from mayak.imaging.formats import wrong_extension
from mayak.names import printable
from mayak.report import words
from mayak.report.document import Section, plain
from mayak.report.report_data import OPEN, Kind, Survey
from mayak.report.text import cut, moment, worded
from mayak.types import Scores

SELECTED, UNREVIEWED, REST = "selected", "unreviewed", "not-selected"

_CHUNK = 500
_ROWS = 1_000_000
"""Rows of a sheet; Excel ends at 1,048,576."""
_LONGEST = 32_767
"""Characters that a cell of Excel holds."""
_FORMULA = frozenset("=+-@＝＋－＠")
"""A spreadsheet takes a cell of a CSV file that begins so for a formula."""

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Listed:
    """One file with all that the lists say of it."""

    item: StoredItem
    source: str
    content: StoredContent | None
    standing: Standing | None
    number: int | None
    """Of the finding."""

    @property
    def kind(self) -> Kind:
        if self.standing is not None:
            return self.standing.state
        return "failure" if self.item.failure else "exclusion"


def files(
    case: CaseStore, found: Survey, numbers: Mapping[str, int]
) -> Iterator[tuple[str, Listed]]:
    """Every file of the case and its list: the selected by the number of their finding, the others
    in the order in which they were found."""
    sources = {source.id: source.path for source in found.sources}
    run = found.run.id if found.run else None
    selected = [sha for label in sorted(found.selected) for sha in found.selected[label]]
    for standing in case.standings(run, selected):
        content = case.content(standing.sha256)
        for item in case.places(standing.sha256):
            number = numbers[standing.sha256]
            yield SELECTED, Listed(item, sources[item.source], content, standing, number)
    for source in found.sources:
        items = case.known_items(source.id)
        while chunk := list(islice(items, _CHUNK)):
            held = list(dict.fromkeys(item.content for item in chunk if item.content))
            known = {standing.sha256: standing for standing in case.standings(run, held)}
            for item in chunk:
                told = known.get(item.content or "")
                if told is None:
                    yield REST, Listed(item, source.path, None, None, None)
                elif told.state != "selected":
                    listed = Listed(
                        item, source.path, case.content(told.sha256), told, numbers.get(told.sha256)
                    )
                    yield UNREVIEWED if told.state in OPEN else REST, listed


def write_tables(
    every: Iterable[tuple[str, Listed]],
    summary: Sequence[Section],
    at: datetime,
    folder: Path,
    language: Language,
) -> None:
    """Write the three lists as CSV, and all of them with the summary as one workbook, in a
    language. Memory does not grow with them. ``at`` is the time that the workbook states of
    itself."""
    columns = _columns()
    heads = [render(head, language) for head, _ in columns]
    titles = {
        SELECTED: msg("selected files"),
        UNREVIEWED: msg("not settled"),
        REST: msg("not selected"),
    }
    with ExitStack() as stack:
        book = stack.enter_context(closing(_Book(folder / "report.xlsx", at, language)))
        book.write(render(msg("summary"), language), _flat(summary, language))
        lists = {name: stack.enter_context(_Csv(folder / f"{name}.csv")) for name in titles}
        for name, title in titles.items():
            lists[name].add(heads)
            book.begin(name, render(title, language), heads)
        for name, listed in every:
            cells = (value(listed) for _, value in columns)
            row = [worded(cell, language) if isinstance(cell, str) else cell for cell in cells]
            lists[name].add(row)
            book.add(name, row)


def _columns() -> list[tuple[str, Callable[[Listed], Value]]]:
    """Head and value of each column; the same in all lists."""

    def content(name: str) -> Callable[[Listed], Value]:
        return lambda listed: getattr(listed.content, name) if listed.content else None

    def time(name: str) -> Callable[[Listed], Value]:
        return lambda listed: (
            moment(found) if (found := getattr(listed.item.times, name)) is not None else None
        )

    def stated(*names: str) -> Callable[[Listed], Value]:
        def value(listed: Listed) -> Value:
            metadata = listed.content.metadata if listed.content else {}
            return " ".join(str(metadata[name]) for name in names if metadata.get(name)) or None

        return value

    def scored(value: Callable[[Scores], Value]) -> Callable[[Listed], Value]:
        return lambda listed: (
            value(listed.standing.scores) if listed.standing and listed.standing.scores else None
        )

    return [
        (msg("image number"), lambda listed: listed.number),
        (msg("standing"), lambda listed: words.kind(listed.kind)),
        (msg("decided label"), _label),
        (msg("file name"), lambda listed: listed.item.name),
        (msg("entry number"), lambda listed: listed.item.entry),
        (msg("path"), lambda listed: listed.item.display),
        (msg("source"), lambda listed: listed.source),
        (msg("size in bytes"), _size),
        (
            msg("deleted", context="column"),
            lambda listed: msg("deleted") if listed.item.deleted else None,
        ),
        (msg("created"), time("created")),
        (msg("modified"), time("modified")),
        (msg("accessed"), time("accessed")),
        (msg("changed"), time("changed")),
        (msg("time zone of these times"), lambda listed: words.zone(listed.item)),
        ("MD5", content("md5")),
        ("SHA-1", content("sha1")),
        ("SHA-256", lambda listed: listed.item.sha256),
        (msg("format"), content("format")),
        (msg("width"), content("width")),
        (msg("height"), content("height")),
        (msg("taken (as the file states)"), stated("taken")),
        (msg("camera (as the file states)"), stated("make", "model")),
        (msg("position (as the file states)"), _position),
        (
            msg("model's label"),
            scored(lambda scores: words.label(scores.label)),
        ),
        (
            msg("model's score"),
            scored(lambda scores: round(scores.best, 6)),
        ),
        (
            msg("share outside the labels"),
            scored(lambda scores: round(scores.off_label, 6)),
        ),
        (
            msg("decisions (label, person, UTC, how shown)"),
            _decisions,
        ),
        (
            msg("lists of known files"),
            lambda listed: " / ".join(listed.standing.alerts) if listed.standing else None,
        ),
        (msg("reason or remark"), _reason),
    ]


def _label(listed: Listed) -> Value:
    decided = listed.standing.decided if listed.standing else None
    return None if decided is None else words.label(decided)


def _size(listed: Listed) -> Value:
    return listed.item.size if listed.content is None else listed.content.size


def _position(listed: Listed) -> Value:
    location = listed.content.metadata.get("location") if listed.content else None
    if not isinstance(location, Mapping):
        return None
    return f"{location.get('latitude')}, {location.get('longitude')}"


def _decisions(listed: Listed) -> Value:
    verdicts = listed.standing.verdicts if listed.standing else ()
    return join(
        " / ",
        [
            words.label(d.verdict or 0)
            + f", {d.reviewer}, {moment(d.at)} ("
            + words.seen(d.seen)
            + ")"
            for d in verdicts
        ],
    )


def _reason(listed: Listed) -> Value:
    item, standing = listed.item, listed.standing
    if item.failure is not None:
        return words.failed(item.failure)
    if item.exclusion is not None:
        return words.because(item.exclusion.rule, item.exclusion.reason)
    said: list[str] = []
    if (content := listed.content) is not None:
        said = [*content.warnings, *wrong_extension(item.name, content.format)]
    if standing and standing.failure:
        said.append(words.failed(standing.failure))
    return join("; ", said)


class _Csv:
    """A CSV file that a spreadsheet reads as text: UTF-8 with its mark, a record a line, and
    nothing that it would compute."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file, quoting=csv.QUOTE_ALL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, row: Sequence[Value]) -> None:
        self._writer.writerow(["" if cell is None else _harmless(cell) for cell in row])


def _harmless(cell: Value) -> str:
    if not isinstance(cell, str):
        return str(cell)
    text = printable(cell)
    return f"'{text}" if text.lstrip()[:1] in _FORMULA else text


class _Book:
    """An Excel workbook of texts and numbers: no formula, no link; the rows go to disk as they
    come."""

    def __init__(self, path: Path, at: datetime, language: Language) -> None:
        self._language = language
        self._book = xlsxwriter.Workbook(
            path,
            {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False},
        )
        self._book.set_properties({"created": at.astimezone(UTC).replace(tzinfo=None)})
        # The prefix keeps Excel from computing a text when somebody edits the cell.
        self._text = self._book.add_format({"quote_prefix": True, "valign": "top"})
        self._head = self._book.add_format({"quote_prefix": True, "bold": True, "bottom": 1})
        self._lists: dict[str, tuple[str, Sequence[str]]] = {}
        self._sheets: dict[str, tuple[Any, int, int]] = {}
        """Sheet, its next row and its number in the list."""

    def close(self) -> None:
        self._book.close()

    def write(self, title: str, rows: Iterable[tuple[Sequence[Value], bool]]) -> None:
        """A sheet of its own; the rows that are heads are marked."""
        sheet = self._book.add_worksheet(title)
        sheet.set_column(0, 0, 36)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_column(1, 5, 22)
        for number, (row, head) in enumerate(rows):
            self._put(sheet, number, row, self._head if head else self._text)

    def begin(self, name: str, title: str, heads: Sequence[str]) -> None:
        """A list, for which ``add`` begins another sheet where one is full."""
        self._lists[name] = (title, heads)
        self._turn(name, 1)

    def add(self, name: str, row: Sequence[Value]) -> None:
        if self._sheets[name][1] > _ROWS:
            self._turn(name, self._sheets[name][2] + 1)
        sheet, position, number = self._sheets[name]
        self._put(sheet, position, row, self._text)
        self._sheets[name] = (sheet, position + 1, number)

    def _turn(self, name: str, number: int) -> None:
        title, heads = self._lists[name]
        sheet = self._book.add_worksheet(title if number == 1 else f"{title} {number}")
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(heads), 18)
        sheet.set_column(3, 3, 34)
        sheet.set_column(5, 5, 34)
        for column, head in enumerate(heads):
            sheet.write_string(0, column, head, self._head)
        self._sheets[name] = (sheet, 1, number)

    def _put(self, sheet: Any, position: int, row: Sequence[Value], form: Any) -> None:  # noqa: ANN401
        for column, cell in enumerate(row):
            if isinstance(cell, str):
                if cell:
                    sheet.write_string(
                        position, column, _fitting(printable(cell), self._language), form
                    )
            elif cell is not None:
                sheet.write_number(position, column, cell)


def _fitting(text: str, language: Language) -> str:
    if len(text) <= _LONGEST:
        return text
    note = render(msg("… ({count:,} characters)", count=len(text)), language)
    return text[: cut(text, _LONGEST - len(note))] + note


def _flat(sections: Sequence[Section], language: Language) -> Iterator[tuple[list[Value], bool]]:
    """Blocks as rows of cells, and whether a row is a head."""
    for section in sections:
        yield [render(section.title, language)], True
        for block in plain(section, language)["blocks"]:
            if block.get("text"):
                yield [block["text"]], False
            if "columns" in block:
                yield block["columns"], True
            for row in [[point] for point in block.get("points", ())] + block.get("rows", []):
                cells = ([cell] if isinstance(cell, str) else cell for cell in row)
                yield list(chain.from_iterable(cells)), False
        yield [], False
