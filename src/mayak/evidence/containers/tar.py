"""TAR, read in place, or unpacked first if it is compressed."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import BinaryIO

from mayak.evidence.base import (
    Container,
    ContainerFile,
    ContainerFormat,
    Limits,
    NotReadError,
    container_gap,
    decode_name,
    entry_failure,
    from_unix_time,
)
from mayak.evidence.containers.compression import head_of, unpacked_copy
from mayak.evidence.streams import CHUNK, Bytes, Unpacked, guarded, stream_of, translated
from mayak.signatures import COMPRESSED, HEAD, TAR, FileKind
from mayak.signatures.headers import is_tar
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes, OutcomeReason


class TarContainer(Container):
    """A TAR's members, in their order in the archive.

    A compressed TAR is unpacked to a temporary file first, because its members are read in any
    order. If its compression breaks off, the members before that are there.
    """

    def __init__(self, data: Bytes, path: EvidencePath, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._copy: Unpacked | None = None
        self._fault: Exception | None = None
        compression = COMPRESSED.identify(data.read_at(0, HEAD))
        if compression is not None:
            self._copy, self._fault = unpacked_copy(data, compression, path, limits)
        self._data: Bytes = self._copy or data

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        # Offsets of the files to which hard links may lead.
        files: dict[str, int] = {}
        # Links to files that may come later, as they do if an archive was appended to.
        waiting: list[tuple[tarfile.TarInfo, EvidencePath]] = []
        if self._fault is not None:
            reason = f"cannot be unpacked beyond {self._data.size} bytes: {self._fault}"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)
        yield from self._members(files, waiting)
        for member, _ in reversed(waiting):  # links may lead to other links
            if member.linkname in files:
                files.setdefault(member.name, files[member.linkname])
        for member, path in waiting:
            yield self._entry(files, member, path)

    def _members(
        self, files: dict[str, int], waiting: list[tuple[tarfile.TarInfo, EvidencePath]]
    ) -> Iterator[EvidenceEntry | Failure]:
        """Yield the members in their order, and add the links to later ones to ``waiting``."""
        seen: set[str] = set()
        count = 0
        try:
            tar = self._tar()
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                count += 1
                if count > self._limits.members:
                    reason = f"has more than {self._limits.members} members"
                    yield container_gap(self._path, OutcomeReason.LIMIT_EXCEEDED, reason)
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
            if self._fault is None and self._has_more(tar.offset):
                reason = f"has content after member {count} that is not a member"
                yield container_gap(self._path, OutcomeReason.DAMAGED, reason)
        except (tarfile.TarError, OSError, ValueError) as exc:
            if self._fault is None:
                reason = f"cannot be read past member {count}: {exc}"
                yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def _member(self, offset: int) -> tarfile.TarInfo:
        """Return the member whose header begins at an offset."""
        with self._tar(offset) as tar:
            member = tar.next()
        assert member is not None  # noqa: S101 - it was read there before
        member.offset_data += offset
        return member

    def _has_more(self, offset: int) -> bool:
        while block := self._data.read_at(offset, CHUNK):
            if block.strip(b"\0"):
                return True
            offset += len(block)
        return False

    def _tar(self, offset: int = 0) -> tarfile.TarFile:
        rest = stream_of(self._data.read_at, self._data.size - offset, offset)
        return tarfile.open(fileobj=rest, mode="r:", encoding="utf-8", errors="surrogateescape")

    def _entry(
        self, files: dict[str, int], member: tarfile.TarInfo, path: EvidencePath
    ) -> EvidenceEntry | Failure:
        if member.issym():
            reason = f"is a symbolic link to {member.linkname!a}, which is not followed"
            return entry_failure(path, OutcomeReason.SYMBOLIC_LINK, reason)
        target = member
        if member.islnk():
            if member.linkname not in files:
                reason = (
                    f"is a hard link to {member.linkname!a}, which is not a file of the archive"
                )
                return entry_failure(path, OutcomeReason.DAMAGED, reason)
            target = self._member(files[member.linkname])
        if not _is_file(target):
            return entry_failure(path, OutcomeReason.SPECIAL_FILE, "is a device or pipe")
        if not target.issparse() and target.offset_data + target.size > self._data.size:
            reason = "is cut off: the archive ends before it does"
            return entry_failure(path, OutcomeReason.DAMAGED, reason)
        return EvidenceEntry(path, target.size, partial(self._open, target), _times(member))

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


def _times(member: tarfile.TarInfo) -> FileTimes:
    """Return the times of a member, all UTC; those besides modification are in pax records."""
    created, accessed, changed = (
        from_unix_time(_number(member.pax_headers.get(name, "")))
        for name in ("LIBARCHIVE.creationtime", "atime", "ctime")
    )
    return FileTimes(from_unix_time(member.mtime), created, accessed, changed)


def _number(text: str) -> float:
    with suppress(ValueError):
        return float(text)
    return 0


def _is_file(member: tarfile.TarInfo) -> bool:
    """Whether a member has content; by POSIX also those of a type that is not known."""
    return member.isreg() or member.type not in tarfile.SUPPORTED_TYPES


def _holds_tar(file: ContainerFile, compression: FileKind) -> bool:
    """Whether a compressed file unpacks to a TAR."""
    try:
        return is_tar(head_of(file, compression, 512))
    except NotReadError:  # the reader of single files names the library
        return False


FORMAT = ContainerFormat(
    (TAR, *COMPRESSED.rows),
    lambda file, path, limits: TarContainer(file.data(), path, limits),
    holds_files=lambda kind, file: kind is TAR or _holds_tar(file, kind),
)
