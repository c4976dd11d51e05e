"""Images with the question, and in training its answer, as the model takes them: made on the CPU.

Nothing here holds the weights, so that processes which read ahead can have it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from transformers import LlavaNextProcessor
from transformers.models.llava_next.modeling_llava_next import LlavaNextModel

from mayak.errors import ModelError
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.model.folder import LANGUAGE_MODELS, VISION_MODELS
from mayak.model.prompt import Prompt
from mayak.types import DecodedImage

_LONGEST = 4096
"""Tokens that no question with its image reaches (2,928 of the image's at most)."""
_SIZES = 1024
"""Of images, whose order of tokens is kept."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One image as the model takes it."""

    tiles: torch.Tensor
    """uint8 (tiles, 3, side, side): the base tile, then the grid's."""
    rows: torch.Tensor
    """int64 (T,): where each token's embedding lies. From 0 on: image features, tile after tile;
    from -1 back: ``Packing.words``, last first, then the mark of a line's end."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Some images, one behind the other, M tokens in all."""

    tiles: torch.Tensor
    """uint8 (tiles of all images, 3, side, side)."""
    rows: torch.Tensor
    """int64 (M,), as ``Piece.rows`` with the features of all images counted on; at the end, spare
    tokens that belong to no image."""
    positions: torch.Tensor
    """int64 (1, M): each token's place in its own image's sequence."""
    last: torch.Tensor
    """int64 (B,): each image's last token."""
    bounds: torch.Tensor
    """int64 (B + 1,), on the CPU: where each image's sequence begins, and where the last ends."""

    def on(self, device: torch.device) -> Self:
        """There, without waiting for it; ``bounds`` stay where they are."""
        return self._with(lambda part: part.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """In memory that a GPU reads by itself."""
        return self._with(torch.Tensor.pin_memory)

    def _with(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        moving = ("tiles", "rows", "positions", "last")
        return replace(self, **{name: change(getattr(self, name)) for name in moving})


class Packing:
    """How a model's images and question become rows of its embeddings.

    Raises ModelError for a model whose parts this does not know.
    """

    def __init__(
        self,
        processor: LlavaNextProcessor,
        prompt: Prompt,
        config: Any,  # noqa: ANN401 - the model's own
    ) -> None:
        self.prompt, self.config = prompt, config
        self._images = processor.image_processor
        _check_family(config, self._images)
        vision = config.vision_config
        self._cls = int(config.vision_feature_select_strategy == "default")
        self._per_tile = (vision.image_size // vision.patch_size) ** 2 + 1 - self._cls
        question = [*prompt.question_ids, *prompt.lead_ids]
        place = question.index(config.image_token_id)
        text = question[:place] + question[place + 1 :]
        self.words = (*text, *prompt.label_ids)
        """Ids of the question's tokens without the image's, and of the labels' tokens."""
        self._line_end = -len(self.words) - 1
        before = torch.arange(-len(self.words), -len(LABELS))
        self._before, self._after = before[:place], before[place:]
        self._orders: dict[tuple[int, int, int], torch.Tensor] = {}

    def prepare(self, image: DecodedImage) -> Piece:
        """The image's tiles, the stock processor's to the bit, and the order of its tokens."""
        images = self._images
        side = images.crop_size.height
        # By the processor's own inner step: its outer one first copies the pixels into another
        # order, for which shrinking a photo takes six times as long and comes out the same.
        pixels = torch.from_numpy(image.pixels).permute(2, 0, 1)
        tiles = torch.stack(
            images._get_image_patches(
                pixels, images.image_grid_pinpoints, (side, side), side, images.resample
            )
        )
        return Piece(tiles, self._order(len(tiles), *pixels.shape[1:]))

    def prepare_base(self, image: DecodedImage) -> Piece:
        """The image's base tile alone, the first of ``prepare``'s, in the order of tokens that the
        stock model has for an image of one tile."""
        images = self._images
        pixels = torch.from_numpy(image.pixels).permute(2, 0, 1)
        tile = images.resize(pixels, images.crop_size, resample=images.resample)
        return Piece(tile[None].contiguous(), self._order(1, *tile.shape[1:]))

    def answered(self, piece: Piece, label: int) -> Piece:
        """With the label's own token behind; what follows it is foretold, but never read."""
        return Piece(piece.tiles, torch.cat([piece.rows, torch.tensor([label - len(LABELS)])]))

    def pack(self, pieces: list[Piece], *, spare: int = 0, pinned: bool = False) -> Packed:
        """Images one behind the other, and so many tokens that belong to none of them; ``pinned``:
        in memory that a GPU reads by itself."""
        rows, positions, bounds, seen = [], [], [0], 0
        for piece in pieces:
            rows.append(torch.where(piece.rows >= 0, piece.rows + seen, piece.rows))
            positions.append(torch.arange(len(piece.rows)))
            bounds.append(bounds[-1] + len(piece.rows))
            seen += len(piece.tiles) * self._per_tile
        ends = torch.tensor(bounds)
        behind = torch.zeros(spare, dtype=torch.long)
        packed = Packed(
            tiles=gathered([piece.tiles for piece in pieces], pinned=pinned),
            rows=torch.cat([*rows, behind]),
            positions=torch.cat([*positions, behind])[None],
            last=ends[1:] - 1,
            bounds=ends,
        )
        return packed.pin_memory() if pinned else packed

    def _order(self, tiles: int, height: int, width: int) -> torch.Tensor:
        """``Piece.rows`` of an image of that size; those of a phone's photos are few."""
        known = (tiles, height, width)
        order = self._orders.get(known)
        if order is None:
            if len(self._orders) >= _SIZES:
                self._orders.clear()
            order = self._orders[known] = self._ordered(*known)
        return order

    def _ordered(self, tiles: int, height: int, width: int) -> torch.Tensor:
        """By letting the stock model pack numbers in the features' place."""
        numbers = torch.arange(tiles * self._per_tile).view(tiles, self._per_tile, 1)
        # Of the model it asks for the configuration alone, which is here too.
        (packed,), _ = LlavaNextModel.pack_image_features(
            self,
            [numbers],
            torch.tensor([[height, width]]),
            vision_feature_select_strategy=self.config.vision_feature_select_strategy,
            image_newline=torch.tensor([self._line_end]),
        )
        return torch.cat([self._before, packed.flatten(), self._after])


def gathered(parts: list[torch.Tensor], *, pinned: bool) -> torch.Tensor:
    """Tiles one behind the other.

    Not by ``torch.cat``: that goes through all cores at once, and waits for each of them while
    they decode.
    """
    count = sum(len(part) for part in parts)
    whole = torch.empty((count, *parts[0].shape[1:]), dtype=parts[0].dtype, pin_memory=pinned)
    np.concatenate([part.numpy() for part in parts], out=whole.numpy())
    return whole


def _check_family(config: Any, images: Any) -> None:  # noqa: ANN401 - transformers' configurations
    """What is rebuilt here from the model's parts is right for the parts that this knows."""
    text, vision = config.text_config, config.vision_config
    window = getattr(text, "sliding_window", None)
    side = vision.image_size
    known = {
        "text_config.model_type": text.model_type in LANGUAGE_MODELS,
        "text_config.attention_dropout": not text.attention_dropout,
        "vision_config.model_type": vision.model_type in VISION_MODELS,
        "vision_config.attention_dropout": not vision.attention_dropout,
        "vision_feature_layer": isinstance(config.vision_feature_layer, int),
        "sliding_window": window is None or window >= _LONGEST,
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
