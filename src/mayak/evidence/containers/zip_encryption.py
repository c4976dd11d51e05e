"""Encrypted ZIP members: PKWARE's old cipher and WinZip's AES.

The old cipher is that of APPNOTE 6.3, chapter 6.1; AES is that of WinZip's "AES Encryption
Information: Encryption Specification AE-1 and AE-2".
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import BinaryIO

from mayak.evidence.containers.ciphers import counter_mode
from mayak.evidence.containers.zip_records import DESCRIBED, ENCRYPTED, Member, extra_field
from mayak.evidence.streams import BUFFER, stream_of_blocks

AES_METHOD = 99
"""The compression method that means AES; the real one is in an extra field."""
_AES_FIELD = 0x9901
_SALT_BYTES = {1: 8, 2: 12, 3: 16}
_CHECK, _CODE = 2, 10
"""Bytes after the salt that verify a password, and of the authentication code at the end."""
_ROUNDS = 1000
_FACTOR = 134775813
_HEADER = 12
"""Bytes before the content with which the old cipher is primed."""


def is_encrypted(member: Member) -> bool:
    return bool(member.flags & ENCRYPTED) or member.method == AES_METHOD


def true_method(member: Member) -> int:
    """Return the compression method below an encryption. Raises BadZipFile."""
    return _aes_field(member)[2] if member.method == AES_METHOD else member.method


def has_checksum(member: Member) -> bool:
    """Whether the CRC-32 of the content is stored: AE-2 leaves it out."""
    return member.method != AES_METHOD or _aes_field(member)[0] == 1


def decrypted(member: Member, packed: BinaryIO, password: str) -> tuple[BinaryIO, int] | None:
    """Return a member's compressed content as a stream and its length; None if the password is a
    wrong one. The old cipher takes one wrong password in 256 for the right one.

    Raises:
        BadZipFile: its encryption is damaged or is another one.
        ImportError: Cryptodome is missing.
    """
    open_with = _with_aes if member.method == AES_METHOD else _with_old_cipher
    for encoding in ("utf-8", "cp949"):
        with suppress(UnicodeEncodeError):
            packed.seek(0)
            if (found := open_with(member, packed, password.encode(encoding))) is not None:
                return found
    return None


def _with_old_cipher(
    member: Member, packed: BinaryIO, password: bytes
) -> tuple[BinaryIO, int] | None:
    header = _old_cipher(_keys(password), packed.read(_HEADER))
    # The last byte is that of the checksum, or of the time if the checksum came later.
    check = member.time >> 8 if member.flags & DESCRIBED else member.crc >> 24
    if len(header) < _HEADER or header[-1] != check:
        return None
    length = member.packed - _HEADER
    return stream_of_blocks(partial(_old_blocks, packed, password, length)), length


def _old_blocks(packed: BinaryIO, password: bytes, length: int) -> Iterator[bytes]:
    keys = _keys(password)
    packed.seek(0)
    _old_cipher(keys, packed.read(_HEADER))
    while block := packed.read(min(BUFFER, length)):
        length -= len(block)
        yield bytes(_old_cipher(keys, block))


def _keys(password: bytes) -> list[int]:
    keys = [0x12345678, 0x23456789, 0x34567890]
    for byte in password:
        _advance(keys, byte)
    return keys


def _advance(keys: list[int], byte: int) -> None:
    keys[0] = _CRC[(keys[0] ^ byte) & 0xFF] ^ keys[0] >> 8
    keys[1] = ((keys[1] + (keys[0] & 0xFF)) * _FACTOR + 1) & 0xFFFFFFFF
    keys[2] = _CRC[(keys[2] ^ keys[1] >> 24) & 0xFF] ^ keys[2] >> 8


def _old_cipher(keys: list[int], block: bytes) -> bytearray:
    """Decrypt a block; the keys advance with it."""
    # ``_advance`` is written out: a call for each byte would take twice as long.
    first, second, third = keys
    table = _CRC
    plain = bytearray(block)
    for index, byte in enumerate(block):
        mixed = third | 2
        byte ^= (mixed * (mixed ^ 1)) >> 8 & 0xFF
        plain[index] = byte
        first = table[(first ^ byte) & 0xFF] ^ first >> 8
        second = ((second + (first & 0xFF)) * _FACTOR + 1) & 0xFFFFFFFF
        third = table[(third ^ second >> 24) & 0xFF] ^ third >> 8
    keys[:] = first, second, third
    return plain


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xEDB88320 if byte & 1 else 0)
    return byte


_CRC = [_crc_of(byte) for byte in range(256)]


def _aes_field(member: Member) -> tuple[int, int, int]:
    """Return version, strength and compression method."""
    body = extra_field(member.extra, _AES_FIELD)
    if len(body) < 7 or body[2:4] != b"AE" or body[4] not in _SALT_BYTES:
        raise zipfile.BadZipFile("its AES field is damaged")
    version, strength, method = struct.unpack_from("<H2xBH", body)
    return version, strength, method


def _with_aes(member: Member, packed: BinaryIO, password: bytes) -> tuple[BinaryIO, int] | None:
    _, strength, _ = _aes_field(member)
    salt_bytes = _SALT_BYTES[strength]
    length = member.packed - salt_bytes - _CHECK - _CODE
    head = packed.read(salt_bytes + _CHECK)
    if length < 0 or len(head) < salt_bytes + _CHECK:
        raise zipfile.BadZipFile("its encrypted content is cut off")
    size = 2 * salt_bytes
    derived = hashlib.pbkdf2_hmac("sha1", password, head[:salt_bytes], _ROUNDS, 2 * size + _CHECK)
    if derived[-_CHECK:] != head[-_CHECK:]:
        return None
    key, code_key = derived[:size], derived[size : 2 * size]
    counter_mode(key)  # which names the library if it is missing
    blocks = partial(_aes_blocks, packed, len(head), length, key, code_key)
    return stream_of_blocks(blocks), length


def _aes_blocks(
    packed: BinaryIO, start: int, length: int, key: bytes, code_key: bytes
) -> Iterator[bytes]:
    cipher = counter_mode(key)
    code = hmac.new(code_key, digestmod="sha1")
    packed.seek(start)
    while length:
        block = packed.read(min(BUFFER, length))
        if not block:
            raise EOFError("its encrypted content is cut off")
        length -= len(block)
        code.update(block)
        # Before the last block is given out: a decompressor may not ask for more.
        if not length and packed.read(_CODE) != code.digest()[:_CODE]:
            raise zipfile.BadZipFile("its authentication code does not match its content")
        yield cipher.decrypt(block)
