"""What a block of a 7z archive is packed with: its coders, one after the other.

Each is a generator over blocks of bytes. Numbers and properties are those of the LZMA SDK's
``Methods.txt`` and ``7zFormat.txt``. The filters for machine code and Delta are those of liblzma,
which it offers only before LZMA2: what they get is wrapped into stored chunks of LZMA2.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

from mayak.evidence.containers.ciphers import chaining_mode
from mayak.evidence.containers.deflate64 import from_deflate64, require_deflate64
from mayak.evidence.progress import note_progress
from mayak.evidence.streams import CHUNK

AES = bytes.fromhex("06f10701")
_DEFLATE64 = bytes.fromhex("040109")
_LZMA, _LZMA2 = bytes.fromhex("030101"), b"\x21"
_DELTA = b"\3"
_FILTERS = {
    bytes.fromhex("03030103"): lzma.FILTER_X86,
    b"\4": lzma.FILTER_X86,
    bytes.fromhex("03030205"): lzma.FILTER_POWERPC,
    b"\5": lzma.FILTER_POWERPC,
    bytes.fromhex("03030401"): lzma.FILTER_IA64,
    b"\6": lzma.FILTER_IA64,
    bytes.fromhex("03030501"): lzma.FILTER_ARM,
    b"\7": lzma.FILTER_ARM,
    bytes.fromhex("03030701"): lzma.FILTER_ARMTHUMB,
    b"\x08": lzma.FILTER_ARMTHUMB,
    bytes.fromhex("03030805"): lzma.FILTER_SPARC,
    b"\x09": lzma.FILTER_SPARC,
}
_NAMES = {
    bytes.fromhex("030401"): "PPMd",
    bytes.fromhex("0303011b"): "BCJ2",
    b"\x0a": "ARM64",
    b"\x0b": "RISC-V",
    bytes.fromhex("04f71101"): "Zstandard",
    bytes.fromhex("04f71102"): "Brotli",
    bytes.fromhex("04f71104"): "LZ4",
}
_STORED_CHUNK = 1 << 16
_MAX_POWER = 22
"""Of two, as which the rounds of hashing a password are stored. 7-Zip writes 19; 22 take 3 s."""


@dataclass(frozen=True, slots=True)
class Coder:
    """One step of unpacking."""

    method: bytes
    properties: bytes
    size: int
    """Of what it gives."""


class UnsupportedCoderError(ValueError):
    """A block is packed with this method, which is not read here."""

    def __init__(self, method: bytes) -> None:
        super().__init__(f"is packed with {_NAMES.get(method, method.hex())}, which is not read")


def check_coders(coders: list[Coder]) -> None:
    """
    Raises:
        ImportError: the library for one of them is not installed.
        UnsupportedCoderError: one of them is not read.
    """
    for coder in coders:
        if coder.method == _DEFLATE64:
            require_deflate64()
        elif coder.method == AES:
            chaining_mode(bytes(32), bytes(16))
        elif coder.method not in _STEPS and coder.method not in _FILTERS:
            raise UnsupportedCoderError(coder.method)


def unpacked(coders: list[Coder], packed: Iterator[bytes], password: str) -> Iterator[bytes]:
    """Yield what a block unpacks to, exactly as much as its last coder states.

    Raises:
        Exception: the block is damaged, or the password is a wrong one.
    """
    for coder in coders:
        packed = _exactly(_step(coder, password)(packed), coder.size)
    return packed


def _step(coder: Coder, password: str) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    properties = coder.properties
    if coder.method == AES:
        return partial(_from_aes, properties=properties, password=password)
    if coder.method == _DEFLATE64:
        return from_deflate64
    if (number := _FILTERS.get(coder.method)) is not None:
        return partial(_filtered, filters={"id": number})
    return lambda packed: _STEPS[coder.method](packed, coder)


def _exactly(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    for block in blocks:
        if len(block) >= size:
            yield block[:size]
            return
        size -= len(block)
        yield block
    if size:
        raise EOFError(f"{size} bytes are missing at its end")


def _copied(packed: Iterator[bytes], coder: Coder) -> Iterator[bytes]:  # noqa: ARG001
    return packed


def _from_lzma(packed: Iterator[bytes], coder: Coder) -> Iterator[bytes]:
    first, dictionary = struct.unpack_from("<BL", coder.properties)
    literal_context, rest = first % 9, first // 9
    filters = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": _dictionary(dictionary, coder.size),
        "lc": literal_context,
        "lp": rest % 5,
        "pb": rest // 5,
    }
    return _raw(packed, [filters])


def _from_lzma2(packed: Iterator[bytes], coder: Coder) -> Iterator[bytes]:
    (code,) = coder.properties
    if code > 40:
        raise ValueError("the size of its dictionary is not possible")
    size = 0xFFFFFFFF if code == 40 else (2 | code & 1) << code // 2 + 11
    return _raw(packed, [{"id": lzma.FILTER_LZMA2, "dict_size": _dictionary(size, coder.size)}])


def _dictionary(stated: int, unpacked: int) -> int:
    """Return a size that is enough: a match can reach no farther back than the first byte."""
    return max(4096, min(stated, unpacked))


def _raw(packed: Iterator[bytes], filters: list[dict[str, int]]) -> Iterator[bytes]:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    for block in packed:
        part = decoder.decompress(block, CHUNK)
        yield part
        while not decoder.eof and not decoder.needs_input:
            yield decoder.decompress(b"", CHUNK)
        if decoder.eof:
            return


def _filtered(packed: Iterator[bytes], filters: dict[str, int]) -> Iterator[bytes]:
    return _raw(_stored(packed), [filters, {"id": lzma.FILTER_LZMA2, "dict_size": 4096}])


def _stored(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield chunks of LZMA2 that are stored, and its end."""
    control = 1  # the first one begins a dictionary
    for block in blocks:
        for at in range(0, len(block), _STORED_CHUNK):
            part = block[at : at + _STORED_CHUNK]
            yield struct.pack(">BH", control, len(part) - 1) + part
            control = 2
    yield b"\0"


