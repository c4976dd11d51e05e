"""Raw disks: partition tables, the volumes in them, and volumes of deleted partitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock

from mayak.evidence.base import (
    Container,
    ContainerFile,
    ContainerFormat,
    Limits,
    container_gap,
)
from mayak.evidence.containers import ext, tsk
from mayak.evidence.containers.ext import Inodes
from mayak.evidence.containers.filesystem import FileSystem
from mayak.evidence.containers.space import VolumeSpace
from mayak.evidence.containers.tsk import FAULTS, Tsk, TskImage
from mayak.evidence.entropy import looks_random
from mayak.evidence.streams import Bytes
from mayak.signatures import (
    EXFAT,
    EXT,
    GPT,
    HEAD,
    PARTITION_TABLES,
    UNREAD_VOLUMES,
    VOLUMES,
    FileKind,
    Mark,
)
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason, Space

_MIB = 1 << 20
_SECTOR = 512
_SEARCHED = 1 << 30
"""Bytes of free space in which volumes are looked for at each whole MiB."""
_OLD_TRACK = 63 * _SECTOR
_EXT_MAGIC = Mark(EXT.marks[0].offset - ext.SUPERBLOCK, EXT.marks[0].alternatives)
"""In the superblock."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A partition, or the whole disk."""

    path: EvidencePath
    offset: int
    size: int


