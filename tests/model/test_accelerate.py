"""What is left out when it gives something else than the long way, and that all else is used."""

from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch._dynamo.utils import counters

from mayak.errors import MayakWarning
from mayak.model import LabelScorer, load_model
from mayak.model.accelerate import CHANGE_TOLERANCE_FP8, CheckedCompile, CheckedCudaGraph
from model_folder import decoded

LAYERS = 3


def work(layer, hidden):
    return hidden + layer * hidden.roll(1, dims=1)


def compiling_to(monkeypatch, short):
    monkeypatch.setattr(torch, "compile", lambda function, **_: short)


def hidden_states():
    """As real models have them: one position far larger than the others."""
    hidden = torch.rand(50, 8, generator=torch.Generator().manual_seed(0)) + 0.1
    hidden[7] *= 3000
    return hidden


def swapped(layer, hidden):
    right = work(layer, hidden)
    right[[1, 2]] = right[[2, 1]]
    return right


@pytest.mark.parametrize(
    "wrong",
    [
        lambda layer, hidden: hidden + 1.2 * (work(layer, hidden) - hidden),
        lambda layer, hidden: hidden.clone(),
        lambda layer, hidden: hidden * torch.nan,
        lambda layer, hidden: torch.where(hidden == hidden.min(), torch.inf, work(layer, hidden)),
        swapped,
    ],
)
@pytest.mark.parametrize("from_layer", range(LAYERS))
def test_a_compiled_layer_that_is_wrong_is_never_believed(monkeypatch, wrong, from_layer):
    compiling_to(monkeypatch, lambda at, hidden: (wrong if at > from_layer else work)(at, hidden))
    layer = CheckedCompile(work, LAYERS)
    hidden = hidden_states()
    with pytest.warns(MayakWarning, match="other results") as told:
        for at in range(1, LAYERS + 1):
            assert torch.equal(layer(at, hidden), work(at, hidden))
    assert len(told) == 1
    for at in range(1, LAYERS + 1):
        assert torch.equal(layer(at, hidden), work(at, hidden))


def test_a_compiled_layer_that_differs_by_rounding_is_used(monkeypatch):
    def short(layer, hidden):
        return (hidden + work(layer, hidden).bfloat16() - hidden.bfloat16()).bfloat16().float()

    compiling_to(monkeypatch, short)
    layer = CheckedCompile(work, LAYERS)
    hidden = hidden_states()
    for at in range(1, LAYERS + 1):
        assert torch.equal(layer(at, hidden), work(at, hidden))
    assert torch.equal(layer(2, hidden), short(2, hidden))
    assert not torch.equal(layer(2, hidden), work(2, hidden))


def test_rounding_of_eight_bits_has_a_wider_bound_and_nothing_else_has(monkeypatch):
    def short(layer, hidden):
        return work(layer, hidden) + 0.17 * (work(layer, hidden) - hidden)

    compiling_to(monkeypatch, short)
    hidden = hidden_states()
    wide = CheckedCompile(work, 1, tolerance=CHANGE_TOLERANCE_FP8)
    assert torch.equal(wide(1, hidden), work(1, hidden))
    assert torch.equal(wide(1, hidden), short(1, hidden))
    with pytest.warns(MayakWarning, match="other results"):
        CheckedCompile(work, 1)(1, hidden)
    for wrong in (lambda layer, hidden: hidden.clone(), swapped):
        compiling_to(monkeypatch, wrong)
        with pytest.warns(MayakWarning, match="other results"):
            CheckedCompile(work, 1, tolerance=CHANGE_TOLERANCE_FP8)(1, hidden)


