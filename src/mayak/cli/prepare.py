"""``mayak prepare``: makes training, validation and test sets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import JsonOption, PasswordFileOption, read_passwords
from mayak.errors import ConfigError
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.names import printable
from mayak.workers import cores

if TYPE_CHECKING:
    from mayak.dataset.collect import Rejected
    from mayak.dataset.options import PrepareResult

_SHOWN = 5
_DETAILED = ("damaged", "unreadable", "bomb", "disagreement")
"""Reasons that are shown with the recorded error of each file."""


_SPLIT_NAMES = {"test": msg("test"), "val": msg("validation")}

RawArgument = Annotated[
    Path | None,
    Parameter(
        help=msg(
            "Folder with 0_irrelevant, 1_chat_history, 2_transaction_place, 3_drug_raw (default: "
            "raw_data)."
        )
    ),
]
FromCaseOption = Annotated[
    list[Path] | None,
    Parameter(
        negative="",
        json_list=False,  # a case's name may begin with a bracket
        help=msg(
            "Take what people decided in this case instead of RAW, read again from its sources; "
            "repeatable."
        ),
    ),
]
DataOption = Annotated[Path, Parameter(help=msg("Folder to write the manifests to."))]
SeedOption = Annotated[int, Parameter(help=msg("Seed of split and augmentation."))]
TestFractionOption = Annotated[
    float,
    Parameter(help=msg("Share of all images to test on.")),
]
ValFractionOption = Annotated[
    float,
    Parameter(help=msg("Share of the rest to validate on.")),
]
GroupOption = Annotated[
    Literal["scene", "pdq", "none"],
    Parameter(
        help=msg(
            "scene: pictures of one scene or scrolled screen stay in one split; pdq: only "
            "near-duplicates; none: the paper's plain split."
        )
    ),
]
ProvenanceOption = Annotated[
    str | None,
    Parameter(
        help=msg(
            "Images of one origin stay in one split: folder (the folder below the class folder), "
            "source (of a case), or a CSV table with the columns path and group."
        )
    ),
]
AugmentOption = Annotated[
    int,
    Parameter(help=msg("New images from each training image of class 2.")),
]
AugmentScaleOption = Annotated[
    Literal["full", "model"],
    Parameter(
        help=msg(
            "full: new images as large as their originals, as in the paper; model: of twice the "
            "resolution that the model sees, several times as fast."
        )
    ),
]
WorkersOption = Annotated[
    int | None,
    Parameter(help=msg("Processes (default: all cores).")),
]
OverwriteOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=msg("Replace a data folder made from other input."),
    ),
]
FoldsOption = Annotated[
    int | None,
    Parameter(
        help=msg(
            "Cross-validation: make so many data folders (data_fold1 …), each with other test "
            "images; --test-fraction does not count then."
        )
    ),
]
TestOnlyOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=msg("Put every image into the test set, to measure on images from elsewhere."),
    ),
]


def prepare(
    raw: RawArgument = None,
    *,
    from_case: FromCaseOption = None,
    password_file: PasswordFileOption = None,
    data: DataOption = Path("data"),
    seed: SeedOption = 42,
    test_fraction: TestFractionOption = 0.15,
    val_fraction: ValFractionOption = 0.15,
    group: GroupOption = "scene",
    provenance: ProvenanceOption = None,
    augment: AugmentOption = 4,
    augment_scale: AugmentScaleOption = "full",
    workers: WorkersOption = None,
    overwrite: OverwriteOption = False,
    test_only: TestOnlyOption = False,
    folds: FoldsOption = None,
    as_json: JsonOption = False,
) -> int:
    """Split the images of RAW, or those decided in cases, into sets, and augment class 2.

    Exit code 1 if an image could not be read.
    """
    from mayak.dataset import PrepareOptions, prepare_folds
    from mayak.dataset import prepare as run
    from mayak.dataset.collect import HARMLESS

    if raw is not None and from_case:
        raise ConfigError(
            msg("both RAW and --from-case are given"),
            remedy=msg("give one of them"),
        )
    console = Console()
    options = PrepareOptions(
        raw=raw or Path("raw_data"),
        cases=tuple(from_case or ()),
        passwords=read_passwords(password_file),
        data=data,
        seed=seed,
        test_fraction=test_fraction,
        val_fraction=val_fraction,
        group=group,
        provenance=provenance,
        augment=augment,
        augment_scale=augment_scale,
        workers=cores() if workers is None else workers,
        overwrite=overwrite,
        test_only=test_only,
    )
    if folds is None:
        results = [run(options, progress=console)]
    else:
        results = prepare_folds(options, folds, progress=console)
    if not as_json:
        _show(console, results)
    elif folds is None:
        console.json(_as_json(results[0]))
    else:
        console.json({"folds": [_as_json(result) for result in results]})
    return int(any(reason not in HARMLESS for reason in results[0].reasons))


def _show(console: Console, results: list[PrepareResult]) -> None:
    """Show the splits of each data folder, and once what they have in common."""
    for result in results:
        _show_splits(console, result)
    _show_input(console, results[0])
    for result in results:
        console.result(
            msg("written to {data}", data=result.data)
            + msg(" · digest {digest}", digest=result.digest[:16])
        )


def _show_splits(console: Console, result: PrepareResult) -> None:
    parts = ("train", "augmented", "val", "test")
    counts = result.counts
    rows = [
        [f"{label.index} " + label.name, *(str(counts[label.index][part]) for part in parts)]
        for label in LABELS
    ]
    totals = [sum(counts[label.index][part] for label in LABELS) for part in parts]
    rows.append([msg("all"), *map(str, totals)])
    columns = [
        msg("class"),
        msg("train"),
        msg("+ augmented"),
        msg("validation"),
        msg("test"),
    ]
    title = msg("Images per class and split")
    if result.fold:
        number, folds = result.fold
        title += msg(", fold {number} of {folds}", number=number, folds=folds)
    console.table(title, columns, rows)
    console.result("")
    _show_deviations(console, result)


def _show_input(console: Console, result: PrepareResult) -> None:
    rejected = len(result.rejected)
    console.result(
        msg(
            "files found {found} = used {used} + rejected {rejected}",
            found=result.found,
            used=result.used,
            rejected=rejected,
        )
    )
    if result.with_origin is not None:
        console.result(
            msg("{n} of {used} images have a known origin", n=result.with_origin, used=result.used)
        )
    sizes = result.group_sizes
    if len(sizes) < result.used:
        console.result(
            msg(
                "groups: {n_sizes} for {used} images, the largest of {sizes} ({largest}); none is "
                "parted by the split",
                n_sizes=len(sizes),
                used=result.used,
                sizes=max(sizes.values()),
                largest=printable(sizes.most_common(1)[0][0]),
            )
        )
    counts = result.counts
    if absent := [label.folder for label in LABELS if not any(counts[label.index].values())]:
        console.result(msg("no images of {absent}", absent=", ".join(absent)))
    _show_rejected(console, result)
    _show_cross_label(console, result)
    if result.noted:
        console.result(
            msg(
                "images adapted or with a note: {n_noted} (`warnings` in dataset.json)",
                n_noted=len(result.noted),
            )
        )


def _show_deviations(console: Console, result: PrepareResult) -> None:
    for deviation in result.deviations:
        console.result(
            msg(
                "off the fraction, because groups stay whole and each label must be in each split: "
                "{split} has {share:.1%} of {which} instead of {target:.1%}",
                split=_SPLIT_NAMES[deviation.split],
                share=deviation.share,
                which=msg("all images")
                if deviation.label is None
                else msg("label ") + f"{deviation.label} " + LABELS[deviation.label].name,
                target=deviation.target,
            )
        )


def _show_rejected(console: Console, result: PrepareResult) -> None:
    from mayak.dataset.collect import REASONS

    if not result.rejected:
        return
    console.result(msg("rejected:"))
    for reason, count in result.reasons.items():
        console.result("  " + REASONS[reason] + f": {count}")
        its = [item for item in result.rejected if item.reason == reason]
        for item in its[:_SHOWN]:
            console.result("    " + printable(item.name) + _detail(item))
        if count > _SHOWN:
            console.result(
                "    " + msg("and {count} more: `rejected` in dataset.json", count=count - _SHOWN)
            )


def _show_cross_label(console: Console, result: PrepareResult) -> None:
    if not result.cross_label:
        return
    console.result(
        msg(
            "warning: groups of near-duplicates under two labels: {n_cross_label}; check that the "
            "labels are right:",
            n_cross_label=len(result.cross_label),
        )
    )
    for group in result.cross_label[:_SHOWN]:
        other = next(sample for sample in group if sample.label != group[0].label)
        names = f"{group[0].image_path} ~ {other.image_path}"
        more = len(group) - 2
        tail = msg(" (and {more} more)", more=more) if more else ""
        console.result("    " + printable(names) + tail)
    if len(result.cross_label) > _SHOWN:
        left = len(result.cross_label) - _SHOWN
        console.result(
            "    "
            + msg("and {left} more: `cross_label_near_duplicates` in dataset.json", left=left)
        )


def _detail(item: Rejected) -> str:
    """Return the recorded error, for some reasons."""
    return " — " + item.error if item.reason in _DETAILED else ""


def _as_json(result: PrepareResult) -> dict[str, object]:
    return {
        "data": str(result.data),
        "found": result.found,
        "used": result.used,
        "with_origin": result.with_origin,
        "counts": {LABELS[label].folder: parts for label, parts in result.counts.items()},
        "groups": {
            "number": len(result.group_sizes),
            "largest": max(result.group_sizes.values()),
        },
        "splits": dict(result.digests),
        "deviations": [asdict(deviation) for deviation in result.deviations],
        "digest": result.digest,
        "input_digest": result.input_digest,
        "noted": {path: list(notes) for path, notes in result.noted.items()},
        "cross_label_near_duplicates": [
            [{"image_path": s.image_path, "label": s.label} for s in group]
            for group in result.cross_label
        ],
        "rejected": [
            {"path": printable(item.name), "reason": item.reason, "error": item.error}
            for item in result.rejected
        ],
    }
