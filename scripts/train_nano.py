"""Base-train the embedded model: ``python scripts/train_nano.py OUT [--steps N] [--seconds S]``.

A LLaVA-NeXT of about seven million parameters learns, from scratch, to describe the generator's
base-style images and to answer questions about them (``scripts/nano_corpus.py``). It is never asked
the four-way question or for a label, and never sees an image of the held-out style. One H100 and 16
cores take about seven minutes; the weights in ``src/mayak/model/nano`` were made so, see the model
card there.

It looks before it talks: for the first third of the time the vision tower alone learns, from base
tiles (what is this?) and from tiles with a few words (which words are these?), at a ninth of the
cost of a whole image; then all of the model learns to converse about whole images. Images are
rendered by worker processes while the model trains, which draws from those that are there.
Training ends after ``--steps`` or ``--seconds``, whichever comes first; ``training_log.json`` says
how many steps that was.
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
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageDraw
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import (
    CLIPVisionConfig,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextProcessor,
    MistralConfig,
    PreTrainedTokenizerFast,
)

from mayak.demo.canvas import BASE_FONTS, typeface
from mayak.demo.scenes import SUBJECTS, encode, render
from mayak.model.shapes import processor_for
from nano_corpus import (
    ATTRIBUTES,
    FACT_NAMES,
    WORDS,
    attributes,
    conversations,
    corpus,
    words_in,
)

SEED = 20261122
VOCABULARY = 1536
SIDE = 112
GRID = [(2, 1), (1, 2), (2, 2), (4, 2), (3, 2), (2, 3), (3, 1), (1, 3)]  # tiles (rows, columns)
TILES = (9, 3, SIDE, SIDE)  # the largest grid and the base tile
PATCHES = (SIDE // 14) ** 2
IMAGES = 110_000
WORD_TILES = 3  # rendered with each image
FIRST = 3_000  # rendered before training begins
UNSEEN = 960  # of them kept from training, for the log
LOOKING = 0.35
"""Share of the time in which the vision tower learns alone."""
LOOKS = 768  # base tiles a step, and as many tiles of words
BATCH = 192  # whole images a step
TURNS = 4  # of a conversation about one image
LEARNING_RATE = 1.4e-3
WARMUP = 500
ATTRIBUTE_WEIGHT = 0.05
SIGHT_WEIGHT = 0.5
"""Weight of the auxiliary task, which teaches the vision tower to see and to read, while the
language model learns to say what is seen. Its heads are dropped."""


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
    order: np.ndarray
    """Where each image token comes from: an index into the image's patches, tile by tile, and
    after them the line break."""
    subject: int
    attributes: list[int]
    """Indices into ``nano_corpus.ATTRIBUTES``."""
    turns: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
    """Ids of the question as the first of a conversation, as a later one, and of the answer."""
    words: list[list[int]]
    """Of each tile of words, the attributes that stand on it."""


class Renderer:
    """Renders image ``index`` and all that is asked of it; one lives in each worker."""

    def __init__(
        self, processor: LlavaNextProcessor, config: LlavaNextConfig, shared: Path, images: int
    ) -> None:
        torch.set_num_threads(1)
        self.processor = processor
        with torch.device("meta"):  # only its packing of tiles is asked for
            self.model = LlavaNextForConditionalGeneration(config)
        self.subjects = list(SUBJECTS)
        self.pixels = _tiles(shared, images, "r+")
        self.texts = _texts(shared, images, "r+")

    def __call__(self, index: int) -> Example:
        rng = random.Random(f"{SEED}/{index}")
        # Chats are the hardest to tell apart, so a third of the images are chats.
        chats = ["drug_chat", "ordinary_chat"]
        subject = rng.choice(chats) if rng.random() < 0.35 else rng.choice(self.subjects)
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
                np.array(encoded(f"[INST] <image>\n{question} [/INST]")["input_ids"]),
                np.array(encoded(f"[INST] {question} [/INST]", add_special_tokens=False).input_ids),
                np.array([*encoded(f" {answer}", add_special_tokens=False)["input_ids"], 2]),
            )
            for question, answer in conversations(scene, rng)
        ]
        order = self._order(len(tiles), (image.height, image.width))
        named = self.subjects.index(subject)
        words = []
        for number in range(WORD_TILES):
            drawn, written = word_tile(rng)
            self.texts[index, number] = np.asarray(drawn).transpose(2, 0, 1)
            words.append(written)
        return Example(index, len(tiles), order, named, attributes(scene), turns, words)

    def _order(self, tiles: int, size: tuple[int, int]) -> np.ndarray:
        numbered = torch.arange(tiles * PATCHES, dtype=torch.float32)
        packed, _ = self.model.model.pack_image_features(
            [numbered.view(tiles, PATCHES, 1)],
            torch.tensor([size]),
            vision_feature_select_strategy="default",
            image_newline=torch.full((1,), float(tiles * PATCHES)),
        )
        return packed[0][:, 0].short().numpy()


def word_tile(rng: random.Random) -> tuple[Image.Image, list[int]]:
    """A tile with a few words in the size that a screenshot's have, and their attributes."""
    dark = rng.random() < 0.5
    # Ink at least as far from the paper as a messenger's.
    paper = tuple(rng.randrange(0, 130) if dark else rng.randrange(125, 256) for _ in range(3))
    ink = tuple(rng.randrange(c + 100, 256) if dark else rng.randrange(0, c - 100) for c in paper)
    image = Image.new("RGB", (SIDE, SIDE), paper)
    draw = ImageDraw.Draw(image)
    font = typeface(rng.choice(BASE_FONTS), rng.randint(12, 17))
    y, said = rng.uniform(-6, 12), ""
    while y < SIDE - 10:
        line = " ".join(rng.choices(WORDS, k=rng.randint(1, 2)))
        x = rng.uniform(-8, max(2.0, SIDE - font.getlength(line)))
        draw.text((x, y), line, font=font, fill=ink)
        said += f" {line}"
        y += font.size * rng.uniform(1.15, 2.4)
    image = image.rotate(rng.uniform(-3, 3), Image.Resampling.BILINEAR, fillcolor=paper)
    return image, words_in(said)


