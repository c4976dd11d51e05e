"""The files of a case next to its database: ``case.json``, the writer's lock and the thumbnails."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from mayak.errors import CaseError, IntegrityError
from mayak.files import FileLock, LockHeldError, json_bytes, sync_folder, write_durably
from mayak.i18n import msg, system_error
from mayak.untrusted import PARSE_ERRORS, RECORD_BYTES, open_regular, read_file, read_json

FORMAT = 1
"""Version of the folder's layout; the database has its own (``user_version``)."""

DATABASE = "case.sqlite"
IDENTITY = "case.json"
_LOCK = "case.lock"
_THUMBNAILS = "thumbnails"
_WRITERS = 8
"""Thumbnails that are written at the same time."""
_THUMBNAIL_BYTES = 2**24
STORAGE_REMEDY = msg(
    "free space on its disk or correct the access rights, then run the same command again: it "
    "continues where it stopped"
)
"""What to do if the disk of a case is full or refuses."""
_NOT_REGULAR = msg("is a link or a device, not a file of its own")

_DIGEST = re.compile("[0-9a-f]{64}")
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
"""First bytes of a rollback journal, and last bytes of one that names a super-journal."""
_JOURNAL_TAIL = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """The values in ``case.json``."""

    format: int
    id: str
    name: str
    created: str
    """UTC, ISO 8601."""

    @classmethod
    def new(cls, name: str) -> Identity:
        """Make the identity of a new case."""
        return cls(FORMAT, str(uuid.uuid4()), name, datetime.now(UTC).isoformat())


def storage_error(folder: Path, error: OSError) -> CaseError:
    """Return the error for a file of the case that cannot be written."""
    return CaseError(
        msg(
            "case {folder}: cannot be written ({strerror})",
            folder=folder,
            strerror=system_error(error),
        ),
        remedy=STORAGE_REMEDY,
    )


def integrity_error(folder: Path, text: str, remedy: str = "") -> IntegrityError:
    """Return the error for a case that is not as mayak wrote it; by default, restore a copy."""
    return IntegrityError(
        msg("case {folder}: ", folder=folder) + text,
        remedy=remedy or msg("restore the case from a copy"),
    )


def require_regular(folder: Path, *, writing: bool) -> None:
    """Refuse a case folder that would make SQLite or mayak act on something outside it.

    Call this before anything in the folder is opened. Links, pipes and devices are refused. A
    second name of a file (a hard link) is refused only for writing, which would change the other
    file as well, for example an older backup of the case.

    Only the names and the end of the journal are read. To open and close ``case.sqlite`` here would
    release the locks that SQLite holds on it in this process:
    https://www.sqlite.org/howtocorrupt.html section 2.2.

    Raises:
        IntegrityError: naming the file that is refused.
        CaseError: the folder cannot be read.
    """
    journal = folder / f"{DATABASE}-journal"
    files = [IDENTITY, DATABASE, journal.name, f"{DATABASE}-wal", f"{DATABASE}-shm", _LOCK]
    try:
        for name in (*files, _THUMBNAILS):
            try:
                status = (folder / name).lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue  # not a case, or not yet
            if name == _THUMBNAILS:
                if not stat.S_ISDIR(status.st_mode):
                    raise _foreign(folder, name, msg("is not a folder"))
            elif not stat.S_ISREG(status.st_mode):
                raise _foreign(folder, name, _NOT_REGULAR)
            elif writing and name != IDENTITY and status.st_nlink > 1:
                raise _hard_linked(folder, name)
        if _names_super_journal(journal):
            raise _foreign(
                folder,
                journal.name,
                msg(
                    "makes SQLite delete a file elsewhere (it names a super-journal), and mayak "
                    "does not write such a journal"
                ),
            )
    except OSError as error:
        raise CaseError(
            msg(
                "case {folder}: cannot be read ({strerror})",
                folder=folder,
                strerror=system_error(error),
            ),
            remedy=msg("correct the access rights"),
        ) from error


def _names_super_journal(journal: Path) -> bool:
    """Whether a rollback journal ends with the name of a super-journal.

    SQLite deletes the super-journal once the journal is rolled back
    (https://www.sqlite.org/atomiccommit.html section 5). The end is the name, its length, its
    checksum (4 bytes each, big-endian) and the magic (``readSuperJournal`` in SQLite's pager.c).
    The checksum is not compared: it depends on whether the machine's ``char`` is signed. The header
    is not read: no journal of ours ends like this, hot or not, because mayak does not use
    ``ATTACH``, which alone needs super-journals.
    """
    try:
        with open_regular(journal, follow=False) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _JOURNAL_TAIL, 0))
            tail = file.read(_JOURNAL_TAIL)
    except (FileNotFoundError, NotADirectoryError):
        return False
    length = int.from_bytes(tail[:4], "big")
    return tail[8:] == _JOURNAL_MAGIC and 0 < length <= size - _JOURNAL_TAIL


