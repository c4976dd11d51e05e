"""A person's labels of the answers that the parser could not read, kept with the run.

``answer_labels_<run>.jsonl`` in the run's folder is append-only: one line names the run, each
further line is one decision, and the last decision on an answer counts; its label is null if the
label is withdrawn. ``<run>`` is a digest of what the model answered, so another run in the same
folder does not take over the labels, and a run that is repeated finds them again. One process at a
time may add to them: ``answers.lock`` is its lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from mayak.errors import ConfigError
from mayak.evaluation.rows import Row
from mayak.files import FileLock, LockHeldError, canonical_json, json_digest, sync_folder
from mayak.i18n import msg, system_error
from mayak.labels import LABELS, UNCLASSIFIABLE
from mayak.untrusted import DOCUMENT_BYTES, PARSE_ERRORS, parse_json, read_file

FORMAT = 1
_LOCK = "answers.lock"
_ALLOWED = (None, UNCLASSIFIABLE, *(label.index for label in LABELS))


@dataclass
class AnswerLabels:
    """The labels of one run's unread answers."""

    path: Path
    run: str
    """Digest of the run's answers."""
    labels: dict[str, int] = field(default_factory=dict)
    """By image id: 0–3, or −1 for an answer that names no label for the person either."""

    @classmethod
    def of(cls, folder: Path, rows: Sequence[Row]) -> AnswerLabels:
        """Read the labels of a run's answers; there are none before a person has decided.

        Raises:
            ConfigError: the file is damaged or cannot be read.
        """
        run = run_digest(rows)
        found = cls(folder / f"answer_labels_{run[:16]}.jsonl", run)
        try:
            text = read_file(found.path, DOCUMENT_BYTES, follow=False).decode("utf-8")
            # The text after the last newline is a line that was not written completely.
            head, *lines = map(parse_json, text.split("\n")[:-1] or ["{}"])
            if "\n" in text and head != found._head():
                raise ValueError(msg("it belongs to another run"))
            ids = {row.id for row in rows}
            for line in lines:
                # JSON's 1.0 and true are equal to 1, and no label.
                is_other = isinstance(line["label"], bool | float)
                if is_other or line["label"] not in _ALLOWED or line["id"] not in ids:
                    raise ValueError(repr(line)[:200])
                found._set(line["id"], line["label"])
        except FileNotFoundError:
            pass
        except (OSError, *PARSE_ERRORS) as error:
            raise ConfigError(
                msg("{path} cannot be read ({error})", path=found.path, error=error),
                remedy=msg(
                    "copy it again, or move it elsewhere: the labels in it then do not count"
                ),
            ) from error
        return found

    def decide(self, image: str, label: int | None, person: str) -> None:
        """Store a person's label of one answer durably; None withdraws the label before.

        The caller must have the lock (``locked``).

        Raises:
            ConfigError: the file cannot be written.
        """
        line = {
            "id": image,
            "label": label,
            "person": person,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            self._append(line)
        except OSError as error:
            raise _cannot_write(self.path, error) from error
        self._set(image, label)

    def _set(self, image: str, label: int | None) -> None:
        if label is None:
            self.labels.pop(image, None)
        else:
            self.labels[image] = label

    def _append(self, line: Mapping[str, Any]) -> None:
        is_new = not self.path.exists()
        # Readable by the user only, never through a link, and each write goes to the end.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(self.path, flags, 0o600)
        with os.fdopen(handle, "r+b") as file:
            _cut_incomplete_line(file)
            rows = (line,) if file.tell() else (self._head(), line)
            file.write("".join(canonical_json(row) + "\n" for row in rows).encode())
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.path.parent)

    def _head(self) -> dict[str, Any]:
        return {"format": FORMAT, "run": self.run}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from labelling the answers of the run in a folder.

    Raises:
        ConfigError: another process has the lock, or the folder cannot be written.
    """
    try:
        lock = FileLock(folder / _LOCK)
    except LockHeldError as error:
        raise ConfigError(
            msg(
                "the answers of {folder} are being labelled in another mayak (process {holder})",
                folder=folder,
                holder=error.holder,
            ),
            remedy=msg("label them on its page, or end it with Ctrl-C"),
        ) from error
    except OSError as error:
        raise _cannot_write(folder / _LOCK, error) from error
    try:
        yield
    finally:
        lock.release()


def run_digest(rows: Sequence[Row]) -> str:
    """Return the SHA-256 over id, image and answer of every row, in order of id: what the model
    said, and not how the parser read it."""
    return json_digest(sorted((row.id, row.sha256, row.answer or "") for row in rows))


def _cannot_write(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        msg("{path} cannot be written ({reason})", path=path, reason=system_error(error)),
        remedy=msg("make room or change the rights of the folder, then decide again"),
    )


def _cut_incomplete_line(file: BinaryIO) -> None:
    """Remove what a killed process left after the last newline."""
    file.seek(0)
    data = file.read()
    file.seek(data.rfind(b"\n") + 1)
    file.truncate()
