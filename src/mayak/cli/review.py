"""``mayak review``: the local page on which a person goes through a case."""

from __future__ import annotations

import logging
import sys
import webbrowser
from typing import Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.options import CaseOption, user
from mayak.language import tr


def review(
    case: CaseOption,
    *,
    reviewer: Annotated[
        str | None,
        Parameter(
            help=tr(
                "Whose decisions these are (default: the user's name).",
                "판정하는 사람의 이름 (기본: 사용자 이름).",
            )
        ),
    ] = None,
    port: Annotated[
        int | None,
        Parameter(
            help=tr(
                "Port on 127.0.0.1 (default: 8323, or any that is free).",
                "127.0.0.1의 포트 (기본: 8323, 사용 중이면 빈 포트).",
            )
        ),
    ] = None,
    browser: Annotated[
        bool,
        Parameter(help=tr("Open the page in the browser.", "브라우저에서 페이지를 엽니다.")),
    ] = False,
) -> int:
    """Look through a case in the browser and decide; Ctrl-C ends it.

    The page can be reached from this machine only, with the address that is printed. Every decision
    is on disk before the next image shows, and triage may go on meanwhile.
    """
    from mayak.review import Desk, serve

    console = Console()
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    with Desk(case, reviewer or user()) as desk:

        def opened(address: str) -> None:
            console.result(address)
            console.note(tr("Ctrl-C ends the review", "Ctrl-C로 검토를 종료합니다"))
            sys.stdout.flush()
            if browser:
                webbrowser.open(address)

        serve(desk, port=port, opened=opened)
    return 0
