"""Nothing that mayak imports or runs reaches out, whatever else happens to be installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import mayak
from mayak.cli.app import _COMMANDS
from mayak.config import FINAL, load_train_config
from mayak.labels import LABELS
from model_folder import seeded_pixels

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
import os, sys, traceback
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
        with open(os.environ["ASKED"], "a", encoding="utf-8") as file:
            file.write(f"{address}: {traceback.format_stack()[-8:]}\\n")
        raise OSError("no network")
sys.addaudithook(guard)
"""
"""What a process of Python begins with, and each that it starts."""
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
COMMANDS = """
import json, sys
import mayak.review
from mayak.cli.app import main
mayak.review.serve = lambda session, **_: None  # it would wait for a browser
ended = {}
if __name__ == "__main__":
    for arguments in json.loads(sys.argv[1]):
        sys.argv = ["mayak"]
        try:
            main(["--lang", "en", *arguments])
        except SystemExit as left:
            ended[arguments[0]] = left.code or 0
    print(json.dumps(ended))
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


def in_a_crowd(crowd, *arguments):
    """Run Python among the stand-ins; return whom it asked, and what it printed last."""
    here = Path(mayak.__file__).parents[1]
    (crowd / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    asked = crowd.parent / "asked.txt"
    asked.write_text("", encoding="utf-8")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(crowd), str(here)])
    environment["ASKED"] = str(asked)
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=crowd.parent,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return asked.read_text(encoding="utf-8").splitlines(), (done.stdout.splitlines() or [""])[-1]


def classifying(model, precision):
    image = Path(__file__).parents[2] / "docs" / "synthetic-images.jpg"
    values = {"IMAGE": str(image), "MODEL": str(model), "PRECISION": precision}
    script = CLASSIFY
    for name, value in values.items():
        script = script.replace(name, repr(value))
    return script


def test_the_guard_sees_a_package_that_reaches_out(crowded):
    (asked,), _ = in_a_crowd(crowded, "-c", "import wandb")
    assert "192.0.2.1" in asked


def test_importing_everything_and_classifying_reaches_nobody(crowded):
    asked, _ = in_a_crowd(crowded, "-c", EVERYTHING + classifying("nano", "nf4"))
    assert asked == []


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
    asked, _ = in_a_crowd(crowded, "-c", script)
    assert asked == []


def test_a_model_cannot_ask_for_native_code(crowded, model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "strange")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["_attn_implementation"] = config["attn_implementation"] = "somebody/attention"
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    asked, _ = in_a_crowd(crowded, "-c", classifying(folder, "fp32"))
    assert asked == []


@pytest.fixture
def raw(tmp_path):
    """Three small pictures a class."""
    for label in LABELS:
        for number in range(3):
            path = tmp_path / "raw" / label.folder / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = seeded_pixels(60, 80, seed=10 * label.index + number)
            Image.fromarray(pixels).save(path)
    return tmp_path / "raw"


def test_no_command_reaches_out(crowded, raw, model_folder):
    settings = {"model": str(model_folder), "precision": "fp32", "epochs": 1}
    config = load_train_config("nano", settings).model_dump(mode="json")
    shutil.copytree(raw, raw.parent / "copy")
    (raw.parent / "own.yaml").write_text(json.dumps(config), encoding="utf-8")
    script = raw.parent / "commands.py"
    script.write_text(COMMANDS, encoding="utf-8")
    test, adapter = "data/test_drug_data.json", f"out/{FINAL}"
    on, base = ("--precision=fp32", "--device=cpu"), f"--model={model_folder}"
    tuned = (f"--adapter={adapter}", *on)
    commands = (
        ("prepare", "raw", "--augment=1", "--workers=1"),
        ("train", "--config=own.yaml", "--output=out", "--device=cpu"),
        ("zeroshot", base, f"--manifest={test}", "--out=zeroshot", *on),
        ("evaluate", f"--manifest={test}", "--out=evaluation", *tuned),
        ("answers", "zeroshot", "--list"),
        ("compare", "zeroshot", "evaluation", "--out=comparison"),
        ("evaluate", "--manifest=data/val_drug_data.json", "--out=other", *tuned),
        ("summary", "evaluation", "other", "--out=summary"),
        ("calibrate", *tuned),
        ("evaluate", "--as-triage", f"--manifest={test}", "--out=as_triage", *tuned),
        ("evaluate", "--by=generate", f"--manifest={test}", "--out=generated", *tuned),
        ("triage", "raw", "--case=case", *tuned),
        ("classify", "raw/0_irrelevant/0.png", *tuned),
        ("verify", "case"),
        ("review", "case"),
        ("decisions", "export", "case", "--to=decisions.json"),
        ("report", "case"),
        ("case", "relocate", "case", "raw", "copy"),
        ("bench", base, "--seconds=0.1", *on),
        ("doctor",),
        ("demo", "--help"),  # it is a series of these
    )
    asked, ended = in_a_crowd(crowded, str(script), json.dumps(commands))
    assert asked == []
    done = dict.fromkeys([name for name, *_ in _COMMANDS], 0)
    # No bound from four images; two sets that one adapter was measured on are no folds.
    assert json.loads(ended) == done | {"calibrate": 1, "summary": 2}
