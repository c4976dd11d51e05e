"""Images as rows of the model's embeddings, against what the stock processor and model make."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from checkpoints import processor_for, published_config, published_tokenizer
from mayak.imaging import decode
from mayak.labels import LABELS
from mayak.model import Prompt, VisionLanguageModel
from mayak.model.packer import BatchPacker
from mayak.model.prompt import ask
from model_folder import decoded, tiny_config

SIZES = [(90, 90), (300, 100), (60, 220), (1, 900)]


@pytest.fixture(scope="module")
def processor():
    return processor_for(tiny_config(), published_tokenizer())


@pytest.fixture(scope="module")
def packing(processor):
    return BatchPacker(processor, Prompt.of(processor), tiny_config())


def ids_of(packing, rows):
    """What the rows stand for, image features and marks of line ends being image tokens."""
    table = torch.tensor([packing.config.image_token_id, *packing.words])
    return table[torch.where((rows >= 0) | (rows < -len(packing.words)), 0, rows)]


def test_an_answered_piece_is_the_question_with_all_but_the_answers_end(processor, packing):
    for size in SIZES:
        image = decoded(*size)
        asked = ask(processor, packing.prompt, [image], packing.prompt.lead_ids)["input_ids"][0]
        piece = packing.prepare(image)
        assert torch.equal(ids_of(packing, piece.rows), asked)
        for label in range(len(LABELS)):
            taught = packing.with_answer(piece, label)
            assert taught.tiles is piece.tiles
            *before, last = ids_of(packing, taught.rows).tolist()
            assert before == asked.tolist()
            assert last == packing.prompt.label_ids[label]


def test_images_lie_one_behind_the_other(packing):
    pieces = [packing.prepare(decoded(*size)) for size in SIZES]
    packed = packing.pack(pieces)
    seen = 0
    for piece, start, end in zip(pieces, packed.bounds, packed.bounds[1:], strict=False):
        rows = packed.rows[start:end]
        features = piece.rows >= 0
        assert torch.equal(rows[features], piece.rows[features] + seen)
        assert torch.equal(rows[~features], piece.rows[~features])
        assert torch.equal(packed.positions[0, start:end], torch.arange(len(piece.rows)))
        seen += 64 * len(piece.tiles)
    assert packed.last.tolist() == [end - 1 for end in packed.bounds[1:].tolist()]
    assert len(packed.tiles) * 64 == seen


def sharp_photo(width, height):
    """A JPEG of soft colours, hard edges and grain."""
    rng = np.random.default_rng(3)
    soft = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    image = soft.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    places = rng.integers((0, 0, 2, 2), (width - 200, height - 200, 200, 200), (60, 4))
    for x, y, wide, high in places:
        colour = tuple(rng.integers(0, 256, 3).tolist())
        draw.rectangle((x, y, x + wide, y + high), fill=colour)
    grainy = np.asarray(image, dtype=np.int16) + rng.integers(-12, 13, (height, width, 3))
    stream = io.BytesIO()
    Image.fromarray(grainy.clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def test_tiles_of_a_jpeg_that_was_decoded_smaller_are_nearly_the_same():
    config, processor = published_config(), processor_for(published_config(), published_tokenizer())
    vlm = VisionLanguageModel(None, processor, Prompt.of(processor), None)
    packing = BatchPacker(processor, vlm.prompt, config)
    data = sharp_photo(3200, 2700)
    whole = decode(data)
    for min_sides, scale, prepare in (
        (vlm.min_sides, 2, packing.prepare),
        (vlm.min_base_sides, 4, packing.prepare_base),
    ):
        smaller = decode(data, min_sides=min_sides)
        assert smaller.scale == scale
        apart = (prepare(smaller).tiles.float() - prepare(whole).tiles.float()).abs()
        assert apart.mean() < 0.5
        assert (apart > 2).float().mean() < 0.003
        assert apart.max() <= 12
