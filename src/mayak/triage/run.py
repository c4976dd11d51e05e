"""``triage``: evidence in, case out."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Self

import psutil

from mayak.case import Alert, CaseStore, Content, Counts, Duplicate, StoredContent
from mayak.errors import ConfigError
from mayak.evidence import open_source
from mayak.hashlists import HashList
from mayak.i18n import msg
from mayak.imaging.thumbnails import OVERVIEW
from mayak.labels import LABELS
from mayak.triage.acquisition import Acquisitions
from mayak.triage.arrival import Arrival
from mayak.triage.bounded_queue import ByteBoundedQueue
from mayak.triage.feed import Feed
from mayak.triage.group import group
from mayak.triage.options import Options
from mayak.types import Classifier, DecodedImage, Engine, Failure, Prediction, Progress, Task

_BATCH = 256
"""Items that are written together: each write waits for the disk."""
_SWITCH = 0.0005
"""Seconds that one thread may keep the interpreter to itself (Python: 0.005). The thread that reads
lets go of it at each system call, and would wait that long for the model's thread each time."""
_WAITING = 1 << 30
"""Bytes of decoded images that may wait for the model, where the machine has sixteen times as much.
Images that need the whole model come in runs, each of which keeps it busy for seconds; with this
much room decoding goes on meanwhile."""
_PATIENCE = 1.0
"""Seconds that the model is waited for before other things are seen to."""
_SECONDS = 5.0
"""What a ``kill -9`` may cost at most, besides images that the model has or that wait for it."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a run."""

    run: int | None
    counts: Counts
    """Of the whole case."""
    exclusions: dict[str, int]
    """Items by the rule that left them out."""
    failures: int
    """Items and contents of which nothing can be said."""
    labels: dict[int, int]
    """Contents by label."""
    tiers: dict[int, int]
    """Contents by the reading that decided (``Prediction.tier``)."""
    alerts: int
    groups: int
    """Of near-duplicates."""
    limited: bool
    """The run ended at its limit: the sources hold more."""
    unclassified: int
    """Contents of the case without a result in this run: their source was not among its sources, or
    the run ended before them."""
    damaged: list[str]
    """Sources, and disk images inside them, that are not what their hash says, and were accepted
    so."""
    empty: list[str]
    """Sources that hold no file: a folder where nothing is mounted, say."""


def triage(
    options: Options,
    classifier: Classifier | None,
    progress: Progress,
) -> Summary:
    """Take sources into a case and classify what they hold; run again, it goes on where it stopped.

    Without a classifier the images are only taken in.

    Raises ConfigError, EvidenceError, CaseError, ModelError; IntegrityError for a source that has
    changed or is damaged. What was done until then is in the case.
    """
    check(options)
    with ExitStack() as stack:
        lists = [stack.enter_context(HashList.open(path)) for path in options.known_good]
        bad = [stack.enter_context(HashList.open(path)) for path in options.known_bad]
        opened = [(path, stack.enter_context(open_source(path))) for path in options.sources]
        case = stack.enter_context(_case(options))
        case.record(
            "triage",
            options=options.record(),
            sources=[str(path) for path in options.sources],
            known_good={known.name: known.digest for known in lists},
            known_bad={known.name: known.digest for known in bad},
        )
        if bad:  # a list that came later than the files
            case.add_alerts(a for content in case.contents() for a in _alerts(content, bad))
        acquisitions = Acquisitions(case, options, progress)
        stack.callback(acquisitions.close)
        sources, empty = [], []
        for path, source in opened:
            number = case.add_source(os.path.abspath(path), source.path.kind)  # noqa: PTH100
            acquisitions.add(number, path, source)
            with progress.task(msg("counting"), None, msg("sources")) as task:
                source.count()
                task.advance()
            if not source.listed:
                empty.append(str(path))
            sources.append((number, path, source))
        engine = None if classifier is None else _engine(classifier)
        run = None if engine is None else case.start_run(engine)
        least = OVERVIEW if classifier is None else classifier.least
        stack.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(_SWITCH)
        feed = Feed(options, sources, acquisitions.unproven, run, least, lists, bad)
        stack.callback(feed.close)
        with progress.task(msg("triage"), None, msg("files")) as task:
            writer = _Writer(case, run, bad, task, feed, acquisitions)
            stack.callback(writer.end, cut=True)  # whatever happens, before the case is closed
            with writer:
                if classifier is None or engine is None:
                    for _ in writer:
                        pass
                else:
                    for prediction in classifier.classify(writer):
                        writer.add(replace(prediction, engine=engine.fingerprint))
        # A run over some sources says nothing of the others' images.
        missing = 0 if run is None else sum(1 for _ in case.unclassified(run))
        if run is not None and not missing and not feed.limited:
            case.finish_run(run)
        groups = group(case)
        acquisitions.finish(compared=not feed.limited)
        # Without this entry, or at a limit, files of the sources may be missing from the case.
        case.record(
            "triage finished", sources=[number for number, *_ in sources], limited=feed.limited
        )
        damaged = acquisitions.damaged + feed.damaged
        return _summary(case, run, groups, feed.limited, missing, damaged, empty)


