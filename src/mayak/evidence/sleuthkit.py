"""Disk images: E01 and the partitions and file systems inside; alone imports pytsk3 and pyewf."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Literal

import pyewf
import pytsk3

from mayak.errors import EvidenceError
from mayak.evidence import ext
from mayak.evidence.ext import Inodes
from mayak.evidence.reader import Reason, decode_name, failure, gap, moment
from mayak.evidence.streams import Bytes, stream_of, translated
from mayak.i18n import msg
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes

Tsk = Any  # pytsk3 states no types

EWF_MAGIC = (b"EVF\x09\x0d\x0a\xff\x00", b"EVF2\x0d\x0a\x81\x00", b"LVF\x09\x0d\x0a\xff\x00")

# (offset, bytes) at the start of a volume → what it is. TSK knows none of these. Encrypted is what
# these bytes prove to be so.
ENCRYPTED_VOLUMES = {
    (3, b"-FVE-FS-"): "BitLocker",
    (424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001")): "BitLocker To Go",
    (0, b"LUKS\xba\xbe"): "LUKS",
}
UNREAD_VOLUMES = {
    (32, b"NXSB"): "APFS",
    (88, b"CS"): "Core Storage (FileVault or a Fusion Drive)",
    (1024, b"\x10\x20\xf5\xf2"): "F2FS",
    (1024, b"\xe2\xe1\xf5\xe0"): "EROFS",
    (0, b"XFSB"): "XFS",
    (0x10040, b"_BHRfS_M"): "Btrfs",
    (512, b"LABELONE"): "LVM",
}
# As many first bytes as ``disk_kind`` looks at: ISO 9660's mark lies furthest in.
DISK_HEAD = 0x8006
FAT_LIKE = (
    pytsk3.TSK_FS_TYPE_FAT12,
    pytsk3.TSK_FS_TYPE_FAT16,
    pytsk3.TSK_FS_TYPE_FAT32,
    pytsk3.TSK_FS_TYPE_EXFAT,
)
EXT = (pytsk3.TSK_FS_TYPE_EXT2, pytsk3.TSK_FS_TYPE_EXT3, pytsk3.TSK_FS_TYPE_EXT4)
# What TSK says of bad data, and what becomes of an exception in ``_Image.read``. Returning nothing
# there would be worse: TSK hands out zeros in its place.
FAULTS = (OSError, RuntimeError)
FOLDERS = (pytsk3.TSK_FS_META_TYPE_DIR, pytsk3.TSK_FS_META_TYPE_VIRT_DIR)
SPECIAL = (
    pytsk3.TSK_FS_META_TYPE_BLK,
    pytsk3.TSK_FS_META_TYPE_CHR,
    pytsk3.TSK_FS_META_TYPE_FIFO,
    pytsk3.TSK_FS_META_TYPE_SOCK,
)
FILE_NAME_ATTRIBUTE = 48
FIRST_NTFS_USER_RECORD = 24
NTFS_ROOT_USES = 5
FIRST_EXT_USER_RECORD = 11
# ext4's superblock, its numbers little-endian:
# https://docs.kernel.org/filesystems/ext4/globals.html
EXT_FEATURES = 0x60
EXT_META_BG, EXT_ENCRYPT = 0x10, 0x10000
EXT_OWN_FILES = (0x26C, 0x280)
"""Where the superblock names inodes that no folder does: project quotas, the list of orphans."""
MIB = 1 << 20
SECTOR = 512
SEARCHED = 1 << 30
OLD_TRACK = 63 * SECTOR
RECORD_BITS = 48
"""No file system's record numbers have more: above them a third of one name and record is told."""


def ewf_pieces(path: Path) -> list[Path]:
    """An E01 and the pieces beside it: E02, E03 …

    Raises EvidenceError where one before the last is missing; that of what is behind the last, only
    reading tells.
    """
    pieces = [Path(piece) for piece in pyewf.glob(str(path))]
    numbers = [
        int(other.suffix[2:])
        for other in path.parent.iterdir()
        if other.stem == path.stem and re.fullmatch(r"\.[Ee][0-9]{2}", other.suffix)
    ]
    if max(numbers, default=0) > len(pieces):
        missing = f"{path.stem}{path.suffix[:2]}{len(pieces) + 1:02}"
        raise EvidenceError(
            msg("{path}: piece {missing!r} is missing", path=path, missing=missing),
            remedy=msg("put all pieces into one folder"),
        )
    return pieces


