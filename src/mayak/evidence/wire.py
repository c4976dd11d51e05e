"""What a reader's process and its parent send each other: JSON and raw bytes.

Reading a message runs none of its content, unlike unpickling; what is not of the expected form
raises one of ``PARSE_ERRORS``.

A message is a JSON object with ``lengths``, the sizes of the bytes that follow it. They go through
memory that the two processes share, because a pipe takes a photo in fifty pieces and its reader
wakes up for each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any, get_args

from mayak.errors import ConfigError, EvidenceError, MayakError
from mayak.evidence.acquire import Acquisition
from mayak.evidence.base import LimitExceededError, LockedError, NotReadError, ReaderLostError
from mayak.i18n import packed, unpacked
from mayak.signatures import BY_NAME
from mayak.types import EvidencePath, Failure, FileTimes, LayerKind, OutcomeReason
from mayak.workers import SharedMemory

Json = dict[str, Any]

SHARED_BYTES = 16 << 20
"""Of one message; only what is used of it takes memory."""
_MAX_HEAD = 64 << 20
_MAX_LAYERS = 500
_KINDS = frozenset(get_args(LayerKind))
FAILURE_COLUMNS = 6
_ERRORS: dict[str, type[MayakError]] = {
    kind.__name__: kind
    for kind in (ConfigError, LockedError, LimitExceededError, NotReadError, ReaderLostError)
}


class Channel:
    """One end of the connection."""

    def __init__(self, pipe: Connection, shared: SharedMemory | None) -> None:
        """``shared`` is None on systems without such memory: all bytes go through the pipe."""
        self._pipe, self._shared = pipe, shared

    def send(self, message: Json, parts: Sequence[Sequence[bytes]] = ()) -> None:
        """Send a message and up to ``SHARED_BYTES`` bytes, of which each part is given in pieces.
        Raises OSError if the other end is closed."""
        lengths = [sum(map(len, part)) for part in parts]
        end = 0
        for part, length in zip(parts, lengths, strict=True):
            if self._shared is not None and os.pwritev(self._shared.file, part, end) != length:
                raise OSError("shared memory ends early")
            end += length
        head = json.dumps({**message, "lengths": lengths}, separators=(",", ":"))
        self._pipe.send_bytes(head.encode("ascii"))
        if self._shared is None:
            for part in parts:
                self._pipe.send_bytes(b"".join(part))

    def poll(self, seconds: float) -> bool:
        """Wait for a message."""
        return self._pipe.poll(seconds)

    def receive(self) -> tuple[Json, list[bytes]]:
        """Return the next message and its bytes.

        Raises:
            OSError, EOFError: the other end is closed.
            PARSE_ERRORS: it is not a message.
        """
        message = json.loads(self._pipe.recv_bytes(_MAX_HEAD))
        parts: list[bytes] = []
        end = 0
        for length in message["lengths"]:
            if not 0 <= length <= SHARED_BYTES - end:
                raise ValueError(length)
            if self._shared is None:
                part = self._pipe.recv_bytes(SHARED_BYTES)
            else:
                part = os.pread(self._shared.file, length, end)
            if len(part) != length:
                raise ValueError(length)
            parts.append(part)
            end += length
        return message, parts

    def close(self) -> None:
        self._pipe.close()


class PathWriter:
    """Makes rows of paths, in which the layers above are named by a number."""

    def __init__(self) -> None:
        self._numbers: dict[EvidencePath, int] = {}
        self._new: list[list[Any]] = []

    def row(self, path: EvidencePath) -> list[Any]:
        """Return the row of a path; those of the layers above it become ``new`` if they are."""
        above = -1 if path.parent is None else self._number(path.parent)
        raw = None if path.raw is None else path.raw.hex()
        return [above, path.kind, path.name, raw, path.serial]

    def _number(self, path: EvidencePath) -> int:
        number = self._numbers.get(path)
        if number is None:
            row = self.row(path)
            number = self._numbers[path] = len(self._numbers)
            self._new.append(row)
        return number

    def new(self) -> list[list[Any]]:
        """Return the rows of layers that the other end does not know yet, in their order."""
        new, self._new = self._new, []
        return new


class PathReader:
    """Makes paths of the rows of a ``PathWriter``, none of them outside the evidence asked for."""

    def __init__(self, root: EvidencePath | None = None) -> None:
        """All paths must be ``root``'s or below it, by their names: what kind of container a file
        is, only the process that reads it knows."""
        self._root = () if root is None else root.layers
        self._known: list[tuple[EvidencePath, int]] = []
        """With the number of their layers."""

    def learn(self, rows: list[list[Any]]) -> None:
        """Take in new layers."""
        for row in rows:
            path, layers = self._path(row)
            if layers > _MAX_LAYERS:
                raise ValueError(layers)
            self._known.append((path, layers))

    def path(self, row: list[Any]) -> EvidencePath:
        """Return the path of a row."""
        path, layers = self._path(row)
        if layers < len(self._root):
            raise ValueError(row)
        return path

    def holds(self, display: str) -> bool:
        """Whether a path in words is the root's or below it."""
        root = str(self._root[-1]) if self._root else ""
        return display.startswith(root) and display[len(root) :][:1] in ("", "/")

    def _path(self, row: list[Any]) -> tuple[EvidencePath, int]:
        above, kind, name, raw, serial = row
        if kind not in _KINDS or not isinstance(name, str) or not isinstance(serial, int):
            raise ValueError(row)
        parent, layers = (None, 0) if above < 0 else self._known[above]
        raw = None if raw is None else bytes.fromhex(raw)
        path = EvidencePath(kind, name, parent, raw, serial)
        if layers < len(self._root):
            root = self._root[layers]
            if (name, raw, serial) != (root.name, root.raw, root.serial):
                raise ValueError(row)
        return path, layers + 1


