"""Nothing that mayak imports or runs reaches out, whatever else happens to be installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mayak

# Packages that torch, transformers, PEFT and Lightning use if they are installed, and that a
# laboratory may have for other work. Each of these stand-ins reaches out as it is imported.
OPTIONAL = (
    *("kernels", "wandb", "comet_ml", "clearml", "mlflow", "neptune", "codecarbon", "trackio"),
    *("swanlab", "aim", "dvclive", "litlogger", "lightning_sdk", "lightning_cloud", "modelscope"),
    *("albumentations", "datasets", "optuna", "ray", "sentry_sdk", "ultralytics"),
)
STAND_IN = """
import socket
def get_kernel(*names, **more):
    raise SystemExit(f"native code of {names} is fetched")
get_local_kernel = load_kernel = LayerRepository = get_kernel
try:
    socket.create_connection(("192.0.2.1", 443), timeout=0.1)
except OSError:
    pass
"""
GUARD = """
import json, os, sys, traceback
asked = []
def guard(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        local = not isinstance(address, tuple) or str(address[0]).startswith(("127.", "::1"))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        address = arguments[0]
        local = address in (None, "localhost", "127.0.0.1", "::1")
    else:
        return
    if not local:
        asked.append([str(address), traceback.format_stack()[-8:]])
        raise OSError("no network")
sys.addaudithook(guard)
sys.argv = ["mayak"]
"""
EVERYTHING = """
import importlib, pkgutil
import mayak
for module in pkgutil.walk_packages(mayak.__path__, "mayak."):
    importlib.import_module(module.name)
"""
CLASSIFY = """
from mayak.cli.app import main
try:
    main(["--lang", "en", "classify", IMAGE, "--model", MODEL, "--precision", PRECISION, "--json"])
except SystemExit as left:
    assert not left.code, left.code
"""
REPORT = """
print("\\n" + json.dumps({"asked": asked}))
"""


@pytest.fixture
def crowded(tmp_path):
    """A folder with the stand-ins, each with a version that its users accept."""
    for name in OPTIONAL:
        package = tmp_path / "crowd" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(STAND_IN, encoding="utf-8")
        known = tmp_path / "crowd" / f"{name}-0.18.2.dist-info"
        known.mkdir()
        lines = f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.18.2\n"
        (known / "METADATA").write_text(lines, encoding="utf-8")
        (known / "top_level.txt").write_text(name, encoding="utf-8")
        (known / "RECORD").write_text(f"{name}/__init__.py,,\n", encoding="utf-8")
    return tmp_path / "crowd"


def in_a_crowd(crowd, script):
    """Whom a process asked that ran among the stand-ins."""
    here = Path(mayak.__file__).parents[1]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(crowd), str(here)])
    done = subprocess.run(
        [sys.executable, "-c", GUARD + script + REPORT],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=crowd.parent,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def classifying(model, precision):
    image = Path(__file__).parents[2] / "docs" / "synthetic-images.jpg"
    values = {"IMAGE": str(image), "MODEL": str(model), "PRECISION": precision}
    script = CLASSIFY
    for name, value in values.items():
        script = script.replace(name, repr(value))
    return script


def test_the_guard_sees_a_package_that_reaches_out(crowded):
    (asked,) = in_a_crowd(crowded, "import wandb")["asked"]
    assert "192.0.2.1" in asked[0]


def test_importing_everything_and_classifying_reaches_nobody(crowded):
    assert in_a_crowd(crowded, EVERYTHING + classifying("nano", "nf4"))["asked"] == []


def test_native_code_of_a_hub_cannot_be_fetched(crowded):
    script = """
import importlib.util
import mayak
assert importlib.util.find_spec("kernels") is None
try:
    import kernels
except ImportError:
    pass
else:
    raise SystemExit("kernels is imported")
from transformers.utils import is_kernels_available
assert not is_kernels_available()
"""
    assert in_a_crowd(crowded, script)["asked"] == []


def test_a_model_cannot_ask_for_native_code(crowded, model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "strange")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["_attn_implementation"] = config["attn_implementation"] = "somebody/attention"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert in_a_crowd(crowded, classifying(folder, "fp32"))["asked"] == []