class EwfBytes:
    """The medium inside an E01 or split EWF.

    A damaged chunk reads as zeros without an error; only ``stored`` tells.
    """

    def __init__(self, path: Path, content: BinaryIO | None = None) -> None:
        """``content`` is an E01 of one piece that lies in a container and not at ``path``."""
        if content is None:
            with path.open("rb") as file:
                head = file.read(11)
        else:
            head = content.read(11)
        if not head.startswith(EWF_MAGIC[0]):
            raise EvidenceError(
                msg("{path} is EWF of a kind that is not read", path=path),
                remedy=msg("convert a copy to E01 or raw"),
            )
        if int.from_bytes(head[9:11], "little") != 1:
            raise EvidenceError(
                msg("{path} is not the first segment", path=path),
                remedy=msg("name the file that ends in 01"),
            )
        with translated(path):
            self._handle = pyewf.handle()
            if content is None:
                self._handle.open([str(piece) for piece in ewf_pieces(path)])
            else:
                self._handle.open_file_objects([content])
            self.size: int = self._handle.get_media_size()
            self.stored: dict[str, str] = {
                name.lower(): value.lower()
                for name, value in self._handle.get_hash_values().items()
                if name in ("MD5", "SHA1")
            }
        self._lock = Lock()

    def read_at(self, offset: int, size: int) -> bytes:
        if not 0 <= offset < self.size:
            return b""
        with self._lock:
            self._handle.seek(offset)
            return bytes(self._handle.read(min(size, self.size - offset)))

    def close(self) -> None:
        self._handle.close()


class _Image(pytsk3.Img_Info):  # type: ignore[misc]
    """Hands our bytes to TSK."""

    def __init__(
        self, data: Bytes, shown: Callable[[int, bytes], bytes] = lambda _, read: read
    ) -> None:
        """``shown`` gives what TSK is to see of bytes at an offset."""
        self._data = data
        self._shown = shown
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def read(self, offset: int, size: int) -> bytes:
        return self._shown(offset, self._read(offset, size))

    def _read(self, offset: int, size: int) -> bytes:
        try:
            return self._data.read_at(offset, size)
        except FAULTS:
            # TSK asks for 64 KiB and keeps them, though it needs less. What lies before the fault
            # serves it as well; if it needs what lies there, it asks again from there on.
            if good := self._before_fault(offset, size):
                return good
            raise

    def _before_fault(self, offset: int, size: int) -> bytes:
        good = b""
        with suppress(*FAULTS):
            while part := self._data.read_at(offset + len(good), min(SECTOR, size - len(good))):
                good += part
        return good

    def get_size(self) -> int:
        return self._data.size

    def close(self) -> None:
        # The Source owns the bytes.
        return None


@dataclass(frozen=True, slots=True)
class _Volume:
    path: EvidencePath
    offset: int
    size: int


