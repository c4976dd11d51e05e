"""Encrypted volumes, with libluksde, libbde and libfvde: pyluksde, pybde and pyfvde, imported here
alone."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

from mayak.evidence.base import Choices, NotReadError, library_for
from mayak.evidence.progress import note_progress
from mayak.evidence.streams import Bytes, HandleBytes, stream_of
from mayak.i18n import msg
from mayak.signatures import (
    CORE_STORAGE,
    DECRYPT,
    DECRYPT_OR_UNTESTED,
    GIVE_PASSWORD,
    LUKS,
    FileKind,
)
from mayak.types import EvidencePath, OutcomeReason

# LUKS 1: https://gitlab.com/cryptsetup/cryptsetup/-/wikis/LUKS-standard/on-disk-format.pdf
_LUKS_HEADER = struct.Struct(">6xH32s32s32s4xI52xI")
"""Version, cipher, its mode, hash, bytes of the key, and how often its digest is hashed."""
_LUKS_SLOTS = struct.Struct(">208x" + "II40x" * 8)
"""Of each key slot its state, and how often a password is hashed for it."""
_IN_USE = 0x00AC71F3
_MAX_ROUNDS = 100_000_000
"""cryptsetup takes as many as last two seconds, some millions; more could hold a run for hours."""
_CIPHERS = {
    "aes xts-plain64": (32, 64),
    "aes cbc-essiv:sha256": (32,),
    "aes cbc-plain64": (16, 32),
    "aes cbc-plain": (32,),
}
"""Those compared with another program, with the bytes of the key. With essiv and 16 bytes libluksde
takes every password for a wrong one."""
_HASHES = ("sha1", "sha256", "sha512")


def decrypted(kind: FileKind, data: Bytes, path: EvidencePath, choices: Choices) -> list[Bytes]:
    """Return what is in an encrypted volume: one disk, or the logical volumes of Core Storage.

    Raises:
        NotReadError: none of the passwords opens it, or it is not to be read.
        OSError: it is damaged.
    """
    if kind is LUKS:
        _check_luks(data, path, choices)
    elif not choices.untested_readers:
        what = msg("is {kind}, which is read by an untested reader only", kind=kind.name)
        # Core Storage is not always encrypted.
        outcome = OutcomeReason.ENCRYPTED if kind.is_encrypted else OutcomeReason.UNSUPPORTED
        raise NotReadError(path, what, DECRYPT_OR_UNTESTED, outcome)
    # Core Storage may need none.
    passwords = choices.passwords or (("",) if kind is CORE_STORAGE else ())
    with library_for(path, kind.name):
        for password in passwords:
            note_progress()
            if disks := _OPENERS.get(kind.name, _bitlocker)(data, password):
                return disks
    remedy = GIVE_PASSWORD
    what = msg("is an encrypted volume ({kind})", kind=kind.name)
    if choices.passwords:
        what = msg("is an encrypted volume ({kind}) with another password", kind=kind.name)
    if kind is LUKS and not all(password.isascii() for password in choices.passwords):
        remedy = DECRYPT
        what = msg("is an encrypted volume (LUKS); only passwords in ASCII can be tried")
    raise NotReadError(path, what, remedy, OutcomeReason.ENCRYPTED)


def _check_luks(data: Bytes, path: EvidencePath, choices: Choices) -> None:
    """Check that a LUKS volume is one that is read. Raises NotReadError."""
    head = data.read_at(0, _LUKS_SLOTS.size).ljust(_LUKS_SLOTS.size, b"\0")
    version, cipher, mode, hashed, key, rounds = _LUKS_HEADER.unpack_from(head)
    encrypted = OutcomeReason.ENCRYPTED
    if version != 1:
        what = msg("is an encrypted volume (LUKS {version}), which is not read", version=version)
        raise NotReadError(path, what, DECRYPT, encrypted)
    slots = _LUKS_SLOTS.unpack_from(head)
    used = [n for state, n in zip(slots[::2], slots[1::2], strict=True) if state == _IN_USE]
    if sum(used, rounds) > _MAX_ROUNDS:
        what = msg("is an encrypted volume (LUKS) whose password takes too long to check")
        raise NotReadError(path, what, DECRYPT, encrypted)
    fields = (field.partition(b"\0")[0] for field in (cipher, mode, hashed))
    names = [field.decode("ascii", "replace") for field in fields]
    is_compared = key in _CIPHERS.get(f"{names[0]} {names[1]}", ()) and names[2] in _HASHES
    if not is_compared and not choices.untested_readers:
        name = f"LUKS, {' '.join(names)}, {8 * key} bits"
        what = msg("is {kind}, which is read by an untested reader only", kind=name)
        raise NotReadError(path, what, DECRYPT_OR_UNTESTED, encrypted)


def _luks(data: Bytes, password: str) -> list[Bytes]:
    import pyluksde

    if not password.isascii():  # it would try another one, without an error
        return []
    volume = pyluksde.volume()
    volume.set_password(password)
    volume.open_file_object(stream_of(data.read_at, data.size))
    return [] if volume.is_locked() else [HandleBytes(volume, volume.get_size())]


def _bitlocker(data: Bytes, password: str) -> list[Bytes]:
    import pybde

    volume = pybde.volume()
    volume.set_password(password)
    # It raises for what cannot be a recovery password.
    with suppress(OSError, ValueError):
        volume.set_recovery_password(password)
    volume.open_file_object(stream_of(data.read_at, data.size))
    return [] if volume.is_locked() else [HandleBytes(volume, volume.get_size())]


def _core_storage(data: Bytes, password: str) -> list[Bytes]:
    import pyfvde

    volume = pyfvde.volume()
    volume.open_file_object(stream_of(data.read_at, data.size))
    volume.open_physical_volume_files_as_file_objects([stream_of(data.read_at, data.size)])
    group = volume.get_volume_group()
    disks: list[Bytes] = []
    if not group.number_of_logical_volumes:
        raise OSError("it lists no logical volume")
    for index in range(int(group.number_of_logical_volumes)):
        logical = group.get_logical_volume(index)
        if logical.is_locked():
            logical.set_password(password)
            with suppress(OSError, ValueError):
                logical.set_recovery_password(password)
            if not logical.unlock():
                return []
        disks.append(HandleBytes(logical, logical.get_size()))
    return disks


_OPENERS: dict[str, Callable[[Bytes, str], list[Bytes]]] = {
    LUKS.name: _luks,
    CORE_STORAGE.name: _core_storage,
}
