"""``mayak triage``: reads sources into a case and classifies their images."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from datetime import datetime
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    AdapterOption,
    BatchSizeOption,
    CaseOption,
    DeviceOption,
    JsonOption,
    ModelOption,
    OperatorOption,
    PasswordFileOption,
    PrecisionOption,
    at_least,
    base_of,
    read_passwords,
    user,
)
from mayak.cli.triage_summary import show_summary, summary_values
from mayak.errors import ConfigError, IntegrityError
from mayak.i18n import msg, plural, render
from mayak.names import printable
from mayak.workers import cores

if TYPE_CHECKING:
    from mayak.dataset.training_images import TrainingImages
    from mayak.model import Calibration, CascadeScorer, VisionLanguageModel
    from mayak.model.risk_control import Drift
    from mayak.triage import Options, Summary


SourcesArgument = Annotated[
    Path,
    Parameter(
        json_list=False,  # a source's name may begin with a bracket
        help=msg("Folders, archives, disk images, single files."),
    ),
]
IncludeOption = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        help=msg("Take only paths that match this pattern, for example '*/DCIM/*'; repeatable."),
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        help=msg("Leave out paths that match this pattern; repeatable."),
    ),
]
SinceOption = Annotated[
    datetime | None,
    Parameter(
        help=msg(
            "Leave out files last changed before this time (local, 2026-01-31 or "
            "2026-01-31T12:00:00)."
        )
    ),
]
SmallestOption = Annotated[
    int,
    Parameter(
        validator=at_least("--smallest", 0),
        help=msg("Leave out images whose longer side has fewer pixels."),
    ),
]
LimitOption = Annotated[
    int | None,
    Parameter(
        validator=at_least("--limit", 1),
        help=msg("Examine so many images at most."),
    ),
]
KnownGoodOption = Annotated[
    list[Path] | None,
    Parameter(
        negative="",
        help=msg("Hash list of files to leave out (text, CSV or NSRL's SQLite); repeatable."),
    ),
]
KnownBadOption = Annotated[
    list[Path] | None,
    Parameter(
        negative="",
        help=msg("Hash list of files that raise an alert; repeatable."),
    ),
]
KnownSafeOption = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        help=msg(
            "Leave out unopened files of this kind instead of counting them as not read, for "
            "example SQLite or database; repeatable. The case records it."
        ),
    ),
]
AcceptDamagedOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=msg("Go on with a source whose hash does not match; the case records it."),
    ),
]
UntestedReadersOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=msg(
            "Open containers too whose reader was never compared with another program; the case "
            "records it."
        ),
    ),
]
ShadowCopiesOption = Annotated[
    bool,
    Parameter(negative="", help=msg("List the volume shadow copies of NTFS, too.")),
]
ExhaustiveOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=msg("Ask the whole model for every image, regardless of `mayak calibrate`."),
    ),
]


def triage(
    *sources: SourcesArgument,
    case: CaseOption,
    operator: OperatorOption = None,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    since: SinceOption = None,
    smallest: SmallestOption = 32,
    limit: LimitOption = None,
    known_good: KnownGoodOption = None,
    known_bad: KnownBadOption = None,
    known_safe: KnownSafeOption = None,
    accept_damaged: AcceptDamagedOption = False,
    password_file: PasswordFileOption = None,
    untested_readers: UntestedReadersOption = False,
    shadow_copies: ShadowCopiesOption = False,
    exhaustive: ExhaustiveOption = False,
    batch_size: BatchSizeOption = 8,
    precision: PrecisionOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> int:
    """Read sources into a case and classify their images; the same command continues a run.

    Nothing is written to the sources. Exit code 1 if a file could not be read, 3 if a source is
    damaged or has changed.
    """
    if not sources:
        raise ConfigError(
            msg("no source is named"),
            remedy="mayak triage dump.E01 photos/ --case case-0417",
        )
    from mayak.evidence import Choices
    from mayak.triage import Options, check

    options = Options(
        sources=sources,
        case=case,
        operator=operator or user(),
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        since=None if since is None else since.astimezone(),
        min_pixels=smallest,
        limit=limit,
        known_good=tuple(known_good or ()),
        known_bad=tuple(known_bad or ()),
        known_safe=tuple(known_safe or ()),
        accept_damaged=accept_damaged,
        choices=Choices(read_passwords(password_file), untested_readers, shadow_copies),
        workers=cores(),
    )
    relocate_moved(options)
    check(options)
    base, revision = base_of(adapter, model)
    from mayak.dataset.training_images import TrainingImages
    from mayak.model import Calibration, load_model

    # Read before the model is loaded, which takes long.
    calibration = None if exhaustive or adapter is None else Calibration.read(adapter)
    learnt = None if adapter is None else TrainingImages.read(adapter)
    vlm = load_model(base, precision=precision, adapter=adapter, device=device, revision=revision)
    return _run(options, vlm, calibration, learnt, batch_size, as_json=as_json)


def relocate_moved(options: Options) -> None:
    """Ask whether sources that the case has at another path are there now, and record it.

    Without a terminal nobody is asked: ``check`` refuses such a source.
    """
    from mayak.triage import moved_sources

    console = Console()
    if not (console.is_interactive and options.case.is_dir()):
        return
    for moved in moved_sources(options, console):
        refusal = moved.refusal(options.case)
        console.note(refusal.message)
        if not console.ask(msg("Continue with it there?")):
            raise refusal
        moved.record(options.case, options.operator)


def _run(
    options: Options,
    model: VisionLanguageModel,
    calibration: Calibration | None,
    learnt: TrainingImages | None,
    batch_size: int,
    *,
    as_json: bool,
) -> int:
    """Run triage, show its results and return the exit code."""
    from mayak.case import CaseStore
    from mayak.model import CascadeScorer, LabelScorer
    from mayak.triage import triage as run

    console = Console()
    cascade = None if calibration is None else CascadeScorer(model, calibration, batch_size)
    scorer = cascade or LabelScorer(model, batch_size)
    try:
        summary = run(options, scorer, console)
        if summary.locked and (passwords := _asked(console, options, summary.locked)):
            choices = replace(options.choices, passwords=passwords)
            options = replace(options, choices=choices)
            summary = run(options, scorer, console)
    except KeyboardInterrupt:
        console.note(msg("stopped; the same command continues from here"))
        raise
    drift = None if cascade is None else _record_drift(options, cascade, summary)
    seen = None if learnt is None else _record_seen(options, learnt, summary)
    reduced = [] if cascade is None else cascade.reduced
    with CaseStore.read(options.case) as store:
        if as_json:
            values = summary_values(store, summary, drift, seen)
            console.json(values | {"reduced": reduced})
        else:
            show_summary(console, store, summary, drift, seen)
    if learnt is not None and not learnt.pdq:
        from mayak.dataset.training_images import WITHOUT_PDQ

        console.note(msg("note: ") + WITHOUT_PDQ)
    if reduced:
        _record_reduced(options, reduced, summary, console)
    if summary.damaged:
        return IntegrityError.exit_code
    return int(bool(summary.failures))


def _asked(console: Console, options: Options, locked: list[str]) -> tuple[str, ...]:
    """Ask the person at the terminal, if there is one, for the passwords of containers.

    After the run, so that a question that nobody answers holds nothing up.
    """
    if options.choices.passwords or not sys.stdin.isatty():
        return ()
    for path in locked:
        console.note(msg("needs a password: {path}", path=printable(path)))
    question = render(msg("password (Enter: go on without another): "), console.language)
    passwords: list[str] = []
    while password := getpass(question):
        passwords.append(password)
    return tuple(passwords)


def _record_reduced(
    options: Options, reduced: list[str], summary: Summary, console: Console
) -> None:
    """Record and show that the whole model saw some images at a reduced scale only."""
    from mayak.case import CaseStore

    with CaseStore.open(options.case, operator=options.operator) as case:
        case.record("reduced scale", run=summary.run, contents=reduced)
    console.note(
        plural(
            "WARNING: the whole model read {n:,} image at a reduced scale only, because its "
            "decoder died twice; the log names it",
            "WARNING: the whole model read {n:,} images at a reduced scale only, because their "
            "decoder died twice; the log names them",
            len(reduced),
        )
    )


def _record_drift(options: Options, cascade: CascadeScorer, summary: Summary) -> Drift | None:
    """Compare the relevant images with those of the calibration, and record the result in the case.

    None if the calibration has no risk bound or no image was read.
    """
    bound = cascade.calibration.risk_bound
    if bound is None or not cascade.n_answered:
        return None
    from mayak.case import CaseStore
    from mayak.model.risk_control import drift

    found = drift(bound.kept, list(cascade.relevant_odds.values()))
    with CaseStore.open(options.case, operator=options.operator) as case:
        case.record(
            "cascade",
            run=summary.run,
            alpha=bound.alpha,
            confidence=bound.confidence,
            relevant=bound.relevant,
            lost=bound.lost,
            **asdict(found),
            differs=found.has_drifted,
        )
    return found


def _record_seen(options: Options, learnt: TrainingImages, summary: Summary) -> int:
    """Return how many images of the run the model was trained on, or on near copies of them, and
    record it in the case: their scores do not show how it does on new images."""
    from mayak.case import CaseStore
    from mayak.imaging.hashing import PDQ_MIN_QUALITY

    with CaseStore.open(options.case, operator=options.operator) as case:
        comparable = dict(case.perceptual_hashes(PDQ_MIN_QUALITY))
        scored = [] if summary.run is None else case.predictions(summary.run)
        images = {found.sha256: comparable.get(found.sha256) for found in scored}
        seen = len(learnt.seen(images))
        case.record(
            "training images",
            run=summary.run,
            record=learnt.digest,
            images=len(images),
            seen=seen,
            near_copies=bool(learnt.pdq),
        )
    return seen