class DiskReader:
    """The files of a disk image: every partition, live and deleted."""

    def __init__(self, data: Bytes, path: EvidencePath) -> None:
        self._data = data
        self._path = path
        # TSK keeps caches for each image; one caller at a time.
        self._lock = Lock()
        self._image = _Image(data)
        self._ext: dict[int, tuple[_Image, Inodes]] = {}
        """Of each ext volume, by its offset, what TSK is shown."""

    @property
    def medium(self) -> EwfBytes | None:
        """Of an E01, what is inside."""
        return self._data if isinstance(self._data, EwfBytes) else None

    def recognised(self) -> bool:
        """Whether there is a partition table, a file system or a known encrypted volume."""
        return self._volumes()[0].path != self._path or self.holds_known_volume()

    def holds_known_volume(self) -> bool:
        """Whether there is a file system or a known encrypted volume, partitioned or not.

        Raises RuntimeError if there is none that can be read, but something that cannot.
        """
        fault: RuntimeError | None = None
        for volume in self._volumes():
            try:
                if self._known(volume):
                    return True
            except RuntimeError as exc:
                fault = exc
        if fault is not None:
            raise fault
        return False

    def items(self) -> Iterator[EvidenceEntry | Failure]:
        beyond: list[str] = []
        for volume in self._volumes():
            if volume.offset >= self._data.size:
                beyond.append(volume.path.name)
                continue
            if (missing := volume.offset + volume.size - self._data.size) > 0:
                reason = f"is cut off: its last {missing} bytes lie beyond the end of the image"
                yield gap(volume.path, "Damaged", reason)
            if named := _named(self._data, volume.offset):
                name, encrypted = named
                reason = f"is an encrypted volume ({name})" if encrypted else f"is {name}"
                kind: Reason = "Encrypted" if encrypted else "Unsupported"
                remedy = "" if encrypted else ": mount it read-only and give that folder"
                yield gap(volume.path, kind, f"{reason}, which is not read{remedy}")
                continue
            files = None
            try:
                if (system := self._mount(volume)) is not None:
                    read = partial(self._read_in, volume.offset)
                    _, inodes = self._ext.get(volume.offset, (None, None))
                    # Content comes from the volume as it is, not as it is shown for the list.
                    plain = partial(pytsk3.FS_Info, self._image, offset=volume.offset)
                    files = _Files(system, volume.path, self._lock, read, inodes, plain)
            except FAULTS as exc:
                yield gap(volume.path, "Unreadable", f"cannot be read: {exc}")
                continue
            if files is None:
                reason = f"holds no known file system ({volume.size} bytes)"
                yield gap(volume.path, "Unsupported", reason)
            else:
                yield from files.items()
        if beyond:
            # A damaged table may name hundreds, which are none.
            others = f" and {len(beyond) - 1} more" if len(beyond) > 1 else ""
            reason = f"ends before {beyond[0]}{others}: it is cut off, or its table is damaged"
            yield gap(self._path, "Damaged", reason)

    def _read_in(self, start: int, offset: int, size: int) -> bytes:
        return self._data.read_at(start + offset, size)

    def _volumes(self) -> list[_Volume]:
        whole = [_Volume(self._path, 0, self._data.size)]
        start = b""
        # Of a disk whose first sector cannot be read, there may be another table or a volume.
        with suppress(*FAULTS):
            start = self._data.read_at(0, 512)
        # The boot sector of an unpartitioned FAT or NTFS ends like a partition table.
        boot = start[:1] in (b"\xeb", b"\xe9")
        sector = int.from_bytes(start[11:13], "little") in (512, 1024, 2048, 4096)
        if (boot and sector and start[13:14] != b"\0") or _named(self._data, 0):
            return whole
        if start[3:11] == b"EXFAT   ":
            return whole
        kinds = (pytsk3.TSK_VS_TYPE_DETECT, pytsk3.TSK_VS_TYPE_GPT, pytsk3.TSK_VS_TYPE_DOS)
        for kind in kinds:
            with suppress(*FAULTS), self._lock:
                table = pytsk3.Volume_Info(self._image, kind)
                block = int(table.info.block_size)
                parts = [p for p in table if int(p.flags) == int(pytsk3.TSK_VS_PART_FLAG_ALLOC)]
                if kind == pytsk3.TSK_VS_TYPE_DETECT and _guards_gpt(parts):
                    continue  # its first GPT is damaged: TSK finds the second if asked for it
                used = _extents(parts, block)
                if used:
                    rest = int(pytsk3.TSK_VS_PART_FLAG_UNALLOC)
                    free = _extents([p for p in table if int(p.flags) == rest], block)
                    volumes = [
                        _Volume(self._path.child("volume", f"partition {i}"), offset, size)
                        for i, (offset, size) in enumerate(used, 1)
                    ]
                    break
        else:
            with suppress(RuntimeError):
                if self._known(whole[0]):
                    return whole
            # Its table may have been wiped.
            volumes, used, free = whole, [], [(0, self._data.size)]
        return [*volumes, *self._left_over(free, used)]

    def _left_over(
        self, free: list[tuple[int, int]], used: list[tuple[int, int]]
    ) -> Iterator[_Volume]:
        """Volumes in space that no partition has: those of partitions deleted from the table.

        They are looked for where partitions begin: at the start of such space and behind each
        volume found, and from there behind a track of old disks and at each whole MiB of a GiB.
        """
        # Where the table itself lies there is no volume.
        tried = {0}
        for start, size in free:
            end = min(start + size, self._data.size)
            places = _likely_starts(start, end)
            for place in places:
                # A damaged table may count a partition's space as free, or the same space often.
                taken = any(offset <= place < offset + length for offset, length in used)
                if place in tried or taken:
                    continue
                tried.add(place)
                path = self._path.child("volume", f"unpartitioned at {place}")
                volume = _Volume(path, place, end - place)
                with suppress(*FAULTS):
                    if _named(self._data, place):
                        yield volume
                    # Trying to mount each place would take long.
                    elif disk_kind(self._data.read_at(place, DISK_HEAD)) == "raw":
                        system = self._mount(volume)
                        if system is None:
                            continue
                        length = int(system.info.block_count) * int(system.info.block_size)
                        used = [*used, (place, length)]
                        places += _likely_starts(place + length, end)
                        yield volume

    def _known(self, volume: _Volume) -> bool:
        """Whether it is a file system or a known encrypted volume; raises as ``_mount`` does."""
        return _named(self._data, volume.offset) is not None or self._mount(volume) is not None

    def _mount(self, volume: _Volume) -> Tsk | None:
        """The file system; None if there is no known one. Raises RuntimeError: cannot be read."""
        if volume.offset >= self._data.size:
            return None
        with suppress(OSError), self._lock:
            return pytsk3.FS_Info(self._image_of(volume.offset), offset=volume.offset)
        return None

    def _image_of(self, start: int) -> _Image:
        """What TSK is shown of a volume."""
        if start not in self._ext:
            superblock = b""
            with suppress(*FAULTS):
                superblock = self._data.read_at(start + ext.SUPERBLOCK, ext.SUPERBLOCK)
            if superblock[0x38:0x3A] != b"\x53\xef":
                return self._image
            inodes = Inodes(partial(self._read_in, start), superblock)
            shown = _Image(self._data, lambda at, read: _hidden(inodes, at - start, read))
            self._ext[start] = shown, inodes
        return self._ext[start][0]

    def close(self) -> None:
        return None


