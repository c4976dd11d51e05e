"""Backups that iTunes or Finder made of an iPhone or iPad, encrypted ones too.

A backup is a folder: ``Manifest.plist`` states whether it is encrypted, ``Manifest.db`` lists the
files of the phone, and each of them is in ``ab/abcd…``, or in ``abcd…`` in older backups. They are
listed under the app's domain and the path on the phone; what the list does not name remains a file
of the folder. Apple documents none of this; the names are those in the backups themselves.
"""

from __future__ import annotations

import io
import plistlib
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO

from mayak.errors import EvidenceError
from mayak.evidence.base import (
    Container,
    ContainerFile,
    ContainerFormat,
    container_gap,
    decode_name,
    entry_failure,
    locked,
)
from mayak.evidence.containers.ciphers import unwrap_key
from mayak.evidence.containers.decryption import (
    BLOCK,
    cbc_stream,
    missing_package,
    padded_size,
)
from mayak.evidence.containers.ios_keybag import KeybagError, class_keys
from mayak.evidence.containers.ios_manifest import (
    LINK,
    PLIST_ERRORS,
    BackupManifest,
    BackupRow,
    FileRecord,
    canonical_id,
)
from mayak.evidence.streams import translated
from mayak.signatures import IOS_BACKUP
from mayak.types import EvidenceEntry, EvidencePath, Failure, OutcomeReason

_PLIST = IOS_BACKUP.names[0]
_MAX_PLIST = 64 << 20
"""Bytes of ``Manifest.plist``, which has a record of each app."""
_FILE = re.compile(r"(?:^|(?<=/))(?:([0-9a-f]{2})/(?=\1))?([0-9a-f]{40})$")
_SQLITE = b"SQLite format 3\0"
_VECTOR = bytes(BLOCK)
"""All files of a backup are encrypted with an initialisation vector of zeros, and a key each."""
_KIND = "an encrypted iTunes or Finder backup"