class DiskContainer(Container):
    """The files of a disk: every partition, live and deleted files."""

    def __init__(self, data: Bytes, path: EvidencePath) -> None:
        self._data = data
        self._path = path
        # TSK keeps caches for each image; one caller at a time.
        self._lock = Lock()
        self._image = TskImage(data)
        self._space: dict[int, VolumeSpace] = {}
        """By the offset of a volume whose files were listed."""
        self._ext: dict[int, tuple[TskImage, Inodes]] = {}
        """By the offset of an ext volume: the image that TSK gets of it, and its inodes."""

    def is_partitioned(self, *, whole: bool) -> bool:
        """Whether there is a partition table, and not just a copy of one: a partition begins within
        the disk, and ends there if it must be ``whole``."""
        table = None if self._is_one_volume() else self._table()
        if table is None:
            return False
        return any(
            at < self._data.size and (at + size <= self._data.size or not whole)
            for at, size in table.partitions
        )

    def has_volumes(self) -> bool:
        """Whether there is a partition table or a volume of a known kind."""
        return self._volumes()[0].path != self._path or self.has_known_volume()

    def has_known_volume(self) -> bool:
        """Whether there is a volume of a known kind, in a partition or not.

        Raises:
            RuntimeError: there is none that can be read, but one that cannot.
        """
        fault: RuntimeError | None = None
        for volume in self._volumes():
            try:
                if self._is_known(volume):
                    return True
            except RuntimeError as exc:
                fault = exc
        if fault is not None:
            raise fault
        return False

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        beyond: list[str] = []
        for volume in self._volumes():
            if volume.offset >= self._data.size:
                beyond.append(volume.path.name)
                continue
            if (missing := volume.offset + volume.size - self._data.size) > 0:
                reason = f"is cut off: its last {missing} bytes are beyond the end of the image"
                yield container_gap(volume.path, OutcomeReason.DAMAGED, reason)
            if (kind := self._unread_kind(volume.offset)) is not None:
                yield _unread(volume, kind)
            else:
                yield from self._files(volume)
        if beyond:
            # A damaged table may name hundreds that do not exist.
            others = f" and {len(beyond) - 1} more" if len(beyond) > 1 else ""
            reason = f"ends before {beyond[0]}{others}: it is cut off, or its table is damaged"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def _files(self, volume: Volume) -> Iterator[EvidenceEntry | Failure]:
        try:
            mounted = self._mount(volume)
            if mounted is None:
                yield self._unknown(volume)
                return
            _, inodes = self._ext.get(volume.offset, (None, None))
            files = FileSystem(
                mounted,
                volume.path,
                self._lock,
                partial(self._read_in, volume.offset),
                inodes,
                # Content comes from the volume as it is, not as TSK gets it for the list.
                partial(tsk.open_file_system, self._image, volume.offset),
            )
        except FAULTS as exc:
            yield container_gap(volume.path, OutcomeReason.UNREADABLE, f"cannot be read: {exc}")
            return
        counted = self._space[volume.offset] = VolumeSpace(
            mounted, volume.size, partial(self._read_in, volume.offset)
        )
        for entry in files.entries():
            counted.add(entry)
            yield entry

    def unexamined(self) -> Mapping[Space, int]:
        found: Counter[Space] = Counter()
        table = None if self._is_one_volume() else self._table()
        size = self._data.size
        for start, length in () if table is None else table.free:
            end = min(start + length, size)
            # Volumes of deleted partitions are in it.
            inside = sum(volume.size for at, volume in self._space.items() if start <= at < end)
            found["unpartitioned"] += max(end - start - inside, 0)
        for volume in self._space.values():
            with self._lock:
                found.update(volume.unexamined())
        return found

    def _unknown(self, volume: Volume) -> Failure:
        # The text identifies the item in cases that were recorded before: it stays.
        reason = f"holds no known file system ({volume.size} bytes)"
        size = min(volume.size, self._data.size - volume.offset)
        if looks_random(partial(self._read_in, volume.offset), size):
            reason += "; its bytes look random, as those of an encrypted volume do"
            return container_gap(volume.path, OutcomeReason.ENCRYPTED, reason)
        return container_gap(volume.path, OutcomeReason.UNSUPPORTED, reason)

    def _read_in(self, start: int, offset: int, size: int) -> bytes:
        return self._data.read_at(start + offset, size)

    def _volumes(self) -> list[Volume]:
        """Return the volumes of the disk, those in free space after those of the table.

        Without a table that is the whole disk as one volume, and further ones in it if it is of
        no known kind itself.
        """
        whole = [Volume(self._path, 0, self._data.size)]
        if self._is_one_volume():
            return whole
        if (table := self._table()) is not None:
            volumes = [
                Volume(self._path.child("volume", f"partition {i}"), offset, size)
                for i, (offset, size) in enumerate(table.partitions, 1)
            ]
            return [*volumes, *self._in_free_space(table.free, table.partitions)]
        with suppress(RuntimeError):
            if self._is_known(whole[0]):
                return whole
        # Its table may have been wiped.
        return [*whole, *self._in_free_space([(0, self._data.size)], [])]

    def _table(self) -> tsk.PartitionTable | None:
        with self._lock:
            return tsk.partition_table(self._image)

    def _is_one_volume(self) -> bool:
        """Whether the first sector is that of an unpartitioned volume, which can end like that of
        a partitioned disk."""
        start = b""
        # If the first sector cannot be read, there may still be a second table or a volume.
        with suppress(*FAULTS):
            start = self._data.read_at(0, _SECTOR)
        jumps = start[:1] in (b"\xeb", b"\xe9")
        sector = int.from_bytes(start[11:13], "little") in (512, 1024, 2048, 4096)
        if jumps and sector and start[13:14] != b"\0":
            return True
        return EXFAT.marks[0].matches(start) or self._unread_kind(0) is not None

    def _in_free_space(
        self, free: list[tuple[int, int]], used: list[tuple[int, int]]
    ) -> Iterator[Volume]:
        """Yield volumes in space that belongs to no partition, as those of deleted partitions do.

        They are looked for where partitions begin: at the start of such space and after each
        volume found, and from there after a track of old disks and at each whole MiB of a GiB.
        """
        # Where the table itself is, there is no volume.
        tried = {0}
        for start, size in free:
            end = min(start + size, self._data.size)
            offsets = _likely_starts(start, end)
            for offset in offsets:
                # A damaged table may count a partition's space as free, or the same space often.
                taken = any(begin <= offset < begin + length for begin, length in used)
                if offset in tried or taken:
                    continue
                tried.add(offset)
                path = self._path.child("volume", f"unpartitioned at {offset}")
                volume = Volume(path, offset, end - offset)
                with suppress(*FAULTS):
                    if self._unread_kind(offset) is not None:
                        yield volume
                    # Trying to mount each of them would take long.
                    elif VOLUMES.identify(self._data.read_at(offset, HEAD)) is not None:
                        mounted = self._mount(volume)
                        if mounted is None:
                            continue
                        length = int(mounted.info.block_count) * int(mounted.info.block_size)
                        used = [*used, (offset, length)]
                        offsets += _likely_starts(offset + length, end)
                        yield volume

    def _is_known(self, volume: Volume) -> bool:
        """Whether a volume is of a known kind; raises as ``_mount`` does."""
        return self._unread_kind(volume.offset) is not None or self._mount(volume) is not None

    def _unread_kind(self, offset: int) -> FileKind | None:
        """Return the kind of a volume that TSK does not read, None for all others."""

        def is_there(mark: Mark) -> bool:
            length = len(mark.alternatives[0])
            # Whether the rest of an unreadable volume can be read, mounting will show.
            with suppress(OSError):
                return self._data.read_at(offset + mark.offset, length) in mark.alternatives
            return False

        return next((kind for kind in UNREAD_VOLUMES if all(map(is_there, kind.marks))), None)

    def _mount(self, volume: Volume) -> Tsk | None:
        """Return the file system, None if there is none that is known.

        Raises:
            RuntimeError: it cannot be read.
        """
        if volume.offset >= self._data.size:
            return None
        with self._lock:
            return tsk.mount(self._image_of(volume.offset), volume.offset)

    def _image_of(self, start: int) -> TskImage:
        """Return the image that TSK gets for the volume at an offset."""
        if start not in self._ext:
            superblock = b""
            with suppress(*FAULTS):
                superblock = self._data.read_at(start + ext.SUPERBLOCK, ext.SUPERBLOCK)
            if not _EXT_MAGIC.matches(superblock):
                return self._image
            inodes = Inodes(partial(self._read_in, start), superblock)
            shown = TskImage(self._data, lambda at, read: _hidden(inodes, at - start, read))
            self._ext[start] = shown, inodes
        return self._ext[start][0]


