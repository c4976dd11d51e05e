"""7z, also encrypted and in pieces.

Most 7z archives are solid: their files are packed in blocks, and a file can only be reached through
all those before it in its block. A block is unpacked once, to a temporary copy, and the copies of
the last blocks are kept: reading the files in their order costs each block once.
"""

from __future__ import annotations

import stat
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from itertools import accumulate
from threading import Lock
from typing import Any, BinaryIO

from mayak.errors import MayakError
from mayak.evidence.base import (
    PASSWORD_WANTED,
    RATIO_FLOOR,
    Container,
    ContainerFormat,
    LimitExceededError,
    Limits,
    container_gap,
    entry_failure,
)
from mayak.evidence.containers.deflate64 import blocks_of
from mayak.evidence.containers.sevenzip_coders import (
    AES,
    Coder,
    UnsupportedCoderError,
    check_coders,
    unpacked,
)
from mayak.evidence.containers.sevenzip_header import (
    START,
    PackedFile,
    files_of,
    in_order,
    parsed,
)
from mayak.evidence.streams import (
    Bytes,
    Unpacked,
    stream_of,
    stream_of_blocks,
    translated,
)
from mayak.signatures import SEVEN_ZIP
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason

_KEPT_BLOCKS = 2
_MAX_FAILED = 20
"""Blocks on which all passwords are tried without success: each try takes half a second and more,
and an archive may have 65,536 blocks, each with another salt."""


@dataclass(slots=True)
class _Block:
    """Files that are packed together, a "folder" of the format."""

    coders: list[Coder]
    start: int
    packed: int
    files: list[tuple[int, int | None]] = field(default_factory=list)
    """Size and CRC-32 of each, in their order."""
    refusal: tuple[OutcomeReason, str] | None = None
    is_encrypted: bool = False


