"""``mayak doctor``: what it finds, what it advises, and that nothing broken breaks it."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from mayak.cli.app import main
from mayak.doctor import Check, diagnose, hardware, software, usable_modes
from mayak.doctor.models import cached
from mayak.doctor.probe import run_probe
from mayak.doctor.software import wal_reset_bug
from mayak.i18n import render

GOOD = {
    "torch": {"version": "2.15.0", "cuda": "13.2", "warnings": []},
    "libraries": {"versions": {"transformers": "5.23.0"}, "broken": {}, "warnings": []},
    "gpu": {"gpus": [], "warnings": []},
    "bitsandbytes": {"version": "0.50.2", "devices": ["cpu"], "warnings": []},
}


def gpu(memory_gb, bf16=True):
    memory = int(memory_gb * 1e9)
    return {"name": "Card", "memory": memory, "free": memory, "bf16": bf16}


def examined(monkeypatch, folder, **changed):
    monkeypatch.setattr("mayak.doctor.run_probe", lambda: GOOD | changed)
    return {check.name: check for check in diagnose(folder)}


def runs(checks):
    # The embedded model is the business of its own test.
    checks["nano"] = Check("nano", "nano", "ok", "")
    return {mode.name for mode, yes in usable_modes(checks.values()) if yes}


def die(sender, steps):
    sender.send({"version": "1", "cuda": None, "warnings": []})
    os.kill(os.getpid(), signal.SIGILL)


def test_this_machine_can_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert stopped.value.code == 0
    assert found["can_run"] is True
    by_name = {check["name"]: check for check in found["checks"]}
    assert by_name["bitsandbytes"]["figures"]["devices"][0] == "cpu"
    assert by_name["codecs"]["figures"]["formats"] == dict.fromkeys(
        ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "JPEG2000", "HEIC"), True
    )
    assert {mode["name"] for mode in found["modes"] if mode["runs"]} >= {"nano-cpu"}
    assert list(tmp_path.iterdir()) == []


def test_broken_torch_is_a_fault_and_exit_code_2(monkeypatch, capsys):
    broken = {"error": "OSError: libcudart.so.13: cannot open shared object file"}
    monkeypatch.setattr("mayak.doctor.run_probe", lambda: dict.fromkeys(GOOD, broken))
    with pytest.raises(SystemExit) as stopped:
        main(["--lang", "en", "doctor"])
    shown = capsys.readouterr().out
    assert stopped.value.code == 2
    assert "fault · PyTorch → install again" in shown
    assert " yes" not in shown


def test_korean(monkeypatch, capsys):
    monkeypatch.setattr("mayak.doctor.run_probe", lambda: GOOD)
    with pytest.raises(SystemExit):
        main(["--lang", "ko", "doctor"])
    shown = capsys.readouterr().out
    assert "실행할 수 있는 방식" in shown
    assert "주의 · 7B 모델 →" in shown


@pytest.mark.skipif(not hasattr(signal, "SIGILL"), reason="no such signal here")
def test_library_that_kills_its_process(monkeypatch):
    monkeypatch.setattr("mayak.doctor.probe._report", die)
    found = run_probe(("torch", "libraries"))
    assert found["torch"]["version"] == "1"
    assert "error" in found["libraries"]
    assert str(int(signal.SIGILL)) in found["libraries"]["error"]


def test_library_that_does_not_import():
    # An unknown step raises KeyError in the child, as a broken library raises in its import.
    assert run_probe(("nonsense",)) == {"nonsense": {"error": "KeyError: 'nonsense'"}}


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (0, {"nano-cpu"}),
        (8.2, {"nano-cpu", "nf4-inference"}),
        (12.0, {"nano-cpu", "nf4-inference", "nf4-training"}),
        (
            24.0,
            {"nano-cpu", "nf4-inference", "nf4-training", "bf16-inference", "bf16-training"},
        ),
    ],
)
def test_modes_by_gpu_memory(tmp_path, monkeypatch, memory, expected):
    gpus = [gpu(memory)] if memory else []
    checks = examined(monkeypatch, tmp_path, gpu={"gpus": gpus, "warnings": []})
    assert checks["gpu"].status == ("ok" if memory else "warning")
    assert runs(checks) == expected


def test_without_bitsandbytes_only_wide_modes(tmp_path, monkeypatch):
    checks = examined(
        monkeypatch,
        tmp_path,
        gpu={"gpus": [gpu(80)], "warnings": []},
        bitsandbytes={"error": "RuntimeError: no binary"},
    )
    assert checks["bitsandbytes"].status == "warning"
    assert "--precision bf16" in checks["bitsandbytes"].remedy
    assert runs(checks) == {"nano-cpu", "bf16-inference", "bf16-training"}


def test_gpu_without_bf16_serves_no_7b_mode(tmp_path, monkeypatch):
    checks = examined(monkeypatch, tmp_path, gpu={"gpus": [gpu(16, bf16=False)], "warnings": []})
    assert checks["bf16"].status == "warning"
    assert "Ampere" in checks["bf16"].remedy
    assert runs(checks) == {"nano-cpu"}


def test_gpu_that_torch_does_not_see(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/" + name)
    report = {"gpus": [], "warnings": ["The NVIDIA driver on your system is too old"]}
    check = examined(monkeypatch, tmp_path, gpu=report)["gpu"]
    assert "too old" in check.detail
    assert "update the NVIDIA driver" in check.remedy


def test_one_broken_library_is_named(tmp_path, monkeypatch):
    report = {"versions": {}, "broken": {"torchvision": "RuntimeError: operator nms"}}
    check = examined(monkeypatch, tmp_path, libraries=report)["libraries"]
    assert (check.status, check.detail) == ("fault", "torchvision: RuntimeError: operator nms")


def test_missing_font_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(software, "FONTS", {"Nonesuch": "Nonesuch.otf"})
    assert examined(monkeypatch, tmp_path)["fonts"].status == "fault"


def test_font_without_korean_is_found(tmp_path, monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    latin = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    monkeypatch.setattr(software, "FONTS", {"Latin": ""})
    monkeypatch.setattr(software, "font_path", lambda name: latin)
    check = examined(monkeypatch, tmp_path)["fonts"]
    assert (check.status, check.detail) == ("fault", "Latin lacks Korean glyphs")


def test_missing_codecs(tmp_path, monkeypatch):
    monkeypatch.setattr(software, "is_decoded", lambda name: False)
    check = examined(monkeypatch, tmp_path)["codecs"]
    assert (check.status, "mayak[heic]" in check.remedy) == ("warning", True)
    monkeypatch.setattr(software, "_reads_back", lambda name: name != "JPEG")
    assert examined(monkeypatch, tmp_path)["codecs"].status == "fault"


def test_folder_that_is_not_there_yet(tmp_path, monkeypatch):
    assert examined(monkeypatch, tmp_path / "later" / "on")["disk"].figures["free"] > 0


def test_little_disk_and_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "_SMALLEST_DISK", 1e18)
    monkeypatch.setattr(hardware, "SMALLEST_MEMORY", 1e18)
    checks = examined(monkeypatch, tmp_path)
    assert (checks["disk"].status, checks["memory"].status) == ("warning", "warning")


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("TRUE", True), ("0", False)])
def test_offline_state(tmp_path, monkeypatch, value, offline):
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert examined(monkeypatch, tmp_path)["offline"].figures == {"offline": offline}


def test_model_cache(tmp_path):
    folder = tmp_path / "models--owner--name"
    assert cached(folder) == ("absent", [])
    snapshot = folder / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    assert cached(folder) == ("partial", ["config.json", "model-*.safetensors"])
    (snapshot / "config.json").touch()
    (snapshot / "model-00001-of-00003.safetensors").touch()
    (snapshot / "model-00003-of-00003.safetensors").touch()
    # An interrupted download leaves a link to nothing.
    (snapshot / "model-00002-of-00003.safetensors").symlink_to("../../blobs/gone")
    assert cached(folder) == ("partial", ["model-00002-of-00003.safetensors"])
    (snapshot / "model-00002-of-00003.safetensors").unlink()
    (snapshot / "model-00002-of-00003.safetensors").touch()
    assert cached(folder) == ("complete", [])


def test_model_cache_remedy_names_the_air_gapped_way(tmp_path, monkeypatch):
    check = examined(monkeypatch, tmp_path)["model"]
    assert check.figures["model"] == "llava-hf/llava-v1.6-mistral-7b-hf"
    if check.status == "warning":
        assert "--local-dir DIR" in check.remedy
    assert render(check.title, "ko") == "7B 모델"


@pytest.mark.parametrize(
    ("version", "faulty"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_sqlite_wal_reset_bug(version, faulty):
    assert wal_reset_bug(version) is faulty
