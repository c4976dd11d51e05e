"""One forward pass over packed images, without needless work.

No padding, no tile that is only there to fill a batch, no vision layer above the one whose features
are read, and in the language model's last layer no position but each image's last. The weights and
the modules are the loaded model's own; ``tests/model/test_packed.py`` holds every path against the
stock model, one image at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional

from mayak.model.load import VisionLanguageModel
from mayak.model.packing import Packed, Packing, Piece
from mayak.model.shortcuts import OF_CHANGE, OF_CHANGE_FP8, Compiled

_STEP = 64
"""Tokens: lengths of images differ by multiples of it for the attention."""
_TOGETHER = 8
"""Images of one length that the attention takes at once, so many or none: cuDNN would plan anew for
each number of them."""


class PackedModel(Packing):
    """A loaded model with its packing, asked for the logits of each image's scored position.

    With ``compiled``, the layers of both towers are compiled, once for all lengths, at the first
    batch (some ten seconds). Raises ModelError for a model whose parts this does not know.
    """

    def __init__(self, vlm: VisionLanguageModel, *, compiled: bool = False) -> None:
        super().__init__(vlm.processor, vlm.prompt, vlm.base.config)
        self._model, self._device = vlm.base, vlm.device
        tower = self._model.model.vision_tower
        depth: int = self.config.vision_feature_layer
        layers = list(tower.encoder.layers)
        self._seeing = layers[: depth if depth >= 0 else len(layers) + 1 + depth]
        self._words = torch.tensor(self.words, device=self._device)
        self._see: Callable[..., torch.Tensor] = _see
        self._read: Callable[..., torch.Tensor] = read
        if compiled:
            self._see = Compiled(_see, len(self._seeing))
            count = len(self._model.model.language_model.layers) - 1
            of_change = OF_CHANGE_FP8 if vlm.engine.precision.startswith("fp8") else OF_CHANGE
            self._read = Compiled(read, count, of_change=of_change)
        self._bare: dict[int, Packed] = {}
        """So many base tiles without their pixels; kept, for a CUDA graph reads them where they
        are."""

    def pack(self, pieces: list[Piece], *, spare: int = _STEP, pinned: bool = False) -> Packed:
        """Images one behind the other, with room for ``attend``; in pinned memory where a GPU is
        to take them."""
        return super().pack(pieces, spare=spare, pinned=pinned or self._device.type == "cuda")

    def logits(self, packed: Packed) -> torch.Tensor:
        """Logits (B, V) of each image's scored position; on a GPU, without waiting for it."""
        packed = packed.on(self._device)
        hidden, cos, sin = self.embedded(packed)
        language = self._model.model.language_model
        for layer in language.layers[:-1]:
            hidden = self._read(layer, hidden, cos, sin, attend, packed.bounds)
        hidden = read(
            language.layers[-1], hidden, cos, sin, _attend_last, packed.bounds, last=packed.last
        )
        logits: torch.Tensor = self._model.lm_head(language.norm(hidden))
        return logits

    def logits_of_base(self, tiles: torch.Tensor) -> torch.Tensor:
        """The same from base tiles alone, (B, 3, side, side) uint8 on the model's device."""
        bare = self._bare.get(len(tiles))
        if bare is None:
            piece = Piece(
                torch.empty((1, *tiles.shape[1:]), dtype=torch.uint8),
                self._order(1, *tiles.shape[2:]),
            )
            bare = self._bare[len(tiles)] = self.pack([piece] * len(tiles)).on(self._device)
        return self.logits(replace(bare, tiles=tiles))

    def embedded(self, packed: Packed) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What goes into the language model, (M, D), and cosines and sines of the positions'
        rotations, (M, 1, d), from images that lie on the model's device."""
        model = self._model.model
        words = model.get_input_embeddings()(self._words)
        table = torch.cat([self._features(packed.tiles), model.image_newline[None], words])
        hidden = table[packed.rows]
        cos, sin = model.language_model.rotary_emb(hidden, packed.positions)
        return hidden, cos[0, :, None], sin[0, :, None]

    def glance(self, tiles: torch.Tensor) -> torch.Tensor:
        """What the vision tower sees in some tiles, (B, 3, side, side) uint8 on the model's device:
        its class token and the mean of its patches, (B, 2 × the tower's width), float32."""
        hidden = self._seen(tiles).float()
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


def read(
    layer: Any,  # noqa: ANN401 - a decoder layer
    hidden: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    attend: Callable[..., torch.Tensor],
    *where: torch.Tensor | int,
    last: torch.Tensor | None = None,
) -> torch.Tensor:
    """A decoder layer over packed hidden states (M, D); with ``last`` (B,), the output of each
    image's last position alone, (B, D), to which every position still gives keys and values.

    ``attend`` mixes values by queries and keys, told ``where`` the images lie.
    """
    attention = layer.self_attn
    wide = (-1, attention.head_dim)
    normed = layer.input_layernorm(hidden)
    key = _turned(attention.k_proj(normed).unflatten(-1, wide), cos, sin)
    value = attention.v_proj(normed).unflatten(-1, wide)
    if last is not None:
        hidden, normed, cos, sin = hidden[last], normed[last], cos[last], sin[last]
    query = _turned(attention.q_proj(normed).unflatten(-1, wide), cos, sin)
    mixed = attend(query, key, value, *where)
    hidden = hidden + attention.o_proj(mixed.flatten(-2))
    out: torch.Tensor = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    return out


def _turned(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary position embedding (Su et al. 2021) of (N, heads, d), halves paired as Llama does."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat([-second, first], dim=-1) * sin


@torch.library.custom_op("mayak::attend", mutates_args=())
def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor
) -> torch.Tensor:
    """Causal attention within each image; query (M, heads, d), key and value (M, fewer heads, d),
    bounds (B + 1,) on the CPU.

    One opaque operation, so that the compiler need not know how many images there are. Lengths of
    single images are rounded up into whatever lies behind, which causality hides: cuDNN plans anew
    for each length that it meets.
    """
    mixed = torch.empty_like(query)
    ends = bounds.tolist()
    for start, end, count in _runs(ends):
        length = (end - start) // count
        reach = end if count > 1 else start + -(-length // _STEP) * _STEP
        asked, keys, values = (
            part[start:reach].view(count, -1, *part.shape[1:]).transpose(1, 2)
            for part in (query, key, value)
        )
        found = functional.scaled_dot_product_attention(
            asked, keys, values, is_causal=True, enable_gqa=True
        )
        placed = mixed[start:end].view(count, length, *mixed.shape[1:])
        placed.copy_(found[:, :, :length].transpose(1, 2))
    mixed[ends[-1] :] = 0  # keys and values that are not finite would be seen through the mask
    return mixed


def _runs(ends: list[int]) -> Iterator[tuple[int, int, int]]:
    """Where the first of ``_TOGETHER`` images of one length begins, where the last ends, and how
    many they are; or the same of an image alone."""
    at = 0
    while at + 1 < len(ends):
        lengths = {end - start for start, end in pairwise(ends[at : at + _TOGETHER + 1])}
        enough = at + _TOGETHER < len(ends)
        count = _TOGETHER if enough and len(lengths) == 1 else 1
        yield ends[at], ends[at + count], count
        at += count


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
