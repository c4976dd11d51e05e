"""``mayak review``: serves the local page on which a person reviews a case."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import CaseOption, user
from mayak.language import tr

ReviewerOption = Annotated[
    str | None,
    Parameter(
        help=tr(
            "Whose decisions these are (default: the user's name).",
            "판정하는 사람의 이름 (기본: 사용자 이름).",
        )
    ),
]
PortOption = Annotated[
    int | None,
    Parameter(
        help=tr(
            "Port on 127.0.0.1 (default: 8323, or any that is free).",
            "127.0.0.1의 포트 (기본: 8323, 사용 중이면 빈 포트).",
        )
    ),
]
BrowserOption = Annotated[
    bool,
    Parameter(help=tr("Open the page in the browser.", "브라우저에서 페이지를 엽니다.")),
]


def review(
    case: CaseOption,
    *,
    reviewer: ReviewerOption = None,
    port: PortOption = None,
    browser: BrowserOption = False,
) -> int:
    """Look through a case in the browser and decide; Ctrl-C ends it.

    The page can be reached from this machine only, with the address that is printed. Triage may
    run meanwhile.
    """
    from mayak.review import ReviewSession, serve

    console = Console()
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    with ReviewSession(case, reviewer or user()) as session, ExitStack() as until_the_end:
        _warn_of_faults(console, case)
        if session.lacks_stacks:
            console.note(
                tr(
                    "an earlier version of mayak grouped this case: copies of a picture show one "
                    "by one until mayak triage has run on it again",
                    "이 사건의 이미지는 이전 버전의 mayak이 묶었습니다. mayak triage를 다시 실행할 "
                    "때까지 같은 사진의 사본도 하나씩 표시됩니다",
                )
            )

        def opened(address: str) -> None:
            console.result(address)
            console.note(tr("Ctrl-C ends the review", "Ctrl-C로 검토를 종료합니다"))
            sys.stdout.flush()
            if browser:
                webbrowser.open(until_the_end.enter_context(_redirect_file(address)))

        serve(session, port=port, opened=opened)
    return 0


@contextmanager
def _redirect_file(address: str) -> Iterator[str]:
    """Yield the ``file:`` address of a page that redirects to ``address``; remove it at the end.

    Every account of the machine can read the arguments of a browser's process, so the token must
    not be one of them.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")  # in memory, and deleted when the user logs out
    place = runtime if runtime and Path(runtime).is_dir() else None
    with tempfile.TemporaryDirectory(prefix="mayak-review-", dir=place) as folder:
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
            tr(
                f"INTEGRITY FAILURE ON RECORD: the last verification found {faults} faults. Run "
                "mayak verify before you decide anything",
                f"기록된 무결성 문제: 마지막 검증에서 문제 {faults}건이 확인되었습니다. 판정하기 "
                "전에 mayak verify를 실행하십시오",
            )
        )
