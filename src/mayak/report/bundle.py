"""``write_report``: a case in, a folder of reports out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from mayak.case import CaseStore
from mayak.case.audit import PAGES
from mayak.case.folder import WriterLock
from mayak.case.values import checked
from mayak.errors import CaseError, ConfigError, IntegrityError
from mayak.files import file_sha256, staged_folder, unfinished_stages
from mayak.i18n import Language, msg
from mayak.report.case_jsonld import write_graphs
from mayak.report.chapters import Writer, findings
from mayak.report.html import page
from mayak.report.pdf import paper
from mayak.report.report_data import Survey, survey
from mayak.report.tables import Listed, files, write_tables
from mayak.types import Progress, Task

VOLUME = 1000
"""Images of a PDF file, and of a JSON-LD file."""
_ON_A_PAGE = 300
"""Images of each group of findings that the HTML page shows."""
_SUMS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Made:
    """What was written."""

    folder: Path
    files: tuple[str, ...]
    survey: Survey


def write_report(
    case: CaseStore,
    folder: Path,
    progress: Progress,
    *,
    language: Language = "en",
    run: int | None = None,
    clear: bool = False,
    overwrite: bool = False,
) -> Made:
    """Write all reports of a case into a new folder, in ``language``.

    The same case gives the same bytes: every time in them is the case's own. Nothing is written to
    the case. ``run`` names whose scores are shown, by default those of the last run that is
    finished. ``overwrite`` replaces an earlier report, and nothing else.

    Raises ConfigError for a folder that is in use or cannot be written, CaseError where the case
    changes meanwhile.
    """
    folder = folder.resolve()
    _require_room(case, folder, overwrite=overwrite)
    try:
        _sweep(folder)
        # With the rights of a case's folder: it has the same pictures in it.
        with staged_folder(folder, overwrite=overwrite, mode=0o700) as stage:
            lock = WriterLock(stage)
            try:
                found = _write(case, stage, progress, language, run=run, clear=clear)
            finally:
                lock.release()
            lock.path.unlink()
            names = sorted(path.name for path in stage.iterdir())
            sums = "".join(f"{file_sha256(stage / name)}  {name}\n" for name in names)
            (stage / _SUMS).write_text(sums, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigError(
            msg(
                "{folder}: the report cannot be written ({strerror})",
                folder=folder,
                strerror=error.strerror or error,
            ),
            remedy=msg("check the folder, its permissions and the free disk space"),
        ) from error
    return Made(folder, (*names, _SUMS), found)


def _sweep(folder: Path) -> None:
    """Delete what reports of the same name left when their process was killed."""
    for left in unfinished_stages(folder):
        try:
            lock = WriterLock(left)
        except CaseError:
            continue  # it is being written
        lock.release()
        shutil.rmtree(left, ignore_errors=True)


def _require_room(case: CaseStore, folder: Path, *, overwrite: bool) -> None:
    inside = case.folder.resolve()
    if folder == inside or inside in folder.parents or folder in inside.parents:
        raise ConfigError(
            msg("{folder} and the case lie in one another", folder=folder),
            remedy=msg("name a folder beside the case"),
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
) -> Survey:
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
    # What a tampered case holds may be unfit for a report in ways that no check foresees.
    told = msg("what the report states")
    with checked(case.folder, told) if faults else nullcontext():
        found = survey(case, faults, run)
        _write_files(case, found, folder, progress, language, clear=clear)
    if case.head() != head:
        raise CaseError(
            msg("case {folder} changed while its report was written", folder=case.folder),
            remedy=msg("write it again when nobody works on the case"),
        )
    return found


def _write_files(
    case: CaseStore,
    found: Survey,
    folder: Path,
    progress: Progress,
    language: Language,
    *,
    clear: bool,
) -> None:
    writer = Writer(case, found, language, clear=clear)
    html = page(writer.page(_ON_A_PAGE))
    (folder / "report.html").write_text(html, encoding="utf-8", newline="\n")
    with progress.task(msg("lists"), found.counts.items, msg("files")) as task:
        numbers = {finding.sha256: finding.number for finding in findings(found)}
        every = _counted(files(case, found, numbers), task)
        write_tables(every, writer.overview(), found.as_of, folder, language)
    write_graphs(case, found, folder, VOLUME)
    slices = writer.slices(VOLUME)
    with progress.task("PDF", len(slices), msg("volumes")) as task:
        for number in range(len(slices)):
            name = f"report-{number + 1:03d}.pdf" if len(slices) > 1 else "report.pdf"
            made = paper(writer.volume(slices, number), at=found.as_of)
            (folder / name).write_bytes(made)
            task.advance()


def _counted(rows: Iterator[tuple[str, Listed]], task: Task) -> Iterator[tuple[str, Listed]]:
    for row in rows:
        yield row
        task.advance()
