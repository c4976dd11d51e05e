from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from mayak.dataset.augment import (
    AugmentJob,
    Gamma,
    HueSaturationValue,
    MotionBlur,
    Noise,
    augment,
    augmented,
    seed_of,
    shift_saturation_and_value,
)
from mayak.imaging import decode_file
from mayak.imaging.hashing import sha256


@pytest.fixture
def pixels():
    rough = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(rough).resize((80, 60), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def test_a_seed_gives_the_same_variant_and_leaves_the_random_state_alone(pixels):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()

    one, same, other = augmented(pixels, 5), augmented(pixels, 5), augmented(pixels, 6)

    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == pixels.shape
    assert one.dtype == torch.uint8
    assert torch.equal(torch.random.get_rng_state(), before)


def test_seeds_differ_by_seed_image_and_copy():
    seeds = {seed_of(s, digest, copy) for s in (1, 2) for digest in "ab" for copy in (1, 2)}

    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_rotation_fills_with_black():
    white = torch.full((3, 60, 80), 255, dtype=torch.uint8)

    corners = [augmented(white, seed)[:, 0, 0].float().mean() for seed in range(40)]

    # Seven of ten are rotated, and a corner can be cropped away again in three of ten.
    assert sum(corner < 60 for corner in corners) >= 15


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (2, 2), (3, 3)])
def test_the_smallest_images_too(size):
    pixels = torch.full((3, *size), 128, dtype=torch.uint8)

    for seed in range(20):
        assert augmented(pixels, seed).shape == pixels.shape


def test_noise_has_the_stated_variance():
    torch.manual_seed(0)
    grey = torch.full((3, 300, 300), 0.5)

    variances = [float(((Noise(10, 50)(grey) - grey) * 255).var()) for _ in range(30)]

    assert 9.5 <= min(variances) < 20
    assert 40 < max(variances) <= 50.5


def test_motion_blur_is_a_line_of_3_or_5_that_keeps_the_light():
    torch.manual_seed(0)
    point = torch.zeros(3, 21, 21)
    point[:, 10, 10] = 1.0

    lengths = set()
    for _ in range(40):
        blurred = MotionBlur()(point)[0]
        assert float(blurred.sum()) == pytest.approx(1.0)
        lengths.add(int((blurred > 0).sum()))

    assert lengths == {3, 5}


def test_gamma_is_a_power():
    values = torch.full((3, 2, 2), 0.25)

    assert torch.allclose(Gamma(1.2, 1.2)(values), torch.full((3, 2, 2), 0.25**1.2))


def test_saturation_and_value_by_hand():
    # (0.8, 0.4, 0.2): V .8, S .75. S + .05 = .8 → the least is .8·(1 − .8) = .16, and the middle
    # keeps its place between them: .8 − .4·(.8/.75) = .37333. V + .1 scales by .9/.8.
    colour = torch.tensor([0.8, 0.4, 0.2]).reshape(3, 1, 1)

    shifted = shift_saturation_and_value(colour, 0.05, 0.1).flatten()

    assert shifted.tolist() == pytest.approx([0.9, 0.42, 0.18], abs=1e-5)


def test_grey_stays_grey_and_black_can_brighten():
    grey = shift_saturation_and_value(torch.full((3, 1, 1), 0.5), 0.06, 0.04).flatten()
    black = shift_saturation_and_value(torch.zeros(3, 1, 1), 0.06, 0.04).flatten()

    assert grey.tolist() == pytest.approx([0.54] * 3)
    assert black.tolist() == pytest.approx([0.04] * 3)


def test_hue_turns_no_further_than_stated():
    torch.manual_seed(0)
    red = torch.tensor([1.0, 0.0, 0.0]).reshape(3, 1, 1)

    turned = [HueSaturationValue(10 / 180, 0, 0)(red).flatten() for _ in range(60)]

    # From red, an angle of h turns adds 6·h to green (or blue): at most 6/18.
    most = max(float(max(t[1], t[2])) for t in turned)
    assert 0.25 < most <= 1 / 3 + 1e-4
    assert all(math.isclose(float(t[0]), 1.0, abs_tol=1e-5) for t in turned)


def test_a_job_writes_a_jpeg_and_refuses_a_changed_original(tmp_path, pixels):
    source = tmp_path / "원본.png"
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(source)
    job = AugmentJob(source, sha256(source.read_bytes()), 1, 42, tmp_path / "made.jpg")

    made = augment(job)

    assert made is not None
    written = decode_file(job.target)
    assert (made.sha256, made.size) == (written.sha256, (80, 60))
    assert written.format == "JPEG"
    source.write_bytes(source.read_bytes() + b"x")
    assert augment(job) is None
