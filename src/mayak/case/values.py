"""Checks the values of a case's rows as they are read, and turns damage into an error.

SQLite does not check types, ``NOT NULL`` and ``CHECK`` of existing rows, and a file can be changed
by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache, wraps
from pathlib import Path
from sqlite3 import Row
from types import NoneType
from typing import Any, TypeVar

from mayak.case import schema
from mayak.case.records import TABLES
from mayak.errors import IntegrityError, MayakError
from mayak.i18n import Message, message_of, msg
from mayak.labels import LABELS
from mayak.names import printable, storable
from mayak.untrusted import PARSE_ERRORS, parse_json

Value = TypeVar("Value")

MAX_ID = 2**31
"""Ids are below it: the columns of ``ContentIndex`` have 32 bits."""

_TYPES: dict[str, tuple[type, ...]] = {
    "INTEGER": (int,),
    "REAL": (float,),
    "TEXT": (str,),
    "BLOB": (bytes,),
}
_MAX_FLOAT = sys.float_info.max
VERDICTS = frozenset(label.index for label in LABELS)


@contextmanager
def checked(folder: Path | None, what: str) -> Iterator[None]:
    """Translate the error of a value that mayak never writes.

    Raises:
        IntegrityError: naming what was read, and ``folder`` if it is known.
    """
    try:
        yield
    except MayakError:
        raise
    except PARSE_ERRORS as error:
        raise damaged(folder, what, error) from error


def row_name(table: str, number: int) -> str:
    """Return what messages call a row of a table."""
    return TABLES[table] + f" id {number}"


def damaged(folder: Path | None, what: str, error: Exception) -> IntegrityError:
    """Return the error for values that mayak never writes."""
    case = msg("the case") if folder is None else msg("case {folder}", folder=folder)
    reason = f"{type(error).__name__}: " + message_of(error)
    if not isinstance(reason, Message):
        reason = printable(reason[:200])
    return IntegrityError(
        msg(
            "{place}: {what} cannot be read as what mayak writes ({reason})",
            place=case,
            what=what,
            reason=reason,
        ),
        remedy=msg(
            "mayak verify lists what was changed: restore the case from a copy. If it finds "
            "nothing, this is a bug in mayak"
        ),
    )


def row_of(
    table: str, view: str | None = None
) -> Callable[[Callable[[Row], Value]], Callable[[Row], Value]]:
    """Decorate a function that parses a row of a table, or of a view of it.

    The columns of the table or view must be the first of the row. Their types are checked before
    the function is called.

    Raises:
        IntegrityError: the row cannot be parsed; the message names it.
    """

    def decorate(parse: Callable[[Row], Value]) -> Callable[[Row], Value]:
        @wraps(parse)
        def parsed(row: Row) -> Value:
            try:
                _require_types(row, *_declared(table, view))
                return parse(row)
            except PARSE_ERRORS as error:
                raise damaged(None, row_name(table, row["id"]), error) from error

        return parsed

    return decorate


def moment(text: str | None) -> datetime:
    """Parse a time that ``utc`` wrote.

    Raises:
        ValueError: it is not a time in UTC.
    """
    found = datetime.fromisoformat(text) if isinstance(text, str) else None
    if found is None or found.utcoffset() != timedelta(0):
        raise ValueError(msg("not a time in UTC: {text!r:.80}", text=text))
    return found


def optional_moment(text: str | None) -> datetime | None:
    """Parse a time like ``moment``; None for none."""
    return None if text is None else moment(text)


def json_object(text: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: it is something else.
    """
    found: dict[str, Any] = _json(text, dict)
    return found


def texts(text: str) -> tuple[str, ...]:
    """Parse a JSON list of texts.

    Raises:
        ValueError: it is something else.
    """
    found: list[Any] = _json(text, list)
    if not all(isinstance(one, str) for one in found):
        raise ValueError(msg("not a list of texts: {text!r:.80}", text=text))
    return tuple(found)


def metadata(text: str) -> dict[str, Any]:
    """Parse the metadata of a content.

    Raises:
        ValueError: they are not a JSON object, or the position in them is not one.
    """
    if text == "{}":
        return {}
    found = json_object(text)
    if (location := found.get("location")) is not None:
        for key, maximum in (("latitude", 90.0), ("longitude", 180.0)):
            if not _is_number(location[key], maximum):
                raise ValueError(f"{key} {location[key]!r}")
        altitude = location.get("altitude")
        if altitude is not None and not _is_number(altitude, _MAX_FLOAT):
            raise ValueError(f"altitude {altitude!r}")
    return found


def verdict(value: int | None) -> int | None:
    """Check that a verdict is a label, or None for a withdrawn decision.

    Raises:
        ValueError: it is something else.
    """
    if value is not None and value not in VERDICTS:
        raise ValueError(f"verdict {value!r}")
    return value


def _json(text: str, kind: type) -> Any:  # noqa: ANN401 - a value of that kind
    found = parse_json(text)
    if not isinstance(found, kind):
        raise ValueError(msg("not a JSON {kind}: {text!r:.80}", kind=kind.__name__, text=text))
    return _storable(found) if "\\ud" in text.lower() else found


def _storable(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value without unpaired surrogates, which no terminal, page or file accepts."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {storable(key): _storable(one) for key, one in value.items()}
    return value


def _is_number(value: object, maximum: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= maximum


def _require_types(row: Row, names: tuple[str, ...], types: tuple[tuple[type, ...], ...]) -> None:
    if not all(map(isinstance, row, types)):
        columns = zip(names, types, row, strict=False)
        wrong = next(name for name, allowed, value in columns if not isinstance(value, allowed))
        raise ValueError(f"{wrong}: {type(row[wrong]).__name__}")
    if not 0 < row["id"] < MAX_ID:
        raise ValueError(f"id {row['id']}")


@cache
def _declared(table: str, view: str | None) -> tuple[tuple[str, ...], tuple[tuple[type, ...], ...]]:
    """Names and allowed types of the columns of a table or of a view of it; further columns of a
    view are optional text."""
    own = {column[0]: column for column in schema.columns(table)}
    shown = schema.columns(view or table)
    found = [own.get(name, (name, "TEXT", True)) for name, _, _ in shown]
    types = [(*_TYPES[kind], NoneType) if optional else _TYPES[kind] for _, kind, optional in found]
    return tuple(name for name, _, _ in found), tuple(types)
