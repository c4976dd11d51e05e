"""Listing of the raw folder: every entry is to be examined, or rejected with a reason."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mayak.errors import ManifestError
from mayak.i18n import Message, msg, system_error
from mayak.labels import LABELS
from mayak.names import storable

Reason = Literal[
    "empty",
    "damaged",
    "bomb",
    "codec-missing",
    "too-large",
    "unreadable",
    "crashed",
    "name",
    "link",
    "special",
    "outside",
    "system-file",
    "not-an-image",
    "disagreement",
    "augmented",
    "augmented-orphan",
]
REASONS: Mapping[Reason, Message] = {
    "empty": msg("empty files"),
    "damaged": msg("damaged images"),
    "bomb": msg("too many pixels, possibly decompression bombs"),
    "codec-missing": msg("codec not installed (pip install 'mayak[heic]')"),
    "too-large": msg("files larger than 1 GiB"),
    "unreadable": msg("cannot be read (check permissions and the disk)"),
    "crashed": msg("crashed the decoder"),
    "name": msg("names that are not UTF-8 (rename them)"),
    "link": msg("symbolic links, not followed"),
    "special": msg("pipes, sockets or devices"),
    "outside": msg("outside the four class folders"),
    "system-file": msg("files of operating systems"),
    "not-an-image": msg("no images"),
    "disagreement": msg("reviewers differ"),
    "augmented": msg("augmented copies (_aug_N) of images that are there too"),
    "augmented-orphan": msg(
        "named as augmented copies (_aug_N), without their original (rename what is not a copy)"
    ),
}
"""What the reasons are called, in the order in which they are shown."""

HARMLESS: frozenset[Reason] = frozenset(
    {"link", "special", "outside", "system-file", "not-an-image", "disagreement", "augmented"}
)
"""Reasons that lose no image: files that are not images, and those left out by rule."""

_SYSTEM_FILES = {
    ".ds_store",
    ".localized",
    ".nomedia",
    "desktop.ini",
    "ehthumbs.db",
    "folder.htt",
    "thumbs.db",
}

_AUGMENTED = re.compile(r"(.+?)(?:_aug_?\d+)+(?: - (?:copy|복사본))?(?: \(\d+\))?", re.IGNORECASE)
"""Stem of an augmented copy: ``x_aug_1`` (the original's ``preprocess.py``), ``x_aug1`` (ours),
also with what file managers append to a copy."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file to examine: ``name`` is its path below the raw folder, POSIX, as on disk."""

    name: str
    path: Path
    label: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that is not used; ``error`` is the finding."""

    name: str
    reason: Reason
    error: str
    sha256: str | None = None


def is_system_file(name: str) -> bool:
    """Return whether operating systems create files of this name in folders of pictures."""
    base = name.rpartition("/")[2].lower()
    return base in _SYSTEM_FILES or base.startswith("._")


def order(name: str) -> bytes:
    """Return the sort key of a path: the same order on every system and in every locale."""
    return name.encode("utf-8", errors="surrogatepass")


def collect(raw: Path, *, all_classes: bool) -> tuple[list[RawFile], list[Rejected]]:
    """Return every file below ``raw``, to be examined or rejected, each list in order of name.

    Only ``raw`` itself and the four class folders may be links: these are the user's arrangement,
    deeper links are content.

    Raises:
        ManifestError: ``raw`` or, with ``all_classes``, a class folder is missing.
    """
    if not raw.is_dir():
        raise ManifestError(
            msg("the raw folder {raw} does not exist", raw=raw),
            remedy=_wanted(),
        )
    folders = {label.folder: label.index for label in LABELS}
    try:
        top = _entries(raw)
    except OSError as error:
        raise ManifestError(
            msg("{raw} cannot be listed: {error}", raw=raw, error=error),
            remedy=msg("give yourself the right to read it"),
        ) from error
    present = {name for name in folders if (raw / name).is_dir()}
    missing = [name for name in folders if name not in present]
    others = sorted(storable(entry.name) for entry in top if entry.name not in present)
    if not present or (missing and all_classes):
        found = ", ".join(others[:10]) or msg("nothing else")
        raise ManifestError(
            msg(
                "{raw} lacks {missing} (it also holds: {found})",
                raw=raw,
                missing=", ".join(missing),
                found=found,
            ),
            remedy=_wanted(),
        )
    files: list[RawFile] = []
    rejected: list[Rejected] = []
    for entry in top:
        label = folders.get(entry.name) if entry.name in present else None
        if label is not None:
            _walk(Path(entry.path), entry.name, label, files, rejected)
        elif entry.is_symlink():
            rejected.append(_link(entry.name))
        elif entry.is_dir():
            _walk(Path(entry.path), entry.name, None, files, rejected)
        else:
            rejected.append(_outside(entry.name))
    files, augmented = _set_apart(files)
    rejected += augmented
    files.sort(key=lambda file: order(file.name))
    rejected.sort(key=lambda item: order(item.name))
    return files, rejected


def _wanted() -> str:
    names = ", ".join(label.folder for label in LABELS)
    return msg("put the images of each class into one of {names}", names=names)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def _walk(
    folder: Path, name: str, label: int | None, files: list[RawFile], rejected: list[Rejected]
) -> None:
    pending = [(folder, name)]
    while pending:
        here, prefix = pending.pop()
        try:
            entries = _entries(here)
        except OSError as error:
            text = msg("the folder cannot be listed: {error}", error=system_error(error))
            rejected.append(Rejected(prefix + "/", "unreadable", text))
            continue
        for entry in entries:
            path = f"{prefix}/{entry.name}"
            if entry.is_symlink():
                rejected.append(_link(path))
            elif entry.is_dir():
                pending.append((Path(entry.path), path))
            elif label is None:
                rejected.append(_outside(path))
            elif not entry.is_file():
                rejected.append(Rejected(path, "special", msg("a pipe, socket or device")))
            elif storable(path) != path:
                text = msg("the name is not valid UTF-8, so no manifest can hold it")
                rejected.append(Rejected(path, "name", text))
            else:
                files.append(RawFile(path, Path(entry.path), label))


def _set_apart(files: list[RawFile]) -> tuple[list[RawFile], list[Rejected]]:
    """Separate augmented copies, which are recognised by their names. As originals, copies of one
    picture would be in train and test, because PDQ does not recognise a rotated or cropped picture.

    A copy whose original is not next to it is left out too. Its original may be in the data under
    another name; but the name may also be an original's own, so it counts as a lost image.
    """
    copies = {
        file.name: copy[1]
        for file in files
        if not is_system_file(file.name) and (copy := _AUGMENTED.fullmatch(file.path.stem))
    }
    originals = {
        (file.path.parent, file.path.stem): file.name for file in files if file.name not in copies
    }
    rejected = []
    for file in files:
        if (stem := copies.get(file.name)) is None:
            continue
        original = originals.get((file.path.parent, stem))
        if original is not None:
            text = msg("an augmented copy of {original}, by its name", original=original)
            rejected.append(Rejected(file.name, "augmented", text))
        else:
            text = msg("named as an augmented copy, and no {stem} is next to it", stem=stem)
            rejected.append(Rejected(file.name, "augmented-orphan", text))
    return [file for file in files if file.name not in copies], rejected


def _link(name: str) -> Rejected:
    return Rejected(name, "link", msg("a symbolic link, not followed"))


def _outside(name: str) -> Rejected:
    if is_system_file(name):
        return Rejected(name, "system-file", msg("left by an operating system"))
    return Rejected(name, "outside", msg("not in one of the four class folders"))
