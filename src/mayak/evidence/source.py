"""Opens a source by what it is, lists all that lies in it, and hashes it."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import BinaryIO, Self

from mayak.errors import EvidenceError, MayakError
from mayak.evidence.reader import (
    HEAD,
    Limits,
    Reader,
    archive_kind,
    decode_name,
    failure,
    gap,
    holds_tar,
    moment,
    unread_kind,
)
from mayak.evidence.sleuthkit import (
    DISK_HEAD,
    EWF_MAGIC,
    DiskReader,
    EwfBytes,
    disk_kind,
    ewf_pieces,
)
from mayak.evidence.streams import (
    CHUNK,
    IN_MEMORY,
    Bytes,
    FileBytes,
    JoinedBytes,
    Unpacked,
    guarded,
    open_quietly,
    stream_of,
    translated,
)
from mayak.evidence.tars import LimitExceededError, TarReader
from mayak.evidence.zips import ZipReader
from mayak.i18n import msg
from mayak.types import (
    EvidenceEntry,
    EvidencePath,
    Failure,
    FileTimes,
    LayerKind,
    Progress,
    SilentProgress,
)

_MB = 10**6

# Starts of files that are evidence on their own: (offset, bytes).
SINGLE_FILES = (
    (0, b"\xff\xd8\xff"),
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"GIF8"),
    (0, b"BM"),
    (0, b"II*\0"),
    (0, b"MM\0*"),
    (0, b"II+\0"),
    (8, b"WEBP"),
    (4, b"ftyp"),
    (0, b"\0\0\0\x0cjP  "),
    (0, b"\xffO\xffQ"),
    (0, b"8BPS"),
    (0, b"%PDF-"),
)


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Hashes of a source's bytes: of an E01 the medium inside, of pieces all joined."""

    md5: str
    sha256: str
    bytes: int
    started: datetime
    """UTC, like ``ended``."""
    ended: datetime
    stored: tuple[tuple[str, str], ...] = ()
    """(``md5`` or ``sha1``, hex) pairs that an E01 carries."""
    matches: bool | None = None
    """Whether all ``stored`` hashes are those of the bytes read; None if there are none."""


_Listing = tuple[Iterator[EvidenceEntry | Failure], dict[EvidencePath, EvidenceEntry]]


