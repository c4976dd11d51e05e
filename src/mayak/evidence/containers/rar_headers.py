"""The headers of RAR archives, by RARLAB's technical notes on RAR 4 and RAR 5.

They are read here and not taken from libarchive, which up to version 3.6 gives the encrypted bytes
of a RAR 5 file as its content, and hard links and copies as empty files.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO

from mayak.evidence.base import decode_name, from_unix_time
from mayak.evidence.streams import Bytes
from mayak.types import FileTimes

MARK_4, MARK_5 = b"Rar!\x1a\x07\x00", b"Rar!\x1a\x07\x01\x00"
_MAX_HEADER = 2 << 20
"""Bytes; RAR 5 allows 2 MiB, RAR 4 64 KiB."""
_WITH_CONTENT = (0x74, 0x7A)
"""Kinds of RAR 4's blocks: files, and services such as a recovery record."""
_SOLID = "is in a solid RAR 4 archive, which is not read"
_EPOCH_DIFFERENCE = 11_644_473_600
_SYMLINKS, _COPIES = (1, 2, 3), (4, 5)
"""Kinds of RAR 5's redirection: links of Unix, of Windows and junctions; hard links and copies."""


@dataclass(slots=True)
class RarFile:
    """One file, of which only the first part of several is listed."""

    name: str
    raw: bytes | None
    size: int
    packed: int
    checksum: int | None
    """CRC-32 of the content; None if it is not stored."""
    times: FileTimes
    digest: bytes | None = None
    """BLAKE2sp of the content; None if it is not stored."""
    is_folder: bool = False
    is_encrypted: bool = False
    is_link: bool = False
    copy_of: str | None = None
    """Name of the file whose content it has."""
    continues: bool = False
    """Whether its last part so far goes on in the next piece."""
    is_continued: bool = False
    """Whether its first part so far is the rest of one in the piece before."""
    unread: str = ""
    """What keeps it from being read, other than encryption."""


@dataclass(slots=True)
class RarPiece:
    """What one file of an archive holds."""

    files: list[RarFile]
    is_one_of_several: bool = False
    follows: bool = False
    """Whether another piece comes after it."""
    is_encrypted: bool = False
    """Whether the headers are."""
    has_new_names: bool = True
    """Whether pieces are named ``.part1.rar``, ``.part2.rar``, or else ``.rar``, ``.r00``."""
    fault: str = ""
    """Why it could not be read to its end."""


def pieces_files(pieces: list[RarPiece]) -> list[RarFile]:
    """Return the files of all pieces, those in parts once."""
    files: list[RarFile] = []
    for piece in pieces:
        for file in piece.files:
            before = files[-1] if files else None
            if file.is_continued and before is not None and before.continues:
                before.packed += file.packed
                before.continues = file.continues
                # The last part has the checksum of the whole.
                before.checksum, before.digest = file.checksum, file.digest
            else:
                files.append(file)
    return files


def parse(data: Bytes, limit: int) -> RarPiece:
    """Return what a piece holds, up to where it is damaged, and at most ``limit`` files."""
    head = data.read_at(0, 8)
    piece = RarPiece([])
    blocks = _blocks_5(data, piece) if head.startswith(MARK_5) else _blocks_4(data, piece)
    try:
        for file in blocks:
            piece.files.append(file)
            if len(piece.files) > limit:
                break
    except (ValueError, struct.error, IndexError) as exc:
        piece.fault = str(exc) or "a header is damaged"
    return piece


def _blocks_4(data: Bytes, piece: RarPiece) -> Iterator[RarFile]:
    at = 7
    has_end = is_solid = False
    while head := data.read_at(at, 7):
        _, kind, flags, length = struct.unpack("<HBHH", head.ljust(7, b"\0"))
        body = data.read_at(at + 7, length - 7) if length > 7 else b""
        if length < 7 or len(body) < length - 7:
            raise ValueError("a header is damaged or cut off")
        if kind == 0x73:
            piece.is_one_of_several, piece.has_new_names = bool(flags & 1), bool(flags & 0x10)
            piece.is_encrypted, is_solid = bool(flags & 0x80), bool(flags & 8)
        elif kind == 0x7B:
            piece.follows = bool(flags & 1)
        packed = _content_length(kind, flags, body)
        if kind == 0x74:
            file = _file_4(body, flags, packed)
            has_end = has_end or body[17] >= 29  # RAR 1 and 2 write no last record
            if is_solid and piece.files:
                file.unread = file.unread or _SOLID
            yield file
        if kind == 0x7B or piece.is_encrypted:
            return
        at += length + packed
        if at > data.size:
            raise ValueError("it ends before its last file does")
    if has_end:
        raise ValueError("it ends without its last record")