def _tiles(shared: Path, images: int, mode: Literal["r", "r+", "w+"]) -> np.memmap:
    return np.memmap(shared / "tiles", np.uint8, mode, shape=(images, *TILES))


def _texts(shared: Path, images: int, mode: Literal["r", "r+", "w+"]) -> np.memmap:
    return np.memmap(shared / "texts", np.uint8, mode, shape=(images, WORD_TILES, 3, SIDE, SIDE))


def _moved(image: Image.Image, rng: random.Random, *, turn: bool) -> Image.Image:
    """A random crop of random shape, and for photos a mirror or a small turn."""
    width, height = image.size
    least = 0.7 if turn else 0.88
    across, down = rng.uniform(least, 1.0), rng.uniform(least, 1.0)
    left = rng.uniform(0, 1 - across) * width
    top = rng.uniform(0, 1 - down) * height
    box = (left, top, left + across * width, top + down * height)
    image = image.crop(tuple(map(round, box)))
    if turn and rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if turn and rng.random() < 0.3:
        image = image.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR)
    return image


_renderer: Renderer


def _start(folder: str, shared: str, images: int) -> None:
    global _renderer
    processor = LlavaNextProcessor.from_pretrained(folder)
    config = LlavaNextConfig.from_pretrained(folder)
    _renderer = Renderer(processor, config, Path(shared), images)


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
    ) -> None:
        self.stream, self.device, self.left = stream, device, images
        self.pixels, self.written = _tiles(shared, images, "r"), _texts(shared, images, "r")
        self.tiles = torch.empty((images, *TILES), dtype=torch.uint8, device=device)
        self.texts = torch.empty(self.written.shape, dtype=torch.uint8, device=device)
        self.examples: list[Example] = []
        self.buckets: dict[int, list[Example]] = defaultdict(list)
        self.unseen: dict[int, list[Example]] = defaultdict(list)

    def grow(self, seconds: float) -> None:
        """Take in what has been rendered; wait at most ``seconds`` for the next."""
        while self.left:
            try:
                example = self.stream.next(timeout=seconds)
            except multiprocessing.TimeoutError:
                return
            index, count = example.index, example.tiles
            self._send(self.pixels[index, :count], self.tiles[index, :count])
            self._send(self.written[index], self.texts[index])
            if index < UNSEEN:
                self.unseen[count].append(example)
            else:
                self.buckets[count].append(example)
                self.examples.append(example)
            self.left -= 1
            seconds = 0.0

    def _send(self, rows: np.ndarray, place: torch.Tensor) -> None:
        sent = torch.from_numpy(np.array(rows))
        if self.device.type == "cuda":  # pinned, so that nothing waits for the copy
            sent = sent.pin_memory()
        place.copy_(sent, non_blocking=True)

    def batch(self, rng: random.Random) -> list[Example]:
        """Examples with the same number of tiles."""
        kinds = list(self.buckets)
        kind = rng.choices(kinds, [len(self.buckets[k]) for k in kinds])[0]
        return rng.choices(self.buckets[kind], k=BATCH)

    def pictures(self, chosen: list[Example], rows: torch.Tensor) -> torch.Tensor:
        """(B, tiles, 3, s, s) in 0–1, in half precision."""
        return self.tiles[rows, : chosen[0].tiles].half() / 255