class Source:
    """An open source: what lies in it, and the hash of the whole."""

    def __init__(
        self,
        path: EvidencePath,
        reader: Reader,
        data: Bytes | None,
        limits: Limits,
    ) -> None:
        self.path = path
        self._reader = reader
        self._data = data
        self._limits = limits
        self.listed = 0
        """Entries known so far, those of containers inside as they are come to."""
        self._entered: dict[EvidencePath, Reader] = {}
        self._listings: dict[int, _Listing] = {}
        self._stop: Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        if self._data is not None:
            self._data.close()

    def count(self) -> None:
        """Count the entries, without opening any, so that there is an end to work towards."""
        self.listed += sum(1 for _ in self._told(self.path, self._reader.items()))

    def items(self, stop: Event | None = None) -> Iterator[EvidenceEntry | Failure]:
        """Every file, and a Failure for all that is none: nothing is left out.

        What lies in an archive or a disk image follows it, and it is an item itself. An E01 inside
        is read to its end first, to compare it with the hash that it stores: where they differ, a
        Failure ``HashMismatch`` comes before its files. Raises CancelledError then once ``stop`` is
        set.
        """
        self._stop = stop
        return self._told(self.path, self._expanded(self._reader.items(), 0))

    def find(self, path: EvidencePath) -> EvidenceEntry | None:
        """The file at a path that ``items`` gave; None if it is not there any more.

        Enters only the containers that the path names, and keeps what it has listed of them for
        the next time. Raises EvidenceError.
        """
        # Within its container a container is listed as a file.
        reader = self._reader
        item: EvidenceEntry | None = None
        depth = 0
        for layer in path.layers[1:]:
            if layer.kind in ("volume", "embedded"):
                continue
            if item is not None:
                if item.path not in self._entered:
                    opened = self._opened(item, depth)
                    if opened is None or isinstance(opened, Failure):
                        return None
                    self._entered[item.path] = opened
                reader, depth = self._entered[item.path], depth + 1
            listed = self._listed(reader, replace(layer, kind="file"))
            if listed is None:
                return None
            item = replace(listed, path=layer)
        if item is None:  # the source is the file
            return self._listed(reader, path)
        return item

    def _listed(self, reader: Reader, path: EvidencePath) -> EvidenceEntry | None:
        if isinstance(reader, FolderReader):
            return reader.find(path)
        left, seen = self._listings.setdefault(id(reader), (reader.items(), {}))
        if path in seen:
            return seen[path]
        with translated():
            for entry in left:
                if isinstance(entry, EvidenceEntry):
                    seen[entry.path] = entry
                    if entry.path == path:
                        return entry
        return None

    def _expanded(
        self, entries: Iterator[EvidenceEntry | Failure], depth: int
    ) -> Iterator[EvidenceEntry | Failure]:
        for entry in entries:
            if isinstance(entry, Failure):
                yield entry
                continue
            kind, again = _nested_kind(entry)
            if kind is None:
                yield entry if again is None else replace(entry, opener=again)
                if again is not None:
                    again.release()
                    if again.unread:
                        yield gap(
                            entry.path, "Unsupported", f"is {again.unread}, which is not read"
                        )
                continue
            inside = replace(entry, path=replace(entry.path, kind=kind))
            opened = self._opened(inside, depth)
            if opened is None:
                yield entry
                continue
            yield inside
            if isinstance(opened, Failure):
                yield opened
                continue
            medium = opened.medium if isinstance(opened, DiskReader) else None
            if medium is not None and (unlike := self._compared(medium, inside.path)):
                yield unlike
            if self.listed:
                self.listed += sum(1 for _ in self._told(inside.path, opened.items()))
            # Not closed: items handed out earlier may still be opened, and hold what they need.
            yield from self._told(inside.path, self._expanded(opened.items(), depth + 1))

    def _compared(self, medium: EwfBytes, path: EvidencePath) -> Failure | None:
        """Reads an E01 to its end and tells if it is not what the hash stored in it says."""
        if not medium.stored:
            return None
        try:
            found = _hashed(path, medium, set(medium.stored), self._stop)
        except EvidenceError as exc:
            reason = f"cannot be compared with its stored hash: {exc.__cause__ or exc}"
            return gap(path, "Unreadable", reason)
        for name, value in sorted(medium.stored.items()):
            if found[name] != value:
                reason = f"{name.upper()} {value} is stored, {found[name]} was read"
                return gap(path, "HashMismatch", f"is not what its stored hash says: {reason}")
        return None

    def _told(
        self, container: EvidencePath, entries: Iterator[EvidenceEntry | Failure]
    ) -> Iterator[EvidenceEntry | Failure]:
        """The entries, and where listing them breaks off a Failure that says so."""
        try:
            yield from entries
        except OSError as exc:
            # If the source itself is gone, that is no fault of what lies in it.
            if container == self.path and isinstance(exc, MayakError):
                raise
            yield _not_entered(container, exc)
        except (MayakError, MemoryError, CancelledError):
            raise
        except Exception as exc:  # noqa: BLE001
            # So broad because readers meet whatever bytes a worn medium or a suspect puts there,
            # and most are other people's: a fault that nobody foresaw must cost this container
            # alone, not all that comes after it.
            reason = f"cannot be read any further: {type(exc).__name__}: {exc}"
            yield gap(container, "Damaged", reason)

    def _opened(self, item: EvidenceEntry, depth: int) -> Reader | Failure | None:
        """Reads a nested container, or says why not; None where it only looked like one."""
        if depth == self._limits.depth:
            reason = f"is a container more than {depth} deep, which is not entered"
            return gap(item.path, "LimitExceeded", reason)
        try:
            with translated():
                if item.path.kind == "image":
                    return self._disk(item)
                return _archive(self._random(item), item.path, self._limits)
        except LimitExceededError as exc:
            return gap(item.path, "LimitExceeded", exc.reason)
        except EvidenceError as exc:
            return _not_entered(item.path, exc)

    def _disk(self, item: EvidenceEntry) -> Reader | Failure | None:
        with item.open() as stream:
            head = stream.read(DISK_HEAD)
        ewf = disk_kind(head) == "ewf"
        if ewf and not head.startswith(EWF_MAGIC[0]):
            return gap(item.path, "Unsupported", "is EWF of a kind that is not read")
        data: Bytes
        if isinstance(item.opener, _OnDisk):
            file = item.opener.file
            with translated():
                if any(piece.is_symlink() for piece in (ewf_pieces if ewf else _pieces)(file)):
                    reason = "has a piece that is a symbolic link, which is not followed"
                    return gap(item.path, "Unsupported", reason)
                data = EwfBytes(file) if ewf else _joined(file)
        else:
            data = self._random(item)
            if ewf:
                data = EwfBytes(Path(item.path.name), stream_of(data.read_at, data.size))
        disk = DiskReader(data, item.path)
        with translated():
            return disk if ewf or disk.holds_known_volume() else None

    def _random(self, item: EvidenceEntry) -> Bytes:
        # A ZIP's members can only be read from their start on; of small ones a copy in memory
        # keeps no file open.
        packed = item.path.parent is not None and item.path.parent.kind == "zip"
        if not packed and item.size > IN_MEMORY:
            return FileBytes(item.open())
        with item.open() as stream, translated():
            return Unpacked(stream, partial(self._check, item))

    def _check(self, item: EvidenceEntry, unpacked: int) -> None:
        if unpacked > self._limits.unpacked:
            reason = msg("is larger than {limit} bytes", limit=self._limits.unpacked)
            raise LimitExceededError(item.path, reason)

    @property
    def stored(self) -> dict[str, str]:
        """Hashes that an E01 carries of its medium: ``md5`` or ``sha1``, and the hex."""
        return self._data.stored if isinstance(self._data, EwfBytes) else {}

    def acquire(
        self, progress: Progress | None = None, stop: Event | None = None
    ) -> Acquisition | None:
        """Reads all of the source once and hashes it; None for a folder, which is no one file.

        May run in a thread of its own, beside the reading of files. Raises EvidenceError when the
        source cannot be read to its end, CancelledError once ``stop`` is set.
        """
        if self._data is None:
            return None
        stored = self.stored
        started = datetime.now(UTC)
        megabytes = -(-self._data.size // _MB)
        with (progress or SilentProgress()).task(
            msg("hash of {path}", path=self.path), megabytes, "MB"
        ) as task:
            found = _hashed(self.path, self._data, {"md5", "sha256", *stored}, stop, task.advance)
        return Acquisition(
            md5=found["md5"],
            sha256=found["sha256"],
            bytes=self._data.size,
            started=started,
            ended=datetime.now(UTC),
            stored=tuple(sorted(stored.items())),
            matches=all(found[name] == value for name, value in stored.items()) if stored else None,
        )


def _hashed(
    path: EvidencePath,
    data: Bytes,
    names: set[str],
    stop: Event | None,
    advance: Callable[[int], None] | None = None,
) -> dict[str, str]:
    """Hashes of all the bytes, each by its name; ``advance`` is told the MB that are done.

    Raises EvidenceError when they cannot be read to their end, CancelledError once ``stop`` is set.
    """
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    done = 0
    with ThreadPoolExecutor(len(digests)) as pool:
        while done < data.size:
            if stop is not None and stop.is_set():
                raise CancelledError
            with translated(path):
                block = data.read_at(done, CHUNK)
            if not block:
                raise EvidenceError(
                    msg(
                        "{path} ends after {done} of {size} bytes",
                        path=path,
                        done=done,
                        size=data.size,
                    ),
                    remedy=msg("check that all pieces are there"),
                )
            list(pool.map(lambda digest, block=block: digest.update(block), digests.values()))
            before, done = done, done + len(block)
            if advance is not None:
                advance(-(-done // _MB) - -(-before // _MB))
    return {name: digest.hexdigest() for name, digest in digests.items()}


def located(recorded: str) -> Path:
    """Where a source lies, by its path in a case, which holds names that are no UTF-8 spelt out."""
    path = Path(recorded)
    if not path.exists():
        raw = re.sub(r"\\udc([89a-f][0-9a-f])", lambda m: chr(0xDC00 + int(m[1], 16)), recorded)
        path = Path(raw) if Path(raw).exists() else path
    return path


def open_source(path: Path, limits: Limits | None = None) -> Source:
    """Opens evidence by its content; nothing is written to it.

    Raises EvidenceError: not there, not readable, a piece missing, or of no known kind.
    """
    limits = limits or Limits()
    # An absolute path: "." has no name to show.
    name, raw = decode_name(os.fsencode(Path(os.path.abspath(path)).name or str(path)))  # noqa: PTH100
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            # A folder that cannot be listed is no source; one below it is a Failure.
            os.scandir(path).close()
            root = EvidencePath("folder", name, raw=raw)
            return Source(root, FolderReader(path, root), None, limits)
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISBLK(status.st_mode):
            raise _unknown(path)
        data: Bytes = _joined(path)
    except OSError as exc:
        if isinstance(exc, EvidenceError):
            raise
        raise EvidenceError(
            msg("{path} cannot be opened: {strerror}", path=path, strerror=exc.strerror),
            remedy=msg("name the folder that holds them all")
            if exc.errno == errno.EMFILE
            else msg("check the path and your rights to it"),
        ) from exc
    try:
        return _recognised(path, data, name, raw, limits)
    except BaseException:
        data.close()
        raise


def _recognised(path: Path, data: Bytes, name: str, raw: bytes | None, limits: Limits) -> Source:
    with translated():
        head = data.read_at(0, HEAD)
    if head.startswith(EWF_MAGIC):
        data.close()
        medium = EwfBytes(path)
        image = EvidencePath("image", name, raw=raw)
        return Source(image, DiskReader(medium, image), medium, limits)
    kind: LayerKind | None = _container(data, head)
    if kind is not None:
        root = EvidencePath(kind, name, raw=raw)
        return Source(root, _archive(data, root, limits), data, limits)
    if any(head[at : at + len(magic)] == magic for at, magic in SINGLE_FILES):
        file = EvidencePath("file", name, raw=raw)
        return Source(file, _SingleFile(path, data, file), data, limits)
    image = EvidencePath("image", name, raw=raw)
    disk = DiskReader(data, image)
    with translated():
        known = disk.recognised()
    if not known:
        raise _unknown(path, unread_kind(head))
    return Source(image, disk, data, limits)


def _unknown(path: Path, unread: str | None = None) -> EvidenceError:
    if unread:
        return EvidenceError(
            msg("{path} is {unread}, which is not read", path=path, unread=unread),
            remedy=msg(
                "unpack a copy of it, or convert a copy to a raw image, with another program"
            ),
        )
    known = msg(
        "folder; ZIP, UFDR; TAR, TAR in gzip, bzip2 or xz; E01 (split too); raw disk image (split "
        "too) with MBR, GPT or no partition table and FAT, exFAT, NTFS, ext, HFS+ or ISO 9660; "
        "one image, video or PDF file"
    )
    return EvidenceError(
        msg("{path} is of no known kind", path=path),
        remedy=msg("give one of: {known}; other files in a folder", known=known),
    )


def _pieces(path: Path) -> list[Path]:
    """The file, and the pieces after it if it is the first: ``.001`` (or ``.000``), ``.002`` …"""
    match = re.fullmatch(r"\.(0*[01])", path.suffix)
    if match is None or len(match[1]) < 2:
        return [path]
    first, width = int(match[1]), len(match[1])
    numbers = sorted(
        int(other.suffix[1:])
        for other in path.parent.iterdir()
        if other.stem == path.stem and re.fullmatch(rf"\.\d{{{width}}}", other.suffix)
    )
    numbers = [number for number in numbers if number >= first]
    for number in range(first, numbers[-1]):
        if number not in numbers:
            missing = f"{path.stem}.{number:0{width}}"
            raise EvidenceError(
                msg("{path}: piece {missing!r} is missing", path=path, missing=missing),
                remedy=msg("put all pieces into one folder"),
            )
    return [path.with_suffix(f".{number:0{width}}") for number in numbers]


def _joined(path: Path) -> Bytes:
    """The file with its pieces, as one."""
    paths = _pieces(path)
    if len(paths) == 1:
        return FileBytes(open_quietly(path))
    pieces: list[Bytes] = []
    try:
        pieces.extend(FileBytes(open_quietly(piece)) for piece in paths)
    except OSError:
        JoinedBytes(pieces).close()
        raise
    return JoinedBytes(pieces)


def _container(data: Bytes, head: bytes) -> LayerKind | None:
    kind = archive_kind(head)
    if kind == "packed":
        return "tar" if holds_tar(stream_of(data.read_at, data.size), head) else None
    return kind


def _nested_kind(item: EvidenceEntry) -> tuple[LayerKind | None, _Opened | None]:
    """What container an item is; of none, how to open it without unpacking its start again."""
    # What cannot be read here fails again, and is told of, where the item is used.
    with suppress(EvidenceError), translated():
        stream = item.open()
        try:
            kind = _kind_of(item, stream)
            if kind is None:
                stream.seek(0)
                unread = unread_kind(stream.read(HEAD))
                stream.seek(0)
                return None, _Opened(stream, item.opener, unread)
        except BaseException:
            stream.close()
            raise
        stream.close()
        return kind, None
    return None, None


def _kind_of(item: EvidenceEntry, stream: BinaryIO) -> LayerKind | None:
    head = stream.read(DISK_HEAD)
    kind = archive_kind(head[:HEAD])
    if kind == "packed":
        stream.seek(0)
        return "tar" if holds_tar(stream, head) else None
    if kind is None and disk_kind(head) and not _is_later_piece(item):
        return "image"
    return kind


class _Opened:
    """Opens a file that has been looked into: at first that is the same stream, as long as it is
    the last file that was listed. A list of many files must not hold them all open."""

    def __init__(
        self, stream: BinaryIO, opener: Callable[[], BinaryIO], unread: str | None
    ) -> None:
        self._stream: BinaryIO | None = stream
        self._opener = opener
        self.unread = unread
        """What container the file is that is not entered."""

    def __call__(self) -> BinaryIO:
        stream, self._stream = self._stream, None
        return stream or self._opener()

    def release(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _is_later_piece(item: EvidenceEntry) -> bool:
    """Whether a file lies beside the first of the pieces that its name makes it one of."""
    if not isinstance(item.opener, _OnDisk):
        return False
    file = item.opener.file
    if not re.fullmatch(r"\.[0-9]{2,}", file.suffix):
        return False
    first = range(min(int(file.suffix[1:]), 2))
    return any(file.with_suffix(f".{n:0{len(file.suffix) - 1}}").exists() for n in first)


def _not_entered(container: EvidencePath, exc: OSError) -> Failure:
    reason = f"container cannot be entered: {exc.__cause__ or getattr(exc, 'message', exc)!s}"
    return gap(container, "Damaged", reason)


def _archive(data: Bytes, path: EvidencePath, limits: Limits) -> Reader:
    return (ZipReader if path.kind == "zip" else TarReader)(data, path, limits)


class _SingleFile:
    """A source that is one file."""

    def __init__(self, file: Path, data: Bytes, path: EvidencePath) -> None:
        self._file = file
        self._data = data
        self._path = path

    def items(self) -> Iterator[EvidenceEntry | Failure]:
        status = self._file.stat()
        yield EvidenceEntry(
            self._path,
            self._data.size,
            partial(stream_of, self._data.read_at, self._data.size),
            _times(status),
        )

    def close(self) -> None:
        return None


class FolderReader:
    """The files below a folder, each folder's in the order of their names."""

    def __init__(self, folder: Path, path: EvidencePath) -> None:
        self._folder = folder
        self._path = path

    def items(self) -> Iterator[EvidenceEntry | Failure]:
        stack = [self._folder]
        while stack:
            folder = stack.pop()
            below: list[Path] = []
            try:
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
            except OSError as exc:
                reason = f"folder cannot be read: {exc.strerror}"
                if folder == self._folder:
                    yield gap(self._path, "Unreadable", reason)
                else:
                    yield failure(self._at(folder), "Unreadable", reason)
                continue
            for entry in entries:
                yield from self._entry(Path(entry.path), below)
            stack.extend(reversed(below))

    def find(self, path: EvidencePath) -> EvidenceEntry | None:
        """The file at a path that ``items`` gave, if it is there and no link leads to it."""
        name = path.name.encode("utf-8") if path.raw is None else path.raw
        # The path comes from a case, which anybody may have written.
        file = self._folder / os.fsdecode(name)
        if ".." in file.parts or not file.is_relative_to(self._folder):
            return None
        if file.resolve() != self._folder.resolve() / file.relative_to(self._folder):
            return None
        entry = next(self._entry(file, []), None)
        return entry if isinstance(entry, EvidenceEntry) else None

    def _at(self, file: Path) -> EvidencePath:
        name, raw = decode_name(os.fsencode(file.relative_to(self._folder).as_posix()))
        return self._path.child("file", name, raw)

    def _entry(self, file: Path, below: list[Path]) -> Iterator[EvidenceEntry | Failure]:
        path = self._at(file)
        try:
            status = file.lstat()
        except OSError as exc:
            yield failure(path, "Unreadable", f"cannot be examined: {exc.strerror}")
            return
        # Windows' junctions are folders to ``stat``, and may point anywhere.
        junction = getattr(status, "st_reparse_tag", 0) == 0xA0000003
        if stat.S_ISLNK(status.st_mode) or junction:
            reason = f"is a link to {_target(file)}, which is not followed"
            yield failure(path, "SymbolicLink", reason)
        elif stat.S_ISDIR(status.st_mode):
            below.append(file)
        elif not stat.S_ISREG(status.st_mode):
            yield failure(path, "SpecialFile", "is a device, pipe or socket, which is not opened")
        elif not os.access(file, os.R_OK):
            yield failure(path, "Unreadable", "this user may not read it")
        else:
            yield EvidenceEntry(path, status.st_size, _OnDisk(file), _times(status))

    def close(self) -> None:
        return None


def _target(file: Path) -> str:
    try:
        return ascii(os.readlink(file))  # noqa: PTH115
    except OSError:
        return "an unknown place"


@dataclass(frozen=True, slots=True)
class _OnDisk:
    """Opens a file of a folder; a disk image's other pieces lie beside it."""

    file: Path

    def __call__(self) -> BinaryIO:
        with translated():
            return guarded(open_quietly(self.file))


def _times(status: os.stat_result) -> FileTimes:
    # On Unix st_ctime is the last change of the entry, not its creation.
    born = getattr(status, "st_birthtime", None)
    if born is None and sys.platform == "win32":
        born = status.st_ctime
    return FileTimes(
        modified=moment(status.st_mtime_ns // 10**9, status.st_mtime_ns % 10**9),
        created=None if born is None else moment(born),
        accessed=moment(status.st_atime_ns // 10**9, status.st_atime_ns % 10**9),
    )
