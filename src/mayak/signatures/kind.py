"""A kind of file: how it is recognised by its first bytes, and what mayak does with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter
from typing import Literal, TypeAlias

from mayak.i18n import msg
from mayak.signatures import headers

Family = Literal[
    "archive",
    "compressed file",
    "disk image",
    "partition table",
    "file system",
    "image",
    "video",
    "document",
    "database",
    "mail",
    "cache",
    "capture",
    "encrypted file",
    "text",
    "audio",
    "font",
    "drawing",
    "program",
    "metadata",
]
_CONTAINER_FAMILIES = frozenset(
    {"archive", "compressed file", "disk image", "partition table", "file system"}
)
ContainerLayer = Literal["zip", "tar", "archive", "image"]
"""The kinds of ``EvidencePath`` layers that a file becomes when its content is listed."""


class Use(StrEnum):
    """What mayak does with a file of a kind."""

    DECODED = "decoded"
    """Given to the image decoder, which gives a reason if it cannot decode it here."""
    ENTERED = "entered"
    """What is in it is listed, or, for a document, its images are taken out of it."""
    UNREAD = "not read"
    """A container or file system that no reader opens, or an encrypted file; it counts as not
    read, with a remedy."""
    UNEXAMINED = "not examined"
    """Can hold pictures, which nothing here looks for; it counts as not read, by its kind."""
    SEARCHED = "searched"
    """A text or list that can hold pictures among other things: left out if no picture begins in
    it."""
    NO_PICTURES = "no pictures"
    """Left out."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Bytes at one offset: one of these alternatives, all of the same length."""

    offset: int
    alternatives: tuple[bytes, ...]

    def matches(self, head: bytes) -> bool:
        length = len(self.alternatives[0])
        return head[self.offset : self.offset + length] in self.alternatives


@dataclass(frozen=True, slots=True)
class FileKind:
    """One row: a kind matches if all its marks and its check do."""

    name: str
    """For an image Pillow's name of the format."""
    family: Family
    use: Use
    marks: tuple[Mark, ...] = ()
    check: Callable[[bytes], object] | None = None
    """A header's checks, for a kind whose marks are too short or that has none."""
    extensions: tuple[str, ...] = ()
    """They count for a file whose first bytes are of no known kind."""
    names: tuple[str, ...] = ()
    """Of a container that only the names of its files set apart: that of its first file. Its reader
    looks at the rest."""
    layer: ContainerLayer | None = None
    """For a container: the kind of its layer in an ``EvidencePath``."""
    description: str = ""
    """A message with article and kind, if the name alone is not enough."""
    remedy: str = ""
    """What to do about a kind that is not read."""
    is_encrypted: bool = False

    def __post_init__(self) -> None:
        is_container = self.family in _CONTAINER_FAMILIES
        if self.use is Use.ENTERED and is_container and self.layer is None:
            # Without a layer no reader is asked, and its files would be missing without a word.
            raise ValueError(f"{self.name}: a container that is entered needs a layer")

    @property
    def described(self) -> str:
        """What messages call it, as in "is a 7z archive"."""
        return self.description or self.name

    @property
    def can_hold_pictures(self) -> bool:
        """Whether pictures may be in files of this kind that nothing here looks for."""
        return self.use in (Use.UNREAD, Use.UNEXAMINED)

    def matches(self, head: bytes) -> bool:
        """Whether a file with these first bytes is of this kind; 512 of them are enough for all
        kinds that are not disk images or file systems."""
        for mark in self.marks:
            if not mark.matches(head):
                return False
        return self.check is None or bool(self.check(head[: headers.HEAD]))


Rows: TypeAlias = tuple[FileKind, ...]


class KindTable:
    """Some rows of the table, found by the bytes at the offsets of their first marks.

    Each file of a source is compared, so that a row that does not match must cost nothing.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._by_first_byte: dict[int, tuple[_Group, ...]] = {}
        self._by_name = {name: kind for kind in rows for name in kind.names}

    def named(self, path: str) -> FileKind | None:
        """Return the row that a file's name belongs to, None if none does."""
        return self._by_name.get(path.rpartition("/")[2])

    def identify(self, head: bytes) -> FileKind | None:
        """Return the first row that matches, None if none does."""
        if not head:
            return None
        groups = self._by_first_byte.get(head[0])
        if groups is None:
            groups = self._by_first_byte[head[0]] = self._grouped(head[0])
        size = len(head)
        hits: tuple[tuple[int, FileKind], ...] = ()
        for start, end, rows in groups:
            if start >= size:
                break
            if (found := rows.get(head[start:end])) is not None:
                hits = tuple(sorted(hits + found, key=_position)) if hits else found
        for _, kind in hits:
            if kind.matches(head):
                return kind
        return None

    def _grouped(self, first_byte: int) -> tuple[_Group, ...]:
        """Return the rows that a file with this first byte may be, by where their first mark is;
        those without marks are in the group of no bytes."""
        groups: dict[tuple[int, int], dict[bytes, tuple[tuple[int, FileKind], ...]]] = {}
        for position, kind in enumerate(self.rows):
            if kind.check is never or not _may_begin_with(kind, first_byte):
                continue
            mark = kind.marks[0] if kind.marks else Mark(0, (b"",))
            place = mark.offset, mark.offset + len(mark.alternatives[0])
            for alternative in mark.alternatives:
                rows = groups.setdefault(place, {})
                rows[alternative] = (*rows.get(alternative, ()), (position, kind))
        return tuple((*place, groups[place]) for place in sorted(groups))


_Group: TypeAlias = tuple[int, int, dict[bytes, tuple[tuple[int, FileKind], ...]]]
"""Start and end of the first mark of some rows, and by its bytes the rows with their positions."""
_position = itemgetter(0)


def _may_begin_with(kind: FileKind, first_byte: int) -> bool:
    starts = [mark for mark in kind.marks if mark.offset == 0]
    return all(any(a[0] == first_byte for a in mark.alternatives) for mark in starts)


def at(offset: int, *alternatives: bytes) -> Mark:
    return Mark(offset, alternatives)


def dotted(extensions: str) -> tuple[str, ...]:
    """Return a list of extensions, separated by blanks, as they end names."""
    return tuple(f".{one}" for one in extensions.split())


def never(_: bytes) -> bool:
    """The check of a kind that only a file's name tells."""
    return False


UNPACK = msg("unpack a copy of it, or convert a copy to a raw image, with another program")
CONVERT = msg("convert a copy to E01 or raw")
CONVERT_QEMU = msg("convert a copy to raw: qemu-img convert -O raw COPY disk.dd")
CONVERT_MAC = msg("convert a copy to raw on a Mac: hdiutil convert COPY -format UDTO -o disk")
MOUNT = msg("mount it read-only and give that folder")
MOUNT_OR_UNTESTED = msg(
    "mount it read-only and give that folder, or allow its reader with --untested-readers"
)
GIVE_PASSWORD = msg("give its password or recovery key with --password-file")
DECRYPT_OR_UNTESTED = msg(
    "decrypt a copy and give that, or allow its reader with --untested-readers and --password-file"
)
OPEN_OR_DECRYPT = msg(
    "give its password or recovery key with --password-file; if that does not open it, decrypt a "
    "copy and give that as a source of its own"
)
DECRYPT = msg("decrypt a copy with its password or key, and give that as a source of its own")
