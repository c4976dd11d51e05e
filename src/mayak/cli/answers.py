"""``mayak answers``: a person decides what a model's unread answers say."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mayak.cli.console import Console
from mayak.cli.evaluate import show_bounds
from mayak.cli.options import user
from mayak.cli.review import BrowserOption, PortOption, opening
from mayak.i18n import msg
from mayak.labels import UNCLASSIFIABLE, numbered_label
from mayak.names import printable

if TYPE_CHECKING:
    from mayak.evaluation.unread import UnreadAnswers

RunArgument = Annotated[
    Path, Parameter(help=msg("Results of `mayak zeroshot` or `mayak evaluate --by generate`."))
]
PersonOption = Annotated[
    str | None,
    Parameter(help=msg("Whose labels these are (default: the user's name).")),
]
ListOption = Annotated[
    bool,
    Parameter(name="--list", negative="", help=msg("Print the unread answers and serve no page.")),
]


def answers(
    run: RunArgument = Path("evaluation_results_zeroshot"),
    *,
    reviewer: PersonOption = None,
    list_only: ListOption = False,
    port: PortOption = None,
    browser: BrowserOption = False,
) -> int:
    """Label the answers that the parser could not read, on a local page; Ctrl-C ends it.

    Keys 0 to 3 and - decide what an answer says, Backspace withdraws a label. The labels are kept
    with the run, and its results then state the accuracy with them.
    """
    from mayak.evaluation.unread import UnreadAnswers

    console = Console()
    unread = UnreadAnswers(run, reviewer or user())
    if list_only:
        _list(console, unread)
    elif unread.answers:
        from mayak.review import serve_answers

        logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
        ended = msg("Ctrl-C ends the page")
        with unread.session(), opening(console, browser, ended) as opened:
            serve_answers(unread, port=port, opened=opened, language=console.language)
    _show_bounds(console, unread)
    return 0


def _list(console: Console, unread: UnreadAnswers) -> None:
    """Print the answers, with the numbers that they have on the page."""
    shown = zip(unread.names, unread.answers, unread.labels, strict=True)
    for number, (name, answer, label) in enumerate(shown, 1):
        if label is None:
            said: str = msg("not labelled")
        else:
            said = msg("names no label") if label == UNCLASSIFIABLE else numbered_label(label)
        said = "“" + printable(answer) + "” → " + said
        console.result(f"{number}. {printable(name)}: " + said)


def _show_bounds(console: Console, unread: UnreadAnswers) -> None:
    labels = unread.labels
    console.result(
        msg(
            "{n} unread answers, {n_labelled} of them labelled by a person",
            n=len(labels),
            n_labelled=sum(label is not None for label in labels),
        )
    )
    if labels:
        show_bounds(console, unread.bounds)