def _hidden(inodes: Inodes, offset: int, data: bytes) -> bytes:
    """Bytes from an offset of the volume, which can lie before it, as TSK is shown them."""
    before = min(max(-offset, 0), len(data))
    return data[:before] + inodes.hidden(offset + before, data[before:])


def _extents(parts: list[Tsk], block: int) -> list[tuple[int, int]]:
    """Where the parts of a table begin, and their bytes."""
    return [(int(part.start) * block, int(part.len) * block) for part in parts]


def _likely_starts(start: int, end: int) -> list[int]:
    """Where between two places a partition may begin."""
    whole = range(-(-start // MIB) * MIB, min(start + SEARCHED, end), MIB)
    return sorted(place for place in {start, start + OLD_TRACK, *whole} if place < end)


def _guards_gpt(parts: list[Tsk]) -> bool:
    """Whether these partitions of an MBR only keep older programs off a GPT disk."""
    return bool(parts) and all(bytes(part.desc).startswith(b"GPT Safety") for part in parts)


def disk_kind(head: bytes) -> Literal["ewf", "raw"] | None:
    """What the first 33 KiB say: EWF, a raw disk or volume, or neither.

    Later pieces of a split E01 are neither: they are read through the first. "raw" is for
    ``DiskReader.holds_known_volume`` to confirm, as copies of boot sectors look the same.
    """
    if head.startswith(EWF_MAGIC):
        later = head.startswith(EWF_MAGIC[0]) and head[9:11] != b"\1\0"
        return None if later else "ewf"
    if any(
        head[at : at + len(magic)] == magic
        for at, magic in (*ENCRYPTED_VOLUMES, *UNREAD_VOLUMES)
        if len(magic) > 2
    ):
        return "raw"
    boot = head[510:512] == b"\x55\xaa" and (
        head[3:11] in (b"NTFS    ", b"EXFAT   ")
        or b"FAT" in (head[54:57], head[82:85])
        or _has_partitions(head)
    )
    gpt = b"EFI PART" in (head[512:520], head[4096:4104])
    # Two bytes of magic are few: the block size (2**10 … 2**16) must be one, too.
    ext = head[1080:1082] == b"\x53\xef" and head[1048:1052] in [
        bytes((n, 0, 0, 0)) for n in range(7)
    ]
    hfs = head[1024:1028] in (b"H+\0\4", b"HX\0\5")
    return "raw" if boot or gpt or ext or hfs or head[0x8001:0x8006] == b"CD001" else None


def _has_partitions(head: bytes) -> bool:
    entries = list(struct.iter_unpack("<B3xB3xII", head[446:510]))
    sound = all(status in (0, 0x80) for status, _, _, _ in entries)
    return sound and any(kind and start and size for _, kind, start, size in entries)


def _named(data: Bytes, offset: int) -> tuple[str, bool] | None:
    for table, encrypted in ((ENCRYPTED_VOLUMES, True), (UNREAD_VOLUMES, False)):
        for (at, magic), name in table.items():
            # What cannot be read is no mark; whether the rest can be, mounting will tell.
            with suppress(OSError):
                if data.read_at(offset + at, len(magic)) != magic:
                    continue
                # "CS" is short: it counts only with the Core Storage version before it.
                if magic == b"CS" and data.read_at(offset + 8, 2) != b"\x01\0":
                    continue
                return name, encrypted
    return None


def _is_used(meta: Tsk) -> bool:
    return bool(int(meta.flags) & int(pytsk3.TSK_FS_META_FLAG_ALLOC))


def _is_free(meta: Tsk) -> bool:
    return bool(int(meta.flags) & int(pytsk3.TSK_FS_META_FLAG_UNALLOC))


class _Files:
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
        self._ntfs = self._kind == pytsk3.TSK_FS_TYPE_NTFS
        self._fat = self._kind in FAT_LIKE
        self._inodes = inodes if self._kind in EXT else None
        self._plain = plain
        self._content: Tsk | None = None if self._inodes else system
        features = self._inodes.number(EXT_FEATURES) if self._inodes else 0
        self._encrypts = bool(features & EXT_ENCRYPT)
        self._scattered = bool(features & EXT_META_BG)
        self._records: set[int] = set()
        # Record number → path and, on NTFS, the count of the record's uses that its children name.
        self._folders: dict[int, tuple[bytes, int]] = {}
        # Hashes of the locations given out; the names themselves would be much more.
        self._given: set[int] = set()
        self._repeats = count(1)
        # Deleted names of records in use.
        self._unsettled: list[tuple[bytes, int]] = []

    def items(self) -> Iterator[EvidenceEntry | Failure]:
        root = int(self._system.info.root_inum)
        if self._ntfs and (file := self._record(root)) is not None:
            yield from self._streams(file, b"", False)
        yield from self._walk(root, b"", NTFS_ROOT_USES)
        if self._encrypts and self._scattered:
            # Where their inodes are was not tried with such a volume.
            yield gap(self._path, "Encrypted", "encrypts files of its own, which ones is not known")
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
                    yield failure(self._at(prefix.rstrip(b"/"), number), "Unreadable", reason)
                else:
                    yield gap(self._path, "Unreadable", reason)
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
        return next(self._repeats) << RECORD_BITS | number

    def _entry(
        self, entry: Tsk, prefix: bytes, below: list[tuple[int, bytes]]
    ) -> Iterator[EvidenceEntry | Failure]:
        name = entry.info.name
        text = bytes(name.name)
        if text in (b".", b".."):
            return
        number = int(name.meta_addr)
        unlinked = bool(int(name.flags) & int(pytsk3.TSK_FS_NAME_FLAG_UNALLOC))
        meta = entry.info.meta
        # NTFS leaves the record of a deleted name to be opened by its number.
        if meta is None and number and (file := self._record(number)) is not None:
            entry, meta = file, file.info.meta
        full = prefix + text
        if meta is None:
            yield self._lost(full, number, unlinked, "its record is gone")
            return
        if meta.type in FOLDERS:
            # The sweep names NTFS's orphans better. A folder seen before is a cycle.
            virtual = meta.type == pytsk3.TSK_FS_META_TYPE_VIRT_DIR
            reused = unlinked and _is_used(meta)
            if number not in self._folders and not (virtual and self._ntfs) and not reused:
                self._folders[number] = (full + b"/", int(name.meta_seq))
                below.append((number, full + b"/"))
                if self._ntfs and not (unlinked and self._reused(name, meta)):
                    self._records.add(number)
                    yield from self._streams(entry, full, unlinked)
            return
        # TSK's own inventions, and FAT's label, are no files.
        if meta.type == pytsk3.TSK_FS_META_TYPE_VIRT:
            return
        # Files may be named so, or carry a label's attribute; a label lies in the root, empty.
        label = self._fat and text.endswith(b" (Volume Label Entry)")
        if label and not prefix and not int(meta.size):
            return
        if unlinked and self._reused(name, meta):
            yield self._lost(full, number, unlinked, "its record serves another file now")
            return
        if unlinked and _is_used(meta):
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
                yield failure(where, "Unreadable", "was deleted; its record cannot be read")
        self._records |= found

    def _reused(self, name: Tsk, meta: Tsk) -> bool:
        """Whether NTFS tells that a deleted name's record has been used again."""
        # It counts a record's uses: deleting adds one, each later use another.
        uses = int(meta.seq) - int(name.meta_seq)
        return self._ntfs and uses > (0 if _is_used(meta) else 1)

    def _lost(self, name: bytes, number: int, unlinked: bool, why: str) -> Failure:
        if unlinked:
            where = self._at(name, number, deleted=True)
            return failure(where, "DeletedWithoutContent", f"was deleted; {why}")
        # Its name may be another file's as well, and is left to that.
        text, raw = decode_name(name)
        where = self._path.child("file", text, raw, self._mark(b"\0" + name, number))
        return gap(where, "Damaged", f"is listed, but {why}")

    def _file(self, file: Tsk, name: bytes, unlinked: bool) -> Iterator[EvidenceEntry | Failure]:
        meta = file.info.meta
        number = int(meta.addr)
        deleted = unlinked or _is_free(meta)
        path = self._at(name, number, deleted)
        if meta.type == pytsk3.TSK_FS_META_TYPE_LNK:
            yield failure(path, "SymbolicLink", "is a symbolic link, which is not followed")
            return
        if meta.type in SPECIAL:
            yield failure(path, "SpecialFile", "is a device, pipe or socket")
            return
        size = int(meta.size)
        if not size and self._inodes:
            size = self._inodes.hidden_size(number)
        streams: list[EvidenceEntry] = []
        if self._ntfs and number >= FIRST_NTFS_USER_RECORD:
            streams = self._streams(file, name, deleted)
        if deleted and size == 0 and not streams:
            yield failure(path, "DeletedWithoutContent", "was deleted; its size is 0")
            return
        if (
            size
            and self._inodes
            and self._encrypts
            and not self._scattered
            and self._inodes.is_encrypted(number)
        ):
            yield failure(path, "Encrypted", "is encrypted by its file system")
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
        return moment(seconds, nanoseconds)

    def _streams(self, file: Tsk, name: bytes, deleted: bool) -> list[EvidenceEntry]:
        """NTFS's named streams of a file or folder."""
        meta = file.info.meta
        deleted = deleted or _is_free(meta)
        found = []
        with suppress(*FAULTS), self._lock:
            for attribute in file:
                info = attribute.info
                if info.type == pytsk3.TSK_FS_ATTR_TYPE_NTFS_DATA and info.name:
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
        own = [self._inodes.number(at) for at in EXT_OWN_FILES] if self._inodes else []
        for number in self._numbers(FIRST_EXT_USER_RECORD, 128):
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
            if meta is None or not _is_used(meta):
                continue
            name = b"$OrphanFiles/OrphanFile-%d" % number
            if meta.type == pytsk3.TSK_FS_META_TYPE_DIR:
                yield from self._walk(number, name + b"/", 0)
            elif meta.type == pytsk3.TSK_FS_META_TYPE_REG:
                files.append((name, number))
        if unread:
            reason = (
                f"{unread} of its inodes cannot be read: files that no folder names are missing"
            )
            yield gap(self._path, "Unreadable", reason)
        return files

    def _sweep(self) -> Iterator[EvidenceEntry | Failure]:
        """NTFS records that no folder names: deleted ones, and those of damaged folders."""
        mft = self._record(0)
        for number in self._numbers(FIRST_NTFS_USER_RECORD, 512):
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
                yield failure(where, "Unreadable", f"record cannot be read: {exc}")
                continue
            meta = file.info.meta
            if meta is None or (_is_used(meta) and self._continues(mft, number)):
                continue
            name = self._orphan_name(file)
            full = name or b"$OrphanFiles/record-%d" % number
            if meta.type in FOLDERS:
                yield from self._streams(file, full, False)
            elif meta.type == pytsk3.TSK_FS_META_TYPE_REG and (name or int(meta.size)):
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
                if int(attribute.info.type) != FILE_NAME_ATTRIBUTE:
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
