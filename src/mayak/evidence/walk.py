"""The walk through an open source: its entries, and those of the containers among them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Event
from typing import BinaryIO, NamedTuple, Protocol, Self

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
    ContainerFormat,
    LimitExceededError,
    Limits,
    LockedError,
    LostStep,
    NotReadError,
    Watch,
    container_gap,
    entry_failure,
    is_locked,
    loss_text,
    note_locked,
)
from mayak.evidence.containers import reader_of
from mayak.evidence.containers.folder import FileOnDisk
from mayak.evidence.containers.segments import follows_a_first, is_later_piece, numbered_pieces
from mayak.evidence.nested import LostFile, NestedFile, OfSeveral, PeekedFile
from mayak.evidence.streams import Bytes, translated
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


class Elsewhere(Protocol):
    """Reads the containers of a folder in another process."""

    listed: int
    """Entries of the source known so far."""

    def items(self, entry: EvidenceEntry, listed: int) -> Iterator[EvidenceEntry | Failure]:
        """Yield a file of the folder and, if it is a container, the files in it; ``listed`` entries
        of the source were known before."""
        ...

    def covers(self, path: EvidencePath) -> bool:
        """Whether the file at a path belongs to a container of several files."""
        ...


def is_below(displayed: str, gaps: list[Failure]) -> bool:
    """Whether a path is inside one of the containers that have these gaps."""
    return any(displayed.startswith(f"{gap.path}/") for gap in gaps)


class Walk:
    """An open source, read in this process: its entries, and the hash of the whole."""

    def __init__(
        self,
        path: EvidencePath,
        container: Container,
        data: Bytes | None,
        limits: Limits,
        choices: Choices,
        watch: Watch | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """``data``: the bytes that are hashed, None for a folder. With ``elsewhere``, no container
        of this folder is read in this process."""
        self.path = path
        self._container = container
        self._data = data
        self._limits, self._choices = limits, choices
        self._watch, self._elsewhere = watch or Watch(), elsewhere
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
        self.medium: Bytes | None = container.medium
        """What is hashed as the source, if that is not the file at its path."""
        self._entered: dict[EvidencePath, Container] = {}
        self._of_several: OfSeveral | None = None
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
        self.listed += self._number_of(self.path, self._container)

    def _number_of(self, path: EvidencePath, container: Container) -> int:
        number = 0
        for _ in self._guarded(path, container.entries()):
            self._watch.progress()
            number += 1
        return number

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
        for item in self._guarded(self.path, self._expanded(self.path, self._container, 0)):
            if isinstance(item, Failure):
                note_locked(item, self.locked)
            yield item

    def items_of(self, path: EvidencePath) -> Iterator[EvidenceEntry | Failure]:
        """Yield one file of a folder and, if it is a container, the files in it."""
        self.unexamined.clear()
        if (entry := self._container.find(path)) is not None:
            place = _Place(self._container, 0, self._watch.enter(), self._several_in_folder)
            yield from self._guarded(path, self._items_at(entry, place))

    def covers_in_folder(self, path: EvidencePath) -> bool:
        """Whether the file at a path belongs to a container of several files in this folder."""
        return self._several_in_folder.covers(path)

    @property
    def _several_in_folder(self) -> OfSeveral:
        if self._of_several is None:
            first_file = partial(self._first_file, self._container, 0, self._watch.enter())
            self._of_several = OfSeveral(self._container, first_file)
        return self._of_several

    def is_locked(self, displayed: str) -> bool:
        """Whether a path is inside a container that the walk has met and no password opens."""
        return is_below(displayed, self.locked)

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

    def _expanded(
        self, path: EvidencePath, within: Container, depth: int
    ) -> Iterator[EvidenceEntry | Failure]:
        """Yield the entries of a container, each that is a container followed by its own."""
        number = self._watch.enter()
        of_several = OfSeveral(within, partial(self._first_file, within, depth, number))
        place = _Place(within, depth, number, of_several)
        entries = within.entries()
        while (lost := self._watch.leaves(number) or self._watch.step(number)) is None:
            entry = next(entries, None)
            if entry is None:
                self.unexamined.update(within.unexamined())
                self._note_unlocked(path, within)
                return
            if isinstance(entry, Failure):
                yield entry
            elif (reader := of_several.reader_of(entry.path)) is not None:
                if reader.lists_its_files:
                    self.listed -= bool(self.listed)
                else:
                    yield self._piece(entry, number)
            elif entry.size < 0:
                reason = f"states a size of {entry.size} bytes"
                yield entry_failure(entry.path, OutcomeReason.DAMAGED, reason)
            else:
                yield from self._items_at(entry, place)
        yield self._lost(path, "is not read any further", lost)

    def _piece(self, entry: EvidenceEntry, number: int) -> EvidenceEntry:
        """Return a piece of a split container, of which its first bytes are still read."""
        if lost := self._watch.step(number):
            entry = replace(entry, open=LostFile(entry.path, lost.reason, self._limits))
        return replace(entry, is_piece=True)

    def _items_at(self, entry: EvidenceEntry, place: _Place) -> Iterator[EvidenceEntry | Failure]:
        """Yield an entry and, if it is a container, its own entries."""
        within, depth, number, of_several = place
        # Until the next step its content may be read, too.
        if lost := self._watch.step(number):
            yield replace(entry, open=LostFile(entry.path, lost.reason, self._limits))
            return
        nested, peeked = self._recognised(within, entry)
        if nested is None:
            here = entry if peeked is None else peeked.as_entry(entry)
            if self._elsewhere is not None and peeked is not None and peeked.may_be_container:
                for item in self._elsewhere.items(here, self.listed):
                    yield item
                    self.listed = self._elsewhere.listed
            else:
                yield here
            if peeked is not None:
                peeked.release()
            return
        inside = replace(entry, path=nested.file.path, kind=nested.kind.name)
        if lost := self._watch.step(number):
            yield inside
            yield self._lost(inside.path, "cannot be entered", lost)
            return
        opened = of_several.opened(entry.path) or self._opened(nested, depth)
        if opened is None:
            is_certain = nested.kind.matches(nested.file.head)
            yield replace(entry, kind=nested.kind.name if is_certain else None)
            return
        yield inside
        if isinstance(opened, Failure):
            yield opened
            return
        yield from self._entered_items(inside.path, opened, depth, number)

    def _entered_items(
        self, path: EvidencePath, opened: Container, depth: int, number: int
    ) -> Iterator[EvidenceEntry | Failure]:
        """Yield the entries of a container that was opened inside another one."""
        self._note_unlocked(path, opened)
        if opened.medium is not None:
            if lost := self._watch.step(number):
                yield self._lost(path, "cannot be compared with its stored hash", lost)
            elif gap := acquisition_hash_gap(opened.medium, path, self._stop, self._watch.progress):
                yield gap
        if self.listed and self._watch.step(number) is None:
            known = opened.n_entries
            self.listed += self._number_of(path, opened) if known is None else known
        # Not closed: items handed out earlier may still be opened, and hold what they need.
        is_empty = True
        for item in self._guarded(path, self._expanded(path, opened, depth + 1)):
            is_empty = False
            yield item
        if is_empty:
            yield container_gap(path, OutcomeReason.NO_ENTRIES, "no file is listed in it")

    def _note_unlocked(self, path: EvidencePath, container: Container) -> None:
        if container.opened_with_password and path not in self.opened_with_password:
            self.opened_with_password.append(path)

    def _lost(self, path: EvidencePath, what: str, lost: LostStep) -> Failure:
        reason = f"{what}: {loss_text(lost.reason, self._limits)}"
        return container_gap(path, lost.reason, reason)

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
        self,
        within: Container,
        depth: int,
        number: int,
        reader: ContainerFormat,
        path: EvidencePath,
    ) -> Container | None:
        """Return the container of several files that begins at a path, None if there is none."""
        if self._watch.step(number):
            return None
        with suppress(EvidenceError), translated():
            first = within.find(path)
            if first is None:
                return None
            if self._elsewhere is not None:
                return _OpenedElsewhere(self._elsewhere)
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
    ) -> tuple[_Nested | None, PeekedFile | None]:
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
                named = CONTAINERS.named(entry.path.name)
                nested, is_piece = None, False
                if named is not None:
                    nested, is_piece = self._nested(within, entry, named, head)
                if nested is None:
                    nested, is_piece = self._nested(within, entry, kind, head)
                if nested is None:
                    stream.seek(0)
                    may_be_container = any(
                        each is not None and each.layer is not None for each in (named, kind)
                    )
                    peeked = PeekedFile(stream, entry.open, kind, is_piece, may_be_container)
                    return None, peeked
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
        if self._elsewhere is not None:
            return None, False
        path = replace(entry.path, kind=kind.layer)
        file = NestedFile(within, entry, path, head, self._limits, self._choices, self._watch)
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
                opened = reader.open(file, file.path, self._limits)
                if opened is not None and reader.lists_its_files:
                    opened.random_access = file.within.random_access
                return opened
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


class _Nested(NamedTuple):
    """A container inside the source, and the reader that opens it."""

    file: NestedFile
    reader: ContainerFormat
    kind: FileKind


class _Place(NamedTuple):
    """Where an entry is listed."""

    within: Container
    depth: int
    number: int
    """The watch's for the container."""
    of_several: OfSeveral


class _OpenedElsewhere(Container):
    """A container of several files of a folder, which another process reads."""

    def __init__(self, elsewhere: Elsewhere) -> None:
        self._elsewhere = elsewhere

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        return iter(())

    def covers(self, path: EvidencePath) -> bool:
        return self._elsewhere.covers(path)


def _end_of(stream: BinaryIO, size: int) -> bytes:
    stream.seek(max(size - END, 0))
    return stream.read(END)


def _entry_error(container: EvidencePath, exc: OSError) -> Failure:
    reason = f"container cannot be entered: {exc.__cause__ or getattr(exc, 'message', exc)!s}"
    return container_gap(container, OutcomeReason.DAMAGED, reason)
