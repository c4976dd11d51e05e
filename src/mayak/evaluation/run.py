"""Evaluation of a model on a manifest: every image is scored or recorded as a failure."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from mayak import metrics
from mayak.dataset.manifest import Manifest
from mayak.dataset.training_images import Leakage
from mayak.errors import DecodeError, ManifestError
from mayak.evaluation import page, plots, record
from mayak.evaluation.answer_labels import AnswerLabels
from mayak.evaluation.answers import parse_answer
from mayak.evaluation.as_triage import AsTriage, DecodeBytes
from mayak.evaluation.pictures import contact_sheet
from mayak.evaluation.record import EvaluationResult, Kind
from mayak.evaluation.rows import PREDICTIONS, Row
from mayak.files import json_bytes, write_durably
from mayak.i18n import Language, msg, msg_in, system_error
from mayak.imaging import decode
from mayak.labels import UNCLASSIFIABLE
from mayak.types import (
    Answerer,
    Classifier,
    DecodedImage,
    Failure,
    Progress,
    Sample,
    Sides,
    SilentProgress,
    Task,
)
from mayak.untrusted import open_regular, parse_json

PARTIAL = "predictions.partial.jsonl"
SHEET = "misclassified.jpg"
_PLOTS = (
    "confusion_matrix.png",
    "confusion_matrix.svg",
    "per_class_recall.png",
    "per_class_recall.svg",
    "gain_curve.png",
    "gain_curve.svg",
)
_OWN = (record.METRICS, PREDICTIONS, record.FAILURES, *_PLOTS, SHEET, page.REPORT)
_READERS = 4
_READ_AHEAD = 16
"""Decoded images that wait; a 12-megapixel photo takes 36 MB."""

_Answer = dict[str, Any]
"""The model's answer to one image: ``predicted``, ``scores``, ``off_label``, ``answer``."""


def evaluate(
    manifest: Manifest,
    model: Answerer | Classifier,
    out: Path,
    progress: Progress | None = None,
    *,
    leakage: Leakage | None = None,
    language: Language = "en",
    as_triage: AsTriage | None = None,
) -> EvaluationResult:
    """Evaluate a fine-tuned model on a manifest, by its free answers or by label scores.

    Writes metrics, tables, pictures and a report into ``out``.
    Pictures and the report are in ``language``; files for programs are in English. ``leakage`` is
    the comparison of the images with the adapter's training record: images seen in training are
    measured apart. Without it the results state that nothing was compared. With ``as_triage``
    images are read as triage reads them, the whole model reads what earlier tiers dismissed too,
    and the result has ``TriageFigures``.

    An image that cannot be read, or that has changed since ``prepare``, is a failure: listed and
    never scored. An interrupted run continues, if engine and data are the same. The same
    predictions give the same bytes.

    Raises:
        ManifestError: no image can be read, or all were seen in training.
    """
    kind: Kind = "finetuned-generate" if hasattr(model, "answer") else "finetuned-score"
    leakage = leakage or Leakage.NOT_COMPARED
    leakage.refuse_all_seen(manifest)
    shown = progress or SilentProgress()
    return _run(kind, manifest, model, out, shown, language, leakage, as_triage)


def zeroshot(
    manifest: Manifest,
    model: Answerer | Classifier,
    out: Path,
    progress: Progress | None = None,
    *,
    language: Language = "en",
) -> EvaluationResult:
    """Evaluate the base model on a manifest, by its free answers or by label scores.

    Writes the same files as ``evaluate`` into ``out``.
    """
    kind: Kind = "zeroshot-generate" if hasattr(model, "answer") else "zeroshot-score"
    return _run(kind, manifest, model, out, progress or SilentProgress(), language)


