"""What becomes of a file that is neither an image nor a container that was entered.

The same for a source that is one file, and for a file in a folder, an archive or a disk image.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mayak.signatures import ALL, BY_EXTENSION, BY_NAME, FileKind, Use

MIN_VOLUME = 1 << 20
"""Bytes below which what begins as a volume or a disk is a copy of its first sectors."""
MIN_RANDOM = 16 << 20
"""Bytes of a file of no known kind from which on its entropy is measured: below that, an encrypted
container cannot be told from the many small files of random bytes that programs keep."""


class Verdict(StrEnum):
    """What the table of kinds decides about a file."""

    ENCRYPTED = "encrypted"
    NOT_READ = "not read"
    """A container that is not entered."""
    BROKEN = "broken"
    """It begins as a container that a reader should have entered."""
    NOT_OPENED = "not opened"
    """A kind that can hold pictures."""
    SEARCHED = "searched"
    """Left out if no picture begins in it."""
    NO_PICTURES = "no pictures"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Classified:
    """A file's verdict, and its kind if one is known."""

    verdict: Verdict
    kind: FileKind | None
    is_by_name: bool = False
    """Whether the name alone tells its kind: its first bytes are of no known one."""

    @property
    def is_not_read(self) -> bool:
        """Whether it counts as not read, whatever else is in it."""
        return self.verdict in _NOT_READ


_NOT_READ = (Verdict.ENCRYPTED, Verdict.NOT_READ, Verdict.BROKEN, Verdict.NOT_OPENED)
_BY_USE = {
    Use.UNREAD: Verdict.NOT_READ,
    Use.UNEXAMINED: Verdict.NOT_OPENED,
    Use.SEARCHED: Verdict.SEARCHED,
    Use.NO_PICTURES: Verdict.NO_PICTURES,
}


NO_IMAGE = frozenset(kind.name for kind in ALL.rows if kind.use in _BY_USE and kind.layer is None)
"""Names of kinds that are recognised by their bytes after no image was."""
NO_TEXT = frozenset(kind.name for kind in ALL.rows if kind.family != "text")
"""Names of kinds of which further bytes decide nothing."""


def classify(head: bytes, name: str, size: int, kind: str | None = None) -> Classified:
    """Decide about a file by its first ``FAR_HEAD`` bytes, its name, and its size in bytes.

    ``kind`` is the name of its kind if that is known already, empty if it is of no known one; then
    ``head`` is not needed.
    """
    found = ALL.identify(head) if kind is None else BY_NAME.get(kind)
    if found is None or (found.use is Use.ENTERED and not _is_container(found, size)):
        named = BY_EXTENSION.get(extension_of(name))
        if named is None:
            return Classified(Verdict.UNKNOWN, None)
        return Classified(_verdict(named), named, is_by_name=True)
    if found.family == "compressed file" and found.use is Use.ENTERED:
        # It is entered unless what it unpacks to holds no pictures.
        return Classified(Verdict.NO_PICTURES, found)
    return Classified(_verdict(found), found)


def extension_of(name: str) -> str:
    """Return the extension of a displayed name, in lower case with its dot; empty if it has none.

    That of ``.thumbdata3--123`` and of ``imgcache.0`` is the cache's own name.
    """
    base = name.rpartition("/")[2].lower()
    if base.startswith((".thumbdata", "imgcache")):
        return ".thumbdata" if base.startswith(".t") else ".imgcache"
    return suffix_of(base)


def suffix_of(name: str) -> str:
    """Return ``PurePosixPath(name).suffix`` in lower case, ten times as fast."""
    base = name[name.rfind("/") + 1 :]
    at = base.rfind(".")
    return base[at:].lower() if 0 < at < len(base) - 1 else ""


def _is_container(kind: FileKind, size: int) -> bool:
    """Whether a file that no reader entered is a container all the same."""
    return kind.family not in ("file system", "partition table") or size >= MIN_VOLUME


def _verdict(kind: FileKind) -> Verdict:
    if kind.is_encrypted:
        return Verdict.ENCRYPTED
    return _BY_USE.get(kind.use, Verdict.BROKEN)
