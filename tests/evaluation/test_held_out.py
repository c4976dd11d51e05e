"""Cross-fitting: each image is measured by a calibration that has not seen it."""

from dataclasses import replace

import numpy as np
import pytest

from mayak.evaluation.held_out import PARTS, deciding_tiers, held_out, parts
from mayak.model.risk_control import RiskBound
from mayak.types import Sample

BOUND = RiskBound(0.05, 0.95, 100, 0, (2.0, None), (0.5, 0.0, 0.5), ())


def samples(count, group_size=1):
    return [
        Sample(
            f"{n}",
            f"raw/{n}.png",
            n % 4,
            f"{n * 7919 % 100_000:064x}",
            f"g{n // group_size}",
            "val",
        )
        for n in range(count)
    ]


def logits(images, gap=6.0):
    """Of all tiers: sure of the label."""
    table = np.zeros((3, len(images), 4))
    for row, image in enumerate(images):
        table[:, row, image.label] = gap
    return table


def odds(table):
    return table[:, :, 0] - np.log(np.exp(table[:, :, 1:]).sum(axis=2))


def test_parts_keep_groups_whole_and_labels_spread():
    images = [replace(s, label=int(s.group[1:]) % 4) for s in samples(480, group_size=3)]
    part_of = parts(images)
    for group in {image.group for image in images}:
        assert len({int(p) for p, s in zip(part_of, images, strict=True) if s.group == group}) == 1
    for label in range(4):
        count = np.bincount([p for p, s in zip(part_of, images, strict=True) if s.label == label])
        assert len(count) == PARTS
        assert set(count) == {6}


def test_parts_depend_on_contents_alone():
    images = samples(100, group_size=2)
    before = {s.sha256: p for s, p in zip(images, parts(images), strict=True)}
    renamed = [replace(s, group="x" + s.group, id="y" + s.id) for s in reversed(images)]
    assert {s.sha256: p for s, p in zip(renamed, parts(renamed), strict=True)} == before


def test_no_image_has_a_say_in_its_own_thresholds():
    images = samples(80, group_size=2)
    part_of, asked = parts(images), []

    def fit(rows):
        asked.append({int(row) for row in rows})
        return (1.0, 1.0, 1.0), BOUND

    table = logits(images)
    found = held_out(images, table, odds(table), fit)
    assert found.metrics.n == 80
    assert len(asked) == PARTS + 1
    for part, rows in enumerate(asked[1:]):
        assert rows == {row for row in range(80) if part_of[row] != part}


def test_what_a_threshold_from_others_loses_is_counted():
    """Tier 0 is sure that one relevant image is none; the whole model would have found it."""
    images = samples(200)
    table = logits(images)
    victim = next(row for row, image in enumerate(images) if image.label == 3)
    table[0, victim] = (9.0, 0, 0, 0)
    found = held_out(images, table, odds(table), lambda _: ((1.0, 1.0, 1.0), BOUND))
    assert found.metrics.accuracy == pytest.approx(199 / 200)
    check = found.triage.bound
    assert (check.against_model.count, check.against_model.of) == (1, 150)
    assert [tier.decided for tier in found.triage.tiers] == [51, 0, 149]
    assert found.as_json()["as_triage"]["bound"]["truth"]["count"] == 1


def test_too_few_images_for_a_bound_without_a_part_are_not_measured():
    images = samples(60)
    table = logits(images)

    def fit(rows):
        return (1.0, 1.0, 1.0), BOUND if len(rows) == 60 else None

    assert held_out(images, table, odds(table), fit) is None


def test_without_a_bound_the_whole_model_is_measured():
    images = samples(60)
    table = logits(images)
    found = held_out(images, table, odds(table), lambda _: ((1.0, 1.0, 1.0), None))
    assert [tier.decided for tier in found.triage.tiers] == [0, 0, 60]
    assert found.triage.bound is None


def test_tiers_decide_in_their_order():
    table = np.array([[3.0, 1.0, 1.0], [9.0, 5.0, 4.0], [0.0, 0.0, 0.0]])
    assert list(deciding_tiers(table, replace(BOUND, thresholds=(2.0, 4.0)))) == [0, 1, 2]
    assert list(deciding_tiers(table, BOUND)) == [0, 2, 2]
