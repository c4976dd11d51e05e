"""One file system inside a disk: its files, live and deleted, with TSK."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from threading import Lock
from typing import BinaryIO

from mayak.evidence.base import container_gap, decode_name, entry_failure, from_unix_time
from mayak.evidence.containers import tsk
from mayak.evidence.containers.ext import Inodes
from mayak.evidence.containers.fat import FatStamps
from mayak.evidence.containers.iso9660 import DirectoryRecords
from mayak.evidence.containers.tsk import FAULTS, Tsk, is_free, is_in_use
from mayak.evidence.streams import stream_of, translated
from mayak.types import (
    NO_TIMES,
    EvidenceEntry,
    EvidencePath,
    Failure,
    FileTimes,
    OutcomeReason,
)

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
    """The files of a mounted file system."""

    def __init__(
        self,
        system: Tsk,
        path: EvidencePath,
        lock: Lock,
        read: Callable[[int, int], bytes],
        inodes: Inodes | None,
        mount_plain: Callable[[], Tsk],
    ) -> None:
        """``read`` returns bytes of the volume; ``inodes`` are those of an ext file system, and
        ``mount_plain`` mounts it for reading content."""
        self._system = system
        self._path = path
        self._lock = lock
        self._read = read
        self._kind = system.info.ftype
        self._ntfs = self._kind == tsk.NTFS
        self._fat = self._kind in tsk.FAT_TYPES
        exfat = self._kind == tsk.EXFAT
        sector = int(system.info.block_size)
        self._fat_stamps = FatStamps(read, sector, exfat=exfat) if self._fat else None
        self._iso = DirectoryRecords(read) if self._kind == tsk.ISO9660 else None
        self._inodes = inodes if self._kind in tsk.EXT_TYPES else None
        self._mount_plain = mount_plain
        self._content: Tsk | None = None if self._inodes else system
        features = self._inodes.number(_EXT_FEATURES) if self._inodes else 0
        self._encrypts = bool(features & _EXT_ENCRYPT)
        self._scattered = bool(features & _EXT_META_BG)
        self._records: set[int] = set()
        # Record number → path and, on NTFS, how often the record was used, as its children state.
        self._folders: dict[int, tuple[bytes, int]] = {}
        # Hashes of the paths given out; the names themselves would take much more memory.
        self._given: set[int] = set()
        self._repeats = count(1)
        # Deleted names whose records are in use.
        self._undecided: list[tuple[bytes, int]] = []

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        """Yield every file, live and deleted."""
        # 1. What the folders name.
        root = int(self._system.info.root_inum)
        if self._ntfs and (file := self._record(root)) is not None:
            yield from self._streams(file, b"", False)
        yield from self._walk(root, b"", _NTFS_ROOT_USES)
        if self._encrypts and self._scattered:
            # The layout of their inodes was not tested with such a volume.
            yield container_gap(
                self._path,
                OutcomeReason.ENCRYPTED,
                "encrypts files of its own, which ones is not known",
            )
        # 2. On ext, records in use that no folder names.
        nameless: list[tuple[bytes, int]] = []
        if self._inodes:
            nameless = yield from self._nameless()
        # 3. Deleted names, now that all records in use are known.
        yield from self._decided()
        for name, number in nameless:
            if number not in self._records and (file := self._record(number)) is not None:
                yield from self._file(file, name, not int(file.info.meta.nlink))
        # 4. On NTFS, records that no folder names.
        if self._ntfs:
            yield from self._orphans()

    def _walk(self, folder: int, path: bytes, uses: int) -> Iterator[EvidenceEntry | Failure]:
        """Yield the files below a folder."""
        stack = [(folder, path)]
        root = int(self._system.info.root_inum)
        self._folders[folder] = (path, uses)
        while stack:
            number, prefix = stack.pop()
            below: list[tuple[int, bytes]] = []
            try:
                if self._inodes and (size := self._inodes.hidden_size(number)):
                    raise OSError(f"it states a size of {size} bytes")
                with self._lock:
                    entries = iter(self._system.open_dir(inode=number))
                    if self._iso:
                        folder = self._system.open_meta(number)
                        self._iso.enter(folder, is_root=number == root)
                while True:
                    with self._lock:
                        entry = next(entries, None)
                    if entry is None:
                        break
                    yield from self._entry(entry, prefix, below)
            except FAULTS as exc:
                reason = f"folder cannot be read: {exc}"
                if prefix:
                    yield entry_failure(
                        self._path_of(prefix.rstrip(b"/"), number), OutcomeReason.UNREADABLE, reason
                    )
                else:
                    yield container_gap(self._path, OutcomeReason.UNREADABLE, reason)
            stack.extend(reversed(below))

    def _record(self, number: int) -> Tsk | None:
        """Return the file of a record number, None if there is none or it cannot be read."""
        with suppress(*FAULTS), self._lock:
            file = self._system.open_meta(number)
            return None if file.info.meta is None else file
        return None

    def _numbers(self, first: int, min_size: int) -> range:
        """Return the numbers of all records from the first on, of at least ``min_size`` bytes each.

        A damaged count may name billions, for which there is no room on the volume.
        """
        info = self._system.info
        room = (int(info.last_block_act) + 1) * int(info.block_size) // min_size
        return range(first, min(int(info.last_inum), room))

    def _path_of(self, name: bytes, number: int, deleted: bool = False) -> EvidencePath:
        """Return a path that no other entry of the volume has.

        The path of a deleted entry has its record number as its serial, and so has one whose name
        is there twice, by damage or by malice: two files with one path would count as one.
        """
        text, raw = decode_name(name)
        return self._path.child("file", text, raw, self._serial(name, number, deleted))

    def _serial(self, name: bytes, number: int, deleted: bool = False) -> int:
        for serial in (number,) if deleted else (0, number):
            digest = hashlib.blake2b(b"%d/%s" % (serial, name), digest_size=8).digest()
            if (key := int.from_bytes(digest)) not in self._given:
                self._given.add(key)
                return serial
        return next(self._repeats) << _RECORD_BITS | number

    def _entry(
        self, entry: Tsk, prefix: bytes, below: list[tuple[int, bytes]]
    ) -> Iterator[EvidenceEntry | Failure]:
        name = entry.info.name
        text = bytes(name.name)
        if text in (b".", b".."):
            return
        if self._iso:
            text = self._iso.name(text)
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
            # ``_orphans`` has better names for NTFS's orphans. A folder seen before is a cycle.
            virtual = meta.type == tsk.VIRTUAL_FOLDER
            reused = unlinked and is_in_use(meta)
            if number not in self._folders and not (virtual and self._ntfs) and not reused:
                self._folders[number] = (full + b"/", int(name.meta_seq))
                below.append((number, full + b"/"))
                if self._ntfs and not (unlinked and self._reused(name, meta)):
                    self._records.add(number)
                    yield from self._streams(entry, full, unlinked)
            return
        # Entries that TSK makes up, and FAT's label, are not files.
        if meta.type == tsk.VIRTUAL_FILE:
            return
        # Files may have such a name, or a label's attribute; a label is in the root, and empty.
        label = self._fat and text.endswith(b" (Volume Label Entry)")
        if label and not prefix and not int(meta.size):
            return
        if unlinked and self._reused(name, meta):
            yield self._lost(full, number, unlinked, "its record serves another file now")
            return
        if unlinked and is_in_use(meta):
            self._undecided.append((full, number))
            return
        self._records.add(number)
        yield from self._file(entry, full, unlinked)

    def _decided(self) -> Iterator[EvidenceEntry | Failure]:
        """Yield what became of deleted names whose records are in use.

        Another name may have the record now. If the walk found none, the file was deleted while
        it was open, or its folder is damaged.
        """
        found = set()
        for name, number in self._undecided:
            if number in self._records:
                yield self._lost(name, number, True, "its record serves another file now")
            elif (file := self._record(number)) is not None:
                found.add(number)
                yield from self._file(file, name, True)
            else:
                path = self._path_of(name, number, deleted=True)
                yield entry_failure(
                    path, OutcomeReason.UNREADABLE, "was deleted; its record cannot be read"
                )
        self._records |= found

    def _reused(self, name: Tsk, meta: Tsk) -> bool:
        """Whether the record of a deleted name has been used again, on NTFS."""
        # NTFS counts the uses of a record: deleting adds one, each later use another.
        uses = int(meta.seq) - int(name.meta_seq)
        return self._ntfs and uses > (0 if is_in_use(meta) else 1)

    def _lost(self, name: bytes, number: int, unlinked: bool, why: str) -> Failure:
        if unlinked:
            path = self._path_of(name, number, deleted=True)
            return entry_failure(path, OutcomeReason.DELETED_WITHOUT_CONTENT, f"was deleted; {why}")
        # Another file may have the same name, and keeps it.
        text, raw = decode_name(name)
        path = self._path.child("file", text, raw, self._serial(b"\0" + name, number))
        return container_gap(path, OutcomeReason.DAMAGED, f"is listed, but {why}")

    def _file(self, file: Tsk, name: bytes, unlinked: bool) -> Iterator[EvidenceEntry | Failure]:
        meta = file.info.meta
        number = int(meta.addr)
        deleted = unlinked or is_free(meta)
        path = self._path_of(name, number, deleted)
        if meta.type == tsk.SYMBOLIC_LINK:
            yield entry_failure(
                path, OutcomeReason.SYMBOLIC_LINK, "is a symbolic link, which is not followed"
            )
            return
        if meta.type in tsk.SPECIAL:
            yield entry_failure(path, OutcomeReason.SPECIAL_FILE, "is a device, pipe or socket")
            return
        size = int(meta.size)
        if not size and self._inodes:
            size = self._inodes.hidden_size(number)
        streams: list[EvidenceEntry] = []
        if self._ntfs and number >= _FIRST_NTFS_USER_RECORD:
            streams = self._streams(file, name, deleted)
        if deleted and size == 0 and not streams:
            yield entry_failure(
                path, OutcomeReason.DELETED_WITHOUT_CONTENT, "was deleted; its size is 0"
            )
            return
        if (
            size
            and self._inodes
            and self._encrypts
            and not self._scattered
            and self._inodes.is_encrypted(number)
        ):
            yield entry_failure(path, OutcomeReason.ENCRYPTED, "is encrypted by its file system")
            return
        yield self._entry_of(meta, path, size, deleted, self._times(file))
        yield from streams

    def _entry_of(
        self,
        meta: Tsk,
        path: EvidencePath,
        size: int,
        deleted: bool,
        times: FileTimes,
        stream: tuple[Tsk, int] | None = None,
    ) -> EvidenceEntry:
        opener = partial(self._open, int(meta.addr), size, stream)
        return EvidenceEntry(path, size, opener, times, deleted)

    def _times(self, file: Tsk) -> FileTimes:
        meta = file.info.meta
        if self._iso:
            with suppress(*FAULTS), self._lock:
                return self._iso.times(file)
            return NO_TIMES
        if self._fat_stamps:
            stated = self._fat_stamps.times(int(meta.addr), int(meta.size))
            if stated is not None:
                return stated
        to_time = _from_local_time if self._fat else from_unix_time
        modified, created, accessed = (
            to_time(int(getattr(meta, kind)), int(getattr(meta, f"{kind}_nano")))
            for kind in ("mtime", "crtime", "atime")
        )
        return FileTimes(modified, created, accessed, zone_known=not self._fat)

    def _streams(self, file: Tsk, name: bytes, deleted: bool) -> list[EvidenceEntry]:
        """Return the named NTFS streams (alternate data streams) of a file or folder."""
        meta = file.info.meta
        deleted = deleted or is_free(meta)
        found = []
        with suppress(*FAULTS), self._lock:
            for attribute in file:
                info = attribute.info
                if info.type == tsk.NTFS_DATA and info.name:
                    path = self._path_of(name + b":" + bytes(info.name), int(meta.addr), deleted)
                    key = (info.type, int(info.id))
                    size, times = int(info.size), self._times(file)
                    found.append(self._entry_of(meta, path, size, deleted, times, key))
        return found

    def _open(self, number: int, size: int, stream: tuple[Tsk, int] | None) -> BinaryIO:
        if self._inodes and self._inodes.hidden_size(number):
            return stream_of(self._inodes.content(number, size), size)
        with translated(), self._lock:
            self._content = self._content or self._mount_plain()
            file = self._content.open_meta(number)

        def read_at(offset: int, length: int) -> bytes:
            with self._lock:
                if stream is None:
                    return bytes(file.read_random(offset, length))
                return bytes(file.read_random(offset, length, *stream))

        return stream_of(read_at, size)

    def _nameless(self) -> Generator[EvidenceEntry | Failure, None, list[tuple[bytes, int]]]:
        """Yield the content of folders of ext that are in use and that no folder names; return the
        (name, record) of such files.

        They were deleted while they were open, or a damaged folder named them. TSK itself lists
        records that are neither in use nor named.
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
            yield container_gap(self._path, OutcomeReason.UNREADABLE, reason)
        return files

    def _orphans(self) -> Iterator[EvidenceEntry | Failure]:
        """Yield NTFS records that no folder names: deleted ones, and those of damaged folders."""
        mft = self._record(0)
        for number in self._numbers(_FIRST_NTFS_USER_RECORD, 512):
            if number in self._records:
                continue
            try:
                with self._lock:
                    file = self._system.open_meta(number)
            except OSError:
                # The record was never used, or is wiped: it has no name.
                continue
            except RuntimeError as exc:
                path = self._path_of(b"$OrphanFiles/record-%d" % number, number)
                yield entry_failure(path, OutcomeReason.UNREADABLE, f"record cannot be read: {exc}")
                continue
            meta = file.info.meta
            if meta is None or (is_in_use(meta) and self._continues(mft, number)):
                continue
            name = self._orphan_name(file)
            full = name or b"$OrphanFiles/record-%d" % number
            if meta.type in tsk.FOLDERS:
                yield from self._streams(file, full, False)
            elif meta.type == tsk.REGULAR and (name or int(meta.size)):
                # A record without name and content was allocated in advance and never used.
                yield from self._file(file, full, False)

    def _continues(self, mft: Tsk | None, number: int) -> bool:
        """Whether an NTFS record is the extension of another one, which TSK lists as a file."""
        (size,) = struct.unpack("<b", self._read(64, 1) or b"\0")
        # The length of a record: negative as a power of two in bytes, else in clusters.
        length = 1 << -size if size < 0 else size * int(self._system.info.block_size)
        with suppress(*FAULTS), self._lock:
            # The number of the record that it belongs to; 0 if it is not an extension.
            return mft is not None and any(mft.read_random(number * length + 32, 8))
        return False

    def _orphan_name(self, file: Tsk) -> bytes:
        """Return the path of a record by its own file name attribute, empty if it has none."""
        # A record may hold a short DOS name (namespace 2) next to the long one.
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


def _from_local_time(seconds: int, nanoseconds: int) -> datetime | None:
    """Return the wall clock that TSK has converted from this machine's zone, as if it were UTC."""
    if seconds:
        with suppress(OSError, OverflowError, ValueError):
            clock = datetime.fromtimestamp(seconds).replace(tzinfo=UTC)
            return clock + timedelta(microseconds=nanoseconds // 1000)
    return None
