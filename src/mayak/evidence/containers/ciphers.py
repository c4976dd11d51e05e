"""AES as containers use it; alone imports Cryptodome."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Protocol, cast


class Cipher(Protocol):
    """What decrypts block after block."""

    def decrypt(self, block: bytes) -> bytes: ...


def is_installed() -> bool:
    return find_spec("Cryptodome") is not None


def counter_mode(key: bytes) -> Cipher:
    """Counting from 1, the counter little-endian, as in WinZip's AES. Raises ImportError."""
    from Cryptodome.Cipher import AES
    from Cryptodome.Util import Counter

    counter = Counter.new(128, initial_value=1, little_endian=True)
    return cast(Cipher, AES.new(key, AES.MODE_CTR, counter=counter))


def chaining_mode(key: bytes, start: bytes) -> Cipher:
    """Raises ImportError."""
    from Cryptodome.Cipher import AES

    return cast(Cipher, AES.new(key, AES.MODE_CBC, start))


def unwrap_key(key: bytes, wrapped: bytes) -> bytes | None:
    """Return a key that was wrapped in another (RFC 3394), None if that is not the right one."""
    from Cryptodome.Cipher import AES

    try:
        return AES.new(key, AES.MODE_KW).unseal(wrapped)
    except ValueError:  # its check value does not match, or a length is not valid
        return None
