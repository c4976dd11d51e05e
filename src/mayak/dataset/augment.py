"""The paper's augmentation of class 2, on torchvision.transforms.v2.

docs/prepare.md has the table from each of the paper's (Albumentations) operations to the one here.
It is slow to import; only the processes that augment import it.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from mayak.errors import DecodeError
from mayak.imaging import decode
from mayak.types import DecodedImage, Sides

JPEG_QUALITY = 95
MODEL_SIDES = Sides(longer=1344, shorter=672)
"""Twice the resolution that LLaVA-1.6 sees: twice its largest grid of tiles (2 × 2 of 336 pixels),
and twice the base tile. As ``VisionLanguageModel.min_sides``, which this package does not know."""


@dataclass(frozen=True, slots=True)
class AugmentJob:
    """One augmented image to make: the ``copy``-th (from 1) of an original."""

    source: Path
    sha256: str
    copy: int
    seed: int
    target: Path
    at_model_scale: bool = False
    """Whether the original is first reduced to ``MODEL_SIDES``."""


@dataclass(frozen=True, slots=True)
class AugmentedImage:
    """An augmented image that was written; ``size`` is (width, height) in pixels."""

    sha256: str
    size: tuple[int, int]


def augment(job: AugmentJob) -> AugmentedImage | None:
    """Write one augmented JPEG; return None if the original has changed since it was examined.

    JPEG at a fixed quality of 95 without chroma subsampling: a lossless PNG of a phone photo is
    several times as large, and nearly all originals are JPEGs.
    """
    torch.set_num_threads(1)
    try:
        original = decode(
            job.source.read_bytes(), min_sides=MODEL_SIDES if job.at_model_scale else None
        )
    except (OSError, DecodeError):
        return None
    if original.sha256 != job.sha256:
        return None
    pixels, scale = original.pixels, 1.0
    if job.at_model_scale:
        pixels, scale = _reduced(original)
    changed = augmented(
        torch.from_numpy(pixels).permute(2, 0, 1), seed_of(job.seed, job.sha256, job.copy), scale
    )
    image = Image.fromarray(changed.permute(1, 2, 0).contiguous().numpy())
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    data = encoded.getvalue()
    job.target.write_bytes(data)
    return AugmentedImage(hashlib.sha256(data).hexdigest(), image.size)


def seed_of(seed: int, sha256: str, copy: int) -> int:
    """Return the random seed of one copy, which depends on no order and no worker."""
    digest = hashlib.sha256(f"{seed}:{sha256}:{copy}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _reduced(image: DecodedImage) -> tuple[NDArray[np.uint8], float]:
    """Return an image's pixels (H, W, 3), reduced to the smallest size of which no side is smaller
    than that of ``MODEL_SIDES``, and how many pixels of the file one of them stands for along a
    side. A smaller image stays as it is."""
    height, width = image.pixels.shape[:2]
    share = max(MODEL_SIDES.longer / max(height, width), MODEL_SIDES.shorter / min(height, width))
    pixels = image.pixels
    if share < 1:
        size = (round(width * share), round(height * share))
        pixels = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    return pixels, max(image.size) / max(pixels.shape[:2])


def augmented(pixels: Tensor, seed: int, scale: float = 1.0) -> Tensor:
    """Return one random variant of uint8 pixels (3, H, W), with the same shape and type.

    ``scale`` is how many pixels of the original one of these stands for along a side. Blur, which
    the paper states in pixels, is narrower by it. So is the standard deviation of the noise: the
    mean of scale² independent values has it. What a model sees, which reduces the image further, is
    then as if the original had been changed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        values = functional.to_dtype(pixels, torch.float32, scale=True)
        values = _pipeline(pixels.shape[-2], pixels.shape[-1], scale)(values)
        result: Tensor = functional.to_dtype(values.clamp(0, 1), torch.uint8, scale=True)
    return result


def _pipeline(height: int, width: int, scale: float) -> v2.Compose:
    """Return the transforms of one image, in the paper's order.

    The crop is Albumentations' ``RandomResizedCrop``, which took torchvision's rule: ten attempts
    at a random crop, then the largest central crop of a permitted ratio. A photo of 9:16 or 9:20
    has no crop of 80 % with a side ratio of at least 0.75, so it always gets the central one (75 %
    and 60 % of it). The result is stretched to the size of the original; the paper's to 300 × 300.
    """
    bilinear = v2.InterpolationMode.BILINEAR
    # Sigmas follow from the kernel sizes by OpenCV's rule, which Albumentations used.
    blurs: list[v2.Transform] = [
        MotionBlur(scale),
        v2.RandomChoice([v2.GaussianBlur(3, 0.8 / scale), v2.GaussianBlur(5, 1.1 / scale)]),
    ]
    crop = v2.RandomResizedCrop((height, width), (0.8, 1.0), (0.75, 1.33), interpolation=bilinear)
    return v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomApply([v2.RandomRotation(15, interpolation=bilinear, fill=0)], 0.7),
            v2.RandomApply([v2.ColorJitter(brightness=0.2, contrast=0.2)], 0.8),
            v2.RandomApply([Noise(10 / scale**2, 50 / scale**2)], 0.3),
            # A kernel of 5 needs 3 pixels to mirror at the border.
            v2.RandomApply([v2.RandomChoice(blurs)], 0.4 if min(height, width) >= 3 else 0.0),
            v2.RandomApply([Gamma(0.8, 1.2)], 0.3),
            v2.RandomApply([HueSaturationValue(10 / 180, 15 / 255, 10 / 255)], 0.3),
            v2.RandomApply([crop], 0.3),
        ]
    )