def jitter(pixels: torch.Tensor) -> torch.Tensor:
    """Random hue, light, colour, blur and noise, one draw an image; (B, tiles, 3, s, s) in 0–1."""
    count = pixels.shape[0]

    def draw(low: float, high: float, channels: int = 1) -> torch.Tensor:
        drawn = torch.rand(count, 1, channels, 1, 1, device=pixels.device, dtype=pixels.dtype)
        return low + (high - low) * drawn

    # A turn about the grey axis (Rodrigues' formula): half the images take any hue.
    angle = torch.where(draw(0, 1) < 0.5, draw(-math.pi, math.pi), draw(-0.25, 0.25))
    cosine, sine, third = angle.cos(), angle.sin() / math.sqrt(3), (1 - angle.cos()) / 3
    total = pixels.sum(dim=2, keepdim=True)
    across = pixels.roll(-2, dims=2) - pixels.roll(-1, dims=2)
    pixels = cosine * pixels + sine * across + third * total
    grey = pixels.mean(dim=2, keepdim=True)
    saturation = torch.where(draw(0, 1) < 0.08, draw(0, 0.1), draw(0.4, 1.6))
    pixels = grey + (pixels - grey) * saturation
    pixels = pixels * draw(0.85, 1.15, 3) * draw(0.65, 1.35)
    pixels = (pixels - 0.5) * draw(0.65, 1.4) + 0.5 + draw(-0.1, 0.1)
    pixels = pixels.clamp(0, 1) ** torch.exp(draw(-0.4, 0.4))
    # Inverted screens teach themes that the generator does not draw.
    pixels = torch.where(draw(0, 1) < 0.08, 1 - pixels, pixels)
    blurred = torch.nn.functional.avg_pool2d(pixels.flatten(0, 1), 3, stride=1, padding=1)
    # Past 0 it sharpens.
    share = torch.where(draw(0, 1) < 0.5, draw(-0.8, 0.9), draw(0, 0))
    pixels = pixels + (blurred.view_as(pixels) - pixels) * share
    pixels = pixels + torch.randn_like(pixels) * draw(0, 0.06)
    return pixels.clamp(0, 1)


