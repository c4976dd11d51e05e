"""What this machine has and lacks for mayak, each lack with its remedy; asks no network.

Nothing here imports torch into this process: a broken build of it may kill the process that
imports it, so a child does and reports step by step.
"""

from __future__ import annotations

import importlib
import io
import logging
import multiprocessing
import os
import platform
import shutil
import sqlite3
import struct
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import psutil
from PIL import Image, ImageFont

from mayak.config import BASE_MODEL
from mayak.errors import MayakError
from mayak.fonts import FONTS, font_path
from mayak.i18n import join, msg
from mayak.imaging import decode
from mayak.imaging.formats import reads

Status = Literal["ok", "warning", "fault"]

GB = 1e9
SMALLEST_MEMORY = 4 * GB
"""Bytes of RAM below which training even the embedded model is tight beside a desktop."""
MODEL_DOWNLOAD = 15.2 * GB
"""Bytes of the published checkpoint: 7.57 billion parameters of two bytes."""
_SMALLEST_DISK = 2 * GB
_PROBE_TIMEOUT_S = 180.0
_LIBRARIES = ("torchvision", "transformers", "peft", "lightning", "sklearn", "matplotlib")
_KOREAN = "한글 마약 대화 0123"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. ``fault``: some of prepare, train, evaluate, zeroshot, compare cannot run at
    all; ``warning``: a mode or a format is missing."""

    name: str
    title: str
    status: Status
    detail: str
    remedy: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mode:
    """A way of working and the GPU memory that it needs, in bytes; 0 needs no GPU."""

    name: str
    title: str
    memory: float
    quantised: bool


def modes() -> tuple[Mode, ...]:
    """The ways of working, the least demanding first.

    Needs are for the 7B model's shape with full AnyRes images at batch 1 and gradient
    checkpointing. nf4 training is measured (benchmarks/LOG.md); the others are the weights (4.9 GB
    in nf4, 15.1 GB in bf16) and room for activations, rounded up to what cards are sold with.
    """
    return (
        Mode("nano-cpu", msg("nano on the CPU"), 0, quantised=False),
        Mode("nf4-inference", msg("7B inference, nf4"), 7.5 * GB, quantised=True),
        Mode("nf4-training", msg("7B training, nf4"), 9 * GB, quantised=True),
        Mode("bf16-inference", msg("7B inference, bf16"), 19 * GB, quantised=False),
        Mode("bf16-training", msg("7B training, bf16"), 23 * GB, quantised=False),
    )


def diagnose(folder: Path) -> list[Check]:
    """Every check, in the order in which they build on each other.

    ``folder`` is where data and outputs would lie. Raises nothing for what is broken: that is a
    finding.
    """
    found = probe()
    return [
        _python(),
        _torch(found),
        _libraries(found),
        _gpu(found),
        _bf16(found),
        _bitsandbytes(found),
        _embedded_model(),
        _model_cache(),
        _offline(),
        _fonts(),
        _codecs(),
        _processor(),
        _memory(),
        _disk(folder),
        _sqlite(sqlite3.sqlite_version_info),
    ]


def usable_modes(checks: Iterable[Check]) -> list[tuple[Mode, bool]]:
    """Each mode and whether it runs with the largest GPU of these checks."""
    by_name = {check.name: check for check in checks}
    if any(check.status == "fault" for check in by_name.values()):
        return [(mode, False) for mode in modes()]
    embedded = by_name["nano"].status == "ok"
    four_bit = by_name["bitsandbytes"].status == "ok"
    gpus = [gpu for gpu in by_name["gpu"].figures.get("gpus", []) if gpu["bf16"]]
    largest = max((gpu["memory"] for gpu in gpus), default=0)
    return [
        (mode, mode.memory <= largest and (four_bit or not mode.quantised))
        if mode.memory
        else (mode, embedded)
        for mode in modes()
    ]


# What the child process does ---------------------------------------------------------------------


def probe(steps: tuple[str, ...] = ("torch", "libraries", "gpu", "bitsandbytes")) -> dict[str, Any]:
    """What a child process reports of each step: a value, or ``{"error": text}``.

    A step over which the child died or hung says so; the steps after it are tried in another.
    """
    found: dict[str, Any] = {}
    left = list(steps)
    context = multiprocessing.get_context("spawn")
    while left:
        receiver, sender = context.Pipe(duplex=False)
        child = context.Process(target=_report, args=(sender, tuple(left)), daemon=True)
        child.start()
        sender.close()
        try:
            while left and receiver.poll(_PROBE_TIMEOUT_S):
                found[left[0]] = receiver.recv()
                del left[0]
        except EOFError:
            pass
        child.join(timeout=1)
        if left:
            how = "did not answer" if child.is_alive() else f"ended with code {child.exitcode}"
            child.kill()
            found[left.pop(0)] = {"error": f"the process that tried it {how}"}
        receiver.close()
    return found


def _report(sender: Connection, steps: tuple[str, ...]) -> None:
    # Libraries log of optional parts that they did not find; the findings are told below.
    logging.disable(logging.WARNING)
    for step in steps:
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                answer = _STEPS[step]()
            answer["warnings"] = [str(warning.message) for warning in caught]
        except Exception as error:  # noqa: BLE001 - whatever a broken library raises is the finding
            answer = {"error": f"{type(error).__name__}: {error}"}
        sender.send(answer)


def _probe_torch() -> dict[str, Any]:
    torch = importlib.import_module("torch")
    return {"version": torch.__version__, "cuda": torch.version.cuda}


def _probe_libraries() -> dict[str, Any]:
    found: dict[str, Any] = {"versions": {}, "broken": {}}
    for name in _LIBRARIES:
        try:
            library = importlib.import_module(name)
            if name == "transformers":
                # The top module is lazy: only this loads the model's code.
                library.LlavaNextForConditionalGeneration  # noqa: B018
            found["versions"][name] = library.__version__
        except Exception as error:  # noqa: BLE001 - as above
            found["broken"][name] = f"{type(error).__name__}: {error}"
    return found


def _probe_gpu() -> dict[str, Any]:
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        return {"gpus": []}
    gpus = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        free, total = torch.cuda.mem_get_info(index)
        with torch.cuda.device(index):
            wide = torch.cuda.is_bf16_supported(including_emulation=False)
        gpus.append({"name": properties.name, "memory": total, "free": free, "bf16": wide})
    return {"gpus": gpus}


def _probe_bitsandbytes() -> dict[str, Any]:
    torch = importlib.import_module("torch")
    library = importlib.import_module("bitsandbytes")
    functional = importlib.import_module("bitsandbytes.functional")
    devices = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    for device in devices:
        values = torch.linspace(-1, 1, 256, device=device).reshape(4, 64)
        packed, state = functional.quantize_4bit(values, quant_type="nf4")
        back = functional.dequantize_4bit(packed, state)
        # The widest gap between two of NF4's 16 values, -1 and -0.696, halved.
        if (worst := float((back - values).abs().max())) > 0.153:
            raise ArithmeticError(f"nf4 on {device} is off by {worst:.3f}")
    return {"version": library.__version__, "devices": devices}


_STEPS: dict[str, Callable[[], dict[str, Any]]] = {
    "torch": _probe_torch,
    "libraries": _probe_libraries,
    "gpu": _probe_gpu,
    "bitsandbytes": _probe_bitsandbytes,
}


# What is made of it ------------------------------------------------------------------------------


def _reinstall() -> str:
    return msg(
        "install again: `make setup` in the source folder, or `pip install -c constraints.txt .`"
    )


def _python() -> Check:
    version = platform.python_version()
    bits = struct.calcsize("P") * 8
    detail = f"{version}, {bits} bit, {platform.system()} {platform.machine()}"
    good = sys.version_info >= (3, 11) and bits == 64
    return Check(
        "python",
        "Python",
        "ok" if good else "fault",
        detail,
        "" if good else msg("use 64-bit Python 3.11 or newer"),
        {"version": version, "bits": bits},
    )


def _torch(found: dict[str, Any]) -> Check:
    report = found["torch"]
    if "error" in report:
        detail = msg("cannot be loaded: ") + report["error"]
        return Check("torch", "PyTorch", "fault", detail, _reinstall())
    build = f"CUDA {report['cuda']}" if report["cuda"] else "CPU"
    detail = f"{report['version']} ({build})"
    return Check("torch", "PyTorch", "ok", detail, figures=_pick(report, "version", "cuda"))


def _libraries(found: dict[str, Any]) -> Check:
    title = msg("libraries")
    report = found["libraries"]
    broken = report.get("broken", {"all": report.get("error", "")})
    if broken:
        detail = "; ".join(f"{name}: {error}" for name, error in broken.items())
        return Check("libraries", title, "fault", detail, _reinstall(), {"broken": broken})
    versions = report["versions"]
    detail = ", ".join(f"{name} {version}" for name, version in versions.items())
    return Check("libraries", title, "ok", detail, figures={"versions": versions})


def _gpu(found: dict[str, Any]) -> Check:
    report = found["gpu"]
    if gpus := report.get("gpus"):
        detail = join(
            "; ",
            [
                msg(
                    "{name}, {memory:.1f} GB ({free:.1f} GB free)",
                    name=gpu["name"],
                    memory=gpu["memory"] / GB,
                    free=gpu["free"] / GB,
                )
                for gpu in gpus
            ],
        )
        return Check("gpu", "GPU", "ok", detail, figures={"gpus": gpus})
    detail = msg("none: the embedded model runs on the CPU, the 7B model is too slow there")
    reasons = report.get("warnings", []) + ([report["error"]] if "error" in report else [])
    if reasons:
        detail += f" ({'; '.join(reasons)})"
    if shutil.which("nvidia-smi"):
        built = found["torch"].get("cuda")
        remedy = msg(
            "nvidia-smi is here, yet PyTorch (built for CUDA {built}) sees no GPU: update the "
            "NVIDIA driver, or install the PyTorch build that suits it",
            built=built,
        )
    else:
        remedy = msg(
            "for the 7B model use a machine with an NVIDIA GPU of 9 GB or more and its driver"
        )
    return Check("gpu", "GPU", "warning", detail, remedy, {"gpus": []})


def _bf16(found: dict[str, Any]) -> Check:
    gpus = found["gpu"].get("gpus", [])
    without = [gpu["name"] for gpu in gpus if not gpu["bf16"]]
    if without:
        detail = msg("not on ") + ", ".join(without)
        remedy = msg("use a GPU of compute capability 8.0 (Ampere) or newer, or --device cpu")
        return Check("bf16", "bfloat16", "warning", detail, remedy)
    detail = msg("on every GPU") if gpus else msg("no GPU; the CPU computes in fp32")
    return Check("bf16", "bfloat16", "ok", detail)


def _bitsandbytes(found: dict[str, Any]) -> Check:
    report = found["bitsandbytes"]
    if "error" in report:
        detail = msg("4-bit weights do not work: ") + report["error"]
        remedy = _reinstall() + msg("; until then give --precision bf16 or fp32")
        return Check("bitsandbytes", "bitsandbytes", "warning", detail, remedy)
    where = ", ".join(report["devices"])
    detail = report["version"] + msg(", nf4 works on {where}", where=where)
    figures = _pick(report, "version", "devices")
    return Check("bitsandbytes", "bitsandbytes", "ok", detail, figures=figures)


def _embedded_model() -> Check:
    title = msg("embedded model")
    folder = Path(str(files("mayak"))) / "model" / "nano"
    wanted = ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja")
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        detail = f"{folder}: " + msg("lacks {missing}", missing=", ".join(missing))
        return Check("nano", title, "warning", detail, _reinstall())
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    return Check("nano", title, "ok", f"nano, {size:.1f} MB", figures={"megabytes": round(size, 1)})


def _model_cache() -> Check:
    title = msg("7B model")
    try:
        cache = Path(importlib.import_module("huggingface_hub.constants").HF_HUB_CACHE)
    except Exception as error:  # noqa: BLE001 - whatever a broken library raises is the finding
        return Check("model", title, "warning", f"{type(error).__name__}: {error}", _reinstall())
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
    """Whether a snapshot of the hub's cache folder of one model is whole, and what it lacks."""
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
    free = shutil.disk_usage(_existing(cache)).free
    if free < MODEL_DOWNLOAD:
        text += msg(
            ". Only {free:.1f} GB are free there: set HF_HOME to a larger disk", free=free / GB
        )
    return text


