"""Keys and streams of encrypted containers."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO, Literal

from mayak.evidence.base import container_gap
from mayak.evidence.containers.ciphers import chaining_mode, is_installed
from mayak.evidence.progress import note_progress
from mayak.evidence.streams import stream_of
from mayak.types import EvidencePath, Failure, OutcomeReason

BLOCK = 16
"""Bytes of an AES block."""
_MAX_ROUNDS = 20_000_000
"""Rounds of PBKDF2 that are computed, about 7 s of one core. iOS asks for 10 million; a file that
asks for more than twice as many is made to keep its reader busy."""


class UnsafeKeyError(ValueError):
    """Parameters of a key that no program writes."""


def missing_package(path: EvidencePath, what: str) -> Failure | None:
    """Return the failure of an encrypted container if PyCryptodome is not installed, else None;
    ``what`` names its kind with an article."""
    if is_installed():
        return None
    reason = f"is {what}, which needs a package that is not installed: pycryptodomex"
    return container_gap(path, OutcomeReason.ENCRYPTED, reason)


def pbkdf2(
    name: Literal["sha1", "sha256"], password: bytes, salt: bytes, rounds: int, length: int = 32
) -> bytes:
    """Return the key that PBKDF2 (RFC 8018) derives from a password.

    Raises:
        UnsafeKeyError: there are no rounds, or too many.
    """
    if not 1 <= rounds <= _MAX_ROUNDS:
        raise UnsafeKeyError(f"{rounds} rounds of PBKDF2, of which {_MAX_ROUNDS} are allowed")
    note_progress()  # there may be many passwords, and each takes seconds
    return hashlib.pbkdf2_hmac(name, password, salt, rounds, length)


def decrypt_cbc(key: bytes, vector: bytes, data: bytes) -> bytes:
    """Decrypt whole blocks of AES-CBC. Raises ValueError for lengths that are not valid."""
    return chaining_mode(key, vector).decrypt(data)


def without_padding(data: bytes) -> bytes | None:
    """Remove the padding of PKCS #7 (RFC 5652, 6.3); None if the data do not end with one."""
    count = data[-1] if data else 0
    if not 1 <= count <= BLOCK or data[-count:] != bytes([count]) * count:
        return None
    return data[:-count]


def cbc_stream(packed: BinaryIO, key: bytes, vector: bytes, size: int) -> BinaryIO:
    """Return the first ``size`` bytes of a stream in AES-CBC, decrypted as they are read.

    The stream may be read from any position, because a block depends only on the one before it.
    Closing it closes ``packed``.
    """
    before = 0, vector
    """The last position reached, and the encrypted block before it."""

    def read_at(offset: int, length: int) -> bytes:
        nonlocal before
        start = offset - offset % BLOCK
        end = -(-(offset + length) // BLOCK) * BLOCK
        if start == before[0]:
            previous = before[1]
        elif start == 0:
            previous = vector
        else:
            packed.seek(start - BLOCK)
            previous = packed.read(BLOCK)
        packed.seek(start)
        data = packed.read(end - start)
        data = data[: len(data) - len(data) % BLOCK]
        if not data:
            return b""
        before = start + len(data), data[-BLOCK:]
        return decrypt_cbc(key, previous, data)[offset - start : offset - start + length]

    return stream_of(read_at, size, release=packed.close)


def padded_size(packed: BinaryIO, key: bytes, vector: bytes) -> int:
    """Return how many bytes a stream in AES-CBC decrypts to, without its padding if it has one."""
    size = packed.seek(0, io.SEEK_END)
    whole = size - size % BLOCK
    if not whole:
        return 0
    packed.seek(max(whole - 2 * BLOCK, 0))
    last = packed.read(min(whole, 2 * BLOCK))
    content = without_padding(decrypt_cbc(key, (vector + last)[-2 * BLOCK : -BLOCK], last[-BLOCK:]))
    return whole if content is None else whole - BLOCK + len(content)
