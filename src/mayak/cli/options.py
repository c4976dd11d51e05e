"""Options that several commands share, and the one check of their ranges."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from mayak.config import BASE_MODEL, Precision
from mayak.errors import ConfigError, ModelError
from mayak.language import tr
from mayak.untrusted import RECORD_BYTES, read_json


def at_least(name: str, least: float) -> Callable[[object, float | None], None]:
    """Return a validator for the value of an option: no smaller than ``least``, or not given.

    All commands check the ranges of their numbers with it. The validator raises ConfigError.
    """

    def check(_: object, value: float | None) -> None:
        if value is not None and value < least:
            raise ConfigError(
                tr(f"{name} is {value}", f"{name}이(가) {value}입니다"),
                remedy=tr(f"use {least} or more", f"{least} 이상을 쓰십시오"),
            )

    return check


ModelOption = Annotated[
    str | None,
    Parameter(
        help=tr(
            "Base model: hub id, local folder or nano (default: the adapter's, else the paper's).",
            "기본 모델: 허브 이름, 폴더 또는 nano (기본: 어댑터의 모델 또는 논문의 모델).",
        )
    ),
]
OwnModelOption = Annotated[
    str | None,
    Parameter(
        help=tr(
            "Base model: hub id, local folder or nano (default: the adapter's own).",
            "기본 모델: 허브 이름, 폴더 또는 nano (기본: 어댑터에 기록된 모델).",
        )
    ),
]
AdapterOption = Annotated[
    Path | None,
    Parameter(
        help=tr(
            "Adapter that `mayak train` made (default: none, the untouched model).",
            "`mayak train`이 만든 어댑터 폴더 (기본: 없음, 손대지 않은 모델).",
        )
    ),
]
OwnAdapterOption = Annotated[
    Path,
    Parameter(help=tr("Adapter that `mayak train` made.", "`mayak train`이 만든 어댑터 폴더.")),
]
BatchSizeOption = Annotated[
    int,
    Parameter(
        validator=at_least("--batch-size", 1),
        help=tr("Images at once.", "한 번에 처리할 이미지 수."),
    ),
]
PrecisionOption = Annotated[
    Precision,
    Parameter(
        help=tr(
            "Of the base's weights; auto is nf4, as in the paper. fp8 must first agree with bf16: "
            "`mayak evaluate --precision fp8` compares them.",
            "기본 모델 가중치의 정밀도. auto는 논문과 같은 nf4. fp8은 먼저 `mayak evaluate "
            "--precision fp8`로 bf16과 일치하는지 확인해야 합니다.",
        )
    ),
]
DeviceOption = Annotated[
    str,
    Parameter(
        help=tr(
            "auto (the first GPU, or the CPU), cpu, cuda, cuda:1 …",
            "auto(첫 GPU, 없으면 CPU), cpu, cuda, cuda:1 …",
        )
    ),
]
JsonOption = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        help=tr("Print the result as JSON.", "결과를 JSON으로 출력합니다."),
    ),
]
CaseOption = Annotated[Path, Parameter(help=tr("The case's folder.", "사건 폴더."))]
OperatorOption = Annotated[
    str | None,
    Parameter(
        help=tr(
            "Who is working, for the case's log (default: the user's name).",
            "작업자 이름. 사건 기록에 남습니다 (기본: 사용자 이름).",
        )
    ),
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
            tr(f"there is no adapter in {adapter}", f"{adapter}에 어댑터가 없습니다"),
            remedy=tr(
                "run `mayak train` first, or name its final_model_checkpoint folder with --adapter",
                "먼저 `mayak train`을 실행하거나 --adapter로 final_model_checkpoint 폴더를 "
                "지정하십시오",
            ),
        )
    if model is not None:
        return model, None
    recorded = (_json(adapter / "run.json") or {}).get("base_model")
    recorded = recorded if isinstance(recorded, dict) else {}
    name = recorded.get("name") or config.get("base_model_name_or_path")
    if not name:
        raise ConfigError(
            tr(
                f"{adapter} does not say which base model it was made for",
                f"{adapter}에 기본 모델이 기록되어 있지 않습니다",
            ),
            remedy=tr("name it with --model", "--model로 지정하십시오"),
        )
    return str(name), recorded.get("revision") or config.get("revision")


def user() -> str:
    """Return the name of the logged-in user.

    Raises:
        ConfigError: the user has no name.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:  # in a container, a user may have no name
        raise ConfigError(
            tr("the user has no name", "사용자 이름을 알 수 없습니다"), remedy="--operator NAME"
        ) from error


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
        raise ConfigError(
            tr(f"{path} cannot be read ({error})", f"{path}을(를) 읽을 수 없습니다({error})")
        ) from error
    return found if isinstance(found, dict) else {}
