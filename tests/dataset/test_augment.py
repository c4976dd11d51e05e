from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from checkpoints import processor_for, published_config, published_tokenizer
from mayak.dataset.augment import (
    MODEL_SIDES,
    AugmentJob,
    Gamma,
    HueSaturationValue,
    MotionBlur,
    Noise,
    _pipeline,
    augment,
    augmented,
    seed_of,
    shift_saturation_and_value,
)
from mayak.imaging import decode_file
from mayak.imaging.hashing import sha256
from mayak.model import VisionLanguageModel

RECORDED = Path(__file__).with_name("paper_augmentation.png")
"""24 variants of one picture, one below the other, as the first version made them."""


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


def test_the_papers_pixel_values_stay():
    rough = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(rough).resize((32, 24), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    recorded = np.array(Image.open(RECORDED)).astype(int)

    made = np.concatenate([augmented(pixels, seed).permute(1, 2, 0) for seed in range(24)])

    # Another kind of processor may round a value differently.
    assert np.abs(made - recorded).max() <= 1
    assert (made != recorded).mean() < 0.001


def test_the_models_scale_is_twice_what_the_published_model_sees():
    processor = processor_for(published_config(), published_tokenizer())
    assert VisionLanguageModel(None, processor, None, None).min_sides == MODEL_SIDES


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


def test_motion_blur_is_narrower_by_the_scale():
    torch.manual_seed(0)
    point = torch.zeros(3, 21, 21)
    point[:, 10, 10] = 1.0
    place = torch.arange(21.0) - 10

    def widths(scale):
        found = []
        for _ in range(200):
            blurred = MotionBlur(scale)(point)[0].double()
            assert float(blurred.sum()) == pytest.approx(1.0)
            square = (place[None] ** 2 + place[:, None] ** 2).double()
            found.append(float((blurred * square).sum()))
        return sum(found) / len(found)

    # A line of 3 or 5 pixels has the mean square 2/3 or 2, sharing a point among four adds a third
    # at most; by the scale it shrinks with the square.
    full, reduced = 4 / 3, 4 / 3 / 3**2
    assert widths(1.0) == pytest.approx(full, rel=0.2)
    assert reduced < widths(3.0) < reduced + 1 / 3


def test_at_the_models_scale_a_variant_is_the_reduced_full_one():
    """Of one seed, if neither noise nor a crop draws random numbers by the number of pixels: half
    of all seeds."""
    rough = np.random.default_rng(1).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    large = Image.fromarray(rough).resize((720, 540), Image.Resampling.BICUBIC)
    small = large.resize((240, 180), Image.Resampling.BICUBIC)

    def variant(image, seed, scale):
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        return Image.fromarray(augmented(pixels, seed, scale).permute(1, 2, 0).contiguous().numpy())

    alike = 0
    for seed in range(30):
        reduced = variant(large, seed, 1.0).resize((240, 180), Image.Resampling.BICUBIC)
        apart = np.array(reduced).astype(float) - np.array(variant(small, seed, 3.0)).astype(float)
        alike += bool(np.abs(apart).mean() < 0.8)
    assert alike >= 10


def test_noise_at_the_models_scale_is_what_reducing_leaves():
    grey = torch.full((3, 600, 600), 0.5)
    torch.manual_seed(0)
    full = torch.nn.functional.avg_pool2d(Noise(30, 30)(grey), 3)
    assert float(full.std()) == pytest.approx(float(Noise(30 / 9, 30 / 9)(grey).std()), rel=0.02)


def test_a_tall_photo_is_cropped_to_its_middle():
    """As in Albumentations, which took torchvision's rule: 9 : 16 has no crop of 80 % with the side
    ratio .75, so that each crop is the central one, 75 % of the photo, stretched to its size."""
    rows = torch.arange(160).float() / 160
    tall = rows[None, :, None].expand(3, 160, 90)
    crop = _pipeline(160, 90, 1.0).transforms[-1].transforms[0]
    for seed in range(10):
        torch.manual_seed(seed)
        cropped = crop(tall)
        assert cropped.shape == tall.shape
        assert float(cropped[0, 0, 0]) == pytest.approx(20 / 160, abs=0.01)
        assert float(cropped[0, -1, 0]) == pytest.approx(139 / 160, abs=0.01)


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


@pytest.mark.parametrize(
    ("size", "expected"),
    [((4000, 3000), (1344, 1008)), ((1080, 2400), (672, 1493)), ((1000, 700), (1000, 700))],
)
def test_a_job_at_the_models_scale_reduces_what_is_larger(tmp_path, size, expected):
    source = tmp_path / "photo.jpg"
    Image.linear_gradient("L").resize(size).convert("RGB").save(source, quality=90)
    digest = sha256(source.read_bytes())
    made = augment(AugmentJob(source, digest, 1, 42, tmp_path / "made.jpg", at_model_scale=True))
    assert made is not None
    assert made.size == decode_file(tmp_path / "made.jpg").size == expected
    if size == expected:
        augment(AugmentJob(source, digest, 1, 42, tmp_path / "full.jpg"))
        assert (tmp_path / "made.jpg").read_bytes() == (tmp_path / "full.jpg").read_bytes()


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
