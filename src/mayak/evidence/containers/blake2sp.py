"""BLAKE2sp, a checksum of RAR 5: eight BLAKE2s over every eighth block of 64 bytes, and one over
their digests ("BLAKE2: simpler, smaller, fast as MD5", section 2.10, on tree hashing)."""

from __future__ import annotations

import hashlib

import numpy as np

_LEAVES, _BLOCK = 8, 64


class Blake2sp:
    """Takes bytes and gives their digest of 32 bytes."""

    def __init__(self) -> None:
        self._leaves = [
            hashlib.blake2s(
                fanout=_LEAVES,
                depth=2,
                node_offset=number,
                inner_size=32,
                last_node=number == _LEAVES - 1,
            )
            for number in range(_LEAVES)
        ]
        self._rest = b""

    def update(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) // (_LEAVES * _BLOCK) * _LEAVES * _BLOCK
        blocks = np.frombuffer(data, np.uint8, whole).reshape(-1, _LEAVES, _BLOCK)
        for number, leaf in enumerate(self._leaves):
            leaf.update(blocks[:, number].tobytes())
        self._rest = data[whole:]

    def digest(self) -> bytes:
        """Return the digest; nothing may be added after it."""
        for number, leaf in enumerate(self._leaves):
            leaf.update(self._rest[number * _BLOCK : (number + 1) * _BLOCK])
        root = hashlib.blake2s(fanout=_LEAVES, depth=2, node_depth=1, inner_size=32, last_node=True)
        root.update(b"".join(leaf.digest() for leaf in self._leaves))
        return root.digest()
