"""``mayak``: command table, global options, errors → exit codes."""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
import warnings
from typing import Annotated, TextIO

from cyclopts import App, CycloptsError, Group, Parameter

import mayak
from mayak.cli.console import Console
from mayak.cli.usage import usage_error
from mayak.errors import MayakError, MayakWarning
from mayak.language import Language, set_process_language, system_language, tr

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def build() -> App:
    """Build the application; a command's module (and torch with it) is imported when called."""
    app = App(
        name="mayak",
        version=lambda: str(mayak.__version__),
        help=tr(
            "Sorts the images of a seized phone or disk for investigators of drug crime.",
            "압수한 휴대전화·디스크의 이미지를 마약 범죄 수사용으로 분류합니다.",
        ),
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
        exit_on_error=False,
        print_error=False,
    )
    app["--help"].group = app["--version"].group = Group("Options", sort_key=9)
    groups = _groups()
    for order, (name, target, en, ko) in enumerate(_COMMANDS):
        app.command(target, name=name, help=tr(en, ko), group=groups.get(name), sort_key=order)
    return app


def _groups() -> dict[str, Group]:
    """Return the section of the help for each command."""
    sections = (
        (
            tr("Dataset and model", "데이터 세트와 모델"),
            ("prepare", "train", "evaluate", "zeroshot", "compare", "calibrate"),
        ),
        (
            tr("Evidence and case", "분석 대상과 사건"),
            ("triage", "classify", "verify", "review", "decisions", "report"),
        ),
        (tr("Machine", "컴퓨터"), ("demo", "bench", "doctor")),
    )
    groups: dict[str, Group] = {}
    for order, (title, names) in enumerate(sections):
        groups |= dict.fromkeys(names, Group(title, sort_key=order))
    return groups


