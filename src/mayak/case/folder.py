"""The files of a case beside its database: ``case.json``, the writer's lock and the thumbnails."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import uuid
import weakref
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from mayak.errors import CaseError, IntegrityError
from mayak.language import tr

FORMAT = 1
"""Version of the folder's layout; the database has its own (``user_version``)."""

DATABASE = "case.sqlite"
IDENTITY = "case.json"
_LOCK = "case.lock"
_THUMBNAILS = "thumbnails"
_WRITERS = 8
"""Thumbnails that are written at the same time."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What ``case.json`` says."""

    format: int
    id: str
    name: str
    created: str
    """UTC, ISO 8601."""

    @classmethod
    def new(cls, name: str) -> Identity:
        return cls(FORMAT, str(uuid.uuid4()), name, datetime.now(UTC).isoformat())


def storage_error(folder: Path, error: OSError) -> CaseError:
    """What to tell the user when a file of the case cannot be written."""
    return CaseError(
        tr(
            f"case {folder}: cannot be written ({error.strerror or error})",
            f"사건 {folder}: 쓸 수 없습니다 ({error.strerror or error})",
        ),
        remedy=tr(
            "free space on its disk or mend the access rights, then run the same command again: "
            "it goes on where it stopped",
            "디스크 공간을 확보하거나 접근 권한을 고친 뒤 같은 명령을 다시 실행하십시오. "
            "중단된 곳에서 이어집니다",
        ),
    )


def write_identity(folder: Path, identity: Identity) -> None:
    """Write ``case.json`` and the thumbnails' folder."""
    (folder / _THUMBNAILS).mkdir()
    write_durably(folder / IDENTITY, identity_text(identity))
    sync_folder(folder)


def identity_text(identity: Identity) -> bytes:
    """``case.json``, byte for byte."""
    return (json.dumps(asdict(identity), indent=2, ensure_ascii=False) + "\n").encode()


def read_identity(folder: Path) -> Identity:
    """What ``case.json`` says. Raises CaseError if the folder is no case or of a newer version,
    IntegrityError if ``case.json`` is damaged."""
    try:
        values = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
        version = values["format"]
        if isinstance(version, int) and version > FORMAT:
            raise newer(folder)
        datetime.fromisoformat(values["created"])
        return Identity(**{name: values[name] for name in Identity.__dataclass_fields__})
    except OSError as error:
        raise CaseError(
            tr(
                f"{folder} is not a case: {IDENTITY} cannot be read ({error.strerror or error})",
                f"{folder}은(는) 사건 폴더가 아닙니다. {IDENTITY}을(를) 읽을 수 없습니다 "
                f"({error.strerror or error})",
            ),
            remedy=tr("name the folder of a case", "사건 폴더를 지정하십시오"),
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            tr(
                f"case {folder}: {IDENTITY} is damaged ({error})",
                f"사건 {folder}: {IDENTITY}이(가) 손상되었습니다 ({error})",
            ),
            remedy=tr(
                "restore it from a copy; the first entry of the case's log holds its id and name",
                "사본에서 복원하십시오. 사건 기록의 첫 항목에 식별자와 이름이 있습니다",
            ),
        ) from error


def newer(folder: Path) -> CaseError:
    """The case was written by a later mayak."""
    return CaseError(
        tr(
            f"case {folder} was written by a newer version of mayak",
            f"사건 {folder}은(는) 더 새로운 버전의 mayak에서 작성되었습니다",
        ),
        remedy=tr("install that version", "해당 버전을 설치하십시오"),
    )


class WriterLock:
    """Held by the one process that may write a case; the system frees it when the process ends,
    however it ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock. Raises CaseError, naming the holder, if it is taken."""
        path = self.path = folder / _LOCK
        try:
            # Never deleted: a second file of the same name would be a second lock.
            self._file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
        except OSError as error:
            raise storage_error(folder, error) from error
        try:
            _lock(self._file)
        except OSError as error:
            holder = self._file.read(20).decode("ascii", "replace").strip() or "?"
            self._file.close()
            raise CaseError(
                tr(
                    f"case {folder} is being written by another mayak (process {holder})",
                    f"다른 mayak(프로세스 {holder})이(가) 사건 {folder}에 쓰고 있습니다",
                ),
                remedy=tr(
                    "wait until it has finished, or end it", "끝날 때까지 기다리거나 종료하십시오"
                ),
            ) from error
        try:
            self._file.truncate(0)
            self._file.write(f"{os.getpid()}\n".encode())
        except OSError as error:
            self._file.close()
            raise storage_error(folder, error) from error
        if hasattr(os, "register_at_fork"):
            # A forked worker that outlives a killed parent must not keep the case locked.
            file = weakref.ref(self._file)
            os.register_at_fork(after_in_child=lambda: _close(file()))

    def release(self) -> None:
        """Let the next writer in."""
        if not self._file.closed:
            self._file.truncate(0)
            self._file.close()


def _close(file: BinaryIO | None) -> None:
    if file is not None:
        file.close()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        file.seek(1 << 30)  # a byte far behind the holder's number, which stays readable
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def thumbnail_path(folder: Path, digest: str) -> Path:
    """Where the thumbnail with this SHA-256 lies."""
    return folder / _THUMBNAILS / digest[:2] / f"{digest}.jpg"


def write_thumbnails(folder: Path, thumbnails: Iterable[bytes]) -> None:
    """Put thumbnails on disk, whole and for good; those that are there stay as they are.

    Raises CaseError if the disk is full or refuses.
    """
    paths = {thumbnail_path(folder, hashlib.sha256(data).hexdigest()): data for data in thumbnails}
    try:
        missing = {path: data for path, data in paths.items() if not path.exists()}
        parents = {path.parent for path in missing}
        for parent in parents:
            parent.mkdir(parents=True, exist_ok=True)
        # Nearly all the time is waiting for the disk, which gathers what comes at the same time.
        with ThreadPoolExecutor(_WRITERS) as pool:
            list(pool.map(write_durably, missing, missing.values()))
            list(pool.map(sync_folder, parents | {folder / _THUMBNAILS} if parents else ()))
    except OSError as error:
        raise storage_error(folder, error) from error


def write_durably(path: Path, data: bytes) -> None:
    """Under its name there is the whole file or none, through a crash or a power cut."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make names that were added to a folder survive a power cut."""
    if sys.platform == "win32":  # folders cannot be opened there; NTFS journals names by itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
