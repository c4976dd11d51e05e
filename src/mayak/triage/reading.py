"""Reads the files of a source that may be images, and states why the others are not read."""

from __future__ import annotations

from mayak.case import Exclusion
from mayak.errors import EvidenceError
from mayak.imaging.formats import (
    is_apple_double,
    is_pdf,
    is_program,
    looks_like_image,
    named_as_image,
)
from mayak.imaging.office import needs_password
from mayak.imaging.sandbox import MAX_FILE_BYTES
from mayak.signatures import CONTAINER_LAYERS
from mayak.types import EvidenceEntry, Failure

_HEAD = 512


def read(entry: EvidenceEntry) -> bytes | Exclusion | Failure:
    """Return a file's bytes if it may be an image or contain some, or else why they are not read.

    Other files are read as far as their first 512 bytes only.
    """
    path = str(entry.path)
    try:
        with entry.open() as stream:
            head = stream.read(_HEAD)
            if not head:
                return Exclusion("empty", "0 bytes")
            if is_apple_double(head, entry.path.name):
                return Exclusion("apple-double", "AppleDouble: what a Mac keeps beside a file")
            if is_program(head):
                return Exclusion("program", "PostScript or a metafile: it would have to be run")
            if not (is_pdf(head) or looks_like_image(head, entry.path.name)):
                if needs_password(stream, head):
                    return Failure(path, "read", "Encrypted", "is a document with a password")
                return _not_an_image(entry)
            if entry.size > MAX_FILE_BYTES:
                text = f"an image of {entry.size} bytes, more than {MAX_FILE_BYTES}"
                return Failure(path, "read", "TooLarge", text)
            # In one call: joining two parts of a photo would hold up other threads.
            stream.seek(0)
            data = stream.read(entry.size)
            if more := stream.read():
                data += more
    except (EvidenceError, OSError) as error:
        return Failure(path, "read", "Unreadable", str(error.__cause__ or error))
    if len(data) < entry.size:
        text = f"{len(data)} of {entry.size} bytes could be read"
        return Failure(path, "read", "Damaged", text)
    return data


def _not_an_image(entry: EvidenceEntry) -> Exclusion | Failure:
    """What becomes of a file that begins like no image."""
    path = entry.path
    if path.kind == "file" and named_as_image(path.name):  # encrypted, overwritten or truncated
        text = "named as an image, but begins as none"
        return Failure(str(path), "decode", "Damaged", text)
    if path.kind in CONTAINER_LAYERS:
        return Exclusion("container", "what lies in it follows it")
    return Exclusion("not-an-image", "begins as no image format does")
