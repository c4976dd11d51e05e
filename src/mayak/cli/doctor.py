"""``mayak doctor``: shows what this machine has and lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mayak.cli.console import Console
from mayak.cli.options import JsonOption
from mayak.i18n import msg

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
