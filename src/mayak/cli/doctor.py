"""``mayak doctor``: shows what this machine has and lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mayak.cli.console import Console
from mayak.cli.options import JsonOption
from mayak.language import tr

if TYPE_CHECKING:
    from mayak.doctor import Check, Mode


def doctor(*, as_json: JsonOption = False) -> int:
    """Check this machine; exit code 2 if a fault prevents mayak from running."""
    from mayak.doctor import diagnose, usable_modes

    console = Console()
    checks = diagnose(Path.cwd())
    modes = usable_modes(checks)
    can_run = all(check.status != "fault" for check in checks)
    if as_json:
        console.json(
            {
                "can_run": can_run,
                "checks": [asdict(check) for check in checks],
                "modes": [
                    {"name": mode.name, "gpu_memory": int(mode.memory), "runs": runs}
                    for mode, runs in modes
                ],
            }
        )
    else:
        _show(console, checks, modes)
    return 0 if can_run else 2


def _show(console: Console, checks: Sequence[Check], modes: Sequence[tuple[Mode, bool]]) -> None:
    from mayak.doctor import GB

    words = {
        "ok": tr("ok", "정상"),
        "warning": tr("warning", "주의"),
        "fault": tr("fault", "문제"),
    }
    console.table(
        tr("This machine", "이 컴퓨터"),
        [tr("part", "항목"), tr("state", "상태"), tr("found", "내용")],
        [[check.title, words[check.status], check.detail] for check in checks],
        text_columns=3,
    )
    console.table(
        tr("What runs here", "실행할 수 있는 방식"),
        [tr("mode", "방식"), tr("GPU memory", "GPU 메모리"), tr("runs", "실행")],
        [
            [
                mode.title,
                f"{mode.memory / GB:.1f} GB" if mode.memory else "–",
                tr("yes", "가능") if runs else tr("no", "불가"),
            ]
            for mode, runs in modes
        ],
    )
    for check in checks:
        if check.remedy:
            console.result(f"{words[check.status]} · {check.title} → {check.remedy}")
