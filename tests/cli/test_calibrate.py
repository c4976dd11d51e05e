"""``mayak calibrate``, and triage by what it has set, as a user meets them."""

import csv
import hashlib
import json
import shutil
from dataclasses import replace

import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from mayak.case import CaseStore
from mayak.cli.app import main
from mayak.dataset.manifest import read_manifest
from mayak.dataset.training_images import TRAINING_IMAGES, TrainingImages
from mayak.files import json_digest
from mayak.model.calibration import CALIBRATION, Calibration
from mayak_synthetic.scenes import render
from model_folder import make_data, save_adapter

PRECISION = ("--precision", "fp32", "--device", "cpu")
VALIDATION = "data/val_drug_data.json"


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


def test_groups_of_two_data_folders_with_one_name_are_apart(home, mayak):
    """Two laboratories both have a phone-00, a phone-01 …"""
    theirs = make_data(home / "theirs", train=1, val=12, test=1, seed=7)
    for folder in (home / "data", theirs):
        described = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        for number, row in enumerate(described["images"]):
            row["group"] = f"phone-{number % 20:02d}"
        (folder / "dataset.json").write_text(json.dumps(described), encoding="utf-8")
    given = ("--alpha", 0.5, "--confidence", 0.5, "--manifest")
    code, _, err = calibrate(mayak, *given, theirs / "val_drug_data.json")
    assert (code, "is a training image too" in err) == (0, False), err
    code, _, err = calibrate(mayak, *given, VALIDATION)
    assert (code, "is a training image too" in err) == (2, True)


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


def test_triage_states_that_near_copies_were_not_looked_for(home, mayak):
    train, val = (read_manifest(home / "data" / f"{s}_drug_data.json") for s in ("train", "val"))
    recorded = replace(TrainingImages.of(val, train), pdq={})  # as an earlier version made it
    path = home / "adapter" / TRAINING_IMAGES
    path.write_text(json.dumps(recorded.as_json()), encoding="utf-8")
    _, _, err = triage(mayak)
    assert "near copies of training images were not looked for" in " ".join(err.split())
    mayak("report", "--case", "case", "--to", "report")
    page = (home / "report" / "report.html").read_text(encoding="utf-8")
    assert "near copies of some were not looked for" in page


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


def evaluate_as_triage(mayak, *more):
    options = ("--manifest", VALIDATION, "--adapter", "adapter", *PRECISION)
    return mayak("evaluate", "--as-triage", *options, *more)


def test_what_is_measured_as_triage_is_what_triage_records(home, mayak):
    calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5)
    triage(mayak)
    code, out, _ = evaluate_as_triage(mayak, "--json")
    assert code == 0
    found = json.loads(out)
    with CaseStore.read(home / "case") as case:
        (run,) = case.runs()
        recorded = {p.sha256: p for p in case.predictions(1)}
    assert found["engine"] == run.fingerprint
    with (home / "evaluation_results_as_triage" / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(recorded) == 48
    for row in rows:
        prediction = recorded[row["sha256"]]
        assert int(row["tier"]) == prediction.tier
        scores = [float(row[f"score_{label}"]) for label in range(4)]
        assert scores == pytest.approx(prediction.scores.values, abs=1e-6)
    figures = found["as_triage"]
    assert [tier["decided"] for tier in figures["tiers"]] == [
        tiers(home).get(t, 0) for t in range(3)
    ]
    lost = [row for row in rows if row["label"] != "0" and row["predicted"] == "0"]
    assert figures["lost"]["count"] == len(lost)
    early = [row for row in rows if row["tier"] != "2"]
    assert early
    whole = [row for row in rows if row["whole_model"] != "0"]
    check = figures["bound"]["whole_model"]
    assert check["of"] == len(whole)
    assert check["count"] == sum(row["tier"] != "2" for row in whole)
    assert figures["gain"]["relevant"]["recall"][-1] == 1


def test_the_page_states_the_bound_and_that_scores_are_calibrated(home, mayak):
    calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5)
    code, out, _ = evaluate_as_triage(mayak)
    assert code == 0
    assert "of the images labelled relevant" in out
    assert "AUROC" in out
    results = home / "evaluation_results_as_triage"
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "Scores are not calibrated probabilities" not in page
    assert "Scores are divided by the temperatures of" in page
    assert "<polyline" in page
    # These are the very images that the calibration was set on.
    note = "temperatures and thresholds were set on 48 of these images"
    assert note in page
    assert note in out
    assert (results / "gain_curve.png").is_file()
    mayak("evaluate", "--manifest", VALIDATION, "--adapter", "adapter", *PRECISION)
    page = (home / "evaluation_results_epochs5" / "report.html").read_text(encoding="utf-8")
    assert "Scores are not calibrated probabilities" in page


