"""``mayak demo`` on a random model and few images: wiring, not accuracy."""

import dataclasses
import json
import sys
import types

import numpy as np
import pytest
from PIL import Image

from mayak.case import CaseStore
from mayak.cli import demo
from mayak.cli.app import main
from mayak.config import load_train_config
from mayak.labels import LABELS
from model_folder import make_model_folder

COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30))


def generate(folder, counts, *, seed, style, **_):
    rng = np.random.default_rng([seed, style == "heldout"])
    for label, count in counts.items():
        (folder / LABELS[label].folder).mkdir(parents=True)
        for i in range(count):
            noise = rng.integers(0, 128, (12, 12, 3)) + np.array(COLOURS[label]) // 2
            image = Image.fromarray(noise.astype(np.uint8))
            image.resize((160, 120)).save(folder / LABELS[label].folder / f"{i:03}.png")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A demo of 48 and 8 images with a random model of two layers, one epoch."""
    monkeypatch.setitem(
        sys.modules, "mayak_synthetic.raw_folder", types.SimpleNamespace(generate=generate)
    )
    monkeypatch.setattr("mayak.cli.demo_ledger.software_digest", lambda: "same")
    model = str(make_model_folder(tmp_path / "model"))
    settings = load_train_config("nano", {"model": model, "epochs": 1, "validations_per_epoch": 1})
    monkeypatch.setattr(demo, "MODEL", model)
    monkeypatch.setattr(demo, "load_train_config", lambda _: settings)
    own = dataclasses.replace(demo.OWN, counts=(12, 12, 12, 12))
    held_out = dataclasses.replace(demo.HELD_OUT, counts=(2, 2, 2, 2))
    for name, value in (("OWN", own), ("HELD_OUT", held_out), ("SETS", (own, held_out))):
        monkeypatch.setattr(demo, name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["--lang", "en", "demo", *arguments])
    return stopped.value.code


def written(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_demo_ends_with_figures_and_is_not_done_twice(small, capsys):
    assert run("out", "--json") == 0
    first = capsys.readouterr()
    found = json.loads(first.out)
    assert set(found) == {"heldout", "test", "triage", "review"}
    counts = found["triage"]["counts"]
    # 44 images, five in the ZIP besides; the ZIP itself, settings and exFAT's own two files.
    assert (counts["contents"], counts["failures"], counts["exclusions"]) == (49, 0, 4)
    assert counts["distinct_contents"] == 44
    with CaseStore.read(small / found["triage"]["case"]) as case:
        places = [item.display for item in case.known_items(1) if item.content]
        assert sum(item.deleted for item in case.known_items(1)) == 9
        assert case.verify() == []
    said = found["review"]
    with CaseStore.read(small / found["triage"]["case"]) as case:
        truth = json.loads((small / "out" / "phone.json").read_text("utf-8"))
        assert case.reviewers() == ["demo script"]
        decided = {d.sha256: d.verdict for d in case.decisions()}
        assert decided == {sha256: truth[sha256] for sha256 in decided}
        for result in case.results(found["triage"]["run"], limit=99):
            assert result.scores.label == 0 or result.sha256 in decided
        sampled = sum(sample.size for sample in case.samples())
        assert len(decided) == said["decided"] + sampled
        assert all(sample.missed for sample in case.samples())
    report = small / said["report"]
    assert 'lang="ko"' in (report / "report.html").read_text("utf-8")
    assert (report / "report.pdf").read_bytes().startswith(b"%PDF")
    assert any(place.startswith("phone.E01/") and "/백업.zip/" in place for place in places)
    row = found["heldout"]
    assert row["n"] == 8
    cells = {cell["kind"]: cell for cell in row["two_by_two"]["cells"]}
    folders = {
        "zeroshot-generate": "zeroshot_heldout",
        "zeroshot-score": "zeroshot_score_heldout",
        "finetuned-generate": "evaluation_generate_heldout",
        "finetuned-score": "evaluation_heldout",
    }
    assert {kind: cell["folder"] for kind, cell in cells.items()} == folders
    for kind, folder in folders.items():
        metrics = json.loads((small / "out" / folder / "metrics.json").read_text("utf-8"))
        assert (metrics["kind"], metrics["accuracy"]) == (kind, cells[kind]["accuracy"])
    bounds = cells["zeroshot-generate"]["unread"]
    assert set(bounds) == {"wrong", "left_out", "as_0"}
    assert row["n_fixed_unread"] <= row["n_fixed"]
    scored = cells["finetuned-score"]["accuracy"] - cells["zeroshot-score"]["accuracy"]
    assert f"{100 * scored:+.2f} points by label scores" in row["headline"]
    assert f"of the {row['n_fixed']} images that are put right" in row["headline"]
    assert (small / row["comparison"]).is_file()
    assert (small / row["report"]).is_file()
    assert "done before" not in first.err

    before = written(small / "out")
    assert run("out") == 0
    second = capsys.readouterr()
    after = written(small / "out")
    assert after.keys() == before.keys()
    assert {path.name for path in after if after[path] != before[path]} <= {"demo.json"}
    assert second.err.count("done before") == 19
    assert "First to look at" in second.out
    assert "A script (demo script), not a person, decided" in second.out
    assert "mayak review out/case" in second.out
    assert "does not measure accuracy on real cases" in second.out
    assert "another style" in second.out
    assert found["heldout"]["headline"] in second.out
    assert second.out.count("Two by two") == 2

    # A lost result is made again, and only that.
    (small / "out" / "evaluation_test" / "metrics.json").unlink()
    assert run("out", "--json") == 0
    third = capsys.readouterr()
    assert third.err.count("done before") == 18
    assert json.loads(third.out) == found


def test_demo_refuses_a_folder_of_something_else(tmp_path, monkeypatch, capsys):
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "evidence.jpg").write_bytes(b"1")
    assert run(str(tmp_path / "case")) == 2
    assert "remedy: name a new or empty folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "case").iterdir()] == ["evidence.jpg"]
