"""The demo's record of finished steps: what each was made from, and the files that it wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from mayak.errors import ConfigError
from mayak.files import file_sha256, json_bytes, json_digest, write_durably
from mayak.i18n import msg
from mayak.untrusted import RECORD_BYTES, read_json

LEDGER = "demo.json"


_PACKAGES = ("mayak", "mayak_synthetic")


def software_digest() -> str:
    """Return the SHA-256 over every file of both packages: other code makes another demo."""
    names = [
        f"{path.relative_to(root).as_posix()} {file_sha256(path)}"
        for package in _PACKAGES
        for root in [Path(str(files(package))).parent]
        for path in (root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


class Ledger:
    """The steps of one demo folder, recorded in its ``demo.json``."""

    def __init__(self, folder: Path) -> None:
        """Open the ledger, or begin one.

        Raises:
            ConfigError: the folder holds something else, or its ledger cannot be read.
        """
        self.folder = folder
        self._path = folder / LEDGER
        self._steps: dict[str, dict[str, Any]] = {}
        if self._path.is_file():
            try:
                self._steps = dict(read_json(self._path, RECORD_BYTES))
                if not all(isinstance(step, dict) for step in self._steps.values()):
                    raise ValueError(msg("not the record of a demo"))
            except (ValueError, TypeError, OSError) as error:
                raise ConfigError(
                    msg("{path} cannot be read: {error}", path=self._path, error=error),
                    remedy=msg("delete {folder} or name another folder", folder=folder),
                ) from error
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(
                msg("{folder} is there and is not a demo of mayak", folder=folder),
                remedy=msg("name a new or empty folder"),
            )
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    @staticmethod
    def key(*parts: str | Mapping[str, Any]) -> str:
        """Return a digest of what a step is made from: other steps' keys, digests, parameters."""
        return json_digest(parts, "utf-8")

    def done(self, step: str, key: str) -> bool:
        """Return whether the step was finished from the same input and its files are unchanged."""
        record = self._steps.get(step, {})
        outputs: dict[str, str] = record.get("outputs", {})
        # A step that was only begun has no outputs.
        return (
            record.get("key") == key
            and bool(outputs)
            and all(
                (self.folder / name).is_file() and file_sha256(self.folder / name) == digest
                for name, digest in outputs.items()
            )
        )

    def begun(self, step: str, key: str) -> bool:
        """Return whether the step was started from the same input, finished or not."""
        return self._steps.get(step, {}).get("key") == key

    def run(self, step: str, key: str, work: Callable[[], Iterable[Path]]) -> None:
        """Run ``work`` and record the digests of the files that it returns."""
        self._steps[step] = {"key": key}
        self._write()
        outputs = {
            path.relative_to(self.folder).as_posix(): file_sha256(path) for path in sorted(work())
        }
        self._steps[step]["outputs"] = outputs
        self._write()

    def _write(self) -> None:
        write_durably(self._path, json_bytes(self._steps))
