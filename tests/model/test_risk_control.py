"""The promise on made-up log-odds, whose true losses are known."""

import numpy as np
import pytest

from mayak.model.risk_control import choose_thresholds, drift, min_relevant

ALPHA, CONFIDENCE = 0.01, 0.95


def world(count, seed, *, shift=0.0):
    """Log-odds (N, 2) of two tiers, the second surer, and who is relevant; ``shift`` makes the
    relevant look more like the others."""
    rng = np.random.default_rng(seed)
    relevant = rng.random(count) < 0.4
    common = rng.normal(size=count)
    means = ((-2.0 + shift, 3.0), (-5.0 + shift, 5.0))
    odds = [
        np.where(relevant, yes, no) + common + rng.normal(size=count) * spread
        for (yes, no), spread in zip(means, (1.0, 1.5), strict=True)
    ]
    return np.stack(odds, axis=1), relevant


def dismissed(odds, thresholds):
    limits = [np.inf if limit is None else limit for limit in thresholds]
    return (odds > limits).any(axis=1)


def choose(odds, relevant, alpha=ALPHA):
    return choose_thresholds(odds, relevant, alpha=alpha, confidence=CONFIDENCE)


def test_needed_by_hand():
    # two ways share the doubt of 5 %: 0.99^n <= 0.025
    assert min_relevant(0.01, 0.95) == 368
    assert 0.99**368 <= 0.025 < 0.99**367


def test_with_too_few_relevant_images_nothing_is_promised():
    odds, relevant = world(1500, 1)
    few = np.flatnonzero(relevant)[:367]
    rows = np.concatenate([few, np.flatnonzero(~relevant)])
    assert choose(odds[rows], relevant[rows]) is None
    assert choose(odds, relevant) is not None


def test_the_promise_holds_in_95_of_100_calibrations():
    odds, relevant = world(200_000, 0)
    losses, savings = [], []
    for seed in range(1, 101):
        gone = dismissed(odds, choose(*world(1500, seed)))
        losses.append(gone[relevant].mean())
        savings.append(gone[~relevant].mean())
    assert sum(loss <= ALPHA for loss in losses) >= 95
    assert min(savings) > 0.5  # a promise that dismisses nothing were easy to keep


def test_a_tier_that_knows_nothing_is_not_asked():
    odds, relevant = world(3000, 3)
    odds[:, 1] = np.random.default_rng(4).normal(size=len(odds))
    first, second = choose(odds, relevant)
    assert second is None
    assert dismissed(odds, (first, None))[~relevant].mean() > 0.5


def test_only_what_is_likelier_irrelevant_than_not_is_dismissed():
    odds, relevant = world(3000, 5)
    first, second = choose(odds - 20, relevant)
    assert min(first, second or 0.0) >= 0


def test_lost_images_of_the_calibration_stay_below_what_was_allowed():
    odds, relevant = world(3000, 6)
    gone = dismissed(odds, choose(odds, relevant))[relevant]
    assert gone.mean() < ALPHA


@pytest.fixture(scope="module")
def calibrated():
    odds, relevant = world(3000, 7)
    thresholds = choose(odds, relevant)
    return thresholds, tuple(odds[relevant & ~dismissed(odds, thresholds), 0].tolist())


def found(seed, thresholds, **changes):
    odds, relevant = world(1000, seed, **changes)
    gone = dismissed(odds, thresholds)
    return odds[relevant & ~gone, 0].tolist(), gone[relevant].mean()


def test_images_like_those_of_the_calibration_raise_no_warning(calibrated):
    thresholds, kept = calibrated
    assert not any(drift(kept, found(seed, thresholds)[0]).has_drifted for seed in range(20, 40))


def test_shifted_images_break_the_promise_and_are_warned_of(calibrated):
    thresholds, kept = calibrated
    seen, lost = found(8, thresholds, shift=2.0)
    assert lost > 5 * ALPHA
    assert drift(kept, seen).has_drifted


def test_few_images_tell_nothing(calibrated):
    _, kept = calibrated
    told = drift(kept, [50.0] * 19)
    assert (told.found, told.p, told.has_drifted) == (19, None, False)
