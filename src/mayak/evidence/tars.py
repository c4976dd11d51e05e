"""TAR, compressed or not, read in place."""

from __future__ import annotations

import bz2
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, cast

from mayak.errors import EvidenceError
from mayak.evidence.reader import (
    BZIP2,
    GZIP,
    PACKED,
    Limits,
    decode_name,
    decompressed,
    failure,
    gap,
    moment,
)
from mayak.evidence.streams import BUFFER, CHUNK, Bytes, Unpacked, guarded, stream_of, translated
from mayak.i18n import msg
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes


class TarReader:
    """A TAR's members, in the order in which they lie.

    A compressed TAR is unpacked to a temporary file first: its members are read in any order. Of
    one that breaks off there is what came before.
    """

    def __init__(self, data: Bytes, path: EvidencePath, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._copy: Unpacked | None = None
        self._fault: Exception | None = None
        head = data.read_at(0, 16)
        if head.startswith(PACKED):
            packed = stream_of(data.read_at, data.size)
            with translated(path), _unpacking(packed, head) as inner:
                stream = _AsFarAsItGoes(inner)
                self._copy = Unpacked(cast(BinaryIO, stream), partial(self._check, data.size))
                self._fault = stream.fault
        self._data: Bytes = self._copy or data

    def _check(self, packed: int, unpacked: int) -> None:
        if reason := self._limits.too_much(unpacked, packed):
            raise LimitExceededError(self._path, reason)

    def items(self) -> Iterator[EvidenceEntry | Failure]:
        # Where the files lie to which hard links may lead.
        files: dict[str, int] = {}
        # Links whose file has not come: it may come later, as where an archive was appended to.
        waiting: list[tuple[tarfile.TarInfo, EvidencePath]] = []
        if self._fault is not None:
            reason = f"cannot be unpacked beyond {self._data.size} bytes: {self._fault}"
            yield gap(self._path, "Damaged", reason)
        yield from self._walked(files, waiting)
        for member, _ in reversed(waiting):  # of links that lead to one another, too
            if member.linkname in files:
                files.setdefault(member.name, files[member.linkname])
        for member, path in waiting:
            yield self._entry(files, member, path)

    def _walked(
        self, files: dict[str, int], waiting: list[tuple[tarfile.TarInfo, EvidencePath]]
    ) -> Iterator[EvidenceEntry | Failure]:
        """The members as they lie, but for the links that wait."""
        seen: set[str] = set()
        count = 0
        try:
            tar = self._tar()
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                count += 1
                if count > self._limits.members:
                    reason = f"has more than {self._limits.members} members"
                    yield gap(self._path, "LimitExceeded", reason)
                    return
                raw_name = member.name.encode("utf-8", "surrogateescape")
                name, raw = decode_name(raw_name)
                if not member.isdir():
                    path = self._path.child("file", name, raw, count if name in seen else 0)
                    seen.add(name)
                    if member.islnk() and member.linkname not in files:
                        waiting.append((member, path))
                    else:
                        yield self._entry(files, member, path)
                if _is_file(member):
                    files[member.name] = member.offset
                elif member.islnk() and member.linkname in files:
                    files[member.name] = files[member.linkname]
            # tarfile takes a broken header, and the end of the first of several, for the end.
            if self._fault is None and self._more(tar.offset):
                reason = f"has content after member {count} that is no member"
                yield gap(self._path, "Damaged", reason)
        except (tarfile.TarError, OSError, ValueError) as exc:
            if self._fault is None:
                reason = f"cannot be read past member {count}: {exc}"
                yield gap(self._path, "Damaged", reason)

    def _member(self, offset: int) -> tarfile.TarInfo:
        """The member whose header begins at an offset."""
        rest = stream_of(self._data.read_at, self._data.size - offset, offset)
        with tarfile.open(
            fileobj=rest, mode="r:", encoding="utf-8", errors="surrogateescape"
        ) as tar:
            member = tar.next()
        assert member is not None  # noqa: S101 - it was read there before
        member.offset_data += offset
        return member

    def _more(self, offset: int) -> bool:
        while block := self._data.read_at(offset, CHUNK):
            if block.strip(b"\0"):
                return True
            offset += len(block)
        return False

    def _tar(self) -> tarfile.TarFile:
        return tarfile.open(
            fileobj=stream_of(self._data.read_at, self._data.size),
            mode="r:",
            encoding="utf-8",
            errors="surrogateescape",
        )

    def _entry(
        self, files: dict[str, int], member: tarfile.TarInfo, path: EvidencePath
    ) -> EvidenceEntry | Failure:
        if member.issym():
            reason = f"is a symbolic link to {member.linkname!a}, which is not followed"
            return failure(path, "SymbolicLink", reason)
        target = member
        if member.islnk():
            if member.linkname not in files:
                reason = f"is a hard link to {member.linkname!a}, which is no file of the archive"
                return failure(path, "Damaged", reason)
            target = self._member(files[member.linkname])
        if not _is_file(target):
            return failure(path, "SpecialFile", "is a device or pipe")
        if not target.issparse() and target.offset_data + target.size > self._data.size:
            return failure(path, "Damaged", "is cut off: the archive ends before it does")
        return EvidenceEntry(
            path, target.size, partial(self._open, target), FileTimes(moment(member.mtime))
        )

    def _open(self, member: tarfile.TarInfo) -> BinaryIO:
        if not member.issparse():
            return stream_of(self._data.read_at, member.size, member.offset_data)
        with translated():
            inner = self._tar().extractfile(member)
            assert inner is not None  # noqa: S101 - only links and devices give None
            return guarded(inner)

    def close(self) -> None:
        if self._copy is not None:
            self._copy.close()


def _is_file(member: tarfile.TarInfo) -> bool:
    """Whether a member has content; by POSIX also those of a type that is not known."""
    return member.isreg() or member.type not in tarfile.SUPPORTED_TYPES


def _unpacking(packed: BinaryIO, head: bytes) -> BinaryIO:
    """As ``decompressed``, but what follows the end is a fault of any compression, not of gzip's
    alone."""
    if head.startswith(GZIP):
        return decompressed(packed, head)
    made = bz2.BZ2Decompressor if head.startswith(BZIP2) else lzma.LZMADecompressor
    return cast(BinaryIO, io.BufferedReader(_Unpacking(packed, made), BUFFER))


class _Unpacking(io.RawIOBase):
    """What bzip2 or xz streams, one after the other, unpack to."""

    def __init__(
        self, packed: BinaryIO, made: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
    ) -> None:
        self._packed = packed
        self._made = made
        self._inner = made()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._inner.eof:
                rest = self._inner.unused_data
                while not (left := rest.lstrip(b"\0")):  # zeros may fill up the file
                    if not (rest := self._packed.read(BUFFER)):
                        return 0
                self._inner, self._rest = self._made(), left
            if self._inner.needs_input:
                block, self._rest = self._rest or self._packed.read(BUFFER), b""
                if not block:
                    raise EOFError("Compressed file ended before the end-of-stream marker")
            else:
                block = b""
            if part := self._inner.decompress(block, len(buffer)):
                buffer[: len(part)] = part
                return len(part)


class _AsFarAsItGoes:
    """A decompressor that ends where it breaks off; ``fault`` says why."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner = cast(io.BufferedIOBase, inner)
        self.fault: Exception | None = None

    def read(self, size: int) -> bytes:
        try:
            # What ``read`` gathers before a fault is lost with it.
            return b"" if self.fault else self._inner.read1(size)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as fault:
            self.fault = fault
            return b""


class LimitExceededError(EvidenceError):
    """A container that unpacks to more than is allowed: its path and ``reason``."""

    def __init__(self, path: EvidencePath, reason: str) -> None:
        super().__init__(
            msg("{path} {reason}", path=path, reason=reason),
            remedy=msg("unpack a copy into a folder"),
        )
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        return (EvidenceError, (str(self),))