@pytest.mark.parametrize("precision", ["fp32", "nf4"])
def test_compiled_scores_are_the_uncompiled_ones_and_compiled_once(
    model_folder, monkeypatch, precision
):
    # Without a C compiler here: its own steps alone, in which recompiling would show.
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    counters.clear()
    vlm = load_model(str(model_folder), precision=precision, device="cpu")
    sizes = [(90, 90), (300, 100), (60, 220), (1, 900), (112, 112), (33, 47), (200, 150)]
    images = [decoded(*size, seed=number) for number, size in enumerate(sizes)]
    plain = list(LabelScorer(vlm, compiled=False).classify(images))
    scorer = LabelScorer(vlm, batch_size=3, compiled=True)
    for _ in range(2):
        for mine, theirs in zip(scorer.classify(images), plain, strict=True):
            assert mine.scores.values == pytest.approx(theirs.scores.values, abs=1e-5)
    assert counters["stats"]["unique_graphs"] == 2
    assert not counters["graph_break"]


def test_recorded_work_is_simply_done_without_a_gpu():
    recorded = CheckedCudaGraph(lambda rows: rows.sum(dim=1), 4, torch.device("cpu"))
    for count in (4, 1, 3):
        rows = torch.rand(count, 3)
        assert torch.equal(recorded(rows), rows.sum(dim=1))
    with pytest.raises(ValueError, match="5 rows, 4 at most"):
        recorded(torch.rand(5, 3))


class Work:
    """Stands for a model: counts how often it is asked, and notes its last result's tensor."""

    asked = 0

    def __call__(self, rows):
        self.asked += 1
        self.seen, self.given = rows, torch.cat([rows, rows[:, :1] * 2], dim=1).double()
        return self.given


@pytest.fixture
def gpu(monkeypatch):
    """CUDA's streams and graphs, played on the CPU; ``gpu.replays`` says what a replay does."""

    class Gpu:
        def __init__(self):
            self.replays = lambda work, seen, given: given.copy_(work(seen))
            self.captures = nullcontext

        def recorded(self, work, count):
            made = CheckedCudaGraph(work, count, torch.device("cpu"))
            made._may_record = True

            class Graph:
                def replay(self):
                    if not hasattr(made, "kept"):
                        made.kept = work.seen, work.given
                    played.replays(Work(), *made.kept)

            monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
            return made

    played = Gpu()
    stream = SimpleNamespace(wait_stream=lambda _: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "Stream", lambda _: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "set_stream", lambda _: None)
    monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: played.captures())
    return played


def test_recorded_work_gives_what_the_work_gives(gpu):
    work = Work()
    recorded = gpu.recorded(work, 4)
    few = torch.rand(2, 3)
    assert torch.equal(recorded(few), Work()(few))
    assert work.asked == 1, "a few rows alone are not worth a graph"
    answers = []
    for count in (4, 2, 4, 1):
        rows = torch.rand(count, 3)
        answers.append((recorded(rows), Work()(rows)))
    for mine, right in answers:  # none is overwritten by the next
        assert torch.equal(mine, right)
    assert work.asked == 4, "two to warm up, one to record"


@pytest.mark.parametrize(
    "replays",
    [
        lambda work, seen, given: None,  # nothing was recorded
        lambda work, seen, given: given.copy_(work(seen) * 1.1),
        lambda work, seen, given: given.copy_(work(seen))[0].fill_(torch.nan),
    ],
)
def test_a_graph_that_gives_something_else_is_not_used(gpu, replays):
    gpu.replays = replays
    recorded = gpu.recorded(Work(), 4)
    with pytest.warns(MayakWarning, match="graph gives other results") as told:
        for count in (4, 4, 2):
            rows = torch.rand(count, 3)
            assert torch.equal(recorded(rows), Work()(rows))
    assert len(told) == 1


def test_what_cannot_be_recorded_is_done_without(gpu):
    @contextmanager
    def failing():
        yield
        raise RuntimeError("operation not permitted when stream is capturing")

    gpu.captures = failing
    recorded = gpu.recorded(Work(), 4)
    with pytest.warns(MayakWarning, match="no CUDA graph could be made") as told:
        for _ in range(2):
            rows = torch.rand(4, 3)
            assert torch.equal(recorded(rows), Work()(rows))
    assert len(told) == 1
