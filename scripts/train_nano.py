"""Base-train the embedded model: ``python scripts/train_nano.py OUT [--steps N] [--seconds S]``.

A LLaVA-NeXT of about seven million parameters learns, from scratch, to describe the generator's
base-style images and to answer questions about them (``scripts/nano_corpus.py``). It is never asked
the four-way question or for a label, and never sees an image of the held-out style. One H100 and 16
cores take about seven minutes; the weights in ``src/mayak/model/nano`` were made so, see the model
card there.

Images are rendered by worker processes while the model trains, which draws from those that are
there. Training ends after ``--steps`` or ``--seconds``, whichever comes first;
``training_log.json`` says how many steps that was.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import multiprocessing
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.pool import IMapIterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import (
    CLIPVisionConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    MistralConfig,
    PreTrainedTokenizerFast,
)

from mayak.demo.scenes import SUBJECTS, encode, render
from mayak.model.shapes import processor_for
from nano_corpus import conversations, corpus

SEED = 20261122
VOCABULARY = 1536
SIDE = 112
GRID = [(2, 1), (1, 2), (2, 2), (4, 2), (3, 2), (2, 3), (3, 1), (1, 3)]  # tiles (rows, columns)
TILES = (9, 3, SIDE, SIDE)  # the largest grid and the base tile
PATCHES = (SIDE // 14) ** 2
IMAGES = 20_000
FIRST = 2_000  # rendered before training begins
BATCH = 96
LEARNING_RATE = 1.2e-3
WARMUP = 300
SUBJECT_WEIGHT = 0.5
"""Weight of the auxiliary task (name the subject from the mean image token), which teaches the
vision tower to see long before the language model can say what it sees. Its head is dropped."""


def tokenizer_for(texts: Iterator[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE whose digits and blanks stand alone, as Mistral's do in an answer."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(r" (?=\d)|\s"), behavior="merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens=["<image>"],
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )


def configuration(tokenizer: PreTrainedTokenizerFast) -> LlavaNextConfig:
    """The nano shape: tiles of 112 px, patches of 14, six vision and four language layers."""
    vision = CLIPVisionConfig(
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=6,
        num_attention_heads=8,
        image_size=SIDE,
        patch_size=14,
        projection_dim=64,
    )
    text = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=576,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        sliding_window=None,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlavaNextConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        image_grid_pinpoints=[[SIDE * rows, SIDE * columns] for rows, columns in GRID],
        # All six layers are used: a tower this small has none to spare.
        vision_feature_layer=-1,
        image_seq_length=(SIDE // 14) ** 2,
        tie_word_embeddings=True,
    )


@dataclass(frozen=True)
class Example:
    """One rendered image, its tiles in the shared file, and what can be asked of it."""

    index: int
    """Row of the shared file."""
    tiles: int
    size: tuple[int, int]
    """(height, width) before tiling."""
    subject: int
    turns: list[tuple[list[int], list[int]]]
    """(question ids, answer ids)."""


class Renderer:
    """Renders image ``index`` and all that is asked of it; one lives in each worker."""

    def __init__(self, processor: LlavaNextProcessor, shared: Path, images: int) -> None:
        torch.set_num_threads(1)
        self.processor = processor
        self.subjects = list(SUBJECTS)
        self.pixels = np.memmap(shared, np.uint8, "r+", shape=(images, *TILES))

    def __call__(self, index: int) -> Example:
        rng = random.Random(f"{SEED}/{index}")
        # Chats are the hardest to tell apart, so two images in five are chats.
        chats = ["drug_chat", "ordinary_chat"]
        subject = rng.choice(chats) if rng.random() < 0.4 else rng.choice(self.subjects)
        scene = render(subject, rng.getrandbits(31), "base")
        image = Image.open(io.BytesIO(encode(scene, rng.getrandbits(31)))).convert("RGB")
        image = _moved(image, rng, turn=scene.facts["medium"] == "photo")
        batch = self.processor.image_processor(
            image, do_rescale=False, do_normalize=False, return_tensors="pt"
        )
        tiles = batch["pixel_values"][0].round().clamp(0, 255).to(torch.uint8).numpy()
        self.pixels[index, : len(tiles)] = tiles
        encoded = self.processor.tokenizer
        turns = [
            (
                encoded(f"[INST] <image>\n{question} [/INST]")["input_ids"],
                [*encoded(f" {answer}", add_special_tokens=False)["input_ids"], 2],
            )
            for question, answer in conversations(scene, rng)
        ]
        size = (image.height, image.width)
        return Example(index, len(tiles), size, self.subjects.index(subject), turns)


def _moved(image: Image.Image, rng: random.Random, *, turn: bool) -> Image.Image:
    """A random crop, and for photos a mirror or a small turn."""
    width, height = image.size
    keep = rng.uniform(0.82, 1.0)
    left = rng.uniform(0, 1 - keep) * width
    top = rng.uniform(0, 1 - keep) * height
    image = image.crop((int(left), int(top), int(left + keep * width), int(top + keep * height)))
    if turn and rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if turn and rng.random() < 0.3:
        image = image.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR)
    return image


_renderer: Renderer


def _start(folder: str, shared: str, images: int) -> None:
    global _renderer
    _renderer = Renderer(LlavaNextProcessor.from_pretrained(folder), Path(shared), images)


def _render(index: int) -> Example:
    return _renderer(index)


class Pool:
    """Rendered examples by tile count; their pixels lie on the training device."""

    def __init__(
        self,
        stream: IMapIterator[Example],
        shared: Path,
        images: int,
        device: torch.device,
        model: LlavaNextForConditionalGeneration,
    ) -> None:
        self.stream, self.device, self.model, self.left = stream, device, model, images
        self.pixels = np.memmap(shared, np.uint8, "r", shape=(images, *TILES))
        self.tiles = torch.empty((images, *TILES), dtype=torch.uint8, device=device)
        self.buckets: dict[int, list[Example]] = defaultdict(list)
        self.orders: dict[tuple[int, ...], np.ndarray] = {}

    def grow(self, seconds: float) -> None:
        """Take in what has been rendered; wait at most ``seconds`` for the next."""
        while self.left:
            try:
                example = self.stream.next(timeout=seconds)
            except multiprocessing.TimeoutError:
                return
            rows = torch.from_numpy(np.array(self.pixels[example.index, : example.tiles]))
            self.tiles[example.index, : example.tiles] = rows.to(self.device)
            self.buckets[example.tiles].append(example)
            self.left -= 1
            seconds = 0.0

    def order(self, example: Example) -> np.ndarray:
        """Where each image token comes from: an index into the image's patches, tile by tile, and
        after them the line break. The model's own packing is asked once a shape."""
        key = (example.tiles, *example.size)
        if key not in self.orders:
            numbered = torch.arange(example.tiles * PATCHES, dtype=torch.float32)
            packed, _ = self.model.model.pack_image_features(
                [numbered.view(example.tiles, PATCHES, 1)],
                torch.tensor([example.size]),
                vision_feature_select_strategy="default",
                image_newline=torch.full((1,), float(example.tiles * PATCHES)),
            )
            self.orders[key] = packed[0][:, 0].long().numpy()
        return self.orders[key]

    def batch(self, rng: random.Random) -> list[Example]:
        """Examples with the same number of tiles."""
        kinds = list(self.buckets)
        kind = rng.choices(kinds, [len(self.buckets[k]) for k in kinds])[0]
        return rng.choices(self.buckets[kind], k=BATCH)