def _offline() -> Check:
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


def _fonts() -> Check:
    title = msg("Korean fonts")
    faults: list[str] = []
    for name in FONTS:
        try:
            font = ImageFont.truetype(str(font_path(name)), 24)
            # A font without a glyph draws its "missing" box: the same for every such character.
            drawn = {bytes(font.getmask(sign)) for sign in _KOREAN if sign != " "}
            if len(drawn) < len(set(_KOREAN) - {" "}):
                faults.append(msg("{name} lacks Korean glyphs", name=name))
        except (MayakError, OSError, ImportError) as error:
            faults.append(f"{name}: " + getattr(error, "message", str(error)))
    if faults:
        return Check("fonts", title, "fault", join("; ", faults), _reinstall())
    detail = msg("{n_fonts} shipped, all render", n_fonts=len(FONTS))
    return Check("fonts", title, "ok", detail, figures={"fonts": list(FONTS)})


def _codecs() -> Check:
    title = msg("image formats")
    works = {
        name: _reads_back(name) for name in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "JPEG2000")
    }
    works["HEIC"] = reads("HEIF")
    lacks = [name for name, good in works.items() if not good]
    figures = {"formats": works}
    detail = ", ".join(name for name, good in works.items() if good)
    if not lacks:
        return Check("codecs", title, "ok", detail, figures=figures)
    detail += msg("; not: ") + ", ".join(lacks)
    if {"JPEG", "PNG"} & set(lacks):
        return Check("codecs", title, "fault", detail, _reinstall(), figures)
    remedy = (
        msg("pip install 'mayak[heic]' (its wheel bundles GPL codecs)")
        if lacks == ["HEIC"]
        else _reinstall()
    )
    return Check("codecs", title, "warning", detail, remedy, figures)


