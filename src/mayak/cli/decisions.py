"""``mayak decisions``: exports and merges decisions, and lists disagreements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from mayak.cli.console import Console
from mayak.cli.options import CaseOption, JsonOption, OperatorOption, user
from mayak.errors import ConfigError
from mayak.i18n import msg
from mayak.labels import numbered_label
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.case import CaseStore
    from mayak.case.decision_export import DecisionExport
    from mayak.case.exchange import MergeSummary


ToOption = Annotated[Path, Parameter(help=msg("File to write; a new one."))]


def export(
    case: CaseOption,
    *,
    to: ToOption,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> int:
    """Write all decisions of a case, withdrawn ones too, to a file of JSON Lines."""
    from mayak.case import CaseStore
    from mayak.case.decision_export import write_export

    console = Console()
    with CaseStore.review(case, operator=operator or user()) as store:
        export = store.export_decisions()
        head = write_export(to, export)
        store.record("export decisions", acts=len(export.actions), head=head)
        reviewers = store.reviewers()
    if as_json:
        console.json(
            {
                "case": export.case,
                "reviewers": reviewers,
                "acts": len(export.actions),
                "samples": len(export.samples),
                "file": str(to),
                "head": head,
            }
        )
    else:
        names = ", ".join(map(printable, reviewers)) or msg("nobody")
        console.result(
            msg(
                "actions written to {to}: {n_actions} ({names})",
                to=to,
                n_actions=len(export.actions),
                names=names,
            )
        )
        console.result(msg("head: ") + head)
    return 0


FilesArgument = Annotated[
    Path,
    Parameter(
        json_list=False,  # a file's name may begin with a bracket
        help=msg("Files that `mayak decisions export` wrote."),
    ),
]
RenameOption = Annotated[
    list[str] | None,
    Parameter(
        negative="",
        help=msg("OLD=NEW: merge reviewer OLD as NEW, if OLD decided in both copies; repeatable."),
    ),
]
ContinuedOption = Annotated[
    list[str] | None,
    Parameter(
        name="--continue",
        negative="",
        help=msg(
            "NAME: also add further decisions by a reviewer who decides in this copy "
            "itself; only if you know that they are that reviewer's own. Repeatable."
        ),
    ),
]


def merge(
    case: CaseOption,
    *files: FilesArgument,
    rename: RenameOption = None,
    continued: ContinuedOption = None,
    operator: OperatorOption = None,
    as_json: JsonOption = False,
) -> int:
    """Take in decisions from other copies of the case: all of the files or, if one is wrong, none.

    Nobody's decision is overwritten; the same file again changes nothing.
    """
    from mayak.case import CaseStore
    from mayak.case.decision_export import read_export, renamed

    if not files:
        raise ConfigError(
            msg("no file is named"),
            remedy="mayak decisions merge case-0417 decisions.jsonl",
        )
    names = dict(map(_pair, rename or ()))
    exports = [read_export(path) for path in files]
    _check_names(exports, names, continued or ())
    console = Console()
    with CaseStore.review(case, operator=operator or user()) as store:
        added = store.merge(
            [renamed(export, names) for export in exports], continued=continued or ()
        )
        differing = len(store.disagreements())
    if as_json:
        acts = {reviewer: summary.acts for reviewer, summary in added.items()}
        taken_in = {reviewer: asdict(summary) for reviewer, summary in added.items()}
        console.json({"added": acts, "taken_in": taken_in, "disagreements": differing})
    else:
        _show_merged(console, case, added, differing)
    return 0


def _check_names(
    exports: Sequence[DecisionExport], names: Mapping[str, str], continued: Sequence[str]
) -> None:
    """Check that the reviewers of --rename and --continue are in the files.

    Raises:
        ConfigError: one of them is not.
    """
    held = {reviewer for export in exports for reviewer in export.reviewers}
    for option, given, known in (
        ("--rename", names.keys(), held),
        ("--continue", set(continued), {names.get(name, name) for name in held}),
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


def _show_merged(
    console: Console, case: Path, added: Mapping[str, MergeSummary], differing: int
) -> None:
    for reviewer, summary in added.items():
        shown = printable(reviewer)
        console.result(msg("new actions of {shown}: {acts}", shown=shown, acts=summary.acts))
        console.result(f"    {_moment(summary.first)} – {_moment(summary.last)}")
        if summary.samples:
            console.result("    " + msg("samples drawn") + f": {summary.samples}")
        for label, images in sorted(summary.verdicts.items()):
            console.result("    " + numbered_label(label) + f": {images}")
        if summary.withdrawn:
            console.result("    " + msg("verdicts withdrawn") + f": {summary.withdrawn}")
    if not added:
        console.result(msg("nothing new"))
    if differing:
        text = msg("images on which reviewers differ: {differing}", differing=differing)
        console.result(text + f" (mayak decisions disagreements {case})")


def disagreements(case: CaseOption, *, as_json: JsonOption = False) -> int:
    """List the images on which reviewers differ, with each reviewer's decision."""
    from mayak.case import CaseStore

    console = Console()
    with CaseStore.read(case) as store:
        rows = [_differing(store, sha256) for sha256 in store.disagreements()]
    if as_json:
        console.json(rows)
        return 0
    for row in rows:
        console.result(f"{row['places'][0]}  {row['sha256']}")
        for decision in row["verdicts"]:
            name = printable(decision["reviewer"])
            label = numbered_label(decision["verdict"])
            console.result(f"    {name}: " + label + f" ({decision['at']})")
    console.result(msg("images: {n_rows}", n_rows=len(rows)) if rows else msg("no disagreement"))
    return 0


def _differing(store: CaseStore, sha256: str) -> dict[str, Any]:
    return {
        "sha256": sha256,
        "places": [item.described for item in store.occurrences(sha256)],
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
        msg("List the images on which reviewers differ, with each reviewer's decision."),
    ),
):
    app.command(_command, help=_help)
