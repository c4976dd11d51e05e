"""The ``mayak`` command: table of commands, global options, errors as exit codes."""

from __future__ import annotations

import io
import logging
import os
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Annotated, Literal, TextIO

from cyclopts import App, CycloptsError, Group, Parameter

import mayak
from mayak.cli.console import Console
from mayak.cli.usage import usage_error
from mayak.errors import MayakError, MayakWarning
from mayak.i18n import Language, languages, message_of, msg, system_language

if TYPE_CHECKING:
    from cyclopts.help.protocols import HelpFormatter

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_DEVELOPERS_WARNINGS = (
    # mayak computes float32 in float32, so that results do not depend on the GPU.
    "TensorFloat32 tensor cores for float32 matrix multiplication available but not enabled",
    # DistributedDataParallel keeps these nodes; it costs some microseconds a step.
    "The AccumulateGrad node's stream does not match",
)
"""How warnings of torch begin that a user can do nothing about."""


def build(language: Language = "en") -> App:
    """Build the application, with its help in a language.

    A command's module (and torch) is imported when it is called.
    """
    app = App(
        name="mayak",
        version=lambda: str(mayak.__version__),
        help=msg("Sorts the images of a seized phone or disk for investigators of drug crime."),
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
        exit_on_error=False,
        print_error=False,
        help_formatter=_formatter(language),
    )
    app["--help"].group = app["--version"].group = Group("Options", sort_key=9)
    groups = _groups()
    for order, (name, target, text) in enumerate(_COMMANDS):
        app.command(target, name=name, help=text, group=groups.get(name), sort_key=order)
    return app


def _formatter(language: Language) -> HelpFormatter | None:
    if language == "en":
        return None
    from mayak.cli.help import TranslatedFormatter  # an English run does without

    return TranslatedFormatter(language)


def _groups() -> dict[str, Group]:
    """Return the section of the help for each command."""
    sections = (
        (
            msg("Dataset and model"),
            (
                "prepare",
                "train",
                "evaluate",
                "zeroshot",
                "answers",
                "compare",
                "summary",
                "calibrate",
            ),
        ),
        (
            msg("Evidence and case"),
            ("triage", "classify", "verify", "case", "review", "decisions", "report"),
        ),
        (msg("Machine"), ("demo", "bench", "doctor")),
    )
    groups: dict[str, Group] = {}
    for order, (title, names) in enumerate(sections):
        groups |= dict.fromkeys(names, Group(title, sort_key=order))
    return groups


_COMMANDS = (
    (
        "prepare",
        "mayak.cli.prepare:prepare",
        msg("raw_data/ → manifests of train, validation and test."),
    ),
    (
        "train",
        "mayak.cli.train:train",
        msg("Fine-tune with QLoRA; resumable."),
    ),
    (
        "evaluate",
        "mayak.cli.evaluate:evaluate",
        msg("Measure a fine-tuned model on the test set."),
    ),
    (
        "zeroshot",
        "mayak.cli.evaluate:zeroshot",
        msg("Measure the base model, without fine-tuning, on the test set."),
    ),
    (
        "answers",
        "mayak.cli.answers:answers",
        msg("Label the answers that the parser could not read, on a local page."),
    ),
    (
        "compare",
        "mayak.cli.compare:compare",
        msg("Compare two runs on the same images."),
    ),
    (
        "summary",
        "mayak.cli.summary:summary",
        msg("Mean and spread over runs with several seeds, or over folds."),
    ),
    (
        "calibrate",
        "mayak.cli.calibrate:calibrate",
        msg("Set how sure early tiers must be to dismiss an image in triage."),
    ),
    (
        "classify",
        "mayak.cli.classify:classify",
        msg("Classify a few image files; scores on stdout."),
    ),
    (
        "triage",
        "mayak.cli.triage:triage",
        msg("Evidence → case: find, classify and account for every file; resumable."),
    ),
    (
        "verify",
        "mayak.cli.verify:verify",
        msg("Check a case and its sources against what was recorded."),
    ),
    (
        "case",
        "mayak.cli.case:app",
        msg("State where a source of a case is now."),
    ),
    (
        "review",
        "mayak.cli.review:review",
        msg("Look through a case and decide, on a local page."),
    ),
    (
        "decisions",
        "mayak.cli.decisions:app",
        msg("Export and merge decisions, and list disagreements."),
    ),
    (
        "report",
        "mayak.cli.report:report",
        msg("Case → report: pages and tables for people, a graph for programs."),
    ),
    (
        "demo",
        "mayak.cli.demo:demo",
        msg("Run everything on synthetic images, offline, in minutes."),
    ),
    (
        "bench",
        "mayak.cli.bench:bench",
        msg("Measure images per second of each stage on this machine."),
    ),
    (
        "doctor",
        "mayak.cli.doctor:doctor",
        msg("Check what this machine has and lacks, with remedies."),
    ),
)


