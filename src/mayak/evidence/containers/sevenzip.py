"""7z, also encrypted and in pieces; alone imports py7zr, which parses the header.

Most 7z archives are solid: their files are packed in blocks, and a file can only be reached through
all those before it in its block. A block is unpacked once, to a temporary copy, and the copies of
the last blocks are kept: reading the files in their order costs each block once.
"""

from __future__ import annotations

import stat
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from io import BytesIO
from itertools import accumulate
from threading import Lock
from typing import Any, BinaryIO

from mayak.errors import MayakError
from mayak.evidence.base import (
    RATIO_FLOOR,
    Container,
    ContainerFormat,
    LimitExceededError,
    Limits,
    NotReadError,
    container_gap,
    entry_failure,
    from_unix_time,
    library_for,
)
from mayak.evidence.containers.rare_methods import blocks_of
from mayak.evidence.containers.sevenzip_coders import (
    AES,
    Coder,
    UnsupportedCoderError,
    check_coders,
    unpacked,
)
from mayak.evidence.progress import note_progress
from mayak.evidence.streams import (
    Bytes,
    Unpacked,
    stream_of,
    stream_of_blocks,
    translated,
)
from mayak.i18n import msg
from mayak.signatures import SEVEN_ZIP
from mayak.types import EvidenceEntry, EvidencePath, Failure, FileTimes, OutcomeReason

_KEPT_BLOCKS = 2
_MAX_FAILED = 20
"""Blocks on which all passwords are tried without success: each try takes half a second and more,
and an archive may have 65,536 blocks, each with another salt."""
_START = 32
"""Bytes before the packed ones: all that an archive without files has."""
_UNIX_EXTENSION = 0x8000
"""An attribute: the upper 16 bits are the mode of Unix."""
_EPOCH_DIFFERENCE = 11_644_473_600
"""Seconds from 1601, from which FILETIME counts 100 ns, to 1970."""


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
            archive = _parsed(data, path, passwords)
            self._files = _files_of(archive)
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
            coders = _in_order(folder)
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
                block.refusal = OutcomeReason.ENCRYPTED, "is in an encrypted block of a 7z archive"
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
            lost = self._data.size - _START
        if lost > 0:
            reason = f"{lost} bytes that belong to no file"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def _entry(self, file: _File, path: EvidencePath) -> EvidenceEntry | Failure:
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


@dataclass(slots=True)
class _File:
    name: str
    size: int
    checksum: int | None
    mode: int
    """Of Unix, 0 if it was not packed there."""
    is_folder: bool
    times: FileTimes
    folder: Any
    """Its block, as py7zr has it; None if it has no content."""
    block: int | None = None
    number: int = 0
    """Its position in the block."""


def _files_of(archive: Any) -> list[_File]:  # noqa: ANN401 - of py7zr
    information = archive.header.files_info
    if information is None:
        return []
    files = []
    # Of the entries without content, those that are files.
    are_files = iter(information.emptyfiles)
    for found in information.files:
        attributes = found.get("attributes") or 0
        mode = attributes >> 16 if attributes & _UNIX_EXTENSION else 0
        is_folder = bool(attributes & stat.FILE_ATTRIBUTE_DIRECTORY) or stat.S_ISDIR(mode)
        if found["emptystream"]:
            is_folder = not next(are_files, False) or is_folder
        modified, created, accessed = (
            _utc(found.get(f"{which}time")) for which in ("lastwrite", "creation", "lastaccess")
        )
        files.append(
            _File(
                found["filename"],
                found["uncompressed"],
                found.get("digest"),
                mode,
                is_folder,
                FileTimes(modified, created, accessed),
                found["folder"],
            )
        )
    return files


def _utc(filetime: int | None) -> datetime | None:
    if filetime is None:
        return None
    seconds, rest = divmod(int(filetime), 10_000_000)
    return from_unix_time(seconds - _EPOCH_DIFFERENCE, rest * 100)


def _in_order(folder: Any) -> list[Coder]:  # noqa: ANN401 - of py7zr
    """Return the coders of a block, that of the packed bytes first. Raises UnsupportedCoderError,
    ValueError."""
    for each in folder.coders:
        if (each["numinstreams"], each["numoutstreams"]) != (1, 1):
            raise UnsupportedCoderError(each["method"])
    after = {bond.outcoder: bond.incoder for bond in folder.bindpairs}
    order = [folder.packed_indices[0]]
    while order[-1] in after and len(order) <= len(folder.coders):
        order.append(after[order[-1]])
    if sorted(order) != list(range(len(folder.coders))):
        raise ValueError("the coders of a block are not a chain")
    return [
        Coder(each["method"], each["properties"] or b"", folder.unpacksizes[index])
        for index in order
        for each in [folder.coders[index]]
    ]


def _up_to(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (block := next(blocks, None)) is not None:
        size -= len(block)
        yield block


def _parsed(data: Bytes, path: EvidencePath, passwords: tuple[str, ...]) -> Any:  # noqa: ANN401
    """Return the archive as py7zr parses it. Raises NotReadError, or what py7zr does."""
    with library_for(path, "7z"):
        from py7zr import SevenZipFile
        from py7zr.exceptions import PasswordRequired
    try:
        return SevenZipFile(stream_of(data.read_at, data.size))
    except PasswordRequired:
        for password in passwords:
            note_progress()
            with suppress(Exception):  # a wrong one gives bytes that any parser may stumble over
                return SevenZipFile(stream_of(data.read_at, data.size), password=password)
    reason = msg("is a 7z archive whose list of files is encrypted")
    if passwords:
        reason = msg("is a 7z archive whose list of files none of the passwords opens")
    raise NotReadError(path, reason, msg("give its password"), OutcomeReason.ENCRYPTED)


FORMAT = ContainerFormat(
    (SEVEN_ZIP,),
    lambda file, path, limits: SevenZipContainer(file.data(), path, limits, file.choices.passwords),
)