def jitter(pixels: torch.Tensor) -> torch.Tensor:
    """Random light, colour, blur and noise, one draw an image; (B, tiles, 3, s, s) in 0–1."""
    count = pixels.shape[0]

    def draw(low: float, high: float, channels: int = 1) -> torch.Tensor:
        drawn = torch.rand(count, 1, channels, 1, 1, device=pixels.device)
        return low + (high - low) * drawn

    grey = pixels.mean(dim=2, keepdim=True)
    saturation = torch.where(draw(0, 1) < 0.06, draw(0, 0.1), draw(0.5, 1.5))
    pixels = grey + (pixels - grey) * saturation
    pixels = pixels * draw(0.85, 1.15, 3) * draw(0.7, 1.3)
    pixels = (pixels - 0.5) * draw(0.7, 1.35) + 0.5 + draw(-0.08, 0.08)
    pixels = pixels.clamp(0, 1) ** torch.exp(draw(-0.35, 0.35))
    blurred = torch.nn.functional.avg_pool2d(pixels.flatten(0, 1), 3, stride=1, padding=1)
    share = torch.where(draw(0, 1) < 0.3, draw(0, 0.9), draw(0, 0))
    pixels = pixels + (blurred.view_as(pixels) - pixels) * share
    pixels = pixels + torch.randn_like(pixels) * draw(0, 0.05)
    # Inverted screens teach dark themes that the generator does not draw.
    inverted = draw(0, 1) < 0.04
    return torch.where(inverted, 1 - pixels, pixels).clamp(0, 1)


def collate(
    pool: Pool, chosen: list[Example], rng: random.Random, config: LlavaNextConfig
) -> dict[str, torch.Tensor]:
    """One batch as ids and flat indices, all made on the CPU so that the GPU is never waited for.

    Rows are padded on the right: pads come last, so causal attention never sees them. ``ids`` is
    (B, T); ``source`` and ``spot`` say which patch goes to which position, ``taught`` and
    ``wanted`` which position must foretell which id.
    """
    asked = [rng.choice(example.turns) for example in chosen]
    orders = [pool.order(example) for example in chosen]
    lengths = [
        len(question) - 1 + len(order) + len(answer)
        for (question, answer), order in zip(asked, orders, strict=True)
    ]
    width, patches = max(lengths), chosen[0].tiles * PATCHES + 1
    ids = np.full((len(chosen), width), config.pad_token_id)
    source, spot, taught, wanted = [], [], [], []
    for row, ((question, answer), order) in enumerate(zip(asked, orders, strict=True)):
        at = question.index(config.image_token_id)
        end = lengths[row]
        ids[row, :at] = question[:at]
        ids[row, at : at + len(order)] = config.image_token_id
        ids[row, at + len(order) : end] = [*question[at + 1 :], *answer]
        source.append(row * patches + order)
        spot.append(row * width + at + np.arange(len(order)))
        taught.append(row * width + np.arange(end - len(answer) - 1, end - 1))
        wanted.append(np.array(answer))
    parts = {
        "ids": ids,
        "rows": np.array([example.index for example in chosen]),
        "subjects": np.array([example.subject for example in chosen]),
        "source": np.concatenate(source),
        "spot": np.concatenate(spot),
        "taught": np.concatenate(taught),
        "wanted": np.concatenate(wanted),
    }
    batch = {name: torch.from_numpy(part) for name, part in parts.items()}
    if pool.device.type == "cuda":
        batch = {
            name: part.pin_memory().to(pool.device, non_blocking=True)
            for name, part in batch.items()
        }
    return batch