def main(arguments: list[str] | None = None) -> None:
    """Run the ``mayak`` command and exit."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _set_up_process()
    Console.language = _asked_language(arguments) or system_language()
    app = build(Console.language)

    @app.meta.default
    def launch(
        *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        lang: Annotated[
            Literal[languages()] | None,  # type: ignore[valid-type]
            Parameter(help=msg("Language (default: the locale's).")),
        ] = None,
        verbose: Annotated[
            bool,
            Parameter(
                name=["--verbose", "-v"],
                negative="",
                help=msg("Show the traceback of an error."),
            ),
        ] = False,
    ) -> int:
        del lang  # read before the help was asked for
        try:
            return app(tokens, result_action="return_value") or EXIT_DONE
        except MayakError as error:
            if verbose:
                traceback.print_exc()
            Console().error(error)
            return error.exit_code
        except CycloptsError:
            raise
        except Exception as error:  # noqa: BLE001 - one line for the user; -v shows the rest
            if verbose:
                traceback.print_exc()
            Console().error(
                MayakError(
                    msg("unexpected: ") + f"{type(error).__name__}: " + message_of(error),
                    remedy=msg("this is a bug in mayak: report it with what -v prints"),
                )
            )
            return EXIT_USAGE
        except KeyboardInterrupt:
            Console().note(msg("interrupted"))
            return EXIT_INTERRUPTED

    try:
        sys.exit(app.meta(arguments, result_action="return_value"))
    except CycloptsError as error:
        Console().error(usage_error(error))
        sys.exit(EXIT_USAGE)


def _set_up_process() -> None:
    """Restrict the rights of new files and quieten libraries, for this process and its workers."""
    # Cases, reports and results contain seized data: whatever a command and its worker processes
    # create, temporary files too, must be readable by the user only. With the usual umask (022)
    # every account of the machine could read it. Existing folders keep their rights.
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):
        # Windows' CP949 has no é, and a file's name must not abort a run of hours.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # mayak sends no telemetry; its libraries must not either.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    # torch's threads spin 300,000 times at a barrier. With another program on the cores, a training
    # step of nano took 13.5 s instead of 2.7 s. Spinning briefly costs nothing on an idle machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # Messages of libraries are for developers; mayak shows users what they must know.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.showwarning = _show_warning
    for beginning in _DEVELOPERS_WARNINGS:
        warnings.filterwarnings("ignore", message=beginning)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show mayak's warnings as a line for the user, others as Python does."""
    if issubclass(category, MayakWarning):
        Console().note(message_of(message) if isinstance(message, Warning) else message)
    else:
        shown = warnings.formatwarning(message, category, filename, lineno, line)
        (file or sys.stderr).write(shown)


def _asked_language(arguments: list[str]) -> Language | None:
    """Return the value of ``--lang``, in which the parser's help and errors are shown."""
    for position, argument in enumerate(arguments):
        value = argument.removeprefix("--lang=")
        if argument == "--lang" and position + 1 < len(arguments):
            value = arguments[position + 1]
        elif value == argument:
            continue
        if value in languages():
            return value
    return None
