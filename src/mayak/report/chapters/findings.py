"""The chapters that show images: findings by class, disputed images, proposals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mayak.case import CaseStore, Standing, StoredContent
from mayak.language import tr
from mayak.report import words
from mayak.report.document import Block, Card, Gallery, Prose, Section
from mayak.report.pictures import picture
from mayak.report.report_data import ReportData
from mayak.report.text import files, images, moment, shortened

_PATH = 110
"""Characters of a path on a card; CSV and XLSX hold it whole."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An image with a decision, as the report shows it."""

    number: int
    sha256: str
    label: int | None
    """None if the reviewers differ."""


def findings(found: ReportData) -> list[Finding]:
    """Return the selected images, class by class, then the disputed ones, numbered from 1."""
    labelled = [(sha, label) for label in sorted(found.selected) for sha in found.selected[label]]
    every = [*labelled, *((sha, None) for sha in found.disputed)]
    return [Finding(number, sha, label) for number, (sha, label) in enumerate(every, 1)]


def findings_chapters(found: ReportData, shown: list[Finding], cards: CardMaker) -> list[Section]:
    """Return a chapter for each class and one for disputed images."""
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
                "검토자마다 판정이 다른 이미지입니다. 판정이 정리될 때까지 선별에 넣지 않습니다.",
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
        blocks.append(Gallery(tuple(cards.finding(f) for f in group)))
        sections.append(Section(title, tuple(blocks)))
    return sections


def proposals_chapter(found: ReportData, cards: CardMaker) -> Section:
    """Return the first proposals on which nobody has decided."""
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
    blocks.append(Gallery(tuple(cards.proposals())))
    return Section(tr("Proposals without a decision", "미검토 제안"), tuple(blocks))


class CardMaker:
    """Makes the cards of images and collects their thumbnails."""

    def __init__(self, case: CaseStore, found: ReportData, *, clear: bool) -> None:
        self._case, self._found, self._clear = case, found, clear
        self.pictures: dict[str, bytes] = {}
        """JPEG files by the SHA-256 of their image."""

    def finding(self, finding: Finding) -> Card:
        """Return the card of an image that reviewers decided on."""
        content, standing = self._look_up(finding.sha256)
        label = tr("reviewers differ", "판정 불일치")
        if finding.label is not None:
            label = words.label(finding.label)
        return self._make(f"{finding.number:04d}", label, content, standing)

    def proposals(self) -> Iterator[Card]:
        """Yield the cards of the proposals on which nobody has decided."""
        for number, sha256 in enumerate(self._found.proposed, 1):
            content, status = self._look_up(sha256)
            text = tr("in a list of known files", "해시 목록 일치")
            if status.proposal:
                text = tr("proposed: ", "제안: ") + words.label(status.proposal)
            yield self._make(f"P{number:03d}", text, content, status)

    def _look_up(self, sha256: str) -> tuple[StoredContent, Standing]:
        run = self._found.run
        (standing,) = self._case.standings(run.id if run else None, [sha256])
        return stored_content(self._case, sha256), standing

    def _make(self, number: str, label: str, content: StoredContent, standing: Standing) -> Card:
        places = self._case.places(content.sha256)
        small = picture(self._case, content, clear=self._clear)
        if small is not None:
            self.pictures[content.sha256] = small
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


def stored_content(case: CaseStore, sha256: str) -> StoredContent:
    """Return an image of the case. Its hash comes from the case, so a missing one is a bug."""
    content = case.content(sha256)
    if content is None:
        raise KeyError(sha256)
    return content


def _part(first: int, last: int, count: int, total: int) -> str:
    return tr(
        f"{count:,} of {total:,} images are shown here (nos. {first:04d}–{last:04d}); all are in "
        "the PDF, and all their files in selected.csv and report.xlsx.",
        f"전체 {total:,}장 가운데 {count:,}장을 보입니다(번호 {first:04d}–{last:04d}). 전체 "
        "이미지는 PDF에, 전체 파일은 selected.csv와 report.xlsx에 있습니다.",
    )
