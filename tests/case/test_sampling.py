"""A blind sample is drawn by chance, judged blindly, and says how much was missed."""

import hashlib

import pytest
from scipy import stats

from case_samples import ENGINE, digest, images, prediction
from mayak.case import CaseStore
from mayak.case.sampling import miss_rate
from mayak.errors import CaseError

IRRELEVANT = (0.7, 0.1, 0.1, 0.1)
RELEVANT = (0.1, 0.2, 0.3, 0.4)


@pytest.fixture
def store(tmp_path):
    """60 images, of which the model calls 50 irrelevant."""
    with CaseStore.create(tmp_path / "case", operator="김수사") as store:
        store.add_items(store.add_source("phone.zip", "zip"), images(1, 60, thumbnail=None))
        scores = {f"{n}.jpg": IRRELEVANT if n <= 50 else RELEVANT for n in range(1, 61)}
        run = store.start_run(ENGINE)
        store.add_results(run, [prediction(name, scores=s) for name, s in scores.items()])
        yield store


def test_the_population_is_what_was_called_irrelevant_and_nobody_decided(store):
    store.decide("other", {digest(f"{n}.jpg"): 1 for n in range(1, 11)})
    store.decide("other", {digest("11.jpg"): 1})
    store.undo("other")
    everything = store.draw_sample(1, 40, 7, "김수사")
    expected = {digest(f"{n}.jpg") for n in range(11, 51)}
    assert set(store.sample_items(everything)) == expected
    (sample,) = store.samples()
    assert (sample.population, sample.size, sample.seed, sample.run) == (40, 40, 7, 1)
    assert (sample.judged, sample.missed) == (0, None)
    assert store.verify() == []


def test_anyone_can_repeat_the_draw(store):
    drawn = list(store.sample_items(store.draw_sample(1, 12, 2026, "a")))
    ranked = sorted(
        (digest(f"{n}.jpg") for n in range(1, 51)),
        key=lambda content: hashlib.sha256(f"2026:{content}".encode()).hexdigest(),
    )
    assert drawn == ranked[:12]
    assert list(store.sample_items(store.draw_sample(1, 12, 2027, "a"))) != drawn


def test_a_tie_with_irrelevant_is_proposed_and_not_sampled_as_irrelevant(store):
    before = store.label_counts(1)
    store.add_items(1, images(61, 61))
    store.add_results(1, [prediction("61.jpg", scores=(0.4, 0.4, 0.1, 0.1))])
    assert store.label_counts(1) == before | {1: 1}
    assert digest("61.jpg") not in store.sample_items(store.draw_sample(1, 50, 0, "a"))


@pytest.mark.parametrize("size", [0, 51])
def test_a_sample_that_cannot_be_drawn_is_refused(store, size):
    with pytest.raises(CaseError, match="calls 50 images irrelevant") as caught:
        store.draw_sample(1, size, 0, "a")
    assert caught.value.remedy == "draw between 1 and 50"
    assert store.samples() == []


def test_the_estimate_comes_with_the_last_judgement_and_goes_with_an_undo(store):
    number = store.draw_sample(1, 20, 1, "김수사")
    items = list(store.sample_items(number))
    store.judge("김수사", number, dict.fromkeys(items[:19], 0))
    assert store.samples()[0].missed is None
    store.judge("김수사", number, {items[19]: 3})
    estimate = store.samples()[0].missed
    assert (estimate.relevant, estimate.size, estimate.population) == (1, 20, 50)
    assert (estimate.fraction, estimate.images) == (0.05, 2)
    assert (estimate.low, estimate.high) == (1, 10)
    assert estimate.interval == (0.02, 0.2)
    assert store.verdicts(items[19])["김수사"].sample == number
    assert store.undo("김수사") == [items[19]]
    assert store.sample_items(number)[items[19]] is None
    assert store.samples()[0].missed is None
    store.judge("김수사", number, {items[19]: 0})
    assert store.samples()[0].relevant == 0
    assert store.verify() == []


def test_a_later_decision_with_the_scores_in_view_is_no_judgement(store):
    number = store.draw_sample(1, 2, 1, "a")
    items = list(store.sample_items(number))
    store.judge("a", number, dict.fromkeys(items, 0))
    store.decide("a", dict.fromkeys(items, 1))
    store.decide("b", dict.fromkeys(items, 2))
    assert store.verdicts(items[0])["a"].verdict == 1
    assert store.samples()[0].relevant == 0
    store.judge("a", number, {items[0]: 3})
    assert store.samples()[0].relevant == 1


def test_nobody_judges_in_another_reviewers_name(store):
    number = store.draw_sample(1, 2, 1, "a")
    items = list(store.sample_items(number))
    with pytest.raises(CaseError, match=f"sample {number} was drawn for a, not for b"):
        store.judge("b", number, {items[0]: 1})
    assert list(store.decisions()) == []


def test_only_what_was_drawn_is_judged(store):
    number = store.draw_sample(1, 2, 1, "a")
    with pytest.raises(CaseError, match="is not in sample"):
        store.judge("a", number, {digest("60.jpg"): 1})
    with pytest.raises(CaseError, match="there is no sample 9"):
        store.judge("a", 9, {digest("60.jpg"): 1})
    assert list(store.decisions()) == []


@pytest.mark.parametrize("population", [1, 2, 13, 37])
def test_the_interval_is_that_of_the_hypergeometric_tails(population):
    """Against scipy, over every sample that there can be."""
    for size in range(1, population + 1):
        for relevant in range(size + 1):
            possible = [
                number
                for number in range(relevant, population - size + relevant + 1)
                if stats.hypergeom.sf(relevant - 1, population, number, size) > 0.025
                and stats.hypergeom.cdf(relevant, population, number, size) > 0.025
            ]
            found = miss_rate(relevant, size, population)
            assert (found.low, found.high) == (possible[0], possible[-1])


def test_of_a_large_population_it_is_the_interval_of_clopper_and_pearson():
    for relevant, size in ((0, 300), (3, 300), (299, 300)):
        wanted = stats.binomtest(relevant, size).proportion_ci()
        assert miss_rate(relevant, size, 10**9).interval == pytest.approx(wanted, abs=1e-8)


def test_who_has_seen_everything_is_sure():
    found = miss_rate(3, 50, 50)
    assert (found.low, found.images, found.high) == (3, 3, 3)
