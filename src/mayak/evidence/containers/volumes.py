"""Raw disks: partition tables, the volumes in them, and volumes of deleted partitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Lock

from mayak.errors import EvidenceError
from mayak.evidence.base import (
    Choices,
    Container,
    ContainerFile,
    ContainerFormat,
    Limits,
    NotReadError,
    container_gap,
)
from mayak.evidence.containers import ext, tsk, vmdk
from mayak.evidence.containers.encrypted import decrypted
from mayak.evidence.containers.ext import Inodes
from mayak.evidence.containers.filesystem import FileSystem
from mayak.evidence.containers.libyal_volumes import ApfsContainer, XfsContainer
from mayak.evidence.containers.mapped import RangeBytes
from mayak.evidence.containers.segments import follows_a_first
from mayak.evidence.containers.shadow_copies import count_shadow_copies, shadow_copies
from mayak.evidence.containers.space import VolumeSpace
from mayak.evidence.containers.tsk import FAULTS, Tsk, TskImage
from mayak.evidence.entropy import looks_random
from mayak.evidence.streams import Bytes, translated
from mayak.i18n import msg
from mayak.signatures import (
    APFS,
    BITLOCKER,
    CORE_STORAGE,
    EXFAT,
    EXT,
    FAR_HEAD,
    GPT,
    HEAD,
    LUKS,
    OTHER_VOLUMES,
    PARTITION_TABLES,
    VOLUMES,
    XFS,
    FileKind,
    Mark,
)
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason, Space

_MIB = 1 << 20
_SECTORS = (tsk.SECTOR, 4096)
_SEARCHED = 1 << 30
"""Bytes of free space in which volumes are looked for at each whole MiB."""
_ENCRYPTED = {kind.name for kind in (LUKS, *BITLOCKER, CORE_STORAGE)}
_OLD_TRACK = 63 * tsk.SECTOR
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

    opened_with_password = False
    """Whether one of ``Choices.passwords`` opened a volume of it."""
    has_shadow_copies = True
    """Whether an NTFS volume may list shadow copies; the list in a shadow copy is not its own."""

    def __init__(
        self,
        data: Bytes,
        path: EvidencePath,
        choices: Choices | None = None,
        sector: int = tsk.SECTOR,
    ) -> None:
        """``sector``: bytes of a sector, as the image states them."""
        self._data = data
        self._path = path
        self._choices = choices or Choices()
        self._sector = sector
        self._opened: dict[int, list[Container] | EvidenceError] = {}
        """By their offsets the open volumes that TSK does not read, or why they are not open."""
        self._copies: dict[int, list[tuple[str, Bytes]]] = {}
        """By the offset of their volume the names and bytes of shadow copies."""
        # TSK keeps caches for each image; one caller at a time.
        self._lock = Lock()
        self._image = TskImage(data)
        self._space: dict[int, VolumeSpace] = {}
        """By the offset of a volume whose files were listed."""
        self._ext: dict[int, tuple[TskImage, Inodes]] = {}
        """By the offset of an ext volume: the image that TSK gets of it, and its inodes."""
        if self._choices.passwords:
            with suppress(EvidenceError), translated():
                self._unlock()

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
            if (kind := self._other_kind(volume.offset)) is not None:
                yield from self._other_files(volume, kind)
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
        if mounted.info.ftype == tsk.NTFS and self.has_shadow_copies:
            yield from self._shadow_copies(volume)

    def _shadow_copies(self, volume: Volume) -> Iterator[EvidenceEntry | Failure]:
        """Yield the files of the shadow copies of an NTFS volume, or how many are not read."""
        data = self._range(volume)
        try:
            with translated():
                count = count_shadow_copies(data)
                if not count:
                    return
                if not self._choices.shadow_copies or not self._choices.untested_readers:
                    reason = (
                        f"has {count} volume shadow copies (earlier states), which are not read: "
                        "allow their untested reader with --shadow-copies and --untested-readers"
                    )
                    yield container_gap(volume.path, OutcomeReason.UNSUPPORTED, reason)
                    return
                if volume.offset not in self._copies:
                    self._copies[volume.offset] = shadow_copies(data, volume.path)
        except NotReadError as exc:
            yield container_gap(volume.path, exc.outcome, f"{exc.reason}: {exc.remedy}")
            return
        except EvidenceError as exc:
            reason = f"has shadow copies that cannot be read: {exc.__cause__ or exc}"
            yield container_gap(volume.path, OutcomeReason.UNREADABLE, reason)
            return
        for name, copy in self._copies[volume.offset]:
            disk = DiskContainer(copy, volume.path.child("volume", name), self._choices)
            disk.has_shadow_copies = False
            yield from disk.entries()

    def _range(self, volume: Volume) -> Bytes:
        """Return the bytes of a volume, as far as the image has them."""
        size = min(volume.size, self._data.size - volume.offset)
        return RangeBytes(self._data, volume.offset, size)

    def _other_files(self, volume: Volume, kind: FileKind) -> Iterator[EvidenceEntry | Failure]:
        """Yield the files of a volume that TSK does not read."""
        try:
            containers = self._other(volume, kind)
        except NotReadError as exc:
            reason = f"{exc.reason}: {exc.remedy}"
            yield container_gap(volume.path, exc.outcome, reason, kind)
            return
        except EvidenceError as exc:
            reason = f"is {kind.name} and cannot be read: {exc.__cause__ or exc}: {kind.remedy}"
            yield container_gap(volume.path, OutcomeReason.UNREADABLE, reason, kind)
            return
        for container in containers:
            yield from container.entries()

    def _other(self, volume: Volume, kind: FileKind) -> list[Container]:
        """Return what is in a volume that TSK does not read; passwords are tried once.

        Raises:
            EvidenceError: it cannot be opened.
        """
        if volume.offset not in self._opened:
            try:
                with translated():
                    self._opened[volume.offset] = self._open_other(volume, kind)
            except EvidenceError as exc:
                self._opened[volume.offset] = exc
        opened = self._opened[volume.offset]
        if isinstance(opened, EvidenceError):
            raise opened
        return opened

    def _unlock(self) -> None:
        """Try the passwords, so that it is known which containers they open before files of them
        are listed."""
        for volume in self._volumes():
            kind = self._other_kind(volume.offset)
            # What cannot be opened is stated when the files are listed.
            if kind is not None and kind.is_encrypted:
                with suppress(EvidenceError):
                    self._other(volume, kind)
                    self.opened_with_password = True

    def _open_other(self, volume: Volume, kind: FileKind) -> list[Container]:
        """Open a volume that TSK does not read. Raises NotReadError, or what a library raises."""
        data = self._range(volume)
        if kind is XFS:
            return [XfsContainer(data, volume.path)]
        if kind is APFS:
            return [ApfsContainer(data, volume.path, self._choices)]
        if kind.name in _ENCRYPTED:
            disks = decrypted(kind, data, volume.path, self._choices)
            paths = [volume.path]
            if len(disks) > 1:
                names = (f"logical volume {number}" for number in range(1, len(disks) + 1))
                paths = [volume.path.child("volume", name) for name in names]
            return [
                DiskContainer(disk, path, self._choices)
                for disk, path in zip(disks, paths, strict=True)
            ]
        reason = msg("is {kind}, which is not read", kind=kind.name)
        raise NotReadError(volume.path, reason, kind.remedy)

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
        for opened in self._opened.values():
            for container in () if isinstance(opened, EvidenceError) else opened:
                found.update(container.unexamined())
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
        """Return the partition table, None if there is none.

        An MBR counts in sectors and does not state their size, and a disk may have been copied
        through an adapter with sectors of its own: that size counts with which more partitions
        begin with a volume of a known kind, of equals the one that the image states.
        """
        best: tsk.PartitionTable | None = None
        n_best = -1
        sizes = sorted(_SECTORS, key=lambda size: size != self._sector)
        for size in sizes:
            with self._lock:
                table = tsk.partition_table(self._data, size)
            if table is None:
                continue
            n_known = sum(self._begins(at) for at, _ in table.partitions)
            if n_known > n_best:
                best, n_best = table, n_known
            if n_best == len(table.partitions):
                break
        return best

    def _begins(self, offset: int) -> bool:
        """Whether a volume of a known kind begins at an offset."""
        with suppress(*FAULTS):
            return VOLUMES.identify(self._data.read_at(offset, FAR_HEAD)) is not None
        return False

    def _is_one_volume(self) -> bool:
        """Whether the first sector is that of an unpartitioned volume, which can end like that of
        a partitioned disk."""
        start = b""
        # If the first sector cannot be read, there may still be a second table or a volume.
        with suppress(*FAULTS):
            start = self._data.read_at(0, tsk.SECTOR)
        jumps = start[:1] in (b"\xeb", b"\xe9")
        sector = int.from_bytes(start[11:13], "little") in (512, 1024, 2048, 4096)
        if jumps and sector and start[13:14] != b"\0":
            return True
        return EXFAT.marks[0].matches(start) or self._other_kind(0) is not None

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
                    if self._other_kind(offset) is not None:
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
        return self._other_kind(volume.offset) is not None or self._mount(volume) is not None

    def _other_kind(self, offset: int) -> FileKind | None:
        """Return the kind of a volume that TSK does not read, None for all others."""

        def is_there(mark: Mark) -> bool:
            length = len(mark.alternatives[0])
            # Whether the rest of an unreadable volume can be read, mounting will show.
            with suppress(OSError):
                return self._data.read_at(offset + mark.offset, length) in mark.alternatives
            return False

        return next((kind for kind in OTHER_VOLUMES if all(map(is_there, kind.marks))), None)

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


def _hidden(inodes: Inodes, offset: int, data: bytes) -> bytes:
    """Return the bytes at an offset of a volume, which can be before it, as TSK gets them."""
    before = min(max(-offset, 0), len(data))
    return data[:before] + inodes.hidden(offset + before, data[before:])


def _likely_starts(start: int, end: int) -> list[int]:
    """Return the offsets between two at which a partition may begin."""
    whole = range(-(-start // _MIB) * _MIB, min(start + _SEARCHED, end), _MIB)
    return sorted(offset for offset in {start, start + _OLD_TRACK, *whole} if offset < end)


def _open(file: ContainerFile, path: EvidencePath, _: Limits) -> Container | None:
    disk = DiskContainer(file.data(), path, file.choices)
    # A copy of a boot sector begins like a disk, so a partition or a known volume must follow. A
    # disk counts even if all its volumes are unknown or encrypted.
    table = PARTITION_TABLES.identify(file.head)
    is_disk = table is not None and disk.is_partitioned(whole=GPT.identify(file.head) is None)
    return disk if is_disk or disk.has_known_volume() else None


def _is_later_segment(file: ContainerFile) -> bool:
    return vmdk.is_extent(file) or (file.on_disk is not None and follows_a_first(file.on_disk))


FORMAT = ContainerFormat(VOLUMES.rows, _open, is_later_segment=_is_later_segment)
