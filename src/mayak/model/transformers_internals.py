"""Adapter for the parts of transformers that are not its public interface.

No other module of this package calls them. ``tests/model/test_internals.py`` compares each with the
public way that is slower, and fails if an upgrade renames or changes one.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import LlavaNextProcessor
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel


def image_tiles(image_processor: Any, pixels: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Return the tiles (tiles, 3, side, side) uint8 of an image (3, H, W) uint8, base tile first.

    The public call first copies the pixels into another memory order, and resizing a photo then
    takes six times as long for the same result.
    """
    side = image_processor.crop_size.height
    tiles = image_processor._get_image_patches(
        pixels,
        image_processor.image_grid_pinpoints,
        (side, side),
        side,
        image_processor.resample,
    )
    return torch.stack(tiles)


def image_token_counts(processor: LlavaNextProcessor, sizes: list[tuple[int, ...]]) -> list[int]:
    """Return the number of image tokens for each image size (height, width)."""
    counts: list[int] = processor._get_num_multimodal_tokens(image_sizes=sizes)["num_image_tokens"]
    return counts


class FeatureOrder:
    """The order in which the stock model puts image features and line ends into its input."""

    def __init__(self, config: Any) -> None:  # noqa: ANN401 - the model's own
        self.config = config

    def __call__(
        self, features: torch.Tensor, height: int, width: int, line_end: torch.Tensor
    ) -> torch.Tensor:
        """Arrange the features (tiles, patches, D) of one image of that size in pixels."""
        # The method is called without a model: it uses nothing of one but `config`.
        (arranged,), _ = LlavaNextModel.pack_image_features(
            self,
            [features],
            torch.tensor([[height, width]]),
            vision_feature_select_strategy=self.config.vision_feature_select_strategy,
            image_newline=line_end,
        )
        ordered: torch.Tensor = arranged
        return ordered
