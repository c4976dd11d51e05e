"""Prepare images on the CPU and pack them into batches without padding.

Each image becomes tiles and a row of token positions: the question, in training also its answer.
Nothing here holds the weights, so that the worker processes of a data loader can use it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from transformers import LlavaNextProcessor

from mayak.errors import ModelError
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.model.folder import LANGUAGE_MODELS, VISION_MODELS
from mayak.model.prompt import Prompt
from mayak.model.transformers_internals import FeatureOrder, image_tiles
from mayak.types import DecodedImage

_MAX_TOKENS = 4096
"""No question with its image is longer (the image takes 2,928 tokens at most)."""
_MAX_CACHED_SIZES = 1024
"""Image sizes for which the order of tokens is cached."""


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """One image as the model's input."""

    tiles: torch.Tensor
    """uint8 (tiles, 3, side, side): the base tile, then the grid's."""
    rows: torch.Tensor
    """int64 (T,): index of each token's embedding. From 0 up: image features, tile after tile;
    from -1 down: ``BatchPacker.words`` in reverse, then the line end."""


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Several images concatenated, M tokens in all."""

    tiles: torch.Tensor
    """uint8 (tiles of all images, 3, side, side)."""
    rows: torch.Tensor
    """int64 (M,): as ``PreparedImage.rows``, features counted over all images. Spare tokens at the
    end belong to no image."""
    positions: torch.Tensor
    """int64 (1, M): each token's position in its own image's sequence."""
    last: torch.Tensor
    """int64 (B,): index of each image's last token."""
    bounds: torch.Tensor
    """int64 (B + 1,), on the CPU: start of each image's sequence, and the end of the last."""

    def on(self, device: torch.device) -> Self:
        """Return a copy on ``device``, transferred asynchronously; ``bounds`` stay on the CPU."""
        return self._with(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """Return a copy in page-locked memory, from which a GPU copies asynchronously."""
        return self._with(torch.Tensor.pin_memory)

    def _with(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        moving = ("tiles", "rows", "positions", "last")
        return replace(self, **{name: change(getattr(self, name)) for name in moving})


class BatchPacker:
    """Turns images and the question into rows of a model's embeddings.

    Raises:
        ModelError: the model has parts whose forward pass is not implemented here.
    """

    def __init__(
        self,
        processor: LlavaNextProcessor,
        prompt: Prompt,
        config: Any,  # noqa: ANN401 - the model's own
    ) -> None:
        self.prompt, self.config = prompt, config
        self.image_processor = processor.image_processor
        _check_family(config, self.image_processor)
        vision = config.vision_config
        self.class_tokens = int(config.vision_feature_select_strategy == "default")
        """Tokens before the patches that the language model does not get."""
        self._per_tile = (vision.image_size // vision.patch_size) ** 2 + 1 - self.class_tokens
        question = [*prompt.question_ids, *prompt.lead_ids]
        place = question.index(config.image_token_id)
        text = question[:place] + question[place + 1 :]
        self.words = (*text, *prompt.label_ids)
        """Ids of the question's tokens without the image's, and of the labels' tokens."""
        self._line_end = -len(self.words) - 1
        before = torch.arange(-len(self.words), -len(LABELS))
        self._before, self._after = before[:place], before[place:]
        self._feature_order = FeatureOrder(config)
        self._orders: dict[tuple[int, int, int], torch.Tensor] = {}

    def prepare(self, image: DecodedImage) -> PreparedImage:
        """Cut an image into tiles, bit for bit those of the stock processor."""
        pixels = torch.from_numpy(image.pixels).permute(2, 0, 1)
        tiles = image_tiles(self.image_processor, pixels)
        return PreparedImage(tiles, self._order(len(tiles), *pixels.shape[1:]))

    def prepare_base(self, image: DecodedImage) -> PreparedImage:
        """Return the base tile alone, which is the first of ``prepare``, with the token order that
        the stock model uses for an image of one tile."""
        images = self.image_processor
        pixels = torch.from_numpy(image.pixels).permute(2, 0, 1)
        tile = images.resize(pixels, images.crop_size, resample=images.resample)
        return self.base_tile(tile[None].contiguous())

    def base_tile(self, tile: torch.Tensor) -> PreparedImage:
        """Return an image that consists of this tile (1, 3, side, side)."""
        return PreparedImage(tile, self._order(1, *tile.shape[2:]))

    def with_answer(self, image: PreparedImage, label: int) -> PreparedImage:
        """Append the label's token. The end token after it is predicted, but never an input."""
        answer = torch.tensor([label - len(LABELS)])
        return PreparedImage(image.tiles, torch.cat([image.rows, answer]))

    def pack(
        self, images: list[PreparedImage], *, spare: int = 0, pinned: bool = False
    ) -> PackedBatch:
        """Concatenate images and append ``spare`` tokens that belong to none of them; ``pinned``
        puts the result into page-locked memory."""
        rows, positions, bounds, features = [], [], [0], 0
        for image in images:
            rows.append(torch.where(image.rows >= 0, image.rows + features, image.rows))
            positions.append(torch.arange(len(image.rows)))
            bounds.append(bounds[-1] + len(image.rows))
            features += len(image.tiles) * self._per_tile
        ends = torch.tensor(bounds)
        filler = torch.zeros(spare, dtype=torch.long)
        packed = PackedBatch(
            tiles=concatenated([image.tiles for image in images], pinned=pinned),
            rows=torch.cat([*rows, filler]),
            positions=torch.cat([*positions, filler])[None],
            last=ends[1:] - 1,
            bounds=ends,
        )
        return packed.pin_memory() if pinned else packed

    def _order(self, tiles: int, height: int, width: int) -> torch.Tensor:
        """Return ``PreparedImage.rows`` for an image size, from the cache if it is known: the
        photos of one phone have few sizes."""
        known = (tiles, height, width)
        order = self._orders.get(known)
        if order is None:
            if len(self._orders) >= _MAX_CACHED_SIZES:
                self._orders.clear()
            order = self._orders[known] = self._compute_order(*known)
        return order

    def _compute_order(self, tiles: int, height: int, width: int) -> torch.Tensor:
        """Let the stock model arrange feature numbers instead of features."""
        numbers = torch.arange(tiles * self._per_tile).view(tiles, self._per_tile, 1)
        line_end = torch.tensor([self._line_end])
        arranged = self._feature_order(numbers, height, width, line_end)
        return torch.cat([self._before, arranged.flatten(), self._after])


def concatenated(parts: list[torch.Tensor], *, pinned: bool) -> torch.Tensor:
    """Concatenate tiles.

    Not with ``torch.cat``: it uses all cores at once, and waits for each of them while they decode.
    """
    count = sum(len(part) for part in parts)
    whole = torch.empty((count, *parts[0].shape[1:]), dtype=parts[0].dtype, pin_memory=pinned)
    np.concatenate([part.numpy() for part in parts], out=whole.numpy())
    return whole


def _check_family(config: Any, images: Any) -> None:  # noqa: ANN401 - transformers' configurations
    """Refuse models for which the packed forward pass would not equal the stock one."""
    text, vision = config.text_config, config.vision_config
    window = getattr(text, "sliding_window", None)
    side = vision.image_size
    known = {
        "text_config.model_type": text.model_type in LANGUAGE_MODELS,
        "text_config.attention_dropout": not text.attention_dropout,
        "vision_config.model_type": vision.model_type in VISION_MODELS,
        "vision_config.attention_dropout": not vision.attention_dropout,
        "vision_feature_layer": isinstance(config.vision_feature_layer, int),
        "sliding_window": window is None or window >= _MAX_TOKENS,
        "size": images.size.shortest_edge == side,
        "crop_size": (images.crop_size.height, images.crop_size.width) == (side, side),
    }
    if unknown := [name for name, fits in known.items() if not fits]:
        raise ModelError(
            msg(
                "this LLaVA-NeXT cannot be scored: {unknown} is not as in the published ones",
                unknown=", ".join(unknown),
            ),
            remedy="--model llava-hf/llava-v1.6-mistral-7b-hf",
        )
