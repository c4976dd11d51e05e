"""Tries torch and its libraries in a child process.

A broken build of them may kill the process that imports it, so a child does that and reports each
step.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from mayak.i18n import message_of, msg

STEPS = ("torch", "libraries", "gpu", "bitsandbytes")
_TIMEOUT_S = 180.0
_LIBRARIES = ("torchvision", "transformers", "peft", "lightning", "sklearn", "matplotlib")


def run_probe(
    steps: tuple[str, ...] = ("torch", "libraries", "gpu", "bitsandbytes"),
) -> dict[str, Any]:
    """Run the steps in a child process; return each one's result or ``{"error": text}``.

    If the child dies or hangs in a step, that is its error, and another child runs the steps after
    it.
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
            while left and receiver.poll(_TIMEOUT_S):
                found[left[0]] = receiver.recv()
                del left[0]
        except EOFError:
            pass
        child.join(timeout=1)
        if left:
            error = (
                msg("the process that tried it did not answer")
                if child.is_alive()
                else msg("the process that tried it ended with code {code}", code=child.exitcode)
            )
            child.kill()
            found[left.pop(0)] = {"error": error}
        receiver.close()
    return found


def _report(sender: Connection, steps: tuple[str, ...]) -> None:
    # Libraries log optional parts that are missing; the results name what matters.
    logging.disable(logging.WARNING)
    for step in steps:
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                answer = _FUNCTIONS[step]()
            answer["warnings"] = [str(warning.message) for warning in caught]
        except Exception as error:  # noqa: BLE001 - a broken library may raise anything
            answer = {"error": f"{type(error).__name__}: " + message_of(error)}
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
                # The top module is lazy; this loads the model's code.
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
        # Half of the widest gap between two of NF4's 16 values (-1 and -0.696).
        if (worst := float((back - values).abs().max())) > 0.153:
            raise ArithmeticError(
                msg("nf4 on {device} is off by {worst:.3f}", device=device, worst=worst)
            )
    return {"version": library.__version__, "devices": devices}


_FUNCTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "torch": _probe_torch,
    "libraries": _probe_libraries,
    "gpu": _probe_gpu,
    "bitsandbytes": _probe_bitsandbytes,
}
