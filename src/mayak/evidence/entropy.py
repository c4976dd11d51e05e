"""Whether bytes look random, as those of encrypted data do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import log2

SAMPLE = 1 << 16
"""Bytes of one sample. The entropy computed from n uniform random bytes is about
8 - 255 / (2 n ln 2) bits a byte (Miller 1955), here 7.9972, with a standard deviation of
sqrt(255 / 2) / (n ln 2) = 0.0002: the limit below is 29 of them away."""
RANDOM = 7.99
"""Bits a byte from which on a sample looks random."""
_SAMPLES = 16
"""Samples of one file or volume, evenly spread from its first bytes to its last."""
_MIN_SAMPLES = 4
"""Samples that must look random; the others may be of one repeated byte, as blocks are that were
never written to."""


def looks_random(read_at: Callable[[int, int], bytes], size: int) -> bool:
    """Whether every sample of some bytes looks random, apart from those of one repeated byte.

    Bare streams of arithmetic coders (LZMA, HEVC, VP8) do, too, and those of deflate over text or
    noise. Those of JPEG, bzip2, LZ4 and Zstandard, and of deflate over programs, have samples of
    less entropy. ``read_at`` returns bytes by offset and length.

    Raises:
        OSError: they cannot be read.
    """
    if size < _SAMPLES * SAMPLE:
        return False
    n_random = 0
    for number in range(_SAMPLES):
        sample = read_at(number * (size - SAMPLE) // (_SAMPLES - 1), SAMPLE)
        counts = Counter(sample)
        if len(counts) > 1:
            if len(sample) < SAMPLE or entropy(counts, SAMPLE) < RANDOM:
                return False
            n_random += 1
    return n_random >= _MIN_SAMPLES


def entropy(counts: Counter[int], total: int) -> float:
    """Return the Shannon entropy in bits of a distribution of bytes."""
    return -sum(count / total * log2(count / total) for count in counts.values())
