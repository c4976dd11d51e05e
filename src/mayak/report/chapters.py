"""The chapters that say what was found: summary, findings, proposals, lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from mayak.case import CaseStore, Standing, StoredContent, StoredItem
from mayak.case.reasons import reason, remedy
from mayak.case.records import SeenHow
from mayak.i18n import Language, join, msg
from mayak.labels import LABELS
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

    def __init__(self, case: CaseStore, found: Survey, language: Language, *, clear: bool) -> None:
        self._case, self._found, self._language, self._clear = case, found, language, clear
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
            name = msg("Volume {number} of {of}", number=number + 1, of=of)
        return self._document(slices[number], whole=number == 0, volume=name)

    def overview(self) -> list[Section]:
        """The chapters that hold figures alone, for a workbook."""
        found = self._found
        about = Section(msg("Case"), (self._identity(), *notices(found)))
        return [about, self._summary(), self._rest(), limits(found), integrity(found)]

    def _identity(self) -> Facts:
        number = msg("Case number (UUID)")
        head = msg("Log head (SHA-256)")
        return Facts(
            (
                (msg("Case"), self._found.name),
                (number, self._found.case),
                (msg("State of"), f"{moment(self._found.as_of)} UTC"),
                (msg("Model run shown"), words.run(self._found.run)),
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
        title = msg("Image analysis report")
        return Document(
            title=title,
            subtitle=join(" · ", filter(None, (found.name, volume))),
            running=join(" · ", filter(None, (title, found.name, volume))),
            stamp=msg("Log head ") + found.head[:32] + "…",
            language=self._language,
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
                        msg("files listed"),
                        msg("in {n_sources} sources", n_sources=len(found.sources)),
                    ),
                    (
                        f"{found.counts.distinct_contents:,}",
                        msg("different images"),
                        files(found.counts.contents),
                    ),
                    (
                        f"{chosen:,}",
                        msg("images selected by reviewers"),
                        files(found.files["selected"]),
                    ),
                    (
                        f"{waiting:,}",
                        msg("images not settled"),
                        msg("reviewers differ, or proposed or without a result and not reviewed"),
                    ),
                    (
                        f"{found.counts.failures:,}",
                        msg("files that could not be read"),
                        msg("listed with reasons"),
                    ),
                )
            ),
            self._labels(),
            Prose(
                msg(
                    "Selected is what reviewers decided to be relevant (1, 2 or 3) and nobody "
                    "contradicts. The model only proposes; what is not reviewed, so that no "
                    "decision stands, is listed apart and is no finding. None of this replaces an "
                    "analysis of a substance or a ruling on what a warrant covers."
                ),
                "soft",
            ),
        ]
        if found.reviewers:
            blocks += [self._reviewers(), *self._seen()]
        else:
            blocks.append(Prose(_undecided(found), "warning"))
        return Section(msg("Summary"), tuple(blocks), alone=True)

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
                msg("Sum"),
                f"{found.images['selected']:,}",
                f"{found.files['selected']:,}",
                f"{sum(found.agreed.values()):,}",
                f"{sum(found.proposals.values()):,}",
            )
        )
        return Table(
            (
                msg("Label"),
                msg("Selected images"),
                msg("their files"),
                msg("of these, the model said the same"),
                msg("Proposals without a decision"),
            ),
            tuple(rows),
            (2.2, 1.2, 1.1, 1.7, 1.4),
            numbers=frozenset({1, 2, 3, 4}),
        )

    def _reviewers(self) -> Table:
        return Table(
            (
                msg("Reviewer"),
                msg("Images"),
                msg("First decision (UTC)"),
                msg("Last decision (UTC)"),
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
        text = msg(
            "How the images were shown when they were decided. A decision does not mean that "
            "somebody looked at the image by itself: “behind a copy” was decided together with "
            "another image of the same picture, “not on the screen” without having been drawn. An "
            "“opened” image was shown by itself: the original, or its thumbnail of at most 320 "
            "pixels until the original had been read, or if it could not be."
        )
        return [
            Prose(text, "soft"),
            Table(
                (
                    msg("How the image was shown"),
                    msg("Decisions"),
                    msg("of these, blurred"),
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
                    "Reviewers gave these images different labels. They are not among the "
                    "selected until that is settled."
                )
            else:
                total = len(found.selected[label])
                title = msg("Findings: {label}", label=words.label(label))
                count = files(found.selected_files[label])
                lead = msg(
                    "{images} in {count}, decided by reviewers; each card states how the image "
                    "was shown to them.",
                    images=images(total),
                    count=count,
                )
            blocks: list[Block] = [Prose(lead, "soft")]
            if len(group) < total:
                blocks.append(Prose(_part(group[0].number, group[-1].number, len(group), total)))
            blocks.append(Gallery(tuple(self._card(f) for f in group)))
            sections.append(Section(title, tuple(blocks)))
        return sections

    def _card(self, finding: Finding) -> Card:
        content, standing = self._know(finding.sha256)
        label: str = msg("reviewers differ")
        if finding.label is not None:
            label = words.label(finding.label)
        return self._draw(f"{finding.number:04d}", label, content, standing)

    def _proposals(self) -> Section:
        found = self._found
        total = found.awaiting
        blocks: list[Block] = [
            Prose(
                msg(
                    "UNREVIEWED PROPOSALS. The model or a list of known files names these images; "
                    "no reviewer's decision on them stands. They are not findings."
                ),
                "warning",
            )
        ]
        if len(found.proposed) < total:
            blocks.append(
                Prose(
                    msg(
                        "The first {n_proposed:,} of {total:,} are shown, in the order in which "
                        "they should be looked at; all are in unreviewed.csv and report.xlsx.",
                        n_proposed=len(found.proposed),
                        total=total,
                    )
                )
            )
        cards = []
        for number, sha256 in enumerate(found.proposed, 1):
            content, standing = self._know(sha256)
            text = msg("in a list of known files")
            if standing.proposal:
                text = msg("proposed: ") + words.label(standing.proposal)
            cards.append(self._draw(f"P{number:03d}", text, content, standing))
        blocks.append(Gallery(tuple(cards)))
        return Section(msg("Proposals without a decision"), tuple(blocks))

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
        marks: list[str] = []
        if len(places) > 1:
            marks.append(msg("at {n_places} places", n_places=len(places)))
        if places and all(place.deleted for place in places):
            marks.append(msg("deleted"))
        elif any(place.deleted for place in places):
            marks.append(msg("deleted at some places"))
        marks += [msg("in list: ") + shortened(name, 40) for name in standing.alerts]
        scores = standing.scores
        unscored = (
            msg("no model was asked") if self._found.run is None else msg("model gave no result")
        )
        return Card(
            number=number,
            label=label,
            picture=content.sha256 if small is not None else None,
            absent=msg("no thumbnail, or not as recorded"),
            path=shortened(places[0].display, _PATH) if places else "–",
            hash=content.sha256[:16],
            score=None if scores is None else scores.best,
            scored=unscored
            if scores is None
            else msg("model ") + words.label(scores.label) + f" · {scores.best:.3f}",
            decided=tuple(
                join(
                    " · ",
                    (
                        words.label(d.verdict or 0),
                        shortened(d.reviewer, 40),
                        moment(d.at),
                        words.seen(d.seen),
                    ),
                )
                for d in standing.verdicts
            )
            or (msg("not reviewed"),),
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
                msg(
                    "Every file that holds a selected image: name and path, size, times as the "
                    "source states them, hashes."
                ),
                "soft",
            )
        ]
        if len(rows) < total:
            blocks.append(
                Prose(
                    msg(
                        "{n_rows:,} of {total:,} files stand here; all are in selected.csv and "
                        "report.xlsx.",
                        n_rows=len(rows),
                        total=total,
                    )
                )
            )
        if rows:
            blocks.append(
                Table(
                    (
                        msg("No."),
                        msg("File"),
                        msg("Size, times"),
                        msg("Hashes"),
                    ),
                    tuple(rows),
                    (0.5, 2.4, 1.6, 2.6),
                    code=frozenset({3}),
                    small=True,
                )
            )
        else:
            blocks.append(Prose(msg("No file has been selected.")))
        return Section(msg("List of selected files"), tuple(blocks))

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
                "WITH THE {chosen:,} SELECTED THESE ARE {listed:,}, BUT THE CASE HAS {items:,} "
                "FILES.",
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
            blocks += self._failures()
        return Section(msg("What was not selected"), tuple(blocks))

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
        text = msg("Files that could not be read:")
        if len(rows) < total:
            text = msg(
                "Files that could not be read, {n_rows:,} of {total:,} (all in not-selected.csv "
                "and report.xlsx):",
                n_rows=len(rows),
                total=total,
            )
        return [
            Prose(text),
            Table(
                (
                    msg("File"),
                    msg("Step"),
                    msg("Reason: as recorded"),
                ),
                rows,
                (3.0, 0.7, 3.0),
                small=True,
            ),
            *self._remedies(),
        ]

    def _remedies(self) -> list[Block]:
        points = tuple(
            reason(name) + f" ({count:,}): " + advice
            for name, count in sorted(self._found.failures.items())
            if (advice := remedy(name)) is not None
        )
        if not points:
            return []
        return [Prose(msg("What can be done about them:"), points=points)]


def _undecided(found: Survey) -> str:
    """What a report without a standing decision holds."""
    why = (
        msg("No decision stands (withdrawn: {withdrawn:,}).", withdrawn=found.withdrawn)
        if found.withdrawn
        else msg("Nobody has decided anything yet.")
    )
    holds = msg(" The report holds {awaiting:,} proposals and no finding.", awaiting=found.awaiting)
    return why + holds


def _failed(case: CaseStore) -> Iterator[StoredItem]:
    for source in case.sources():
        for item in case.known_items(source.id):
            if item.failure is not None:
                yield item


def _listed(finding: Finding, place: StoredItem, content: StoredContent) -> tuple[Cell, ...]:
    times = [
        msg("created ") + moment(place.times.created),
        msg("modified ") + moment(place.times.modified),
        msg("accessed ") + moment(place.times.accessed),
    ]
    if zone := words.zone(place):
        times.append(msg("time zone ") + zone)
    marks = [msg("deleted")] if place.deleted else []
    if place.entry is not None:
        marks.append(msg("entry number {entry}", entry=place.entry))
    return (
        f"{finding.number:04d}",
        (shortened(place.name, _CELL), shortened(place.display, _CELL), *marks),
        (size(content.size), *times),
        (f"MD5 {content.md5}", f"SHA-1 {content.sha1}", f"SHA-256 {content.sha256}"),
    )


def _part(first: int, last: int, count: int, total: int) -> str:
    return msg(
        "{count:,} of {total:,} images are shown here (nos. {first:04d}–{last:04d}); all are in "
        "the PDF, and all their files in selected.csv and report.xlsx.",
        count=count,
        total=total,
        first=first,
        last=last,
    )
