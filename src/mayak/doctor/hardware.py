"""Checks of GPU, processor, memory and disk."""

from __future__ import annotations

import os
import shutil

import psutil

from mayak.doctor.check import GB, Check, Machine, existing
from mayak.language import tr

SMALLEST_MEMORY = 4 * GB
"""Bytes of free RAM below which training even the embedded model is likely to be stopped."""
_SMALLEST_DISK = 2 * GB


def gpu(machine: Machine) -> Check:
    report = machine.reports["gpu"]
    if gpus := report.get("gpus"):
        detail = "; ".join(
            tr(
                f"{gpu['name']}, {gpu['memory'] / GB:.1f} GB ({gpu['free'] / GB:.1f} GB free)",
                f"{gpu['name']}, {gpu['memory'] / GB:.1f} GB (여유 {gpu['free'] / GB:.1f} GB)",
            )
            for gpu in gpus
        )
        return Check("gpu", "GPU", "ok", detail, figures={"gpus": gpus})
    detail = tr(
        "none: the embedded model runs on the CPU, the 7B model is too slow there",
        "없음: 내장 모델은 CPU로 실행되지만 7B 모델은 CPU에서 너무 느립니다",
    )
    reasons = report.get("warnings", []) + ([report["error"]] if "error" in report else [])
    if reasons:
        detail += f" ({'; '.join(reasons)})"
    if shutil.which("nvidia-smi"):
        built = machine.reports["torch"].get("cuda")
        remedy = tr(
            f"nvidia-smi is here, yet PyTorch (built for CUDA {built}) sees no GPU: update the "
            "NVIDIA driver, or install the PyTorch build that suits it",
            f"nvidia-smi는 있지만 PyTorch(CUDA {built}용)가 GPU를 찾지 못합니다. NVIDIA "
            "드라이버를 갱신하거나 드라이버에 맞는 PyTorch를 설치하십시오",
        )
    else:
        remedy = tr(
            "for the 7B model use a machine with an NVIDIA GPU of 9 GB or more and its driver",
            "7B 모델에는 메모리 9 GB 이상의 NVIDIA GPU와 드라이버가 있는 컴퓨터를 쓰십시오",
        )
    return Check("gpu", "GPU", "warning", detail, remedy, {"gpus": []})


def bf16(machine: Machine) -> Check:
    gpus = machine.reports["gpu"].get("gpus", [])
    without = [gpu["name"] for gpu in gpus if not gpu["bf16"]]
    if without:
        detail = tr("not on ", "지원하지 않음: ") + ", ".join(without)
        remedy = tr(
            "use a GPU of compute capability 8.0 (Ampere) or newer, or --device cpu",
            "계산 능력 8.0(Ampere) 이상의 GPU 또는 --device cpu를 쓰십시오",
        )
        return Check("bf16", "bfloat16", "warning", detail, remedy)
    detail = (
        tr("on every GPU", "모든 GPU에서 지원")
        if gpus
        else tr("no GPU; the CPU computes in fp32", "GPU 없음, CPU는 fp32로 계산합니다")
    )
    return Check("bf16", "bfloat16", "ok", detail)


def processor(_: Machine) -> Check:
    # Containers and job schedulers may give fewer cores than the machine has.
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    detail = tr(f"{cores} cores", f"코어 {cores}개")
    return Check("cpu", "CPU", "ok", detail, figures={"cores": cores})


def memory(_: Machine) -> Check:
    memory = psutil.virtual_memory()
    detail = tr(
        f"{memory.total / GB:.1f} GB, {memory.available / GB:.1f} GB available",
        f"{memory.total / GB:.1f} GB, 사용 가능 {memory.available / GB:.1f} GB",
    )
    good = memory.available >= SMALLEST_MEMORY
    need = f"{SMALLEST_MEMORY / GB:.0f} GB"
    return Check(
        "memory",
        tr("memory", "메모리"),
        "ok" if good else "warning",
        detail,
        ""
        if good
        else tr(
            f"end other programs: below {need} the system may stop a run",
            f"다른 프로그램을 끝내십시오. {need}보다 적으면 시스템이 실행을 멈출 수 있습니다",
        ),
        {"total": memory.total, "available": memory.available},
    )


def disk(machine: Machine) -> Check:
    folder = machine.folder
    free = shutil.disk_usage(existing(folder)).free
    good = free >= _SMALLEST_DISK
    return Check(
        "disk",
        tr("disk", "디스크"),
        "ok" if good else "warning",
        tr(f"{free / GB:.1f} GB free in {folder}", f"{folder}의 여유 공간 {free / GB:.1f} GB"),
        ""
        if good
        else tr(
            "make room: augmented images and checkpoints are written here",
            "공간을 확보하십시오. 증강 이미지와 체크포인트가 이곳에 저장됩니다",
        ),
        {"free": free},
    )
