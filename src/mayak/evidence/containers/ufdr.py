"""UFDR, Cellebrite's phone report: a ZIP of files sorted by kind, and ``report.xml``, which states
where on the phone each of them was.

The layout is that of reports of the namespace ``http://pa.cellebrite.com/report/2.0``, as published
by those who read them: ``project/taggedFiles/file`` has the attributes ``fs``, ``path`` and
``deleted``, ``accessInfo/timestamp`` and, with the name in the ZIP, ``metadata/item`` with the name
"Local Path".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import BinaryIO
from xml.parsers import expat

from mayak.evidence.base import Container, ContainerFile, Limits, container_gap
from mayak.evidence.streams import BUFFER
from mayak.types import (
    NO_TIMES,
    EvidenceEntry,
    EvidencePath,
    Failure,
    FileTimes,
    OutcomeReason,
)

REPORT = "report.xml"
_NAMESPACE = "http://pa.cellebrite.com/report/"
_EXTENSION = ".ufdr"
_FIRST_NAME = 30
"""Offset of the first member's name in a ZIP (APPNOTE 4.3.7)."""
_MAX_DEPTH = 200
_MAX_TEXT = 1 << 16
"""Characters of one name or path."""
_MAX_TAG = 1 << 20
"""Bytes of one tag or comment, which the parser keeps until its end."""
_LOCAL = ("Local Path",)
_TIMES: dict[str, Callable[[FileTimes, datetime], FileTimes]] = {
    "ModifyTime": lambda times, time: replace(times, modified=time),
    "CreationTime": lambda times, time: replace(times, created=time),
    "AccessTime": lambda times, time: replace(times, accessed=time),
}


class ReportError(ValueError):
    """A report that cannot be read to the end of its list of files."""


@dataclass(slots=True)
class ReportedFile:
    """What a report states of a file."""

    path: str = ""
    """On the phone, with the name of its file system first."""
    is_deleted: bool = False
    local: str = ""
    """Name in the ZIP, with ``/`` between folders; empty if the file is not in it."""
    times: FileTimes = NO_TIMES


class UfdrContainer(Container):
    """The members of a UFDR, under their paths on the phone if the report states them."""

    def __init__(self, members: Container, path: EvidencePath, limits: Limits) -> None:
        self._members = members
        self._path = path
        self._limits = limits
        # What is true of the ZIP: its pieces are its own, and members have no random access.
        self.medium, self.random_access = members.medium, members.random_access

    def covers(self, path: EvidencePath) -> bool:
        return self._members.covers(path)

    def entries(self) -> Iterator[EvidenceEntry | Failure]:
        files, fault = self._report
        if fault is not None:
            yield container_gap(self._path, OutcomeReason.DAMAGED, fault)
        # Hashes of the paths given out; the names themselves would take much more memory.
        given: set[bytes] = set()
        n_met = 0
        for position, entry in enumerate(self._members.entries(), 1):
            file = None if isinstance(entry, Failure) else files.get(entry.path.name)
            if file is None or isinstance(entry, Failure) or entry.path.serial:
                yield entry
                continue
            n_met += 1
            key = hashlib.blake2b(file.path.encode(), digest_size=8).digest()
            # The name in the ZIP is kept as the raw one: by it the member is found again.
            path = self._path.child(
                "file",
                file.path,
                entry.path.raw or entry.path.name.encode(),
                position if key in given else 0,
            )
            given.add(key)
            is_deleted = entry.is_deleted or file.is_deleted
            yield replace(entry, path=path, times=file.times, is_deleted=is_deleted)
        self.opened_with_password = self._members.opened_with_password
        if n_met < len(files):
            reason = f"its report names {len(files) - n_met} files in it that are not there"
            yield container_gap(self._path, OutcomeReason.DAMAGED, reason)

    def find(self, path: EvidencePath) -> EvidenceEntry | None:
        """Return the file at a path that ``entries`` gave, or at its name in the ZIP, under which
        cases of older versions have it."""
        return super().find(path) or self._members.find(path)

    def close(self) -> None:
        self._members.close()

    @cached_property
    def _report(self) -> tuple[dict[str, ReportedFile], str | None]:
        """The files by their names in the ZIP, and why the report cannot be read; read when first
        needed, because it may have gigabytes."""
        entry = self._members.find(self._path.child("file", REPORT))
        if entry is None:
            return {}, None
        try:
            with entry.open() as stream:
                return reported_files(stream, self._limits.members), None
        except (ReportError, OSError) as exc:
            reason = f"its report cannot be read, so its files have their names in the ZIP: {exc}"
            return {}, reason