def check(options: Options) -> None:
    """Open what a run needs and close it again, before anything takes long.

    Raises EvidenceError for a source, ConfigError for a hash list or a case inside a source.
    """
    for path in options.sources:
        open_source(path).close()
    for path in (*options.known_good, *options.known_bad):
        if not path.is_file():
            raise ConfigError(
                msg("{path}: no such hash list", path=path),
                remedy=msg("check the path"),
            )
    case = options.case.resolve()
    for path in options.sources:
        source = path.resolve()
        if source == case or case in source.parents or source in case.parents:
            raise ConfigError(
                msg("{path} and the case {case} lie in one another", path=path, case=options.case),
                remedy=msg("put the case elsewhere"),
            )


def _case(options: Options) -> CaseStore:
    folder = options.case
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        return CaseStore.open(folder, operator=options.operator)
    return CaseStore.create(folder, operator=options.operator)


def _engine(classifier: Classifier) -> Engine:
    """The classifier's, with how its pixels are made."""
    engine, least = classifier.engine, classifier.least
    decoding = f"JPEG scaled down to {least.longer} by {least.shorter} or more"
    made = hashlib.sha256(f"{engine.preprocessing} {decoding}".encode()).hexdigest()
    return replace(engine, preprocessing=made)


class _Writer:
    """Takes arrivals and predictions into the case, some hundreds at a time; iterate for the images
    that the model is to see.

    It waits for the disk, and the model must not: as a context, it has a thread of its own, to
    which the case belongs for that time.
    """

    def __init__(
        self,
        case: CaseStore,
        run: int | None,
        bad: list[HashList],
        task: Task,
        feed: Feed,
        acquisitions: Acquisitions,
    ) -> None:
        self._case, self._run, self._bad, self._task = case, run, bad, task
        self._feed, self._acquisitions = feed, acquisitions
        most = min(_WAITING, psutil.virtual_memory().total // 16)
        self._images = ByteBoundedQueue[DecodedImage](lambda image: image.nbytes, most)
        self._said: SimpleQueue[Prediction | None] = SimpleQueue()
        """What the model says; None when it has said all that it will."""
        self._over = self._cut = False
        self._idle = Event()
        """Whether the thread does not have the case. Not to be had from the thread: where a signal
        interrupts ``join``, Python before 3.13 takes it to have ended."""
        self._idle.set()
        self._fault: BaseException | None = None
        self._thread = Thread(target=self._work, name="mayak-case")
        self._arrived: list[Arrival] = []
        self._predictions: list[Prediction] = []
        self._asked: set[str] = set()
        """Contents that the model has and the case has no result of."""
        self._began = self._written = time.monotonic()
        self._seen: Counter[str] = Counter()
        self._labels: Counter[int] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __iter__(self) -> Iterator[DecodedImage]:
        """What the model is to see, as it comes. Raises what ended the writing."""
        for images in self._images:
            yield from images

    def add(self, prediction: Prediction) -> None:
        """Take in what the model says of an image."""
        self._said.put(prediction)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write all that has come. Raises what ended the reading or the writing."""
        self.end(cut=kind is not None)
        if self._fault is not None and kind is None:
            raise self._fault

    def end(self, *, cut: bool) -> None:
        """Have all written that has come; ``cut``, without waiting for more. Whatever interrupts
        it, it returns only when the thread no longer has the case."""
        interrupted = None
        while True:
            try:
                if cut:
                    self._cut = True
                    self._feed.stop()
                self._images.close()
                self._said.put(None)
                self._idle.wait()
                break
            except KeyboardInterrupt as error:
                interrupted, cut = error, True
        if interrupted is not None:
            raise interrupted

    def _work(self) -> None:
        self._idle.clear()
        try:
            for arrived in self._arriving():
                self._take_in(arrived)
                if self._over:
                    break
            if self._over and not self._cut:
                raise RuntimeError("the classifier ended before its images did")
            self._task.expect(self._feed.expected)
            self._images.end()
            while not self._over:
                self._listen(_PATIENCE)
            self.flush()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            self._fault = self._fault or error
            with suppress(BaseException):  # of the same, most likely
                self._hear()
                self.flush()
            self._images.end(error)
            self._images.close()
        finally:
            self._idle.set()

    def _arriving(self) -> Iterator[list[Arrival]]:
        """What arrives; what ends it early is raised when all is done with what came before."""
        try:
            yield from self._acquisitions.beside(self._feed)
        except Exception as error:  # noqa: BLE001 - raised again in the main thread
            self._fault = error

    def _listen(self, patience: float = 0.0) -> None:
        """See to what the model has said; for so many seconds, wait for it."""
        self._hear(patience)
        self._flush_sometimes()

    def _hear(self, patience: float = 0.0) -> None:
        heard = 0
        with suppress(Empty):
            while (said := self._said.get(patience > 0, patience)) is not None:
                self._predictions.append(said)
                self._labels[said.scores.label] += 1
                heard += 1
                patience = 0.0
            self._over = True
        self._seen["images"] += heard
        self._task.advance(heard, **self._figures())

    def _take_in(self, arrived: list[Arrival]) -> None:
        for arrival in arrived:
            self._arrived.append(replace(arrival, image=None))  # pixels are not waited with
            self._seen["failures"] += isinstance(arrival.item.outcome, Failure)
            self._seen["images"] += isinstance(arrival.item.outcome, Content | Duplicate)
        alerts = sum(map(self._is_bad, arrived)) if self._bad else 0
        self._seen["alerts"] += alerts
        images = self._wanted(arrived)
        self._asked |= {image.sha256 for image in images}
        # The others are done when the model has answered.
        self._seen["images"] -= len(images)
        self._task.expect(self._feed.expected)
        self._task.advance(len(arrived) - len(images), **self._figures())
        if alerts:
            self.flush()  # an alert is there before the model has seen anything
        self._flush_sometimes()
        self._hear()
        while not self._images.put(images, _PATIENCE):
            self._listen()

    def _figures(self) -> dict[str, str]:
        """What the progress display shows besides the files."""
        images = self._seen["images"]
        rate = images / max(time.monotonic() - self._began, 1e-9)
        labels = {LABELS[label].name: str(n) for label, n in sorted(self._labels.items())}
        alerts: dict[str, str] = (
            {msg("ALERTS"): str(found)} if (found := self._seen["alerts"]) else {}
        )
        return (
            alerts
            | {
                msg("images"): f"{images} ({rate:.1f}/s)",
                msg("not read"): str(self._seen["failures"]),
            }
            | labels
        )

    def _is_bad(self, arrival: Arrival) -> bool:
        outcome = arrival.item.outcome
        return isinstance(outcome, Content) and any(_alerts(outcome, self._bad))

    def _wanted(self, arrived: list[Arrival]) -> list[DecodedImage]:
        """Images that the model has not seen in this run, each once."""
        images: dict[str, DecodedImage] = {}
        for arrival in arrived:
            if (image := arrival.image) is not None and image.sha256 not in self._asked:
                images.setdefault(image.sha256, image)
        if self._run is None or not images:
            return []
        seen = self._case.with_result(self._run, images)
        return [image for sha256, image in images.items() if sha256 not in seen]

    def _flush_sometimes(self) -> None:
        waiting = len(self._arrived) + len(self._predictions)
        if waiting >= _BATCH or (waiting and time.monotonic() - self._written > _SECONDS):
            self.flush()

    def flush(self) -> None:
        """Write all that waits."""
        arrived = self._arrived
        # In the order of their coming: a duplicate follows its content.
        for (number, known), some in groupby(arrived, key=lambda a: (a.source, a.known)):
            items = [arrival.item for arrival in some]
            if known:
                self._case.revise_items(number, items)
            else:
                self._case.add_items(number, items)
        contents = [a.item.outcome for a in arrived if isinstance(a.item.outcome, Content)]
        if self._bad:
            self._case.add_alerts(a for content in contents for a in _alerts(content, self._bad))
        failed = {
            a.item.outcome.sha256: a.failure
            for a in arrived
            if a.failure is not None and isinstance(a.item.outcome, Duplicate)
        }
        if self._run is not None and (self._predictions or failed):
            self._case.add_results(self._run, self._predictions, failed)
            self._asked -= {prediction.sha256 for prediction in self._predictions}
        # Only now: what could not be written is not lost by a second attempt.
        self._arrived, self._predictions = [], []
        self._written = time.monotonic()


def _alerts(content: Content | StoredContent, bad: list[HashList]) -> Iterator[Alert]:
    for known in bad:
        if kind := known.match(content.md5, content.sha1, content.sha256):
            yield Alert(content.sha256, known.name, known.digest, kind)


def _summary(
    case: CaseStore,
    run: int | None,
    groups: int,
    limited: bool,
    unclassified: int,
    damaged: list[str],
    empty: list[str],
) -> Summary:
    counts = case.counts()
    found = next((r for r in case.runs() if r.id == run), None)
    return Summary(
        run=run,
        counts=counts,
        exclusions=case.exclusion_counts(),
        failures=counts.failures + (found.failures if found else 0),
        labels={} if run is None else case.label_counts(run),
        tiers={} if run is None else case.tier_counts(run),
        alerts=sum(1 for _ in case.alerts()),
        groups=groups,
        limited=limited,
        unclassified=unclassified,
        damaged=damaged,
        empty=empty,
    )
