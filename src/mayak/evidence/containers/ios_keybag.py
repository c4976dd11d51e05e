"""The keybag of an encrypted iTunes or Finder backup: the keys of its protection classes.

A keybag is a list of records: four letters, the length of the value (32 bits, big-endian), the
value. The records before the second ``UUID`` describe the whole; each further ``UUID`` begins a
class. Apple Platform Security, "Keybags for Data Protection", describes their purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from mayak.evidence.containers.ciphers import unwrap_key
from mayak.evidence.containers.decryption import UnsafeKeyError, pbkdf2

_BY_PASSWORD = 2
"""Bit of ``WRAP``: the class's key is wrapped in the one that the password gives."""
_MAX_RECORDS = 10_000
"""A keybag has about a hundred."""


class KeybagError(ValueError):
    """A keybag that is damaged, or that no device writes."""


@lru_cache(8)
def class_keys(keybag: bytes, passwords: tuple[str, ...]) -> dict[int, bytes] | None:
    """Return the keys of the protection classes by their numbers, None if no password fits.

    Takes seconds for each password, so the last results are kept.

    Raises:
        KeybagError: it is damaged, or asks for too much.
    """
    header, classes = _parsed(keybag)
    wrapped = {
        number: values[b"WPKY"]
        for values in classes
        if (number := _number(values, b"CLAS")) and _number(values, b"WRAP") & _BY_PASSWORD
        if b"WPKY" in values
    }
    if not wrapped:
        raise KeybagError("it has no key that a password opens")
    for password in passwords:
        key = _password_key(header, password.encode())
        # The check value of a wrapped key has 64 bits: one that fits proves the password.
        found = {number: unwrap_key(key, each) for number, each in wrapped.items()}
        keys = {number: each for number, each in found.items() if each is not None}
        if keys:
            return keys
    return None


def _password_key(header: dict[bytes, bytes], password: bytes) -> bytes:
    """Return the key that the keys of the classes are wrapped in.

    From iOS 10.2 on PBKDF2 is run twice, the first time with SHA-256 and many more rounds
    (``DPSL``, ``DPIC``).
    """
    try:
        if b"DPSL" in header and (rounds := _number(header, b"DPIC")):
            password = pbkdf2("sha256", password, header[b"DPSL"], rounds)
        return pbkdf2("sha1", password, header[b"SALT"], _number(header, b"ITER"))
    except KeyError as exc:
        raise KeybagError(f"it has no {exc}") from exc
    except UnsafeKeyError as exc:
        raise KeybagError(f"it asks for {exc}") from exc


def _parsed(keybag: bytes) -> tuple[dict[bytes, bytes], list[dict[bytes, bytes]]]:
    """Return the records of the whole, and those of each class."""
    header: dict[bytes, bytes] = {}
    classes: list[dict[bytes, bytes]] = []
    current = header
    for tag, value in _records(keybag):
        if tag == b"UUID" and b"UUID" in current:
            current = {}
            classes.append(current)
        current.setdefault(tag, value)
    return header, classes


def _records(keybag: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = count = 0
    while offset < len(keybag):
        length = int.from_bytes(keybag[offset + 4 : offset + 8])
        value = keybag[offset + 8 : offset + 8 + length]
        count += 1
        if offset + 8 > len(keybag) or len(value) < length or count > _MAX_RECORDS:
            raise KeybagError(f"its record {count} is cut off or not one")
        yield keybag[offset : offset + 4], value
        offset += 8 + length


def _number(records: dict[bytes, bytes], tag: bytes) -> int:
    """Return the number in a record of four bytes, 0 if there is none."""
    value = records.get(tag, b"")
    return int.from_bytes(value) if len(value) == 4 else 0