def _run(
    kind: Kind,
    manifest: Manifest,
    model: Answerer | Classifier,
    out: Path,
    progress: Progress,
    language: Language,
    leakage: Leakage | None = None,
    as_triage: AsTriage | None = None,
) -> EvaluationResult:
    record.make_folder(out)
    key = {"kind": kind, "engine": model.engine.fingerprint, "dataset": manifest.digest}
    # 1. Continue an interrupted run of the same engine on the same data.
    answers = _resume(out / PARTIAL, key)
    is_continued = bool(answers)
    # 2. Ask the model; store each answer at once.
    with progress.task(_TITLES[kind], len(manifest.samples), msg_in("unit", "images")) as task:
        failures = _complete(answers, model, manifest, out, task, as_triage)
    # 3. Measure, and write the results.
    seen = leakage.seen if leakage is not None else frozenset()
    answered = [
        _row(sample, answers[sample.id], seen)
        for sample in manifest.samples
        if sample.id in answers and sample.id not in failures
    ]
    rows = tuple(row for row in answered if not row.is_seen)
    unread = [sample for sample in manifest.samples if sample.id in failures]
    if not rows:
        (out / PARTIAL).unlink()
        raise _none_readable(manifest, failures)
    triage = None
    if as_triage is not None:
        triage = as_triage.figures(rows, unread, is_continued=is_continued)
    result = EvaluationResult(
        kind=kind,
        manifest=manifest,
        engine=model.engine,
        metrics=metrics.measure(
            [row.label for row in rows],
            [row.predicted for row in rows],
            [row.group for row in rows],
            unclassifiable=record.is_generated(kind)
            or any(row.predicted == UNCLASSIFIABLE for row in rows),
        ),
        rows=rows,
        failures=tuple(failures[sample.id] for sample in unread),
        leakage=leakage,
        seen=tuple(row for row in answered if row.is_seen),
        labels=AnswerLabels.of(out, answered).labels,
        triage=triage,
    )
    _write(result, out, language)
    (out / PARTIAL).unlink()
    return result


def _none_readable(manifest: Manifest, failures: dict[str, Failure]) -> ManifestError:
    return ManifestError(
        msg(
            "none of the {n_failures} images of {path} can be read (the first: {message})",
            n_failures=len(failures),
            path=manifest.path,
            message=next(iter(failures.values())).message,
        ),
        remedy=msg("run `mayak prepare` again"),
    )


_TITLES = {
    "zeroshot-generate": msg("zero-shot, answers"),
    "zeroshot-score": msg("zero-shot, scores"),
    "finetuned-generate": msg("fine-tuned, answers"),
    "finetuned-score": msg("fine-tuned, scores"),
}


# --- the model's answers ------------------------------------------------------------------------


def _complete(
    answers: dict[str, _Answer],
    model: Answerer | Classifier,
    manifest: Manifest,
    out: Path,
    task: Task,
    as_triage: AsTriage | None,
) -> dict[str, Failure]:
    """Add the missing answers, and store each at once; return the failures by sample id."""
    failures: dict[str, Failure] = {}
    todo = [sample for sample in manifest.samples if sample.id not in answers]
    decode_bytes = decode_image if as_triage is None else as_triage.decode
    asked = _ask(model, manifest, todo, failures, decode_bytes)
    task.advance(len(answers))
    if as_triage is not None:
        asked = chain(asked, _ask_whole_model(as_triage, manifest, answers, failures, task))
    with (out / PARTIAL).open("a", encoding="utf-8", newline="\n") as partial:
        for sample, answer in asked:
            answers[sample.id] = answer
            with record.writing(out):
                partial.write(_line({"id": sample.id} | answer))
                partial.flush()
            task.advance()
    task.advance(len(failures))
    return failures


def _ask(
    model: Answerer | Classifier,
    manifest: Manifest,
    samples: Iterable[Sample],
    failures: dict[str, Failure],
    decode_bytes: DecodeBytes,
) -> Iterator[tuple[Sample, _Answer]]:
    """Yield the model's answer to each readable sample, in order; others go to ``failures``."""
    pending: deque[Sample] = deque()

    def readable() -> Iterator[DecodedImage]:
        for sample, image in read_ahead(manifest, samples, decode_bytes):
            if isinstance(image, Failure):
                failures[sample.id] = image
            else:
                pending.append(sample)
                yield image

    # The model takes some images ahead; its answers come in the order of the images.
    if hasattr(model, "answer"):
        for answer in model.answer(readable()):
            yield pending.popleft(), {"predicted": parse_answer(answer), "answer": answer}
    else:
        for prediction in model.classify(readable()):
            yield (
                pending.popleft(),
                {
                    "predicted": UNCLASSIFIABLE
                    if prediction.scores.is_tied
                    else prediction.scores.label,
                    "scores": list(prediction.scores.values),
                    "off_label": prediction.scores.off_label,
                    "tier": prediction.tier,
                },
            )


