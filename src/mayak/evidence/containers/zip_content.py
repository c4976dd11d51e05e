"""The content of a ZIP's members: decrypted and unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import BinaryIO, cast

from mayak.errors import EvidenceError
from mayak.evidence.base import PASSWORD_WANTED
from mayak.evidence.containers.deflate64 import blocks_of, from_deflate64, require_deflate64
from mayak.evidence.containers.zip_encryption import (
    AES_METHOD,
    decrypted,
    has_checksum,
    is_encrypted,
    true_method,
)
from mayak.evidence.containers.zip_records import Member
from mayak.evidence.progress import note_progress
from mayak.evidence.streams import CHUNK, guarded, stream_of_blocks
from mayak.types import OutcomeReason

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_DEFLATE64 = 9

Refusal = tuple[OutcomeReason, str]


def refusal(member: Member, passwords: list[str], packed: Callable[[], BinaryIO]) -> Refusal | None:
    """Return why a member's content cannot be read here; None if it can be.

    The password that opens it becomes the first: to try one costs thousands of hashes.
    """
    try:
        if is_encrypted(member):
            if not passwords:
                reason = f"is an encrypted ZIP member: {PASSWORD_WANTED}"
                return OutcomeReason.ENCRYPTED, reason
            with packed() as stream:
                fitting = (each for each in passwords if decrypted(member, stream, each))
                password = next(fitting, None)
            if password is None:
                reason = "is an encrypted ZIP member, which none of the passwords opens"
                return OutcomeReason.ENCRYPTED, reason
            passwords.remove(password)
            passwords.insert(0, password)
        method = true_method(member)
        if method == _DEFLATE64:
            require_deflate64()
    except ImportError as exc:
        library = str(exc.name).partition(".")[0]
        reason = f"can only be read with {library}: pip install 'mayak[containers]'"
        return OutcomeReason.UNSUPPORTED, reason
    except (zipfile.BadZipFile, OSError) as exc:
        return OutcomeReason.DAMAGED, f"cannot be read: {exc}"
    if method not in (*_METHODS, _DEFLATE64):
        reason = f"uses ZIP compression method {method}, which is not read"
        return OutcomeReason.UNSUPPORTED, reason
    return None


def content(member: Member, packed: Callable[[], BinaryIO], passwords: list[str]) -> BinaryIO:
    """Return the content of a member that ``refusal`` let pass.

    Raises:
        BadZipFile: its encryption is damaged.
    """
    if not is_encrypted(member):
        return guarded(_unpacked(member, packed(), member.packed))
    opened: list[BinaryIO] = []
    for password in list(passwords):
        found = decrypted(member, packed(), password)
        if found is not None:
            blocks = partial(_or_wrong_password, member, *found)
            opened.append(guarded(stream_of_blocks(blocks)))
            if member.method == AES_METHOD:
                break
    # The old cipher lets some wrong passwords pass: only the whole content shows the right one.
    for stream in opened[:-1]:
        with suppress(EvidenceError):
            while stream.read(CHUNK):
                note_progress()
            stream.seek(0)
            return stream
    return opened[-1]


def _or_wrong_password(member: Member, packed: BinaryIO, length: int) -> Iterator[bytes]:
    packed.seek(0)
    # Made for each reading: without a checksum, ZipExtFile does not seek back.
    content = _unpacked(member, packed, length)
    try:
        while block := content.read(CHUNK):
            yield block
    except Exception as exc:
        # Whichever: decompressors have no common ancestor of their errors.
        reason = f"its content is damaged, or the password is a wrong one: {exc}"
        raise zipfile.BadZipFile(reason) from exc


def _unpacked(member: Member, packed: BinaryIO, length: int) -> BinaryIO:
    info = zipfile.ZipInfo(member.text)
    info.compress_type, info.compress_size = true_method(member), length
    info.file_size = member.size
    if has_checksum(member):
        info.CRC = member.crc
    if info.compress_type == _DEFLATE64:
        packed = stream_of_blocks(partial(_inflated, packed, length))
        info.compress_type, info.compress_size = zipfile.ZIP_STORED, member.size
    return cast(BinaryIO, zipfile.ZipExtFile(packed, "r", info))


def _inflated(packed: BinaryIO, length: int) -> Iterator[bytes]:
    packed.seek(0)
    return from_deflate64(blocks_of(packed.read, length))
