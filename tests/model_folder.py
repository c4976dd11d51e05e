"""A random LLaVA-NeXT of two layers with the real Mistral tokenizer, and small images for it."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import (
    CLIPVisionConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    MistralConfig,
)

from checkpoints import processor_for, published_tokenizer, random_checkpoint
from mayak.labels import LABELS, QUESTION
from mayak.types import DecodedImage

SIDE = 112


def tiny_config() -> LlavaNextConfig:
    """About four million parameters, nearly all of them the vocabulary's."""
    vision = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=14,
        projection_dim=64,
    )
    text = MistralConfig(
        vocab_size=32064,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        sliding_window=None,
    )
    return LlavaNextConfig(
        vision_config=vision,
        text_config=text,
        image_grid_pinpoints=[[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]],
        image_token_index=32000,
        pad_token_id=32001,
        tie_word_embeddings=False,
    )


def make_model_folder(folder: Path) -> Path:
    """Write the checkpoint; ``load_model`` and stock transformers load it."""
    config = tiny_config()
    random_checkpoint(folder, config, processor_for(config, published_tokenizer()))
    return folder


def save_adapter(folder, *, r=4, trained=True, hidden=64):
    """An adapter over the language model, with B filled as training would."""
    config = tiny_config()
    if hidden != 64:
        config.text_config.hidden_size = hidden
    settings = LoraConfig(r=r, target_modules=r".*language_model\..*\.q_proj")
    with warnings.catch_warnings():
        # PEFT reads a property that transformers has since renamed.
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
        model = get_peft_model(LlavaNextForConditionalGeneration(config), settings)
    if trained:
        generator = torch.Generator().manual_seed(1)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.data = torch.randn(weight.shape, generator=generator)
    model.save_pretrained(folder, save_embedding_layers=False)
    return folder


def make_images(folder: Path, per_class: int, *, seed: int = 0) -> list[tuple[Path, int]]:
    """Flat coloured images of several sizes whose colour tells the class."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    colours = ((200, 60, 60), (60, 200, 60), (60, 60, 200), (200, 200, 60))
    rows = []
    for number in range(per_class):
        for label in range(len(LABELS)):
            height, width = generator.integers(40, 200, size=2)
            noise = generator.integers(-40, 40, size=(height, width, 3))
            pixels = np.clip(np.array(colours[label]) + noise, 0, 255).astype(np.uint8)
            path = folder / f"{label}_{number:03d}.png"
            Image.fromarray(pixels).save(path)
            rows.append((path, label))
    return rows


def make_data(root: Path, *, train: int = 4, val: int = 2, test: int = 2, seed: int = 0) -> Path:
    """A data folder as ``mayak prepare`` leaves it, with that many images a class and split."""
    data = root / "data"
    data.mkdir(parents=True)
    images = []
    for split, count in (("train", train), ("val", val), ("test", test)):
        rows = make_images(root / "raw" / split, count, seed=seed + len(split))
        records = []
        for path, label in rows:
            image_path = path.relative_to(root).as_posix()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            records.append(
                {
                    "id": f"{split}/{path.stem}",
                    "image_path": image_path,
                    "question": QUESTION,
                    "answer": str(label),
                }
            )
            images.append({"image_path": image_path, "sha256": digest, "group": digest})
        manifest = data / f"{split}_drug_data.json"
        manifest.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    (data / "dataset.json").write_text(json.dumps({"images": images}), encoding="utf-8")
    return data


def seeded_pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Random pixels (H, W, 3) uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8).numpy()


def decoded(height: int, width: int, seed: int = 0) -> DecodedImage:
    """A decoded image of random pixels whose hash is its own."""
    return DecodedImage(
        sha256=hashlib.sha256(f"{height}×{width}/{seed}".encode()).hexdigest(),
        pixels=seeded_pixels(height, width, seed),
        size=(width, height),
        format="PNG",
    )


def stock_lesson(vlm, rows):
    """Images with their labels as the stock model is taught them: padded on the left, the target of
    all but the answers -100."""
    batch = vlm.processor(
        images=[torch.from_numpy(image.pixels).permute(2, 0, 1) for image, _ in rows],
        text=[vlm.prompt.text] * len(rows),
        padding=True,
        padding_side="left",
        input_data_format="channels_first",
        return_tensors="pt",
    )
    answers = torch.tensor([vlm.prompt.answer_ids(label) for _, label in rows])
    batch["labels"] = torch.cat([torch.full_like(batch["input_ids"], -100), answers], dim=1)
    batch["input_ids"] = torch.cat([batch["input_ids"], answers], dim=1)
    batch["attention_mask"] = torch.cat([batch["attention_mask"], torch.ones_like(answers)], dim=1)
    return batch


def stock_base_lesson(vlm, rows):
    """The same of their base tiles alone, which the stock model knows if it is told that an image
    has one tile."""
    batch = stock_lesson(vlm, rows)
    vision, image = vlm.base.config.vision_config, vlm.base.config.image_token_id
    # Its patches and the end of a line.
    tokens = (vision.image_size // vision.patch_size) ** 2 + 1
    question = []
    for token in vlm.prompt.question_ids:
        question += [image] * tokens if token == image else [token]
    answers = torch.tensor([vlm.prompt.answer_ids(label) for _, label in rows])
    questions = torch.tensor([question] * len(rows))
    return {
        "pixel_values": batch["pixel_values"][:, :1],
        "image_sizes": batch["image_sizes"],
        "input_ids": torch.cat([questions, answers], dim=1),
        "labels": torch.cat([torch.full_like(questions, -100), answers], dim=1),
    }
