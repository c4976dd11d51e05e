import json

import pytest

from evaluation_fakes import FakeClassifier, make_data
from mayak.config import FP8_PROOF
from mayak.dataset.manifest import read_manifest
from mayak.errors import ModelError
from mayak.evaluation import agreement as module
from mayak.evaluation.agreement import agreement, allow_fp8
from mayak.evaluation.run import evaluate


@pytest.fixture
def results(tmp_path):
    """A function: the result of a classifier that is wrong in this way, on 20 images."""
    manifest = read_manifest(make_data(tmp_path))

    def result(wrong=None, precision="bf16"):
        classifier = FakeClassifier(wrong, precision=precision)
        return evaluate(manifest, classifier, tmp_path / f"{precision}_{wrong}")

    return result


def test_counts_by_hand(results):
    found = agreement(results(), results({2: 0, 3: 1}, "fp8"))
    assert (found.images, found.same, found.dismissed) == (20, 10, 5)
    assert found.largest_difference == pytest.approx(0.88)


def test_agreement_is_recorded_for_the_engine(results, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MIN_IMAGES", 20)
    candidate = results(precision="fp8")
    found = allow_fp8(tmp_path, results(), candidate)
    assert found.same == 20
    record = json.loads((tmp_path / FP8_PROOF).read_text(encoding="utf-8"))
    assert record["engine"] == candidate.engine.fingerprint


def test_too_few_images_prove_nothing(results, tmp_path):
    with pytest.raises(ModelError, match="at least 100") as caught:
        allow_fp8(tmp_path, results(), results(precision="fp8"))
    assert caught.value.remedy
    assert not (tmp_path / FP8_PROOF).exists()


def test_disagreement_withdraws_an_earlier_record(results, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MIN_IMAGES", 20)
    allow_fp8(tmp_path, results(), results(precision="fp8"))
    with pytest.raises(ModelError, match=r"fp8 gives 15 of 20 .*5 are called irrelevant"):
        allow_fp8(tmp_path, results(), results({2: 0}, "fp8"))
    assert not (tmp_path / FP8_PROOF).exists()