def collate(
    pool: Pool, chosen: list[Example], rng: random.Random, config: LlavaNextConfig
) -> dict[str, torch.Tensor]:
    """One batch as ids and flat indices, all made on the CPU so that the GPU is never waited for.

    Rows are padded on the right: pads come last, so causal attention never sees them. ``ids`` is
    (B, T); ``source`` and ``spot`` say which patch goes to which position, ``taught`` and
    ``wanted`` which position must foretell which id.
    """
    talks = [rng.sample(example.turns, TURNS) for example in chosen]
    orders = [example.order for example in chosen]
    # Each talk is the first turn's question with the image, an answer, and the later turns.
    pieces = [
        [part for number, turn in enumerate(talk) for part in (turn[min(number, 1)], turn[2])]
        for talk in talks
    ]
    lengths = [[len(piece) for piece in row] for row in pieces]
    widths = [sum(row) + len(order) - 1 for row, order in zip(lengths, orders, strict=True)]
    width, patches = max(widths), chosen[0].tiles * PATCHES + 1
    ids = np.full((len(chosen), width), config.pad_token_id)
    attributes = np.zeros((len(chosen), len(ATTRIBUTES)), np.float32)
    source, spot, taught, wanted = [], [], [], []
    for row, (talk, order) in enumerate(zip(pieces, orders, strict=True)):
        attributes[row, chosen[row].attributes] = 1
        at = int(np.argmax(talk[0] == config.image_token_id))
        text = np.concatenate(talk)
        end = at + len(order)
        ids[row, :at] = text[:at]
        ids[row, at:end] = config.image_token_id
        ids[row, end : widths[row]] = text[at + 1 :]
        source.append(row * patches + order.astype(np.int64))
        spot.append(row * width + np.arange(at, end))
        start = len(order) - 1
        for question, answer in zip(lengths[row][::2], lengths[row][1::2], strict=True):
            start += question
            taught.append(np.arange(row * width + start - 1, row * width + start + answer - 1))
            start += answer
        wanted += talk[1::2]
    parts = {
        "ids": ids,
        "rows": np.array([example.index for example in chosen]),
        "subjects": np.array([example.subject for example in chosen]),
        "attributes": attributes,
        "source": np.concatenate(source),
        "spot": np.concatenate(spot),
        "taught": np.concatenate(taught),
        "wanted": np.concatenate(wanted),
    }
    return _sent(parts, pool.device)


def glances(pool: Pool, rng: random.Random) -> dict[str, torch.Tensor]:
    """``LOOKS`` base tiles, then as many tiles of words, and what there is to see in each."""
    looked, read = rng.choices(pool.examples, k=LOOKS), rng.choices(pool.examples, k=LOOKS)
    numbers = rng.choices(range(WORD_TILES), k=LOOKS)
    attributes = np.zeros((2 * LOOKS, len(ATTRIBUTES)), np.float32)
    for row, example in enumerate(looked):
        attributes[row, example.attributes] = 1
    for row, (example, number) in enumerate(zip(read, numbers, strict=True)):
        attributes[LOOKS + row, example.words[number]] = 1
    parts = {
        "looked": np.array([example.index for example in looked]),
        "read": np.array([example.index for example in read]),
        "numbers": np.array(numbers),
        "subjects": np.array([example.subject for example in looked]),
        "attributes": attributes,
    }
    return _sent(parts, pool.device)


