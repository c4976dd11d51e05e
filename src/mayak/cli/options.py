"""Options that several commands share, and the one check of their ranges."""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from mayak.config import BASE_MODEL, Precision
from mayak.errors import ConfigError, ModelError
from mayak.i18n import message_of, msg, system_error
from mayak.untrusted import RECORD_BYTES, read_file, read_json

_MAX_PASSWORD_BYTES = 1 << 20
_MAX_PASSWORDS = 1000
"""Passwords of a file: one can take seconds for each container."""


def at_least(name: str, least: float) -> Callable[[object, float | None], None]:
    """Return a validator for the value of an option: no smaller than ``least``, or not given.

    All commands check the ranges of their numbers with it. The validator raises ConfigError.
    """

    def check(_: object, value: float | None) -> None:
        if value is not None and value < least:
            raise ConfigError(
                msg("{name} is {value}", name=name, value=value),
                remedy=msg("use {least} or more", least=least),
            )

    return check


ModelOption = Annotated[
    str | None,
    Parameter(
        help=msg(
            "Base model: hub id, local folder or nano (default: the adapter's, else the paper's)."
        )
    ),
]
OwnModelOption = Annotated[
    str | None,
    Parameter(help=msg("Base model: hub id, local folder or nano (default: the adapter's own).")),
]
AdapterOption = Annotated[
    Path | None,
    Parameter(help=msg("Adapter that `mayak train` made (default: none, the base model).")),
]
OwnAdapterOption = Annotated[
    Path,
    Parameter(help=msg("Adapter that `mayak train` made.")),
]
BatchSizeOption = Annotated[
    int,
    Parameter(
        validator=at_least("--batch-size", 1),
        help=msg("Images at once."),
    ),
]
PrecisionOption = Annotated[
    Precision,
    Parameter(
        help=msg(
            "Of the base's weights; auto is nf4, as in the paper. fp8 must first agree with bf16: "
            "`mayak evaluate --precision fp8` compares them."
        )
    ),
]
DeviceOption = Annotated[
    str,
    Parameter(help=msg("auto (the first GPU, or the CPU), cpu, cuda, cuda:1 …")),
]
JsonOption = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        help=msg("Print the result as JSON."),
    ),
]
PasswordFileOption = Annotated[
    Path | None,
    Parameter(
        help=msg(
            "File with the passwords of encrypted containers, one a line (UTF-8). Neither they nor "
            "its name are recorded."
        )
    ),
]
CaseOption = Annotated[Path, Parameter(help=msg("The case's folder."))]
OperatorOption = Annotated[
    str | None,
    Parameter(help=msg("Who is working, for the case's log (default: the user's name).")),
]


def base_of(adapter: Path | None, model: str | None) -> tuple[str, str | None]:
    """Return name and revision of the base model to load: ``model``, or the adapter's own.

    The adapter's ``run.json`` (mayak's) is preferred to its ``adapter_config.json`` (PEFT's).
    Without an adapter the default is the paper's model.

    Raises:
        ModelError: there is no adapter in the folder.
        ConfigError: the adapter does not name its base model, or cannot be read.
    """
    if adapter is None:
        return model or BASE_MODEL, None
    config = _json(adapter / "adapter_config.json")
    if config is None:
        raise ModelError(
            msg("there is no adapter in {adapter}", adapter=adapter),
            remedy=msg(
                "run `mayak train` first, or name its final_model_checkpoint folder with --adapter"
            ),
        )
    if model is not None:
        return model, None
    recorded = (_json(adapter / "run.json") or {}).get("base_model")
    recorded = recorded if isinstance(recorded, dict) else {}
    name = recorded.get("name") or config.get("base_model_name_or_path")
    if not name:
        raise ConfigError(
            msg("{adapter} does not name its base model", adapter=adapter),
            remedy=msg("name it with --model"),
        )
    return str(name), recorded.get("revision") or config.get("revision")


def read_passwords(path: Path | None) -> tuple[str, ...]:
    """Return the passwords in a file, without empty lines; none without a file.

    Raises:
        ConfigError: it cannot be read, is not in UTF-8, has no password, or more than are tried.
    """
    if path is None:
        return ()
    try:
        data = read_file(path, _MAX_PASSWORD_BYTES)
    except (OSError, ValueError) as error:
        why = system_error(error) if isinstance(error, OSError) else message_of(error)
        raise ConfigError(
            msg("password file {path}: cannot be read ({why})", path=path, why=why),
            remedy=msg("check the path and your rights to it"),
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Neither the error nor its cause is shown: they hold bytes of the file.
        raise ConfigError(
            msg("password file {path}: is not in UTF-8", path=path),
            remedy=msg("save it in UTF-8"),
        ) from None
    passwords = tuple(dict.fromkeys(line for line in re.split("\r?\n", text) if line))
    if not passwords:
        raise ConfigError(
            msg("password file {path}: has no password", path=path),
            remedy=msg("write one a line"),
        )
    if len(passwords) > _MAX_PASSWORDS:
        raise ConfigError(
            msg(
                "password file {path}: has {n:,} passwords, more than {limit:,}",
                path=path,
                n=len(passwords),
                limit=_MAX_PASSWORDS,
            ),
            remedy=msg("each may take seconds for each container: keep the likely ones"),
        )
    return passwords


def user() -> str:
    """Return the name of the logged-in user.

    Raises:
        ConfigError: the user has no name.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:  # in a container, a user may have no name
        raise ConfigError(msg("the user has no name"), remedy="--operator NAME") from error


def _json(path: Path) -> dict[str, Any] | None:
    """Return a JSON object; None if there is no such file.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        found = read_json(path, RECORD_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(msg("{path} cannot be read ({error})", path=path, error=error)) from error
    return found if isinstance(found, dict) else {}