def _foreign(folder: Path, name: str, text: str) -> IntegrityError:
    return integrity_error(
        folder,
        msg("{name} {text}", name=name, text=text),
        msg("do not use this folder; restore the case from a copy that you trust"),
    )


def _hard_linked(folder: Path, name: str) -> IntegrityError:
    return integrity_error(
        folder,
        msg(
            "{name} has another name elsewhere (a hard link): writing would change that file as "
            "well",
            name=name,
        ),
        msg("copy the whole case folder and use the copy"),
    )


def write_identity(folder: Path, identity: Identity) -> None:
    """Write ``case.json`` and make the folder of the thumbnails."""
    (folder / _THUMBNAILS).mkdir()
    write_durably(folder / IDENTITY, identity_text(identity))


def identity_text(identity: Identity) -> bytes:
    """Return the bytes of ``case.json``."""
    return json_bytes(asdict(identity))


def read_identity(folder: Path) -> Identity:
    """Read ``case.json``.

    Raises:
        CaseError: the folder is not a case, or of a newer version.
        IntegrityError: ``case.json`` is damaged.
    """
    try:
        values = read_json(folder / IDENTITY, RECORD_BYTES, follow=False)
        version = values["format"]
        if isinstance(version, int) and version > FORMAT:
            raise newer(folder)
        if datetime.fromisoformat(values["created"]).utcoffset() != timedelta(0):
            raise ValueError("created")
        identity = Identity(**{name: values[name] for name in Identity.__dataclass_fields__})
        if not (isinstance(identity.id, str) and isinstance(identity.name, str)):
            raise TypeError("id, name")
        identity_text(identity)  # mayak does not write what is not UTF-8
        return identity
    except OSError as error:
        raise CaseError(
            msg(
                "{folder} is not a case: {identity} cannot be read ({strerror})",
                folder=folder,
                identity=IDENTITY,
                strerror=system_error(error),
            ),
            remedy=msg("name the folder of a case"),
        ) from error
    except PARSE_ERRORS as error:
        raise integrity_error(
            folder,
            msg("{identity} is damaged ({error})", identity=IDENTITY, error=error),
            msg("restore it from a copy; the first entry of the case's log holds its id and name"),
        ) from error


def newer(folder: Path) -> CaseError:
    """Return the error for a case that a newer version of mayak wrote."""
    return CaseError(
        msg("case {folder} was written by a newer version of mayak", folder=folder),
        remedy=msg("install that version"),
    )


class WriterLock(FileLock):
    """The lock of the one process that may write a case."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            CaseError: it is taken; the message names the holder.
        """
        require_regular(folder, writing=True)  # taking the lock truncates the file
        try:
            super().__init__(folder / _LOCK)
        except LockHeldError as error:
            raise CaseError(
                msg(
                    "case {folder} is being written by another mayak (process {holder})",
                    folder=folder,
                    holder=error.holder,
                ),
                remedy=msg("wait until it has finished, or end it"),
            ) from error
        except OSError as error:
            raise storage_error(folder, error) from error


def thumbnail_path(folder: Path, digest: str) -> Path:
    """Return the path of the thumbnail with this SHA-256.

    Raises:
        ValueError: the name is not a SHA-256 and could lead out of the folder.
    """
    if not _DIGEST.fullmatch(digest):
        raise ValueError(msg("not a SHA-256: {digest!r:.80}", digest=digest))
    return folder / _THUMBNAILS / digest[:2] / f"{digest}.jpg"


def read_thumbnail(folder: Path, digest: str) -> bytes:
    """Return the bytes of a thumbnail, checked against the SHA-256 in its name.

    Raises:
        OSError: it is missing, a link, or cannot be read.
        ValueError: it is not the file that was written.
    """
    path = thumbnail_path(folder, digest)
    for parent in (path.parent.parent, path.parent):
        if not stat.S_ISDIR(parent.lstat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(parent))
    data = read_file(path, _THUMBNAIL_BYTES, follow=False)
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(msg("is another file than was written"))
    return data


def write_thumbnails(folder: Path, thumbnails: Iterable[bytes]) -> None:
    """Write thumbnails durably; existing ones are not touched.

    Raises:
        CaseError: the disk is full or refuses.
    """
    paths = {thumbnail_path(folder, hashlib.sha256(data).hexdigest()): data for data in thumbnails}
    try:
        missing = {path: data for path, data in paths.items() if not path.exists()}
        parents = {path.parent for path in missing}
        for parent in parents:
            if parent.is_symlink():
                raise _foreign(folder, f"{_THUMBNAILS}/{parent.name}", _NOT_REGULAR)
            parent.mkdir(parents=True, exist_ok=True)
        # Nearly all the time is spent waiting for the disk, which combines concurrent writes.
        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(partial(write_durably, sync_parent=False), missing, missing.values()))
            list(pool.map(sync_folder, parents | {folder / _THUMBNAILS} if parents else ()))
    except OSError as error:
        raise storage_error(folder, error) from error
