"""Images as rows of the model's embeddings, against what the stock processor and model make."""

import pytest
import torch

from mayak.labels import LABELS
from mayak.model import Prompt
from mayak.model.packing import Packing
from mayak.model.prompt import ask
from mayak.model.shapes import processor_for, published_tokenizer
from model_folder import decoded, tiny_config

SIZES = [(90, 90), (300, 100), (60, 220), (1, 900)]


@pytest.fixture(scope="module")
def processor():
    return processor_for(tiny_config(), published_tokenizer())


@pytest.fixture(scope="module")
def packing(processor):
    return Packing(processor, Prompt.of(processor), tiny_config())


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
            taught = packing.answered(piece, label)
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