def _from_delta(packed: Iterator[bytes], coder: Coder) -> Iterator[bytes]:
    return _filtered(packed, {"id": lzma.FILTER_DELTA, "dist": coder.properties[0] + 1})


def _from_bzip2(packed: Iterator[bytes], coder: Coder) -> Iterator[bytes]:  # noqa: ARG001
    decoder = bz2.BZ2Decompressor()
    for block in packed:
        left = block
        while left or not decoder.needs_input:
            if decoder.eof:  # another stream follows
                left = decoder.unused_data or left
                decoder = bz2.BZ2Decompressor()
            yield decoder.decompress(left, CHUNK)
            left = decoder.unused_data if decoder.eof else b""


def _from_deflate(packed: Iterator[bytes], coder: Coder) -> Iterator[bytes]:  # noqa: ARG001
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    for block in packed:
        left = block
        while left and not decoder.eof:
            yield decoder.decompress(left, CHUNK)
            left = decoder.unconsumed_tail
    yield decoder.flush(CHUNK)


_STEPS: dict[bytes, Callable[[Iterator[bytes], Coder], Iterator[bytes]]] = {
    b"\0": _copied,
    _LZMA: _from_lzma,
    _LZMA2: _from_lzma2,
    _DELTA: _from_delta,
    bytes.fromhex("040202"): _from_bzip2,
    bytes.fromhex("040108"): _from_deflate,
}


def _from_aes(packed: Iterator[bytes], properties: bytes, password: str) -> Iterator[bytes]:
    first, second = properties[0], properties[1] if len(properties) > 1 else 0
    salt_length = (first >> 7) + (second >> 4)
    start_length = (first >> 6 & 1) + (second & 0xF)
    salt = properties[2 : 2 + salt_length]
    start = properties[2 + salt_length : 2 + salt_length + start_length]
    cipher = chaining_mode(_key(password, salt, first & 0x3F), start.ljust(16, b"\0"))
    rest = b""
    for block in packed:
        rest += block
        whole = len(rest) & ~15
        yield cipher.decrypt(rest[:whole])
        rest = rest[whole:]


@lru_cache(maxsize=64)
def _key(password: str, salt: bytes, power: int) -> bytes:
    """Kept: each block of an archive has the same. Raises ValueError for too many rounds."""
    secret = salt + password.encode("utf-16-le", "surrogatepass")
    if power == 0x3F:
        return secret[:32].ljust(32, b"\0")
    if power > _MAX_POWER:
        raise ValueError(f"its password is hashed 2**{power} times, which is not done")
    note_progress()
    digest = hashlib.sha256()
    step = 1 << min(power, 10)
    for begin in range(0, 1 << power, step):
        counters = (number.to_bytes(8, "little") for number in range(begin, begin + step))
        digest.update(b"".join(secret + counter for counter in counters))
    return digest.digest()