def times_row(times: FileTimes) -> list[Any] | None:
    """Return time stamps as JSON."""
    if times.is_empty and times.zone_known:
        return None
    stamps = (times.modified, times.created, times.accessed, times.changed)
    return [*(None if each is None else each.isoformat() for each in stamps), times.zone_known]


def times_of(row: list[Any] | None) -> FileTimes:
    """Return the time stamps of a row."""
    if row is None:
        return FileTimes()
    *stamps, zone_known = row
    modified, created, accessed, changed = (
        None if each is None else datetime.fromisoformat(each) for each in stamps
    )
    if not isinstance(zone_known, bool | None):
        raise ValueError(row)
    return FileTimes(modified, created, accessed, changed, zone_known)


def failure_row(failure: Failure, paths: PathWriter) -> list[Any]:
    """Return a failure of reading as JSON."""
    entry = None if failure.entry is None else paths.row(failure.entry)
    container = None if failure.container is None else paths.row(failure.container)
    return [failure.path, failure.error, packed(failure.message), entry, container, failure.kind]


def failure_of(row: list[Any], paths: PathReader) -> Failure:
    """Return the failure of a row."""
    path, error, message, entry, container, kind = row
    if not isinstance(error, str) or not paths.holds(path) or not is_kind(kind):
        raise ValueError(row)
    at, within = (None if each is None else paths.path(each) for each in (entry, container))
    return Failure(path, "read", error, unpacked(message), at, within, kind)


def is_kind(name: object) -> bool:
    """Whether it is the name of a kind in ``mayak.signatures``, or None."""
    return name is None or (isinstance(name, str) and name in BY_NAME)


def error_row(error: Exception) -> Json:
    """Return an exception as JSON."""
    if isinstance(error, MayakError):
        kind, message, remedy = type(error).__name__, error.message, error.remedy
    else:
        kind, message, remedy = "EvidenceError", f"{type(error).__name__}: {error}", ""
    cause = None if error.__cause__ is None else str(error.__cause__)
    return {
        "kind": kind,
        "message": packed(message),
        "remedy": packed(remedy),
        "cause": cause,
        "reason": packed(getattr(error, "reason", "")),
        "outcome": getattr(error, "outcome", None),
    }


def error_of(row: Json) -> MayakError:
    """Return the exception of a row; kinds that readers do not raise become EvidenceError."""
    kind = _ERRORS.get(row["kind"], EvidenceError)
    error = kind.__new__(kind)  # most are made from a path
    MayakError.__init__(error, unpacked(row["message"]), remedy=unpacked(row["remedy"]))
    if isinstance(error, LimitExceededError | NotReadError | ReaderLostError):
        error.reason = unpacked(row["reason"])
    if isinstance(error, NotReadError | ReaderLostError):
        error.outcome = OutcomeReason(row["outcome"])
    if row["cause"] is not None:
        error.__cause__ = OSError(str(row["cause"]))
    return error


def acquisition_row(found: Acquisition) -> Json:
    """Return the hashes of a source as JSON."""
    return {
        "md5": found.md5,
        "sha256": found.sha256,
        "bytes": found.bytes,
        "started": found.started.isoformat(),
        "ended": found.ended.isoformat(),
        "stored": [list(each) for each in found.stored],
        "matches": found.matches,
    }


def acquisition_of(row: Json) -> Acquisition:
    """Return the hashes of a row."""
    for name in ("md5", "sha256"):
        bytes.fromhex(row[name])
    return Acquisition(
        md5=row["md5"],
        sha256=row["sha256"],
        bytes=int(row["bytes"]),
        started=datetime.fromisoformat(row["started"]),
        ended=datetime.fromisoformat(row["ended"]),
        stored=tuple((str(name), str(value)) for name, value in row["stored"]),
        matches=None if row["matches"] is None else bool(row["matches"]),
    )
