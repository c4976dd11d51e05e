"""What every reader shares: limits, names, failures, and how a container is recognised."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import BinaryIO, Literal, Protocol, cast

from mayak.errors import EvidenceError
from mayak.i18n import msg
from mayak.types import EvidenceEntry, EvidencePath, Failure

Reason = Literal[
    "Encrypted",
    "Unsupported",
    "Damaged",
    "HashMismatch",
    "Unreadable",
    "LimitExceeded",
    "SymbolicLink",
    "SpecialFile",
    "DeletedWithoutContent",
]
EXCLUSIONS: frozenset[Reason] = frozenset({"SymbolicLink", "SpecialFile", "DeletedWithoutContent"})
"""Values of ``Failure.error`` that state why there is nothing to read, rather than a fault."""

UNREAD = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"KDMV": "a VMDK disk image",
    b"QFI\xfb": "a QCOW2 disk image",
    b"vhdxfile": "a VHDX disk image",
    b"conectix": "a VHD disk image",
}
"""First bytes of containers that hold files and are not entered."""

HEAD = 512
GZIP, BZIP2, XZ = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0"
PACKED = (GZIP, BZIP2, XZ)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Limits:
    """How far containers are entered; what goes beyond is a Failure, ``LimitExceeded``."""

    depth: int = 3
    """Archives and disk images inside one another, below the source itself."""
    members: int = 5_000_000
    """Entries of one archive."""
    unpacked: int = 64 << 30
    """Bytes that one compressed container, or one nested archive in all, may unpack to."""
    ratio: int = 200
    """Unpacked over packed bytes, applied from 64 MiB unpacked on: small files of one
    repeated byte compress further in all honesty."""

    def too_much(self, unpacked: int, packed: int) -> str | None:
        """Why so much from so little is refused; None if it is not."""
        if unpacked > self.unpacked:
            return msg("unpacks to more than {limit} bytes", limit=self.unpacked)
        if unpacked > RATIO_FLOOR and unpacked > self.ratio * max(packed, 1):
            return msg(
                "unpacks to more than {ratio} times its size: taken for a bomb", ratio=self.ratio
            )
        return None


RATIO_FLOOR = 64 << 20


class Reader(Protocol):
    """An open container."""

    def items(self) -> Iterator[EvidenceEntry | Failure]:
        """Its entries, those of the containers inside it not included."""
        ...

    def close(self) -> None: ...


def failure(path: EvidencePath, reason: Reason, message: str) -> Failure:
    """An entry that cannot be had; ``message`` is recorded, so it is English."""
    return Failure(str(path), "read", reason, message, path)


def gap(path: EvidencePath, reason: Reason, message: str) -> Failure:
    """Something that is missing of a container, which is an item itself."""
    return Failure(str(path), "read", reason, message)


def decode_name(raw: bytes, fallback: str = "cp437") -> tuple[str, bytes | None]:
    """A name's text (UTF-8, else CP949, else ``fallback``), and its bytes unless UTF-8."""
    for encoding in ("utf-8", "cp949"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding), None if encoding == "utf-8" else raw
    return raw.decode(fallback, "backslashreplace"), raw


def moment(seconds: float, nanoseconds: int = 0) -> datetime | None:
    """UTC of a Unix time; None for 0, which file systems write for unknown."""
    if not seconds and not nanoseconds:
        return None
    with suppress(OverflowError):
        return EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    return None


def archive_kind(head: bytes) -> Literal["zip", "tar", "packed"] | None:
    """What the first 512 bytes say: a ZIP, a TAR, something compressed, or neither."""
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
        return "zip"
    # Old TARs have no magic; a right checksum of the header is as good.
    if head[257:262] == b"ustar" or _tar_checksum(head):
        return "tar"
    if head.startswith(PACKED):
        return "packed"
    return None


def _tar_checksum(head: bytes) -> bool:
    field = head[148:156].strip(b" \0")
    if len(head) < HEAD or not head[0] or not field or field.strip(b"01234567"):
        return False
    return int(field, 8) == sum(head[:148]) + sum(head[156:]) + 8 * 32


def unread_kind(head: bytes) -> str | None:
    """What container of a kind that is not entered begins so."""
    return next((name for magic, name in UNREAD.items() if head.startswith(magic)), None)


def decompressed(stream: BinaryIO, head: bytes) -> BinaryIO:
    """What a gzip, bzip2 or xz stream of these first bytes unpacks to."""
    if head.startswith(GZIP):
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream, mode="rb"))
    return cast(BinaryIO, bz2.BZ2File(stream) if head.startswith(BZIP2) else lzma.LZMAFile(stream))


def holds_tar(stream: BinaryIO, head: bytes) -> bool:
    """Whether a compressed stream unpacks to a TAR."""
    try:
        with decompressed(stream, head) as inner:
            return archive_kind(inner.read(HEAD)) == "tar"
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, EvidenceError):
        return False
