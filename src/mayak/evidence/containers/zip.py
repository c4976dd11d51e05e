"""ZIP, read in place: its directory is read entry by entry, however many members it lists.

The bytes that belong neither to the directory nor to its members are accounted for, too: members
that the directory does not name are listed under ``UNLISTED``, and of other bytes there is a
Failure with their number.
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
from array import array
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO

import numpy as np

from mayak.errors import EvidenceError
from mayak.evidence.base import (
    Container,
    ContainerFile,
    ContainerFormat,
    Limits,
    container_gap,
    decode_name,
    entry_failure,
)
from mayak.evidence.containers.ufdr import with_report
from mayak.evidence.containers.zip_content import content, refusal
from mayak.evidence.containers.zip_encryption import is_encrypted
from mayak.evidence.containers.zip_records import (
    LOCAL,
    Directory,
    Member,
    last_directory,
    members_of,
)
from mayak.evidence.containers.zip_recovery import MIN_REGION, Extents, is_bomb, unlisted_members
from mayak.evidence.containers.zip_split import SplitZip, joined, last_piece
from mayak.evidence.streams import Bytes, stream_of, translated
from mayak.signatures import AFF4, CONVERT, ZIP
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason

UNLISTED = "[unlisted]/"
"""Prefix of the name of a member that no entry of the ZIP's directory names."""
_AFF4_MEMBER = b"information.turtle"
"""In each AFF4 image (AFF4 Standard 1.0), which is a ZIP."""
_UNIX = 3
_WITH_BACKSLASH = {_UNIX, 19}
"""Systems on which a file's name may contain a backslash: Unix and macOS, by APPNOTE 4.4.2.2's
numbers for the system that an entry was made on."""
_LONGEST_TARGET = 4096
"""Bytes of a path on Linux, and so of the content of a symbolic link."""


