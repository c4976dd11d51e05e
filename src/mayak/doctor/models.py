"""Checks of the embedded model, the cache of the 7B model, and the offline switch."""

from __future__ import annotations

import importlib
import os
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Literal

from mayak.config import BASE_MODEL
from mayak.doctor.check import GB, Check, Machine, existing, reinstall
from mayak.language import tr

MODEL_DOWNLOAD = 15.2 * GB
"""Bytes of the published checkpoint: 7.57 billion parameters of two bytes."""


def embedded_model(_: Machine) -> Check:
    title = tr("embedded model", "내장 모델")
    folder = Path(str(files("mayak"))) / "model" / "nano"
    wanted = ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja")
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        detail = f"{folder}: " + tr("lacks ", "없는 파일: ") + ", ".join(missing)
        return Check("nano", title, "warning", detail, reinstall())
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    return Check("nano", title, "ok", f"nano, {size:.1f} MB", figures={"megabytes": round(size, 1)})


def model_cache(_: Machine) -> Check:
    title = tr("7B model", "7B 모델")
    try:
        cache = Path(importlib.import_module("huggingface_hub.constants").HF_HUB_CACHE)
    except Exception as error:  # noqa: BLE001 - a broken library may raise anything
        return Check("model", title, "warning", f"{type(error).__name__}: {error}", reinstall())
    state, lacks = cached(cache / ("models--" + BASE_MODEL.replace("/", "--")))
    figures = {"model": BASE_MODEL, "cache": str(cache), "state": state, "missing": lacks}
    if state == "complete":
        detail = tr(f"{BASE_MODEL} is in {cache}", f"{BASE_MODEL}이(가) {cache}에 있습니다")
        return Check("model", title, "ok", detail, figures=figures)
    if state == "partial":
        detail = tr(
            f"{BASE_MODEL} is only partly in {cache}: lacks {', '.join(lacks)}",
            f"{BASE_MODEL}의 일부만 {cache}에 있습니다. 없는 파일: {', '.join(lacks)}",
        )
    else:
        detail = tr(f"{BASE_MODEL} is not in {cache}", f"{BASE_MODEL}이(가) {cache}에 없습니다")
    return Check("model", title, "warning", detail, _fetch_model(cache), figures)


def cached(folder: Path) -> tuple[Literal["complete", "partial", "absent"], list[str]]:
    """Return whether the hub cache of one model has a complete snapshot, and what is missing."""
    snapshots = sorted(path for path in folder.glob("snapshots/*") if path.is_dir())
    if not snapshots:
        return "absent", []
    fewest: list[str] | None = None
    for snapshot in snapshots:
        present = {path.name for path in snapshot.iterdir() if path.exists()}
        lacks = [name for name in ("config.json",) if name not in present]
        shards = {name for name in present if name.endswith(".safetensors")}
        counts = {int(name[-17:-12]) for name in shards if "-of-" in name}
        total = max(counts, default=0)
        if not shards:
            lacks.append("model-*.safetensors")
        elif total:
            lacks += [
                f"model-{i:05}-of-{total:05}.safetensors"
                for i in range(1, total + 1)
                if f"model-{i:05}-of-{total:05}.safetensors" not in shards
            ]
        if fewest is None or len(lacks) < len(fewest):
            fewest = lacks
    return ("partial", fewest) if fewest else ("complete", [])


def _fetch_model(cache: Path) -> str:
    text = tr(
        f"with a network: `hf download {BASE_MODEL}` ({MODEL_DOWNLOAD / GB:.0f} GB). Air-gapped: "
        f"`hf download {BASE_MODEL} --local-dir DIR` elsewhere, copy DIR here, give --model DIR",
        f"인터넷이 되면 `hf download {BASE_MODEL}` ({MODEL_DOWNLOAD / GB:.0f} GB). 망분리 "
        f"환경이면 다른 곳에서 `hf download {BASE_MODEL} --local-dir DIR`로 받아 DIR을 이 "
        "컴퓨터에 복사하고 --model DIR로 지정하십시오",
    )
    free = shutil.disk_usage(existing(cache)).free
    if free < MODEL_DOWNLOAD:
        text += tr(
            f". Only {free / GB:.1f} GB are free there: set HF_HOME to a larger disk",
            f". 그 위치의 여유 공간은 {free / GB:.1f} GB뿐이므로 HF_HOME을 더 큰 디스크로 "
            "지정하십시오",
        )
    return text


def offline(_: Machine) -> Check:
    variables = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    on = [
        name for name in variables if os.environ.get(name, "").lower() in {"1", "true", "yes", "on"}
    ]
    if on:
        detail = tr(
            f"{on[0]} is set: nothing is ever downloaded",
            f"{on[0]} 설정됨: 아무것도 내려받지 않습니다",
        )
    else:
        detail = tr(
            "HF_HUB_OFFLINE is not set: a model given by hub id is looked for on the hub; set it "
            "to 1 on an air-gapped machine",
            "HF_HUB_OFFLINE이 설정되지 않음: 허브 이름으로 지정한 모델은 허브에서 찾습니다. "
            "망분리 환경에서는 1로 설정하십시오",
        )
    return Check("offline", tr("network", "네트워크"), "ok", detail, figures={"offline": bool(on)})
