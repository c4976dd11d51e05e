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
from mayak.i18n import msg

MODEL_DOWNLOAD = 15.2 * GB
"""Bytes of the published checkpoint: 7.57 billion parameters of two bytes."""


def embedded_model(_: Machine) -> Check:
    title = msg("embedded model")
    folder = Path(str(files("mayak"))) / "model" / "nano"
    wanted = ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja")
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        detail = f"{folder}: " + msg("lacks {missing}", missing=", ".join(missing))
        return Check("nano", title, "warning", detail, reinstall())
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    return Check("nano", title, "ok", f"nano, {size:.1f} MB", figures={"megabytes": round(size, 1)})


def model_cache(_: Machine) -> Check:
    title = msg("7B model")
    try:
        cache = Path(importlib.import_module("huggingface_hub.constants").HF_HUB_CACHE)
    except Exception as error:  # noqa: BLE001 - a broken library may raise anything
        return Check("model", title, "warning", f"{type(error).__name__}: {error}", reinstall())
    state, lacks = cached(cache / ("models--" + BASE_MODEL.replace("/", "--")))
    figures = {"model": BASE_MODEL, "cache": str(cache), "state": state, "missing": lacks}
    if state == "complete":
        detail = msg("{base_model} is in {cache}", base_model=BASE_MODEL, cache=cache)
        return Check("model", title, "ok", detail, figures=figures)
    if state == "partial":
        detail = msg(
            "{base_model} is only partly in {cache}: lacks {lacks}",
            base_model=BASE_MODEL,
            cache=cache,
            lacks=", ".join(lacks),
        )
    else:
        detail = msg("{base_model} is not in {cache}", base_model=BASE_MODEL, cache=cache)
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
    text = msg(
        "with a network: `hf download {base_model}` ({model_download:.0f} GB). Air-gapped: `hf "
        "download {base_model} --local-dir DIR` elsewhere, copy DIR here, give --model DIR",
        base_model=BASE_MODEL,
        model_download=MODEL_DOWNLOAD / GB,
    )
    free = shutil.disk_usage(existing(cache)).free
    if free < MODEL_DOWNLOAD:
        text += msg(
            ". Only {free:.1f} GB are free there: set HF_HOME to a larger disk", free=free / GB
        )
    return text


def offline(_: Machine) -> Check:
    variables = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    on = [
        name for name in variables if os.environ.get(name, "").lower() in {"1", "true", "yes", "on"}
    ]
    if on:
        detail = msg("{on} is set: nothing is ever downloaded", on=on[0])
    else:
        detail = msg(
            "HF_HUB_OFFLINE is not set: a model given by hub id is looked for on the hub; set it "
            "to 1 on an air-gapped machine"
        )
    return Check("offline", msg("network"), "ok", detail, figures={"offline": bool(on)})
