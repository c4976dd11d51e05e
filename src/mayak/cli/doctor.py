"""``mayak doctor``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.i18n import msg


def doctor(
    *,
    as_json: Annotated[
        bool,
        Parameter(
            name="--json",
            negative="",
            help=msg("Print the findings as JSON."),
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
        "ok": msg("ok"),
        "warning": msg("warning"),
        "fault": msg("fault"),
    }
    console.table(
        msg("This machine"),
        [msg("part"), msg("state"), msg("found")],
        [[check.title, words[check.status], check.detail] for check in checks],
        text_columns=3,
    )
    console.table(
        msg("What runs here"),
        [msg("mode"), msg("GPU memory"), msg("runs")],
        [
            [
                mode.title,
                f"{mode.memory / GB:.1f} GB" if mode.memory else "–",
                msg("yes") if runs else msg("no"),
            ]
            for mode, runs in modes
        ],
    )
    for check in checks:
        if check.remedy:
            console.result(words[check.status] + " · " + check.title + " → " + check.remedy)
    return 0 if can_run else 2
