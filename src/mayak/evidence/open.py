"""Open a source by its content: a folder, an archive, a disk image, or one file."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mayak.errors import EvidenceError
from mayak.evidence.base import Choices, Container, Limits, Watch, decode_name
from mayak.evidence.containers import entered_kinds, first_files, reader_of
from mayak.evidence.containers.folder import FileOnDisk, FolderContainer, file_times
from mayak.evidence.containers.segments import open_pieces
from mayak.evidence.containers.volumes import DiskContainer
from mayak.evidence.entropy import looks_random
from mayak.evidence.nested import WatchedBytes
from mayak.evidence.streams import Bytes, FileBytes, open_quietly, stream_of, translated
from mayak.evidence.walk import Elsewhere, Walk
from mayak.i18n import join, msg, system_error
from mayak.signatures import (
    CONTAINERS,
    END,
    FAR_HEAD,
    IMAGE_EXTENSIONS,
    VOLUMES,
    FileKind,
    Use,
    by_end,
    kind_of,
)
from mayak.signatures.census import MIN_RANDOM, classify
from mayak.signatures.texts import begins_picture
from mayak.types import EvidenceEntry, EvidencePath, Failure

_SECTOR = 512


def located(recorded: str) -> Path:
    """Return where a source is, by its path in a case, which spells out names that are not
    UTF-8."""
    path = Path(recorded)
    if not path.exists():
        raw = re.sub(r"\\udc([89a-f][0-9a-f])", lambda m: chr(0xDC00 + int(m[1], 16)), recorded)
        path = Path(raw) if Path(raw).exists() else path
    return path


def open_in_process(
    path: Path,
    limits: Limits | None = None,
    choices: Choices | None = None,
    watch: Watch | None = None,
    *,
    root: EvidencePath | None = None,
) -> Walk:
    """Open evidence by its content, with the readers of containers in this process, which a damaged
    one may crash or hold up; nothing is written to it.

    ``root`` has the name under which its files are listed, for a source that was somewhere else
    before; without it, that is the file's or the folder's own.

    Raises:
        EvidenceError: it is missing or not readable, lacks a piece, or is of no known kind.
    """
    settings = _Settings(limits or Limits(), choices or Choices(), watch or Watch(), root)
    file = _opened(path, settings)
    if file is None:
        return _folder(path, settings)
    try:
        return _recognised(file)
    except BaseException:
        file.bytes.close()
        raise


def open_without_readers(
    path: Path, limits: Limits, choices: Choices, elsewhere: Elsewhere, root: EvidencePath | None
) -> Walk | None:
    """Open a folder, whose containers are read ``elsewhere``, or a source that is one image, video
    or document. None for a container, and for what only a reader can recognise as one.

    Raises: as ``open_in_process``.
    """
    settings = _Settings(limits, choices, Watch(), root, elsewhere)
    file = _opened(path, settings)
    if file is None:
        return _folder(path, settings)
    try:
        is_part = any(file.entry_beside(name) for _, name in first_files(file.path.name))
        kind = None if is_part else file.kind()
        named = CONTAINERS.named(file.path.name)
        if kind is not None and kind.layer is None and named is None and _is_alone(file, kind):
            return _single_file(file)
    except BaseException:
        file.bytes.close()
        raise
    file.bytes.close()
    return None


@dataclass(frozen=True, slots=True)
class _Settings:
    limits: Limits
    choices: Choices
    watch: Watch
    root: EvidencePath | None
    elsewhere: Elsewhere | None = None

    def walk(self, path: EvidencePath, container: Container, data: Bytes | None) -> Walk:
        return Walk(path, container, data, self.limits, self.choices, self.watch, self.elsewhere)


def _named(path: Path, settings: _Settings) -> tuple[str, bytes | None]:
    if settings.root is not None:
        return settings.root.name, settings.root.raw
    # An absolute path: "." has no name to show.
    return decode_name(os.fsencode(Path(os.path.abspath(path)).name or str(path)))  # noqa: PTH100


def _folder(path: Path, settings: _Settings) -> Walk:
    name, raw = _named(path, settings)
    root = EvidencePath("folder", name, raw=raw)
    return settings.walk(root, FolderContainer(path, root), None)


def _opened(path: Path, settings: _Settings) -> _SourceFile | None:
    """Open a source that is a file; None if it is a folder, which can be listed."""
    name, raw = _named(path, settings)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            # A folder that cannot be listed is not a source; inside one it is a Failure.
            os.scandir(path).close()
            return None
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISBLK(status.st_mode):
            raise _left_out(path, None)
        data: Bytes = open_pieces(path)
    except OSError as exc:
        if isinstance(exc, EvidenceError):
            raise
        raise EvidenceError(
            msg("{path} cannot be opened: {strerror}", path=path, strerror=system_error(exc)),
            remedy=msg("name the folder that holds them all")
            if exc.errno == errno.EMFILE
            else msg("check the path and your rights to it"),
        ) from exc
    try:
        with translated():
            head = _head(data)
    except BaseException:
        data.close()
        raise
    return _SourceFile(EvidencePath("file", name, raw=raw), path, head, data, settings)


def _head(data: Bytes) -> bytes:
    """Return the first ``FAR_HEAD`` bytes, with zeros for unreadable sectors after the first."""
    head = data.read_at(0, _SECTOR)
    with suppress(OSError):
        return data.read_at(0, FAR_HEAD)
    for offset in range(_SECTOR, min(FAR_HEAD, data.size), _SECTOR):
        sector = bytes(_SECTOR)
        with suppress(OSError):
            sector = data.read_at(offset, _SECTOR)
        head += sector
    return head


@dataclass(frozen=True, slots=True)
class _SourceFile:
    """The file of a source, as readers get it."""

    path: EvidencePath
    on_disk: Path
    head: bytes
    bytes: Bytes
    settings: _Settings = field(repr=False)

    @property
    def choices(self) -> Choices:
        return self.settings.choices

    def beside(self, name: str) -> _SourceFile | None:
        file = self._file_beside(name)
        if file is None:
            return None
        with translated():
            data = FileBytes(open_quietly(file))
            path = replace(self.path, name=name, raw=None)
            return _SourceFile(path, file, _head(data), data, self.settings)

    def entry_beside(self, name: str) -> EvidenceEntry | None:
        file = self._file_beside(name)
        if file is None:
            return None
        with translated():
            status = file.stat()
        path = replace(self.path, kind="file", name=name, raw=None)
        return EvidenceEntry(path, status.st_size, FileOnDisk(file), file_times(status))

    def _file_beside(self, name: str) -> Path | None:
        file = self.on_disk.parent / name
        return None if file.is_symlink() or not file.is_file() else file

    def kind(self) -> FileKind | None:
        """Return its kind by its bytes, and of a container also by its name. Raises
        EvidenceError."""
        data, name = self.bytes, self.path.name
        with translated():
            return by_end(
                name,
                kind_of(self.head, name),
                lambda: data.read_at(max(data.size - END, 0), END),
            )

    def stream(self) -> BinaryIO:
        return stream_of(self.bytes.read_at, self.bytes.size)

    def data(self) -> Bytes:
        return WatchedBytes(self.bytes, self.settings.watch)


def _recognised(file: _SourceFile) -> Walk:
    # 1. A later file of a container of several files.
    for _, name in first_files(file.path.name):
        first = file.beside(name)
        if first is not None and (source := _with_later_file(first, file)) is not None:
            return source
    # 2. A container that a reader opens.
    kind = file.kind()
    for each in (CONTAINERS.named(file.path.name), kind):
        if each is not None and (source := _container(file, each)) is not None:
            return source
    # 3. An image, a document or a list that is searched, or a kind that counts as not read.
    if kind is not None and _is_alone(file, kind):
        return _single_file(file)
    # 4. A disk whose partition table was wiped: volumes are searched for.
    path = replace(file.path, kind="image")
    disk = DiskContainer(file.data(), path, file.choices)
    with translated():
        has_volumes = disk.has_volumes()
    if has_volumes:
        return file.settings.walk(path, disk, file.bytes)
    # 5. What counts as not read by its name, or because a picture begins in it or its bytes look
    # random, as in a folder.
    found = classify(file.head, file.path.name, file.bytes.size)
    is_image = file.on_disk.suffix.lower() in IMAGE_EXTENSIONS
    if found.is_not_read or is_image or begins_picture(file.head) or _is_random(file):
        return _single_file(file)
    raise _left_out(file.on_disk, found.kind)


def _is_alone(file: _SourceFile, kind: FileKind) -> bool:
    """Whether a file that no reader opens is a source by its bytes."""
    if kind.use in (Use.DECODED, Use.SEARCHED) or (kind.use is Use.ENTERED and not kind.layer):
        return True
    found = classify(file.head, file.path.name, file.bytes.size)
    return found.is_not_read and not found.is_by_name and kind not in VOLUMES.rows


def _is_random(file: _SourceFile) -> bool:
    with translated():
        size = file.bytes.size
        return size >= MIN_RANDOM and looks_random(file.bytes.read_at, size)


def _with_later_file(first: _SourceFile, later: _SourceFile) -> Walk | None:
    """Return the container that begins with one file as a source if it covers the other one."""
    kind = CONTAINERS.named(first.path.name) or kind_of(first.head, first.path.name)
    source = None if kind is None else _container(first, kind)
    if source is not None and source.covers(later.path):
        later.bytes.close()
        source.medium = source.medium or first.bytes
        return source
    first.bytes.close()
    return None


def _container(file: _SourceFile, kind: FileKind) -> Walk | None:
    reader = reader_of(kind, file)
    if reader is None or kind.layer is None:
        return None
    path = replace(file.path, kind=reader.layer or kind.layer)
    with translated():
        container = reader.open(file, path, file.settings.limits)
    if container is None:
        return None
    return file.settings.walk(path, container, container.medium or file.bytes)


def _single_file(file: _SourceFile) -> Walk:
    return file.settings.walk(file.path, _SingleFile(file), file.bytes)


def _left_out(path: Path, kind: FileKind | None) -> EvidenceError:
    known = join("; ", [msg("folder"), *entered_kinds(), msg("one image, video or document")])
    remedy = msg("give one of: {known}; other files in a folder", known=known)
    if kind is None:
        return EvidenceError(msg("{path} is of no known kind", path=path), remedy=remedy)
    return EvidenceError(
        msg("{path} is of a kind without pictures ({kind})", path=path, kind=kind.name),
        remedy=remedy,
    )


class _SingleFile(Container):
    """A source that is one file."""

    def __init__(self, file: _SourceFile) -> None:
        self._file = file

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        data = self._file.bytes
        yield EvidenceEntry(
            self._file.path,
            data.size,
            partial(stream_of, data.read_at, data.size),
            file_times(self._file.on_disk.stat()),
        )
