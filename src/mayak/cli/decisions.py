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
from mayak.labels import LABELS
from mayak.language import tr
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.case import CaseStore


def export(
    case: CaseOption,
    *,
    to: Annotated[Path, Parameter(help=tr("File to write; a new one.", "새로 쓸 파일."))],
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
        names = ", ".join(map(printable, reviewers)) or tr("nobody", "없음")
        console.result(
            tr(
                f"acts written to {to}: {len(history.acts)} ({names})",
                f"판정 {len(history.acts)}건을 {to}에 저장했습니다 (검토자: {names})",
            )
        )
        console.result(tr("head: ", "최종 해시: ") + head)
    return 0


def merge(
    case: CaseOption,
    # json_list: a file's name may begin with a bracket.
    *files: Annotated[
        Path,
        Parameter(
            json_list=False,
            help=tr(
                "Files that `mayak decisions export` wrote.",
                "`mayak decisions export`로 만든 파일.",
            ),
        ),
    ],
    rename: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help=tr(
                "OLD=NEW: take in reviewer OLD as NEW, where one went on in both copies; "
                "repeatable.",
                "OLD=NEW: 두 사본에서 따로 판정한 검토자 OLD를 NEW로 병합합니다. 여러 번 지정 "
                "가능.",
            ),
        ),
    ] = None,
    continued: Annotated[
        list[str] | None,
        Parameter(
            name="--continue",
            negative="",
            help=tr(
                "NAME: take in acts that go on in the name of a reviewer who decides in this copy "
                "itself; only if you know that they are that reviewer's own. Repeatable.",
                "NAME: 이 사본에서 직접 판정하는 검토자의 이름으로 이어진 판정을 병합합니다. "
                "본인의 판정이 확실한 경우에만 지정하십시오. 여러 번 지정 가능.",
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
            tr("no file is named", "파일이 지정되지 않았습니다"),
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
                tr(
                    f"{option} {unknown[0]}: no such reviewer in the files",
                    f"{option} {unknown[0]}: 파일에 그런 검토자가 없습니다",
                ),
                remedy=tr("they hold: ", "파일에 있는 검토자: ") + ", ".join(sorted(held)),
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
        console.result(
            tr(f"new acts of {shown}: {taken.acts}", f"{shown}: 새 판정 {taken.acts}건 병합")
        )
        console.result(f"    {_moment(taken.first)} – {_moment(taken.last)}")
        if taken.samples:
            console.result(f"    {tr('samples drawn', '추출한 표본')}: {taken.samples}")
        for label, images in sorted(taken.verdicts.items()):
            console.result(f"    {label} {LABELS[label].name}: {images}")
        if taken.withdrawn:
            console.result(f"    {tr('verdicts withdrawn', '취소한 판정')}: {taken.withdrawn}")
    if not added:
        console.result(tr("nothing new", "새 판정이 없습니다"))
    if differing:
        told = tr(
            f"images on which reviewers differ: {differing}",
            f"판정이 서로 다른 이미지: {differing}장",
        )
        console.result(f"{told} (mayak decisions disagreements {case})")
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
            console.result(f"    {name}: {label.index} {label.name} ({said['at']})")
    console.result(
        tr(f"images: {len(rows)}", f"이미지 {len(rows)}장")
        if rows
        else tr("no disagreement", "서로 다른 판정이 없습니다")
    )
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
            tr(f"--rename {text}: not OLD=NEW", f"--rename {text}: OLD=NEW 형식이 아닙니다"),
            remedy="--rename 'police=police 2'",
        )
    return old, new


app = App(name="decisions", help_format="plaintext")
for _command, _help in (
    (
        export,
        tr(
            "Write all decisions of a case, withdrawn ones too, to a file for another copy of it.",
            "사건의 모든 판정(취소한 판정 포함)을 다른 사본에 병합할 파일로 내보냅니다.",
        ),
    ),
    (
        merge,
        tr(
            "Take in decisions that were made in another copy of the case: all of the files or, if "
            "one is wrong, none. Nobody's decision is overwritten; the same file again changes "
            "nothing.",
            "사건의 다른 사본에서 내린 판정을 병합합니다. 파일 하나라도 잘못되면 아무것도 병합하지 "
            "않습니다. 누구의 판정도 덮어쓰지 않으며, 같은 파일을 다시 병합해도 달라지지 않습니다.",
        ),
    ),
    (
        disagreements,
        tr(
            "List the images on which reviewers differ, each with what everyone said.",
            "검토자의 판정이 서로 다른 이미지를 판정 내용과 함께 나열합니다.",
        ),
    ),
):
    app.command(_command, help=_help)
