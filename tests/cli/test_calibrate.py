"""``mayak calibrate``, and triage by what it has set, as a user meets them."""

import json
import shutil
from dataclasses import replace

import pytest
from safetensors.torch import load_file, save_file

from mayak.case import CaseStore
from mayak.cli.app import main
from mayak.dataset.manifest import read_manifest
from mayak.dataset.training_images import TRAINING_IMAGES, TrainingImages
from mayak.model.calibration import CALIBRATION, Calibration
from mayak_synthetic.scenes import render
from model_folder import make_data, save_adapter

PRECISION = ("--precision", "fp32", "--device", "cpu")


@pytest.fixture(scope="module")
def project(model_folder, tmp_path_factory):
    """Data of four classes and an adapter over the tiny model, which calls half of the images
    irrelevant once the tokens of 0 and 1 have changed places."""
    folder = tmp_path_factory.mktemp("project")
    make_data(folder, train=6, val=12)
    model = shutil.copytree(model_folder, folder / "tiny")
    weights = load_file(model / "model.safetensors")
    head = next(weights[name] for name in weights if name.endswith("lm_head.weight"))
    zero, one = 28734, 28740
    head[[zero, one]] = head[[one, zero]]
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    adapter = save_adapter(folder / "adapter")
    run = {"base_model": {"name": str(model), "revision": None}}
    (adapter / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return folder


@pytest.fixture
def home(project, tmp_path, monkeypatch):
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mayak(capsys):
    """Runs one command; gives its exit code, stdout and stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as left:
            main(["--lang", "en", *map(str, arguments)])
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return call


def calibrate(mayak, *more):
    return mayak("calibrate", "--adapter", "adapter", *PRECISION, *more)


def triage(mayak, *more):
    options = ("--case", "case", "--adapter", "adapter", "--operator", "a", "--device", "cpu")
    precision = () if "--precision" in more else ("--precision", "fp32")
    return mayak("triage", "raw/val", *options, *precision, *more)


def tiers(home, run=1):
    with CaseStore.read(home / "case") as case:
        assert case.verify() == []
        return case.tier_counts(run)


def test_too_few_images_promise_nothing_and_the_whole_model_sees_all(home, mayak):
    code, out, _ = calibrate(mayak)
    assert code == 1
    assert "no bound can be given" in out
    assert "368 are needed" in out
    made = json.loads((home / "adapter" / CALIBRATION).read_text(encoding="utf-8"))
    assert made["promise"] is None
    code, out, _ = triage(mayak)
    assert (code, tiers(home)) == (0, {2: 48})
    assert "decided by" not in out


def test_triage_goes_by_the_calibration_unless_it_is_to_be_exhaustive(home, mayak):
    code, out, _ = calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5, "--json")
    said = json.loads(out)
    assert said["promise"]["lost"] <= said["relevant"] / 2
    assert said["data"]["calibration_images"] == 48
    shares = said["promise"]["shares"]
    assert sum(shares) == pytest.approx(1)

    code, out, _ = triage(mayak)
    assert code == 0
    found = tiers(home)
    assert [found.get(tier, 0) / 48 for tier in range(3)] == pytest.approx(shares)
    assert "decided by: vision tower" in out
    with CaseStore.read(home / "case") as case:
        (run,) = case.runs()
        assert run.engine["calibration"] == said["digest"]
        assert all(p.scores.label == 0 for p in case.predictions(1) if p.tier < 2)
        (entry,) = [e for e in case.log() if e.action == "cascade"]
        assert (entry.detail["alpha"], entry.detail["run"]) == (0.5, 1)

    code, out, _ = triage(mayak, "--exhaustive")
    assert (code, tiers(home, 2)) == (0, {2: 48})


def test_a_calibration_of_another_precision_is_refused(home, mayak):
    calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5)
    code, _, err = triage(mayak, "--precision", "bf16")
    assert code == 2
    assert "belongs to another model" in err
    code, _, _ = triage(mayak, "--precision", "bf16", "--exhaustive")
    assert code == 0


def test_an_image_that_cannot_be_read_is_named(home, mayak):
    (home / "raw" / "val" / "0_000.png").write_bytes(b"no image")
    code, _, err = calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5)
    assert code == 1
    assert "left out: raw/val/0_000.png" in err


def test_training_images_cannot_calibrate(home, mayak):
    code, _, err = calibrate(mayak, "--manifest", "data/train_drug_data.json")
    assert code == 2
    assert "is a training image too" in err


def elsewhere(home):
    """The training images' manifest in a folder that knows nothing of groups."""
    (home / "data2").mkdir()
    shutil.copy(home / "data" / "train_drug_data.json", home / "data2" / "val_drug_data.json")
    return home / "data2" / "val_drug_data.json"


def test_training_images_cannot_calibrate_under_another_folder(home, mayak):
    manifest = elsewhere(home)
    grouped = json.loads((home / "data" / "dataset.json").read_text(encoding="utf-8"))
    for number, row in enumerate(grouped["images"]):
        row["group"] = f"g{number}"
    (home / "data" / "dataset.json").write_text(json.dumps(grouped), encoding="utf-8")
    code, _, err = calibrate(mayak, "--manifest", manifest)
    assert code == 2
    assert "is a training image too" in err


def test_the_adapters_own_training_images_cannot_calibrate(home, mayak):
    """Also if the head is fitted to other images than the adapter was trained on."""
    train, val = (read_manifest(home / "data" / f"{s}_drug_data.json") for s in ("train", "val"))
    recorded = TrainingImages.of(train, val)
    path = home / "adapter" / TRAINING_IMAGES
    path.write_text(json.dumps(recorded.as_json()), encoding="utf-8")
    manifest = elsewhere(home)
    code, _, err = calibrate(mayak, "--train", "data/test_drug_data.json", "--manifest", manifest)
    assert code == 2
    assert "24 of 24 images are training images of the adapter" in err
    assert "data/val_drug_data.json" in err
    assert not (home / "adapter" / CALIBRATION).exists()

    _, _, err = calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5)
    assert "48 of these images chose the adapter's checkpoint" in err
    made = Calibration.read(home / "adapter")
    assert made.data["training_record"] == recorded.digest
    assert made.data["validation_images"] == 48