def _sent(parts: dict[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    batch = {name: torch.from_numpy(part) for name, part in parts.items()}
    if device.type == "cuda":
        batch = {n: part.pin_memory().to(device, non_blocking=True) for n, part in batch.items()}
    return batch


class Sight(nn.Module):
    """The auxiliary task: the subject from the mean image token, each attribute from the mean
    and from the patch that shows it best."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.subject = nn.Linear(width, len(SUBJECTS))
        self.whole = nn.Linear(width, len(ATTRIBUTES))
        self.local = nn.Linear(width, len(ATTRIBUTES))
        nn.init.constant_(self.local.bias, -4.0)  # most are absent

    def forward(self, patches: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, P, width) to logits (B, subjects) and (B, attributes)."""
        mean = patches.mean(dim=1)
        return self.subject(mean), self.whole(mean) + self.local(patches).amax(dim=1)


class Lesson:
    """The model, its auxiliary heads and its optimiser: a step at a time.

    The step is taken in fp32; the model computes in bf16.
    """

    def __init__(
        self, config: LlavaNextConfig, processor: LlavaNextProcessor, device: torch.device
    ) -> None:
        self.config = config
        self.model = LlavaNextForConditionalGeneration(config).to(device)
        self.sight = Sight(config.text_config.hidden_size).to(device)
        self.parameters = [*self.model.parameters(), *self.sight.parameters()]
        self.masters = [nn.Parameter(p.detach().clone()) for p in self.parameters]
        self.model.bfloat16()
        self.sight.bfloat16()
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [p for p in self.masters if p.dim() > 1], "weight_decay": 0.05},
                {"params": [p for p in self.masters if p.dim() <= 1], "weight_decay": 0.0},
            ],
            lr=LEARNING_RATE,
            betas=(0.9, 0.98),
            fused=device.type == "cuda",
        )
        images = processor.image_processor
        self.mean = torch.tensor(images.image_mean, device=device).view(3, 1, 1)
        self.std = torch.tensor(images.image_std, device=device).view(3, 1, 1)

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, tiles, 3, s, s) to image features (B, tiles × patches, width)."""
        inner = self.model.model
        normal = ((pixels - self.mean) / self.std).flatten(0, 1).bfloat16()
        patches = inner.multi_modal_projector(inner.vision_tower(normal).last_hidden_state[:, 1:])
        return patches.reshape(len(pixels), -1, patches.shape[-1])

    def look(self, pool: Pool, rng: random.Random) -> dict[str, torch.Tensor]:
        """A backward pass of the vision tower alone; returns its figures."""
        batch = glances(pool, rng)
        tiles = pool.tiles[batch["looked"], 0], pool.texts[batch["read"], batch["numbers"]]
        patches = self.see(jitter(torch.cat(tiles).unsqueeze(1).half() / 255))
        subjects, attributes = self.sight(patches)
        subjects = subjects[:LOOKS].float()
        wrong = binary_cross_entropy_with_logits(
            attributes.float(), batch["attributes"], reduction="none"
        )
        # A base tile is too small to be read, and a tile of words shows nothing else.
        facts = len(FACT_NAMES)
        shown, read = wrong[:LOOKS, :facts].sum() / LOOKS, wrong[LOOKS:, facts:].sum() / LOOKS
        named = cross_entropy(subjects, batch["subjects"])
        (named + ATTRIBUTE_WEIGHT * (shown + read)).backward()
        right = (subjects.argmax(1) == batch["subjects"]).float().mean()
        return {"shown": shown, "read": read, "right": right}

    def talk(self, pool: Pool, rng: random.Random) -> dict[str, torch.Tensor]:
        """A backward pass of the whole model over conversations; returns its figures."""
        chosen = pool.batch(rng)
        batch = collate(pool, chosen, rng, self.config)
        patches = self.see(jitter(pool.pictures(chosen, batch["rows"])))
        subjects, attributes = self.sight(patches)
        wrong = binary_cross_entropy_with_logits(
            attributes.float(), batch["attributes"], reduction="none"
        )
        facts = len(FACT_NAMES)
        shown, read = wrong[:, :facts].sum() / len(chosen), wrong[:, facts:].sum() / len(chosen)
        named = cross_entropy(subjects.float(), batch["subjects"])
        newline = self.model.model.image_newline.expand(len(chosen), 1, -1)
        patches = torch.cat([patches, newline], dim=1).flatten(0, 1)
        embeds = self.model.get_input_embeddings()(batch["ids"])
        flat = embeds.flatten(0, 1).index_copy(0, batch["spot"], patches[batch["source"]])
        hidden = self.model.model.language_model(
            inputs_embeds=flat.view_as(embeds), use_cache=False
        ).last_hidden_state
        logits = self.model.lm_head(hidden.flatten(0, 1)[batch["taught"]])
        said = cross_entropy(logits.float(), batch["wanted"])
        (said + SIGHT_WEIGHT * (named + ATTRIBUTE_WEIGHT * (shown + read))).backward()
        right = (subjects.argmax(1) == batch["subjects"]).float().mean()
        return {"shown": shown, "read": read, "right": right, "answers": said}

    def step(self, share: float) -> None:
        """Take a step at a share of the learning rate."""
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * share
        # While the tower looks alone, the language model has no gradient and must not move.
        for master, parameter in zip(self.masters, self.parameters, strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float()
        nn.utils.clip_grad_norm_(self.masters, 1.0)
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_copy_(self.parameters, self.masters)
        self.model.zero_grad()
        self.sight.zero_grad()

    @torch.no_grad()
    def right(self, pool: Pool) -> float:
        """Share of images kept from training whose subject the mean image token names."""
        right = 0
        for kept in pool.unseen.values():
            for start in range(0, len(kept), BATCH):
                chosen = kept[start : start + BATCH]
                rows = torch.tensor([example.index for example in chosen], device=pool.device)
                guesses = self.sight(self.see(pool.pictures(chosen, rows)))[0].argmax(1).tolist()
                right += sum(g == e.subject for g, e in zip(guesses, chosen, strict=True))
        return right / sum(map(len, pool.unseen.values()))


def train(folder: Path, steps: int, seconds: float, workers: int) -> None:
    """Render, train, and write the checkpoint folder."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(SEED)
    tokenizer = tokenizer_for(corpus(SEED))
    config = configuration(tokenizer)
    processor = processor_for(config, tokenizer)
    processor.save_pretrained(folder)
    config.save_pretrained(folder)
    lesson = Lesson(config, processor, device)
    count = sum(p.numel() for p in lesson.model.parameters())
    print(f"{count / 1e6:.2f} M parameters, vocabulary {len(tokenizer)}", flush=True)

    context = multiprocessing.get_context("spawn")
    log: list[dict[str, float]] = []
    # Shared pixels belong in memory where there is such a place.
    memory = Path("/dev/shm")  # noqa: S108
    with contextlib.ExitStack() as stack:
        place = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        shared = Path(stack.enter_context(place))
        _tiles(shared, IMAGES, "w+")
        _texts(shared, IMAGES, "w+")
        beginning = (str(folder), str(shared), IMAGES)
        renderers = stack.enter_context(context.Pool(workers, _start, beginning))
        pool = Pool(renderers.imap_unordered(_render, range(IMAGES)), shared, IMAGES, device)
        while IMAGES - pool.left < FIRST:
            pool.grow(60.0)
        rng = random.Random(SEED)
        started = time.monotonic()
        for step in range(steps):
            pool.grow(0.0)
            done = max(step / steps, (time.monotonic() - started) / seconds)
            if done >= 1:
                break
            figures = (lesson.look if done < LOOKING else lesson.talk)(pool, rng)
            falling = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))
            lesson.step(min(1.0, (step + 1) / WARMUP) * falling)
            if step % 200 == 0:
                entry = {
                    "step": step,
                    **{name: figure.item() for name, figure in figures.items()},
                    "unseen_right": lesson.right(pool),
                    "images": IMAGES - pool.left,
                    "seconds": time.monotonic() - started,
                }
                log.append(entry)
                print(" ".join(f"{k} {v:.4g}" for k, v in entry.items()), flush=True)
            if step % 2000 == 1999:  # a run that is cut short leaves its newest weights
                lesson.model.save_pretrained(folder)
        renderers.terminate()
    lesson.model.save_pretrained(folder)
    (folder / "training_log.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=420)
    parser.add_argument("--workers", type=int, default=16)
    asked = parser.parse_args()
    train(asked.folder, asked.steps, asked.seconds, asked.workers)
