"""Hashes files while the next ones are read, and looks them up in lists of known files."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from mayak.case import StoredItem
from mayak.errors import MayakError
from mayak.hashlists import HashList
from mayak.imaging.hashing import sha256
from mayak.triage.outcome import ItemOutcome
from mayak.types import EvidenceEntry

_AHEAD = 8
_AHEAD_BYTES = 1 << 26
"""Files, and bytes of them, that are read while those before them are hashed."""
_THREADS = 2
_MIN_BYTES = 1 << 17
"""From this size on, hashing takes longer than handing it to another thread."""


@dataclass(frozen=True, slots=True)
class ReadFile:
    """The bytes of a file, and what the case records of it."""

    entry: EvidenceEntry
    data: bytes = field(repr=False)
    before: StoredItem | None


@dataclass(frozen=True, slots=True)
class HashedFile:
    """The bytes of a file and their SHA-256."""

    file: ReadFile
    sha256: str

    def hashes(self) -> tuple[str, str, str]:
        """Compute the file's MD5 and SHA-1 as well; returned with its SHA-256."""
        data = self.file.data
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return md5, hashlib.sha1(data, usedforsecurity=False).hexdigest(), self.sha256


def listed(lists: Sequence[HashList], hashes: tuple[str, ...]) -> str | None:
    """Return which of some lists contains a file with these hashes, in words; None if none does."""
    for known in lists:
        if kind := known.match(*hashes):
            return f"its {kind} is in {known.name}"
    return None


_Pending = tuple[ReadFile, "str | Future[str]"] | ItemOutcome


def hashed(
    steps: Iterable[ReadFile | ItemOutcome],
) -> Generator[HashedFile | ItemOutcome, None, None]:
    """Hash the files in threads, ahead of the caller; yields everything in the order given.

    If ``steps`` raises a MayakError, what came before it is yielded first.
    """
    ahead: deque[_Pending] = deque()

    def finished(max_ahead: int) -> Iterator[HashedFile | ItemOutcome]:
        while ahead and (len(ahead) > max_ahead or sum(map(_nbytes, ahead)) > _AHEAD_BYTES):
            step = ahead.popleft()
            if isinstance(step, ItemOutcome):
                yield step
            else:
                file, digest = step
                yield HashedFile(file, digest if isinstance(digest, str) else digest.result())

    with ThreadPoolExecutor(_THREADS, "hash") as pool:
        try:
            for step in steps:
                if isinstance(step, ItemOutcome):
                    ahead.append(step)
                elif len(step.data) >= _MIN_BYTES:
                    ahead.append((step, pool.submit(sha256, step.data)))
                else:
                    ahead.append((step, sha256(step.data)))
                del step  # a file may be large
                yield from finished(_AHEAD)
        except MayakError:
            yield from finished(0)
            raise
        yield from finished(0)


def _nbytes(step: _Pending) -> int:
    return 0 if isinstance(step, ItemOutcome) else len(step[0].data)
