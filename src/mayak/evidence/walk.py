"""The walk through an open source: its entries, and those of the containers among them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import BinaryIO, NamedTuple, Self

from mayak.errors import EvidenceError, MayakError
from mayak.evidence.acquire import (
    Acquisition,
    acquire,
    acquisition_hash_gap,
    sample_digest,
)
from mayak.evidence.base import (
    Choices,
    Container,
    ContainerFile,
    ContainerFormat,
    LimitExceededError,
    Limits,
    LockedError,
    NotReadError,
    container_gap,
    is_locked,
)
from mayak.evidence.containers import first_files, reader_of
from mayak.evidence.containers.folder import FileOnDisk
from mayak.evidence.containers.segments import (
    follows_a_first,
    is_later_piece,
    later_pieces,
    numbered_pieces,
    open_pieces,
)
from mayak.evidence.streams import IN_MEMORY, Bytes, FileBytes, JoinedBytes, Unpacked, translated
from mayak.i18n import msg
from mayak.signatures import CONTAINERS, END, FAR_HEAD, HEAD, FileKind, by_end, kind_of
from mayak.signatures.census import MIN_VOLUME
from mayak.types import (
    EvidenceEntry,
    EvidencePath,
    Failure,
    OutcomeReason,
    Progress,
    SilentProgress,
    Space,
)


class Source:
    """An open source: its entries, and the hash of the whole."""

    def __init__(
        self,
        path: EvidencePath,
        container: Container,
        data: Bytes | None,
        limits: Limits,
        choices: Choices,
    ) -> None:
        """``data``: the bytes that are hashed, None for a folder."""
        self.path = path
        self._container = container
        self._data = data
        self._limits, self._choices = limits, choices
        self.listed = 0
        """Number of entries known so far; those of containers inside are added when the walk
        reaches them."""
        self.opened_with_password = [path] if container.opened_with_password else []
        """Containers that one of the passwords opened; those inside are added when the walk reaches
        them."""
        self.locked: list[Failure] = []
        """Of the containers that the walk has met and no password opens."""
        self.unexamined: Counter[Space] = Counter()
        """Bytes that belong to no file and were not looked at, of the containers that ``items`` has
        listed to their end."""
        self._entered: dict[EvidencePath, Container] = {}
        self._stop: Event | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._container.close()
        if self._data is not None:
            self._data.close()

    def covers(self, path: EvidencePath) -> bool:
        """Whether a file beside the source is one of those that the source consists of."""
        return self._container.covers(path)

    def count(self) -> None:
        """Count the entries without opening any, as the total for a progress bar."""
        self.listed += sum(1 for _ in self._guarded(self.path, self._container.entries()))

    def items(self, stop: Event | None = None) -> Iterator[EvidenceEntry | Failure]:
        """Yield every file of the source, and a Failure for each entry that cannot be read.

        An archive or a disk image is an item itself and is followed by its files, or by a Failure
        ``NoEntries`` if it has none. An E01 inside is read to its end first: if an acquisition
        hash in it does not match, a Failure ``HashMismatch`` comes before its files.

        Raises:
            CancelledError: ``stop`` was set while an E01 was read.
        """
        self._stop = stop
        self.unexamined.clear()
        return self._guarded(self.path, self._expanded(self._container, 0))

    def is_locked(self, displayed: str) -> bool:
        """Whether a path is inside a container that the walk has met and no password opens."""
        return any(displayed.startswith(f"{gap.path}/") for gap in self.locked)

    def find(self, path: EvidencePath) -> EvidenceEntry | None:
        """Return the file at a path that ``items`` gave; None if it is not there any more.

        Enters only the containers that the path names, and keeps what it has listed of them for
        the next call.

        Raises:
            LockedError: it is in a container that is encrypted and could not be opened.
            EvidenceError: a container cannot be read.
        """
        # Within its container a container is listed as a file.
        container = self._container
        item: EvidenceEntry | None = None
        depth = 0
        for layer in path.layers[1:]:
            if layer.kind in ("volume", "embedded"):
                continue
            if item is not None:
                if item.path not in self._entered:
                    opened = self._reopen_container(container, item, depth)
                    if opened is None:
                        return None
                    self._entered[item.path] = opened
                container, depth = self._entered[item.path], depth + 1
            listed = container.find(replace(layer, kind="file"))
            if listed is None:
                if any(str(layer).startswith(f"{at}/") for at in container.locked):
                    raise LockedError(path)
                return None
            item = replace(listed, path=layer)
        if item is None:  # the source is the file
            return self._container.find(path)
        return item

    def _reopen_container(
        self, within: Container, item: EvidenceEntry, depth: int
    ) -> Container | None:
        """Open the container that an item was listed as; None if it is not one any more.

        Raises:
            LockedError: it is encrypted and could not be opened.
        """
        nested, peeked = self._recognised(within, item)
        if peeked is not None:
            peeked.release()
        if nested is None or nested.file.path != item.path:
            return None
        opened = self._opened(nested, depth)
        if isinstance(opened, Failure):
            if is_locked(opened):
                raise LockedError(item.path)
            return None
        return opened

    def _expanded(self, within: Container, depth: int) -> Iterator[EvidenceEntry | Failure]:
        """Yield the entries of a container, each that is a container followed by its own."""
        of_several = _OfSeveral(within, partial(self._first_file, within, depth))
        for entry in within.entries():
            if isinstance(entry, Failure):
                if is_locked(entry):
                    self.locked.append(entry)
                yield entry
                continue
            if of_several.cover(entry.path):
                self.listed -= bool(self.listed)
                continue
            nested, peeked = self._recognised(within, entry)
            if nested is None:
                yield entry if peeked is None else peeked.as_entry(entry)
                if peeked is not None:
                    peeked.release()
                continue
            opened = of_several.opened(entry.path) or self._opened(nested, depth)
            if opened is None:
                is_certain = nested.kind.matches(nested.file.head)
                yield replace(entry, kind=nested.kind.name if is_certain else None)
                continue
            yield replace(entry, path=nested.file.path, kind=nested.kind.name)
            if isinstance(opened, Failure):
                self.locked += [opened] if is_locked(opened) else []
                yield opened
            else:
                yield from self._inside(opened, nested.file.path, depth)
        self.unexamined.update(within.unexamined())

    def _inside(
        self, opened: Container, path: EvidencePath, depth: int
    ) -> Iterator[EvidenceEntry | Failure]:
        """Yield the entries of a container that is an entry itself."""
        if opened.opened_with_password:
            self.opened_with_password.append(path)
        if opened.medium is not None and (
            gap := acquisition_hash_gap(opened.medium, path, self._stop)
        ):
            yield gap
        if self.listed:
            self.listed += (
                sum(1 for _ in self._guarded(path, opened.entries()))
                if opened.n_entries is None
                else opened.n_entries
            )
        # Not closed: items handed out earlier may still be opened, and hold what they need.
        is_empty = True
        for item in self._guarded(path, self._expanded(opened, depth + 1)):
            is_empty = False
            yield item
        if is_empty:
            yield container_gap(path, OutcomeReason.NO_ENTRIES, "no file is listed in it")

    def _guarded(
        self, container: EvidencePath, entries: Iterator[EvidenceEntry | Failure]
    ) -> Iterator[EvidenceEntry | Failure]:
        """Yield entries, and a Failure if listing them fails."""
        try:
            yield from entries
        except OSError as exc:
            # If the source itself is gone, that is not a fault of its files.
            if container == self.path and isinstance(exc, MayakError):
                raise
            yield _entry_error(container, exc)
        except (MayakError, MemoryError, CancelledError):
            raise
        except Exception as exc:  # noqa: BLE001
            # So broad because readers, mostly other people's, parse any bytes that a worn medium
            # or a suspect wrote: an unforeseen fault must lose this container alone, not all that
            # comes after it.
            reason = f"cannot be read any further: {type(exc).__name__}: {exc}"
            yield container_gap(container, OutcomeReason.DAMAGED, reason)

    def _first_file(
        self, within: Container, depth: int, reader: ContainerFormat, path: EvidencePath
    ) -> Container | None:
        """Return the container of several files that begins at a path, None if there is none."""
        with suppress(EvidenceError), translated():
            first = within.find(path)
            if first is None:
                return None
            nested, peeked = self._recognised(within, first)
            if peeked is not None:
                peeked.release()
            if nested is None or nested.reader is not reader:
                return None
            opened = self._opened(nested, depth)
            return None if isinstance(opened, Failure) else opened
        return None

    def _recognised(
        self, within: Container, entry: EvidenceEntry
    ) -> tuple[_Nested | None, _PeekedFile | None]:
        """Return the container that an entry is; if it is none, how to open it without reading its
        start again."""
        # A file that cannot be read here fails again, with a Failure, where the item is used.
        with suppress(EvidenceError), translated():
            stream = entry.open()
            try:
                head = stream.read(HEAD)
                kind = kind_of(head, entry.path.name)
                if kind is None and entry.size >= MIN_VOLUME:
                    head += stream.read(FAR_HEAD - HEAD)
                    kind = kind_of(head, entry.path.name)
                kind = by_end(entry.path.name, kind, partial(_end_of, stream, entry.size))
                nested, is_piece = None, False
                if (named := CONTAINERS.named(entry.path.name)) is not None:
                    nested, is_piece = self._nested(within, entry, named, head)
                if nested is None:
                    nested, is_piece = self._nested(within, entry, kind, head)
                if nested is None:
                    stream.seek(0)
                    return None, _PeekedFile(stream, entry.open, kind, is_piece)
            except BaseException:
                stream.close()
                raise
            stream.close()
            return nested, None
        return None, None

    def _nested(
        self, within: Container, entry: EvidenceEntry, kind: FileKind | None, head: bytes
    ) -> tuple[_Nested | None, bool]:
        """Return the container that an entry is, and whether it is a later piece of one."""
        if kind is None or kind.layer is None:
            opener = entry.open
            return None, isinstance(opener, FileOnDisk) and follows_a_first(opener.file)
        path = replace(entry.path, kind=kind.layer)
        file = _NestedFile(within, entry, path, head, self._limits, self._choices)
        reader = reader_of(kind, file)
        if reader is None:
            return None, False
        if is_later_piece(reader, file):
            return None, True
        if reader.layer is not None:
            file = replace(file, path=replace(path, kind=reader.layer))
        return _Nested(file, reader, kind), False

    def _opened(self, nested: _Nested, depth: int) -> Container | Failure | None:
        """Open a nested container, or return why not; None if it only looked like one."""
        file, reader, kind = nested
        if depth == self._limits.depth:
            reason = f"is a container more than {depth} deep, which is not entered"
            return container_gap(file.path, OutcomeReason.LIMIT_EXCEEDED, reason)
        try:
            with translated():
                pieces_of = reader.segments or numbered_pieces
                if file.on_disk is not None and any(
                    piece.is_symlink() for piece in pieces_of(file.on_disk)
                ):
                    reason = "has a piece that is a symbolic link, which is not followed"
                    return container_gap(file.path, OutcomeReason.UNSUPPORTED, reason, kind)
                return reader.open(file, file.path, self._limits)
        except LimitExceededError as exc:
            return container_gap(file.path, OutcomeReason.LIMIT_EXCEEDED, exc.reason, kind)
        except NotReadError as exc:
            return container_gap(file.path, exc.outcome, f"{exc.reason}: {exc.remedy}", kind)
        except EvidenceError as exc:
            return replace(_entry_error(file.path, exc), kind=kind.name)

    @property
    def stored(self) -> dict[str, str]:
        """Acquisition hashes in an E01: ``md5`` or ``sha1``, and the hex."""
        medium = self._container.medium
        return {} if medium is None else medium.stored

    def identity(self) -> str:
        """Return what identifies the source besides its path, as a hex digest: of a folder the
        paths and sizes of its files, of others their size and samples of their bytes.

        It costs little, so equal ones are compared in full. Raises EvidenceError.
        """
        if self._data is not None:
            return sample_digest(self._data)
        if self._container.manifest is None:
            deque(self._container.entries(), maxlen=0)
        return self._container.manifest or ""

    def acquire(
        self, progress: Progress | None = None, stop: Event | None = None
    ) -> Acquisition | None:
        """Read all of the source once and hash it; None for a folder, which is not one file.

        May run in a thread of its own while files are read.

        Raises:
            EvidenceError: the source cannot be read to its end.
            CancelledError: ``stop`` was set.
        """
        if self._data is None:
            return None
        return acquire(self.path, self._data, self.stored, progress or SilentProgress(), stop)


@dataclass(frozen=True, slots=True)
class _NestedFile:
    """An entry that may be a container, as readers get it."""

    within: Container
    entry: EvidenceEntry
    path: EvidencePath
    """The entry's, with the kind of the container's layer."""
    head: bytes
    limits: Limits
    choices: Choices

    def entry_beside(self, name: str) -> EvidenceEntry | None:
        folder = self.entry.path.name.rpartition("/")[0]
        return self.within.find(_sibling(self.entry.path, f"{folder}/{name}" if folder else name))

    def beside(self, name: str) -> ContainerFile | None:
        found = self.entry_beside(name)
        if found is None:
            return None
        with translated(), found.open() as stream:
            head = stream.read(FAR_HEAD)
        return replace(self, entry=found, path=found.path, head=head)

    @property
    def on_disk(self) -> Path | None:
        opener = self.entry.open
        return opener.file if isinstance(opener, FileOnDisk) else None

    def stream(self) -> BinaryIO:
        return self.entry.open()

    def data(self) -> Bytes:
        file = self.on_disk
        # A disk is read where it is, so that bad sectors cost only the files that need them.
        if file is not None and (self.path.kind == "image" or len(numbered_pieces(file)) > 1):
            return open_pieces(file)
        # Of small files a copy in memory keeps no file open.
        later = later_pieces(self) if file is None else []
        if later:
            return JoinedBytes([self._alone(), *(piece.data() for piece in later)])
        return self._alone()

    def _alone(self) -> Bytes:
        """Return its bytes without those of later pieces."""
        if self.within.random_access and self.entry.size > IN_MEMORY:
            return FileBytes(self.entry.open())
        with self.entry.open() as stream, translated():
            return Unpacked(stream, self._check)

    def _check(self, unpacked: int) -> None:
        if unpacked > self.limits.unpacked:
            reason = msg("is larger than {limit} bytes", limit=self.limits.unpacked)
            raise LimitExceededError(self.path, reason)


class _OfSeveral:
    """The containers of several files among the entries of a container, opened when the first of
    their files is met."""

    def __init__(
        self,
        within: Container,
        opened: Callable[[ContainerFormat, EvidencePath], Container | None],
    ) -> None:
        self._within = within
        self._open = opened
        self._containers: dict[EvidencePath, Container | None] = {}
        """By the path of their first file; None if that is not there or is none."""
        self._named: set[EvidencePath] | None = None
        """The files that their name may make the first ones, once all entries were listed."""

    def cover(self, path: EvidencePath) -> bool:
        """Whether one of them yields this file under a name of its own."""
        for reader, name in first_files(path.name):
            first = _sibling(path, name)
            if first not in self._containers:
                is_there = self._may_hold(first)
                self._containers[first] = self._open(reader, first) if is_there else None
            container = self._containers[first]
            if container is not None and container.covers(path):
                return True
        return False

    def _may_hold(self, first: EvidencePath) -> bool:
        """Whether a first file may be there. Many files have a name as a backup gives them: if
        ``find`` has to list all entries, and keeps the list, it must not be asked in vain."""
        if self._within.finds_quickly or CONTAINERS.named(first.name) is None:
            return True
        if self._named is None:
            self._named = set()
            with suppress(EvidenceError), translated():
                for entry in self._within.entries():
                    if isinstance(entry, EvidenceEntry) and CONTAINERS.named(entry.path.name):
                        self._named.add(entry.path)
        return first in self._named

    def opened(self, first: EvidencePath) -> Container | None:
        """Return the container that begins at a path, if it was opened already."""
        return self._containers.get(first)


def _end_of(stream: BinaryIO, size: int) -> bytes:
    stream.seek(max(size - END, 0))
    return stream.read(END)


def _sibling(path: EvidencePath, name: str) -> EvidencePath:
    """Return the path of a file whose name begins with the same folders, in the same encoding."""
    raw = None
    if path.raw is not None:
        # Some programs write "\\" between folders; in no encoding here is it part of a letter.
        slash = b"/" if b"/" in path.raw else b"\\"
        folders = 0
        for ours, other in zip(path.name.split("/"), name.split("/")[:-1], strict=False):
            if ours != other:
                break
            folders += 1
        rest = "/".join(name.split("/")[folders:]).encode().replace(b"/", slash)
        raw = slash.join([*path.raw.split(slash)[:folders], rest])
    return replace(
        path, kind="file", name=name, raw=None if raw == name.encode() else raw, serial=0
    )


class _Nested(NamedTuple):
    """A container inside the source, and the reader that opens it."""

    file: _NestedFile
    reader: ContainerFormat
    kind: FileKind


class _PeekedFile:
    """Opens a file whose start was read: the first time with the same stream, until the walk goes
    on to the next file. A list of many files must not hold them all open."""

    def __init__(
        self,
        stream: BinaryIO,
        opener: Callable[[], BinaryIO],
        kind: FileKind | None,
        is_piece: bool,
    ) -> None:
        self._stream: BinaryIO | None = stream
        self._opener = opener
        self._kind, self._is_piece = kind, is_piece

    def as_entry(self, entry: EvidenceEntry) -> EvidenceEntry:
        """Return the entry with what its first bytes tell."""
        kind = "" if self._kind is None else self._kind.name
        return replace(entry, open=self, kind=kind, is_piece=self._is_piece)

    def __call__(self) -> BinaryIO:
        stream, self._stream = self._stream, None
        return stream or self._opener()

    def release(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _entry_error(container: EvidencePath, exc: OSError) -> Failure:
    reason = f"container cannot be entered: {exc.__cause__ or getattr(exc, 'message', exc)!s}"
    return container_gap(container, OutcomeReason.DAMAGED, reason)
