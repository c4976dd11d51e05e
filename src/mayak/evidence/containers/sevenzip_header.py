"""The header of 7z archives: unpacked here, and parsed by py7zr; alone imports py7zr."""

from __future__ import annotations

import stat
import struct
import zlib
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

from mayak.evidence.base import NotReadError, from_unix_time, library_for
from mayak.evidence.containers.deflate64 import blocks_of
from mayak.evidence.containers.sevenzip_coders import (
    AES,
    Coder,
    UnsupportedCoderError,
    check_coders,
    unpacked,
)
from mayak.evidence.streams import Bytes, FileBytes, JoinedBytes, stream_of
from mayak.i18n import msg
from mayak.types import EvidencePath, FileTimes, OutcomeReason

START = 32
"""Bytes before the packed ones: all that an archive without files has."""
_ENCODED = b"\x17"
"""With which a header begins that is packed itself."""
_MAX_HEADER = 1 << 28
_UNIX_EXTENSION = 0x8000
"""An attribute: the upper 16 bits are the mode of Unix."""
_EPOCH_DIFFERENCE = 11_644_473_600
"""Seconds from 1601, from which FILETIME counts 100 ns, to 1970."""


@dataclass(slots=True)
class PackedFile:
    name: str
    size: int
    checksum: int | None
    mode: int
    """Of Unix, 0 if it was not packed there."""
    is_folder: bool
    times: FileTimes
    folder: Any
    """Its block, as py7zr has it; None if it has no content."""
    block: int | None = None
    number: int = 0
    """Its position in the block."""


def parsed(data: Bytes, path: EvidencePath, passwords: tuple[str, ...]) -> Any:  # noqa: ANN401
    """Return the archive as py7zr parses it. Raises NotReadError, or what py7zr does."""
    with library_for(path, "7z"):
        from py7zr import SevenZipFile
    plain = _with_plain_header(data, path, passwords)
    return SevenZipFile(stream_of(plain.read_at, plain.size))


def _with_plain_header(data: Bytes, path: EvidencePath, passwords: tuple[str, ...]) -> Bytes:
    """Return the archive with its header unpacked, at its end. py7zr would unpack it, too, but
    with any method.

    Raises:
        NotReadError: none of the passwords opens it.
        ValueError: it is damaged.
    """
    from py7zr.archiveinfo import HeaderStreamsInfo

    offset, length, checksum = struct.unpack("<QQL", data.read_at(12, START - 12))
    header = data.read_at(START + offset, min(length, _MAX_HEADER))
    if len(header) < length or zlib.crc32(header) != checksum:
        raise ValueError("its header is damaged or cut off")
    if not header.startswith(_ENCODED):
        return data
    streams = HeaderStreamsInfo.retrieve(BytesIO(header[1:]))
    (folder,) = streams.unpackinfo.folders
    try:
        coders = in_order(folder)
        with library_for(path, "7z"):
            check_coders(coders)
    except UnsupportedCoderError as exc:
        reason = msg("is a 7z archive whose list of files is packed by a method that is not read")
        remedy = msg("unpack a copy of it with another program")
        raise NotReadError(path, reason, remedy) from exc
    if coders[-1].size > _MAX_HEADER:
        raise ValueError("its header is too large")
    start, size = START + streams.packinfo.packpos, streams.packinfo.packsizes[0]
    is_encrypted = any(coder.method == AES for coder in coders)
    for password in passwords if is_encrypted else ("",):
        packed = blocks_of(stream_of(data.read_at, size, start).read, size)
        # A wrong password gives bytes that any decompressor may stumble over.
        with suppress(Exception) if is_encrypted else nullcontext():
            header = b"".join(unpacked(coders, packed, password))
            if folder.crc in (None, zlib.crc32(header)):
                break
    else:
        if not is_encrypted:
            raise ValueError("its header is damaged")
        reason = msg("is a 7z archive whose list of files is encrypted")
        if passwords:
            reason = msg("is a 7z archive whose list of files none of the passwords opens")
        remedy = msg("give the password with --password-file")
        raise NotReadError(path, reason, remedy, OutcomeReason.ENCRYPTED)
    place = struct.pack("<QQL", data.size - START, len(header), zlib.crc32(header))
    mark = data.read_at(0, 8) + struct.pack("<L", zlib.crc32(place)) + place
    return JoinedBytes([FileBytes(BytesIO(mark)), _Rest(data), FileBytes(BytesIO(header))])


class _Rest:
    """An archive without its first header."""

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self.size = max(0, data.size - START)

    def read_at(self, offset: int, size: int) -> bytes:
        return self._data.read_at(offset + START, size)

    def close(self) -> None:
        return


def files_of(archive: Any) -> list[PackedFile]:  # noqa: ANN401 - of py7zr
    information = archive.header.files_info
    if information is None:
        return []
    files = []
    # Of the entries without content, those that are files.
    are_files = iter(information.emptyfiles)
    for found in information.files:
        attributes = found.get("attributes") or 0
        mode = attributes >> 16 if attributes & _UNIX_EXTENSION else 0
        is_folder = bool(attributes & stat.FILE_ATTRIBUTE_DIRECTORY) or stat.S_ISDIR(mode)
        if found["emptystream"]:
            is_folder = not next(are_files, False) or is_folder
        modified, created, accessed = (
            _utc(found.get(f"{which}time")) for which in ("lastwrite", "creation", "lastaccess")
        )
        files.append(
            PackedFile(
                found["filename"],
                found["uncompressed"],
                found.get("digest"),
                mode,
                is_folder,
                FileTimes(modified, created, accessed),
                found["folder"],
            )
        )
    return files


def _utc(filetime: int | None) -> datetime | None:
    if filetime is None:
        return None
    seconds, rest = divmod(int(filetime), 10_000_000)
    return from_unix_time(seconds - _EPOCH_DIFFERENCE, rest * 100)


def in_order(folder: Any) -> list[Coder]:  # noqa: ANN401 - of py7zr
    """Return the coders of a block, that of the packed bytes first. Raises UnsupportedCoderError,
    ValueError."""
    for each in folder.coders:
        if (each["numinstreams"], each["numoutstreams"]) != (1, 1):
            raise UnsupportedCoderError(each["method"])
    after = {bond.outcoder: bond.incoder for bond in folder.bindpairs}
    order = [folder.packed_indices[0]]
    while order[-1] in after and len(order) <= len(folder.coders):
        order.append(after[order[-1]])
    if sorted(order) != list(range(len(folder.coders))):
        raise ValueError("the coders of a block are not a chain")
    return [
        Coder(each["method"], each["properties"] or b"", folder.unpacksizes[index])
        for index in order
        for each in [folder.coders[index]]
    ]
