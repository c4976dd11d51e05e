"""``mayak doctor``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.language import tr


def doctor(
    *,
    as_json: Annotated[
        bool,
        Parameter(
            name="--json",
            negative="",
            help=tr("Print the findings as JSON.", "결과를 JSON으로 출력합니다."),
        ),
    ] = False,
) -> int:
    """Report; 0 where mayak can run, 2 where a fault prevents it."""
    from mayak.doctor import GB, diagnose, usable_modes

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
        return 0 if can_run else 2
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
    return 0 if can_run else 2
