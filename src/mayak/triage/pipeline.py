"""``triage``: takes sources into a case and scores the pictures in them.

The order in which an item passes the stages; 1 to 5 (``reading.ReadingStages``) run in the reading
thread, 6 and 8 in the writing thread, 7 in the thread that called ``triage``:

1. walk: ``Source.items`` lists every file, those inside archives and disk images too.
2. read: ``reading.read`` reads the files that may be images.
3. hash: ``hashing.hashed`` computes their SHA-256 while the next ones are read.
4. resolve: ``resolve.Resolver`` decides, before 2, before 5 and after 5, whether an item is new,
   known, changed, a copy or left out. Only new bytes continue.
5. decode: ``DecodeAndScore.decode`` makes hashes, picture, thumbnail and metadata of them.
6. write: ``writing.CaseWriter`` writes what became of the items. An alert is in the case before
   the picture is scored.
7. score: ``DecodeAndScore.score`` scores the pictures that this run has not scored.
8. write: ``writing.CaseWriter`` writes the predictions.

A ``ByteBoundedQueue`` connects the threads: outcomes from 5 to 6, pictures from 6 to 7, predictions
from 7 to 8. One thread alone writes the case. A run that is interrupted, or killed at any moment,
is continued by the next one, because resolve compares each item with what the case records of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Thread

import psutil

from mayak.case import CaseStore
from mayak.errors import ConfigError
from mayak.evidence import Source, asks_for_password, open_source
from mayak.hashlists import HashList
from mayak.i18n import msg
from mayak.triage.acquisition import Acquisitions
from mayak.triage.bounded_queue import ByteBoundedQueue
from mayak.triage.group import group
from mayak.triage.local import LocalStage
from mayak.triage.options import Options, safe_kinds
from mayak.triage.outcome import ItemOutcome
from mayak.triage.reading import OpenSource, ReadingStages
from mayak.triage.relocation import moved_sources, recorded_sources, root_at
from mayak.triage.resolve import Resolver
from mayak.triage.stage import DecodeAndScore
from mayak.triage.summary import Summary
from mayak.triage.writing import CaseWriter, alerts_of
from mayak.types import (
    Classifier,
    DecodedImage,
    Prediction,
    Progress,
    SilentProgress,
    Task,
)

_MAX_IMAGES = 1 << 30
"""Bytes of pictures that may wait to be scored, if the machine has sixteen times as much. Pictures
that need the whole model come in runs, each of which takes seconds; with this much room decoding
continues meanwhile."""
_SWITCH_INTERVAL_S = 0.0005
"""Seconds that one thread may keep the interpreter (Python's default: 0.005). The reading thread
releases it at each system call, and would wait that long for the scoring thread each time."""
_PREDICTION_WAIT_S = 1.0
"""Seconds that the writer waits for predictions before it does other work."""


def triage(options: Options, classifier: Classifier | None, progress: Progress) -> Summary:
    """Take sources into a case and classify their images; a further call continues the run.

    Without a classifier the images are recorded and not classified. If an error is raised, what
    was done until then is in the case.

    Raises:
        IntegrityError: a source has changed or is damaged.
        EvidenceError: a source cannot be read.
        ConfigError: an option or a hash list is not valid.
        CaseError: the case cannot be written.
        ModelError: the model failed.
    """
    return run_triage(options, LocalStage(classifier, options.workers), progress)


def run_triage(options: Options, stage: DecodeAndScore, progress: Progress) -> Summary:
    """Do what ``triage`` does, with any stage that decodes and scores."""
    check(options, progress)
    with ExitStack() as stack:
        # 1. Open everything that is read, and the case.
        recorded = recorded_sources(options.case)
        good = [stack.enter_context(HashList.open(path)) for path in options.known_good]
        bad = [stack.enter_context(HashList.open(path)) for path in options.known_bad]
        opened = []
        for path in options.sources:
            root = root_at(recorded, path)
            source = open_source(path, choices=options.choices, root=root)
            opened.append((path, stack.enter_context(source)))
        case = stack.enter_context(_case(options))
        case.record(
            "triage",
            options=options.record(),
            sources=[str(path) for path in options.sources],
            known_good={known.name: known.digest for known in good},
            known_bad={known.name: known.digest for known in bad},
        )
        if bad:  # contents that the case recorded before it knew these lists
            case.add_alerts(a for content in case.contents() for a in alerts_of(content, bad))
        # 2. Compare the sources with their recorded hashes, or start to hash them.
        acquisitions = Acquisitions(case, options, progress)
        stack.callback(acquisitions.close)
        sources, empty = _counted(case, opened, acquisitions, progress)
        # 3. Run the stages.
        run = None if stage.engine is None else case.start_run(stage.engine)
        stack.callback(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        resolver = Resolver(options, good, bad)
        with progress.task(msg("triage"), None, msg("files")) as task:
            unproven = acquisitions.unproven
            reading = ReadingStages(options, sources, unproven, stage, run, resolver)
            writer = CaseWriter(case, run, bad, resolver.accepted)
            pipeline = Pipeline(reading, stage, writer, acquisitions, task)
            stack.callback(pipeline.stop)  # whatever happens, before the case is closed
            pipeline.run()
        # 4. State what the run has finished.
        without_result = 0 if run is None else sum(1 for _ in case.without_result(run))
        if run is not None and not without_result and not resolver.is_limited:
            case.finish_run(run)
        groups = group(case)
        acquisitions.finish(compared=not resolver.is_limited)
        _record_end(case, sources, is_limited=resolver.is_limited)
        return Summary.of(
            case,
            run,
            groups=groups,
            is_limited=resolver.is_limited,
            without_result=without_result,
            damaged=acquisitions.damaged + [path for path, _ in resolver.accepted],
            empty=empty,
            locked=[
                gap.path
                for *_, source in sources
                for gap in source.locked
                if asks_for_password(gap)
            ],
        )


def _record_end(case: CaseStore, sources: list[OpenSource], *, is_limited: bool) -> None:
    unlocked = [str(path) for *_, source in sources for path in source.opened_with_password]
    if unlocked:
        case.record("opened with a password", containers=unlocked)
    # Without this entry, or at a limit, files of the sources may be missing from the case.
    numbers = [number for number, *_ in sources]
    # At a limit what was counted is less than what an earlier run has recorded.
    counted = [] if is_limited else sources
    unexamined = {str(n): dict(source.unexamined) for n, _, source in counted}
    case.record(
        "triage finished",
        sources=numbers,
        limited=is_limited,
        unexamined={number: space for number, space in unexamined.items() if space},
    )


def check(options: Options, progress: Progress | None = None) -> None:
    """Open what a run needs and close it again, before anything takes long.

    Raises:
        EvidenceError: a source cannot be opened.
        ConfigError: a hash list or a kind is not valid, the case is inside a source, or has a
            source at another path than that named now.
    """
    safe_kinds(options.known_safe)
    for path in options.sources:
        open_source(path, choices=options.choices).close()
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
                msg("{path} and the case {case} overlap", path=path, case=options.case),
                remedy=msg("put the case elsewhere"),
            )
    for moved in moved_sources(options, progress or SilentProgress()):
        raise moved.refusal(options.case)


def _case(options: Options) -> CaseStore:
    folder = options.case
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        return CaseStore.open(folder, operator=options.operator)
    return CaseStore.create(folder, operator=options.operator)


def _counted(
    case: CaseStore,
    opened: list[tuple[Path, Source]],
    acquisitions: Acquisitions,
    progress: Progress,
) -> tuple[list[OpenSource], list[str]]:
    """Add the sources to the case and count their files; returns them, and those without any."""
    sources, empty = [], []
    for path, source in opened:
        number = case.add_source(os.path.abspath(path), source.path.kind)  # noqa: PTH100
        acquisitions.add(number, path, source)
        with progress.task(msg("counting"), None, msg("sources")) as task:
            source.count()
            task.advance()
        if not source.listed:
            empty.append(str(path))
        case.add_source_identity(number, source.identity())
        sources.append((number, path, source))
    return sources, empty


class Pipeline:
    """The stages of one run, in three threads."""

    def __init__(
        self,
        reading: ReadingStages,
        stage: DecodeAndScore,
        writer: CaseWriter,
        acquisitions: Acquisitions,
        task: Task,
    ) -> None:
        self._reading, self._stage, self._writer = reading, stage, writer
        self._acquisitions, self._task = acquisitions, task
        max_images = min(_MAX_IMAGES, psutil.virtual_memory().total // 16)
        self._images = ByteBoundedQueue[DecodedImage](lambda image: image.nbytes, max_images)
        # The scoring thread must not wait for the writer, which may be waiting for it.
        self._predictions = ByteBoundedQueue[Prediction](lambda _: 0, 1)
        self._reading_thread = _StageThread("mayak-read")
        self._writing_thread = _StageThread("mayak-case")
        self._ended_by: BaseException | None = None
        """What ended the reading or the writing before their end."""

    def run(self) -> None:
        """Run all stages to their end.

        Raises: what ended one of them early, after everything before that is written.
        """
        self._reading_thread.start(self._reading.run)
        self._writing_thread.start(self._write)
        try:
            pictures = (image for images in self._images for image in images)
            for prediction in self._stage.score(pictures):
                self._predictions.put([prediction])
        except BaseException:
            self._finish(is_cancelled=True)
            raise
        self._finish(is_cancelled=False)
        if self._ended_by is not None:
            raise self._ended_by

    def stop(self) -> None:
        """End all stages; returns when both threads have ended. What has come is written."""
        try:
            self._finish(is_cancelled=True)
        finally:
            self._reading_thread.wait()

    def _finish(self, *, is_cancelled: bool) -> None:
        """Wait until everything that has come is written; if ``is_cancelled``, wait for no more.

        After Ctrl-C too it returns only when the writing thread no longer uses the case.
        """
        interrupted = None
        while True:
            try:
                if is_cancelled:
                    self._reading.cancel()
                self._images.close()
                self._predictions.end()
                self._writing_thread.wait()
                break
            except KeyboardInterrupt as error:
                interrupted, is_cancelled = error, True
        if interrupted is not None:
            raise interrupted

    # ------------------------------------------------------------ the writing thread: 6 and 8

    def _write(self) -> None:
        try:
            for outcomes in self._arriving():
                self._take_outcomes(outcomes)
                if self._predictions.is_exhausted:
                    break
            if self._predictions.is_exhausted and not self._reading.is_cancelled:
                raise RuntimeError("the classifier ended before its images did")
            self._task.expect(self._reading.n_expected)
            self._images.end()
            while not self._predictions.is_exhausted:
                self._take_predictions(_PREDICTION_WAIT_S)
            self._writer.flush()
        except BaseException as error:  # noqa: BLE001 - raised again by run
            self._ended_by = self._ended_by or error
            with suppress(BaseException):  # the same again, most likely
                self._take_predictions()
                self._writer.flush()
            self._images.end(error)
            self._images.close()

    def _arriving(self) -> Iterator[list[ItemOutcome]]:
        """Yield outcomes as they come. What ended the reading is kept until they are written."""
        try:
            yield from self._acquisitions.record_during(self._reading.outcomes)
        except Exception as error:  # noqa: BLE001 - raised again by run
            self._ended_by = error

    def _take_outcomes(self, outcomes: list[ItemOutcome]) -> None:
        images = self._writer.add_outcomes(outcomes)
        self._task.expect(self._reading.n_expected)
        # The other items are done when their picture is scored.
        self._task.advance(len(outcomes) - len(images), **self._writer.tally.figures())
        self._take_predictions()
        while not self._images.put(images, _PREDICTION_WAIT_S):
            self._take_predictions()

    def _take_predictions(self, timeout: float = 0.0) -> None:
        """Take in the predictions that have come; wait for the first for ``timeout`` seconds."""
        n_taken = 0
        while predictions := self._predictions.take(timeout):
            self._writer.add_predictions(predictions)
            n_taken += len(predictions)
            timeout = 0.0
        self._task.advance(n_taken, **self._writer.tally.figures())
        self._writer.flush_if_due()


class _StageThread:
    """A thread for stages, which can be waited for while signals arrive."""

    def __init__(self, name: str) -> None:
        self._name = name
        # Not Thread.join: if a signal interrupts it, Python before 3.13 takes the thread for ended.
        self._ended = Event()
        self._ended.set()

    def start(self, function: Callable[[], None]) -> None:
        """Run a function in the thread."""
        thread = Thread(target=self._work, args=(function,), name=self._name, daemon=True)
        self._ended.clear()
        try:
            thread.start()
        except Exception:  # the system starts no more threads; after Ctrl-C it may run
            self._ended.set()
            raise

    def wait(self) -> None:
        """Wait for its end, if it was started."""
        self._ended.wait()

    def _work(self, function: Callable[[], None]) -> None:
        try:
            function()
        finally:
            self._ended.set()
