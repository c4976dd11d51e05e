"""Hash a whole source, and compare it with the acquisition hashes that an E01 stores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event

from mayak.errors import EvidenceError
from mayak.evidence.base import Medium, container_gap
from mayak.evidence.streams import CHUNK, Bytes, translated
from mayak.i18n import msg
from mayak.types import EvidencePath, Failure, OutcomeReason, Progress, Task

_MB = 10**6
_SAMPLES, _SAMPLE = 16, 1 << 16
"""Samples of a source's bytes, and the bytes of each."""


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Hashes of a source's bytes: of an E01 the disk inside, of a split image or a VMDK of several
    files all of them joined, of any other file the file."""

    md5: str
    sha256: str
    bytes: int
    started: datetime
    """UTC, like ``ended``."""
    ended: datetime
    stored: tuple[tuple[str, str], ...] = ()
    """Acquisition hashes in an E01: (``md5`` or ``sha1``, hex) pairs."""
    matches: bool | None = None
    """Whether all ``stored`` hashes are those of the bytes read; None if there are none."""


def acquire(
    path: EvidencePath,
    data: Bytes,
    stored: dict[str, str],
    progress: Progress,
    stop: Event | None = None,
) -> Acquisition:
    """Read all bytes of a source once and hash them.

    Raises:
        EvidenceError: they cannot be read to their end.
        CancelledError: ``stop`` was set.
    """
    started = datetime.now(UTC)
    with hash_task(path, data.size, progress) as task:
        found = _digests(path, data, {"md5", "sha256", *stored}, stop, task.advance)
    return Acquisition(
        md5=found["md5"],
        sha256=found["sha256"],
        bytes=data.size,
        started=started,
        ended=datetime.now(UTC),
        stored=tuple(sorted(stored.items())),
        matches=all(found[name] == value for name, value in stored.items()) if stored else None,
    )


def sample_digest(data: Bytes) -> str:
    """Return the SHA-256 of the number of bytes and of samples of them, evenly spaced.

    A sample that cannot be read counts as empty.
    """
    digest = hashlib.sha256(b"%d\0" % data.size)
    last = max(data.size - _SAMPLE, 0)
    for number in range(_SAMPLES):
        with suppress(OSError):
            digest.update(data.read_at(last * number // (_SAMPLES - 1), _SAMPLE))
    return digest.hexdigest()


def hash_task(path: EvidencePath, size: int, progress: Progress) -> AbstractContextManager[Task]:
    """Return the task of hashing so many bytes, in MB."""
    return progress.task(msg("hash of {path}", path=path), -(-size // _MB), "MB")


def acquisition_hash_gap(
    medium: Medium, path: EvidencePath, stop: Event | None, progress: Callable[[], None]
) -> Failure | None:
    """Read a nested disk image to its end; return a Failure if it does not match its acquisition
    hash. ``progress`` is called for each block.

    Raises:
        CancelledError: ``stop`` was set.
    """
    if not medium.stored:
        return None
    try:
        found = _digests(path, medium, set(medium.stored), stop, lambda _: progress())
    except EvidenceError as exc:
        reason = f"cannot be compared with its stored hash: {exc.__cause__ or exc}"
        return container_gap(path, OutcomeReason.UNREADABLE, reason)
    for name, value in sorted(medium.stored.items()):
        if found[name] != value:
            reason = f"{name.upper()} {value} is stored, {found[name]} was read"
            return container_gap(
                # The text identifies the item in cases that were recorded before: it stays.
                path,
                OutcomeReason.HASH_MISMATCH,
                f"is not what its stored hash says: {reason}",
            )
    return None


def _digests(
    path: EvidencePath,
    data: Bytes,
    names: set[str],
    stop: Event | None,
    advance: Callable[[int], None] | None = None,
) -> dict[str, str]:
    """Return the hex digests of all bytes by name; ``advance`` gets the MB done.

    Raises:
        EvidenceError: they cannot be read to their end.
        CancelledError: ``stop`` was set.
    """
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    done = 0
    with ThreadPoolExecutor(len(digests)) as pool:
        while done < data.size:
            if stop is not None and stop.is_set():
                raise CancelledError
            with translated(path):
                block = data.read_at(done, CHUNK)
            if not block:
                raise EvidenceError(
                    msg(
                        "{path} ends after {done} of {size} bytes",
                        path=path,
                        done=done,
                        size=data.size,
                    ),
                    remedy=msg("check that all pieces are there"),
                )
            list(pool.map(lambda digest, block=block: digest.update(block), digests.values()))
            before, done = done, done + len(block)
            if advance is not None:
                advance(-(-done // _MB) - -(-before // _MB))
    return {name: digest.hexdigest() for name, digest in digests.items()}
