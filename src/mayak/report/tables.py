"""Writes the lists as CSV and XLSX: every file of the case is in exactly one of three."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import xlsxwriter

from mayak.case import CaseStore, ReviewStatus, StoredContent, StoredItem
from mayak.case.reasons import because
from mayak.i18n import Language, join, msg, msg_in, render
from mayak.imaging.formats import wrong_extension
from mayak.labels import numbered_label
from mayak.names import printable
from mayak.report import words
from mayak.report.builder import DocumentBuilder
from mayak.report.chapters.findings import findings
from mayak.report.document import Section, to_json_values
from mayak.report.report_data import OPEN, Kind, ReportData
from mayak.report.text import cut, moment, worded
from mayak.types import Progress, Scores

SELECTED, UNREVIEWED, REST = "selected", "unreviewed", "not-selected"

_CHUNK = 500
_ROWS = 1_000_000
"""Rows of a sheet; Excel ends at 1,048,576."""
_LONGEST = 32_767
"""Characters of one Excel cell."""
_FORMULA = frozenset("=+-@＝＋－＠")
"""A spreadsheet treats a CSV cell that begins with one of these as a formula."""

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file, with everything that the lists show about it."""

    item: StoredItem
    source: str
    content: StoredContent | None
    status: ReviewStatus | None
    number: int | None
    """Number of the finding."""

    @property
    def kind(self) -> Kind:
        if self.status is not None:
            return self.status.state
        return "failure" if self.item.failure else "exclusion"


def write_tables(builder: DocumentBuilder, folder: Path, progress: Progress) -> None:
    """Write the three lists as CSV files, and all of them with the figures as one workbook.

    Rows are written as they are read: memory does not grow with the case.
    """
    case, data, language = builder.case, builder.data, builder.language
    columns = _columns()
    heads = [render(head, language) for head, _ in columns]
    titles = {
        SELECTED: msg("selected files"),
        UNREVIEWED: msg("not settled"),
        REST: msg("not selected"),
    }
    with ExitStack() as stack:
        task = stack.enter_context(progress.task(msg("lists"), data.counts.items, msg("files")))
        book = stack.enter_context(closing(_Book(folder / "report.xlsx", data.as_of, language)))
        book.write(render(msg("summary"), language), _flat(builder.overview(), language))
        lists = {name: stack.enter_context(_csv(folder / f"{name}.csv")) for name in titles}
        for name, title in titles.items():
            lists[name](heads)
            book.begin(name, render(title, language), heads)
        for name, listed in listed_files(case, data):
            cells = (value(listed) for _, value in columns)
            row = [worded(cell, language) if isinstance(cell, str) else cell for cell in cells]
            lists[name](row)
            book.add(name, row)
            task.advance()


def listed_files(case: CaseStore, data: ReportData) -> Iterator[tuple[str, ListedFile]]:
    """Yield every file of the case with the name of its list.

    The selected files come first, in the order of their findings; the others follow in the order in
    which they were found.
    """
    numbers = {finding.sha256: finding.number for finding in findings(data)}
    sources = {source.id: source.path for source in data.sources}
    run = data.run.id if data.run else None
    selected = [sha for label in sorted(data.selected) for sha in data.selected[label]]
    for status in case.statuses(run, selected):
        content = case.content(status.sha256)
        for item in case.occurrences(status.sha256):
            finding = numbers[status.sha256]
            yield SELECTED, ListedFile(item, sources[item.source], content, status, finding)
    for source in data.sources:
        items = case.known_items(source.id)
        while chunk := list(islice(items, _CHUNK)):
            images = list(dict.fromkeys(item.content for item in chunk if item.content))
            known = {status.sha256: status for status in case.statuses(run, images)}
            for item in chunk:
                found = known.get(item.content or "")
                if found is None:
                    yield REST, ListedFile(item, source.path, None, None, None)
                elif found.state != "selected":
                    content, number = case.content(found.sha256), numbers.get(found.sha256)
                    listed = ListedFile(item, source.path, content, found, number)
                    yield UNREVIEWED if found.state in OPEN else REST, listed


