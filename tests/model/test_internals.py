"""Private parts of torch and transformers that mayak uses: an upgrade that changes one fails."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mayak.model import load_model
from mayak.model.torch_internals import (
    flash_attention,
    multiply_fp8,
    stop_workers,
    storage_reference,
)
from mayak.model.transformers_internals import FeatureOrder, image_tiles, image_token_counts
from model_folder import decoded

SIZES = [(90, 90), (300, 100), (60, 220), (1, 900), (33, 47)]


@pytest.fixture(scope="module")
def vlm():
    return load_model("nano", precision="fp32", device="cpu")


@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_those_of_the_public_call(vlm, size):
    images = vlm.processor.image_processor
    pixels = torch.from_numpy(decoded(*size).pixels).permute(2, 0, 1)
    batch = images(
        images=[pixels],
        return_tensors="pt",
        do_rescale=False,
        do_normalize=False,
        input_data_format="channels_first",
    )
    tiles = image_tiles(images, pixels)
    assert tiles.dtype == torch.uint8
    assert torch.equal(tiles.float(), batch["pixel_values"][0].float())


def test_token_counts_are_those_of_the_public_call(vlm):
    images = [decoded(*size) for size in SIZES]
    for image in images:
        pixels = torch.from_numpy(image.pixels).permute(2, 0, 1)
        batch = vlm.processor(
            images=[pixels],
            text=["<image>"],
            return_tensors="pt",
            input_data_format="channels_first",
        )
        stock = int((batch["input_ids"] == vlm.base.config.image_token_id).sum())
        assert image_token_counts(vlm.processor, [image.pixels.shape[:2]]) == [stock]


def test_features_are_arranged_as_by_the_model_itself(vlm):
    config = vlm.base.config
    vision = config.vision_config
    patches = (vision.image_size // vision.patch_size) ** 2
    side = config.image_grid_pinpoints[0]
    count = 1 + side[0] * side[1] // vision.image_size**2
    features = torch.arange(count * patches).view(count, patches, 1)
    line_end = torch.tensor([-1])
    stock, _ = vlm.base.model.pack_image_features(
        [features],
        torch.tensor([side]),
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        image_newline=line_end,
    )
    assert torch.equal(FeatureOrder(config)(features, *side, line_end), stock[0])


def test_the_operators_of_a_gpu_take_the_arguments_that_are_given():
    # On the meta device no kernel runs, but names, order and types of arguments are checked.
    schema = torch.ops.aten._flash_attention_forward.default._schema
    assert [argument.name for argument in schema.arguments[:10]] == [
        *("query", "key", "value", "cum_seq_q", "cum_seq_k", "max_q", "max_k"),
        *("dropout_p", "is_causal", "return_debug_mask"),
    ]
    query, key = (torch.empty((12, heads, 8), dtype=torch.bfloat16) for heads in (4, 2))
    bounds = torch.tensor([0, 5, 12], dtype=torch.int32)
    with pytest.raises(NotImplementedError, match="_flash_attention_forward"):
        flash_attention(query, key, key, bounds, 7)  # there is no kernel for a CPU


def test_fp8_products_are_those_of_wide_numbers():
    generator = torch.Generator().manual_seed(0)
    rows, weight = (
        torch.randn(16, 32, generator=generator),
        torch.randn(48, 32, generator=generator),
    )
    row_scales, weight_scales = torch.rand(16, 1) + 0.5, torch.rand(1, 48) + 0.5
    narrow = [part.to(torch.float8_e4m3fn) for part in (rows, weight)]
    found = multiply_fp8(narrow[0], row_scales, narrow[1].T, weight_scales, torch.bfloat16)
    right = (narrow[0].float() * row_scales) @ (narrow[1].float().T * weight_scales)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), right, rtol=0.02, atol=0.02)


def test_a_storage_reference_knows_its_address_and_its_end():
    tensor = torch.empty(4)
    reference = storage_reference(tensor)
    assert reference.cdata == storage_reference(tensor[1:]).cdata
    assert not reference.expired()
    del tensor
    assert reference.expired()


class Squares(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return np.int64(index**2)


def test_worker_processes_end_though_the_iterator_is_held():
    loader = DataLoader(
        Squares(), num_workers=1, persistent_workers=True, multiprocessing_context="spawn"
    )
    held = iter(loader)
    assert int(next(held)) == 0
    (worker,) = held._workers
    stop_workers(loader)
    assert not worker.is_alive()


def test_a_loader_without_processes_needs_no_end():
    loader = DataLoader(Squares())
    next(iter(loader))
    stop_workers(loader)
