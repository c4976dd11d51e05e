"""The chapters that show images: findings by class, disputed images, proposals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mayak.case import CaseStore, ReviewStatus, StoredContent
from mayak.i18n import join, msg
from mayak.labels import numbered_label
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
        text = msg("No image has been selected.")
        sections.append(Section(msg("Findings"), (Prose(text),)))
    for label in [*sorted(found.selected), None]:
        group = [finding for finding in shown if finding.label == label]
        if not group:
            continue
        if label is None:
            total = len(found.disputed)
            title = msg("Reviewers differ")
            lead = msg(
                "Reviewers gave these images different labels. They are not among the selected "
                "until that is settled."
            )
        else:
            total = len(found.selected[label])
            title = msg("Findings: {label}", label=numbered_label(label))
            count = files(found.selected_files[label])
            lead = msg(
                "{images} in {count}, decided by reviewers; each card states how the image was "
                "shown to them.",
                images=images(total),
                count=count,
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
            msg(
                "UNREVIEWED PROPOSALS. The model or a list of known files names these images; no "
                "reviewer's decision on them is valid. They are not findings."
            ),
            "warning",
        )
    ]
    if len(found.proposed) < total:
        blocks.append(
            Prose(
                msg(
                    "The first {n_proposed:,} of {total:,} are shown, in the order in which they "
                    "should be looked at; all are in unreviewed.csv and report.xlsx.",
                    n_proposed=len(found.proposed),
                    total=total,
                )
            )
        )
    blocks.append(Gallery(tuple(cards.proposals())))
    return Section(msg("Proposals without a decision"), tuple(blocks))


class CardMaker:
    """Makes the cards of images and collects their thumbnails."""

    def __init__(self, case: CaseStore, found: ReportData, *, clear: bool) -> None:
        self._case, self._found, self._clear = case, found, clear
        self.pictures: dict[str, bytes] = {}
        """JPEG files by the SHA-256 of their image."""

    def finding(self, finding: Finding) -> Card:
        """Return the card of an image that reviewers decided on."""
        content, status = self._look_up(finding.sha256)
        label: str = msg("reviewers differ")
        if finding.label is not None:
            label = numbered_label(finding.label)
        return self._make(f"{finding.number:04d}", label, content, status)

    def proposals(self) -> Iterator[Card]:
        """Yield the cards of the proposals on which nobody has decided."""
        for number, sha256 in enumerate(self._found.proposed, 1):
            content, status = self._look_up(sha256)
            text = msg("in a list of known files")
            if status.proposal:
                text = msg("proposed: ") + numbered_label(status.proposal)
            yield self._make(f"P{number:03d}", text, content, status)

    def _look_up(self, sha256: str) -> tuple[StoredContent, ReviewStatus]:
        run = self._found.run
        (status,) = self._case.statuses(run.id if run else None, [sha256])
        return stored_content(self._case, sha256), status

    def _make(self, number: str, label: str, content: StoredContent, status: ReviewStatus) -> Card:
        occurrences = self._case.occurrences(content.sha256)
        small = picture(self._case, content, clear=self._clear)
        if small is not None:
            self.pictures[content.sha256] = small
        marks: list[str] = []
        if len(occurrences) > 1:
            marks.append(msg("at {n} paths", n=len(occurrences)))
        if occurrences and all(item.deleted for item in occurrences):
            marks.append(msg("deleted"))
        elif any(item.deleted for item in occurrences):
            marks.append(msg("deleted at some paths"))
        marks += [msg("in list: ") + shortened(name, 40) for name in status.alerts]
        scores = status.scores
        unscored = (
            msg("no model was asked") if self._found.run is None else msg("model gave no result")
        )
        return Card(
            number=number,
            label=label,
            picture=content.sha256 if small is not None else None,
            absent=msg("no thumbnail, or not as recorded"),
            path=shortened(occurrences[0].described, _PATH) if occurrences else "–",
            hash=content.sha256[:16],
            score=None if scores is None else scores.best,
            scored=unscored
            if scores is None
            else msg("model ")
            + numbered_label(scores.label, is_tied=scores.is_tied)
            + f" · {scores.best:.3f}",
            decided=tuple(
                join(
                    " · ",
                    (
                        numbered_label(d.verdict or 0),
                        shortened(d.reviewer, 40),
                        moment(d.at),
                        words.seen(d.seen),
                    ),
                )
                for d in status.verdicts
            )
            or (msg("not reviewed"),),
            marks=tuple(marks),
            reviewed=bool(status.verdicts),
        )


def stored_content(case: CaseStore, sha256: str) -> StoredContent:
    """Return an image of the case. Its hash comes from the case, so a missing one is a bug."""
    content = case.content(sha256)
    if content is None:
        raise KeyError(sha256)
    return content


def _part(first: int, last: int, count: int, total: int) -> str:
    return msg(
        "{count:,} of {total:,} images are shown here (nos. {first:04d}–{last:04d}); all are in "
        "the PDF, and all their files in selected.csv and report.xlsx.",
        count=count,
        total=total,
        first=first,
        last=last,
    )
