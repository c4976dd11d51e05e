"""Counts of the files that triage left out as no image, by what their names state.

A report must not read as if somebody had looked into them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from mayak.i18n import join, msg

KindName = Literal["database", "cache", "mail", "video", "container", "document"]

_EXTENSION = re.compile(r"\.([0-9a-z][0-9a-z_-]{0,11})$")
_KINDS: dict[KindName, str] = {
    "database": "db db3 sqlite sqlite3 sqlitedb storedata realm ldb edb mdb accdb db-wal "
    "db-journal sqlite-wal sqlite-journal sqlitedb-wal",
    "cache": "ktx ithmb thumbdata atx imgcache cache cachedata webarchive",
    "mail": "eml emlx emlxpart mbox msg pst ost mht mhtml vcf",
    "video": "mp4 m4v mov 3gp 3g2 avi mkv webm wmv mpg mpeg m2ts mts flv vob",
    "container": "dmg img dd raw bin iso vdi vmdk qcow2 vhd vhdx ab ad1 aff aff4 ufd gz bz2 xz zst "
    "lz4 tgz cpio squashfs z01 cab egg alz lzh arj",
    "document": "doc xls ppt hwp rtf pages key numbers one",
}
"""Extensions of kinds that can hold pictures and that mayak does not look into."""
_BY_EXTENSION = {name: kind for kind, names in _KINDS.items() for name in names.split()}
_CACHES = re.compile(
    r"^(thumbs\.db|thumbcache_.*|imgcache.*|\.?thumbdata.*|data_[0-3]|f_[0-9a-f]+)$"
)
_BACKUP = ("manifest.db", "manifest.plist")
"""Files of the top folder of a backup that iTunes or Finder made of a phone."""


@dataclass(slots=True)
class LeftOut:
    """Files left out by the rule ``not-an-image``, counted by their names alone."""

    extensions: Counter[str] = field(default_factory=Counter)
    """Without the dot, in lower case; empty for names without one."""
    kinds: Counter[KindName] = field(default_factory=Counter)
    """Of those whose name states a kind that can hold pictures."""
    backups: list[str] = field(default_factory=list)
    """Folders that hold a phone's backup by the names of their files."""
    in_backups: int = 0
    """Files in these folders."""

    @property
    def files(self) -> int:
        return self.extensions.total()


def left_out(names: Callable[[], Iterator[str]]) -> LeftOut:
    """Count files by their displayed paths, which ``names`` yields anew at each call."""
    found = LeftOut()
    signs: dict[str, set[str]] = {}
    for path in names():
        folder, _, name = path.rpartition("/")
        name = re.sub(r"#[0-9]+$", "", name).lower()
        matched = _EXTENSION.search(name)
        extension = matched[1] if matched else ""
        found.extensions[extension] += 1
        kind = "cache" if _CACHES.match(name) else _BY_EXTENSION.get(extension)
        if kind is not None:
            found.kinds[kind] += 1
        if name in _BACKUP:
            signs.setdefault(folder, set()).add(name)
    found.backups = [folder for folder, seen in signs.items() if len(seen) == len(_BACKUP)]
    if found.backups:
        folders = set(found.backups)
        found.in_backups = sum(_is_within(path, folders) for path in names())
    return found


def _is_within(path: str, folders: set[str]) -> bool:
    while path:
        path = path.rpartition("/")[0]
        if path in folders:
            return True
    return False


def warning(left: LeftOut) -> str | None:
    """That files were not looked into that can hold pictures; None if no name states that."""
    if not left.kinds and not left.backups:
        return None
    said = [kinds(left)] if left.kinds else []
    if left.backups:
        said.append(msg("backups of phones") + f" {len(left.backups):,}")
    named = join("; ", said)
    return msg(
        "NOT LOOKED INTO, though by their names they can hold pictures: {named}.", named=named
    )


def kinds(left: LeftOut) -> str:
    """The kinds that can hold pictures, with their numbers."""
    return join("; ", [kind(name) + f" {count:,}" for name, count in left.kinds.most_common()])


def kind(name: KindName) -> str:
    """What files of a kind are called in a report."""
    return {
        "database": msg("databases"),
        "cache": msg("caches and stores of thumbnails"),
        "mail": msg("mail and contacts"),
        "video": msg("videos"),
        "container": msg("disk images, backups and archives"),
        "document": msg("documents"),
    }[name]


def kind_of(extension: str) -> KindName | None:
    """The kind that can hold pictures and is stated by an extension."""
    return _BY_EXTENSION.get(extension)
