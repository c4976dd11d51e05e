"""Clusters of the map, by hand: three parts of Greater Seoul and four places abroad."""

import dataclasses

import numpy as np
import pytest

from case_samples import images
from mayak.case import CaseStore, Filter
from mayak.case.positions import clusters

GANGNAM, ITAEWON, SUWON = (37.5118, 127.0592), (37.5345, 126.9946), (37.2636, 127.0286)
BANGKOK, LOS_ANGELES = (13.7563, 100.5018), (34.0522, -118.2437)
AMSTERDAM, SYDNEY = (52.3702, 4.8952), (-33.8688, 151.2093)
ABROAD = (AMSTERDAM, SYDNEY, BANGKOK, LOS_ANGELES)
SUVA_WEST, SUVA_EAST = (-18.0, 179.9), (-18.0, -179.9)


def clustered(places, reach, *, west=-180.0, middle=37.0, labels=None):
    labels = np.zeros(len(places), np.int8) if labels is None else np.array(labels, np.int8)
    return clusters(np.array(places, np.float32), labels, west=west, middle=middle, reach=reach)


def exact(*numbers):
    """As the case holds them, in 32 bits."""
    return tuple(float(np.float32(number)) for number in numbers)


def test_no_positions_make_no_clusters():
    assert clustered(np.empty((0, 2)), 1.0) == []


def test_seen_from_afar_greater_seoul_is_one_cluster_at_the_position_of_an_image():
    places = [*[GANGNAM] * 6, *[ITAEWON] * 2, *[SUWON] * 4, *ABROAD]
    found = clustered(places, 5.0, labels=[3] * 6 + [0] * 6 + [-1, 0, 1, 2])
    # The middle is at 37.4329°, in Gwacheon, where no image was taken. Gangnam is 0.08° from it,
    # Itaewon 0.10°, Suwon 0.17°.
    assert found[0].at == exact(*GANGNAM)
    assert (found[0].count, found[0].positions) == (12, 3)
    assert found[0].labels == (0, 6, 0, 0, 6)
    assert found[0].box == exact(37.2636, 126.9946, 37.5345, 127.0592)
    assert [(one.at, one.count) for one in found[1:]] == [
        (exact(*place), 1) for place in sorted(ABROAD)
    ]
    assert [one.labels for one in found[1:]] == [
        (0, 1, 0, 0, 0),
        (0, 0, 1, 0, 0),
        (0, 0, 0, 1, 0),
        (1, 0, 0, 0, 0),
    ]


@pytest.mark.parametrize(
    ("reach", "counts"),
    [
        (0.3, [12]),  # from Suwon to Itaewon it is 0.2709° northward
        (0.2, [8, 4]),  # Gangnam and Itaewon: 0.0646° of longitude, 0.0516° at 37° north
        (0.04, [6, 4, 2]),
    ],
)
def test_nearer_they_come_apart_at_the_widest_gap(reach, counts):
    found = clustered([*[GANGNAM] * 6, *[ITAEWON] * 2, *[SUWON] * 4], reach)
    assert [cluster.count for cluster in found] == counts


def test_neighbours_stay_together_wherever_they_are():
    # A grid has its boundaries somewhere: of two images one metre apart it separates some.
    for offset in np.arange(0, 1, 0.013):
        pair = [(37.0 + offset, 127.0 + offset), (37.00001 + offset, 127.0 + offset)]
        far = [(38.5, 127.0), (36.5, 128.5)]
        assert [one.count for one in clustered([*pair, *far], 0.05)] == [2, 1, 1]


def test_boxes_never_overlap_and_hold_exactly_their_images():
    random = np.random.default_rng(3)
    towns = random.uniform((34, 126), (38, 129), (12, 2))
    places = towns[random.integers(12, size=3000)] + random.normal(0, 0.05, (3000, 2))
    places = places.astype(np.float32)
    for reach in (1.0, 0.2, 0.05):
        found = clustered(places, reach, middle=36.0)
        assert sum(cluster.count for cluster in found) == 3000
        for cluster in found:
            south, west, north, east = cluster.box
            inside = (places >= (south, west)).all(axis=1) & (places <= (north, east)).all(axis=1)
            assert inside.sum() == cluster.count
            assert north - south < reach * 1.1
            assert (places == np.array(cluster.at, np.float32)).all(axis=1).any()


def test_across_180_degrees_a_cluster_has_its_west_in_the_east():
    apart = clustered([SUVA_WEST, SUVA_EAST], 1.0, middle=-18.0)
    assert [one.box for one in apart] == [
        exact(-18, -179.9, -18, -179.9),
        exact(-18, 179.9, -18, 179.9),
    ]
    (one,) = clustered([SUVA_WEST, SUVA_EAST], 1.0, middle=-18.0, west=179.0)
    assert one.box == exact(-18, 179.9, -18, -179.9)


@pytest.fixture
def browser(tmp_path):
    """A case with an image at each place, and one that states none."""
    places = [*[GANGNAM] * 6, *[ITAEWON] * 2, *[SUWON] * 4, *ABROAD, SUVA_WEST, SUVA_EAST]
    items = images(1, len(places) + 1)
    for number, (latitude, longitude) in enumerate(places):
        location = {"latitude": latitude, "longitude": longitude, "altitude": None}
        found = dataclasses.replace(items[number].outcome, metadata={"location": location})
        items[number] = dataclasses.replace(items[number], outcome=found)
    with CaseStore.create(tmp_path / "case", operator="kim") as store:
        store.add_items(store.add_source("phone.zip", "zip"), items)
        browser = store.browse("kim", distance=31)
        browser.refresh()
        yield browser


def test_the_map_counts_what_is_in_sight(browser):
    world = browser.map(Filter())
    assert (world["count"], world["unknown"]) == (18, 1)
    assert world["all"] == exact(-33.8688, -179.9, 52.3702, 179.9)
    seoul = browser.map(Filter(), (37.4, 126.9, 37.6, 127.1), 0.001)
    assert [cluster["count"] for cluster in seoul["clusters"]] == [6, 2]
    assert (seoul["count"], seoul["unknown"], seoul["all"]) == (8, 1, world["all"])
    assert seoul["box"] == exact(37.5118, 126.9946, 37.5345, 127.0592)
    assert browser.map(Filter(), (0, 0, 1, 1), 0.1)["clusters"] == []


@pytest.mark.parametrize(
    ("wanted", "sight", "reach"),
    [
        (None, None, None),
        (None, (-60, -200, 80, 200), 10.0),
        (None, (37.4, 126.9, 37.6, 127.1), 0.05),
        ((-90.0, 150.0, 60.0, -100.0), None, None),
        ((-90.0, 150.0, 60.0, -100.0), (-40, 140, 60, 250), 4.0),
        ((-30.0, 179.0, 0.0, -179.0), (-30, 170, 0, 190), 2.0),
    ],
)
def test_a_box_of_the_map_selects_the_images_that_it_counts(browser, wanted, sight, reach):
    wanted = Filter(box=wanted)
    found = browser.map(wanted, sight, reach)
    assert found["count"] > 1
    for part in (found, *found["clusters"]):
        inside = dataclasses.replace(wanted, box=part["box"])
        assert browser.select(inside, "first").total == part["count"]
        assert browser.positions(inside)[1].sum() == part["count"]