def test_without_a_calibration_the_whole_model_is_measured(home, mayak):
    code, out, _ = evaluate_as_triage(mayak, "--json")
    found = json.loads(out)["as_triage"]
    assert code == 0
    assert [tier["decided"] for tier in found["tiers"]] == [0, 0, 48]
    assert (found["bound"], found["drift"], found["temperatures"]) == (None, None, False)
    page = (home / "evaluation_results_as_triage" / "report.html").read_text(encoding="utf-8")
    assert "Scores are not calibrated probabilities" in page


def test_a_relevant_image_that_triage_leaves_out_is_counted(home, mayak):
    small = home / "raw" / "val" / "1_000.png"
    Image.new("RGB", (20, 20)).save(small)
    known = json.loads((home / "data" / "dataset.json").read_text(encoding="utf-8"))
    row = next(r for r in known["images"] if r["image_path"] == "raw/val/1_000.png")
    row["sha256"] = hashlib.sha256(small.read_bytes()).hexdigest()
    (home / "data" / "dataset.json").write_text(json.dumps(known), encoding="utf-8")
    code, out, err = evaluate_as_triage(mayak)
    assert code == 1
    assert "triage leaves it out: smaller than the limit" in err
    assert "relevant images that were not scored: 1" in out


def test_an_interrupted_measurement_continues_to_the_same_figures(home, mayak, monkeypatch):
    calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5)
    evaluate_as_triage(mayak)
    results = home / "evaluation_results_as_triage"
    whole = (results / "predictions.csv").read_bytes()

    from mayak.evaluation import as_triage

    class Stop(BaseException):
        pass

    def stop(*_, **__):
        raise Stop

    monkeypatch.setattr(as_triage.AsTriage, "figures", stop)
    with pytest.raises(Stop):
        main(
            [
                "evaluate",
                "--as-triage",
                "--manifest",
                VALIDATION,
                "--adapter",
                "adapter",
                *PRECISION,
            ]
        )
    monkeypatch.undo()
    monkeypatch.chdir(home)
    monkeypatch.setattr("mayak.model.LabelScorer.classify", lambda *_: iter(()))
    code, _, _ = evaluate_as_triage(mayak)
    assert code == 0
    assert (results / "predictions.csv").read_bytes() == whole


def test_calibrate_keeps_what_it_does_to_images_that_it_was_not_set_on(home, mayak):
    code, out, _ = calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5, "--json")
    assert code == 0
    found = json.loads(out)["held_out"]
    assert found["as_triage"]["calibration_images"] == 0
    made = Calibration.read(home / "adapter")
    assert made.held_out == found
    assert (found["n"], found["n_groups"]) == (48, 48)
    assert sum(tier["decided"] for tier in found["as_triage"]["tiers"]) == 48
    assert found["as_triage"]["bound"]["alpha"] == 0.5
    assert found["as_triage"]["relevant"] == 36
    _, out, _ = calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5)
    assert "each twentieth of the 48 images is measured with" in out
    assert "of the images labelled relevant" in out


def test_a_calibration_of_an_earlier_version_is_read_with_its_digest(home, mayak):
    """It has no figures on held-out images, and stays the same engine."""
    calibrate(mayak, "--alpha", 0.5, "--confidence", 0.5)
    path = home / "adapter" / CALIBRATION
    values = json.loads(path.read_text(encoding="utf-8"))
    del values["images"], values["held_out"], values["digest"]
    values["digest"] = json_digest(values, "ascii")
    path.write_text(json.dumps(values), encoding="utf-8")
    made = Calibration.read(home / "adapter")
    assert made.held_out is None
    assert made.digest == values["digest"]
    assert triage(mayak)[0] == 0


def test_the_calibration_is_the_same_in_every_language(home, mayak):
    made = []
    for language in ("en", "ko"):
        with pytest.raises(SystemExit):
            bound = ("--alpha", "0.5", "--confidence", "0.5")
            main(["--lang", language, "calibrate", "--adapter", "adapter", *PRECISION, *bound])
        made.append((home / "adapter" / CALIBRATION).read_bytes())
    assert made[0] == made[1]