def test_triage_states_how_many_images_the_model_was_trained_on(home, mayak):
    train, val = (read_manifest(home / "data" / f"{s}_drug_data.json") for s in ("train", "val"))
    _, out, _ = triage(mayak)
    assert "training image" not in out
    recorded = TrainingImages.of(val, train)
    path = home / "adapter" / TRAINING_IMAGES
    path.write_text(json.dumps(recorded.as_json()), encoding="utf-8")
    code, out, _ = triage(mayak)
    assert code == 0
    assert "48 images are training images of the model, or near copies of some" in out
    _, out, _ = triage(mayak, "--json")
    assert json.loads(out)["seen_in_training"] == 48
    with CaseStore.read(home / "case") as case:
        *_, entry = [e for e in case.log() if e.action == "training images"]
    assert (entry.detail["seen"], entry.detail["images"]) == (48, 48)
    assert entry.detail["record"] == recorded.digest
    mayak("report", "--case", "case", "--to", "report")
    page = (home / "report" / "report.html").read_text(encoding="utf-8")
    assert "of 48 scored images, 48 are training images of the model" in page


def test_a_copy_of_an_image_that_fits_the_head_cannot_calibrate(home, mayak):
    drawn = render("street", 5, "base").image
    drawn.save(home / "raw" / "train" / "0_000.png")
    drawn.save(home / "raw" / "val" / "0_000.png", "JPEG", quality=70)
    (home / "data" / "dataset.json").unlink()
    code, _, err = calibrate(mayak)
    assert code == 2
    assert "raw/val/0_000.png" in err
    assert "is a training image too" in err


def test_an_adapter_without_a_training_record_is_said_to_have_none(home, mayak):
    _, _, err = calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5)
    assert "the adapter is without a training record" in err
    assert Calibration.read(home / "adapter").data["training_record"] is None


@pytest.mark.parametrize("option", ["--alpha", "--confidence"])
def test_a_share_lies_between_0_and_1(home, mayak, option):
    code, _, err = calibrate(mayak, option, 1.5)
    assert code == 2
    assert f"{option} is 1.5" in err


def test_shifted_images_are_warned_of(home, mayak):
    """Here it is the calibration that is moved away from the images."""
    calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5)
    made = Calibration.read(home / "adapter")
    kept = tuple(map(float, range(50, 90)))
    moved = replace(made.risk_bound, thresholds=(1e9, None), kept=kept)
    replace(made, risk_bound=moved).write(home / "adapter")
    code, out, _ = triage(mayak)
    assert code == 0
    assert "WARNING: the 24 relevant images differ from" in out
    with CaseStore.read(home / "case") as case:
        (entry,) = [e for e in case.log() if e.action == "cascade"]
    assert entry.detail["differs"] is True
    # Nothing is left to read: nothing is compared.
    code, out, _ = triage(mayak, "--json")
    assert json.loads(out)["drift"] is None
