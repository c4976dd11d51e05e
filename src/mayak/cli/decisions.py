"""``mayak decisions``: what reviewers decided, from one copy of a case to another."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from mayak.cli.console import Console
from mayak.cli.options import CaseOption, JsonOption, OperatorOption, user
from mayak.errors import ConfigError
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.case import CaseStore


def export(
    case: CaseOption,
    *,
    to: Annotated[Path, Parameter(help=msg("File to write; a new one."))],
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> int:
    """Write all decisions of a case, withdrawn ones too, to a file of JSON Lines."""
    from mayak.case import CaseStore
    from mayak.case.history import write_history

    console = Console()
    with CaseStore.review(case, operator=operator or user()) as store:
        history = store.history()
        head = write_history(to, history)
        store.record("export decisions", acts=len(history.acts), head=head)
        reviewers = store.reviewers()
    if as_json:
        console.json(
            {
                "case": history.case,
                "reviewers": reviewers,
                "acts": len(history.acts),
                "samples": len(history.samples),
                "file": str(to),
                "head": head,
            }
        )
    else:
        names = ", ".join(map(printable, reviewers)) or msg("nobody")
        console.result(
            msg(
                "acts written to {to}: {n_acts} ({names})",
                to=to,
                n_acts=len(history.acts),
                names=names,
            )
        )
        console.result(msg("head: ") + head)
    return 0


def merge(
    case: CaseOption,
    # json_list: a file's name may begin with a bracket.
    *files: Annotated[
        Path,
        Parameter(
            json_list=False,
            help=msg("Files that `mayak decisions export` wrote."),
        ),
    ],
    rename: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help=msg(
                "OLD=NEW: take in reviewer OLD as NEW, where one went on in both copies; "
                "repeatable."
            ),
        ),
    ] = None,
    continued: Annotated[
        list[str] | None,
        Parameter(
            name="--continue",
            negative="",
            help=msg(
                "NAME: take in acts that go on in the name of a reviewer who decides in this copy "
                "itself; only if you know that they are that reviewer's own. Repeatable."
            ),
        ),
    ] = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> int:
    """Take in decisions from other copies of the case: all of the files or, if one is wrong, none.

    Nobody's decision is overwritten; the same file again changes nothing.
    """
    from mayak.case import CaseStore
    from mayak.case.history import read_history, renamed

    if not files:
        raise ConfigError(
            msg("no file is named"),
            remedy="mayak decisions merge case-0417 decisions.jsonl",
        )
    names = dict(map(_pair, rename or ()))
    histories = [read_history(path) for path in files]
    held = {act.reviewer for history in histories for act in history.acts}
    held |= {draw.reviewer for history in histories for draw in history.samples}
    for option, given, known in (
        ("--rename", names.keys(), held),
        ("--continue", set(continued or ()), {names.get(name, name) for name in held}),
    ):
        if unknown := sorted(given - known):
            raise ConfigError(
                msg(
                    "{option} {unknown}: no such reviewer in the files",
                    option=option,
                    unknown=unknown[0],
                ),
                remedy=msg("they hold: ") + ", ".join(sorted(held)),
            )
    console = Console()
    with CaseStore.review(case, operator=operator or user()) as store:
        added = store.merge(
            [renamed(history, names) for history in histories], continued=continued or ()
        )
        differing = len(store.disagreements())
    if as_json:
        acts = {reviewer: taken.acts for reviewer, taken in added.items()}
        taken_in = {reviewer: asdict(taken) for reviewer, taken in added.items()}
        console.json({"added": acts, "taken_in": taken_in, "disagreements": differing})
        return 0
    for reviewer, taken in added.items():
        shown = printable(reviewer)
        console.result(msg("new acts of {shown}: {acts}", shown=shown, acts=taken.acts))
        console.result(f"    {_moment(taken.first)} – {_moment(taken.last)}")
        if taken.samples:
            console.result("    " + msg("samples drawn") + f": {taken.samples}")
        for label, images in sorted(taken.verdicts.items()):
            console.result(f"    {label} " + LABELS[label].name + f": {images}")
        if taken.withdrawn:
            console.result("    " + msg("verdicts withdrawn") + f": {taken.withdrawn}")
    if not added:
        console.result(msg("nothing new"))
    if differing:
        told = msg("images on which reviewers differ: {differing}", differing=differing)
        console.result(told + f" (mayak decisions disagreements {case})")
    return 0


def disagreements(case: CaseOption, *, as_json: JsonOption = False) -> int:
    """List the images on which reviewers differ, each with what everyone said."""
    from mayak.case import CaseStore

    console = Console()
    with CaseStore.read(case) as store:
        rows = [_differing(store, sha256) for sha256 in store.disagreements()]
    if as_json:
        console.json(rows)
        return 0
    for row in rows:
        console.result(f"{row['places'][0]}  {row['sha256']}")
        for said in row["verdicts"]:
            label = LABELS[said["verdict"]]
            name = printable(said["reviewer"])
            console.result(f"    {name}: {label.index} " + label.name + f" ({said['at']})")
    console.result(msg("images: {n_rows}", n_rows=len(rows)) if rows else msg("no disagreement"))
    return 0


def _differing(store: CaseStore, sha256: str) -> dict[str, Any]:
    return {
        "sha256": sha256,
        "places": [item.display for item in store.places(sha256)],
        "verdicts": [
            {"reviewer": reviewer, "verdict": decision.verdict, "at": decision.at.isoformat()}
            for reviewer, decision in store.verdicts(sha256).items()
        ],
    }


def _moment(at: str) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M:%S} UTC"


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new.strip()):
        raise ConfigError(
            msg("--rename {text}: not OLD=NEW", text=text),
            remedy="--rename 'police=police 2'",
        )
    return old, new


app = App(name="decisions", help_format="plaintext")
for _command, _help in (
    (
        export,
        msg("Write all decisions of a case, withdrawn ones too, to a file for another copy of it."),
    ),
    (
        merge,
        msg(
            "Take in decisions that were made in another copy of the case: all of the files or, "
            "if one is wrong, none. Nobody's decision is overwritten; the same file again changes "
            "nothing."
        ),
    ),
    (
        disagreements,
        msg("List the images on which reviewers differ, each with what everyone said."),
    ),
):
    app.command(_command, help=_help)