def _content_length(kind: int, flags: int, body: bytes) -> int:
    """Return the number of bytes after a header of RAR 4."""
    if kind not in _WITH_CONTENT and not flags & 0x8000:
        return 0
    high = body[25:29] if kind in _WITH_CONTENT and flags & 0x100 else b""
    return int.from_bytes(body[:4] + high, "little")


def _file_4(body: bytes, flags: int, packed: int) -> RarFile:
    _, size, system, checksum, time, version, method, length, attributes = struct.unpack_from(
        "<LLBLLBBHL", body
    )
    at = 25
    if flags & 0x100:
        size |= int.from_bytes(body[at + 4 : at + 8], "little") << 32
        at += 8
    name, raw = _name_4(body[at : at + length], bool(flags & 0x200))
    modified = _dos_time(time)
    if flags & 0x1000 and modified is not None:
        modified += _more_time(body[at + length + (8 if flags & 0x400 else 0) :])
    mode = attributes >> 16 if system == 3 and attributes > 0xFFFF else attributes
    is_unix = system == 3
    unread = ""
    if method != 0x30 and version < 29:
        unread = f"was packed by RAR {version / 10:g}, which is not read"
    elif flags & 0x10:
        unread = _SOLID
    return RarFile(
        name,
        raw,
        size,
        packed,
        checksum,
        FileTimes(modified, zone_known=False),  # by the clock of the computer that packed it
        is_folder=flags & 0xE0 == 0xE0 or (is_unix and stat.S_ISDIR(mode)),
        is_encrypted=bool(flags & 4),
        is_link=is_unix and stat.S_ISLNK(mode),
        continues=bool(flags & 2),
        is_continued=bool(flags & 1),
        unread=unread,
    )


def _more_time(extended: bytes) -> timedelta:
    """Return what a time of the last change has in addition to one in steps of 2 s."""
    form = int.from_bytes(extended[:2], "little") >> 12
    if not form & 8:
        return timedelta(0)
    fraction = extended[2 : 2 + (form & 3)].rjust(3, b"\0")  # of 100 ns, the highest bytes only
    microseconds = int.from_bytes(fraction, "little") // 10
    return timedelta(seconds=1 if form & 4 else 0, microseconds=microseconds)


def _name_4(stored: bytes, is_unicode: bool) -> tuple[str, bytes | None]:
    plain, zero, packed = stored.partition(b"\0")
    if is_unicode and zero and packed:
        return _unpacked_name(plain, packed).replace("\\", "/"), stored
    name, raw = decode_name(plain)
    return (name.replace("\\", "/"), plain) if "\\" in name else (name, raw)


def _unpacked_name(plain: bytes, packed: bytes) -> str:
    """Return a name whose characters are stored as differences from an 8-bit one."""
    stream = BytesIO(packed)
    high = stream.read(1)[0]
    units = bytearray()

    def add(low: int, high: int) -> None:
        units.extend((low & 0xFF, high))

    flags = bits = 0
    while len(units) < 2 * 1024:
        if not bits:
            following = stream.read(1)
            if not following:
                break
            flags, bits = following[0], 8
        bits -= 2
        kind = flags >> bits & 3
        first = stream.read(1)
        if not first:
            break
        if kind < 2:
            add(first[0], high if kind else 0)
        elif kind == 2:
            add(first[0], (stream.read(1) or b"\0")[0])
        else:
            count, correction, page = first[0] + 2, 0, 0
            if first[0] & 0x80:
                count, correction, page = (first[0] & 0x7F) + 2, stream.read(1)[0], high
            start = len(units) // 2
            for low in plain[start : start + count]:
                add(low + correction, page)
    return units.decode("utf-16-le", "replace")


