"""``mayak review``: serves the local page on which a person reviews a case."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import (
    CaseOption,
    PasswordFileOption,
    read_passwords,
    user,
)
from mayak.i18n import msg, plural

ReviewerOption = Annotated[
    str | None,
    Parameter(help=msg("Whose decisions these are (default: the user's name).")),
]
PortOption = Annotated[
    int | None,
    Parameter(help=msg("Port on 127.0.0.1 (default: 8323, or any that is free).")),
]
BrowserOption = Annotated[
    bool,
    Parameter(help=msg("Open the page in the browser.")),
]


def review(
    case: CaseOption,
    *,
    reviewer: ReviewerOption = None,
    port: PortOption = None,
    browser: BrowserOption = False,
    password_file: PasswordFileOption = None,
) -> int:
    """Look through a case in the browser and decide; Ctrl-C ends it.

    The page can be reached from this machine only, with the address that is printed. Triage may
    run meanwhile.
    """
    from mayak.case import CaseStore
    from mayak.evidence import Choices
    from mayak.review import ReviewSession, serve

    console = Console()
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    passwords = read_passwords(password_file)
    with ReviewSession(case, reviewer or user()) as session:
        with CaseStore.read(case) as store:
            session.open_sources_with(Choices.again(store.triage_options(), passwords))
        _warn_of_faults(console, case)
        if session.lacks_stacks:
            console.note(
                msg(
                    "an earlier version of mayak grouped this case: copies of a picture show one "
                    "by one until mayak triage has run on it again"
                )
            )
        with opening(console, browser, msg("Ctrl-C ends the review")) as opened:
            serve(session, port=port, opened=opened, language=console.language)
    return 0


@contextmanager
def opening(console: Console, browser: bool, ending: str) -> Iterator[Callable[[str], None]]:
    """Yield what prints a page's address and how to end it, and opens the browser if asked to."""
    with ExitStack() as until_the_end:

        def opened(address: str) -> None:
            console.result(address)
            console.note(ending)
            sys.stdout.flush()
            if browser:
                webbrowser.open(until_the_end.enter_context(_redirect_file(address)))

        yield opened


@contextmanager
def _redirect_file(address: str) -> Iterator[str]:
    """Yield the ``file:`` address of a page that redirects to ``address``; remove it at the end.

    Every account of the machine can read the arguments of a browser's process, so the token must
    not be one of them.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")  # in memory, and deleted when the user logs out
    parent = runtime if runtime and Path(runtime).is_dir() else None
    with tempfile.TemporaryDirectory(prefix="mayak-review-", dir=parent) as folder:
        page = Path(folder) / "open.html"
        page.touch(0o600)
        page.write_text(
            '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
            f'<meta http-equiv="refresh" content="0; url={address}"><title>mayak</title>'
            f'<a href="{address}">mayak</a>\n',
            encoding="utf-8",
        )
        yield page.as_uri()


def _warn_of_faults(console: Console, case: Path) -> None:
    """Warn of faults that the last recorded verification found; a new one would take too long."""
    from mayak.case import CaseStore

    with CaseStore.read(case) as store:
        checks = [entry for entry in store.log() if entry.action == "verify"]
    if checks and (faults := checks[-1].detail.get("faults")):
        console.note(
            msg(
                "INTEGRITY FAILURE ON RECORD: the last verification found {faults}. Run mayak "
                "verify before you decide anything",
                faults=plural("{n:,} fault", "{n:,} faults", faults),
            )
        )
