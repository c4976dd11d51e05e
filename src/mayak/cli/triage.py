"""``mayak triage`` and ``mayak verify``: evidence into a case, and whether the case still holds."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    AdapterOption,
    CaseOption,
    DeviceOption,
    ImagesOption,
    JsonOption,
    ModelOption,
    OperatorOption,
    PrecisionOption,
    base_of,
    user,
)
from mayak.config import BASE_MODEL
from mayak.errors import ConfigError, IntegrityError
from mayak.i18n import join, msg
from mayak.labels import LABELS
from mayak.names import printable
from mayak.workers import cores

if TYPE_CHECKING:
    from mayak.case import CaseStore
    from mayak.model import CascadeScorer
    from mayak.model.risk_control import Drift
    from mayak.triage import Options, Summary

_FIRST = 10
"""Results that are shown at the end."""


def triage(
    # json_list: a source's name may begin with a bracket.
    *sources: Annotated[
        Path,
        Parameter(
            json_list=False,
            help=msg("Folders, archives, disk images, single files."),
        ),
    ],
    case: CaseOption,
    operator: OperatorOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    include: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help=msg(
                "Take only paths that match this pattern, for example '*/DCIM/*'; repeatable."
            ),
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help=msg("Leave out paths that match this pattern; repeatable."),
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        Parameter(
            help=msg(
                "Leave out files last changed before this time (local, 2026-01-31 or "
                "2026-01-31T12:00:00)."
            )
        ),
    ] = None,
    smallest: Annotated[
        int,
        Parameter(help=msg("Leave out images whose longer side has fewer pixels.")),
    ] = 32,
    limit: Annotated[
        int | None,
        Parameter(help=msg("Examine so many images at most.")),
    ] = None,
    known_good: Annotated[
        list[Path] | None,
        Parameter(
            negative="",
            help=msg("Hash list of files to leave out (text, CSV or NSRL's SQLite); repeatable."),
        ),
    ] = None,
    known_bad: Annotated[
        list[Path] | None,
        Parameter(
            negative="",
            help=msg("Hash list of files that raise an alert; repeatable."),
        ),
    ] = None,
    accept_damaged: Annotated[
        bool,
        Parameter(
            negative="",
            help=msg("Go on with a source whose hash does not match; the case records it."),
        ),
    ] = False,
    exhaustive: Annotated[
        bool,
        Parameter(
            negative="",
            help=msg("Ask the whole model for every image, whatever `mayak calibrate` has set."),
        ),
    ] = False,
    batch_size: ImagesOption = 8,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Take evidence into a case and classify its images; the same command again goes on.

    Nothing is written to the sources. Exit code 1 when a file could not be read, 3 when a source is
    damaged or has changed.
    """
    _check(sources, limit, smallest, batch_size)
    from mayak.triage import Options, check
    from mayak.triage import triage as run

    options = Options(
        sources=sources,
        case=case,
        operator=operator or user(),
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        since=None if since is None else since.astimezone(),
        smallest=smallest,
        limit=limit,
        known_good=tuple(known_good or ()),
        known_bad=tuple(known_bad or ()),
        accept_damaged=accept_damaged,
        workers=cores(),
    )
    check(options)
    console = Console()
    name, revision = (model or BASE_MODEL, None) if adapter is None else base_of(adapter, model)
    from mayak.model import Calibration, CascadeScorer, LabelScorer, load_model

    # Before the model, whose loading takes long.
    calibration = None if exhaustive or adapter is None else Calibration.read(adapter)
    vlm = load_model(name, precision=precision, adapter=adapter, device=device, revision=revision)
    cascade = None if calibration is None else CascadeScorer(vlm, calibration, batch_size)
    classifier = cascade or LabelScorer(vlm, batch_size)
    try:
        summary = run(options, classifier, console)
    except KeyboardInterrupt:
        console.note(msg("stopped; the same command goes on from here"))
        raise
    found = None if cascade is None else _compared(options, cascade, summary)
    from mayak.case import CaseStore

    with CaseStore.read(case) as store:
        if as_json:
            console.json(_as_json(store, summary, found))
        else:
            _show(console, store, summary, found)
    if summary.damaged:
        return IntegrityError.exit_code
    return int(bool(summary.failures))


def _check(sources: tuple[Path, ...], limit: int | None, smallest: int, batch_size: int) -> None:
    if not sources:
        raise ConfigError(
            msg("no source is named"),
            remedy="mayak triage dump.E01 photos/ --case case-0417",
        )
    for name, value, least in (
        ("--limit", limit, 1),
        ("--smallest", smallest, 0),
        ("--batch-size", batch_size, 1),
    ):
        if value is not None and value < least:
            raise ConfigError(
                msg("{name} is {value}", name=name, value=value),
                remedy=msg("use {least} or more", least=least),
            )


def _compared(options: Options, cascade: CascadeScorer, summary: Summary) -> Drift | None:
    """Whether the relevant images look as those of the calibration did; the case's log keeps it
    with the promise. None where nothing was promised or no image was read."""
    promise = cascade.calibration.promise
    if promise is None or not cascade.n_answered:
        return None
    from mayak.case import CaseStore
    from mayak.model.risk_control import drift

    found = drift(promise.kept, cascade.relevant_odds)
    with CaseStore.open(options.case, operator=options.operator) as case:
        case.record(
            "cascade",
            run=summary.run,
            alpha=promise.alpha,
            confidence=promise.confidence,
            relevant=promise.relevant,
            lost=promise.lost,
            **asdict(found),
            differs=found.differs,
        )
    return found