class _Copy:
    """What a block unpacks to, up to where it is damaged."""

    def __init__(
        self, blocks: Iterator[bytes], block: _Block, check: Callable[[int], None]
    ) -> None:
        self._files = block.files
        self._damaged: set[int] = set()
        self._n_whole = 0
        self._fault: Exception = EOFError("the block that it is in ends before it does")
        self._starts = [0, *accumulate(size for size, _ in block.files)]
        self._data = Unpacked(stream_of_blocks(partial(self._compared, blocks)), check)

    def _compared(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield what blocks hold, and note which files differ from their checksums."""
        checksum = done = 0
        try:
            for block in blocks:
                yield block
                part = memoryview(block)
                while self._n_whole < len(self._files):
                    size, expected = self._files[self._n_whole]
                    taken = part[: size - done]
                    checksum, done = zlib.crc32(taken, checksum), done + len(taken)
                    part = part[len(taken) :]
                    if done < size:
                        break
                    if expected not in (None, checksum):
                        self._damaged.add(self._n_whole)
                    self._n_whole += 1
                    checksum = done = 0
        except (MayakError, MemoryError):
            raise
        except Exception as fault:  # noqa: BLE001 - decompressors have no common ancestor of errors
            self._fault = fault

    @property
    def begins_well(self) -> bool:
        """Whether the first file is as its checksum states."""
        return self._n_whole > 0 and 0 not in self._damaged

    def open(self, number: int) -> BinaryIO:
        """Open a file by its position in the block. Raises what was found while it was unpacked."""
        if number >= self._n_whole:
            raise self._fault
        if number in self._damaged:
            raise ValueError("its content does not match its checksum")
        return stream_of(self._data.read_at, self._files[number][0], self._starts[number])


class SevenZipContainer(Container):
    """The files of a 7z archive, in their order."""

    def __init__(
        self, data: Bytes, path: EvidencePath, limits: Limits, passwords: tuple[str, ...]
    ) -> None:
        """
        Raises:
            EvidenceError: its header is damaged.
            NotReadError: its header is encrypted, or py7zr is not installed.
        """
        self._data, self._path, self._limits = data, path, limits
        self._passwords = passwords
        self._known_password: str | None = None
        self._n_failed = 0
        with translated(path):
            archive = parsed(data, path, passwords)
            self._files = files_of(archive)
            self._blocks = self._located(archive)
        self._copies: OrderedDict[int, _Copy] = OrderedDict()
        self._lock = Lock()

    def _located(self, archive: Any) -> list[_Block]:  # noqa: ANN401 - of py7zr
        """Return the blocks, each with its files. Raises ValueError."""
        streams = archive.header.main_streams
        if streams is None or streams.unpackinfo is None:
            return []
        positions = streams.packinfo.packpositions
        start = archive.afterheader + streams.packinfo.packpos
        blocks: list[_Block] = []
        numbers: dict[int, int] = {}
        taken = 0
        for folder in streams.unpackinfo.folders:
            end = taken + len(folder.packed_indices)
            if end >= len(positions):
                raise ValueError("a block has no packed bytes")
            numbers[id(folder)] = len(blocks)
            packed = positions[end] - positions[taken]
            blocks.append(self._block(folder, start + positions[taken], packed))
            taken = end
        for file in self._files:
            if file.folder is not None:
                file.block = numbers[id(file.folder)]
                file.number = len(blocks[file.block].files)
                blocks[file.block].files.append((file.size, file.checksum))
        return blocks

    def _block(self, folder: Any, start: int, packed: int) -> _Block:  # noqa: ANN401
        try:
            coders = in_order(folder)
            check_coders(coders)
        except ImportError as exc:
            library = str(exc.name).partition(".")[0]
            reason = f"can only be read with {library}: pip install 'mayak[containers]'"
            return _Block([], start, packed, refusal=(OutcomeReason.UNSUPPORTED, reason))
        except UnsupportedCoderError as exc:
            return _Block([], start, packed, refusal=(OutcomeReason.UNSUPPORTED, str(exc)))
        block = _Block(coders, start, packed)
        if bomb := self._limits.too_much(coders[-1].size, packed):
            block.refusal = OutcomeReason.LIMIT_EXCEEDED, bomb
        elif any(coder.method == AES for coder in coders):
            block.is_encrypted = True
            if not self._passwords:
                reason = f"is in an encrypted block of a 7z archive: {PASSWORD_WANTED}"
                block.refusal = OutcomeReason.ENCRYPTED, reason
        return block

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        if len(self._files) > self._limits.members:
            reason = f"has {len(self._files)} files, more than {self._limits.members}"
            yield container_gap(self._path, OutcomeReason.LIMIT_EXCEEDED, reason)
            return
        # As many small blocks would.
        size = sum(block.coders[-1].size for block in self._blocks if not block.refusal)
        if size > max(RATIO_FLOOR, self._limits.ratio * self._data.size):
            reason = f"{self._data.size} bytes claim to unpack to {size}: taken for a bomb"
            yield container_gap(self._path, OutcomeReason.LIMIT_EXCEEDED, reason)
            return
        seen: set[str] = set()
        for position, file in enumerate(self._files, 1):
            if file.is_folder:
                continue
            path = self._path.child("file", file.name, serial=position if file.name in seen else 0)
            seen.add(file.name)
            yield self._entry(file, path)
        # A damaged header may name fewer files than there are.
        lost = sum(block.packed for block in self._blocks if not block.files)
        if not self._files:
            lost = self._data.size - START
        if lost > 0:
            reason = f"{lost} bytes that belong to no file"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def _entry(self, file: PackedFile, path: EvidencePath) -> EvidenceEntry | Failure:
        if stat.S_ISLNK(file.mode):
            reason = "is a symbolic link, which is not followed"
            return entry_failure(path, OutcomeReason.SYMBOLIC_LINK, reason)
        if stat.S_IFMT(file.mode) not in (0, stat.S_IFREG) and not file.size:
            return entry_failure(path, OutcomeReason.SPECIAL_FILE, "is a device, pipe or socket")
        if file.block is None:
            return EvidenceEntry(path, 0, BytesIO, file.times)
        block = self._blocks[file.block]
        if block.is_encrypted and not block.refusal and not self._has_password(block):
            reason = (
                "is in an encrypted block of a 7z archive, and none of the passwords has opened a "
                "block of it"
            )
            block.refusal = OutcomeReason.ENCRYPTED, reason
        if block.refusal is not None:
            return entry_failure(path, *block.refusal)
        self.opened_with_password = self.opened_with_password or block.is_encrypted
        opener = partial(self._open, file.block, file.number)
        return EvidenceEntry(path, file.size, opener, file.times)

    def _has_password(self, block: _Block) -> bool:
        """Whether one of the passwords opens a block; it comes first from now on.

        One that opened another block counts: ``_copy`` shows whether it opens this one.
        """
        if self._known_password is not None or self._n_failed == _MAX_FAILED:
            return self._known_password is not None
        first = replace(block, files=block.files[:1])
        for password in self._passwords:
            blocks = _up_to(self._unpacked(block, password), block.files[0][0])
            if _Copy(blocks, first, lambda _: None).begins_well:
                self._known_password = password
                return True
        self._n_failed += 1
        return False

    def _unpacked(self, block: _Block, password: str) -> Iterator[bytes]:
        packed = stream_of(self._data.read_at, block.packed, block.start)
        return unpacked(block.coders, blocks_of(packed.read, block.packed), password)

    def _open(self, index: int, number: int) -> BinaryIO:
        with translated():
            copy = self._copy(index)
            if self._blocks[index].is_encrypted and not copy.begins_well:
                raise ValueError("its block is damaged, or none of the passwords opens it")
            return copy.open(number)

    def _copy(self, index: int) -> _Copy:
        with self._lock:
            if index not in self._copies:
                self._copies[index] = self._made(self._blocks[index])
                if len(self._copies) > _KEPT_BLOCKS:
                    self._copies.popitem(last=False)
            self._copies.move_to_end(index)
            return self._copies[index]

    def _made(self, block: _Block) -> _Copy:
        def check(size: int) -> None:
            if reason := self._limits.too_much(size, block.packed):
                raise LimitExceededError(self._path, reason)

        first: str = self._known_password or ""
        others = self._passwords if block.is_encrypted else ()
        for password in (first, *(each for each in others if each != first)):
            copy = _Copy(self._unpacked(block, password), block, check)
            if copy.begins_well:
                break
        return copy


def _up_to(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (block := next(blocks, None)) is not None:
        size -= len(block)
        yield block


FORMAT = ContainerFormat(
    (SEVEN_ZIP,),
    lambda file, path, limits: SevenZipContainer(file.data(), path, limits, file.choices.passwords),
)