class IosBackup(Container):
    """The files of the phone, by domain and path."""

    def __init__(self, file: ContainerFile, path: EvidencePath) -> None:
        self._file = file
        self._path = path
        self._keys: dict[int, bytes] = {}
        """Of the protection classes, if it is encrypted."""
        self._manifest: BackupManifest | None = None
        self._gap: Failure | None = None
        """Why its files are not listed."""
        properties = _properties(file) or {}
        listed = file.entry_beside("Manifest.db")
        if listed is None:
            self._gap = self._without_list()
        elif not properties.get("IsEncrypted"):
            self._read_manifest(listed.open())
        else:
            self._gap = self._unlock(properties, listed)
        # Irregular lists and what is wrong with the whole are looked up in ``entries``.
        self.finds_quickly = self._manifest is not None and self._manifest.is_regular
        self.n_entries = 0 if self._manifest is None else self._manifest.n_files

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        if self._manifest is None:
            if self._gap is not None:
                yield replace(self._gap, kind=IOS_BACKUP.name)
            return
        # Names that more than one row has; the list itself is keyed by ``fileID``.
        seen: set[bytes] = set()
        for row in self._manifest.rows():
            is_again = False
            if not row.is_canonical or self._manifest.is_repeated(row.canonical_id):
                is_again = row.canonical_id in seen or (
                    not row.is_canonical and self._manifest.holds(row.canonical_id)
                )
                seen.add(row.canonical_id)
            yield self._entry(row, row.position if is_again else 0)
        if self._manifest.fault is not None:
            reason = f"cannot list files after row {len(self._manifest)}: {self._manifest.fault}"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)
        if self._manifest.n_invalid:
            reason = f"has {self._manifest.n_invalid} rows in its list that name no file"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def find(self, path: EvidencePath) -> EvidenceEntry | None:
        """Return the file at a path that ``entries`` gave, by its ``fileID`` if its name gives it:
        the list may be long."""
        name = path.name.encode("utf-8", "surrogatepass") if path.raw is None else path.raw
        domain, _, relative = name.partition(b"/")
        if self._manifest is not None and not path.serial:
            row = self._manifest.row(canonical_id(domain, relative))
            found = None if row is None else self._entry(row, 0)
            if isinstance(found, EvidenceEntry) and found.path == path:
                return found
        if self.finds_quickly:
            return None
        return super().find(path)

    def covers(self, path: EvidencePath) -> bool:
        match = _FILE.search(path.name)
        if match is None or self._manifest is None or path.serial:
            return False
        if not self._manifest.holds(bytes.fromhex(match[2])):
            return False
        # Of a file in both places, only the first is listed.
        return match[1] is not None or self._file.entry_beside(_places(match[2])[0]) is None

    def _entry(self, row: BackupRow, serial: int) -> EvidenceEntry | Failure:
        name, raw = decode_name(row.name)
        path = self._path.child("file", name, raw, serial)
        record = FileRecord(row.record)
        if row.flags == LINK:
            reason = f"is a symbolic link to {record.target!a}, which is not followed"
            return entry_failure(path, OutcomeReason.SYMBOLIC_LINK, reason)
        stored = self._stored(row.file_id)
        if stored is None:
            if record.size == 0:
                return EvidenceEntry(path, 0, io.BytesIO, record.times)
            reason = f"is listed, but its file {_places(row.file_id)[0]} is missing or unreadable"
            return entry_failure(path, OutcomeReason.DAMAGED, reason)
        entry = replace(stored, path=path, times=record.times)
        if not self._keys or record.wrapped_key is None:
            return entry
        number, wrapped = record.wrapped_key
        if number not in self._keys:
            reason = f"is encrypted for protection class {number}, of which there is no key"
            return entry_failure(path, OutcomeReason.ENCRYPTED, reason)
        key = unwrap_key(self._keys[number], wrapped)
        if key is None:
            reason = "is encrypted with a key that is damaged"
            return entry_failure(path, OutcomeReason.ENCRYPTED, reason)
        return self._decrypted(entry, key, record.size)

    def _decrypted(
        self, entry: EvidenceEntry, key: bytes, stated: int | None
    ) -> EvidenceEntry | Failure:
        if entry.size % BLOCK:
            reason = f"is cut off: its {entry.size} encrypted bytes are not whole blocks"
            return entry_failure(entry.path, OutcomeReason.DAMAGED, reason)
        size = stated
        if size is None or not 1 <= entry.size - size <= BLOCK:
            # Of files that were written during the backup, the list has another size.
            try:
                with translated(), entry.open() as packed:
                    size = padded_size(packed, key, _VECTOR)
            except EvidenceError as exc:
                return entry_failure(entry.path, OutcomeReason.UNREADABLE, exc.message)
        return replace(entry, size=size, open=partial(_opened, entry, key, size))

    def _stored(self, file_id: str) -> EvidenceEntry | None:
        for place in _places(file_id):
            if (found := self._file.entry_beside(place)) is not None:
                return found
        return None

    def _without_list(self) -> Failure:
        if self._file.entry_beside("Manifest.mbdb") is None:
            reason = "is an iTunes or Finder backup without Manifest.db, the list of its files"
            return container_gap(self._path, OutcomeReason.DAMAGED, reason)
        reason = (
            "is a backup of iOS 9 or older, whose list of files (Manifest.mbdb) is not read; files "
            "that are not encrypted are listed under the names of the backup"
        )
        return container_gap(self._path, OutcomeReason.UNSUPPORTED, reason)

    def _unlock(self, properties: dict[str, Any], listed: EvidenceEntry) -> Failure | None:
        """Open the encrypted list; return why it cannot be opened."""
        passwords = self._file.choices.passwords
        keybag = properties.get("BackupKeyBag")
        if not passwords:
            return locked(self._path, _KIND, self._file.choices)
        if (missing := missing_package(self._path, _KIND)) is not None:
            return missing
        if not isinstance(keybag, bytes):
            return self._encrypted("has no keybag in Manifest.plist")
        try:
            keys = class_keys(keybag, passwords)
        except KeybagError as exc:
            return self._encrypted(f"has a damaged keybag: {exc}")
        if keys is None:
            return locked(self._path, _KIND, self._file.choices)
        self._keys = keys
        self.opened_with_password = True
        with listed.open() as stream:
            is_plain = stream.read(len(_SQLITE)) == _SQLITE
        if is_plain:  # before iOS 10.2 the list itself was not encrypted
            self._read_manifest(listed.open())
            return None
        wrapped = properties.get("ManifestKey")
        if not isinstance(wrapped, bytes) or len(wrapped) < 4:
            return self._encrypted("has no ManifestKey in Manifest.plist")
        number = int.from_bytes(wrapped[:4], "little")
        key = unwrap_key(keys[number], wrapped[4:]) if number in keys else None
        if key is None:
            return self._encrypted("has a ManifestKey that does not fit its keybag")
        self._read_manifest(cbc_stream(listed.open(), key, _VECTOR, listed.size))
        return None

    def _encrypted(self, reason: str) -> Failure:
        return container_gap(self._path, OutcomeReason.ENCRYPTED, f"is {_KIND} that {reason}")

    def _read_manifest(self, data: BinaryIO) -> None:
        with data:
            log = self._file.entry_beside("Manifest.db-wal")
            if log is None or not log.size:
                self._manifest = BackupManifest(data, None, self._path)
            else:
                with log.open() as stream:
                    self._manifest = BackupManifest(data, stream, self._path)


def _places(file_id: str) -> tuple[str, str]:
    """Return where a backup may keep a file: since iOS 10, and before."""
    return f"{file_id[:2]}/{file_id}", file_id


def _opened(entry: EvidenceEntry, key: bytes, size: int) -> BinaryIO:
    with translated():
        return cbc_stream(entry.open(), key, _VECTOR, size)


def _properties(file: ContainerFile) -> dict[str, Any] | None:
    """Return what ``Manifest.plist`` states, None if it is not that of a backup."""
    with translated(), file.stream() as stream:
        data = stream.read(_MAX_PLIST + 1)
    if len(data) > _MAX_PLIST:
        return None
    try:
        found = plistlib.loads(data)
    except PLIST_ERRORS:
        return None
    is_backup = isinstance(found, dict) and ("IsEncrypted" in found or "BackupKeyBag" in found)
    return found if is_backup else None


def _first_file(name: str) -> str | None:
    match = _FILE.search(name)
    return None if match is None else name[: match.start()] + _PLIST


FORMAT = ContainerFormat(
    (IOS_BACKUP,),
    lambda file, path, _: IosBackup(file, path),
    holds_files=lambda _, file: _properties(file) is not None,
    first_file=_first_file,
    lists_its_files=True,
)
