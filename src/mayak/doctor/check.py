"""The result of one check, and what the checks are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mayak.i18n import msg

Status = Literal["ok", "warning", "fault"]

GB = 1e9


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    ``fault``: prepare, train, evaluate, zeroshot or compare cannot run at all. ``warning``: a mode
    or a format is missing.
    """

    name: str
    title: str
    status: Status
    detail: str
    remedy: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Machine:
    """What a check may look at besides the machine itself."""

    reports: dict[str, dict[str, Any]]
    """Results of ``probe.run_probe``, by step."""
    folder: Path
    """Folder in which data and outputs would be written."""


def reinstall() -> str:
    """Return the remedy for a broken installation."""
    return msg(
        "install again: `make setup` in the source folder, or `pip install -c constraints.txt .`"
    )


def existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
