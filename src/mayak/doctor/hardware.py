"""Checks of GPU, processor, memory and disk."""

from __future__ import annotations

import os
import shutil

import psutil

from mayak.doctor.check import GB, Check, Machine, existing
from mayak.i18n import join, msg

SMALLEST_MEMORY = 4 * GB
"""Bytes of free RAM below which training even the embedded model is likely to be stopped."""
_SMALLEST_DISK = 2 * GB


def gpu(machine: Machine) -> Check:
    report = machine.reports["gpu"]
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
        detail += " (" + join("; ", reasons) + ")"
    if shutil.which("nvidia-smi"):
        built = machine.reports["torch"].get("cuda")
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


def bf16(machine: Machine) -> Check:
    gpus = machine.reports["gpu"].get("gpus", [])
    without = [gpu["name"] for gpu in gpus if not gpu["bf16"]]
    if without:
        detail = msg("not on ") + ", ".join(without)
        remedy = msg("use a GPU of compute capability 8.0 (Ampere) or newer, or --device cpu")
        return Check("bf16", "bfloat16", "warning", detail, remedy)
    detail = msg("on every GPU") if gpus else msg("no GPU; the CPU computes in fp32")
    return Check("bf16", "bfloat16", "ok", detail)


def processor(_: Machine) -> Check:
    # Containers and job schedulers may give fewer cores than the machine has.
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    detail = msg("{cores} cores", cores=cores)
    return Check("cpu", "CPU", "ok", detail, figures={"cores": cores})


def memory(_: Machine) -> Check:
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


def disk(machine: Machine) -> Check:
    folder = machine.folder
    free = shutil.disk_usage(existing(folder)).free
    good = free >= _SMALLEST_DISK
    return Check(
        "disk",
        msg("disk"),
        "ok" if good else "warning",
        msg("{free:.1f} GB free in {folder}", free=free / GB, folder=folder),
        "" if good else msg("make room: augmented images and checkpoints are written here"),
        {"free": free},
    )
