"""RAR 4 and 5, also in pieces, unpacked by libarchive; alone imports it.

libarchive reads an archive from its start to its end. So it is unpacked once, to a temporary copy,
when the first of its files is opened. What it gives counts only if it is as the header states.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from mayak.errors import MayakError
from mayak.evidence.base import (
    Container,
    ContainerFile,
    ContainerFormat,
    LimitExceededError,
    Limits,
    NotReadError,
    container_gap,
    entry_failure,
    library_for,
)
from mayak.evidence.containers.blake2sp import Blake2sp
from mayak.evidence.containers.rar_headers import MARK_5, RarFile, RarPiece, parse, pieces_files
from mayak.evidence.containers.segments import missing_piece
from mayak.evidence.streams import (
    Bytes,
    JoinedBytes,
    Unpacked,
    stream_of,
    stream_of_blocks,
    translated,
)
from mayak.i18n import msg
from mayak.signatures import RAR
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason

_NEW_NAME = re.compile(r"(.*\.part)(\d+)(\.rar)", re.DOTALL | re.IGNORECASE)
_OLD_NAME = re.compile(r"(.*)\.[r-z](\d\d)", re.DOTALL | re.IGNORECASE)
_MAX_ATTEMPTS = 100
"""Times that unpacking begins again after a damaged file."""


class JoinedRar(JoinedBytes):
    """The pieces of an archive as one."""

    def __init__(self, pieces: list[Bytes]) -> None:
        super().__init__(pieces)
        self.stored: dict[str, str] = {}


class RarContainer(Container):
    """The files of a RAR archive, in their order."""

    def __init__(
        self,
        data: Bytes,
        path: EvidencePath,
        limits: Limits,
        pieces: list[RarPiece],
        others: frozenset[EvidencePath],
        missing: str,
    ) -> None:
        """``others``: the paths of the pieces after the first; ``missing``: the name of one that is
        not there."""
        self._data, self._path, self._limits = data, path, limits
        self._others, self._missing = others, missing
        self.medium = data if isinstance(data, JoinedRar) else None
        self._faults = [piece.fault for piece in pieces if piece.fault]
        self._files = pieces_files(pieces)
        self._by_name = {file.name: index for index, file in enumerate(self._files)}
        self._copy: _Copy | None = None
        self._lock = Lock()

    def covers(self, path: EvidencePath) -> bool:
        return path in self._others

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        if len(self._files) > self._limits.members:
            reason = f"has more than {self._limits.members} files"
            yield container_gap(self._path, OutcomeReason.LIMIT_EXCEEDED, reason)
            return
        if bomb := self._limits.too_much(self._size(), self._data.size):
            yield container_gap(self._path, OutcomeReason.LIMIT_EXCEEDED, bomb)
            return
        seen: set[str] = set()
        for index, file in enumerate(self._files):
            if not file.is_folder:
                serial = index + 1 if file.name in seen else 0
                seen.add(file.name)
                yield self._entry(index, self._path.child("file", file.name, file.raw, serial))
        for fault in self._faults:
            reason = f"cannot be read any further: {fault}"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)
        if self._missing:
            reason = f"piece {self._missing!r} is missing"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def _size(self) -> int:
        return sum(file.size for file in self._files if file.copy_of is None and not file.unread)

    def _entry(self, index: int, path: EvidencePath) -> EvidenceEntry | Failure:
        file = self._files[index]
        if file.is_link:
            reason = "is a symbolic link, which is not followed"
            return entry_failure(path, OutcomeReason.SYMBOLIC_LINK, reason)
        if file.copy_of is not None:
            index = self._by_name.get(file.copy_of, index)
            target = self._files[index]
            if target.copy_of is not None or target.is_folder:
                reason = f"is a copy of {file.copy_of!a}, which is not a file of the archive"
                return entry_failure(path, OutcomeReason.DAMAGED, reason)
        else:
            target = file
        if target.is_encrypted:
            reason = "is an encrypted file of a RAR archive, which is not read"
            return entry_failure(path, OutcomeReason.ENCRYPTED, reason)
        if target.unread and target.size:
            return entry_failure(path, OutcomeReason.UNSUPPORTED, target.unread)
        if target.checksum is None and target.digest is None and target.size:
            reason = "has no checksum, without which it is not read"
            return entry_failure(path, OutcomeReason.UNSUPPORTED, reason)
        if target.continues or target.is_continued:
            reason = "is cut off: a part of it is in a piece that is missing"
            return entry_failure(path, OutcomeReason.DAMAGED, reason)
        if not target.size:
            return EvidenceEntry(path, 0, BytesIO, file.times)
        return EvidenceEntry(path, target.size, partial(self._open, index), file.times)

    def _open(self, index: int) -> BinaryIO:
        with translated(), self._lock:
            if self._copy is None:
                self._copy = _Copy(self._data, self._path, self._limits, self._files)
            return self._copy.open(index)


class _Copy:
    """The content of all files that could be unpacked, one after the other."""

    def __init__(
        self, data: Bytes, path: EvidencePath, limits: Limits, files: list[RarFile]
    ) -> None:
        self._packed, self._files = data, files
        self._starts: dict[int, int] = {}
        self._faults: dict[int, str] = {}

        def check(size: int) -> None:
            if reason := limits.too_much(size, data.size):
                raise LimitExceededError(path, reason)

        self._data = Unpacked(stream_of_blocks(self._contents), check)

    def open(self, index: int) -> BinaryIO:
        """Raises ValueError: the file could not be unpacked."""
        if index not in self._starts:
            raise ValueError(self._faults.get(index, "the archive ends before it does"))
        return stream_of(self._data.read_at, self._files[index].size, self._starts[index])

    def _contents(self) -> Iterator[bytes]:
        done = position = 0
        for _ in range(_MAX_ATTEMPTS):
            begun = done
            try:
                for index, entry in self._listed():
                    if index < done:
                        continue
                    done = index + 1
                    for block in self._content(index, entry, position):
                        position += len(block)
                        yield block
                return
            except (MayakError, MemoryError):
                raise
            except Exception as fault:  # noqa: BLE001 - of libarchive, or of what it was given
                if done == begun:  # it does not get past this header
                    for index in range(done, len(self._files)):
                        self._faults[index] = _text(fault)
                    return
                self._faults[done - 1] = _text(fault)

    def _content(self, index: int, entry: Any, position: int) -> Iterator[bytes]:  # noqa: ANN401
        """Yield the content of a file, and note where it is if it is as the header states."""
        file = self._files[index]
        if file.is_folder or file.is_encrypted or file.unread or file.copy_of is not None:
            return
        checksum = size = 0
        digest = Blake2sp()
        for block in entry.get_blocks():
            size, checksum = size + len(block), zlib.crc32(block, checksum)
            if file.digest is not None:
                digest.update(block)
            if size > file.size:
                raise ValueError("its content is longer than its header states")
            yield block
        is_same = file.checksum in (None, checksum) and file.digest in (None, digest.digest())
        if size != file.size or not is_same:
            raise ValueError("its content does not match its checksum")
        self._starts[index] = position

    def _listed(self) -> Iterator[tuple[int, Any]]:
        """Yield libarchive's entries, with the number of the file that each is."""
        import libarchive

        form = "rar5" if self._packed.read_at(0, 8) == MARK_5 else "rar"
        stream = _Whole(stream_of(self._packed.read_at, self._packed.size))
        with libarchive.stream_reader(stream, form, block_size=1 << 16) as archive:
            yield from enumerate(archive)
        if stream.fault is not None:
            raise stream.fault


