"""Scene likeness on drawn pictures; ``benchmarks/grouping.py`` measures it on more of them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from mayak.imaging.scenes import linked_scenes, same_scene, scene_features
from mayak_synthetic.camera import moved
from mayak_synthetic.scenes import render

PHOTOS = ("street", "gas_meter", "tablets", "pet", "room")
CHATS = ("drug_chat", "ordinary_chat")


def features(image, quality=80):
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return scene_features(Image.open(data))


@pytest.fixture(scope="module")
def photos():
    return {subject: render(subject, 3, "base").image for subject in PHOTOS}


@pytest.mark.parametrize("subject", PHOTOS)
@pytest.mark.parametrize(
    "move",
    [
        {"shift": (0.04, 0.0)},
        {"shift": (-0.02, 0.03)},
        {"degrees": 2.0},
        {"zoom": 1.04},
        {"shift": (0.02, -0.02), "degrees": -2.0, "zoom": 0.96},
    ],
)
def test_a_hand_held_photo_a_moment_later_is_one_scene(photos, subject, move):
    later = ImageEnhance.Brightness(moved(photos[subject], **move)).enhance(0.94)
    first, second = features(photos[subject]), features(later, 65)
    assert same_scene(first, second)
    assert same_scene(second, first)


@pytest.mark.parametrize("subject", PHOTOS)
def test_a_smaller_copy_is_one_scene(photos, subject):
    smaller = photos[subject].resize((photos[subject].width // 2, photos[subject].height // 2))
    assert same_scene(features(photos[subject]), features(smaller))


def test_other_scenes_of_the_same_subjects_are_not(photos):
    others = [features(render(subject, 4, "base").image) for subject in PHOTOS]
    for picture in photos.values():
        assert not any(same_scene(features(picture), other) for other in others)


def test_a_mirrored_photo_is_not_recognised(photos):
    """Stated in the documentation."""
    assert not same_scene(features(photos["street"]), features(ImageOps.mirror(photos["street"])))


@pytest.mark.parametrize("subject", CHATS)
@pytest.mark.parametrize("seed", [20, 21, 23])
@pytest.mark.parametrize("scroll", [0.06, 0.25, 0.5])
def test_a_chat_that_was_scrolled_is_one_screen(subject, seed, scroll):
    pages = [features(render(subject, seed, "base", at).image) for at in (0.0, scroll)]
    assert same_scene(*pages)
    assert same_scene(*pages[::-1])


def test_pages_without_a_common_message_are_linked_by_those_between():
    pages = [features(render("drug_chat", 21, "base", at).image) for at in (0.0, 1.0, 0.5)]
    assert not same_scene(*pages[:2])
    links = linked_scenes(pages, range(3), lambda: None)
    assert sorted(tuple(sorted(link)) for link in links) == [(0, 2), (1, 2)]


def test_other_chats_are_not_one_screen():
    pages = [
        features(render(subject, seed, "base").image) for subject in CHATS for seed in range(6)
    ]
    found = [(a, b) for a in range(len(pages)) for b in range(a) if same_scene(pages[a], pages[b])]
    assert found == []


@pytest.mark.parametrize("size", [(1, 1), (40, 40), (640, 480), (5000, 3), (3, 900)])
def test_pictures_without_corners_are_alike_to_nothing(size):
    one, other = (scene_features(Image.new("RGB", size, (c, c, c))) for c in (40, 90))
    assert not same_scene(one, one)
    assert not same_scene(one, other)
    assert linked_scenes([one, other], range(2), lambda: None) == []


def test_noise_is_alike_to_nothing():
    rng = np.random.default_rng(1)
    noise = [
        scene_features(Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)))
        for _ in range(2)
    ]
    assert not same_scene(*noise)


def test_pictures_of_one_group_are_not_compared_again(photos):
    looks = [features(photos["street"], quality) for quality in (90, 80, 70)]
    assert linked_scenes(looks, [5, 5, 5], lambda: None) == []
    assert len(linked_scenes(looks, [0, 1, 0], lambda: None)) == 1