def train(folder: Path, steps: int, seconds: float, workers: int) -> None:
    """Render, train, and write the checkpoint folder."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(SEED)
    tokenizer = tokenizer_for(corpus(SEED))
    config = configuration(tokenizer)
    processor = processor_for(config, tokenizer)
    processor.save_pretrained(folder)
    model = LlavaNextForConditionalGeneration(config).to(device)
    subject_head = nn.Linear(config.text_config.hidden_size, len(SUBJECTS)).to(device)
    parameters = [*model.parameters(), *subject_head.parameters()]
    decayed = [p for p in parameters if p.dim() > 1]
    plain = [p for p in parameters if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=LEARNING_RATE,
        betas=(0.9, 0.98),
        fused=device.type == "cuda",
    )
    count = sum(p.numel() for p in model.parameters())
    print(f"{count / 1e6:.2f} M parameters, vocabulary {len(tokenizer)}", flush=True)
    mean = torch.tensor(processor.image_processor.image_mean, device=device).view(3, 1, 1)
    std = torch.tensor(processor.image_processor.image_std, device=device).view(3, 1, 1)

    context = multiprocessing.get_context("spawn")
    log: list[dict[str, float]] = []
    # Shared pixels belong in memory where there is such a place.
    memory = Path("/dev/shm")  # noqa: S108
    with contextlib.ExitStack() as stack:
        place = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        shared = Path(stack.enter_context(place)) / "tiles"
        np.memmap(shared, np.uint8, "w+", shape=(IMAGES, *TILES))
        beginning = (str(folder), str(shared), IMAGES)
        renderers = stack.enter_context(context.Pool(workers, _start, beginning))
        stream = renderers.imap_unordered(_render, range(IMAGES))
        pool = Pool(stream, shared, IMAGES, device, model)
        while IMAGES - pool.left < FIRST:
            pool.grow(60.0)
        rng = random.Random(SEED)
        started = time.monotonic()
        for step in range(steps):
            pool.grow(0.0)
            done = max(step / steps, (time.monotonic() - started) / seconds)
            if done >= 1:
                break
            share = min(1.0, (step + 1) / WARMUP) * (
                0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))
            )
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * share
            chosen = pool.batch(rng)
            batch = collate(pool, chosen, rng, config)
            pixels = pool.tiles[batch["rows"], : chosen[0].tiles].float() / 255
            pixels = (jitter(pixels) - mean) / std
            with torch.autocast(device.type, torch.bfloat16):
                patches = model.model.vision_tower(pixels.flatten(0, 1)).last_hidden_state[:, 1:]
                patches = model.model.multi_modal_projector(patches)
                patches = patches.reshape(len(chosen), -1, patches.shape[-1])
                guesses = subject_head(patches.mean(dim=1)).float()
                seen = cross_entropy(guesses, batch["subjects"])
                newline = model.model.image_newline.to(patches.dtype).expand(len(chosen), 1, -1)
                patches = torch.cat([patches, newline], dim=1).flatten(0, 1)
                embeds = model.get_input_embeddings()(batch["ids"])
                flat = embeds.flatten(0, 1)
                flat = flat.index_copy(0, batch["spot"], patches[batch["source"]].to(flat.dtype))
                hidden = model.model.language_model(
                    inputs_embeds=flat.view_as(embeds), use_cache=False
                ).last_hidden_state
                logits = model.lm_head(hidden.flatten(0, 1)[batch["taught"]])
                said = cross_entropy(logits.float(), batch["wanted"])
            (said + SUBJECT_WEIGHT * seen).backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            if step % 200 == 0:
                entry = {
                    "step": step,
                    "answers": said.item(),
                    "subjects": seen.item(),
                    "right": (guesses.argmax(1) == batch["subjects"]).float().mean().item(),
                    "tiles": chosen[0].tiles,
                    "images": IMAGES - pool.left,
                    "seconds": time.monotonic() - started,
                }
                log.append(entry)
                print(" ".join(f"{k} {v:.4g}" for k, v in entry.items()), flush=True)
        renderers.terminate()
    model.to(torch.bfloat16).save_pretrained(folder)
    (folder / "training_log.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=420)
    parser.add_argument("--workers", type=int, default=16)
    asked = parser.parse_args()
    train(asked.folder, asked.steps, asked.seconds, asked.workers)
