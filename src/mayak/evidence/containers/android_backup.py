"""Backups that ``adb backup`` or a phone's maker wrote (``.ab``), encrypted ones too: a header of
text, then a TAR, which may be compressed with zlib and encrypted with AES-256.

The format is that of ``BackupManagerService`` and ``BackupPasswordManager`` in the Android Open
Source Project, versions 1 to 5.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, cast

from mayak.errors import EvidenceError
from mayak.evidence.base import (
    Choices,
    Container,
    ContainerFormat,
    LimitExceededError,
    Limits,
    container_gap,
    locked,
)
from mayak.evidence.containers.decryption import (
    BLOCK,
    UnsafeKeyError,
    cbc_stream,
    decrypt_cbc,
    missing_package,
    padded_size,
    pbkdf2,
    without_padding,
)
from mayak.evidence.containers.tar import TarContainer
from mayak.evidence.streams import Bytes, Unpacked, stream_of
from mayak.i18n import msg
from mayak.signatures import ANDROID_BACKUP
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason

_VERSIONS = range(1, 6)
_MAX_HEADER = 8192
"""Bytes of the header; an encrypted backup's has about 700."""
_MAX_LINES = 9
_STEP = 4096
"""Packed bytes that are unpacked at once: those of a damaged step are lost."""
_KIND = "an encrypted Android backup"


@dataclass(frozen=True, slots=True)
class _Header:
    is_compressed: bool
    encryption: str
    secrets: tuple[str, ...]
    """Of an encrypted backup: salt of the password and of the checksum, rounds of PBKDF2,
    initialisation vector and wrapped master key, in hex but for the rounds."""
    length: int


class AndroidBackup(Container):
    """The members of the TAR in a backup."""

    def __init__(self, data: Bytes, path: EvidencePath, limits: Limits, choices: Choices) -> None:
        """Raises EvidenceError if its header is damaged or of a version that is not known."""
        self._path = path
        self._limits = limits
        self._tar: TarContainer | None = None
        self._gap: Failure | None = None
        """What of it cannot be listed."""
        header = _header(data)
        size = data.size - header.length
        content: Bytes = _After(data, header.length)
        if header.encryption == "none":
            packed = stream_of(content.read_at, size)
        else:
            decrypted = self._decrypted(stream_of(content.read_at, size), header, choices)
            if decrypted is None:
                return
            packed = decrypted
        if header.is_compressed:
            inflated = _Inflated(packed)
            content = Unpacked(cast(BinaryIO, inflated), partial(self._check, size))
            if inflated.fault is not None:
                reason = f"cannot be unpacked beyond {content.size} bytes: {inflated.fault}"
                self._gap = container_gap(path, OutcomeReason.DAMAGED, reason)
        elif header.encryption != "none":
            content = Unpacked(packed, partial(self._check, size))
        self._tar = TarContainer(content, path, limits)

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        if self._gap is not None:
            yield replace(self._gap, kind=ANDROID_BACKUP.name)
        if self._tar is not None:
            yield from self._tar.entries()

    def _check(self, packed: int, unpacked: int) -> None:
        if reason := self._limits.too_much(unpacked, packed):
            raise LimitExceededError(self._path, reason)

    def _decrypted(self, packed: BinaryIO, header: _Header, choices: Choices) -> BinaryIO | None:
        """Return the decrypted content; None if it cannot be decrypted, with the reason as the
        gap."""
        if header.encryption != "AES-256":
            reason = f"is encrypted with {header.encryption!a:.40}, which is not read"
            self._gap = container_gap(self._path, OutcomeReason.ENCRYPTED, reason)
            return None
        if choices.passwords:
            self._gap = missing_package(self._path, _KIND)
            if self._gap is not None:
                return None
        try:
            key = _master_key(header.secrets, choices.passwords)
        except ValueError as exc:
            reason = f"is {_KIND} with a damaged header: {exc}"
            self._gap = container_gap(self._path, OutcomeReason.ENCRYPTED, reason)
            return None
        if key is None:
            self._gap = locked(self._path, _KIND, choices)
            return None
        self.opened_with_password = True
        return cbc_stream(packed, *key, padded_size(packed, *key))


