"""Whether runs may be compared, and what differs between them besides training."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Literal

from mayak.errors import ManifestError
from mayak.evaluation import page
from mayak.evaluation.record import SavedRun, is_finetuned, is_generated
from mayak.evaluation.rows import Row
from mayak.evaluation.two_by_two import TwoByTwo, points, way
from mayak.i18n import Message, join, msg

Factor = Literal["training", "way", "base", "triage"]
BASE_PARTS = ("model", "precision", "prompt", "preprocessing")
"""Parts of an engine that are the base model's, as opposed to the adapter's."""


def check_alike(runs: Sequence[SavedRun]) -> None:
    """Refuse runs whose difference would show something else than what is asked.

    All must be on the same data. The base model may differ only between two runs of models that
    are both untouched or both fine-tuned: then it is what is compared. More than two runs must be
    different cells of one table.

    Raises:
        ManifestError: names what differs.
    """
    first = runs[0]
    for run in runs[1:]:
        if run.figures["dataset"] != first.figures["dataset"]:
            raise ManifestError(
                msg(
                    "the runs are on different data: {first} on {first_data}, {second} on "
                    "{second_data}",
                    first=first.folder,
                    first_data=first.figures["dataset"],
                    second=run.folder,
                    second_data=run.figures["dataset"],
                ),
                remedy=msg("run `mayak zeroshot` and `mayak evaluate` with the same --manifest"),
            )
        trained = is_finetuned(run.kind) != is_finetuned(first.kind)
        if (trained or len(runs) > 2) and (parts := _unlike(first, run, BASE_PARTS)):
            raise _unlike_error(first, run, parts[0])
    if len(runs) > 2:
        _check_table(runs)
    elif _is_same(*runs):
        raise ManifestError(
            msg(
                "{first} and {second} are the same model on the same images",
                first=first.folder,
                second=runs[1].folder,
            ),
            remedy=msg("name two runs that differ in model, adapter or way of asking"),
        )


def differing(first: SavedRun, second: SavedRun) -> list[Factor]:
    """Return what differs between two runs on the same data."""
    trained = is_finetuned(first.kind) != is_finetuned(second.kind)
    # Triage decodes at another scale, which is part of its preprocessing.
    triage = _is_triage(first) != _is_triage(second)
    base = tuple(part for part in BASE_PARTS if not (triage and part == "preprocessing"))
    found: dict[Factor, bool] = {
        "training": trained or bool(_unlike(first, second, ("adapter",))),
        "way": is_generated(first.kind) != is_generated(second.kind),
        "base": bool(_unlike(first, second, base)),
        "triage": triage,
    }
    return [factor for factor, differs in found.items() if differs]


def cautions(
    first: SavedRun, second: SavedRun, table: TwoByTwo, n_fixed: int, fixed_unread: Sequence[Row]
) -> list[Message]:
    """Return what a reader must know before the difference of two runs, in sentences.

    ``fixed_unread`` are the first run's unread answers to images that the second run has right,
    ``n_fixed`` counts all images that it puts right.
    """
    found = _factor_cautions(first, second, table)
    if fixed_unread:
        text = msg(
            "Of {n_fixed} images put right, {n_unread} had an answer that the parser could not "
            "read.",
            n_fixed=n_fixed,
            n_unread=len(fixed_unread),
        )
        if not all(row.id in first.labels for row in fixed_unread):
            text += " " + msg(
                "Whether the model was wrong there is not known: `mayak answers {folder}` shows "
                "them to a person.",
                folder=shlex.quote(str(first.folder)),
            )
        found.append(text)
    return found


def _factor_cautions(first: SavedRun, second: SavedRun, table: TwoByTwo) -> list[Message]:
    differs = differing(first, second)
    found = []
    if "way" in differs and "training" in differs:
        found.append(
            msg(
                "Unequal ways: the runs differ in training and in how the model was asked ({first} "
                "against {second}). Their difference is not the effect of training.",
                first=way(first.kind),
                second=way(second.kind),
            )
            + " "
            + _like_with_like(table)
        )
    elif "way" in differs:
        found.append(
            msg(
                "Unequal ways: the runs differ in how the model was asked ({first} against "
                "{second}), not in training.",
                first=way(first.kind),
                second=way(second.kind),
            )
        )
    if "base" in differs:
        found.append(
            msg(
                "Different base models: {first} and {second}.",
                first=_base_name(first),
                second=_base_name(second),
            )
        )
    if "triage" in differs:
        found.append(
            msg(
                "Only {folder} measured what triage runs: decoding, cascade and temperatures "
                "differ.",
                folder=(first if _is_triage(first) else second).folder,
            )
        )
    return found


def _is_triage(run: SavedRun) -> bool:
    return run.figures.get("as_triage") is not None


def _is_same(first: SavedRun, second: SavedRun) -> bool:
    """Whether two runs on the same data can only have the same result: one is the other, a copy or
    a repetition."""
    return (first.kind, first.figures["engine_details"], _is_triage(first)) == (
        second.kind,
        second.figures["engine_details"],
        _is_triage(second),
    )


def _like_with_like(table: TwoByTwo) -> Message:
    if not table.like_with_like:
        commands = join(msg(" or "), [f"`{command}`" for command in table.missing])
        return msg(
            "For a comparison of like with like, add a run of {commands}.", commands=commands
        )
    parts = [
        way(pair.first.kind) + " " + points(pair.changes["wrong"].difference)
        for pair in table.like_with_like
    ]
    return msg("Like with like: {changes}.", changes=join(", ", parts))


def _check_table(runs: Sequence[SavedRun]) -> None:
    kinds = [run.kind for run in runs]
    for number, run in enumerate(runs):
        same = runs[kinds.index(run.kind)]
        if same is not run:
            raise ManifestError(
                msg(
                    "{first} and {second} are both of one kind: {kind}",
                    first=same.folder,
                    second=run.folder,
                    kind=page.title(run.kind),
                ),
                remedy=msg("name one folder for each cell of the table, or only two folders"),
            )
        for other in runs[:number]:
            if is_finetuned(run.kind) == is_finetuned(other.kind) and _unlike(
                other, run, ("adapter",)
            ):
                raise _unlike_error(other, run, "adapter")


def _unlike_error(first: SavedRun, second: SavedRun, part: str) -> ManifestError:
    if part == "preprocessing" and _is_triage(first) != _is_triage(second):
        triage, other = (first, second) if _is_triage(first) else (second, first)
        return ManifestError(
            msg(
                "{triage} measured what triage runs (--as-triage), which decodes images otherwise "
                "than {other}: their difference does not show what training changes",
                triage=triage.folder,
                other=other.folder,
            ),
            remedy=msg(
                "name the run of `mayak evaluate` without --as-triage; compare {triage} with that "
                "one alone",
                triage=triage.folder,
            ),
        )
    name = {
        "model": msg("different base models"),
        "precision": msg("different precisions of the base model"),
        "prompt": msg("different prompts"),
        "preprocessing": msg("different preprocessing"),
        "adapter": msg("different adapters"),
    }[part]
    return ManifestError(
        msg(
            "the runs have {name}, so their difference does not show what training changes: "
            "{first} has {first_value}, {second} has {second_value}",
            name=name,
            first=first.folder,
            first_value=_part(first, part),
            second=second.folder,
            second_value=_part(second, part),
        ),
        remedy=msg(
            "run them again with one --model (for a hub model one --revision), one --precision and "
            "one version of mayak"
        )
        if part != "adapter"
        else msg("run both again with the same --adapter"),
    )


def _unlike(first: SavedRun, second: SavedRun, parts: Sequence[str]) -> list[str]:
    return [part for part in parts if _part(first, part) != _part(second, part)]


def _part(run: SavedRun, part: str) -> str:
    # An adapter that is merged changes the weights' width no further.
    return str(run.figures["engine_details"].get(part)).removesuffix(", adapter merged")


def _base_name(run: SavedRun) -> str:
    return f"{_part(run, 'model')} ({_part(run, 'precision')})"
