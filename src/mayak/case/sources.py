"""``Sources``: the sources of a case, where they are, and what identifies them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import PurePosixPath, PureWindowsPath
from sqlite3 import Row

from mayak.case.database import Database
from mayak.case.records import SourceHash, StoredSource
from mayak.case.rows import utc
from mayak.case.values import moment, row_of
from mayak.errors import CaseError
from mayak.i18n import msg
from mayak.names import storable
from mayak.types import EvidencePath


class Sources:
    """Sources of a case, the hashes of their readings, and their paths."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_source(self, path: str, kind: str) -> int:
        """Add a source if none is at this path now; return its id."""
        with self._database.batch("add source", path=storable(path), kind=kind) as batch:
            found = self._at(path)
            return found or batch.add("sources", path=path, kind=kind)

    def add_source_hash(self, source: int, reading: SourceHash) -> None:
        """Record one reading of a whole source."""
        with self._database.batch("hash source", source=source) as batch:
            batch.add(
                "source_hashes",
                source=source,
                **{**asdict(reading), "began": utc(reading.began), "ended": utc(reading.ended)},
            )

    def add_source_identity(self, source: int, sha256: str) -> None:
        """Record what identifies a source (``StoredSource.identity``), if that is new."""
        with self._database.batch("identify source", source=source) as batch:
            if next(s for s in self.sources() if s.id == source).identity != sha256:
                batch.add("source_identities", source=source, sha256=sha256)

    def relocate(self, source: int, path: str, compared: Mapping[str, object]) -> None:
        """Record that a source is at another path now; ``compared`` states how, for the log.

        Raises:
            CaseError: another source of the case is there.
        """
        before = next(s.path for s in self.sources() if s.id == source)
        with self._database.batch(
            "relocate source", source=source, old=before, new=storable(path), compared=compared
        ) as batch:
            if (other := self._at(path)) is not None:
                raise CaseError(
                    msg("source {other} of the case is at {path}", other=other, path=path),
                    remedy=msg("name another path"),
                )
            batch.add("relocations", source=source, path=path)

    def sources(self) -> list[StoredSource]:
        """Return all sources, in the order they were added."""
        query = self._database.query
        hashes: dict[int, list[SourceHash]] = defaultdict(list)
        for row in query("SELECT * FROM source_hashes ORDER BY id"):
            hashes[row["source"]].append(_source_hash(row))
        later: dict[int, list[str]] = defaultdict(list)
        for row in query("SELECT * FROM relocations ORDER BY id"):
            later[row["source"]].append(_path(row))
        identities = {
            row["source"]: _identity(row)
            for row in query("SELECT * FROM source_identities ORDER BY id")
        }
        sources = []
        for row in query("SELECT * FROM sources ORDER BY id"):
            source = _source(row)
            *former, path = source.path, *later[source.id]
            sources.append(
                replace(
                    source,
                    path=path,
                    former_paths=tuple(former),
                    hashes=tuple(hashes[source.id]),
                    identity=identities.get(source.id),
                    root=self._root(source, is_relocated=bool(former)),
                )
            )
        return sources

    def _at(self, path: str) -> int | None:
        return next((s.id for s in self.sources() if s.path == storable(path)), None)

    def _root(self, source: StoredSource, *, is_relocated: bool) -> EvidencePath | None:
        # The location of a file is a list, that of a gap an object.
        rows = self._database.query(
            "SELECT location FROM items WHERE source = ? AND location >= '[' AND location < '{'"
            " LIMIT 1",
            source.id,
        )
        with suppress(ValueError):  # changed by hand: verify names it
            if rows:
                return EvidencePath.from_json(rows[0]["location"]).layers[0]
        if not is_relocated:
            return None
        of_windows = re.match(r"[A-Za-z]:|\\\\", source.path)
        path = PureWindowsPath(source.path) if of_windows else PurePosixPath(source.path)
        return EvidencePath("file", path.name or source.path)


@row_of("sources")
def _source(row: Row) -> StoredSource:
    return StoredSource(row["id"], row["path"], row["kind"], ())


@row_of("relocations")
def _path(row: Row) -> str:
    return str(row["path"])


@row_of("source_identities")
def _identity(row: Row) -> str:
    return str(row["sha256"])


@row_of("source_hashes")
def _source_hash(row: Row) -> SourceHash:
    return SourceHash(
        md5=row["md5"],
        sha256=row["sha256"],
        size=row["size"],
        began=moment(row["began"]),
        ended=moment(row["ended"]),
        stored_hash=row["stored_hash"],
        matches=None if row["matches"] is None else bool(row["matches"]),
        accepted_damaged=bool(row["accepted_damaged"]),
    )
