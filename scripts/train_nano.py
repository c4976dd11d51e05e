"""Base-train the embedded model: ``python scripts/train_nano.py OUT [--seconds S]``.

A LLaVA-NeXT of about seven million parameters learns, from scratch, to describe the generator's
base-style images and to answer questions about them (``scripts/nano_corpus.py``). It is never asked
the four-way question or for a label, and never sees an image of the held-out style. One H100 and 16
cores take about 25 minutes; the weights in ``src/mayak/model/nano`` were made so, see the model
card there.

It looks before it talks: for the first third of the time the vision tower alone learns, from base
tiles (what is this?) and from tiles of letters (which letter is under this patch, and of which
word?), at a ninth of the cost of a whole image; then all of the model learns to converse about
whole images. Images are rendered by worker processes while the model trains, which draws from those
that are there; tiles of letters are set on the training device, new ones at every step.
Training ends after ``--steps`` or ``--seconds``, whichever comes first; ``training_log.json`` says
how many steps that was. ``--of FOLDER`` continues with the model in that folder: it only learns to
talk, its eyes stay as they are. Two CPU cores are enough for that.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import multiprocessing
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.pool import IMapIterator
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
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

from checkpoints import processor_for
from mayak_synthetic.canvas import BASE_BOLD_FONTS, BASE_FONTS, typeface
from mayak_synthetic.scenes import SUBJECTS, encode, render
from nano_corpus import (
    ATTRIBUTES,
    FACT_NAMES,
    WORDS,
    attributes,
    conversations,
    corpus,
)

SEED = 20261122
VOCABULARY = 1536
SIDE = 112
GRID = [(2, 1), (1, 2), (2, 2), (4, 2), (3, 2), (2, 3), (3, 1), (1, 3)]  # tiles (rows, columns)
TILES = (9, 3, SIDE, SIDE)  # the largest grid and the base tile
PATCHES = (SIDE // 14) ** 2
FIRST = 2_000  # rendered before training begins
UNSEEN = 960  # of them kept from training, for the log
LOOKING = 0.33
"""Share of the time in which the vision tower learns alone."""
LOOKS = 768  # base tiles a step, and as many tiles of letters
LINES = 6  # of letters on a tile
LETTERS = 12  # in a line
CELL = 26
"""Side of a letter's mask in pixels."""
LETTER_SIZES = (11, 13, 15, 17)
"""A screenshot's letters on its tiles, in pixels."""
TURNS = 4  # of a conversation about one image
WARMUP = 0.02  # share of the time
ATTRIBUTE_WEIGHT = 0.05
LETTER_WEIGHT = 0.3
SIGHT_WEIGHT = 0.5
"""Weight of the auxiliary task, which teaches the vision tower to see and to read, while the
language model learns to say what is seen. Its heads are dropped."""


