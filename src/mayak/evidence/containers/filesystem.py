"""One file system inside a disk: its files, live and deleted, with TSK."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from threading import Lock
from typing import BinaryIO

from mayak.evidence.base import container_gap, decode_name, entry_failure, from_unix_time
from mayak.evidence.containers import tsk
from mayak.evidence.containers.ext import Inodes
from mayak.evidence.containers.tsk import FAULTS, Tsk, is_free, is_in_use
from mayak.evidence.streams import stream_of, translated
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes

_FILE_NAME_ATTRIBUTE = 48
_FIRST_NTFS_USER_RECORD = 24
_NTFS_ROOT_USES = 5
_FIRST_EXT_USER_RECORD = 11
# ext4's superblock, its numbers little-endian:
# https://docs.kernel.org/filesystems/ext4/globals.html
_EXT_FEATURES = 0x60
_EXT_META_BG, _EXT_ENCRYPT = 0x10, 0x10000
_EXT_OWN_FILES = (0x26C, 0x280)
"""Where the superblock names inodes that are in no folder: project quotas, the list of orphans."""
_RECORD_BITS = 48
"""No file system's record numbers have more; the bits above them count the entries of the same
name and record, from the third on."""


class FileSystem:
    """The files of one file system."""

    def __init__(
        self,
        system: Tsk,
        path: EvidencePath,
        lock: Lock,
        read: Callable[[int, int], bytes],
        inodes: Inodes | None,
        plain: Callable[[], Tsk],
    ) -> None:
        """``read`` gives bytes of the volume; ``inodes`` are those of ext, and ``plain`` mounts it
        for reading content."""
        self._system = system
        self._path = path
        self._lock = lock
        self._read = read
        self._kind = system.info.ftype
        self._ntfs = self._kind == tsk.NTFS
        self._fat = self._kind in tsk.FAT_TYPES
        self._inodes = inodes if self._kind in tsk.EXT_TYPES else None
        self._plain = plain
        self._content: Tsk | None = None if self._inodes else system
        features = self._inodes.number(_EXT_FEATURES) if self._inodes else 0
        self._encrypts = bool(features & _EXT_ENCRYPT)
        self._scattered = bool(features & _EXT_META_BG)
        self._records: set[int] = set()
        # Record number → path and, on NTFS, the count of the record's uses that its children name.
        self._folders: dict[int, tuple[bytes, int]] = {}
        # Hashes of the locations given out; the names themselves would be much more.
        self._given: set[int] = set()
        self._repeats = count(1)
        # Deleted names of records in use.
        self._unsettled: list[tuple[bytes, int]] = []

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        root = int(self._system.info.root_inum)
        if self._ntfs and (file := self._record(root)) is not None:
            yield from self._streams(file, b"", False)
        yield from self._walk(root, b"", _NTFS_ROOT_USES)
        if self._encrypts and self._scattered:
            # Where their inodes are was not tried with such a volume.
            yield container_gap(
                self._path, "Encrypted", "encrypts files of its own, which ones is not known"
            )
        nameless: list[tuple[bytes, int]] = []
        if self._inodes:
            nameless = yield from self._nameless()
        yield from self._settled()
        for name, number in nameless:
            if number not in self._records and (file := self._record(number)) is not None:
                yield from self._file(file, name, not int(file.info.meta.nlink))
        if self._ntfs:
            yield from self._sweep()

    def _walk(self, folder: int, path: bytes, uses: int) -> Iterator[EvidenceEntry | Failure]:
        """What lies below a folder."""
        stack = [(folder, path)]
        self._folders[folder] = (path, uses)
        while stack:
            number, prefix = stack.pop()
            below: list[tuple[int, bytes]] = []
            try:
                if self._inodes and (size := self._inodes.hidden_size(number)):
                    raise OSError(f"it states a size of {size} bytes")
                with self._lock:
                    entries = iter(self._system.open_dir(inode=number))
                while True:
                    with self._lock:
                        entry = next(entries, None)
                    if entry is None:
                        break
                    yield from self._entry(entry, prefix, below)
            except FAULTS as exc:
                reason = f"folder cannot be read: {exc}"
                if prefix:
                    yield entry_failure(self._at(prefix.rstrip(b"/"), number), "Unreadable", reason)
                else:
                    yield container_gap(self._path, "Unreadable", reason)
            stack.extend(reversed(below))

    def _record(self, number: int) -> Tsk | None:
        """A file by its record number, where there is such a record and it can be read."""
        with suppress(*FAULTS), self._lock:
            file = self._system.open_meta(number)
            return None if file.info.meta is None else file
        return None

    def _numbers(self, first: int, least: int) -> range:
        """The numbers of all records from the first on, each of so many bytes at least.

        Damage may make billions of them, which there is no room for.
        """
        info = self._system.info
        room = (int(info.last_block_act) + 1) * int(info.block_size) // least
        return range(first, min(int(info.last_inum), room))

    def _at(self, name: bytes, number: int, deleted: bool = False) -> EvidencePath:
        """A location that nothing else of the volume has.

        A deleted entry's is marked with its record number, and so is one whose name, by damage or
        by malice, stands there twice: two files at one location would count as one.
        """
        text, raw = decode_name(name)
        return self._path.child("file", text, raw, self._mark(name, number, deleted))

    def _mark(self, name: bytes, number: int, deleted: bool = False) -> int:
        for mark in (number,) if deleted else (0, number):
            digest = hashlib.blake2b(b"%d/%s" % (mark, name), digest_size=8).digest()
            if (key := int.from_bytes(digest)) not in self._given:
                self._given.add(key)
                return mark
        return next(self._repeats) << _RECORD_BITS | number

    def _entry(
        self, entry: Tsk, prefix: bytes, below: list[tuple[int, bytes]]
    ) -> Iterator[EvidenceEntry | Failure]:
        name = entry.info.name
        text = bytes(name.name)
        if text in (b".", b".."):
            return
        number = int(name.meta_addr)
        unlinked = tsk.is_deleted_name(name)
        meta = entry.info.meta
        # NTFS leaves the record of a deleted name to be opened by its number.
        if meta is None and number and (file := self._record(number)) is not None:
            entry, meta = file, file.info.meta
        full = prefix + text
        if meta is None:
            yield self._lost(full, number, unlinked, "its record is gone")
            return
        if meta.type in tsk.FOLDERS:
            # The sweep names NTFS's orphans better. A folder seen before is a cycle.
            virtual = meta.type == tsk.VIRTUAL_FOLDER
            reused = unlinked and is_in_use(meta)
            if number not in self._folders and not (virtual and self._ntfs) and not reused:
                self._folders[number] = (full + b"/", int(name.meta_seq))
                below.append((number, full + b"/"))
                if self._ntfs and not (unlinked and self._reused(name, meta)):
                    self._records.add(number)
                    yield from self._streams(entry, full, unlinked)
            return
        # TSK's own inventions, and FAT's label, are no files.
        if meta.type == tsk.VIRTUAL_FILE:
            return
        # Files may be named so, or carry a label's attribute; a label lies in the root, empty.
        label = self._fat and text.endswith(b" (Volume Label Entry)")
        if label and not prefix and not int(meta.size):
            return
        if unlinked and self._reused(name, meta):
            yield self._lost(full, number, unlinked, "its record serves another file now")
            return
        if unlinked and is_in_use(meta):
            self._unsettled.append((full, number))
            return
        self._records.add(number)
        yield from self._file(entry, full, unlinked)

    def _settled(self) -> Iterator[EvidenceEntry | Failure]:
        """Deleted names of records in use. Another name may have the record now; if the walk met
        none, the file was deleted while it was open, or its folder is damaged."""
        found = set()
        for name, number in self._unsettled:
            if number in self._records:
                yield self._lost(name, number, True, "its record serves another file now")
            elif (file := self._record(number)) is not None:
                found.add(number)
                yield from self._file(file, name, True)
            else:
                where = self._at(name, number, deleted=True)
                yield entry_failure(where, "Unreadable", "was deleted; its record cannot be read")
        self._records |= found

    def _reused(self, name: Tsk, meta: Tsk) -> bool:
        """Whether NTFS tells that a deleted name's record has been used again."""
        # It counts a record's uses: deleting adds one, each later use another.
        uses = int(meta.seq) - int(name.meta_seq)
        return self._ntfs and uses > (0 if is_in_use(meta) else 1)

    def _lost(self, name: bytes, number: int, unlinked: bool, why: str) -> Failure:
        if unlinked:
            where = self._at(name, number, deleted=True)
            return entry_failure(where, "DeletedWithoutContent", f"was deleted; {why}")
        # Its name may be another file's as well, and is left to that.
        text, raw = decode_name(name)
        where = self._path.child("file", text, raw, self._mark(b"\0" + name, number))
        return container_gap(where, "Damaged", f"is listed, but {why}")

    def _file(self, file: Tsk, name: bytes, unlinked: bool) -> Iterator[EvidenceEntry | Failure]:
        meta = file.info.meta
        number = int(meta.addr)
        deleted = unlinked or is_free(meta)
        path = self._at(name, number, deleted)
        if meta.type == tsk.SYMBOLIC_LINK:
            yield entry_failure(path, "SymbolicLink", "is a symbolic link, which is not followed")
            return
        if meta.type in tsk.SPECIAL:
            yield entry_failure(path, "SpecialFile", "is a device, pipe or socket")
            return
        size = int(meta.size)
        if not size and self._inodes:
            size = self._inodes.hidden_size(number)
        streams: list[EvidenceEntry] = []
        if self._ntfs and number >= _FIRST_NTFS_USER_RECORD:
            streams = self._streams(file, name, deleted)
        if deleted and size == 0 and not streams:
            yield entry_failure(path, "DeletedWithoutContent", "was deleted; its size is 0")
            return
        if (
            size
            and self._inodes
            and self._encrypts
            and not self._scattered
            and self._inodes.is_encrypted(number)
        ):
            yield entry_failure(path, "Encrypted", "is encrypted by its file system")
            return
        yield self._item(meta, path, size, deleted, None)
        yield from streams

    def _item(
        self,
        meta: Tsk,
        path: EvidencePath,
        size: int,
        deleted: bool,
        stream: tuple[Tsk, int] | None,
    ) -> EvidenceEntry:
        times = (
            self._time(int(getattr(meta, kind)), int(getattr(meta, f"{kind}_nano")))
            for kind in ("mtime", "crtime", "atime")
        )
        modified, created, accessed = times
        return EvidenceEntry(
            path,
            size,
            partial(self._open, int(meta.addr), size, stream),
            FileTimes(modified, created, accessed, zone_known=not self._fat),
            deleted,
        )

    def _time(self, seconds: int, nanoseconds: int) -> datetime | None:
        if self._fat and seconds:
            # TSK took the wall clock for this machine's zone; take that back.
            with suppress(OSError, OverflowError, ValueError):
                return datetime.fromtimestamp(seconds).replace(tzinfo=UTC)
            return None
        return from_unix_time(seconds, nanoseconds)

    def _streams(self, file: Tsk, name: bytes, deleted: bool) -> list[EvidenceEntry]:
        """NTFS's named streams of a file or folder."""
        meta = file.info.meta
        deleted = deleted or is_free(meta)
        found = []
        with suppress(*FAULTS), self._lock:
            for attribute in file:
                info = attribute.info
                if info.type == tsk.NTFS_DATA and info.name:
                    path = self._at(name + b":" + bytes(info.name), int(meta.addr), deleted)
                    key = (info.type, int(info.id))
                    found.append(self._item(meta, path, int(info.size), deleted, key))
        return found

    def _open(self, number: int, size: int, stream: tuple[Tsk, int] | None) -> BinaryIO:
        if self._inodes and self._inodes.hidden_size(number):
            return stream_of(self._inodes.content(number, size), size)
        with translated(), self._lock:
            self._content = self._content or self._plain()
            file = self._content.open_meta(number)

        def read_at(offset: int, length: int) -> bytes:
            with self._lock:
                if stream is None:
                    return bytes(file.read_random(offset, length))
                return bytes(file.read_random(offset, length, *stream))

        return stream_of(read_at, size)

    def _nameless(self) -> Generator[EvidenceEntry | Failure, None, list[tuple[bytes, int]]]:
        """What lies in ext's folders that are in use and that no folder names, and a list of such
        files: deleted while they were open, or named by a folder that is damaged.

        What is neither in use nor named, TSK itself lists.
        """
        files = []
        unread = 0
        own = [self._inodes.number(at) for at in _EXT_OWN_FILES] if self._inodes else []
        for number in self._numbers(_FIRST_EXT_USER_RECORD, 128):
            if number in self._records or number in self._folders or number in own:
                continue
            try:
                with self._lock:
                    meta = self._system.open_meta(number).info.meta
            except OSError:
                continue
            except RuntimeError:
                unread += 1
                continue
            if meta is None or not is_in_use(meta):
                continue
            name = b"$OrphanFiles/OrphanFile-%d" % number
            if meta.type == tsk.FOLDER:
                yield from self._walk(number, name + b"/", 0)
            elif meta.type == tsk.REGULAR:
                files.append((name, number))
        if unread:
            reason = (
                f"{unread} of its inodes cannot be read: files that no folder names are missing"
            )
            yield container_gap(self._path, "Unreadable", reason)
        return files

    def _sweep(self) -> Iterator[EvidenceEntry | Failure]:
        """NTFS records that no folder names: deleted ones, and those of damaged folders."""
        mft = self._record(0)
        for number in self._numbers(_FIRST_NTFS_USER_RECORD, 512):
            if number in self._records:
                continue
            try:
                with self._lock:
                    file = self._system.open_meta(number)
            except OSError:
                # A record never used, or wiped: there is no name to speak of.
                continue
            except RuntimeError as exc:
                where = self._at(b"$OrphanFiles/record-%d" % number, number)
                yield entry_failure(where, "Unreadable", f"record cannot be read: {exc}")
                continue
            meta = file.info.meta
            if meta is None or (is_in_use(meta) and self._continues(mft, number)):
                continue
            name = self._orphan_name(file)
            full = name or b"$OrphanFiles/record-%d" % number
            if meta.type in tsk.FOLDERS:
                yield from self._streams(file, full, False)
            elif meta.type == tsk.REGULAR and (name or int(meta.size)):
                # Neither name nor content: a record laid out in advance and never used.
                yield from self._file(file, full, False)

    def _continues(self, mft: Tsk | None, number: int) -> bool:
        """Whether an NTFS record holds what did not fit into that of a file: TSK shows it as a file
        of its own."""
        (size,) = struct.unpack("<b", self._read(64, 1) or b"\0")
        # Bytes as a power of two, or clusters.
        length = 1 << -size if size < 0 else size * int(self._system.info.block_size)
        with suppress(*FAULTS), self._lock:
            # The record that it belongs to.
            return mft is not None and any(mft.read_random(number * length + 32, 8))
        return False

    def _orphan_name(self, file: Tsk) -> bytes:
        # A record may hold a short DOS name (namespace 2) beside the long one.
        best = b""
        with suppress(*FAULTS), self._lock:
            for attribute in file:
                if int(attribute.info.type) != _FILE_NAME_ATTRIBUTE:
                    continue
                kind, key, size = attribute.info.type, int(attribute.info.id), attribute.info.size
                body = bytes(file.read_random(0, int(size), kind, key))
                if len(body) < 66 or (best and body[65] == 2):
                    continue
                text = body[66 : 66 + 2 * body[64]].decode("utf-16-le", "backslashreplace")
                parent = int.from_bytes(body[:6], "little")
                uses = int.from_bytes(body[6:8], "little")
                folder, now = self._folders.get(parent, (b"", -1))
                # Another folder may have the record now: a guess would put the file there.
                prefix = folder if uses == now else b"$OrphanFiles/"
                best = prefix + text.encode("utf-8")
        return best