def _reads_back(name: str) -> bool:
    image = Image.new("RGB", (32, 32), "white")
    written = io.BytesIO()
    try:
        image.save(written, format=name)
        return decode(written.getvalue()).pixels.shape == (32, 32, 3)
    except (MayakError, OSError, KeyError, ImportError):
        return False


def _processor() -> Check:
    # Containers and job schedulers give fewer cores than the machine has.
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    detail = msg("{cores} cores", cores=cores)
    return Check("cpu", "CPU", "ok", detail, figures={"cores": cores})


def _memory() -> Check:
    memory = psutil.virtual_memory()
    detail = msg(
        "{total:.1f} GB, {available:.1f} GB available",
        total=memory.total / GB,
        available=memory.available / GB,
    )
    good = memory.available >= SMALLEST_MEMORY
    need = f"{SMALLEST_MEMORY / GB:.0f} GB"
    return Check(
        "memory",
        msg("memory"),
        "ok" if good else "warning",
        detail,
        ""
        if good
        else msg("end other programs: below {need} the system may stop a run", need=need),
        {"total": memory.total, "available": memory.available},
    )


def _disk(folder: Path) -> Check:
    free = shutil.disk_usage(_existing(folder)).free
    good = free >= _SMALLEST_DISK
    return Check(
        "disk",
        msg("disk"),
        "ok" if good else "warning",
        msg("{free:.1f} GB free in {folder}", free=free / GB, folder=folder),
        "" if good else msg("make room: augmented images and checkpoints are written here"),
        {"free": free},
    )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def _sqlite(version: tuple[int, ...]) -> Check:
    faulty = wal_reset_bug(version)
    detail = ".".join(map(str, version))
    if faulty:
        detail += msg(
            ", with the WAL-reset bug (repaired in 3.51.3, 3.50.7, 3.44.6); no command of this "
            "version of mayak uses WAL"
        )
    return Check("sqlite", "SQLite", "ok", detail, figures={"wal_reset_bug": faulty})


def wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether this SQLite can corrupt a database in WAL mode when the log is reset."""
    if version >= (3, 51, 3):
        return False
    return not ((3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45))


def _pick(report: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: report[name] for name in names}
