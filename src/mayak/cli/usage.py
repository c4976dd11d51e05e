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
from mayak.language import tr

_WANTED: dict[object, str] = {
    int: "정수를 쓰십시오",
    float: "수를 쓰십시오",
    datetime: "날짜를 2026-01-31 또는 2026-01-31T18:00처럼 쓰십시오",
}
"""By the type of an option."""


def usage_error(error: CycloptsError) -> ConfigError:
    """Return the error in the language of the user, with the help that explains the option."""
    if isinstance(error.__cause__, ConfigError):  # a validator of ours, see options.at_least
        return error.__cause__
    error.verbose = False  # otherwise it starts with names of internal functions
    english = str(error)
    if not english.endswith("..."):
        english = english.removesuffix(".")
    command = " ".join(("mayak", *(error.command_chain or ())))
    return ConfigError(
        tr(english, _in_korean(error)),
        remedy=tr(f"see `{command} --help`", f"`{command} --help`를 보십시오"),
    )


def _in_korean(error: CycloptsError) -> str:
    name = error.argument.name if error.argument is not None else ""
    match error:
        case MissingArgumentError():
            return f"{error.keyword or name}의 값이 필요합니다"
        case UnknownOptionError():
            given = error.token.keyword or error.token.value
            known = [n for argument in error.argument_collection for n in argument.names]
            return f"알 수 없는 옵션입니다: {given}{_perhaps(given, known)}"
        case UnknownCommandError() if error.unused_tokens:
            given = error.unused_tokens[0]
            known = list(error.app) if error.app is not None else []
            return f"알 수 없는 명령입니다: {given}{_perhaps(given, known)}"
        case UnusedCliTokensError() if error.unused_tokens:
            return f"인수가 너무 많습니다: {' '.join(error.unused_tokens)}"
        case RepeatArgumentError():
            return f"{error.token.keyword}이(가) 두 번 이상 지정되었습니다"
        case CoercionError() if error.token is not None:
            choices = ", ".join(map(str, get_args(error.target_type)))
            wanted = f"가능한 값: {choices}" if choices else _WANTED.get(error.target_type)
            which = f" ({wanted})" if wanted else ""
            given = error.token.value
            return f"{error.token.keyword or name}: 쓸 수 없는 값입니다: {given}{which}"
        case _:
            return str(error)


def _perhaps(given: str, known: list[str]) -> str:
    near = get_close_matches(given, known, n=1)
    return f" ({near[0]}?)" if near else ""
