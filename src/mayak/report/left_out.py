"""Counts the files that triage left out as not an image, by the kind that their names suggest.

Nobody has looked into these files, and a report must state that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from mayak.i18n import join, msg
from mayak.signatures import KINDS, Family

KindName = Literal["database", "cache", "mail", "video", "container", "document"]

_EXTENSION = re.compile(r"\.([0-9a-z][0-9a-z_-]{0,11})$")
_FAMILIES: dict[Family, KindName] = {
    "database": "database",
    "cache": "cache",
    "mail": "mail",
    "video": "video",
    "archive": "container",
    "compressed file": "container",
    "disk image": "container",
    "file system": "container",
    "document": "document",
}
"""Families of kinds that can contain pictures."""
_BY_EXTENSION = {
    extension.removeprefix("."): _FAMILIES[kind.family]
    for kind in KINDS
    if kind.family in _FAMILIES
    for extension in kind.extensions
}
_CACHES = re.compile(
    r"^(thumbs\.db|thumbcache_.*|imgcache.*|\.?thumbdata.*|data_[0-3]|f_[0-9a-f]+)$"
)
_BACKUP = ("manifest.db", "manifest.plist")
"""Files in the top folder of a phone backup made by iTunes or Finder."""


@dataclass(slots=True)
class LeftOut:
    """Files left out by the rule ``not-an-image``, counted by their names only."""

    extensions: Counter[str] = field(default_factory=Counter)
    """Without the dot, in lower case; empty for names without one."""
    kinds: Counter[KindName] = field(default_factory=Counter)
    """Files whose name suggests a kind that can contain pictures."""
    backups: list[str] = field(default_factory=list)
    """Folders that are a phone backup, by the names of their files."""
    in_backups: int = 0
    """Files in these folders."""

    @property
    def files(self) -> int:
        return self.extensions.total()


def left_out(names: Callable[[], Iterator[str]]) -> LeftOut:
    """Count files by their displayed paths. ``names`` is called twice at most."""
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
    """Return a warning about files that can contain pictures and were not opened, or None."""
    if not left.kinds and not left.backups:
        return None
    parts = [kinds(left)] if left.kinds else []
    if left.backups:
        parts.append(msg("backups of phones") + f" {len(left.backups):,}")
    named = join("; ", parts)
    return msg(
        "NOT OPENED: files whose names suggest that they can contain pictures: {named}.",
        named=named,
    )


def kinds(left: LeftOut) -> str:
    """Return the kinds that can contain pictures, with their numbers."""
    return join("; ", [kind(name) + f" {count:,}" for name, count in left.kinds.most_common()])


def kind(name: KindName) -> str:
    """Return the name of a kind in a report."""
    return {
        "database": msg("databases"),
        "cache": msg("caches and stores of thumbnails"),
        "mail": msg("mail and contacts"),
        "video": msg("videos"),
        "container": msg("disk images, backups and archives"),
        "document": msg("documents"),
    }[name]


def kind_of(extension: str) -> KindName | None:
    """Return the kind of an extension, if it can contain pictures."""
    return _BY_EXTENSION.get(extension)