class Noise(torch.nn.Module):
    """Gaussian noise with a random variance on the 0–255 scale."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, values: Tensor) -> Tensor:
        """Pixels (3, H, W) in 0–1."""
        sigma = math.sqrt(_uniform(self.low, self.high)) / 255
        noisy: Tensor = functional.gaussian_noise(values, sigma=sigma)
        return noisy


class MotionBlur(torch.nn.Module):
    """Blur along a line of 3 or 5 pixels of the original in a random direction, like that of a
    moving camera. ``scale`` is that of ``augmented``."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, values: Tensor) -> Tensor:
        """Pixels (3, H, W) in 0–1."""
        size = 3 if _uniform(0, 1) < 0.5 else 5
        offsets = _line(size, _uniform(0, math.pi), self.scale)
        height, width = values.shape[-2:]
        padded = torch.nn.functional.pad(values, [size // 2] * 4, mode="reflect")
        # The mean of shifted views takes a quarter of conv2d's memory, and is faster.
        total = torch.zeros_like(values)
        for x, y, weight in offsets:
            total += weight * padded[:, y : y + height, x : x + width]
        return total / size


class Gamma(torch.nn.Module):
    """Gamma correction with a random exponent."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, values: Tensor) -> Tensor:
        """Pixels (3, H, W) in 0–1."""
        exponent = _uniform(self.low, self.high)
        changed: Tensor = functional.adjust_gamma(values.clamp(0, 1), exponent)
        return changed


class HueSaturationValue(torch.nn.Module):
    """Random shifts in HSV: hue in turns, saturation and value on a scale of 0–1."""

    def __init__(self, hue: float, saturation: float, value: float) -> None:
        super().__init__()
        self.hue, self.saturation, self.value = hue, saturation, value

    def forward(self, values: Tensor) -> Tensor:
        """Pixels (3, H, W) in 0–1. Greys keep their saturation of 0, because they have no hue."""
        hue = _uniform(-self.hue, self.hue)
        saturation = _uniform(-self.saturation, self.saturation)
        value = _uniform(-self.value, self.value)
        # In strips: pixels are independent, and HSV of a whole phone photo takes gigabytes.
        strips = [
            shift_saturation_and_value(
                functional.adjust_hue(strip.clamp(0, 1), hue), saturation, value
            )
            for strip in torch.tensor_split(values, math.ceil(values.shape[-2] / 128), dim=-2)
        ]
        return torch.cat(strips, dim=-2)


def shift_saturation_and_value(values: Tensor, saturation: float, value: float) -> Tensor:
    """Add to S and V of HSV without changing the hue; pixels (3, H, W) in 0–1.

    With V = max and S = (V − min) / V, a channel c becomes V − (V − c)·S′/S, then c·V′/V.
    """
    top = values.amax(0, keepdim=True)
    spread = top - values.amin(0, keepdim=True)
    old = torch.where(top > 0, spread / top.clamp(min=1e-6), 0.0)
    ratio = torch.where(old > 0, (old + saturation).clamp(0, 1) / old.clamp(min=1e-6), 1.0)
    coloured = top - (top - values) * ratio
    brighter = (top + value).clamp(0, 1)
    return torch.where(top > 0, coloured * (brighter / top.clamp(min=1e-6)), brighter)


def _line(size: int, angle: float, scale: float) -> list[tuple[int, int, float]]:
    """Return (x, y, weight) of the pixels on a line of ``size`` pixels of the original through the
    middle of a square that wide. At scale 1 each point is one pixel; otherwise its weight is shared
    by the four around it, in proportion to their distance (bilinear)."""
    middle = size // 2
    points = [
        (step * math.cos(angle) / scale, step * math.sin(angle) / scale)
        for step in range(-middle, middle + 1)
    ]
    if scale == 1:
        return [(middle + round(x), middle + round(y), 1.0) for x, y in points]
    weights: dict[tuple[int, int], float] = defaultdict(float)
    for x, y in points:
        left, top = math.floor(x), math.floor(y)
        for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
            weight = (1 - abs(x - left - dx)) * (1 - abs(y - top - dy))
            if weight > 0:
                weights[middle + left + dx, middle + top + dy] += weight
    return [(x, y, weight) for (x, y), weight in weights.items()]


def _uniform(low: float, high: float) -> float:
    return float(torch.empty(()).uniform_(low, high))
