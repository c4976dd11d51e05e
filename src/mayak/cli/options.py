"""Options that several commands have, and what they stand for."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from mayak.config import Precision
from mayak.errors import ConfigError, ModelError
from mayak.i18n import msg
from mayak.untrusted import RECORD_BYTES, read_json

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
    Parameter(help=msg("Adapter that `mayak train` made (default: none, the untouched model).")),
]
OwnAdapterOption = Annotated[
    Path,
    Parameter(help=msg("Adapter that `mayak train` made.")),
]
ImagesOption = Annotated[int, Parameter(help=msg("Images at once."))]
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
CaseOption = Annotated[Path, Parameter(help=msg("The case's folder."))]
OperatorOption = Annotated[
    str | None,
    Parameter(help=msg("Who is working, for the case's log (default: the user's name).")),
]


def base_of(adapter: Path, model: str | None) -> tuple[str, str | None]:
    """Name and revision of the base model of an adapter, as recorded beside it, or ``model``.

    ``run.json`` (ours) is preferred to ``adapter_config.json`` (PEFT's). Raises ModelError where
    there is no adapter, and ConfigError where it does not say what it was made for.
    """
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
            msg("{adapter} does not say which base model it was made for", adapter=adapter),
            remedy=msg("name it with --model"),
        )
    return str(name), recorded.get("revision") or config.get("revision")


def user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:  # a container's user without a name
        raise ConfigError(msg("the user has no name"), remedy="--operator NAME") from error


def _json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is no such file. Raises ConfigError for another one."""
    try:
        found = read_json(path, RECORD_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(msg("{path} cannot be read ({error})", path=path, error=error)) from error
    return found if isinstance(found, dict) else {}
