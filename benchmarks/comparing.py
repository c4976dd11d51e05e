"""Reads what two cases record of the same files, for the scripts that compare them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mayak.case import CaseStore

SAME_SCORE = 1e-4
"""An image among others in its batch is padded otherwise, and fp32 sums round differently: a
ten-thousandth is far above that and far below anything that an order or a label turns on."""


@dataclass(frozen=True)
class Told:
    """All that a case says, but for ids, times of its own and the order of arrival."""

    items: Counter[tuple[Any, ...]]
    """(path below the source, what became of it, size, deleted)."""
    contents: dict[str, dict[str, Any]]
    """By SHA-256; the SHA-256 of the thumbnail is among it."""
    scores: dict[str, tuple[float, ...]]
    """Of the first run, the off-label mass last."""
    groups: list[list[str]]
    alerts: set[tuple[str, str, str]]


def told(folder: Path) -> Told:
    """Read a case."""
    with CaseStore.read(folder) as case:
        items: Counter[tuple[Any, ...]] = Counter()
        for source in case.sources():
            for item in case.known_items(source.id):
                became = item.failure or item.exclusion
                if item.failure is not None:  # its path names the source, which may differ
                    became = (item.failure.stage, item.failure.error, item.failure.message)
                path = item.display.partition("/")[2]
                items[path, item.content or became, item.size, item.deleted] += 1
        run = next((run.id for run in case.runs()), None)
        predictions = () if run is None else case.predictions(run)
        contents = {content.sha256: asdict(content) for content in case.contents()}
        for content in contents.values():
            del content["id"]
        return Told(
            items,
            contents,
            {p.sha256: (*p.scores.values, p.scores.off_label) for p in predictions},
            case.groups(),
            {(alert.sha256, alert.list_digest, alert.kind) for alert in case.alerts()},
        )


def differences(one: Told, other: Told) -> list[str]:
    """Where two cases differ, a line each; scores where they are further apart than the limit."""
    found = [f"items, only one has: {i} × {n}" for i, n in (one.items - other.items).items()]
    found += [f"items, only the other has: {i} × {n}" for i, n in (other.items - one.items).items()]
    for name in ("contents", "scores"):
        mine, theirs = getattr(one, name), getattr(other, name)
        found += [f"{name}, only one case has {key}" for key in sorted(mine.keys() ^ theirs.keys())]
    found += [
        f"contents, {key}: {content} and {other.contents[key]}"
        for key, content in one.contents.items()
        if key in other.contents and content != other.contents[key]
    ]
    apart = furthest(one, other)
    if apart > SAME_SCORE:
        found.append(f"scores are up to {apart:.1e} apart")
    # Groups are sets of contents; each case lists them in the order of its own.
    if sorted(one.groups) != sorted(other.groups):
        found.append("groups of near-duplicates differ")
    if one.alerts != other.alerts:
        found.append("alerts differ")
    return found


def furthest(one: Told, other: Told) -> float:
    """The largest difference of a score between two cases."""
    return max(
        (
            abs(a - b)
            for key, scores in one.scores.items()
            for a, b in zip(scores, other.scores.get(key, scores), strict=True)
        ),
        default=0.0,
    )


def digests(*roots: Path) -> dict[str, str]:
    """SHA-256 of all files below some folders, and of single files, by path."""
    files = [p for root in roots for p in (root.rglob("*") if root.is_dir() else [root])]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.is_file()}
