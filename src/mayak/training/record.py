"""A run's identity, which decides whether it can be resumed, and its log."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mayak import untrusted
from mayak.errors import ConfigError
from mayak.files import json_bytes
from mayak.i18n import msg
from mayak.training.checkpoint import unwritable, write_file

IDENTITY = "identity.json"
LOG = "log.jsonl"

_FREE = ("config.checkpoint_every",)
"""Values that may change between the parts of a run, because no result depends on them."""


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write JSON, completely or not at all."""
    write_file(path, json_bytes(value))


def read_json(path: Path) -> dict[str, Any]:
    """Read what ``write_json`` wrote.

    Raises:
        ConfigError: the file is damaged.
    """
    try:
        value: dict[str, Any] = untrusted.read_json(path, untrusted.RECORD_BYTES)
        if not isinstance(value, dict):
            raise ValueError(msg("not a JSON object"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            msg("{path} cannot be read: {error}", path=path, error=error),
            remedy=msg("start again with --overwrite"),
        ) from error
    return value


def check_same(began: dict[str, Any], now: dict[str, Any], output: Path) -> None:
    """Compare a run's identity with the one that it began with.

    Raises:
        ConfigError: names every value that has changed.
    """
    before, after = _flat(began), _flat(now)
    changes = [
        f"{key}: {before.get(key)} → {value}"
        for key, value in after.items()
        if before.get(key) != value and key not in _FREE
    ]
    if not changes:
        return
    raise ConfigError(
        msg("the run in {output} cannot be resumed, for it began otherwise: ", output=output)
        + "; ".join(changes),
        remedy=msg(
            "resume with the values on the left, or start again with another --output or "
            "--overwrite"
        ),
    )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


@dataclass(frozen=True, slots=True)
class RunLog:
    """``log.jsonl``: one event a line, with its time (UTC), in order of step, each step once."""

    path: Path

    def append(self, event: str, **values: Any) -> None:  # noqa: ANN401
        """Append one event; it is kept if the process is killed."""
        row = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row | values, ensure_ascii=False) + "\n")
        except OSError as error:
            raise unwritable(self.path, error) from error

    def rewind(self, step: int) -> None:
        """Remove the events after ``step``, or all if it is 0: these steps are repeated."""
        kept = [row for row in self.events() if step and row["step"] <= step]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
        write_file(self.path, text.encode())

    def flush(self) -> None:
        """Write the log to the disk before the checkpoint that depends on it."""
        with self.path.open("ab") as file:
            os.fsync(file.fileno())

    def events(self) -> list[dict[str, Any]]:
        """Return all events; a last line that a power failure cut off is left out."""
        if not self.path.exists():
            return []
        rows = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                rows.append(untrusted.parse_json(line))
            except ValueError:
                break
        return rows