class ZipContainer(Container):
    """A ZIP's members, by its central directory, and those that it does not name."""

    random_access = False

    def __init__(
        self, data: Bytes, path: EvidencePath, limits: Limits, passwords: tuple[str, ...] = ()
    ) -> None:
        """Raises EvidenceError if there is neither a directory nor a member."""
        self._data = data
        self._path = path
        self._limits = limits
        self._passwords = list(passwords)
        self.medium = data if isinstance(data, SplitZip) else None
        self._directory: Directory | None = None
        self._is_aff4 = False
        with translated(path):
            try:
                self._read_directory(data.disks if isinstance(data, SplitZip) else (0,))
            except zipfile.BadZipFile as fault:
                # As after an interrupted extraction: the directory is written last.
                self._fault = fault
                if not any(isinstance(found, Member) for found in self._without_directory()):
                    raise

    def _without_directory(self) -> Iterator[Member | int]:
        return unlisted_members(self._data, self._limits, [(0, self._data.size)], 0)

    def _read_directory(self, disks: tuple[int, ...]) -> None:
        """Raises BadZipFile if the directory is missing or damaged."""
        data, limits = self._data, self._limits
        directory = last_directory(data, 0, data.size, disks)
        extents = Extents(data, 0, data.size)
        names = array("Q")
        unpacked = 0
        backslashed = slashed = False
        for member in members_of(data, directory):
            # A member that is refused itself is not unpacked, and costs the others nothing.
            if not limits.too_much(member.size, member.packed):
                unpacked += member.size
            names.append(_name_key(member))
            extents.add(member)
            self._is_aff4 = self._is_aff4 or member.name == _AFF4_MEMBER
            slashed = slashed or b"/" in member.name
            backslashed = backslashed or (
                b"\\" in member.name and member.system not in _WITH_BACKSLASH
            )
        self._unpacked = unpacked
        # APPNOTE asks for "/" between folders, but some programs for Windows write "\". In other
        # ZIPs it may be part of a name.
        self._backslashed = backslashed and not slashed
        self._count = len(names)
        # Not the names themselves: there may be millions, and hardly any is there twice.
        keys, times = np.unique(np.frombuffer(names, dtype=np.uint64), return_counts=True)
        self._repeated: frozenset[int] = frozenset(keys[times > 1].tolist())
        del names, keys, times
        self._unused = extents.unused(directory.records)
        self._directory = directory

    def covers(self, path: EvidencePath) -> bool:
        return isinstance(self._data, SplitZip) and path in self._data.paths

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        if self._directory is None:
            yield from self._recovered()
            return
        if self._count > self._limits.members:
            reason = f"has {self._count} members, more than {self._limits.members}"
            yield container_gap(self._path, OutcomeReason.LIMIT_EXCEEDED, reason)
            return
        # Members that overlap on disk unpack to far more than the archive could hold.
        if is_bomb(self._data, self._limits, self._unpacked):
            yield container_gap(
                self._path,
                OutcomeReason.LIMIT_EXCEEDED,
                f"{self._data.size} bytes claim to unpack to {self._unpacked}: taken for a bomb",
            )
            return
        seen: set[int] = set()
        with translated():
            for position, member in enumerate(members_of(self._data, self._directory), 1):
                name, raw = self._name(member)
                again = False
                if self._repeated and (key := _name_key(member)) in self._repeated:
                    again = key in seen
                    seen.add(key)
                if not name.endswith("/") or member.has_content:
                    path = self._path.child("file", name, raw, position if again else 0)
                    yield self._entry(member, path)
        if self._is_aff4:
            reason = f"is an AFF4 image, whose disk or large files are not read: {CONVERT!s}"
            yield container_gap(self._path, OutcomeReason.UNSUPPORTED, reason, AFF4)
        # Many programs write only the last 16 bits of it.
        if (self._count - self._directory.stated) % 0x10000:
            reason = f"lists {self._count} members, of {self._directory.stated} by its end record"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)
        if self._unused:
            with translated():
                yield from self._unlisted()

    def _name(self, member: Member) -> tuple[str, bytes | None]:
        """Return a member's name with "/" between folders, and its bytes if they differ."""
        name, raw = decode_name(member.name)
        if self._backslashed and "\\" in name:
            return name.replace("\\", "/"), member.name
        return name, raw

    def _unlisted(self) -> Iterator[EvidenceEntry | Failure]:
        """Yield the members that the directory does not name, and the number of bytes that are
        none."""
        unexplained = 0
        position = self._count
        for found in unlisted_members(self._data, self._limits, self._unused, self._unpacked):
            if isinstance(found, int):
                unexplained += found
                continue
            position += 1
            if position > self._limits.members:
                reason = f"has more than {self._limits.members} members, with those not listed"
                yield container_gap(self._path, OutcomeReason.LIMIT_EXCEEDED, reason)
                return
            name, raw = self._name(found)
            raw = None if raw is None else UNLISTED.encode() + raw
            # The numbers continue those of the directory, so that no two paths are the same.
            yield self._entry(found, self._path.child("file", UNLISTED + name, raw, position))
        if unexplained >= MIN_REGION:
            reason = f"{unexplained} bytes that no entry of the directory names"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def _recovered(self) -> Iterator[EvidenceEntry | Failure]:
        """Yield the members by their own headers."""
        reason = (
            f"{self._fault}: its members are listed by their own headers, and any after its end "
            "are missing"
        )
        yield container_gap(self._path, OutcomeReason.DAMAGED, reason)
        seen: set[int] = set()
        unpacked = lost = 0
        with translated():
            for found in self._without_directory():
                if isinstance(found, int):
                    lost += found
                    continue
                unpacked += found.size
                if len(seen) == self._limits.members or is_bomb(self._data, self._limits, unpacked):
                    reason = f"has more than {len(seen)} members, or they unpack to too much"
                    yield container_gap(self._path, OutcomeReason.LIMIT_EXCEEDED, reason)
                    return
                name, raw = decode_name(found.name)
                serial = found.offset if (key := _name_key(found)) in seen else 0
                seen.add(key)
                yield self._entry(found, self._path.child("file", name, raw, serial))
        if lost >= MIN_REGION:
            reason = f"{lost} bytes that belong to no whole member"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def _entry(self, member: Member, path: EvidencePath) -> EvidenceEntry | Failure:
        # Only Unix writes a mode; on other systems these bits mean something else.
        mode = member.attributes >> 16 if member.system == _UNIX else 0
        if stat.S_ISLNK(mode) and max(member.size, member.packed) <= _LONGEST_TARGET:
            return entry_failure(
                path, OutcomeReason.SYMBOLIC_LINK, "is a symbolic link, which is not followed"
            )
        # A member that was packed from a pipe (``zip - -``) has the pipe's mode and its content.
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG) and not member.size and not member.packed:
            return entry_failure(path, OutcomeReason.SPECIAL_FILE, "is a device, pipe or socket")
        if member.has_content and not member.size:
            reason = f"says that it is empty, but has {member.packed} packed bytes"
            return entry_failure(path, OutcomeReason.DAMAGED, reason)
        if self._directory is None and member.end > self._data.size:
            reason = "is cut off: the archive ends before it does"
            return entry_failure(path, OutcomeReason.DAMAGED, reason)
        if bomb := self._limits.too_much(member.size, member.packed):
            return entry_failure(path, OutcomeReason.LIMIT_EXCEEDED, bomb)
        if refused := refusal(member, self._passwords, partial(self._packed, member)):
            return entry_failure(path, *refused)
        self.opened_with_password = self.opened_with_password or is_encrypted(member)
        return EvidenceEntry(path, member.size, partial(self._open, member), member.times())

    def _open(self, member: Member) -> BinaryIO:
        with translated():
            return content(member, partial(self._packed, member), self._passwords)

    def _packed(self, member: Member) -> BinaryIO:
        """Return a member's packed bytes. Raises BadZipFile, EvidenceError."""
        inside = 0 <= member.offset < self._data.size
        head = self._data.read_at(member.offset, LOCAL.size) if inside else b""
        if len(head) < LOCAL.size or not head.startswith(b"PK\x03\x04"):
            raise zipfile.BadZipFile("its header is damaged")
        *_, name_length, extra_length = LOCAL.unpack(head)
        start = member.offset + LOCAL.size
        if self._data.read_at(start, name_length) != member.name:
            raise zipfile.BadZipFile("its header and the directory name it differently")
        return stream_of(self._data.read_at, member.packed, start + name_length + extra_length)


def _name_key(member: Member) -> int:
    """Return a hash of a member's decoded name."""
    digest = hashlib.blake2b(member.text.encode(), digest_size=8)
    return int.from_bytes(digest.digest())


def _open(file: ContainerFile, path: EvidencePath, limits: Limits) -> Container | None:
    data = file.data()
    data = joined(file, data) or data
    try:
        container = ZipContainer(data, path, limits, file.choices.passwords)
    except EvidenceError:
        # Only named as a ZIP.
        if ZIP.matches(file.head):
            raise
        return None
    return with_report(container, file, path, limits)


FORMAT = ContainerFormat((ZIP,), _open, first_file=last_piece)
