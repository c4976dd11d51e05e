"""The chapters that list files: the selected ones, and what was not selected and why."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mayak.case import CaseStore, StoredContent, StoredItem
from mayak.case.reasons import reason, remedy
from mayak.language import tr
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
        places = case.places(finding.sha256)
        rows += [_listed(finding, place, content) for place in places]
    total = found.files["selected"]
    blocks: list[Block] = [
        Prose(
            tr(
                "Every file that holds a selected image: name and path, size, times as the "
                "source states them, hashes.",
                "선별한 이미지를 담은 모든 파일의 이름과 경로, 크기, 원본에 기록된 시각, "
                "해시값입니다.",
            ),
            "soft",
        )
    ]
    if len(rows) < total:
        blocks.append(
            Prose(
                tr(
                    f"{len(rows):,} of {total:,} files stand here; all are in selected.csv "
                    "and report.xlsx.",
                    f"전체 {total:,}개 가운데 {len(rows):,}개를 기재합니다. 전체는 "
                    "selected.csv와 report.xlsx에 있습니다.",
                )
            )
        )
    if rows:
        blocks.append(
            Table(
                (
                    tr("No.", "번호"),
                    tr("File", "파일"),
                    tr("Size, times", "크기, 시각"),
                    tr("Hashes", "해시값"),
                ),
                tuple(rows),
                (0.5, 2.4, 1.6, 2.6),
                code=frozenset({3}),
                small=True,
            )
        )
    else:
        blocks.append(Prose(tr("No file has been selected.", "선별한 파일이 없습니다.")))
    return Section(tr("List of selected files", "상세목록(선별한 파일)"), tuple(blocks))


def not_selected(case: CaseStore, found: ReportData) -> Section:
    """Return the 제외 목록: what was not selected, and why."""
    chosen, waiting, rest = found.listed
    rows = [
        (words.kind(state), f"{found.images[state]:,}", f"{found.files[state]:,}")
        for state in (*OPEN, "irrelevant", "unseen")
        if found.images[state]
    ]
    if found.counts.failures:
        rows.append((words.kind("failure"), "–", f"{found.counts.failures:,}"))
    rows += [
        (f"{words.kind('exclusion')}: {reason(rule)}", "–", f"{count:,}")
        for rule, count in sorted(found.exclusions.items())
    ]
    items, listed = found.counts.items, chosen + waiting + rest
    together = (
        tr(
            f"With the {chosen:,} selected these are all {items:,} files of the case.",
            f"선별한 {chosen:,}개와 합하면 사건의 전체 파일 {items:,}개입니다.",
        )
        if listed == items
        else tr(
            f"WITH THE {chosen:,} SELECTED THESE ARE {listed:,}, BUT THE CASE HAS {items:,} FILES.",
            f"집계가 맞지 않습니다. 선별한 {chosen:,}개와 합하면 {listed:,}개이나 사건의 전체 "
            f"파일은 {items:,}개입니다.",
        )
    )
    blocks: list[Block] = [
        Prose(
            tr(
                f"Not settled (unreviewed.csv): {files(waiting)}; not selected "
                f"(not-selected.csv): {files(rest)}. report.xlsx holds both lists, each "
                "file with its reason. ",
                f"판정이 끝나지 않은 {files(waiting)}는 unreviewed.csv에, 선별하지 않은 "
                f"{files(rest)}는 not-selected.csv에 사유와 함께 있으며 report.xlsx에도 "
                "있습니다. ",
            )
            + together
        )
    ]
    if rows:
        blocks.append(
            Table(
                (tr("Reason", "사유"), tr("Images", "이미지"), tr("Files", "파일")),
                tuple(rows),
                (4.0, 1.0, 1.0),
                numbers=frozenset({1, 2}),
            )
        )
    if found.counts.failures:
        blocks += _failures(case, found)
    return Section(tr("What was not selected", "선별하지 않은 파일(제외 목록)"), tuple(blocks))


def _failures(case: CaseStore, found: ReportData) -> list[Block]:
    total = found.counts.failures
    failed = islice(_failed(case), _FAILURES)
    rows = tuple(
        (
            shortened(item.display, _CELL),
            words.stage(item.failure.stage),
            shortened(words.because(item.failure.error, item.failure.message), _CELL),
        )
        for item in failed
        if item.failure is not None
    )
    text = tr("Files that could not be read:", "읽지 못한 파일:")
    if len(rows) < total:
        text = tr(
            f"Files that could not be read, {len(rows):,} of {total:,} (all in "
            "not-selected.csv and report.xlsx):",
            f"읽지 못한 파일 {total:,}개 가운데 {len(rows):,}개(전체는 not-selected.csv와 "
            "report.xlsx):",
        )
    return [
        Prose(text),
        Table(
            (
                tr("File", "파일"),
                tr("Step", "단계"),
                tr("Reason: as recorded", "사유: 기록 원문"),
            ),
            rows,
            (3.0, 0.7, 3.0),
            small=True,
        ),
        *_remedies(found),
    ]


def _remedies(found: ReportData) -> list[Block]:
    points = tuple(
        f"{reason(name)} ({count:,}): {advice}"
        for name, count in sorted(found.failures.items())
        if (advice := remedy(name)) is not None
    )
    if not points:
        return []
    return [Prose(tr("What can be done about them:", "조치 방법:"), points=points)]


def _failed(case: CaseStore) -> Iterator[StoredItem]:
    for source in case.sources():
        for item in case.known_items(source.id):
            if item.failure is not None:
                yield item


def _listed(finding: Finding, place: StoredItem, content: StoredContent) -> tuple[Cell, ...]:
    times = [
        tr("created ", "생성 ") + moment(place.times.created),
        tr("modified ", "수정 ") + moment(place.times.modified),
        tr("accessed ", "접근 ") + moment(place.times.accessed),
    ]
    if zone := words.zone(place):
        times.append(tr("time zone ", "시간대 ") + zone)
    marks = [tr("deleted", "삭제됨")] if place.deleted else []
    if place.entry is not None:
        marks.append(tr(f"entry number {place.entry}", f"항목 번호 {place.entry}"))
    return (
        f"{finding.number:04d}",
        (shortened(place.name, _CELL), shortened(place.display, _CELL), *marks),
        (size(content.size), *times),
        (f"MD5 {content.md5}", f"SHA-1 {content.sha1}", f"SHA-256 {content.sha256}"),
    )
