"""Variable-length forward pass over packed images.

Four kinds of work of the stock pass are left out: padding, tiles that only fill up a batch, vision
layers above the one whose features are used, and in the language model's last layer all positions
but each image's last. Weights and modules are the loaded model's own;
``tests/model/test_varlen.py`` compares every path with the stock model, one image at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional

from mayak.model.accelerate import CHANGE_TOLERANCE, CHANGE_TOLERANCE_FP8, CheckedCompile
from mayak.model.load import VisionLanguageModel
from mayak.model.packer import BatchPacker, PackedBatch, PreparedImage

_STEP = 64
"""Attention lengths of single images are rounded up to multiples of so many tokens."""
_VOCABULARY_ROWS = 4096
"""Rows of the head that are widened to float32 at a time: 64 MiB of the 7B model's 500."""
_GROUPED = 8
"""Images of equal length that one attention call takes; it takes this number or one. cuDNN would
make a new plan for each other number."""


class VarlenModel:
    """Computes the logits of each image's scored position with a loaded model.

    With ``compiled``, the layers of both towers are compiled at the first batch, once for all
    lengths (some ten seconds).

    Raises:
        ModelError: the model has parts whose forward pass is not implemented here.
    """

    def __init__(self, vlm: VisionLanguageModel, *, compiled: bool = False) -> None:
        self.packer = BatchPacker(vlm.processor, vlm.prompt, vlm.base.config)
        self._model, self._device = vlm.base, vlm.device
        tower = self._model.model.vision_tower
        depth: int = self._model.config.vision_feature_layer
        layers = list(tower.encoder.layers)
        self._vision_layers = layers[: depth if depth >= 0 else len(layers) + 1 + depth]
        self._words = torch.tensor(self.packer.words, device=self._device)
        self._vision_layer: Callable[..., torch.Tensor] = vision_layer
        self._decoder_layer: Callable[..., torch.Tensor] = decoder_layer
        if compiled:
            self._vision_layer = CheckedCompile(vision_layer, len(self._vision_layers))
            count = len(self._model.model.language_model.layers) - 1
            is_fp8 = vlm.engine.precision.startswith("fp8")
            tolerance = CHANGE_TOLERANCE_FP8 if is_fp8 else CHANGE_TOLERANCE
            self._decoder_layer = CheckedCompile(decoder_layer, count, tolerance=tolerance)
        self._blank: dict[int, PackedBatch] = {}
        """Batches of base tiles without pixels, by number of images. They are kept because a CUDA
        graph reads them at a fixed address."""

    def pack(self, images: list[PreparedImage]) -> PackedBatch:
        """Pack images with the spare tokens that ``attend`` needs, page-locked for a GPU."""
        return self.packer.pack(images, spare=_STEP, pinned=self._device.type == "cuda")

    def logits(self, packed: PackedBatch) -> torch.Tensor:
        """Return the logits (B, V) of each image's scored position in float32; on a GPU
        asynchronously."""
        # 1. Copy the batch to the device and embed its tokens.
        packed = packed.on(self._device)
        hidden, cos, sin = self.embedded(packed)
        # 2. All decoder layers but the last, for every position.
        language = self._model.model.language_model
        for layer in language.layers[:-1]:
            hidden = self._decoder_layer(layer, hidden, cos, sin, attend, packed.bounds)
        # 3. The last layer and the head, for the scored positions only.
        hidden = decoder_layer(
            language.layers[-1], hidden, cos, sin, _attend_last, packed.bounds, last=packed.last
        )
        return wide_logits(self._model, hidden)

    def logits_of_base(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return ``logits`` of base tiles (B, 3, side, side) uint8 on the model's device."""
        blank = self._blank.get(len(tiles))
        if blank is None:
            image = self.packer.base_tile(torch.empty((1, *tiles.shape[1:]), dtype=torch.uint8))
            blank = self._blank[len(tiles)] = self.pack([image] * len(tiles)).on(self._device)
        return self.logits(replace(blank, tiles=tiles))

    def embedded(self, packed: PackedBatch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the language model's input (M, D), and cosines and sines of the rotary position
        embedding (M, 1, d), for a batch on the model's device."""
        model = self._model.model
        words = model.get_input_embeddings()(self._words)
        table = torch.cat([self._features(packed.tiles), model.image_newline[None], words])
        hidden = table[packed.rows]
        cos, sin = model.language_model.rotary_emb(hidden, packed.positions)
        return hidden, cos[0, :, None], sin[0, :, None]

    def pooled_features(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return the vision tower's class token and the mean of its patches, (B, 2 × width)
        float32, for tiles (B, 3, side, side) uint8 on the model's device."""
        hidden = self._vision_hidden(tiles).float()
        return torch.cat([hidden[:, 0], hidden[:, 1:].mean(dim=1)], dim=1)

    def _features(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return the projected image features (tiles × patches, D)."""
        hidden = self._vision_hidden(tiles)
        patches = hidden[:, self.packer.class_tokens :]
        features: torch.Tensor = self._model.model.multi_modal_projector(patches)
        return features.flatten(0, 1)

    def _vision_hidden(self, tiles: torch.Tensor) -> torch.Tensor:
        """Return the hidden states (tiles, 1 + patches, width) of the feature layer."""
        images, tower = self.packer.image_processor, self._model.model.vision_tower
        pixels = images.rescale_and_normalize(
            tiles,
            images.do_rescale,
            images.rescale_factor,
            images.do_normalize,
            tuple(images.image_mean),
            tuple(images.image_std),
        )
        hidden: torch.Tensor = tower.pre_layrnorm(tower.embeddings(pixels))
        # For a single tile the compiler would make a second graph.
        forward = self._vision_layer if len(tiles) > 1 else vision_layer
        for layer in self._vision_layers:
            hidden = forward(layer, hidden)
        return hidden


def compiles(device: torch.device) -> bool:
    """Return whether PyTorch's compiler works here. It needs a GPU, Triton, a C compiler and
    Python's headers, and often only a trial shows that one is missing."""
    if device.type != "cuda":
        return False
    try:
        torch.compile(torch.cos)(torch.ones(8, device=device))
    except Exception:  # noqa: BLE001 - scoring works without a compiler
        return False
    return True


def wide_logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - a base model
    """Return the logits (…, V) of the last decoder layer's output (…, D), computed in float32.

    bfloat16 has 8 significant bits: logits between 16 and 32 would be multiples of 1/8, and the two
    most likely labels would often be equal.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        return wide_head(model.lm_head, model.model.language_model.norm(hidden.float()))


def wide_head(head: torch.nn.Linear, normed: torch.Tensor) -> torch.Tensor:
    """Return the logits (…, V) of the final norm's output (…, D), both in float32."""
    parts: tuple[torch.Tensor, ...] = torch.split(head.weight, _VOCABULARY_ROWS)
    return torch.cat([normed @ part.float().T for part in parts], dim=-1)


def vision_layer(layer: Any, hidden: torch.Tensor) -> torch.Tensor:  # noqa: ANN401 - a CLIP layer
    """Run one layer of the vision tower without an attention mask."""
    out: torch.Tensor = layer(hidden, None)
    return out


def decoder_layer(
    layer: Any,  # noqa: ANN401 - a decoder layer
    hidden: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    attend: Callable[..., torch.Tensor],
    *bounds: torch.Tensor | int,
    last: torch.Tensor | None = None,
) -> torch.Tensor:
    """Run one decoder layer over packed hidden states (M, D).

    ``attend`` is the attention function, called with query, key, value and ``bounds``. With
    ``last`` (B,), only the outputs (B, D) of these positions are computed; all positions still give
    keys and values.
    """
    attention = layer.self_attn
    heads = (-1, attention.head_dim)
    normed = layer.input_layernorm(hidden)
    key = _rotated(attention.k_proj(normed).unflatten(-1, heads), cos, sin)
    value = attention.v_proj(normed).unflatten(-1, heads)
    if last is not None:
        hidden, normed, cos, sin = hidden[last], normed[last], cos[last], sin[last]
    query = _rotated(attention.q_proj(normed).unflatten(-1, heads), cos, sin)
    mixed = attend(query, key, value, *bounds)
    hidden = hidden + attention.o_proj(mixed.flatten(-2))
    out: torch.Tensor = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    return out


def _rotated(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary position embedding (Su et al. 2021) of (N, heads, d), halves paired as Llama does."""
    first, second = heads.chunk(2, dim=-1)
    return heads * cos + torch.cat([-second, first], dim=-1) * sin


@torch.library.custom_op("mayak::attend", mutates_args=())
def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor
) -> torch.Tensor:
    """Causal attention within each image; query (M, heads, d), key and value (M, fewer heads, d),
    bounds (B + 1,) on the CPU.

    One opaque operation, so that compiled code does not depend on the number of images. The length
    of a single image is rounded up into the tokens after it, which the causal mask hides: cuDNN
    makes a new plan for each length.
    """
    mixed = torch.empty_like(query)
    ends = bounds.tolist()
    for start, end, count in _runs(ends):
        length = (end - start) // count
        reach = end if count > 1 else start + -(-length // _STEP) * _STEP
        queries, keys, values = (
            part[start:reach].view(count, -1, *part.shape[1:]).transpose(1, 2)
            for part in (query, key, value)
        )
        found = functional.scaled_dot_product_attention(
            queries, keys, values, is_causal=True, enable_gqa=True
        )
        target = mixed[start:end].view(count, length, *mixed.shape[1:])
        target.copy_(found[:, :, :length].transpose(1, 2))
    mixed[ends[-1] :] = 0  # keys and values that are not finite would pass through the mask
    return mixed


def _runs(ends: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (start, end, images) of each attention call: ``_GROUPED`` images of equal length, or
    one image."""
    at = 0
    while at + 1 < len(ends):
        lengths = {end - start for start, end in pairwise(ends[at : at + _GROUPED + 1])}
        enough = at + _GROUPED < len(ends)
        count = _GROUPED if enough and len(lengths) == 1 else 1
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
    """Attention of one query per image (B, heads, d): its last, which sees the whole image."""
    heads = key.shape[1]
    count, _, width = query.shape
    grouped = query.view(count, heads, -1, width) * width**-0.5
    mixed = []
    for queries, (start, end) in zip(grouped, pairwise(bounds.tolist()), strict=True):
        weight = torch.einsum("hgd,thd->hgt", queries, key[start:end]).float().softmax(-1)
        mixed.append(torch.einsum("hgt,thd->hgd", weight.to(value), value[start:end]))
    return torch.stack(mixed).flatten(1, 2)
