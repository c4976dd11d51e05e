"""``mayak report``: what a case holds, for a prosecutor to read and a court to check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import CaseOption, JsonOption
from mayak.errors import IntegrityError
from mayak.i18n import msg


def report(
    case: CaseOption,
    *,
    to: Annotated[
        Path | None,
        Parameter(
            help=msg("Folder to write (default: the case's name with -report, beside the case).")
        ),
    ] = None,
    run: Annotated[
        int | None,
        Parameter(
            help=msg(
                "Number of the model run whose scores are shown (default: the last finished one)."
            )
        ),
    ] = None,
    clear: Annotated[
        bool,
        Parameter(
            negative="",
            help=msg("Show the thumbnails clearly (default: blurred)."),
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        Parameter(negative="", help=msg("Replace an earlier report.")),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Write the reports of a case in the language of --lang: HTML, PDF, XLSX, CSV, CASE JSON-LD.

    The same case gives the same bytes; nothing is written to the case. Exit code 3 when an
    integrity failure is open: the report is written and says so on its first page.
    """
    from mayak.case import CaseStore
    from mayak.report import write_report

    console = Console()
    place = case.resolve()
    with CaseStore.read(case) as store:
        folder = to or place.with_name(f"{place.name}-report")
        made = write_report(
            store,
            folder,
            console,
            language=console.language,
            run=run,
            clear=clear,
            overwrite=overwrite,
        )
    found = made.survey
    selected, unsettled, rest = found.listed
    sign = "=" if selected + unsettled + rest == found.counts.items else "≠"
    if as_json:
        console.json(
            {
                "folder": str(made.folder),
                "run": found.run.id if found.run else None,
                "files": list(made.files),
                "selected": selected,
                "not_settled": unsettled,
                "not_selected": rest,
                "sound": found.sound,
                "balanced": found.balanced,
                "faults": len(found.faults),
                "log_head": found.head,
            }
        )
    else:
        for name in made.files:
            console.result(str(made.folder / name))
        console.result(
            msg(
                "{items} files {sign} {selected} selected + {unsettled} not settled + {rest} not "
                "selected",
                items=found.counts.items,
                sign=sign,
                selected=selected,
                unsettled=unsettled,
                rest=rest,
            )
        )
        if not found.balanced:
            console.result(msg("THE SUMS DO NOT HOLD"))
        if not found.sound:
            console.result(msg("INTEGRITY FAILURE: the report says so on its first page"))
        console.result(msg("log head: ") + found.head)
    return 0 if found.sound else IntegrityError.exit_code
