"""Output of commands: notes and progress on stderr, results on stdout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from rich import console, markup

from mayak.errors import MayakError
from mayak.i18n import Language, join, msg, render
from mayak.names import printable

if TYPE_CHECKING:
    from rich import progress

    from mayak.types import Task

_PLAIN_INTERVAL_S = 10.0


class Console:
    """Writes notes and progress to stderr, results to stdout. Bars are drawn on terminals only."""

    language: Language = "en"
    """What the person at this terminal reads: one language for each process, which the command line
    sets. Messages are rendered in it; what is printed as JSON stays English."""

    def __init__(self) -> None:
        self._out = console.Console(highlight=False, soft_wrap=True)
        self._err = console.Console(stderr=True, highlight=False, soft_wrap=True)
        self._bars: progress.Progress | None = None
        """The display of all running tasks; a terminal can show only one at a time."""
        self._tasks = 0
        self._turn = Lock()

    def note(self, text: str) -> None:
        """Write a line to stderr."""
        self._err.print(self._shown(text), markup=False)

    @property
    def is_interactive(self) -> bool:
        """Whether somebody can be asked."""
        return sys.stdin.isatty() and self._err.is_terminal

    def ask(self, question: str) -> bool:
        """Ask a question on the terminal; whether the answer is yes."""
        self._err.print(self._shown(question) + " [y/N] ", markup=False, end="")
        return sys.stdin.readline().strip().casefold() in ("y", "yes", "예", "네")

    def error(self, error: MayakError) -> None:
        """Write an error and its remedy to stderr, one line each."""
        text = self._shown(msg("error: ") + error.message)
        self._err.print(text, style="bold red", markup=False)
        if error.remedy:
            self._err.print(self._shown(msg("remedy: ") + error.remedy), markup=False)

    def result(self, text: str, *, one_line: bool = False) -> None:
        """Write lines of the result to stdout.

        ``one_line``: a line break in the text is part of a name, and is spelt out.
        """
        shown = printable(render(text, self.language)) if one_line else self._shown(text)
        self._out.print(shown, markup=False)

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        text_columns: int = 1,
    ) -> None:
        """Write a table to stdout; the first ``text_columns`` are text, the others numbers."""
        from rich import table

        # A file's name may contain rich markup.
        drawn = table.Table(
            title=markup.escape(self._shown(title)), title_justify="left", show_edge=False
        )
        for position, column in enumerate(columns):
            justify: Literal["left", "right"] = "left" if position < text_columns else "right"
            drawn.add_column(markup.escape(self._shown(column)), justify=justify, overflow="fold")
        for row in rows:
            drawn.add_row(*(markup.escape(self._shown(cell)) for cell in row))
        self._out.print(drawn)

    def json(self, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Write a result for programs to stdout."""
        # Other encodings would escape missing characters in a way that is not valid JSON.
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        sys.stdout.write(json.dumps(value, ensure_ascii=not unicode, indent=2) + "\n")

    @contextmanager
    def task(self, name: str, total: int | None, unit: str) -> Iterator[Task]:
        """Show a task: an animated bar on a terminal, otherwise a line every ten seconds.

        Several threads may have tasks at once.
        """
        if self._err.is_terminal:
            bars = self._begin()
            try:
                yield _Bar(self, bars, name, total, unit)
            finally:
                self._end(bars)
        else:
            lines = _Lines(self, name, total, unit)
            yield lines
            lines.close()

    def _shown(self, text: str) -> str:
        """Return text in the terminal's language without control characters, except line breaks."""
        return "\n".join(map(printable, render(text, self.language).split("\n")))

    def _begin(self) -> progress.Progress:
        from rich import progress

        with self._turn:
            if self._bars is None:
                self._bars = progress.Progress(
                    progress.TextColumn("{task.description}"),
                    progress.BarColumn(),
                    progress.MofNCompleteColumn(),
                    progress.TextColumn("{task.fields[rate]}"),
                    progress.TimeRemainingColumn(),
                    progress.TextColumn("{task.fields[figures]}"),
                    console=self._err,
                )
                self._bars.start()
            self._tasks += 1
            return self._bars

    def _end(self, bars: progress.Progress) -> None:
        with self._turn:
            self._tasks -= 1
            if not self._tasks:
                self._bars = None
                bars.stop()


class _Rate:
    """Counts steps, and steps per second since the start."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.started = time.monotonic()
        self.done = 0

    def advance(self, steps: int) -> str:
        self.done += steps
        elapsed = max(time.monotonic() - self.started, 1e-9)
        return msg("{rate:.1f} {unit}/s", rate=self.done / elapsed, unit=self.unit)


class _Bar:
    def __init__(
        self, console: Console, bars: progress.Progress, name: str, total: int | None, unit: str
    ) -> None:
        self._bars, self._rate = bars, _Rate(unit)
        self._language = console.language
        self._id = bars.add_task(render(name, self._language), total=total, rate="", figures="")

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        rate = render(self._rate.advance(steps), self._language)
        shown = render(_figures(figures), self._language)
        self._bars.update(self._id, advance=steps, rate=rate, figures=shown)

    def expect(self, total: int) -> None:
        self._bars.update(self._id, total=total)


class _Lines:
    def __init__(self, console: Console, name: str, total: int | None, unit: str) -> None:
        self._console, self._name, self._total = console, name, total
        self._rate = _Rate(unit)
        self._shown = time.monotonic()
        self._last = ""

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        rate = self._rate.advance(steps)
        of = f"/{self._total}" if self._total is not None else ""
        self._last = self._name + f" {self._rate.done}{of} · " + rate + self._eta()
        if figures:
            self._last += " · " + _figures(figures)
        if time.monotonic() - self._shown >= _PLAIN_INTERVAL_S:
            self._console.note(self._last)
            self._shown = time.monotonic()

    def expect(self, total: int) -> None:
        self._total = total

    def _eta(self) -> str:
        if not self._total or not self._rate.done:
            return ""
        elapsed = time.monotonic() - self._rate.started
        left = elapsed / self._rate.done * max(self._total - self._rate.done, 0)
        return msg(" · ETA {left:.0f} s", left=left)

    def close(self) -> None:
        if self._last:
            self._console.note(self._last)


def _figures(figures: dict[str, float | str]) -> str:
    return join(
        " · ",
        [
            name + (f": {value:.4g}" if isinstance(value, float) else ": " + value)
            for name, value in figures.items()
        ],
    )
