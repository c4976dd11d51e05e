"""``mayak report``: writes the report of a case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import CaseOption, JsonOption
from mayak.errors import IntegrityError
from mayak.i18n import msg

if TYPE_CHECKING:
    from mayak.report import ReportBundle


ToOption = Annotated[
    Path | None,
    Parameter(
        help=msg("Folder to write (default: the case's name with -report, next to the case).")
    ),
]
RunOption = Annotated[
    int | None,
    Parameter(
        help=msg("Number of the model run whose scores are shown (default: the last finished one).")
    ),
]
ClearOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=msg("Show the thumbnails clearly (default: blurred)."),
    ),
]
OverwriteOption = Annotated[
    bool,
    Parameter(negative="", help=msg("Replace an earlier report.")),
]


def report(
    case: CaseOption,
    *,
    to: ToOption = None,
    run: RunOption = None,
    clear: ClearOption = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> int:
    """Write the report of a case in all its formats, in the language of --lang.

    The same case gives the same bytes; nothing is written to the case. Exit code 3 if an integrity
    failure is open: the report is written all the same and states it on its first page.
    """
    from mayak.case import CaseStore
    from mayak.report import write_report

    console = Console()
    folder = case.resolve()
    with CaseStore.read(case) as store:
        bundle = write_report(
            store,
            to or folder.with_name(f"{folder.name}-report"),
            console,
            language=console.language,
            run=run,
            clear=clear,
            overwrite=overwrite,
        )
    if as_json:
        console.json(_values(bundle))
    else:
        _show(console, bundle)
    return 0 if bundle.data.has_no_fault else IntegrityError.exit_code


def _values(bundle: ReportBundle) -> dict[str, object]:
    data = bundle.data
    selected, unsettled, rest = data.listed
    return {
        "folder": str(bundle.folder),
        "run": data.run.id if data.run else None,
        "files": list(bundle.files),
        "selected": selected,
        "not_settled": unsettled,
        "not_selected": rest,
        "sound": data.has_no_fault,
        "balanced": data.is_balanced,
        "faults": len(data.faults),
        "log_head": data.head,
    }


def _show(console: Console, bundle: ReportBundle) -> None:
    found = bundle.data
    for name in bundle.files:
        console.result(str(bundle.folder / name))
    console.result(found.listed_text)
    if not found.is_balanced:
        console.result(msg("THE SUMS DO NOT HOLD"))
    if not found.has_no_fault:
        console.result(msg("INTEGRITY FAILURE: see the first page of the report"))
    console.result(msg("log head: ") + found.head)
