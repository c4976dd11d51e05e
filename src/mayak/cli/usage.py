"""Turns errors of the command line's parser into errors of mayak."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from typing import get_args

from cyclopts import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from mayak.errors import ConfigError
from mayak.i18n import Message, msg

_WANTED: dict[object, Message] = {
    int: msg("give an integer"),
    float: msg("give a number"),
    datetime: msg("give a date like 2026-01-31 or 2026-01-31T18:00"),
}
"""By the type of an option."""


def usage_error(error: CycloptsError) -> ConfigError:
    """Return what the parser found wrong as an error with a remedy."""
    if isinstance(error.__cause__, ConfigError):  # a validator of ours, see options.at_least
        return error.__cause__
    error.verbose = False  # otherwise it starts with names of internal functions
    command = " ".join(("mayak", *(error.command_chain or ())))
    return ConfigError(_message(error), remedy=msg("see `{command} --help`", command=command))


def _message(error: CycloptsError) -> str:
    name = error.argument.name if error.argument is not None else ""
    match error:
        case MissingArgumentError():
            return msg("{name} requires a value", name=error.keyword or name)
        case UnknownOptionError():
            given = error.token.keyword or error.token.value
            known = [n for argument in error.argument_collection for n in argument.names]
            return msg("unknown option: {given}", given=given) + _perhaps(given, known)
        case UnknownCommandError() if error.unused_tokens:
            given = error.unused_tokens[0]
            known = list(error.app) if error.app is not None else []
            return msg("unknown command: {given}", given=given) + _perhaps(given, known)
        case UnusedCliTokensError() if error.unused_tokens:
            return msg("too many arguments: {given}", given=" ".join(error.unused_tokens))
        case RepeatArgumentError():
            return msg("{name} is given more than once", name=error.token.keyword)
        case CoercionError() if error.token is not None:
            choices = ", ".join(map(str, get_args(error.target_type)))
            wanted: Message | None = (
                msg("choose from: {choices}", choices=choices)
                if choices
                else _WANTED.get(error.target_type)
            )
            invalid = msg(
                "{name}: invalid value: {given}",
                name=error.token.keyword or name,
                given=error.token.value,
            )
            return invalid if wanted is None else invalid + " (" + wanted + ")"
        case _:
            return str(error).removesuffix(".")


def _perhaps(given: str, known: list[str]) -> str:
    near = get_close_matches(given, known, n=1)
    return msg(". Did you mean {near}?", near=near[0]) if near else ""
