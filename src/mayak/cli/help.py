"""The help pages of the command line in another language than English."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve
from cyclopts.help import HelpEntry, HelpPanel, InlineText
from cyclopts.help.formatters import DefaultFormatter
from cyclopts.help.specs import get_default_parameter_columns
from rich.text import Text

from mayak.i18n import Language, join, msg, render

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

FRAME = {
    str(text): text
    for text in (
        msg("Arguments"),
        msg("Commands"),
        msg("Options"),
        msg("Parameters"),
        msg("Display application version."),
        msg("Display this message and exit."),
        msg("COMMAND"),
        msg("[ARGS]"),
        msg("[ARGS...]"),
        msg("[OPTIONS]"),
    )
}
"""What cyclopts adds to our texts. Both reach a formatter as plain English."""


class TranslatedFormatter:
    """Shows cyclopts's help pages in a language, laid out as in English."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._commands = DefaultFormatter()
        self._parameters = DefaultFormatter(column_specs=_columns)

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        entries = [self._translated(entry) for entry in panel.entries]
        formatter = self._commands if panel.format == "command" else self._parameters
        formatter(console, options, panel.copy(title=self._looked_up(panel.title), entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:  # noqa: ANN401, ARG002
        # Names of commands and options stay: they may be words that mean something else.
        usage = join(" ", [FRAME.get(word, word) for word in str(usage).split()])
        console.print(Text(self._rendered(msg("Usage: {usage}", usage=usage)), style="bold"))
        console.print()

    def render_description(self, console: Console, options: ConsoleOptions, text: Any) -> None:  # noqa: ANN401, ARG002
        console.print(Text(self._looked_up(text)))
        console.print()

    def _translated(self, entry: HelpEntry) -> HelpEntry:
        described = InlineText(Text(self._looked_up(entry.description)))
        if entry.choices:
            self._append(described, msg("[choices: {choices}]", choices=", ".join(entry.choices)))
        if entry.default is not None:
            self._append(described, msg("[default: {default}]", default=entry.default))
        if entry.required:
            self._append(described, msg("[required]"))
        return evolve(entry, description=described)

    def _append(self, text: InlineText, more: str) -> None:
        text.append(Text(self._rendered(more), style="dim"))

    def _looked_up(self, english: object) -> str:
        """The wording of a plain English text in the catalogue."""
        text = english.primary_renderable if isinstance(english, InlineText) else english
        plain = text.plain if isinstance(text, Text) else str(text or "")
        return self._rendered(msg(plain.strip().replace("{", "{{").replace("}", "}}")))

    def _rendered(self, text: str) -> str:
        return render(text, self._language)


def _columns(console: Console, options: ConsoleOptions, entries: list[HelpEntry]) -> Any:  # noqa: ANN401
    *others, description = get_default_parameter_columns(console, options, entries)
    return (*others, evolve(description, renderer="description"))