def _as_json(case: CaseStore, summary: Summary, drift: Drift | None) -> dict[str, Any]:
    from mayak.report.left_out import left_out

    counts = summary.counts
    left = left_out(lambda: case.left_out("not-an-image"))
    return {
        "case": case.id,
        "run": summary.run,
        "items": counts.items,
        "contents": counts.contents,
        "failures": counts.failures,
        "exclusions": counts.exclusions,
        "balanced": counts.balanced,
        "distinct_contents": counts.distinct_contents,
        "excluded_by": summary.exclusions,
        "not_looked_into": {"kinds": dict(left.kinds), "backups": left.backups},
        "labels": {str(label): count for label, count in summary.labels.items()},
        "decided_by_tier": {str(tier): count for tier, count in summary.tiers.items()},
        "drift": None if drift is None else asdict(drift) | {"differs": drift.differs},
        "unread": summary.failures,
        "unread_by": case.failure_counts(),
        "alerts": summary.alerts,
        "near_duplicate_groups": summary.groups,
        "limited": summary.limited,
        "unclassified": summary.unclassified,
        "damaged_sources": [printable(path) for path in summary.damaged],
        "empty_sources": [printable(path) for path in summary.empty],
        "log_head": case.head(),
    }


def _show(console: Console, case: CaseStore, summary: Summary, drift: Drift | None) -> None:
    from mayak.case.reasons import reason, remedy
    from mayak.report.left_out import left_out, warning

    counts = summary.counts
    sign = "=" if counts.balanced else "≠"
    console.table(
        msg("Images by label"),
        [msg("label"), msg("images")],
        [
            [f"{label.index} " + label.name, str(summary.labels.get(label.index, 0))]
            for label in LABELS
        ],
    )
    if summary.run is not None:
        show_results(console, case, summary.run)
    _show_failures(console, case)
    console.result(
        msg(
            "{items} files {sign} {contents} images + {failures} not read + {exclusions} left out",
            items=counts.items,
            sign=sign,
            contents=counts.contents,
            failures=counts.failures,
            exclusions=counts.exclusions,
        )
    )
    console.result(
        msg(
            "{distinct_contents} different images, {groups} groups of near-duplicates",
            distinct_contents=counts.distinct_contents,
            groups=summary.groups,
        )
    )
    if summary.tiers.keys() - {2}:
        said = [name + f" {summary.tiers.get(tier, 0)}" for tier, name in enumerate(_tiers())]
        console.result(msg("decided by: ") + join(", ", said))
    if drift is not None:
        _show_drift(console, drift)
    for name, count in sorted(case.failure_counts().items()):
        console.result(msg("not read: ") + reason(name) + f" ({name}) {count}")
        if (advice := remedy(name)) is not None:
            console.result("  " + msg("remedy: ") + advice)
    for rule, count in sorted(summary.exclusions.items()):
        console.result(msg("left out: ") + reason(rule) + f" ({rule}) {count}")
    if (text := warning(left_out(lambda: case.left_out("not-an-image")))) is not None:
        console.result(text)
    if summary.alerts:
        console.result(
            msg("ALERT: {alerts} images stand in a list of known files", alerts=summary.alerts)
        )
    if summary.limited:
        console.result(msg("stopped at --limit: the sources hold more"))
    if summary.unclassified:
        console.result(
            msg(
                "{unclassified} images of the case have no result of this model: run it over "
                "their sources too",
                unclassified=summary.unclassified,
            )
        )
    for source in summary.empty:
        console.result(msg("holds no file: {source}", source=source))
    for source in summary.damaged:
        console.result(msg("DAMAGED, accepted: {source}", source=source))


def _show_failures(console: Console, case: CaseStore) -> None:
    from mayak.case.reasons import reason

    rows = [
        [printable(failure.path), reason(failure.error), printable(failure.message)]
        for failure in case.first_failures(_FIRST)
    ]
    if rows:
        console.table(
            msg("Not read, the first {n_rows}", n_rows=len(rows)),
            [msg("place"), msg("reason"), msg("recorded")],
            rows,
            text_columns=3,
        )


def _tiers() -> tuple[str, str, str]:
    return (
        msg("vision tower"),
        msg("base tile"),
        msg("whole model"),
    )


def _show_drift(console: Console, drift: Drift) -> None:
    if drift.differs:
        console.result(
            msg(
                "WARNING: the {found} relevant images look other than those of the calibration "
                "(distance {distance:.2f}): its promise may not hold here. Go through the sources "
                "with --exhaustive, or calibrate on images like these",
                found=drift.found,
                distance=drift.distance,
            )
        )
    elif drift.p is None:
        console.result(
            msg(
                "{found} relevant images: too few to tell whether they are like those of the "
                "calibration",
                found=drift.found,
            )
        )


def show_results(console: Console, case: CaseStore, run: int) -> None:
    """The results that an examiner should see first, and where they lie."""
    rows = []
    for result in case.results(run, limit=_FIRST):
        label = LABELS[result.scores.label]
        marks = [msg("deleted")] * result.deleted + list(result.alerts)
        rows.append(
            [
                str(result.rank),
                f"{label.index} " + label.name,
                f"{result.scores.best:.3f}",
                printable(result.display),
                join(", ", marks),
            ]
        )
    if rows:
        console.table(
            msg("First to look at"),
            [
                msg("rank"),
                msg("label"),
                msg("score"),
                msg("place"),
                msg("note"),
            ],
            rows,
            text_columns=5,
        )
