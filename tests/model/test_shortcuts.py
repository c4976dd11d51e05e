"""What is left out when it gives something else than the long way, and that all else is used."""

from functools import partial

import pytest
import torch
from torch._dynamo.utils import counters

from mayak.model import LabelScorer, load_model
from mayak.model.shortcuts import Compiled, Recorded
from model_folder import decoded

LAYERS = 3


def work(layer, hidden):
    return hidden * layer


def compiling_to(monkeypatch, short):
    monkeypatch.setattr(torch, "compile", lambda function, **_: short)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda layer, hidden: hidden * layer * 1.2,
        lambda layer, hidden: hidden * torch.nan,
        lambda layer, hidden: torch.where(hidden == hidden.max(), torch.inf, hidden * layer),
    ],
)
@pytest.mark.parametrize("from_layer", range(LAYERS))
def test_a_compiled_layer_that_is_wrong_is_never_believed(monkeypatch, wrong, from_layer):
    compiling_to(monkeypatch, lambda at, hidden: (wrong if at > from_layer else work)(at, hidden))
    layer = Compiled(work, LAYERS)
    hidden = torch.rand(4, 8) + 0.1
    with pytest.warns(RuntimeWarning, match="other results") as told:
        for at in range(1, LAYERS + 1):
            assert torch.equal(layer(at, hidden), work(at, hidden))
    assert len(told) == 1
    for at in range(1, LAYERS + 1):
        assert torch.equal(layer(at, hidden), work(at, hidden))


def test_a_compiled_layer_that_differs_by_rounding_is_used(monkeypatch):
    compiling_to(monkeypatch, lambda layer, hidden: hidden * layer * (1 + 2**-8))
    layer = Compiled(work, LAYERS)
    hidden = torch.rand(4, 8)
    for at in range(LAYERS):
        assert torch.equal(layer(at, hidden), work(at, hidden))
    assert torch.equal(layer(2, hidden), hidden * 2 * (1 + 2**-8))


def test_compiled_scores_are_the_uncompiled_ones_and_compiled_once(model_folder, monkeypatch):
    # Without a C compiler here: its own steps alone, in which recompiling would show.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    counters.clear()
    vlm = load_model(str(model_folder), precision="fp32", device="cpu")
    sizes = [(90, 90), (300, 100), (60, 220), (1, 900), (112, 112), (33, 47), (200, 150)]
    images = [decoded(*size, seed=number) for number, size in enumerate(sizes)]
    plain = list(LabelScorer(vlm, compiled=False).classify(images))
    scorer = LabelScorer(vlm, batch_size=3, compiled=True)
    for _ in range(2):
        for mine, theirs in zip(scorer.classify(images), plain, strict=True):
            assert mine.scores == pytest.approx(theirs.scores, abs=1e-5)
    assert counters["stats"]["unique_graphs"] == 2
    assert not counters["graph_break"]


def test_recorded_work_is_simply_done_without_a_gpu():
    recorded = Recorded(lambda rows: rows.sum(dim=1), 4, torch.device("cpu"))
    for count in (4, 1, 6):
        rows = torch.rand(count, 3)
        assert torch.equal(recorded(rows), rows.sum(dim=1))
