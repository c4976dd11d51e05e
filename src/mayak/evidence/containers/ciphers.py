"""AES as ZIP and 7z use it; alone imports Cryptodome."""

from __future__ import annotations

from typing import Protocol, cast


class Cipher(Protocol):
    """What decrypts block after block."""

    def decrypt(self, block: bytes) -> bytes: ...


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
