"""Writes all reports of a case into a folder: the order of the steps, and the list of formats."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from mayak.case import CaseStore
from mayak.case.audit import PAGES
from mayak.case.folder import WriterLock
from mayak.case.values import checked
from mayak.errors import CaseError, ConfigError, IntegrityError
from mayak.files import file_sha256, finish_replacing, temporary_folder, unfinished_folders
from mayak.i18n import Language, msg, system_error
from mayak.report.builder import DocumentBuilder
from mayak.report.case_jsonld import write_case_jsonld
from mayak.report.html import write_html
from mayak.report.pdf import write_pdf
from mayak.report.report_data import ReportData, collect
from mayak.report.tables import write_tables
from mayak.types import Progress

FORMATS: tuple[Callable[[DocumentBuilder, Path, Progress], None], ...] = (
    write_html,
    write_tables,
    write_case_jsonld,
    write_pdf,
)
"""One function for each format: it writes its files of the case into a folder."""
_SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class ReportBundle:
    """The files that were written, and the data they were made from."""

    folder: Path
    files: tuple[str, ...]
    data: ReportData


def write_report(
    case: CaseStore,
    folder: Path,
    progress: Progress,
    *,
    language: Language = "en",
    run: int | None = None,
    clear: bool = False,
    overwrite: bool = False,
) -> ReportBundle:
    """Write all reports of a case into a new folder, in ``language``.

    The same case gives the same bytes: every time in a report is a time of the case. Nothing is
    written to the case. ``run`` is the model run whose scores are shown, by default the last one
    that is finished. ``clear`` does not blur thumbnails. ``overwrite`` replaces an earlier report,
    and nothing else.

    1. Put a report back whose replacement was cut off. Refuse a folder that is in use, or that
       contains the case or is inside it.
    2. Delete what killed processes left next to it; lock a temporary folder.
    3. Verify the case. Faults are shown on the first page of the report.
    4. Collect the data of the report in one pass over the case.
    5. Write the files of each format.
    6. Check that the case has not changed meanwhile.
    7. Write ``SHA256SUMS`` and rename the temporary folder.

    Raises:
        ConfigError: the folder is in use or cannot be written.
        CaseError: the case changed meanwhile, or has no such run.
        IntegrityError: the database is so damaged that its rows cannot be trusted.
    """
    folder = folder.resolve()
    try:
        finish_replacing(folder)  # 1.
        _check_folder(case, folder, overwrite=overwrite)
        _sweep(folder)  # 2.
        # Private like the case folder, because it contains the same pictures.
        with temporary_folder(folder, overwrite=overwrite, mode=0o700) as temporary:
            lock = WriterLock(temporary)
            try:
                data = _write(case, temporary, progress, language, run=run, clear=clear)
            finally:
                lock.release()
            lock.path.unlink()
            names = sorted(path.name for path in temporary.iterdir())
            sums = "".join(f"{file_sha256(temporary / name)}  {name}\n" for name in names)
            (temporary / _SUMS).write_text(sums, encoding="utf-8", newline="\n")  # 7.
    except OSError as error:
        raise ConfigError(
            msg(
                "{folder}: the report cannot be written ({strerror})",
                folder=folder,
                strerror=system_error(error),
            ),
            remedy=msg("check the folder, its permissions and the free disk space"),
        ) from error
    return ReportBundle(folder, (*names, _SUMS), data)


def _sweep(folder: Path) -> None:
    """Delete temporary folders of this report whose process was killed."""
    for left in unfinished_folders(folder):
        try:
            lock = WriterLock(left)
        except CaseError:
            continue  # another process is writing it
        lock.release()
        shutil.rmtree(left, ignore_errors=True)


def _check_folder(case: CaseStore, folder: Path, *, overwrite: bool) -> None:
    inside = case.folder.resolve()
    if folder == inside or inside in folder.parents or folder in inside.parents:
        raise ConfigError(
            msg("{folder} and the case folder overlap", folder=folder),
            remedy=msg("name a folder next to the case"),
        )
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if (folder / _SUMS).is_file() and (folder / "report.html").is_file():
        if overwrite:
            return
        remedy = msg("name another folder, or replace that report with --overwrite")
    else:
        remedy = msg("name a new folder")
    raise ConfigError(msg("{folder} is not empty", folder=folder), remedy=remedy)


def _write(
    case: CaseStore,
    folder: Path,
    progress: Progress,
    language: Language,
    *,
    run: int | None,
    clear: bool,
) -> ReportData:
    """Verify the case, collect the data and write all formats: steps 3 to 6."""
    head = case.head()
    with progress.task(msg("verifying the case"), 1, msg("cases")) as task:
        faults = case.verify()
        task.advance()
    if any((fault.table, fault.key) == ("database", PAGES) for fault in faults):
        raise IntegrityError(
            msg(
                "case {folder}: the database is damaged, its rows cannot be counted on",
                folder=case.folder,
            ),
            remedy=msg("mayak verify lists the damage; restore the case from a copy"),
        )
    # Values of a tampered case may break a report in ways that no check foresees.
    what = msg("what the report states")
    with checked(case.folder, what) if faults else nullcontext():
        data = collect(case, faults, run)
        builder = DocumentBuilder(case, data, language, clear=clear)
        for write_format in FORMATS:
            write_format(builder, folder, progress)
    if case.head() != head:
        raise CaseError(
            msg("case {folder} changed while its report was written", folder=case.folder),
            remedy=msg("write it again when nobody works on the case"),
        )
    return data
