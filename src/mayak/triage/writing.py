"""Writes outcomes and predictions into the case, and counts them for the progress display."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from mayak.case import Alert, CaseStore, Content, Duplicate, StoredContent
from mayak.hashlists import HashList
from mayak.i18n import msg
from mayak.labels import numbered_label
from mayak.triage.outcome import ItemOutcome
from mayak.types import DecodedImage, Failure, Prediction

_BATCH = 256
"""Items that are written together: each write waits for the disk."""
_SECONDS = 5.0
"""What a ``kill -9`` costs at most, besides pictures that are being scored or wait for it."""


class CaseWriter:
    """Writes what becomes of items into the case, some hundreds at a time; for one thread."""

    def __init__(
        self,
        case: CaseStore,
        run: int | None,
        known_bad: Sequence[HashList],
        accepted: Sequence[tuple[str, str]],
    ) -> None:
        """``accepted``: see ``Resolver``, which extends it in another thread."""
        self._case, self._run, self._known_bad = case, run, known_bad
        self._accepted, self._n_logged = accepted, 0
        self._outcomes: list[ItemOutcome] = []
        self._predictions: list[Prediction] = []
        self._in_scoring: set[str] = set()
        """Contents that were given to be scored and have no result in the case yet."""
        self._written = time.monotonic()
        self.tally = Tally()

    def add_outcomes(self, outcomes: list[ItemOutcome]) -> list[DecodedImage]:
        """Take in outcomes; returns the pictures to be scored, each content once in a run."""
        # Pixels do not wait for the next write.
        self._outcomes += [replace(outcome, image=None) for outcome in outcomes]
        scored = [o.prediction for o in outcomes if o.prediction is not None]
        images = self._unscored(outcomes)
        self._in_scoring |= {image.sha256 for image in images}
        alerts = sum(map(self._is_alert, outcomes)) if self._known_bad else 0
        self.tally.count_outcomes(outcomes, in_scoring=len(images), alerts=alerts)
        self._predictions += scored
        self.tally.count_labels(scored)
        if alerts:
            self.flush()  # before the picture is scored
        self.flush_if_due()
        return images

    def add_predictions(self, predictions: list[Prediction]) -> None:
        """Take in the scores of pictures that ``add_outcomes`` returned."""
        self._predictions += predictions
        self.tally.count_labels(predictions)
        self.tally.images += len(predictions)

    def flush_if_due(self) -> None:
        """Write if there is much to write, or if the last write was some seconds ago."""
        waiting = len(self._outcomes) + len(self._predictions)
        if waiting >= _BATCH or (waiting and time.monotonic() - self._written > _SECONDS):
            self.flush()

    def flush(self) -> None:
        """Write everything that waits. Raises: CaseError."""
        outcomes = self._outcomes
        # 1. Damage that was accepted, before what was made of it.
        if accepted := self._accepted[self._n_logged :]:
            files = [f"{path}: {how}" for path, how in accepted]
            self._case.record("accept damage", files=files)
            self._n_logged += len(accepted)
        # 2. Items, in their order: a duplicate follows its content.
        for (source, is_known), some in groupby(outcomes, key=lambda o: (o.source, o.is_known)):
            items = [outcome.item for outcome in some]
            if is_known:
                self._case.revise_items(source, items)
            else:
                self._case.add_items(source, items)
        # 3. Alerts.
        contents = [o.item.outcome for o in outcomes if isinstance(o.item.outcome, Content)]
        if self._known_bad:
            self._case.add_alerts(a for each in contents for a in alerts_of(each, self._known_bad))
        # 4. Results, which belong to contents.
        failed = {
            o.item.outcome.sha256: o.failure
            for o in outcomes
            if o.failure is not None and isinstance(o.item.outcome, Duplicate)
        }
        if self._run is not None and (self._predictions or failed):
            self._case.add_results(self._run, self._predictions, failed)
            self._in_scoring -= {prediction.sha256 for prediction in self._predictions}
        # Only now: if writing fails, a second attempt writes the same.
        self._outcomes, self._predictions = [], []
        self._written = time.monotonic()

    def _unscored(self, outcomes: list[ItemOutcome]) -> list[DecodedImage]:
        """The pictures that this run has not scored and is not scoring, each once."""
        images: dict[str, DecodedImage] = {}
        for outcome in outcomes:
            if (image := outcome.image) is not None and image.sha256 not in self._in_scoring:
                images.setdefault(image.sha256, image)
        if self._run is None or not images:
            return []
        scored = self._case.with_prediction(self._run, images)
        return [image for sha256, image in images.items() if sha256 not in scored]

    def _is_alert(self, outcome: ItemOutcome) -> bool:
        content = outcome.item.outcome
        return isinstance(content, Content) and any(alerts_of(content, self._known_bad))


class Tally:
    """Counts for the progress display, of the running process."""

    def __init__(self) -> None:
        self.images = self._failures = self._alerts = 0
        """``images``: finished ones, scored if pictures are scored."""
        self._labels: Counter[int] = Counter()
        self._began = time.monotonic()

    def count_outcomes(self, outcomes: list[ItemOutcome], *, in_scoring: int, alerts: int) -> None:
        """Count outcomes, of which some pictures are still to be scored."""
        of = [outcome.item.outcome for outcome in outcomes]
        self._failures += sum(isinstance(each, Failure) for each in of)
        self.images += sum(isinstance(each, Content | Duplicate) for each in of) - in_scoring
        self._alerts += alerts

    def count_labels(self, predictions: list[Prediction]) -> None:
        self._labels.update(prediction.scores.label for prediction in predictions)

    def figures(self) -> dict[str, str]:
        """Return what the progress display shows next to the number of files."""
        rate = self.images / max(time.monotonic() - self._began, 1e-9)
        figures: dict[str, str] = {msg("ALERTS"): str(self._alerts)} if self._alerts else {}
        figures[msg("images")] = msg("{n} ({rate:.1f}/s)", n=self.images, rate=rate)
        figures[msg("not read")] = str(self._failures)
        for label, count in sorted(self._labels.items()):
            figures[numbered_label(label)] = str(count)
        return figures


def alerts_of(content: Content | StoredContent, known_bad: Sequence[HashList]) -> Iterator[Alert]:
    """Yield an alert for each list of files to be found that contains a content."""
    for known in known_bad:
        if kind := known.match(content.md5, content.sha1, content.sha256):
            yield Alert(content.sha256, known.name, known.digest, kind)
