"""Converts records of a case to rows of its database, and back."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from sqlite3 import Row
from typing import cast, get_args

from mayak.case.database import Batch
from mayak.case.records import (
    Content,
    Duplicate,
    Exclusion,
    Item,
    OutcomeName,
    StoredContent,
    StoredItem,
)
from mayak.case.values import metadata, optional_moment, row_of, texts
from mayak.files import canonical_json
from mayak.i18n import msg
from mayak.types import Failure, FileTimes


def first(batch: Batch, sql: str, *values: str | int | None) -> int | None:
    """Return the first column of the first row of a query."""
    row = batch.connection.execute(sql, values).fetchone()
    return cast(int, row[0]) if row else None


def add_content(batch: Batch, content: Content) -> None:
    """Add a content if it is not in the case."""
    if first(batch, "SELECT id FROM contents WHERE sha256 = ?", content.sha256):
        return
    thumbnail = content.thumbnail
    batch.add(
        "contents",
        sha256=content.sha256,
        md5=content.md5,
        sha1=content.sha1,
        size=content.size,
        format=content.format,
        width=content.width,
        height=content.height,
        pdq=content.pdq,
        pdq_quality=content.pdq_quality,
        metadata=canonical_json(content.metadata),
        thumbnail=None if thumbnail is None else hashlib.sha256(thumbnail).hexdigest(),
        warnings=canonical_json(content.warnings),
    )


def add_item(batch: Batch, source: int, item: Item) -> None:
    """Add an item with its outcome."""
    outcome = item.outcome
    name = {Failure: "failure", Exclusion: "exclusion"}.get(type(outcome), "content")
    number = batch.add(
        "items",
        source=source,
        display=item.display,
        location=item.location,
        size=item.size,
        created=utc(item.times.created),
        modified=utc(item.times.modified),
        accessed=utc(item.times.accessed),
        changed=utc(item.times.changed),
        zone_known=item.times.zone_known,
        deleted=item.deleted,
        outcome=name,
        content=content_of(item),
    )
    if isinstance(outcome, Failure):
        add_failure(batch, outcome, item=number)
    elif isinstance(outcome, Exclusion):
        batch.add(
            "exclusions",
            item=number,
            rule=outcome.rule,
            reason=outcome.reason,
            kind=outcome.kind,
        )


def content_of(item: Item) -> str | None:
    """Return the SHA-256 of the content that an item holds."""
    outcome = item.outcome
    return outcome.sha256 if isinstance(outcome, Content | Duplicate) else None


def is_recorded(before: StoredItem, item: Item) -> bool:
    """Whether the recorded outcome of an item is that of ``item``."""
    outcome = item.outcome
    if isinstance(outcome, Failure):
        found = before.failure
        return found is not None and (found.error, found.message, found.kind) == (
            outcome.error,
            outcome.message,
            outcome.kind,
        )
    if isinstance(outcome, Exclusion):
        return before.exclusion == outcome
    return before.content == outcome.sha256


def add_revision(batch: Batch, number: int, item: Item) -> None:
    """Add a later outcome of the item with this id."""
    outcome = item.outcome
    failed = outcome if isinstance(outcome, Failure) else None
    excluded = outcome if isinstance(outcome, Exclusion) else None
    batch.add(
        "revisions",
        item=number,
        outcome="failure" if failed else "exclusion" if excluded else "content",
        content=content_of(item),
        rule=excluded.rule if excluded else None,
        reason=excluded.reason if excluded else None,
        stage=failed.stage if failed else None,
        error=failed.error if failed else None,
        message=failed.message if failed else None,
        kind=None if isinstance(outcome, Content | Duplicate) else outcome.kind,
    )


def add_failure(batch: Batch, failure: Failure, **about: int | str) -> None:
    """Add a failure of an item or, in a run, of a content."""
    batch.add(
        "failures",
        **about,
        stage=failure.stage,
        error=failure.error,
        message=failure.message,
        kind=failure.kind,
    )


def utc(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC.

    Raises:
        ValueError: it has no time zone.
    """
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValueError(msg("{moment} has no time zone", moment=moment))
    return moment.astimezone(UTC).isoformat()


@row_of("items", "present")
def stored_item(row: Row) -> StoredItem:
    outcome = row["outcome"]
    if outcome not in get_args(OutcomeName):
        raise ValueError(f"outcome {outcome!r}")
    return StoredItem(
        id=row["id"],
        source=row["source"],
        display=row["display"],
        location=row["location"],
        size=row["size"],
        times=FileTimes(
            modified=optional_moment(row["modified"]),
            created=optional_moment(row["created"]),
            accessed=optional_moment(row["accessed"]),
            changed=optional_moment(row["changed"]),
            zone_known=None if row["zone_known"] is None else bool(row["zone_known"]),
        ),
        deleted=bool(row["deleted"]),
        outcome=outcome,
        content=row["content"],
        # The row of the outcome can be missing in a case that was changed by hand.
        failure=Failure(
            row["display"], row["stage"], row["error"], row["message"], kind=row["kind"]
        )
        if outcome == "failure" and row["error"] is not None
        else None,
        exclusion=Exclusion(row["rule"], row["reason"], row["kind"])
        if outcome == "exclusion" and row["rule"] is not None
        else None,
    )


@row_of("contents")
def stored_content(row: Row) -> StoredContent:
    if row["pdq"] is not None and len(row["pdq"]) != 32:
        raise ValueError("pdq")
    return StoredContent(
        id=row["id"],
        sha256=row["sha256"],
        md5=row["md5"],
        sha1=row["sha1"],
        size=row["size"],
        format=row["format"],
        width=row["width"],
        height=row["height"],
        pdq=row["pdq"],
        pdq_quality=row["pdq_quality"],
        metadata=metadata(row["metadata"]),
        thumbnail=row["thumbnail"],
        warnings=texts(row["warnings"]),
    )
