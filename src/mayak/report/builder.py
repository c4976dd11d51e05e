"""Builds the document of the HTML page, and one document for each volume of the PDF."""

from __future__ import annotations

from collections import Counter

from mayak.case import CaseStore
from mayak.i18n import Language, join, msg
from mayak.report import words
from mayak.report.chapters.file_lists import not_selected, selected_files
from mayak.report.chapters.findings import (
    CardMaker,
    Finding,
    findings,
    findings_chapters,
    proposals_chapter,
)
from mayak.report.chapters.integrity import integrity
from mayak.report.chapters.limits import limits
from mayak.report.chapters.methods import methods
from mayak.report.chapters.notices import notices
from mayak.report.chapters.summary import summary
from mayak.report.document import Document, Facts, Section
from mayak.report.report_data import ReportData
from mayak.report.text import moment

VOLUME = 1000
"""Images of one PDF file."""


class DocumentBuilder:
    """Puts the chapters of a case's report together.

    One document holds everything for a page; ``volumes`` and ``volume`` divide the images among
    several documents for paper.
    """

    def __init__(
        self, case: CaseStore, data: ReportData, language: Language, *, clear: bool
    ) -> None:
        """``clear`` shows thumbnails as they are instead of blurred."""
        self.case, self.data, self.language, self._clear = case, data, language, clear

    def page(self, max_images: int) -> Document:
        """Return everything in one document, with at most ``max_images`` of each class."""
        counts: Counter[int | None] = Counter()
        shown = []
        for finding in findings(self.data):
            counts[finding.label] += 1
            if counts[finding.label] <= max_images:
                shown.append(finding)
        return self._document(shown, whole=True)

    def volumes(self) -> list[list[Finding]]:
        """Divide all findings into volumes; the first volume has the proposals too."""
        every = findings(self.data)
        first = VOLUME - len(self.data.proposed)
        rest = [every[start : start + VOLUME] for start in range(first, len(every), VOLUME)]
        return [every[:first], *rest]

    def volume(self, volumes: list[list[Finding]], number: int) -> Document:
        """Return one volume, from 0; only the first has the chapters on the whole case."""
        name = None
        if len(volumes) > 1:
            of = len(volumes)
            name = msg("Volume {number} of {of}", number=number + 1, of=of)
        return self._document(volumes[number], whole=number == 0, volume=name)

    def overview(self) -> list[Section]:
        """Return the chapters of text and figures, without images, for a workbook."""
        data = self.data
        return [
            Section(msg("Case"), (self._identity(), *notices(data))),
            summary(data),
            not_selected(self.case, data),
            limits(data),
            integrity(data),
        ]

    def _identity(self) -> Facts:
        number = msg("Case id (UUID)")
        head = msg("Log head (SHA-256)")
        return Facts(
            (
                (msg("Case"), self.data.name),
                (number, self.data.case),
                (msg("State of"), f"{moment(self.data.as_of)} UTC"),
                (msg("Model run shown"), words.run(self.data.run)),
                (head, self.data.head),
            ),
            code=frozenset({number, head}),
        )

    def _document(
        self, shown: list[Finding], *, whole: bool, volume: str | None = None
    ) -> Document:
        data, cards = self.data, CardMaker(self.case, self.data, clear=self._clear)
        sections: list[Section] = []
        if whole:
            sections.append(summary(data))
        sections += findings_chapters(data, shown, cards)
        if whole and data.awaiting:
            sections.append(proposals_chapter(data, cards))
        sections.append(selected_files(self.case, data, shown))
        if whole:
            sections.append(not_selected(self.case, data))
            sections.append(methods(data, clear=self._clear))
            sections += [limits(data), integrity(data)]
        title = msg("Image analysis report")
        return Document(
            title=title,
            subtitle=join(" · ", filter(None, (data.name, volume))),
            running=join(" · ", filter(None, (title, data.name, volume))),
            stamp=msg("Log head ") + data.head[:32] + "…",
            language=self.language,
            facts=self._identity(),
            notices=notices(data),
            sections=tuple(sections),
            pictures=cards.pictures,
        )
