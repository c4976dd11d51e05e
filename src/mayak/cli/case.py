"""``mayak case``: states where a source of a case is now."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    CaseOption,
    JsonOption,
    OperatorOption,
    PasswordFileOption,
    read_passwords,
    user,
)
from mayak.i18n import msg

OldArgument = Annotated[
    str, Parameter(help=msg("Where the case has the source, as `mayak verify` lists it."))
]
NewArgument = Annotated[Path, Parameter(help=msg("Where the source is now."))]


def relocate(
    case: CaseOption,
    old: OldArgument,
    new: NewArgument,
    *,
    operator: OperatorOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> int:
    """Record that a source is at another path now, after comparing it with its recorded hashes.

    Exit code 3 if it is not the same.
    """
    from mayak.triage import relocate as move

    console = Console()
    passwords = read_passwords(password_file)
    found = move(case, old, new, operator or user(), console, passwords)
    compared = found.comparison
    if as_json:
        console.json(
            {"source": found.source.id, "old": found.source.path, "new": str(new)}
            | {name: value for name, value in asdict(compared).items() if name != "path"}
        )
        return 0
    console.result(
        msg(
            "source {number} of the case is at {new} now; it was at {old}",
            number=found.source.id,
            new=new,
            old=found.source.path,
        ),
        one_line=True,
    )
    console.result(
        msg("compared as a whole, by SHA-256")
        if compared.whole
        else msg(
            "compared: {hashed:,} files by SHA-256, {sized:,} by presence and size; "
            "{added:,} files are not in the case",
            hashed=compared.hashed,
            sized=compared.sized,
            added=compared.added,
        )
    )
    return 0


app = App(name="case", help_format="plaintext")
app.command(
    relocate,
    help=msg(
        "Record that a source is at another path now, after comparing it with its recorded hashes."
    ),
)
