"""Images packed one behind the other, and one forward pass over them without needless work.

No padding, no tile that is only there to fill a batch, no vision layer above the one whose features
are read, and in the language model's last layer no position but each image's last. The weights and
the modules are the loaded model's own; ``tests/model/test_packed.py`` holds every path against the
stock model, one image at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mayak.errors import ModelError
from mayak.language import tr
from mayak.model.load import VisionLanguageModel
from mayak.types import DecodedImage

_FAMILIES = ("llama", "mistral", "qwen2")
"""Language models of LLaVA-NeXT; their decoder layers are alike."""

_LONGEST = 4096
"""Tokens that no question with its image reaches (2,928 of the image's at most)."""
_STEP = 64
"""Tokens: lengths of images differ by multiples of it for the attention."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One image as the model takes it."""

    tiles: torch.Tensor
    """uint8 (tiles, 3, side, side): the base tile, then the grid's."""
    rows: torch.Tensor
    """int64 (T,): where each token's embedding lies. From 0 on: image features, tile after tile;
    from -1 back: the question's tokens, last first, then the mark of a line's end."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Some images, one behind the other, M tokens in all."""

    tiles: torch.Tensor
    """uint8 (tiles of all images, 3, side, side)."""
    rows: torch.Tensor
    """int64 (M,), as ``Piece.rows`` with the features of all images counted on; at the end, tokens
    that belong to no image."""
    positions: torch.Tensor
    """int64 (1, M): each token's place in its own image's sequence."""
    last: torch.Tensor
    """int64 (B,): each image's last token."""
    bounds: torch.Tensor
    """int64 (B + 1,), for the CPU: where each image's sequence begins, and where the last ends."""


class PackedModel:
    """A loaded model, asked for the logits of each image's scored position.

    With ``compiled``, the layers of both towers are compiled, once for all lengths, at the first
    batch (some ten seconds). Raises ModelError for a model whose parts this does not know.
    """

    def __init__(self, vlm: VisionLanguageModel, *, compiled: bool = False) -> None:
        model = vlm.base
        _check_family(model.config, vlm.processor.image_processor)
        self._model, self._images = model, vlm.processor.image_processor
        self._device, config = vlm.device, model.config
        tower = model.model.vision_tower
        depth: int = config.vision_feature_layer
        layers = list(tower.encoder.layers)
        self._seeing = layers[: depth if depth >= 0 else len(layers) + 1 + depth]
        self._cls = int(config.vision_feature_select_strategy == "default")
        self._per_tile = tower.embeddings.num_patches + 1 - self._cls
        question = [*vlm.prompt.question_ids, *vlm.prompt.lead_ids]
        place = question.index(config.image_token_id)
        text = question[:place] + question[place + 1 :]
        self._text = torch.tensor(text, device=self._device)
        self._line_end = -len(text) - 1
        self._before = torch.arange(-len(text), -len(text) + place)
        self._after = torch.arange(-len(text) + place, 0)
        self._see: Callable[..., torch.Tensor] = _see
        self._read: Callable[..., torch.Tensor] = _read
        if compiled:
            self._see = torch.compile(_see, dynamic=True)
            self._read = torch.compile(_read, dynamic=True)

    # ------------------------------------------------------------ on the CPU, in any thread

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
        return Piece(tiles, self._order(len(tiles), pixels.shape[1:]))

    def prepare_base(self, image: DecodedImage) -> Piece:
        """The image's base tile alone, the first of ``prepare``'s, in the order of tokens that the
        stock model has for an image of one tile."""
        images = self._images
        pixels = torch.from_numpy(image.pixels).permute(2, 0, 1)
        tile = images.resize(pixels, images.crop_size, resample=images.resample)
        return Piece(tile[None].contiguous(), self._order(1, pixels.shape[1:]))

    def _order(self, tiles: int, size: torch.Size) -> torch.Tensor:
        """``Piece.rows``, by letting the stock model pack numbers in the features' place."""
        numbers = torch.arange(tiles * self._per_tile).view(tiles, self._per_tile, 1)
        (packed,), _ = self._model.model.pack_image_features(
            [numbers],
            torch.tensor([list(size)]),
            vision_feature_select_strategy=self._model.config.vision_feature_select_strategy,
            image_newline=torch.tensor([self._line_end]),
        )
        return torch.cat([self._before, packed.flatten(), self._after])

    def pack(self, pieces: list[Piece]) -> Packed:
        """Images one behind the other; in pinned memory where a GPU is to take them."""
        rows, positions, bounds, seen = [], [], [0], 0
        for piece in pieces:
            rows.append(torch.where(piece.rows >= 0, piece.rows + seen, piece.rows))
            positions.append(torch.arange(len(piece.rows)))
            bounds.append(bounds[-1] + len(piece.rows))
            seen += len(piece.tiles) * self._per_tile
        ends = torch.tensor(bounds)
        spare = torch.zeros(_STEP, dtype=torch.long)
        held = self._device.type == "cuda"
        return Packed(
            tiles=_gathered([piece.tiles for piece in pieces], held),
            rows=_pinned(torch.cat([*rows, spare]), held),
            positions=_pinned(torch.cat([*positions, spare])[None], held),
            last=_pinned(ends[1:] - 1, held),
            bounds=ends,
        )

    # ------------------------------------------------------------ on the model's device

    def logits(self, packed: Packed) -> torch.Tensor:
        """Logits (B, V) of each image's scored position; on a GPU, without waiting for it."""
        tiles, rows, positions, last = (
            part.to(self._device, non_blocking=True)
            for part in (packed.tiles, packed.rows, packed.positions, packed.last)
        )
        model = self._model.model
        language = model.language_model
        features = self._features(tiles)
        table = torch.cat(
            [features, model.image_newline[None], model.get_input_embeddings()(self._text)]
        )
        hidden = table[rows]
        cos, sin = (part[0, :, None] for part in language.rotary_emb(hidden, positions))
        for layer in language.layers[:-1]:
            hidden = self._read(layer, hidden, cos, sin, packed.bounds)
        hidden = _read(language.layers[-1], hidden, cos, sin, packed.bounds, last)
        logits: torch.Tensor = self._model.lm_head(language.norm(hidden))
        return logits

    def glance(self, tiles: list[torch.Tensor]) -> torch.Tensor:
        """What the vision tower sees in each of some tiles (some, 3, side, side), uint8: its class
        token and the mean of its patches, (tiles, 2 × the tower's width), float32, on the model's
        device."""
        packed = _gathered(tiles, self._device.type == "cuda")
        hidden = self._seen(packed.to(self._device, non_blocking=True)).float()
        return torch.cat([hidden[:, 0], hidden[:, 1:].mean(dim=1)], dim=1)

    def _features(self, tiles: torch.Tensor) -> torch.Tensor:
        """Image features (tiles × patches, D) as the language model takes them."""
        hidden = self._seen(tiles)
        features: torch.Tensor = self._model.model.multi_modal_projector(hidden[:, self._cls :])
        return features.flatten(0, 1)

    def _seen(self, tiles: torch.Tensor) -> torch.Tensor:
        """Of the vision tower's layer that is read, (tiles, 1 + patches, width)."""
        images, tower = self._images, self._model.model.vision_tower
        pixels = images.rescale_and_normalize(
            tiles,
            images.do_rescale,
            images.rescale_factor,
            images.do_normalize,
            tuple(images.image_mean),
            tuple(images.image_std),
        )
        hidden: torch.Tensor = tower.pre_layrnorm(tower.embeddings(pixels))
        # For one tile the compiler would make a graph of its own.
        see = self._see if len(tiles) > 1 else _see
        for layer in self._seeing:
            hidden = see(layer, hidden)
        return hidden


def _gathered(parts: list[torch.Tensor], held: bool) -> torch.Tensor:
    """Tiles one behind the other, in pinned memory if it is to be held.

    Not by ``torch.cat``: that goes through all cores at once, and waits for each of them while
    they decode.
    """
    count = sum(len(part) for part in parts)
    whole = torch.empty((count, *parts[0].shape[1:]), dtype=torch.uint8, pin_memory=held)
    np.concatenate([part.numpy() for part in parts], out=whole.numpy())
    return whole


def _pinned(part: torch.Tensor, held: bool) -> torch.Tensor:
    return part.pin_memory() if held else part


def compiles(device: torch.device) -> bool:
    """Whether PyTorch's compiler works here: it needs a GPU, Triton, a C compiler and Python's
    headers, and lacks often show only when it is tried."""
    if device.type != "cuda":
        return False
    try:
        torch.compile(torch.cos)(torch.ones(8, device=device))
    except Exception:  # noqa: BLE001 - whatever it lacks, scores can be had without it
        return False
    return True


def _see(layer: Any, hidden: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - a CLIP layer
    seen: torch.Tensor = layer(hidden, None)
    return seen


def _read(
    layer: Any,  # noqa: ANN401 - a decoder layer
    hidden: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    bounds: torch.Tensor,
    last: torch.Tensor | None = None,
) -> torch.Tensor:
    """A decoder layer over packed hidden states (M, D); with ``last`` (B,), the output of each
    image's last position alone, (B, D), to which every position still gives keys and values."""
    attention = layer.self_attn
    wide = (-1, attention.head_dim)
    normed = layer.input_layernorm(hidden)
    key = _turned(attention.k_proj(normed).unflatten(-1, wide), cos, sin)
    value = attention.v_proj(normed).unflatten(-1, wide)
    if last is not None:
        hidden, normed, cos, sin = hidden[last], normed[last], cos[last], sin[last]
    query = _turned(attention.q_proj(normed).unflatten(-1, wide), cos, sin)
    mixed = (attend if last is None else _attend_last)(query, key, value, bounds)
    hidden = hidden + attention.o_proj(mixed.flatten(-2))
    out: torch.Tensor = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    return out


def _turned(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary position embedding (Su et al. 2021) of (N, heads, d), halves paired as Llama does."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat([-second, first], dim=-1) * sin


def _check_family(config: Any, images: Any) -> None:  # noqa: ANN401 - transformers' configurations
    """What is rebuilt here from the model's parts is right for the parts that this knows."""
    text, vision = config.text_config, config.vision_config
    window = getattr(text, "sliding_window", None)
    side = vision.image_size
    known = {
        "text_config.model_type": text.model_type in _FAMILIES,
        "vision_config.model_type": vision.model_type == "clip_vision_model",
        "vision_feature_layer": isinstance(config.vision_feature_layer, int),
        "sliding_window": window is None or window >= _LONGEST,
        "size": images.size.shortest_edge == side,
        "crop_size": (images.crop_size.height, images.crop_size.width) == (side, side),
    }
    if unknown := [name for name, fits in known.items() if not fits]:
        raise ModelError(
            tr(
                f"this LLaVA-NeXT cannot be scored: {', '.join(unknown)} is not as in the "
                "published ones",
                f"이 LLaVA-NeXT로는 점수를 낼 수 없습니다: {', '.join(unknown)} 설정이 공개된 "
                "모델과 다릅니다",
            ),
            remedy="--model llava-hf/llava-v1.6-mistral-7b-hf",
        )


@torch.library.custom_op("mayak::attend", mutates_args=())
def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor
) -> torch.Tensor:
    """Causal attention within each image; query (M, heads, d), key and value (M, fewer heads, d),
    bounds (B + 1,) on the CPU.

    One opaque operation, so that the compiler need not know how many images there are. Lengths are
    rounded up into whatever lies behind an image, which causality hides from it: cuDNN plans anew
    for each length that it meets.
    """
    mixed = torch.empty_like(query)
    ends = bounds.tolist()
    for start, end in pairwise(ends):
        rounded = slice(start, start + -(-(end - start) // _STEP) * _STEP)
        asked, keys, values = (part[rounded].transpose(0, 1)[None] for part in (query, key, value))
        found = functional.scaled_dot_product_attention(
            asked, keys, values, is_causal=True, enable_gqa=True
        )
        mixed[start:end] = found[0, :, : end - start].transpose(0, 1)
    mixed[ends[-1] :] = 0  # keys and values that are not finite would be seen through the mask
    return mixed


@attend.register_fake
def _(
    query: torch.Tensor,
    key: torch.Tensor,  # noqa: ARG001
    value: torch.Tensor,  # noqa: ARG001
    bounds: torch.Tensor,  # noqa: ARG001
) -> torch.Tensor:
    return torch.empty_like(query)


def _attend_last(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor
) -> torch.Tensor:
    """Attention of one query an image (B, heads, d), its last, which sees all of its image."""
    heads = key.shape[1]
    count, _, width = query.shape
    grouped = query.view(count, heads, -1, width) * width**-0.5
    mixed = []
    for asked, (start, end) in zip(grouped, pairwise(bounds.tolist()), strict=True):
        weight = torch.einsum("hgd,thd->hgt", asked, key[start:end]).float().softmax(-1)
        mixed.append(torch.einsum("hgt,thd->hgd", weight.to(value), value[start:end]))
    return torch.stack(mixed).flatten(1, 2)
