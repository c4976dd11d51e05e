import math

import pytest
import torch
from transformers import AutoProcessor, LlavaNextForConditionalGeneration

from mayak.errors import ModelError
from mayak.labels import QUESTION
from mayak.model import AnswerGenerator, LabelScorer, Prompt, load_model
from mayak.model.scoring import label_scores
from model_folder import decoded

SIZES = [(90, 90), (300, 100), (60, 220), (112, 112), (1, 900), (700, 3), (33, 47)]


@pytest.fixture(scope="module")
def vlm(model_folder):
    return load_model(str(model_folder), precision="fp32", device="cpu")


@pytest.fixture(scope="module")
def images():
    return [decoded(*size, seed=number) for number, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def stock(model_folder):
    """Stock transformers, one image at a time, nothing of ours."""
    processor = AutoProcessor.from_pretrained(model_folder)
    model = LlavaNextForConditionalGeneration.from_pretrained(model_folder).eval()

    def inputs(image):
        turn = [
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}
        ]
        text = processor.apply_chat_template(turn, add_generation_prompt=True)
        return processor(
            images=image.pixels, text=text, input_data_format="channels_last", return_tensors="pt"
        )

    return model, inputs


def test_a_mixed_batch_scores_as_the_stock_model_does_singly(vlm, images, stock):
    model, inputs = stock
    for batch_size in (1, 3, 8):
        predictions = list(LabelScorer(vlm, batch_size).classify(iter(images)))
        for image, prediction in zip(images, predictions, strict=True):
            batch = inputs(image)
            blank = torch.tensor([[28705]])
            batch["input_ids"] = torch.cat([batch["input_ids"], blank], dim=1)
            batch["attention_mask"] = torch.ones_like(batch["input_ids"])
            with torch.no_grad():
                whole = model(**batch).logits[0, -1].double().softmax(0)
            four = whole[[28734, 28740, 28750, 28770]]
            expected = (four / four.sum()).tolist()
            assert prediction.scores.values == pytest.approx(expected, abs=1e-4)
            assert prediction.scores.off_label == pytest.approx(1 - four.sum().item(), abs=1e-4)
            assert prediction.sha256 == image.sha256
            assert prediction.engine == vlm.engine.fingerprint


def test_answers_are_the_stock_models(vlm, images, stock):
    model, inputs = stock
    answers = list(AnswerGenerator(vlm, batch_size=3, max_new_tokens=6).answer(images))
    for image, answer in zip(images, answers, strict=True):
        batch = inputs(image)
        ids = model.generate(**batch, max_new_tokens=6, do_sample=False, pad_token_id=32001)
        new = ids[0, batch["input_ids"].shape[1] :]
        assert answer == vlm.processor.tokenizer.decode(new, skip_special_tokens=True).strip()


def test_no_images_no_predictions(vlm):
    assert list(LabelScorer(vlm).classify([])) == []


def test_scores_by_hand():
    prompt = Prompt("", (1,), (), (0, 1, 2, 3), 9)
    # e^logit: labels 1, 2, 3, 4; the two others 5 each → a label's share 1/10 …, 10/20 outside
    logits = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 5.0]]).log()
    scores, off_label = label_scores(logits, prompt)
    assert scores[0].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1e-7)
    assert off_label.item() == pytest.approx(0.5, abs=1e-7)


def test_scores_of_logits_far_apart_stay_finite():
    prompt = Prompt("", (1,), (), (0, 1, 2, 3), 9)
    logits = torch.tensor([[1e4, -1e4, -1e4, -1e4, -1e4], [-1e4, -1e4, -1e4, -1e4, 1e4]])
    scores, off_label = label_scores(logits, prompt)
    assert scores.sum(dim=1).tolist() == pytest.approx([1.0, 1.0], abs=1e-12)
    assert off_label.tolist() == [0.0, 1.0]
    assert not any(math.isnan(value) for value in scores.flatten().tolist())


def test_a_full_gpu_is_a_clear_error(vlm, images, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(type(vlm.model.lm_head), "forward", full)
    with pytest.raises(ModelError, match="memory is full"):
        list(LabelScorer(vlm).classify(images))
