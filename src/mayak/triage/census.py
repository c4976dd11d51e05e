"""What becomes of a file that is not an image: left out or not read, with its kind and a remedy."""

from __future__ import annotations

from typing import BinaryIO

from mayak.case import Exclusion
from mayak.case.reasons import remedy
from mayak.case.records import BEGINS
from mayak.evidence import looks_random
from mayak.imaging.formats import named_as_image
from mayak.signatures import CONTAINER_LAYERS, FAR_HEAD, HEAD, FileKind, Use
from mayak.signatures.census import MIN_RANDOM, NO_TEXT, Verdict, classify
from mayak.signatures.texts import LONGEST_BEGINNING, begins_picture
from mayak.types import EvidenceEntry, Failure, OutcomeReason

_CHUNK = 1 << 20
_MAX_SEARCHED = 64 << 20
"""Bytes of a text or list in which the beginnings of pictures are looked for."""
_OVERLAP = LONGEST_BEGINNING - 1
_NOT_READ = {
    Verdict.ENCRYPTED: (OutcomeReason.ENCRYPTED, "{what}, which is not read"),
    Verdict.NOT_READ: (OutcomeReason.UNSUPPORTED, "{what}, which is not read"),
    Verdict.NOT_OPENED: (
        OutcomeReason.NOT_OPENED,
        "{what}, which can hold pictures and is not opened",
    ),
    Verdict.BROKEN: (OutcomeReason.DAMAGED, "{what}, but nothing in it can be listed"),
}


def without_image(entry: EvidenceEntry, stream: BinaryIO) -> Exclusion | Failure:
    """Return the outcome of a file that does not begin like an image.

    Reads its first bytes, and more of it only if it is a text or a list, or unknown and large.
    Raises what reading raises.
    """
    path = entry.path
    # 1. A container that the walk has entered.
    if path.kind in CONTAINER_LAYERS:
        return Exclusion(OutcomeReason.CONTAINER, "its files are listed next", entry.kind or None)
    # 2. What can hold pictures.
    head = b""
    if entry.kind not in NO_TEXT:
        stream.seek(0)
        head = stream.read(FAR_HEAD if entry.kind is None else HEAD)
    found = classify(head, path.name, entry.size, entry.kind)
    kind = found.kind
    is_open = found.is_by_name and found.verdict is not Verdict.ENCRYPTED
    if is_open and _is_random(entry, stream):  # encrypted data is often called a disk image
        return _high_entropy(entry)
    if kind is not None and found.verdict in _NOT_READ:
        reason, text = _NOT_READ[found.verdict]
        what = f"is named as {kind.name}" if found.is_by_name else f"is {kind.described!s}"
        text = f"{text.format(what=what)}: {remedy(reason, kind.name)!s}"
        return _failure(entry, kind, reason, text)
    # 3. A picture that was encrypted, overwritten or cut off.
    if path.kind == "file" and named_as_image(path.name):
        text = "named as an image, but does not begin like any known image format"
        return _failure(entry, kind, OutcomeReason.DAMAGED, text)
    # 4. The rest holds no picture, or none that begins in it.
    if kind is None:
        return _unknown(entry, stream, head)
    if kind.use is Use.SEARCHED and (where := _begins_in(stream, head)):
        return _failure(entry, kind, OutcomeReason.NOT_OPENED, f"is {kind.described!s}; {where}")
    if kind.family == "text" and begins_picture(head, is_text=True):
        return _failure(entry, kind, OutcomeReason.NOT_OPENED, f"is {kind.described!s}; {_BEGINS}")
    inside = "; what it unpacks to holds no pictures" if kind.family == "compressed file" else ""
    return Exclusion(OutcomeReason.NO_PICTURES, f"is {kind.described!s}{inside}", str(kind.name))


_BEGINS = "a picture begins in it, which is not taken out"


def _unknown(entry: EvidenceEntry, stream: BinaryIO, head: bytes) -> Exclusion | Failure:
    if begins_picture(head):
        text = f"is of no known kind; {_BEGINS}"
        return _failure(entry, None, OutcomeReason.NOT_OPENED, text)

    if _is_random(entry, stream):
        return _high_entropy(entry)
    return Exclusion(OutcomeReason.UNKNOWN, BEGINS + head[:4].hex(" "))


def _is_random(entry: EvidenceEntry, stream: BinaryIO) -> bool:
    def read_at(offset: int, size: int) -> bytes:
        stream.seek(offset)
        return stream.read(size)

    return entry.size >= MIN_RANDOM and looks_random(read_at, entry.size)


def _high_entropy(entry: EvidenceEntry) -> Failure:
    text = "is of no known kind, and its bytes look random, as those of encrypted data do"
    return _failure(entry, None, OutcomeReason.HIGH_ENTROPY, text)


def _begins_in(stream: BinaryIO, head: bytes) -> str | None:
    """Return what is recorded of a text or list in which a picture begins, or may begin."""
    stream.seek(len(head))
    n_read, block = len(head), head
    while block:
        if begins_picture(block):
            return _BEGINS
        if n_read >= _MAX_SEARCHED:
            return f"only its first {n_read} bytes were searched for pictures"
        more = stream.read(_CHUNK)
        n_read += len(more)
        block = block[-_OVERLAP:] + more if more else b""
    return None


def _failure(
    entry: EvidenceEntry, kind: FileKind | None, reason: OutcomeReason, text: str
) -> Failure:
    name = None if kind is None else str(kind.name)
    return Failure(str(entry.path), "read", reason, text, kind=name)
