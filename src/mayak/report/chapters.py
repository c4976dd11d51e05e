"""The chapters that say what was found: summary, findings, proposals, lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from mayak.case import CaseStore, Standing, StoredContent, StoredItem
from mayak.case.reasons import reason, remedy
from mayak.case.records import SeenHow
from mayak.labels import LABELS
from mayak.language import language, tr
from mayak.report import words
from mayak.report.document import (
    Block,
    Card,
    Cell,
    Document,
    Facts,
    Figures,
    Gallery,
    Prose,
    Section,
    Table,
)
from mayak.report.integrity import integrity, methods, notices
from mayak.report.limits import limits
from mayak.report.pictures import picture
from mayak.report.report_data import OPEN, Survey
from mayak.report.text import files, images, moment, shortened, size

_PATH = 110
_CELL = 320
"""Characters of a path on a card and in a list; CSV and XLSX hold it whole."""
_FAILURES = 200
"""Files that could not be read, in the list of a page; CSV and XLSX hold all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An image that people decided on and that the report shows."""

    number: int
    sha256: str
    label: int | None
    """None where the reviewers differ."""


def findings(found: Survey) -> list[Finding]:
    """What was selected, label by label, then what is disputed; numbered through."""
    labelled = [(sha, label) for label in sorted(found.selected) for sha in found.selected[label]]
    every = [*labelled, *((sha, None) for sha in found.disputed)]
    return [Finding(number, sha, label) for number, (sha, label) in enumerate(every, 1)]


class Writer:
    """Writes the document of a page, and the documents of the volumes of a paper."""

    def __init__(self, case: CaseStore, found: Survey, *, clear: bool) -> None:
        self._case, self._found, self._clear = case, found, clear
        self._pictures: dict[str, bytes] = {}

    def page(self, most: int) -> Document:
        """Everything in one document, of each group of findings at most ``most``."""
        every = findings(self._found)
        groups: dict[int | None, int] = {}
        shown = []
        for finding in every:
            groups[finding.label] = groups.get(finding.label, 0) + 1
            if groups[finding.label] <= most:
                shown.append(finding)
        return self._document(shown, whole=True)

    def slices(self, most: int) -> list[list[Finding]]:
        """All findings in volumes of ``most`` images; the first shows the proposals as well."""
        every = findings(self._found)
        first = most - len(self._found.proposed)
        rest = [every[start : start + most] for start in range(first, len(every), most)]
        return [every[:first], *rest]

    def volume(self, slices: list[list[Finding]], number: int) -> Document:
        """One of them, from 0; the first has the chapters on the whole case."""
        name = None
        if len(slices) > 1:
            of = len(slices)
            name = tr(f"Volume {number + 1} of {of}", f"제{number + 1}권(전체 {of}권)")
        return self._document(slices[number], whole=number == 0, volume=name)

    def overview(self) -> list[Section]:
        """The chapters that hold figures alone, for a workbook."""
        found = self._found
        about = Section(tr("Case", "사건"), (self._identity(), *notices(found)))
        return [about, self._summary(), self._rest(), limits(found), integrity(found)]

    def _identity(self) -> Facts:
        number = tr("Case number (UUID)", "사건 식별번호(UUID)")
        head = tr("Log head (SHA-256)", "기록 최종 해시(SHA-256)")
        return Facts(
            (
                (tr("Case", "사건"), self._found.name),
                (number, self._found.case),
                (tr("State of", "기준 시각"), f"{moment(self._found.as_of)} UTC"),
                (tr("Model run shown", "점수의 출처(모델 실행)"), words.run(self._found.run)),
                (head, self._found.head),
            ),
            code=frozenset({number, head}),
        )

    def _document(
        self, shown: list[Finding], *, whole: bool, volume: str | None = None
    ) -> Document:
        found = self._found
        self._pictures = {}
        sections: list[Section] = []
        if whole:
            sections.append(self._summary())
        sections += self._findings(shown)
        if whole and found.awaiting:
            sections.append(self._proposals())
        sections.append(self._list(shown))
        if whole:
            sections += [self._rest(), methods(found, clear=self._clear), limits(found)]
            sections.append(integrity(found))
        title = tr("Image analysis report", "디지털 이미지 분석보고서")
        return Document(
            title=title,
            subtitle=" · ".join(filter(None, (found.name, volume))),
            running=" · ".join(filter(None, (title, found.name, volume))),
            stamp=tr("Log head ", "기록 최종 해시 ") + found.head[:32] + "…",
            language=language(),
            facts=self._identity(),
            notices=notices(found),
            sections=tuple(sections),
            pictures=self._pictures,
        )

    # ------------------------------------------------------------------ summary

    def _summary(self) -> Section:
        found = self._found
        chosen = found.images["selected"]
        waiting = sum(found.images[state] for state in OPEN)
        blocks: list[Block] = [
            Figures(
                (
                    (
                        f"{found.counts.items:,}",
                        tr("files listed", "나열한 파일"),
                        tr(f"in {len(found.sources)} sources", f"원본 {len(found.sources)}개"),
                    ),
                    (
                        f"{found.counts.distinct_contents:,}",
                        tr("different images", "서로 다른 이미지"),
                        files(found.counts.contents),
                    ),
                    (
                        f"{chosen:,}",
                        tr("images selected by reviewers", "검토자가 선별한 이미지"),
                        files(found.files["selected"]),
                    ),
                    (
                        f"{waiting:,}",
                        tr("images not settled", "판정이 끝나지 않은 이미지"),
                        tr(
                            "reviewers differ, or proposed or without a result and not reviewed",
                            "판정 불일치, 미검토 제안, 모델 결과 없음",
                        ),
                    ),
                    (
                        f"{found.counts.failures:,}",
                        tr("files that could not be read", "읽지 못한 파일"),
                        tr("listed with reasons", "사유와 함께 기재"),
                    ),
                )
            ),
            self._labels(),
            Prose(
                tr(
                    "Selected is what reviewers decided to be relevant (1, 2 or 3) and nobody "
                    "contradicts. The model only proposes; what is not reviewed, so that no "
                    "decision stands, is listed apart and is no finding. None of this replaces an "
                    "analysis of a substance or a ruling on what a warrant covers.",
                    "‘선별’은 검토자가 관련 있음(1, 2, 3)으로 판정하고 다른 검토자의 판정과 "
                    "어긋나지 않는 이미지만을 뜻합니다. 모델은 제안만 하며, 유효한 판정이 없는 "
                    "제안은 따로 표시하고 판정 결과로 보지 않습니다. 이 분류는 마약류 감정이나 "
                    "영장에 기재된 혐의사실과의 관련성에 대한 판단을 대신하지 않습니다.",
                ),
                "soft",
            ),
        ]
        if found.reviewers:
            blocks += [self._reviewers(), *self._seen()]
        else:
            blocks.append(Prose(_undecided(found), "warning"))
        return Section(tr("Summary", "요약"), tuple(blocks), alone=True)

    def _labels(self) -> Table:
        found = self._found
        rows = [
            (
                words.label(label.index),
                f"{len(found.selected.get(label.index, ())):,}",
                f"{found.selected_files[label.index]:,}",
                f"{found.agreed[label.index]:,}",
                f"{found.proposals[label.index]:,}",
            )
            for label in LABELS[1:]
        ]
        rows.append(
            (
                tr("Sum", "합계"),
                f"{found.images['selected']:,}",
                f"{found.files['selected']:,}",
                f"{sum(found.agreed.values()):,}",
                f"{sum(found.proposals.values()):,}",
            )
        )
        return Table(
            (
                tr("Label", "분류"),
                tr("Selected images", "선별한 이미지"),
                tr("their files", "해당 파일"),
                tr("of these, the model said the same", "그중 모델도 같게 분류"),
                tr("Proposals without a decision", "미검토 제안"),
            ),
            tuple(rows),
            (2.2, 1.2, 1.1, 1.7, 1.4),
            numbers=frozenset({1, 2, 3, 4}),
        )

    def _reviewers(self) -> Table:
        return Table(
            (
                tr("Reviewer", "검토자"),
                tr("Images", "이미지"),
                tr("First decision (UTC)", "첫 판정(UTC)"),
                tr("Last decision (UTC)", "마지막 판정(UTC)"),
            ),
            tuple(
                (shortened(name, 80), f"{who.images:,}", moment(who.first), moment(who.last))
                for name, who in self._found.reviewers.items()
            ),
            (2.2, 0.9, 1.6, 1.6),
            numbers=frozenset({1}),
        )

    def _seen(self) -> list[Block]:
        """How the images were shown to those who decided."""
        rows = []
        order: tuple[SeenHow | None, ...] = ("opened", "grid", "copy", "bulk", None)
        for how in order:
            found = {
                seen: count
                for seen, count in self._found.seen.items()
                if (seen.how if seen else None) == how
            }
            if total := sum(found.values()):
                blurred = sum(count for seen, count in found.items() if seen and seen.blurred)
                drawn = how is not None and how != "bulk"
                rows.append((words.seen_how(how), f"{total:,}", f"{blurred:,}" if drawn else "–"))
        text = tr(
            "How the images were shown when they were decided. A decision does not mean that "
            "somebody looked at the image by itself: “behind a copy” was decided together with "
            "another image of the same picture, “not on the screen” without having been drawn. "
            "An “opened” image was shown by itself: the original, or its thumbnail of at most 320 "
            "pixels until the original had been read, or if it could not be.",
            "판정할 때 이미지가 어떻게 표시되어 있었는지입니다. ‘판정’은 이미지를 하나씩 "
            "확인하였다는 뜻이 아닙니다. ‘같은 사진의 사본’은 같은 사진인 다른 이미지와 함께, "
            "‘화면에 표시하지 않음’은 이미지가 화면에 나타나지 않은 채 판정한 것입니다. "
            "‘크게 보기’는 이미지 하나를 크게 표시한 것이며, 원본을 읽기 전이거나 읽을 수 없는 "
            "경우에는 최대 320픽셀의 축소 그림을 표시한 것입니다.",
        )
        return [
            Prose(text, "soft"),
            Table(
                (
                    tr("How the image was shown", "이미지 표시 방식"),
                    tr("Decisions", "판정"),
                    tr("of these, blurred", "그중 흐린 표시"),
                ),
                tuple(rows),
                (2.2, 0.9, 1.2),
                numbers=frozenset({1, 2}),
            ),
        ]

    # ------------------------------------------------------------------ findings

    def _findings(self, shown: list[Finding]) -> list[Section]:
        found = self._found
        sections = []
        if not found.selected and not found.disputed:
            text = tr("No image has been selected.", "선별한 이미지가 없습니다.")
            sections.append(Section(tr("Findings", "판정 결과"), (Prose(text),)))
        for label in [*sorted(found.selected), None]:
            group = [finding for finding in shown if finding.label == label]
            if not group:
                continue
            if label is None:
                total = len(found.disputed)
                title = tr("Reviewers differ", "판정 불일치")
                lead = tr(
                    "Reviewers gave these images different labels. They are not among the "
                    "selected until that is settled.",
                    "검토자마다 판정이 다른 이미지입니다. 판정이 정리될 때까지 선별에 넣지 "
                    "않습니다.",
                )
            else:
                total = len(found.selected[label])
                title = tr(f"Findings: {words.label(label)}", f"판정 결과: {words.label(label)}")
                count = files(found.selected_files[label])
                lead = tr(
                    f"{images(total)} in {count}, decided by reviewers; each card states how the "
                    "image was shown to them.",
                    f"검토자가 판정한 {images(total)}({count})입니다. 카드마다 판정할 때 이미지가 "
                    "어떻게 표시되었는지 적었습니다.",
                )
            blocks: list[Block] = [Prose(lead, "soft")]
            if len(group) < total:
                blocks.append(Prose(_part(group[0].number, group[-1].number, len(group), total)))
            blocks.append(Gallery(tuple(self._card(f) for f in group)))
            sections.append(Section(title, tuple(blocks)))
        return sections

    def _card(self, finding: Finding) -> Card:
        content, standing = self._know(finding.sha256)
        label = tr("reviewers differ", "판정 불일치")
        if finding.label is not None:
            label = words.label(finding.label)
        return self._draw(f"{finding.number:04d}", label, content, standing)

    def _proposals(self) -> Section:
        found = self._found
        total = found.awaiting
        blocks: list[Block] = [
            Prose(
                tr(
                    "UNREVIEWED PROPOSALS. The model or a list of known files names these images; "
                    "no reviewer's decision on them stands. They are not findings.",
                    "미검토 제안입니다. 모델이나 해시 목록이 제시하였을 뿐 유효한 검토자 판정이 "
                    "없으며, 판정 결과가 아닙니다.",
                ),
                "warning",
            )
        ]
        if len(found.proposed) < total:
            blocks.append(
                Prose(
                    tr(
                        f"The first {len(found.proposed):,} of {total:,} are shown, in the order "
                        "in which they should be looked at; all are in unreviewed.csv and "
                        "report.xlsx.",
                        f"전체 {total:,}장 가운데 먼저 확인할 {len(found.proposed):,}장을 "
                        "보입니다. 전체는 unreviewed.csv와 report.xlsx에 있습니다.",
                    )
                )
            )
        cards = []
        for number, sha256 in enumerate(found.proposed, 1):
            content, standing = self._know(sha256)
            text = tr("in a list of known files", "해시 목록 일치")
            if standing.proposal:
                text = tr("proposed: ", "제안: ") + words.label(standing.proposal)
            cards.append(self._draw(f"P{number:03d}", text, content, standing))
        blocks.append(Gallery(tuple(cards)))
        return Section(tr("Proposals without a decision", "미검토 제안"), tuple(blocks))

    def _know(self, sha256: str) -> tuple[StoredContent, Standing]:
        content = self._case.content(sha256)
        run = self._found.run
        (standing,) = self._case.standings(run.id if run else None, [sha256])
        if content is None:
            raise KeyError(sha256)
        return content, standing

    def _draw(self, number: str, label: str, content: StoredContent, standing: Standing) -> Card:
        places = self._case.places(content.sha256)
        small = picture(self._case, content, clear=self._clear)
        if small is not None:
            self._pictures[content.sha256] = small
        marks = []
        if len(places) > 1:
            marks.append(tr(f"at {len(places)} places", f"같은 이미지 {len(places)}곳"))
        if places and all(place.deleted for place in places):
            marks.append(tr("deleted", "삭제됨"))
        elif any(place.deleted for place in places):
            marks.append(tr("deleted at some places", "일부 삭제됨"))
        marks += [tr("in list: ", "해시 목록: ") + shortened(name, 40) for name in standing.alerts]
        scores = standing.scores
        unscored = (
            tr("no model was asked", "모델로 분류하지 않음")
            if self._found.run is None
            else tr("model gave no result", "모델 결과 없음")
        )
        return Card(
            number=number,
            label=label,
            picture=content.sha256 if small is not None else None,
            absent=tr("no thumbnail, or not as recorded", "축소 그림이 없거나 기록과 다름"),
            path=shortened(places[0].display, _PATH) if places else "–",
            hash=content.sha256[:16],
            score=None if scores is None else scores.best,
            scored=unscored
            if scores is None
            else tr("model ", "모델 ") + f"{words.label(scores.label)} · {scores.best:.3f}",
            decided=tuple(
                f"{words.label(d.verdict or 0)} · {shortened(d.reviewer, 40)} · {moment(d.at)}"
                f" · {words.seen(d.seen)}"
                for d in standing.verdicts
            )
            or (tr("not reviewed", "미검토"),),
            marks=tuple(marks),
            reviewed=bool(standing.verdicts),
        )

    # ------------------------------------------------------------------ lists

    def _list(self, shown: list[Finding]) -> Section:
        """The 상세목록: each selected file with what identifies it."""
        rows: list[tuple[Cell, ...]] = []
        chosen = [finding for finding in shown if finding.label is not None]
        for finding in chosen:
            content, _ = self._know(finding.sha256)
            places = self._case.places(finding.sha256)
            rows += [_listed(finding, place, content) for place in places]
        total = self._found.files["selected"]
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

    def _rest(self) -> Section:
        """The 제외 목록: what was not selected, and why."""
        found = self._found
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
                f"WITH THE {chosen:,} SELECTED THESE ARE {listed:,}, BUT THE CASE HAS {items:,} "
                "FILES.",
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
            blocks += self._failures()
        return Section(tr("What was not selected", "선별하지 않은 파일(제외 목록)"), tuple(blocks))

    def _failures(self) -> list[Block]:
        total = self._found.counts.failures
        failed = islice(_failed(self._case), _FAILURES)
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
            *self._remedies(),
        ]

    def _remedies(self) -> list[Block]:
        points = tuple(
            f"{reason(name)} ({count:,}): {advice}"
            for name, count in sorted(self._found.failures.items())
            if (advice := remedy(name)) is not None
        )
        if not points:
            return []
        return [Prose(tr("What can be done about them:", "조치 방법:"), points=points)]


def _undecided(found: Survey) -> str:
    """What a report without a standing decision holds."""
    why = (
        tr(
            f"No decision stands (withdrawn: {found.withdrawn:,}).",
            f"유효한 판정이 없습니다(취소한 판정 {found.withdrawn:,}건).",
        )
        if found.withdrawn
        else tr("Nobody has decided anything yet.", "아직 아무도 판정하지 않았습니다.")
    )
    holds = tr(
        f" The report holds {found.awaiting:,} proposals and no finding.",
        f" 이 보고서에는 제안 {found.awaiting:,}건만 있으며 판정 결과는 없습니다.",
    )
    return why + holds


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


def _part(first: int, last: int, count: int, total: int) -> str:
    return tr(
        f"{count:,} of {total:,} images are shown here (nos. {first:04d}–{last:04d}); all are in "
        "the PDF, and all their files in selected.csv and report.xlsx.",
        f"전체 {total:,}장 가운데 {count:,}장을 보입니다(번호 {first:04d}–{last:04d}). 전체 "
        "이미지는 PDF에, 전체 파일은 selected.csv와 report.xlsx에 있습니다.",
    )