def _unread(volume: Volume, kind: FileKind) -> Failure:
    if kind.is_encrypted:
        reason = f"is an encrypted volume ({kind.name}), which is not read"
        return container_gap(volume.path, OutcomeReason.ENCRYPTED, reason, kind)
    reason = f"is {kind.name}, which is not read: {kind.remedy!s}"
    return container_gap(volume.path, OutcomeReason.UNSUPPORTED, reason, kind)


def _hidden(inodes: Inodes, offset: int, data: bytes) -> bytes:
    """Return the bytes at an offset of a volume, which can be before it, as TSK gets them."""
    before = min(max(-offset, 0), len(data))
    return data[:before] + inodes.hidden(offset + before, data[before:])


def _likely_starts(start: int, end: int) -> list[int]:
    """Return the offsets between two at which a partition may begin."""
    whole = range(-(-start // _MIB) * _MIB, min(start + _SEARCHED, end), _MIB)
    return sorted(offset for offset in {start, start + _OLD_TRACK, *whole} if offset < end)


def _open(file: ContainerFile, path: EvidencePath, _: Limits) -> Container | None:
    disk = DiskContainer(file.data(), path)
    # A copy of a boot sector begins like a disk, so a partition or a known volume must follow. A
    # disk counts even if all its volumes are unknown or encrypted.
    table = PARTITION_TABLES.identify(file.head)
    is_disk = table is not None and disk.is_partitioned(whole=GPT.identify(file.head) is None)
    return disk if is_disk or disk.has_known_volume() else None


FORMAT = ContainerFormat(VOLUMES.rows, _open)
