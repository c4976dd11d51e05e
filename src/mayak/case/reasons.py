"""Names and remedies for the recorded reasons of excluded files and failures."""

from __future__ import annotations

from collections.abc import Mapping

from mayak.i18n import Message, msg

REASONS: Mapping[str, Message] = {
    # Rules of exclusion.
    "not-an-image": msg("not an image"),
    "empty": msg("empty file"),
    "apple-double": msg("metadata that macOS writes next to a file (AppleDouble)"),
    "program": msg("PostScript or metafile (not executed)"),
    "container": msg("archive or disk image (what could be listed in it follows)"),
    "document": msg("document (its images are files of their own)"),
    "too-small": msg("smaller than the limit"),
    "include": msg("not in --include"),
    "exclude": msg("in --exclude"),
    "since": msg("older than --since"),
    "known-good": msg("in a list of known-good files"),
    "SymbolicLink": msg("link"),
    "SpecialFile": msg("device or the like"),
    "DeletedWithoutContent": msg("deleted, no content left"),
    "NoEntries": msg("archive or disk image in which no file is listed"),
    # Failures.
    "Encrypted": msg("encrypted"),
    "Unsupported": msg("format not supported"),
    "Damaged": msg("damaged"),
    "Unreadable": msg("could not be read"),
    "LimitExceeded": msg("beyond the limits for one file"),
    "TooLarge": msg("too large"),
    "HashMismatch": msg("stored hash does not match"),
    "Changed": msg("changed since it was read"),
    "DecodeError": msg("could not be decoded"),
    "GivenUp": msg("given up after several crashes"),
    "crashed": msg("the decoder crashed"),
    "too-slow": msg("decoding took too long"),
    "out-of-memory": msg("decoding needed too much memory"),
    "ModelError": msg("the model failed"),
    "OSError": msg("could not be read"),
}
"""By the recorded name."""


def reason(name: str) -> str:
    """Return what a recorded reason is called; the recorded name if mayak does not know it."""
    return REASONS.get(name, name)


_AGAIN = msg("run the same command again: it is tried once more")
_CONNECT = msg(
    "check that the medium is connected and may be read, then run the same command again"
)
_PERSON = msg("have a person look at it with another program, on a copy")
REMEDIES: Mapping[str, Message] = {
    "Encrypted": msg(
        "decrypt a copy with its password or key, and give that as a source of its own"
    ),
    "Unsupported": msg("unpack a copy with another program, and give that as a source of its own"),
    "Damaged": msg("compare it with the medium; if it is whole there, take the copy again"),
    "LimitExceeded": msg("give what is inside as a source of its own"),
    "HashMismatch": msg(
        "find out when it was changed; if the medium is there, take the copy again"
    ),
    "Changed": msg("find out what changed it, and give the source as it was"),
    "out-of-memory": msg("close other programs and run the same command again"),
    "Unreadable": _CONNECT,
    "OSError": _CONNECT,
    "TooLarge": _PERSON,
    "DecodeError": _PERSON,
    "GivenUp": _PERSON,
    "crashed": _AGAIN,
    "too-slow": _AGAIN,
    "ModelError": _AGAIN,
}
"""By the recorded name of a failure. None asks to alter evidence."""


def remedy(name: str) -> Message | None:
    """Return what to do about a failure; None if nothing is known."""
    return REMEDIES.get(name)
