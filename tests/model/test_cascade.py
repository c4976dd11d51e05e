"""The three tiers against the whole model and against each other."""

import hashlib
import io
import json
from dataclasses import replace
from functools import partial
from time import sleep

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from mayak.errors import ModelError
from mayak.imaging import decode
from mayak.model import Calibration, CascadeScorer, LabelScorer, load_model
from mayak.model.calibration import CALIBRATION, Head
from mayak.model.cascade import CascadeTiers, HeadOnDevice, log_odds
from mayak.model.risk_control import RiskBound
from mayak.model.scoring import Launcher
from mayak.model.varlen import VarlenModel
from model_folder import decoded

INF = float("inf")


@pytest.fixture(scope="module")
def vlm():
    return load_model("nano", precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(5)
    sizes = torch.randint(40, 400, (50, 2), generator=generator).tolist()
    return [decoded(*size, seed=number) for number, size in enumerate(sizes)]


@pytest.fixture(scope="module")
def calibration(vlm):
    """One whose tiers dismiss nothing."""
    width = 2 * vlm.base.config.vision_config.hidden_size
    weights = torch.randn(4, width, generator=torch.Generator().manual_seed(1)).tolist()
    head = Head((0.1,) * width, (2.0,) * width, tuple(map(tuple, weights)), (0.0, 1.0, 0.0, -1.0))
    bound = RiskBound(0.01, 0.95, 400, 0, (INF, INF), (0.0, 0.0, 1.0), (1.0, 2.0))
    return Calibration(vlm.engine.fingerprint, head, (1.0, 1.0, 1.0), bound, {"val": "digest"})


@pytest.fixture(scope="module")
def whole(vlm, images):
    return list(LabelScorer(vlm).classify(images))


@pytest.fixture(scope="module")
def odds(vlm, images, calibration):
    """(N, 2): what tiers 0 and 1 say of each image."""
    readings, head = CascadeTiers(vlm), HeadOnDevice(calibration.head, vlm.device)
    pieces = [readings.prepare(0, image) for image in images]
    with torch.inference_mode():
        first = log_odds(head(readings.pooled_features(pieces)).double())
        labels = readings.label_logits(pieces)[:, :-1]
    return torch.stack([first, log_odds(labels)], dim=1)


@pytest.fixture(params=["on the CPU", "as on a GPU"])
def launching(request, monkeypatch):
    """Both ways of starting the model's work: at once, and in a thread of its own."""
    if request.param == "as on a GPU":
        monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
        launcher = partial(Launcher, torch.device("cuda:0"))
        monkeypatch.setattr("mayak.model.cascade.Launcher", lambda _: launcher())


def with_thresholds(calibration, *thresholds):
    return replace(calibration, risk_bound=replace(calibration.risk_bound, thresholds=thresholds))


def test_the_base_tile_is_the_whole_models_first(vlm, images):
    engine = VarlenModel(vlm)
    for image in images[:8]:
        assert torch.equal(
            engine.packer.prepare_base(image).tiles[0], engine.packer.prepare(image).tiles[0]
        )


def test_a_glance_is_what_the_stock_tower_sees(vlm, images):
    engine = VarlenModel(vlm)
    model, tower = vlm.model.model, vlm.model.model.vision_tower
    for image in images[:4]:
        tile = engine.packer.prepare_base(image).tiles[0]
        batch = vlm.processor.image_processor(images=[image.pixels], return_tensors="pt")
        with torch.inference_mode():
            seen = engine.pooled_features(tile[None])[0]
            stock = tower(batch["pixel_values"][0, :1], output_hidden_states=True)
        hidden = stock.hidden_states[model.config.vision_feature_layer][0]
        expected = torch.cat([hidden[0], hidden[1:].mean(dim=0)])
        assert torch.allclose(seen, expected, rtol=0, atol=1e-4)


def test_what_no_tier_dismisses_gets_the_whole_models_scores(vlm, images, calibration, whole):
    scorer = CascadeScorer(vlm, calibration)
    for mine, theirs in zip(scorer.classify(images), whole, strict=True):
        assert (mine.sha256, mine.tier, mine.is_calibrated) == (theirs.sha256, 2, True)
        assert mine.scores.values == pytest.approx(theirs.scores.values, abs=1e-5)
        assert mine.scores.off_label == pytest.approx(theirs.scores.off_label, abs=1e-5)
        assert mine.engine == scorer.engine.fingerprint != theirs.engine


@pytest.mark.usefixtures("launching")
def test_each_tier_decides_what_lies_above_its_threshold(vlm, images, calibration, odds):
    first, second = odds.quantile(0.6, dim=0).tolist()
    scorer = CascadeScorer(vlm, with_thresholds(calibration, first, second), batch_size=2)
    found = list(scorer.classify(images))
    assert [p.sha256 for p in found] == [image.sha256 for image in images]
    expected = [0 if a > first else 1 if b > second else 2 for a, b in odds.tolist()]
    assert [p.tier for p in found] == expected
    assert {0, 1, 2} == set(expected)


@pytest.mark.usefixtures("launching")
def test_a_full_gpu_ends_the_cascade_with_a_clear_error(vlm, images, calibration, monkeypatch):
    def out_of_memory(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    scorer = CascadeScorer(vlm, with_thresholds(calibration, 0.0, 0.0))
    monkeypatch.setattr(scorer._tiers.model, "logits_of_base", out_of_memory)
    with pytest.raises(ModelError, match="memory"):
        list(scorer.classify(images))


@pytest.mark.usefixtures("launching")
def test_who_stops_early_waits_for_no_more_than_what_has_begun(vlm, images, calibration, odds):
    thresholds = odds.quantile(0.6, dim=0).tolist()
    scorer = CascadeScorer(vlm, with_thresholds(calibration, *thresholds), batch_size=1)
    begun, ended, ask = [], [], scorer._run

    def slowly(*arguments):
        begun.append(arguments)
        sleep(0.1)
        ended.append(answer := ask(*arguments))
        return answer

    scorer._run = slowly
    found = scorer.classify(images)
    assert next(found).sha256 == images[0].sha256
    found.close()
    count = len(begun)
    assert len(ended) == count < len(images) // 2
    sleep(0.3)
    assert len(begun) == count


def test_a_tier_without_a_threshold_is_not_asked(vlm, images, calibration, odds):
    first = odds[:, 0].median().item()
    scorer = CascadeScorer(vlm, with_thresholds(calibration, first, None))
    found = [p.tier for p in scorer.classify(images)]
    assert found == [0 if a > first else 2 for a in odds[:, 0].tolist()]


def test_what_is_dismissed_is_irrelevant(vlm, images, calibration, odds):
    first = max(odds[:, 0].quantile(0.5).item(), 0.0)
    scorer = CascadeScorer(vlm, with_thresholds(calibration, first, 0.0))
    for prediction in scorer.classify(images):
        assert prediction.tier == 2 or prediction.scores.label == 0


@pytest.mark.parametrize(
    "logits",
    [
        [INF, 0.0, 0.0, 0.0],
        [0.0, -INF, -INF, -INF],
        [9.0, -INF, 0.0, 0.0],
        [float("nan"), 0.0, 0.0, 0.0],
    ],
)
def test_what_is_not_finite_dismisses_nothing(vlm, images, calibration, whole, logits):
    scorer = CascadeScorer(vlm, with_thresholds(calibration, 0.0, None))
    scorer._head = lambda seen: torch.tensor([logits] * len(seen))
    for mine, theirs in zip(scorer.classify(images[:9]), whole, strict=False):
        assert mine.tier == 2
        assert mine.scores.values == pytest.approx(theirs.scores.values, abs=1e-5)


def test_temperatures_change_scores_and_no_label(vlm, images, calibration, whole):
    tempered = replace(calibration, risk_bound=None, temperatures=(1.0, 1.0, 3.0))
    found = list(CascadeScorer(vlm, tempered).classify(images[:12]))
    for mine, theirs in zip(found, whole, strict=False):
        assert (mine.scores.label, mine.tier) == (theirs.scores.label, 2)
        assert max(mine.scores.values) < max(theirs.scores.values)
        logs = torch.tensor(theirs.scores.values, dtype=torch.float64).log() / 3
        assert mine.scores.values == pytest.approx(logs.softmax(0).tolist(), abs=1e-5)


@pytest.mark.usefixtures("launching")
def test_an_image_that_waits_long_is_answered_all_the_same(vlm, images, calibration, monkeypatch):
    monkeypatch.setattr("mayak.model.cascade._WINDOW", 5)
    taken = 0

    def stream():
        nonlocal taken
        for image in images[:20]:
            taken += 1
            yield image

    answered = 0
    for _ in CascadeScorer(vlm, calibration, batch_size=4).classify(stream()):
        answered += 1
        assert taken - answered < 5
    assert answered == 20


@pytest.mark.usefixtures("launching")
def test_images_that_are_not_answered_take_bounded_memory(vlm, images, calibration, monkeypatch):
    most = max(image.nbytes for image in images)
    room = 3 * most
    memory = psutil.virtual_memory()._replace(total=8 * room)
    monkeypatch.setattr("mayak.model.cascade.psutil.virtual_memory", lambda: memory)
    taken = []

    def stream():
        for image in images:
            taken.append(image.nbytes)
            yield image

    answered = 0
    for _ in CascadeScorer(vlm, calibration, batch_size=8).classify(stream()):
        answered += 1
        assert sum(taken[answered:]) < room + most
    assert answered == len(images)


def test_where_memory_is_short_batches_of_the_first_tier_are_not_tiny(vlm, images, calibration):
    decisive = [int(tier) for tier in np.random.default_rng(4).choice(3, 600, p=[0.9, 0.07, 0.03])]
    deciding = {str(number): tier for number, tier in enumerate(decisive)}
    scorer = CascadeScorer(vlm, with_thresholds(calibration, 0.5, 0.5), batch_size=8)
    scorer._max_bytes = 28 * images[0].nbytes
    batches = []

    def answers(tier, cases):
        if tier == 0:
            batches.append(len(cases))
        sure = [float(deciding[case.sha256] == tier) for case in cases]
        return torch.tensor([[0.7, 0.1, 0.1, 0.1, odds, 0.0] for odds in sure])

    scorer._run = answers
    stream = (replace(images[0], sha256=sha256) for sha256 in deciding)
    found = list(scorer.classify(stream))
    assert [prediction.tier for prediction in found] == decisive
    assert 600 / len(batches) > 14  # of the 28 that there is room for


def test_on_a_cpu_what_the_first_tier_dismissed_is_told_at_once(vlm, images, calibration):
    taken = 0

    def stream():
        nonlocal taken
        for image in images:
            taken += 1
            yield image

    all_dismissed = with_thresholds(calibration, -INF, None)
    next(CascadeScorer(vlm, all_dismissed, batch_size=1).classify(stream()))
    assert taken == 16  # one batch that is asked, and one behind it


def test_a_calibration_is_read_as_it_was_written(calibration, tmp_path):
    assert Calibration.read(tmp_path) is None
    finite = with_thresholds(calibration, 1.5, None)
    finite.write(tmp_path)
    assert Calibration.read(tmp_path) == finite
    assert Calibration.read(tmp_path).digest == finite.digest


def test_numbers_changed_by_hand_are_refused(calibration, tmp_path):
    path = with_thresholds(calibration, 1.5, None).write(tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("1.5,", "-1.5,"), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text
    with pytest.raises(ModelError, match="not what this version"):
        Calibration.read(tmp_path)


def with_digest(values):
    """As a later version may write it: other keys, and the right digest."""
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return json.dumps({**values, "digest": digest})


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[",
        "[1]",
        "null",
        with_digest({}),
        with_digest({"engine": "x", "promise": None, "head": {"mean": [1]}}),
    ],
)
def test_a_damaged_calibration_is_named(tmp_path, text):
    (tmp_path / CALIBRATION).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=CALIBRATION) as caught:
        Calibration.read(tmp_path)
    assert "mayak calibrate" in caught.value.remedy


def test_a_calibration_of_another_model_or_prompt_is_refused(vlm, calibration):
    for change in ({"model": "other"}, {"prompt": "other"}, {"adapter": "other"}):
        other = replace(vlm, engine=replace(vlm.engine, **change))
        with pytest.raises(ModelError, match="belongs to another model") as caught:
            CascadeScorer(other, calibration)
        assert "--exhaustive" in caught.value.remedy


def photo(seed):
    values = np.random.default_rng(seed).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(values).resize((2400, 1800), Image.Resampling.BICUBIC).save(stream, "JPEG")
    return stream.getvalue()


def test_the_last_tier_sees_photos_as_the_whole_model_does(vlm, calibration):
    scorer, plain = CascadeScorer(vlm, calibration), LabelScorer(vlm)
    files = [photo(seed) for seed in range(3)]
    glanced = [decode(data, min_sides=scorer.min_sides) for data in files]
    seen = [decode(data, min_sides=plain.min_sides) for data in files]
    assert [a.scale > b.scale for a, b in zip(glanced, seen, strict=True)] == [True] * 3

    expected = list(plain.classify(seen))
    for mine, theirs in zip(scorer.classify(glanced), expected, strict=True):
        assert mine.tier == 2
        assert mine.scores.values == pytest.approx(theirs.scores.values, abs=1e-5)


def test_without_a_promise_photos_are_decoded_for_the_whole_model(vlm, calibration):
    bare = CascadeScorer(vlm, replace(calibration, risk_bound=None))
    assert bare.min_sides == LabelScorer(vlm).min_sides != CascadeScorer(vlm, calibration).min_sides