_COMMANDS = (
    (
        "prepare",
        "mayak.cli.prepare:prepare",
        "raw_data/ → manifests of train, validation and test.",
        "raw_data/ → 학습·검증·시험 목록을 만듭니다.",
    ),
    (
        "train",
        "mayak.cli.train:train",
        "Fine-tune with QLoRA; resumable.",
        "QLoRA로 미세조정합니다(이어하기 가능).",
    ),
    (
        "evaluate",
        "mayak.cli.evaluate:evaluate",
        "Measure a fine-tuned model on the test set.",
        "미세조정한 모델을 시험 세트에서 측정합니다.",
    ),
    (
        "zeroshot",
        "mayak.cli.evaluate:zeroshot",
        "Measure the untouched model on the test set.",
        "손대지 않은 모델을 시험 세트에서 측정합니다.",
    ),
    (
        "compare",
        "mayak.cli.evaluate:compare",
        "Compare two runs on the same images.",
        "같은 이미지에 대한 두 결과를 비교합니다.",
    ),
    (
        "calibrate",
        "mayak.cli.calibrate:calibrate",
        "Set how sure early tiers must be to dismiss an image in triage.",
        "분류 시 앞 단계가 이미지를 제외할 기준을 정합니다.",
    ),
    (
        "classify",
        "mayak.cli.classify:classify",
        "Classify a few image files; scores on stdout.",
        "이미지 몇 장을 바로 분류합니다.",
    ),
    (
        "triage",
        "mayak.cli.triage:triage",
        "Evidence → case: find, classify and account for every file; resumable.",
        "증거 → 사건: 모든 파일을 찾아 분류하고 집계합니다(이어하기 가능).",
    ),
    (
        "verify",
        "mayak.cli.verify:verify",
        "Check a case and its sources against what was recorded.",
        "사건과 원본이 기록과 같은지 확인합니다.",
    ),
    (
        "review",
        "mayak.cli.review:review",
        "Look through a case and decide, on a local page.",
        "로컬 페이지에서 사건을 검토하고 판정합니다.",
    ),
    (
        "decisions",
        "mayak.cli.decisions:app",
        "What reviewers decided: export, merge, list disagreements.",
        "검토자의 판정: 내보내기, 병합, 불일치 목록.",
    ),
    (
        "report",
        "mayak.cli.report:report",
        "Case → report: HTML, PDF, XLSX, CSV, CASE JSON-LD.",
        "사건 → 보고서: HTML, PDF, XLSX, CSV, CASE JSON-LD.",
    ),
    (
        "demo",
        "mayak.cli.demo:demo",
        "The whole of it on synthetic images, offline, in minutes.",
        "합성 이미지로 전 과정을 몇 분 안에 보여 줍니다(오프라인).",
    ),
    (
        "bench",
        "mayak.cli.bench:bench",
        "What this machine does: images a second, and where the time goes.",
        "이 컴퓨터의 처리 속도를 단계별로 측정합니다.",
    ),
    (
        "doctor",
        "mayak.cli.doctor:doctor",
        "What this machine has and lacks, with remedies.",
        "이 컴퓨터에 있는 것과 없는 것, 해결책을 알려 줍니다.",
    ),
)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the ``mayak`` command."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _set_up_process()
    set_process_language(_asked_language(arguments) or system_language())
    app = build()

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        lang: Annotated[
            Language | None,
            Parameter(
                help=tr(
                    "Language: ko or en (default: the locale's).",
                    "언어: ko 또는 en (기본: 시스템 언어).",
                )
            ),
        ] = None,
        verbose: Annotated[
            bool,
            Parameter(
                name=["--verbose", "-v"],
                negative="",
                help=tr("Show the traceback of an error.", "오류의 추적 정보를 보입니다."),
            ),
        ] = False,
    ) -> int:
        del lang  # read before the help texts were built
        try:
            return app(tokens, result_action="return_value") or EXIT_DONE
        except MayakError as error:
            if verbose:
                traceback.print_exc()
            Console().error(error)
            return error.exit_code
        except CycloptsError:
            raise
        except Exception as error:  # noqa: BLE001 - one line for the user; -v has the rest
            if verbose:
                traceback.print_exc()
            Console().error(
                MayakError(
                    tr("unexpected: ", "예기치 않은 오류: ") + f"{type(error).__name__}: {error}",
                    remedy=tr(
                        "this is a fault of mayak: report it with what -v prints",
                        "mayak의 결함입니다. -v로 출력되는 내용과 함께 알려 주십시오",
                    ),
                )
            )
            return EXIT_USAGE
        except KeyboardInterrupt:
            Console().note(tr("interrupted", "중단되었습니다"))
            return EXIT_INTERRUPTED

    try:
        sys.exit(app.meta(arguments, result_action="return_value"))
    except CycloptsError as error:
        Console().error(usage_error(error))
        sys.exit(EXIT_USAGE)


def _set_up_process() -> None:
    """Restrict the rights of new files and quieten libraries, for this process and its workers."""
    # Cases, reports and results hold what was seized: what a command creates, temporary files and
    # those of its worker processes included, is for the user who runs it. The usual umask (022)
    # would let every account of the machine read it. Folders that exist keep their rights.
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        # Windows' CP949 has no é: no character of a file's name may end a run of hours.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Nothing of ours phones home; a library must not either.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # torch's threads spin 300,000 times at a barrier: with another program on the cores, a training
    # step of nano took 13.5 s instead of 2.7 s. Spinning briefly costs nothing on an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # Libraries speak to developers; what a user must know, mayak says itself.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.showwarning = _tell


def _tell(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning: ours as a line for the user, others as Python shows them."""
    if issubclass(category, MayakWarning):
        Console().note(str(message))
    else:
        shown = warnings.formatwarning(message, category, filename, lineno, line)
        (file or sys.stderr).write(shown)


def _asked_language(arguments: list[str]) -> Language | None:
    """``--lang``'s value, needed before the texts that cyclopts shows are built."""
    for position, argument in enumerate(arguments):
        value = argument.removeprefix("--lang=")
        if argument == "--lang" and position + 1 < len(arguments):
            value = arguments[position + 1]
        elif value == argument:
            continue
        if value == "ko":
            return "ko"
        if value == "en":
            return "en"
    return None
