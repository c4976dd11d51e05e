"""Where images come from: the phone, case or source that their group is named after."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mayak.dataset.collect import RawFile
from mayak.dataset.decided import DecidedImages
from mayak.dataset.options import FOLDER, SOURCE
from mayak.errors import ConfigError, ManifestError
from mayak.i18n import msg
from mayak.names import printable
from mayak.untrusted import DOCUMENT_BYTES, read_file

_COLUMNS = ("path", "group")
_SHOWN = 5
_LINE = 80
"""Characters of a table's first line that are shown."""


def origins_of(
    provenance: str | None, files: Sequence[RawFile], decided: DecidedImages | None
) -> dict[str, tuple[str, ...]]:
    """Return file name → names of its origins, none for a file whose origin is not known.

    ``provenance`` is None (the result is empty), ``folder`` (the folder below the class folder),
    ``source`` (each source of each case), or the path of a table.

    Raises:
        ConfigError: ``source`` is given for a raw folder, or ``folder`` for cases.
        ManifestError: the table cannot be read, or names files that are not there.
    """
    if provenance is None:
        return {}
    if (provenance == SOURCE) != (decided is not None):
        raise ConfigError(
            msg("--provenance {provenance} does not fit the input", provenance=provenance),
            remedy=msg("use `source` with --from-case, and `folder` or a CSV table with RAW"),
        )
    if decided is not None:
        return {file.name: decided.sources_of(file.name) for file in files}
    if provenance == FOLDER:
        return {file.name: _folder(file.name) for file in files}
    table = _read(Path(provenance))
    unknown = sorted(table.keys() - {file.name for file in files})
    if unknown:
        raise ManifestError(
            msg(
                "{path} names {n_unknown} files that are not images of the raw folder: {unknown}",
                path=provenance,
                n_unknown=len(unknown),
                unknown=", ".join(map(printable, unknown[:_SHOWN])),
            ),
            remedy=msg("give paths below the raw folder, such as 0_irrelevant/a.jpg"),
        )
    return {file.name: (table[file.name],) if file.name in table else () for file in files}


def _folder(name: str) -> tuple[str, ...]:
    """Return the folder between the class folder and the file; a file without one is on its own."""
    parts = name.split("/")
    return (parts[1],) if len(parts) > 2 else ()


def _read(path: Path) -> dict[str, str]:
    """Return path → group of a CSV table with these columns."""
    try:
        text = _text(path)
        table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if missing := [name for name in _COLUMNS if name not in (table.fieldnames or ())]:
            first = printable(text.splitlines()[0])[:_LINE]
            raise ValueError(
                msg(
                    "no column {missing}; its first line is “{first}”",
                    missing=", ".join(missing),
                    first=first,
                )
            )
        rows = [(row["path"], row["group"]) for row in table]
        if not rows:
            raise ValueError(msg("it names no image"))
        if not all(map(all, rows)):
            raise ValueError(msg("a row without a path or group"))
        groups = dict(rows)
        if len(groups) != len(rows):
            raise ValueError(msg("a path that occurs twice"))
    except (OSError, ValueError, csv.Error) as error:
        raise ManifestError(
            msg("{path} cannot be read as a table of groups ({error})", path=path, error=error),
            remedy=msg(
                "save it as “CSV UTF-8” with commas between the columns; its first line is "
                "path,group and each further line is an image and its origin"
            ),
        ) from error
    return groups


def _text(path: Path) -> str:
    """Return the text of a file. Raises OSError, and ValueError if it has none."""
    try:
        text = read_file(path, DOCUMENT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(msg("not UTF-8")) from error
    if not text.strip():
        raise ValueError(msg("it is empty"))
    return text