class _Whole:
    """A stream for libarchive, into which no error may go through C: it ends there, with
    ``fault``."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner
        self.fault: Exception | None = None

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - of ctypes
        try:
            return self._inner.readinto(buffer)  # type: ignore[attr-defined, no-any-return]
        except Exception as fault:  # noqa: BLE001
            self.fault = fault
            return 0

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._inner.seek(offset, whence)
        except Exception as fault:  # noqa: BLE001
            self.fault = fault
            return -1

    def tell(self) -> int:
        return self._inner.tell()


def _text(fault: Exception) -> str:
    """Return a fault without the address in memory that libarchive's binding adds."""
    return str(getattr(fault, "msg", fault))


def _first_name(name: str) -> str | None:
    """Return the name of the first piece, for that of a later one."""
    if match := _NEW_NAME.fullmatch(name):
        number = f"{1:0{len(match[2])}}"
        return match[1] + number + match[3] if int(match[2]) > 1 else None
    if match := _OLD_NAME.fullmatch(name):
        return f"{match[1]}.rar"
    return None


def _later_names(name: str, *, new: bool) -> Iterator[str]:
    """Yield the names that the pieces after the first one should have."""
    if new and (match := _NEW_NAME.fullmatch(name)):
        start, width = int(match[2]) + 1, len(match[2])
        yield from (f"{match[1]}{number:0{width}}{match[3]}" for number in count(start))
    stem = name.rpartition(".")[0]
    for number in range(900):
        yield f"{stem}.{chr(ord('r') + number // 100)}{number % 100:02}"


def _require_libarchive(path: EvidencePath) -> None:
    """Raises NotReadError: the library or its binding is not installed."""
    try:
        with library_for(path, "RAR"):
            import libarchive  # noqa: F401
    except (OSError, TypeError, AttributeError) as exc:
        if isinstance(exc, MayakError):
            raise
        reason = msg("is a RAR archive; libarchive, which reads it, is not installed")
        raise NotReadError(path, reason, msg("install libarchive 3.6 or newer")) from exc


def _open(file: ContainerFile, path: EvidencePath, limits: Limits) -> Container:
    _require_libarchive(path)
    data = file.data()
    with translated(path):
        pieces = [parse(data, limits.members)]
    if pieces[0].is_encrypted:
        reason = msg("is a RAR archive whose list of files is encrypted")
        remedy = msg("unpack a copy of it with another program")
        raise NotReadError(path, reason, remedy, OutcomeReason.ENCRYPTED)
    name = path.name.rpartition("/")[2]
    first = _first_name(name)
    if first is not None and pieces[0].is_one_of_several and file.beside(first) is None:
        raise missing_piece(file.on_disk or Path(path.name), first)
    parts, others, missing = [data], [], ""
    later = _later_names(name, new=pieces[0].has_new_names)
    while pieces[-1].follows and len(pieces[-1].files) <= limits.members:
        missing = next(later, "")
        found = file.beside(missing) if missing else None
        if found is None:
            break
        missing = ""
        parts.append(found.data())
        others.append(found.path)
        with translated(path):
            pieces.append(parse(parts[-1], limits.members))
    whole = JoinedRar(parts) if len(parts) > 1 else data
    return RarContainer(whole, path, limits, pieces, frozenset(others), missing)


FORMAT = ContainerFormat((RAR,), _open, first_file=_first_name)
