"""What the demo has done already: each step with what it was made from and what it wrote."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from mayak.errors import ConfigError
from mayak.i18n import msg
from mayak.untrusted import RECORD_BYTES, read_json

LEDGER = "demo.json"


def software_digest() -> str:
    """SHA-256 over every file of the installed package: other code makes another demo."""
    package = Path(str(files("mayak")))
    names = (path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())
    sources = sorted(name for name in names if "__pycache__" not in name)
    return hashlib.sha256(
        "\n".join(f"{name} {_file_digest(package / name)}" for name in sources).encode()
    ).hexdigest()


class Ledger:
    """The steps of one demo folder, recorded in its ``demo.json``."""

    def __init__(self, folder: Path) -> None:
        """Open or begin the ledger. Raises ConfigError for a folder that holds something else."""
        self.folder = folder
        self._path = folder / LEDGER
        self._steps: dict[str, dict[str, Any]] = {}
        if self._path.is_file():
            try:
                self._steps = dict(read_json(self._path, RECORD_BYTES))
                if not all(isinstance(step, dict) for step in self._steps.values()):
                    raise ValueError(msg("not a ledger"))
            except (ValueError, TypeError, OSError) as error:
                raise ConfigError(
                    msg("{path} cannot be read: {error}", path=self._path, error=error),
                    remedy=msg("delete {folder} or name another folder", folder=folder),
                ) from error
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(
                msg("{folder} is there and is no demo of mayak", folder=folder),
                remedy=msg("name a new or empty folder"),
            )
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    @staticmethod
    def key(*parts: str | Mapping[str, Any]) -> str:
        """A digest of what a step is made from: other steps' keys, digests, parameters."""
        canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def done(self, step: str, key: str) -> bool:
        """Whether the step was finished from the same, and what it wrote is still as it was."""
        record = self._steps.get(step, {})
        outputs: dict[str, str] = record.get("outputs", {})
        # A step that was only begun has no outputs.
        return (
            record.get("key") == key
            and bool(outputs)
            and all(
                (self.folder / name).is_file() and _file_digest(self.folder / name) == digest
                for name, digest in outputs.items()
            )
        )

    def begun(self, step: str, key: str) -> bool:
        """Whether the step was started from the same, finished or not."""
        return self._steps.get(step, {}).get("key") == key

    def run(self, step: str, key: str, work: Callable[[], Iterable[Path]]) -> None:
        """Do ``work``, which gives the files that its being done is judged by."""
        self._steps[step] = {"key": key}
        self._write()
        outputs = {
            path.relative_to(self.folder).as_posix(): _file_digest(path) for path in sorted(work())
        }
        self._steps[step]["outputs"] = outputs
        self._write()

    def _write(self) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_text(
            json.dumps(self._steps, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
        partial.replace(self._path)


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