def tokenizer_for(texts: Iterator[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE whose digits and blanks are tokens, as Mistral's are in an answer."""
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
        return Example(index, len(tiles), order, named, attributes(scene), turns)

    def _order(self, tiles: int, size: tuple[int, int]) -> np.ndarray:
        numbered = torch.arange(tiles * PATCHES, dtype=torch.float32)
        packed, _ = self.model.model.pack_image_features(
            [numbered.view(tiles, PATCHES, 1)],
            torch.tensor([size]),
            vision_feature_select_strategy="default",
            image_newline=torch.full((1,), float(tiles * PATCHES)),
        )
        return packed[0][:, 0].short().numpy()


def _tiles(shared: Path, images: int, mode: Literal["r", "r+", "w+"]) -> np.memmap:
    return np.memmap(shared / "tiles", np.uint8, mode, shape=(images, *TILES))


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
    processor = LlavaNextProcessor.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )
    config = LlavaNextConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    _renderer = Renderer(processor, config, Path(shared), images)


def _render(index: int) -> Example:
    return _renderer(index)


class Pool:
    """Rendered examples by tile count; their pixels are on the training device."""

    def __init__(
        self,
        stream: IMapIterator[Example],
        shared: Path,
        images: int,
        device: torch.device,
    ) -> None:
        self.stream, self.device, self.left = stream, device, images
        self.pixels = _tiles(shared, images, "r")
        self.tiles = torch.empty((images, *TILES), dtype=torch.uint8, device=device)
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

    def batch(self, rng: random.Random, size: int) -> list[Example]:
        """Examples with the same number of tiles."""
        kinds = list(self.buckets)
        kind = rng.choices(kinds, [len(self.buckets[k]) for k in kinds])[0]
        return rng.choices(self.buckets[kind], k=size)

    def pictures(self, chosen: list[Example], rows: torch.Tensor) -> torch.Tensor:
        """(B, tiles, 3, s, s) in 0–1, in half precision."""
        return self.tiles[rows, : chosen[0].tiles].half() / 255


class Letters:
    """Sets tiles of letters on the training device: no two alike, and nothing waits for them.

    A letter of Hangul is learnt by its parts, so that letters which no message holds are known too.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        rng = random.Random(SEED)
        # The 2,350 syllables of KS X 1001, and all other characters of the messages.
        rows = [bytes((a, b)) for a in range(0xB0, 0xC9) for b in range(0xA1, 0xFF)]
        syllables = [row.decode("euc-kr") for row in rows]
        others = sorted({c for word in WORDS for c in word} | set("0123456789") - set(syllables))
        signs = [c for c in others if not "가" <= c <= "힣"]
        self.letters = sorted({" ", *syllables, *others})
        number = {letter: index for index, letter in enumerate(self.letters)}
        parts = [_parts(letter, signs) for letter in self.letters]
        self.classes = (19 + len(signs), 21 + 1, 28, len(WORDS) + 1)
        self.parts = torch.tensor(parts, device=device)
        lines = np.full((30_000, LETTERS), number[" "])
        words = np.zeros((30_000, LETTERS), np.int64)
        for line, of in zip(lines, words, strict=True):
            at = 0
            while at < LETTERS - 1:
                known = rng.random() < 0.7
                drawn = rng.randrange(len(WORDS))
                text = WORDS[drawn] if known else "".join(rng.choices(syllables, k=3))
                text = text[: LETTERS - at]
                line[at : at + len(text)] = [number[letter] for letter in text]
                of[at : at + len(text)] = drawn + 1 if known else 0
                at += len(text) + 1
        self.lines = torch.from_numpy(lines).to(device)
        self.words = torch.from_numpy(words).to(device)
        faces = [(name, size) for name in BASE_FONTS + BASE_BOLD_FONTS for size in LETTER_SIZES]
        self.sizes = torch.tensor([size for _, size in faces], device=device)
        drawn = [self._drawn(typeface(name, 4 * size)) for name, size in faces]
        self.masks = torch.from_numpy(np.stack([masks for masks, _ in drawn])).to(device)
        self.advances = torch.tensor([advances for _, advances in drawn], device=device)

    def _drawn(self, font: ImageFont.FreeTypeFont) -> tuple[np.ndarray, list[float]]:
        # Drawn large and reduced, as a screenshot's are on its way into a tile.
        masks = np.zeros((len(self.letters), CELL, CELL), np.uint8)
        for index, letter in enumerate(self.letters):
            image = Image.new("L", (4 * CELL, 4 * CELL))
            ImageDraw.Draw(image).text((8, 8), letter, font=font, fill=255)
            masks[index] = np.asarray(image.reduce(4))
        return masks, [font.getlength(letter) / 4 for letter in self.letters]

    def set(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, 3, s, s) in 0–1, and of each patch its letter's three parts and its word: (B, P, 4),
        -100 without the middle of a letter."""

        def draw(low: float, high: float, *shape: int) -> torch.Tensor:
            return low + (high - low) * torch.rand(count, *shape, device=self.device)

        face = torch.randint(len(self.sizes), (count, 1, 1), device=self.device)
        row = torch.randint(len(self.lines), (count, LINES), device=self.device)
        letters = self.lines[row]
        advances = self.advances[face, letters]
        size = self.sizes[face]  # (B, 1, 1)
        width = advances.sum(2, keepdim=True)
        left = draw(-8, 24, LINES, 1)
        left = torch.where(draw(0, 1, LINES, 1) < 0.4, SIDE - width.clamp(max=SIDE) + left, left)
        across = left + advances.cumsum(2) - advances  # (B, LINES, LETTERS)
        pitch = size * draw(1.2, 2.4, 1, 1)
        down = draw(-8, 14, 1, 1) + pitch * torch.arange(LINES, device=self.device).view(1, -1, 1)
        down = down.expand_as(across)

        # Paper, bubbles under some lines, then the ink.
        side = torch.arange(SIDE, device=self.device)
        under = (side >= left - 5) & (side < left + width + 5)  # (B, LINES, s)
        beside = (side >= down[..., :1] - 2) & (side < down[..., :1] + size * 1.4)
        beside &= draw(0, 1, LINES, 1) < 0.7
        bubble = torch.einsum("bly,blx->byx", beside.half(), under.half()).clamp(max=1).float()
        dark = draw(0, 1, 1, 1, 1) < 0.5
        paper, mat = draw(0, 0.5, 3, 1, 1), draw(0, 0.5, 3, 1, 1)
        ink = torch.maximum(paper, mat) + 0.38
        ink = ink + (1 - ink) * draw(0, 1, 3, 1, 1)
        paper, mat, ink = (torch.where(dark, c, 1 - c) for c in (paper, mat, ink))
        ground = paper + (mat - paper) * bubble.unsqueeze(1)
        edge = CELL + 8  # letters may be partly or wholly outside
        whole = SIDE + 2 * edge
        cell = torch.arange(CELL, device=self.device)
        x = (across.round().long() + edge).unsqueeze(-1) + cell - 2
        y = (down.round().long() + edge).unsqueeze(-1) + cell - 2
        x, y = x.clamp(0, whole - 1), y.clamp(0, whole - 1)
        tile = torch.arange(count, device=self.device).view(-1, 1, 1, 1, 1)
        spot = (tile * whole + y.unsqueeze(-1)) * whole + x.unsqueeze(-2)
        masks = self.masks[face, letters].float() / 255
        inked = torch.zeros(count * whole * whole, device=self.device)
        inked.scatter_add_(0, spot.flatten(), masks.flatten())
        inked = inked.view(count, 1, whole, whole)[:, :, edge:-edge, edge:-edge].clamp(max=1)
        tiles, back = warped(ground + (ink - ground) * inked, turn=4, zoom=(0.85, 1.18), shift=4)

        middle = torch.stack([across + advances / 2, down + size * 0.6], -1).flatten(1, 2)
        seen = (back(middle) / 14).floor().long()  # (B, LINES × LETTERS, 2)
        grid = SIDE // 14
        inside = ((seen >= 0) & (seen < grid)).all(-1)
        written = torch.cat([self.parts[letters], self.words[row].unsqueeze(-1)], -1).flatten(1, 2)
        inside &= written[..., 0] >= 0
        patch = torch.where(inside, seen[..., 1] * grid + seen[..., 0], PATCHES)
        wanted = torch.full((count, PATCHES + 1, 4), -100, device=self.device)
        wanted.scatter_(1, patch.unsqueeze(-1).expand(-1, -1, 4), written)
        return tiles, wanted[:, :PATCHES]


def _parts(letter: str, signs: list[str]) -> tuple[int, int, int]:
    """Initial, medial and final of a syllable of Hangul (The Unicode Standard, 3.12); a sign
    counts as one more initial, a blank as nothing (-100)."""
    if letter == " ":
        return (-100, -100, -100)
    if letter in signs:
        return (19 + signs.index(letter), 21, 0)
    number = ord(letter) - ord("가")
    return (number // 588, number % 588 // 28, number % 28)


def warped(
    images: torch.Tensor, turn: float, zoom: tuple[float, float], shift: float
) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """Each image (B, 3, s, s) turned by up to ``turn`` degrees, zoomed in each direction and
    shifted by pixels; and what takes points (B, N, 2) of the old images to the new."""
    count, side = len(images), images.shape[-1]

    def draw(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, device=images.device)

    angle = draw(-turn, turn) * math.pi / 180
    wide, high = (torch.exp(draw(math.log(zoom[0]), math.log(zoom[1]))) for _ in range(2))
    # The way from the new image to the old: a turn, then a division by the zooms.
    matrix = torch.stack(
        [
            torch.stack([angle.cos() / wide, -angle.sin() / wide], 1),
            torch.stack([angle.sin() / high, angle.cos() / high], 1),
        ],
        1,
    )
    moved = torch.stack([draw(-shift, shift), draw(-shift, shift)], 1).unsqueeze(-1) * 2 / side
    grid = nn.functional.affine_grid(torch.cat([matrix, moved], 2), images.shape, False)
    new = nn.functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    turned, scale = (
        matrix * torch.stack([wide, high], 1).unsqueeze(-1),
        torch.stack([wide, high], 1),
    )

    def back(points: torch.Tensor) -> torch.Tensor:
        centred = points * 2 / side - 1 - moved.transpose(1, 2)
        # A turn is undone by its transpose: row vectors times the turn itself.
        return ((centred * scale.unsqueeze(1)) @ turned + 1) * side / 2

    return new, back


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
    ``wanted`` which position must predict which id.
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
    """``LOOKS`` base tiles, by number, and what there is to see in each."""
    looked = rng.choices(pool.examples, k=LOOKS)
    attributes = np.zeros((LOOKS, len(ATTRIBUTES)), np.float32)
    for row, example in enumerate(looked):
        attributes[row, example.attributes] = 1
    parts = {
        "rows": np.array([example.index for example in looked]),
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
    and from the patch that shows it best, a letter and its word from the patch that it is on."""

    def __init__(self, width: int, letters: tuple[int, ...]) -> None:
        super().__init__()
        self.letter = nn.Linear(width, sum(letters))
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

    The step is taken in fp32; on a GPU the model computes in bf16.
    """

    def __init__(
        self,
        model: LlavaNextForConditionalGeneration,
        processor: LlavaNextProcessor,
        device: torch.device,
        rate: float,
        seeing: bool,
    ) -> None:
        self.config, self.rate, self.seeing = model.config, rate, seeing
        self.model = model.to(device)
        self.letters = Letters(device)
        width = model.config.text_config.hidden_size
        self.sight = Sight(width, self.letters.classes).to(device)
        for part in (model.model.vision_tower, model.model.multi_modal_projector, self.sight):
            part.requires_grad_(seeing)
        self.parameters = [*self.model.parameters(), *self.sight.parameters()]
        self.masters = [nn.Parameter(p.detach().clone()) for p in self.parameters]
        if device.type == "cuda":
            self.model.bfloat16()
            self.sight.bfloat16()
            # A layer at a time: seconds to compile, a fifth off a step.
            inner = self.model.model
            tower = getattr(inner.vision_tower, "vision_model", inner.vision_tower)
            for layer in [*tower.encoder.layers, *inner.language_model.layers]:
                layer.compile(dynamic=True)
        self.optimiser = torch.optim.AdamW(
            [
                {"params": [p for p in self.masters if p.dim() > 1], "weight_decay": 0.05},
                {"params": [p for p in self.masters if p.dim() <= 1], "weight_decay": 0.0},
            ],
            lr=rate,
            betas=(0.9, 0.98),
            fused=device.type == "cuda",
        )
        images = processor.image_processor
        self.mean = torch.tensor(images.image_mean, device=device).view(3, 1, 1)
        self.std = torch.tensor(images.image_std, device=device).view(3, 1, 1)

    def see(self, pixels: torch.Tensor) -> torch.Tensor:
        """(B, tiles, 3, s, s) to image features (B, tiles × patches, width)."""
        inner = self.model.model
        normal = ((pixels - self.mean) / self.std).flatten(0, 1).to(self.model.dtype)
        patches = inner.multi_modal_projector(inner.vision_tower(normal).last_hidden_state[:, 1:])
        return patches.reshape(len(pixels), -1, patches.shape[-1])

    def look(self, pool: Pool, rng: random.Random) -> dict[str, torch.Tensor]:
        """A backward pass of the vision tower alone; returns its figures."""
        batch = glances(pool, rng)
        # A mirrored thing is the same thing.
        looked = pool.tiles[batch["rows"], 0].float() / 255
        mirrored = torch.rand(LOOKS, 1, 1, 1, device=pool.device) < 0.5
        looked = torch.where(mirrored, looked.flip(-1), looked)
        looked, _ = warped(looked, turn=6, zoom=(0.9, 1.4), shift=10)
        written, wanted = self.letters.set(LOOKS)
        patches = self.see(jitter(torch.cat([looked, written]).unsqueeze(1).half()))
        subjects, attributes = self.sight(patches[:LOOKS])
        wrong = binary_cross_entropy_with_logits(
            attributes.float(), batch["attributes"], reduction="none"
        )
        # A base tile is too small to be read.
        shown = wrong[:, : len(FACT_NAMES)].sum() / LOOKS
        named = cross_entropy(subjects.float(), batch["subjects"])
        guesses = self.sight.letter(patches[LOOKS:]).flatten(0, 1).float()
        wanted = wanted.flatten(0, 1)
        parts = guesses.split(self.letters.classes, dim=1)
        read = sum(cross_entropy(part, wanted[:, n]) for n, part in enumerate(parts))
        (named + ATTRIBUTE_WEIGHT * shown + LETTER_WEIGHT * read).backward()
        found = torch.stack([part.argmax(1) for part in parts], 1) == wanted
        there = wanted[:, 0] >= 0
        return {
            "shown": shown,
            "right": (subjects.argmax(1) == batch["subjects"]).float().mean(),
            "letters": found[:, :3].all(1).sum() / there.sum(),
            "words": (found[:, 3] & (wanted[:, 3] > 0)).sum() / (wanted[:, 3] > 0).sum(),
        }

    def talk(self, pool: Pool, rng: random.Random, size: int) -> dict[str, torch.Tensor]:
        """A backward pass over conversations about ``size`` images; returns its figures."""
        chosen = pool.batch(rng, size)
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
        seen = named + ATTRIBUTE_WEIGHT * (shown + read)
        (said + SIGHT_WEIGHT * seen if self.seeing else said).backward()
        right = (subjects.argmax(1) == batch["subjects"]).float().mean()
        return {"shown": shown, "read": read, "right": right, "answers": said}

    def step(self, share: float) -> None:
        """Take a step at a share of the learning rate."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate * share
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
            for start in range(0, len(kept), 192):
                chosen = kept[start : start + 192]
                rows = torch.tensor([example.index for example in chosen], device=pool.device)
                guesses = self.sight(self.see(pool.pictures(chosen, rows)))[0].argmax(1).tolist()
                right += sum(g == e.subject for g, e in zip(guesses, chosen, strict=True))
        return right / sum(map(len, pool.unseen.values()))


def train(asked: argparse.Namespace) -> None:
    """Render, train, and write the checkpoint folder."""
    folder: Path = asked.folder
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(SEED)
    if asked.of is None:
        tokenizer = tokenizer_for(corpus(SEED))
        config = configuration(tokenizer)
        processor = processor_for(config, tokenizer)
        model = LlavaNextForConditionalGeneration(config)
    else:
        processor = LlavaNextProcessor.from_pretrained(
            asked.of, local_files_only=True, trust_remote_code=False
        )
        model = LlavaNextForConditionalGeneration.from_pretrained(
            asked.of, local_files_only=True, trust_remote_code=False
        ).float()
    processor.save_pretrained(folder)
    model.config.save_pretrained(folder)
    lesson = Lesson(model, processor, device, asked.rate, seeing=asked.of is None)
    looking = LOOKING if lesson.seeing else 0.0
    count = sum(p.numel() for p in model.parameters())
    print(f"{count / 1e6:.2f} M parameters, vocabulary {len(processor.tokenizer)}", flush=True)

    context = multiprocessing.get_context("spawn")
    log: list[dict[str, float]] = []
    # Shared pixels belong in memory where there is such a place.
    memory = Path("/dev/shm")  # noqa: S108
    with contextlib.ExitStack() as stack:
        place = tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None)
        shared = Path(stack.enter_context(place))
        _tiles(shared, asked.images, "w+")
        beginning = (str(folder), str(shared), asked.images)
        renderers = stack.enter_context(context.Pool(asked.workers, _start, beginning))
        stream = renderers.imap_unordered(_render, range(asked.images))
        pool = Pool(stream, shared, asked.images, device)
        while asked.images - pool.left < FIRST:
            pool.grow(60.0)
        rng = random.Random(SEED)
        started = time.monotonic()
        for step in range(asked.steps):
            pool.grow(0.0)
            done = max(step / asked.steps, (time.monotonic() - started) / asked.seconds)
            if done >= 1:
                break
            if done < looking:
                figures = lesson.look(pool, rng)
            else:
                figures = lesson.talk(pool, rng, asked.batch)
            falling = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))
            lesson.step(min(1.0, (done + 1e-4) / WARMUP) * falling)
            if step % asked.log_every == 0:
                entry = {
                    "step": step,
                    **{name: figure.item() for name, figure in figures.items()},
                    **({"unseen_right": lesson.right(pool)} if lesson.seeing else {}),
                    "images": asked.images - pool.left,
                    "seconds": time.monotonic() - started,
                }
                log.append(entry)
                print(" ".join(f"{k} {v:.4g}" for k, v in entry.items()), flush=True)
            if step % 2000 == 1999:  # a run that is cut short leaves its newest weights
                model.save_pretrained(folder)
        renderers.terminate()
    model.bfloat16().save_pretrained(folder)
    (folder / "training_log.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--of", type=Path, help="folder of the model to continue with")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=1370)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--images", type=int, default=140_000, help="images to render")
    parser.add_argument("--batch", type=int, default=192, help="whole images a step")
    parser.add_argument("--rate", type=float, default=1.4e-3, help="largest learning rate")
    parser.add_argument("--log-every", type=int, default=200, help="steps")
    train(parser.parse_args())
