"""``mayak report``: writes a case as HTML, PDF, XLSX, CSV and CASE JSON-LD."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import CaseOption, JsonOption
from mayak.errors import IntegrityError
from mayak.language import tr

if TYPE_CHECKING:
    from mayak.report import ReportBundle


ToOption = Annotated[
    Path | None,
    Parameter(
        help=tr(
            "Folder to write (default: the case's name with -report, beside the case).",
            "보고서를 쓸 폴더 (기본: 사건 폴더 옆의 '사건이름-report').",
        )
    ),
]
RunOption = Annotated[
    int | None,
    Parameter(
        help=tr(
            "Number of the model run whose scores are shown (default: the last finished one).",
            "점수를 보일 모델 실행의 번호 (기본: 마지막으로 끝난 실행).",
        )
    ),
]
ClearOption = Annotated[
    bool,
    Parameter(
        negative="",
        help=tr(
            "Show the thumbnails clearly (default: blurred).",
            "축소 그림을 흐리게 처리하지 않습니다 (기본: 흐리게).",
        ),
    ),
]
OverwriteOption = Annotated[
    bool,
    Parameter(negative="", help=tr("Replace an earlier report.", "이전 보고서를 바꿉니다.")),
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
    """Write the reports of a case in the language of --lang: HTML, PDF, XLSX, CSV, CASE JSON-LD.

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
            run=run,
            clear=clear,
            overwrite=overwrite,
        )
    if as_json:
        console.json(_values(bundle))
    else:
        _show(console, bundle)
    return 0 if bundle.data.sound else IntegrityError.exit_code


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
        "sound": data.sound,
        "balanced": data.balanced,
        "faults": len(data.faults),
        "log_head": data.head,
    }


def _show(console: Console, bundle: ReportBundle) -> None:
    found = bundle.data
    selected, unsettled, rest = found.listed
    sign = "=" if selected + unsettled + rest == found.counts.items else "≠"
    for name in bundle.files:
        console.result(str(bundle.folder / name))
    console.result(
        tr(
            f"{found.counts.items} files {sign} {selected} selected + {unsettled} not settled "
            f"+ {rest} not selected",
            f"파일 {found.counts.items}개 {sign} 선별 {selected} + 미확정 {unsettled} + "
            f"선별하지 않음 {rest}",
        )
    )
    if not found.balanced:
        console.result(tr("THE SUMS DO NOT HOLD", "집계가 맞지 않습니다"))
    if not found.sound:
        console.result(
            tr(
                "INTEGRITY FAILURE: the report says so on its first page",
                "무결성 문제: 보고서 첫 쪽에 표시하였습니다",
            )
        )
    console.result(tr("log head: ", "기록 최종 해시: ") + found.head)
