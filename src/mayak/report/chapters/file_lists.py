"""The chapters that list files: the selected ones, and what was not selected and why."""

from __future__ import annotations

from mayak.case import CaseStore, StoredContent, StoredItem
from mayak.case.reasons import because, reason
from mayak.i18n import msg
from mayak.report import words
from mayak.report.chapters.findings import Finding, stored_content
from mayak.report.document import Block, Cell, Prose, Section, Table
from mayak.report.report_data import OPEN, ReportData
from mayak.report.text import files, moment, shortened, size

_CELL = 320
"""Characters of a path in a list; CSV and XLSX hold it whole."""
_FAILURES = 200
"""Files that could not be read, in the list of a page; CSV and XLSX hold all."""


def selected_files(case: CaseStore, found: ReportData, shown: list[Finding]) -> Section:
    """Return the 상세목록: each file with a selected image, with what identifies it."""
    rows: list[tuple[Cell, ...]] = []
    chosen = [finding for finding in shown if finding.label is not None]
    for finding in chosen:
        content = stored_content(case, finding.sha256)
        occurrences = case.occurrences(finding.sha256)
        rows += [_listed(finding, item, content) for item in occurrences]
    total = found.files["selected"]
    blocks: list[Block] = [
        Prose(
            msg(
                "Every file that holds a selected image: name and path, size, times as the source "
                "states them, hashes."
            ),
            "soft",
        )
    ]
    if len(rows) < total:
        blocks.append(
            Prose(
                msg(
                    "{n_rows:,} of {total:,} files are listed here; all are in selected.csv"
                    " and report.xlsx.",
                    n_rows=len(rows),
                    total=total,
                )
            )
        )
    if rows:
        blocks.append(
            Table(
                (msg("No."), msg("File"), msg("Size, times"), msg("Hashes")),
                tuple(rows),
                (0.5, 2.4, 1.6, 2.6),
                code=frozenset({3}),
                small=True,
            )
        )
    else:
        blocks.append(Prose(msg("No file has been selected.")))
    return Section(msg("List of selected files"), tuple(blocks))


def not_selected(case: CaseStore, found: ReportData) -> Section:
    """Return the 제외 목록: what was not selected, and why."""
    chosen, waiting, rest = found.listed
    rows = [
        (words.kind(state), f"{found.images[state]:,}", f"{found.files[state]:,}")
        for state in (*OPEN, "irrelevant", "unreviewed_irrelevant")
        if found.images[state]
    ]
    if found.counts.failures:
        rows.append((words.kind("failure"), "–", f"{found.counts.failures:,}"))
    rows += [
        (words.kind("exclusion") + ": " + reason(rule), "–", f"{count:,}")
        for rule, count in sorted(found.exclusions.items())
    ]
    items, listed = found.counts.items, chosen + waiting + rest
    together = (
        msg(
            "With the {chosen:,} selected these are all {items:,} files of the case.",
            chosen=chosen,
            items=items,
        )
        if listed == items
        else msg(
            "WITH THE {chosen:,} SELECTED THESE ARE {listed:,}, BUT THE CASE HAS {items:,} FILES.",
            chosen=chosen,
            listed=listed,
            items=items,
        )
    )
    blocks: list[Block] = [
        Prose(
            msg(
                "Not settled (unreviewed.csv): {waiting}; not selected (not-selected.csv): "
                "{rest}. report.xlsx holds both lists, each file with its reason. ",
                waiting=files(waiting),
                rest=files(rest),
            )
            + together
        )
    ]
    if rows:
        blocks.append(
            Table(
                (msg("Reason"), msg("Images"), msg("Files")),
                tuple(rows),
                (4.0, 1.0, 1.0),
                numbers=frozenset({1, 2}),
            )
        )
    if found.counts.failures:
        blocks += _failures(case, found)
    return Section(msg("What was not selected"), tuple(blocks))


def _failures(case: CaseStore, found: ReportData) -> list[Block]:
    total = found.counts.failures
    rows = tuple(
        (
            shortened(failure.path, _CELL),
            words.stage(failure.stage),
            shortened(because(failure.error, failure.message), _CELL),
        )
        for failure in case.first_failures(_FAILURES)
    )
    text = msg("Files that were not read:")
    if len(rows) < total:
        text = msg(
            "Files that were not read, {n_rows:,} of {total:,}, those of a kind that is not opened "
            "last (all in not-selected.csv and report.xlsx):",
            n_rows=len(rows),
            total=total,
        )
    return [
        Prose(text),
        Table(
            (msg("File"), msg("Step"), msg("Reason: as recorded")),
            rows,
            (3.0, 0.7, 3.0),
            small=True,
        ),
        *_remedies(found),
    ]


def _remedies(found: ReportData) -> list[Block]:
    points = tuple(
        reason(count.reason) + " (" + (kinds or f"{count.files:,}") + "): " + advice
        for count in found.census.not_read
        for advice, kinds in count.remedies
    )
    if not points:
        return []
    return [Prose(msg("What can be done about them:"), points=points)]


def _listed(finding: Finding, item: StoredItem, content: StoredContent) -> tuple[Cell, ...]:
    times = [
        msg("created ") + moment(item.times.created),
        msg("modified ") + moment(item.times.modified),
        msg("accessed ") + moment(item.times.accessed),
    ]
    if zone := words.zone(item):
        times.append(msg("time zone ") + zone)
    marks = [msg("deleted")] if item.deleted else []
    return (
        f"{finding.number:04d}",
        (shortened(item.name, _CELL), shortened(item.display, _CELL), *marks, *_entry(item)),
        (size(content.size), *times),
        (f"MD5 {content.md5}", f"SHA-1 {content.sha1}", f"SHA-256 {content.sha256}"),
    )


def _entry(item: StoredItem) -> list[str]:
    """Return what tells a file apart from others of the same path."""
    return [] if item.entry is None else [msg("entry number {entry}", entry=item.entry)]
