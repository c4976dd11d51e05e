"""The unread answers of a finished run, shown to a person who decides what each of them says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mayak.errors import ConfigError
from mayak.evaluation import page, record
from mayak.evaluation.answer_labels import AnswerLabels, locked
from mayak.evaluation.bounds import Bound, bounds, unread
from mayak.evaluation.pictures import jpeg, thumbnail
from mayak.files import json_bytes, write_durably
from mayak.i18n import msg

_SIDE = 1024
"""Pixels of the longer side of a picture on the page."""


class UnreadAnswers:
    """One run's unread answers in the order of its images, and a person's labels of them.

    The true labels are not part of it: the person decides what an answer says, not whether it is
    right.
    """

    def __init__(self, folder: Path, reviewer: str) -> None:
        """Open the run in a folder.

        Raises:
            ConfigError: there is no finished run, or one by scores.
        """
        self.reviewer = reviewer
        self._read(folder)

    def _read(self, folder: Path) -> None:
        self._run = record.read_run(folder)
        if not record.is_generated(self._run.kind):
            raise ConfigError(
                msg("{folder} is a run by label scores, which has no answers", folder=folder),
                remedy=msg(
                    "name the results of `mayak zeroshot` or `mayak evaluate --by generate`"
                ),
            )
        # An image that the model was trained on counts in no figure.
        self._counted = [row for row in self._run.rows if not row.is_seen]
        self._rows = unread(self._counted)
        self._labels = AnswerLabels.of(folder, self._run.rows)

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self._run.folder.resolve().name

    @property
    def answers(self) -> list[str]:
        """The unread answers."""
        return [row.answer or "" for row in self._rows]

    @property
    def names(self) -> list[str]:
        """The images' file names, without their folders: these are named after the true label."""
        return [PurePosixPath(row.image_path).name for row in self._rows]

    @property
    def labels(self) -> list[int | None]:
        """The person's label of each: 0–3, −1 for "names no label", None if not decided."""
        return [self._labels.labels.get(row.id) for row in self._rows]

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """Accuracy of the run under every reading of the unread answers."""
        return bounds(self._counted, self._labels.labels)

    def picture(self, position: int) -> bytes | None:
        """Return an image as a JPEG; None if it is missing, changed or unreadable."""
        small = thumbnail(self._run.image_root, self._rows[position], _SIDE)
        return None if small is None else jpeg(small, 88)

    @contextmanager
    def session(self) -> Iterator[None]:
        """Let this process alone label the run, and at the end bring its results up to date.

        Raises:
            ConfigError: another process labels the run, or the run was replaced meanwhile.
        """
        with locked(self._run.folder):
            self._read(self._run.folder)  # another session may have ended since
            try:
                yield
            finally:
                self._write_bounds()

    def decide(self, position: int, label: int | None) -> None:
        """Store what an answer says: 0–3, −1 if it names no label, None to withdraw the label.

        Only within a ``session``.

        Raises:
            ConfigError: the label cannot be stored.
        """
        self._labels.decide(self._rows[position].id, label, self.reviewer)

    def _write_bounds(self) -> None:
        """Bring the run's ``metrics.json`` and ``report.html`` up to date with the labels."""
        # The run may have been repeated or replaced: only the figures next to its answers count.
        folder, digest = self._run.folder, self._labels.run
        self._read(folder)
        if self._labels.run != digest:
            raise ConfigError(
                msg(
                    "the run in {folder} was replaced while its answers were being labelled; its "
                    "results are unchanged",
                    folder=folder,
                ),
                remedy=msg(
                    "run `mayak answers` again to label the new answers; the labels of the old "
                    "ones are kept"
                ),
            )
        labels = self._labels.labels
        figures = self._run.figures | {"parser": record.parser_figures(self._counted, labels)}
        report = folder / page.REPORT
        # Each file by itself: the run stays a finished one, whenever the process is killed.
        with record.writing(folder):
            if report.is_file():
                text = page.with_unread_section(report.read_text("utf-8"), self._counted, labels)
                write_durably(report, text.encode())
            write_durably(folder / record.METRICS, json_bytes(figures, allow_nan=False))