def with_report(
    members: Container, file: ContainerFile, path: EvidencePath, limits: Limits
) -> Container:
    """Return the members of a ZIP, named by its report if it is a UFDR."""
    first = file.head[_FIRST_NAME : _FIRST_NAME + len(REPORT)]
    if file.path.name.lower().endswith(_EXTENSION) or first == REPORT.encode():
        return UfdrContainer(members, path, limits)
    return members


def reported_files(stream: BinaryIO, max_files: int) -> dict[str, ReportedFile]:
    """Return the files of a report that are in its ZIP, by their names there; none if it is another
    program's.

    Raises:
        ReportError: it is damaged, or made to do harm.
        OSError: it cannot be read.
    """
    parser = _Parser(max_files)
    while not parser.is_done and (block := stream.read(BUFFER)):
        parser.feed(block)
    if not parser.is_done:
        parser.feed(b"", is_final=True)
    return parser.files


class _Parser:
    """Reads a report as it streams. Without a DTD there are no entities that could grow or name
    other files; all that is kept is bounded."""

    def __init__(self, max_files: int) -> None:
        self.files: dict[str, ReportedFile] = {}
        self.is_done = False
        """Whether the rest is not needed: the list of files has ended, or there is none."""
        self._max_files = max_files
        self._n_fed = 0
        self._depth = 0
        self._is_in_list = False
        self._file: ReportedFile | None = None
        self._wanted = ""
        """What the text that follows is: a kind of time, or the name in the ZIP."""
        self._text: list[str] = []
        self._length = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = _refuse_dtd
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def feed(self, block: bytes, *, is_final: bool = False) -> None:
        try:
            self._parser.Parse(block, is_final)
        except expat.ExpatError as exc:
            raise ReportError(str(exc)) from exc
        self._n_fed += len(block)
        if self._n_fed - self._parser.CurrentByteIndex > _MAX_TAG:
            raise ReportError("a tag is too long")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ReportError("its elements are nested too deeply")
        if self.is_done:
            return
        if self._depth == 1:
            names = (v for key, v in attributes.items() if key.partition(":")[0] == "xmlns")
            is_report = any(value.startswith(_NAMESPACE) for value in names)
            self.is_done = not is_report
        elif name == "taggedFiles":
            self._is_in_list = True
        elif name == "file" and self._is_in_list:
            self._file = ReportedFile(
                "/".join(
                    part
                    for part in (attributes.get("fs", ""), attributes.get("path", "").lstrip("/"))
                    if part
                ),
                attributes.get("deleted", "").lower() == "deleted",
            )
            if len(self._file.path) > _MAX_TEXT:
                raise ReportError("a path is too long")
        elif self._file is not None and name in ("timestamp", "item"):
            label = attributes.get("name", "")
            if label in (_TIMES if name == "timestamp" else _LOCAL):
                self._wanted, self._text, self._length = label, [], 0

    def _characters(self, text: str) -> None:
        if self._wanted:
            self._length += len(text)
            if self._length > _MAX_TEXT:
                raise ReportError("a name is too long")
            self._text.append(text)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self.is_done:
            return
        if name == "taggedFiles":
            self.is_done = True
        elif name == "file":
            self._add()
        elif self._wanted and name in ("timestamp", "item") and self._file is not None:
            text = "".join(self._text).strip()
            if self._wanted in _LOCAL:
                self._file.local = text.replace("\\", "/")
            elif (time := _utc(text)) is not None:
                self._file.times = _TIMES[self._wanted](self._file.times, time)
            self._wanted = ""

    def _add(self) -> None:
        file, self._file = self._file, None
        if file is None or not file.local or not file.path:
            return
        if len(self.files) == self._max_files:
            raise ReportError(f"it names more than {self._max_files} files")
        self.files.setdefault(file.local, file)


def _refuse_dtd(*_: object) -> None:
    raise ReportError("it has a DTD, which no report needs")


def _utc(text: str) -> datetime | None:
    """Return a time that is stated with its offset from UTC; None for other texts."""
    try:
        time = datetime.fromisoformat(text)
        return None if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