def _header(data: Bytes) -> _Header:
    head = data.read_at(0, _MAX_HEADER)
    lines: list[str] = []
    length = 0
    wanted = 4
    while len(lines) < wanted:
        end = head.find(b"\n", length)
        if end < 0:
            raise _damaged(msg("its header is cut off"))
        lines.append(head[length:end].decode("ascii", "backslashreplace"))
        length = end + 1
        if len(lines) == 4 and lines[3] == "AES-256":
            wanted = _MAX_LINES
    _, version, compressed, encryption, *secrets = lines
    if version not in map(str, _VERSIONS) or compressed not in ("0", "1"):
        raise _damaged(msg("its version is not known: {version:.20}", version=version))
    return _Header(compressed == "1", encryption, tuple(secrets), length)


def _damaged(reason: str) -> EvidenceError:
    return EvidenceError(
        msg("Android backup: ") + reason,
        remedy=msg("check that the medium is connected and the copy is whole"),
    )


def _master_key(secrets: tuple[str, ...], passwords: tuple[str, ...]) -> tuple[bytes, bytes] | None:
    """Return the key of the content and its initialisation vector, None if no password fits.

    Raises:
        ValueError: the header is damaged.
    """
    try:
        salt, checksum_salt, vector, wrapped = (
            bytes.fromhex(secrets[index]) for index in (0, 1, 3, 4)
        )
        rounds = int(secrets[2]) if len(secrets[2]) < BLOCK else 0
        if len(vector) != BLOCK or len(wrapped) % BLOCK:
            raise ValueError("a length is not valid")
        for password in passwords:
            for encoded in _java_passwords:
                key = pbkdf2("sha1", encoded(_java_chars(password)), salt, rounds)
                found = _unwrapped(decrypt_cbc(key, vector, wrapped))
                if found is None:
                    continue
                master, content_vector, checksum = found
                # Java makes a char of each byte, and bytes are signed there.
                chars = [byte if byte < 0x80 else 0xFF00 | byte for byte in master]
                if pbkdf2("sha1", encoded(chars), checksum_salt, rounds) == checksum:
                    return master, content_vector
    except UnsafeKeyError as exc:
        raise ValueError(f"it asks for {exc}") from exc
    return None


def _unwrapped(blob: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return master key, initialisation vector and checksum, each with its length before it."""
    content = without_padding(blob)
    parts: list[bytes] = []
    while content:
        length = content[0]
        parts.append(content[1 : 1 + length])
        content = content[1 + length :]
    if [len(part) for part in parts] != [BLOCK, 32, 32]:
        return None
    vector, master, checksum = parts
    return master, vector, checksum


def _java_chars(text: str) -> list[int]:
    """Return the 16-bit numbers that Java holds for a text."""
    encoded = text.encode("utf-16-be")
    return [int.from_bytes(encoded[at : at + 2]) for at in range(0, len(encoded), 2)]


def _as_utf8(chars: list[int]) -> bytes:
    pairs = b"".join(char.to_bytes(2) for char in chars)
    return pairs.decode("utf-16-be").encode()


def _as_8_bits(chars: list[int]) -> bytes:
    return bytes(char & 0xFF for char in chars)


_java_passwords = (_as_utf8, _as_8_bits)
"""How PBKDF2 gets a password's characters; the second in backups of version 1 only."""


class _After:
    """The bytes after an offset."""

    def __init__(self, data: Bytes, start: int) -> None:
        self._data = data
        self._start = start
        self.size = data.size - start

    def read_at(self, offset: int, size: int) -> bytes:
        return self._data.read_at(self._start + offset, size)

    def close(self) -> None:
        self._data.close()


class _Inflated(io.RawIOBase):
    """The content of a zlib stream, up to its first fault."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._inner = zlib.decompressobj()
        self.fault: str | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._inner.eof and self.fault is None:
            block = self._inner.unconsumed_tail or self._packed.read(_STEP)
            if not block:
                self.fault = "its compressed data end early"
                break
            try:
                part = self._inner.decompress(block, len(buffer))
            except zlib.error as exc:
                self.fault = str(exc)
                break
            if part:
                buffer[: len(part)] = part
                return len(part)
        if self.fault is None and (self._inner.unused_data or self._packed.read(1)):
            self.fault = "other bytes follow its compressed data"
        return 0


FORMAT = ContainerFormat(
    (ANDROID_BACKUP,),
    lambda file, path, limits: AndroidBackup(file.data(), path, limits, file.choices),
)