def _dos_time(value: int) -> datetime | None:
    date, time = value >> 16, value & 0xFFFF
    try:
        return datetime(
            (date >> 9) + 1980,
            date >> 5 & 0xF,
            date & 0x1F,
            time >> 11,
            time >> 5 & 0x3F,
            (time & 0x1F) * 2,
            tzinfo=UTC,
        )
    except ValueError:
        return None


def _blocks_5(data: Bytes, piece: RarPiece) -> Iterator[RarFile]:
    at = 8
    while head := data.read_at(at, 16):
        fields = _Fields(head[4:])
        length = fields.number()
        start = at + 4 + fields.at
        if not 0 < length <= _MAX_HEADER:
            raise ValueError("a header is damaged")
        body = data.read_at(start, length)
        if len(body) < length:
            raise ValueError("it is cut off in a header")
        fields = _Fields(body)
        kind, flags = fields.number(), fields.number()
        extra = fields.number() if flags & 1 else 0
        packed = fields.number() if flags & 2 else 0
        if kind == 1:
            piece.is_one_of_several = bool(fields.number() & 1)
        elif kind == 2:
            yield _file_5(fields, body[len(body) - extra :] if extra else b"", flags, packed)
        elif kind == 4:
            piece.is_encrypted = True
            return
        elif kind == 5:
            piece.follows = bool(fields.number() & 1)
            return
        at = start + length + packed
        if at > data.size:
            raise ValueError("it ends before its last file does")
    raise ValueError("it ends without its last record")


class _Fields:
    """Numbers of RAR 5 one after the other: 7 bits a byte, the lowest first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def number(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise ValueError("a number in a header is damaged")

    def bytes(self, length: int) -> bytes:
        found = self._data[self.at : self.at + length]
        self.at += length
        if len(found) < length:
            raise ValueError("a header is damaged")
        return found


def _file_5(fields: _Fields, extra: bytes, block_flags: int, packed: int) -> RarFile:
    flags, size, attributes = fields.number(), fields.number(), fields.number()
    modified = None
    if flags & 2:
        modified = from_unix_time(int.from_bytes(fields.bytes(4), "little"))
    checksum = int.from_bytes(fields.bytes(4), "little") if flags & 4 else None
    compression, system = fields.number(), fields.number()
    name, raw = decode_name(fields.bytes(fields.number()))
    file = RarFile(
        name,
        raw,
        size,
        packed,
        checksum,
        FileTimes(modified),
        is_folder=bool(flags & 1),
        is_link=system == 1 and stat.S_ISLNK(attributes),
        is_continued=bool(block_flags & 8),
        continues=bool(block_flags & 0x10),
        unread="" if compression & 0x3F == 0 else "was packed by RAR 7, which is not read",
    )
    if flags & 8:
        file.unread = "is of unknown size, which is not read"
    records = _Fields(extra)
    while records.at < len(extra):
        length = records.number()
        record = _Fields(records.bytes(length))
        _record(file, record.number(), record)
    return file


def _record(file: RarFile, kind: int, record: _Fields) -> None:
    """Take over what an extra record of a file states."""
    if kind == 1:
        file.is_encrypted = True
    elif kind == 2 and record.number() == 0:
        file.digest = record.bytes(32)
    elif kind == 3:
        flags = record.number()
        times: list[datetime | None] = []
        for bit in (2, 4, 8):
            stored = record.bytes(4 if flags & 1 else 8) if flags & bit else b""
            number = int.from_bytes(stored, "little")
            if not flags & 1 and stored:
                number, rest = divmod(number, 10_000_000)
                times.append(from_unix_time(number - _EPOCH_DIFFERENCE, rest * 100))
            else:
                times.append(from_unix_time(number))
        file.times = FileTimes(times[0] or file.times.modified, times[1], times[2])
    elif kind == 5:
        target, _ = record.number(), record.number()
        name, _ = decode_name(record.bytes(record.number()))
        file.is_link = target in _SYMLINKS
        file.copy_of = name if target in _COPIES else None
