"""Bounded reading and parsing of files that somebody else may have made or changed.

A caller handles two kinds of exceptions: OSError if such a file cannot be read, and
``PARSE_ERRORS`` if its content is not what it should be.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from mayak.i18n import msg

PARSE_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""What Python raises for a value of an unexpected form: damaged text or JSON, a wrong type, a
missing key, a number out of range, lists that are nested too deeply."""

DOCUMENT_BYTES = 2**30
"""Limit for JSON that may describe a million images."""
RECORD_BYTES = 2**24
"""Limit for JSON that describes one thing: a case, a run, an adapter."""

_DEPTH = 64
"""Levels of lists and objects; no file that mayak, PEFT or transformers write has ten."""


def open_regular(path: Path, *, follow: bool) -> BinaryIO:
    """Open a regular file for reading; ``follow`` allows a link to one.

    Raises OSError, at once, for links, folders, named pipes, sockets and devices.
    """
    # Checked before it is opened, because opening can act on a device, and again after that,
    # because the path may lead to another file by now.
    _require_regular(path, path.stat(follow_symlinks=follow))
    # O_NONBLOCK: opening a named pipe would wait for its other end. Windows has neither flag.
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    if not follow:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _require_regular(path, os.fstat(file.fileno()))
    except OSError:
        file.close()
        raise
    return file


def read_file(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """Return the bytes of a regular file. Raises OSError, and ValueError for a file of more than
    ``limit`` bytes."""
    with open_regular(path, follow=follow) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(msg("more than {limit} bytes", limit=limit))
    return data


def read_json(path: Path, limit: int, *, follow: bool = True) -> Any:  # noqa: ANN401 - checked by callers
    """Return the value of a JSON file. Raises OSError or ValueError."""
    return parse_json(read_file(path, limit, follow=follow))


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - checked by callers
    """Return the value of a JSON text in UTF-8. Raises ValueError for every kind of damage."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    too_deep = ValueError(msg("nested too deeply"))
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise too_deep from error
    if text.count("[") + text.count("{") > _DEPTH and not _is_shallow(value):
        raise too_deep
    return value


def _is_shallow(value: object) -> bool:
    """Whether writing, comparing or showing a value cannot exhaust Python's stack."""
    level = [value]
    for _ in range(_DEPTH):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    return not level


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, msg("not a regular file"), str(path))