def _ask_whole_model(
    as_triage: AsTriage,
    manifest: Manifest,
    answers: dict[str, _Answer],
    failures: dict[str, Failure],
    task: Task,
) -> Iterator[tuple[Sample, _Answer]]:
    """Yield the answers of earlier tiers with the label that the whole model gives the image."""
    samples = [
        sample
        for sample in manifest.samples
        if sample.id in answers and as_triage.needs_whole_model(answers[sample.id])
    ]
    task.expect(len(manifest.samples) + len(samples))
    whole = as_triage.whole_model
    for sample, answer in _ask(whole, manifest, samples, failures, as_triage.decode_whole):
        yield sample, answers[sample.id] | {"whole_model": answer["predicted"]}


def decode_image(data: bytes, path: str, min_sides: Sides | None = None) -> DecodedImage | Failure:
    """Decode an image completely, at full scale or as ``imaging.decode`` does with ``min_sides``;
    a failure names ``path``."""
    try:
        return decode(data, min_sides=min_sides)
    except DecodeError as error:
        return Failure(path, "decode", type(error).__name__, error.message)


def read_ahead(
    manifest: Manifest, samples: Iterable[Sample], decode_bytes: DecodeBytes = decode_image
) -> Iterator[tuple[Sample, DecodedImage | Failure]]:
    """Yield every sample with its pixels or its failure, in order, decoded ahead by a few
    threads."""
    waiting: deque[tuple[Sample, Future[DecodedImage | Failure]]] = deque()
    with ThreadPoolExecutor(_READERS) as pool:
        try:
            for sample in samples:
                path = manifest.locate(sample)
                waiting.append((sample, pool.submit(_read, path, sample, decode_bytes)))
                if len(waiting) >= _READ_AHEAD:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _read(path: Path, sample: Sample, decode_bytes: DecodeBytes) -> DecodedImage | Failure:
    try:
        with open_regular(path, follow=True) as file:
            data = file.read()
    except FileNotFoundError as error:
        return Failure(
            sample.image_path,
            "read",
            type(error).__name__,
            msg("the file is missing"),
        )
    except OSError as error:
        return Failure(sample.image_path, "read", type(error).__name__, system_error(error))
    if hashlib.sha256(data).hexdigest() != sample.sha256:
        return Failure(
            sample.image_path,
            "read",
            "ManifestError",
            msg("the file has changed since `mayak prepare`"),
        )
    return decode_bytes(data, sample.image_path)


def _row(sample: Sample, answer: _Answer, seen: AbstractSet[str]) -> Row:
    scores = answer.get("scores")
    return Row(
        id=sample.id,
        image_path=sample.image_path,
        sha256=sample.sha256,
        group=sample.group,
        label=sample.label,
        predicted=answer["predicted"],
        scores=tuple(scores) if scores is not None else None,
        off_label=answer.get("off_label"),
        answer=answer.get("answer"),
        is_seen=sample.sha256 in seen,
        tier=answer.get("tier"),
        whole_model=answer.get("whole_model", answer["predicted"]),
    )


# --- interrupted runs ---------------------------------------------------------------------------


def _resume(path: Path, key: dict[str, str]) -> dict[str, _Answer]:
    """Return the answers of an interrupted run of the same engine on the same data, by id.

    The file of any other run is replaced, and an incomplete last line is removed.
    """
    # A kill can split the bytes of a letter.
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    lines = text.split("\n")
    rows: list[dict[str, Any]] = []
    for line in lines[:-1]:  # the text after the last newline is incomplete
        try:
            rows.append(parse_json(line))
        except ValueError:
            break
    kept = rows[1:] if rows and rows[0] == key else []
    with record.writing(path.parent):
        write_durably(path, "".join(map(_line, [key, *kept])).encode())
    return {row["id"]: {k: v for k, v in row.items() if k != "id"} for row in kept}


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


# --- results ------------------------------------------------------------------------------------


def _write(result: EvaluationResult, out: Path, language: Language) -> None:
    figures = record.figures(result, out)
    wrong = [row for row in result.rows if not row.is_right]
    files = {
        record.METRICS: json_bytes(figures, allow_nan=False),
        PREDICTIONS: result.table,
        record.FAILURES: record.failures_csv(result.failures).encode(),
        page.REPORT: page.report(result, figures, language).encode(),
    }
    if result.triage is not None:
        files |= plots.gain_curve(result.triage.gain, language)
    files |= plots.confusion_matrix(result.metrics, language)
    files |= plots.per_class_recall(result.metrics, language)
    if wrong:
        files[SHEET] = contact_sheet(wrong, result.manifest.path.resolve().parent.parent, language)
    record.write_files(out, files, last=record.METRICS, own=_OWN)
