"""Names of recorded kinds and reasons for people, and remedies of failures."""

from __future__ import annotations

from collections.abc import Mapping

from mayak.i18n import Message, msg
from mayak.signatures import BY_NAME, EXPORT, OPEN_OR_DECRYPT
from mayak.types import OutcomeReason

REASONS: Mapping[str, Message] = {
    # Rules of exclusion.
    OutcomeReason.NOT_AN_IMAGE: msg("not an image"),
    OutcomeReason.NO_PICTURES: msg("a kind without pictures"),
    OutcomeReason.UNKNOWN: msg("of no known kind"),
    OutcomeReason.KNOWN_SAFE: msg("a kind named in --known-safe"),
    OutcomeReason.EMPTY: msg("empty file"),
    OutcomeReason.APPLE_DOUBLE: msg("metadata that macOS writes next to a file (AppleDouble)"),
    OutcomeReason.PROGRAM: msg("PostScript or metafile (not executed)"),
    OutcomeReason.CONTAINER: msg("archive or disk image (what could be listed in it follows)"),
    OutcomeReason.DOCUMENT: msg("document (its images are files of their own)"),
    OutcomeReason.TOO_SMALL: msg("smaller than the limit"),
    OutcomeReason.INCLUDE: msg("not in --include"),
    OutcomeReason.EXCLUDE: msg("in --exclude"),
    OutcomeReason.SINCE: msg("older than --since"),
    OutcomeReason.KNOWN_GOOD: msg("in a list of known-good files"),
    OutcomeReason.GAP_CLOSED: msg("gap in an archive or disk image that a later run did not find"),
    OutcomeReason.SYMBOLIC_LINK: msg("link"),
    OutcomeReason.SPECIAL_FILE: msg("device or the like"),
    OutcomeReason.DELETED_WITHOUT_CONTENT: msg("deleted, no content left"),
    OutcomeReason.NO_ENTRIES: msg("archive or disk image in which no file is listed"),
    # Failures.
    OutcomeReason.ENCRYPTED: msg("encrypted"),
    OutcomeReason.UNSUPPORTED: msg("format not supported"),
    OutcomeReason.NOT_OPENED: msg("can hold pictures, was not opened"),
    OutcomeReason.HIGH_ENTROPY: msg("of no known kind, with high entropy"),
    OutcomeReason.DAMAGED: msg("damaged"),
    OutcomeReason.UNREADABLE: msg("could not be read"),
    OutcomeReason.LIMIT_EXCEEDED: msg("beyond the limits for one file"),
    OutcomeReason.TOO_LARGE: msg("too large"),
    OutcomeReason.HASH_MISMATCH: msg("stored hash does not match"),
    OutcomeReason.CHANGED: msg("changed since it was read"),
    OutcomeReason.DECODE_ERROR: msg("could not be decoded"),
    OutcomeReason.GIVEN_UP: msg("given up after several crashes"),
    OutcomeReason.CRASHED: msg("the reader or decoder crashed"),
    OutcomeReason.TOO_SLOW: msg("reading or decoding took too long"),
    OutcomeReason.OUT_OF_MEMORY: msg("reading or decoding needed too much memory"),
    OutcomeReason.MODEL_ERROR: msg("the model failed"),
    OutcomeReason.OS_ERROR: msg("could not be read"),
}
"""By the recorded name."""


def source_kind(kind: str) -> str:
    """Return what the recorded kind of a source is called."""
    return {
        "folder": msg("folder"),
        "file": msg("single file"),
        "zip": msg("ZIP archive"),
        "tar": msg("TAR archive"),
        "archive": msg("archive"),
        "image": msg("disk image"),
    }.get(kind, kind)


def reason(name: str) -> str:
    """Return what a recorded reason is called; the recorded name if mayak does not know it."""
    return REASONS.get(name, name)


def because(name: str, recorded: str) -> str:
    """Return a reason with its recorded name and text."""
    return msg("{reason} ({name}): {recorded}", reason=reason(name), name=name, recorded=recorded)


_AGAIN = msg("run the same command again: it is tried once more")
_CONNECT = msg(
    "check that the medium is connected and may be read, then run the same command again"
)
_PERSON = msg("have a person look at it with another program, on a copy")
REMEDIES: Mapping[str, Message] = {
    OutcomeReason.ENCRYPTED: OPEN_OR_DECRYPT,
    OutcomeReason.UNSUPPORTED: msg(
        "unpack a copy with another program, and give that as a source of its own"
    ),
    OutcomeReason.NOT_OPENED: EXPORT,
    OutcomeReason.HIGH_ENTROPY: msg(
        "find out whether it is an encrypted container (of VeraCrypt, for example); if so, decrypt "
        "a copy with its password or key, and give that as a source of its own"
    ),
    OutcomeReason.DAMAGED: msg(
        "compare it with the medium; if it is whole there, take the copy again"
    ),
    OutcomeReason.LIMIT_EXCEEDED: msg("give what is inside as a source of its own"),
    OutcomeReason.HASH_MISMATCH: msg(
        "find out when it was changed; if the medium is there, take the copy again"
    ),
    OutcomeReason.CHANGED: msg("find out what changed it, and give the source as it was"),
    OutcomeReason.OUT_OF_MEMORY: msg("close other programs and run the same command again"),
    OutcomeReason.UNREADABLE: _CONNECT,
    OutcomeReason.OS_ERROR: _CONNECT,
    OutcomeReason.TOO_LARGE: _PERSON,
    OutcomeReason.DECODE_ERROR: _PERSON,
    OutcomeReason.GIVEN_UP: _PERSON,
    OutcomeReason.CRASHED: _AGAIN,
    OutcomeReason.TOO_SLOW: _AGAIN,
    OutcomeReason.MODEL_ERROR: _AGAIN,
}
"""By the recorded name of a failure. None asks to alter evidence."""


_BY_KIND = (OutcomeReason.ENCRYPTED, OutcomeReason.UNSUPPORTED, OutcomeReason.NOT_OPENED)
"""Failures whose remedy depends on the kind of the file."""


def remedy(name: str, kind: str | None = None) -> str | None:
    """Return what to do about a failure, by its recorded name and kind; None if nothing is
    known."""
    known = BY_NAME.get(kind or "")
    if known is not None and known.remedy and name in _BY_KIND:
        return known.remedy
    return REMEDIES.get(name)


def kind_name(kind: str | None) -> str:
    """Return what a recorded kind of file is called; an empty text for none."""
    if kind is None:
        return ""
    known = BY_NAME.get(kind)
    return kind if known is None else known.name