def _columns() -> list[tuple[str, Callable[[ListedFile], Value]]]:
    """Return title and value of each column; they are the same in all lists."""

    def content(name: str) -> Callable[[ListedFile], Value]:
        return lambda listed: getattr(listed.content, name) if listed.content else None

    def time(name: str) -> Callable[[ListedFile], Value]:
        return lambda listed: (
            moment(found) if (found := getattr(listed.item.times, name)) is not None else None
        )

    def stated(*names: str) -> Callable[[ListedFile], Value]:
        def value(listed: ListedFile) -> Value:
            metadata = listed.content.metadata if listed.content else {}
            return " ".join(str(metadata[name]) for name in names if metadata.get(name)) or None

        return value

    def scored(value: Callable[[Scores], Value]) -> Callable[[ListedFile], Value]:
        return lambda listed: (
            value(listed.status.scores) if listed.status and listed.status.scores else None
        )

    return [
        (msg("image number"), lambda listed: listed.number),
        (msg("review status"), lambda listed: words.kind(listed.kind)),
        (msg("decided label"), _label),
        (msg("file name"), lambda listed: listed.item.name),
        (msg("entry number"), lambda listed: listed.item.entry),
        (msg("path"), lambda listed: listed.item.display),
        (msg("source"), lambda listed: listed.source),
        (msg("size in bytes"), _size),
        (
            msg_in("column", "deleted"),
            lambda listed: (
                msg_in("answer", "yes") if listed.item.deleted else msg_in("answer", "no")
            ),
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
            scored(lambda scores: numbered_label(scores.label, is_tied=scores.is_tied)),
        ),
        (msg("model's score"), scored(lambda scores: round(scores.best, 6))),
        (msg("share outside the labels"), scored(lambda scores: round(scores.off_label, 6))),
        (msg("decisions (label, person, UTC, how shown)"), _decisions),
        (
            msg("lists of known files"),
            lambda listed: " / ".join(listed.status.alerts) if listed.status else None,
        ),
        (msg("reason or remark"), _reason),
    ]


def _label(listed: ListedFile) -> Value:
    decided = listed.status.decided if listed.status else None
    return None if decided is None else numbered_label(decided)


def _size(listed: ListedFile) -> Value:
    return listed.item.size if listed.content is None else listed.content.size


def _position(listed: ListedFile) -> Value:
    location = listed.content.metadata.get("location") if listed.content else None
    if not isinstance(location, Mapping):
        return None
    return f"{location.get('latitude')}, {location.get('longitude')}"


def _decisions(listed: ListedFile) -> Value:
    verdicts = listed.status.verdicts if listed.status else ()
    return join(
        " / ",
        [
            numbered_label(d.verdict or 0)
            + f", {d.reviewer}, {moment(d.at)} ("
            + words.seen(d.seen)
            + ")"
            for d in verdicts
        ],
    )


def _reason(listed: ListedFile) -> Value:
    item, status = listed.item, listed.status
    if item.failure is not None:
        return words.failed(item.failure)
    if item.exclusion is not None:
        return because(item.exclusion.rule, item.exclusion.reason)
    remarks: list[str] = []
    if (content := listed.content) is not None:
        remarks = [*content.warnings, *wrong_extension(item.name, content.format)]
    if status and status.failure:
        remarks.append(words.failed(status.failure))
    return join("; ", remarks)


@contextmanager
def _csv(path: Path) -> Iterator[Callable[[Sequence[Value]], object]]:
    """Yield a function that adds a row to a CSV file that is safe in a spreadsheet: UTF-8 with a
    BOM, one record a line, no formula."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        yield lambda row: writer.writerow(
            "" if cell is None else _escape_formula(cell) for cell in row
        )


def _escape_formula(cell: Value) -> str:
    if not isinstance(cell, str):
        return str(cell)
    text = printable(cell)
    return f"'{text}" if text.lstrip()[:1] in _FORMULA else text


class _Book:
    """An Excel workbook of texts and numbers, without formulas; rows are streamed to disk."""

    def __init__(self, path: Path, at: datetime, language: Language) -> None:
        self._language = language
        self._book = xlsxwriter.Workbook(
            path, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        )
        self._book.set_properties({"created": at.astimezone(UTC).replace(tzinfo=None)})
        # With the prefix Excel does not turn a text into a formula when the cell is edited.
        self._text = self._book.add_format({"quote_prefix": True, "valign": "top"})
        self._head = self._book.add_format({"quote_prefix": True, "bold": True, "bottom": 1})
        self._lists: dict[str, tuple[str, Sequence[str]]] = {}
        self._sheets: dict[str, tuple[Any, int, int]] = {}
        """By list: sheet, next row, number of the sheet."""

    def close(self) -> None:
        self._book.close()

    def write(self, title: str, rows: Iterable[tuple[Sequence[Value], bool]]) -> None:
        """Write a sheet; heading rows are formatted."""
        sheet = self._book.add_worksheet(title)
        sheet.set_column(0, 0, 36)
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        sheet.set_column(1, 5, 22)
        for number, (row, head) in enumerate(rows):
            self._put(sheet, number, row, self._head if head else self._text)

    def begin(self, name: str, title: str, heads: Sequence[str]) -> None:
        """Start a list; ``add`` starts another sheet when one is full."""
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
    """Yield blocks as rows of cells, each with whether it is a heading."""
    for section in sections:
        yield [render(section.title, language)], True
        for block in to_json_values(section, language)["blocks"]:
            if block.get("text"):
                yield [block["text"]], False
            if "columns" in block:
                yield block["columns"], True
            for row in [[point] for point in block.get("points", ())] + block.get("rows", []):
                cells = ([cell] if isinstance(cell, str) else cell for cell in row)
                yield list(chain.from_iterable(cells)), False
        yield [], False
