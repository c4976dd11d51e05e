"""Training data: manifest → decoded images → packed batches, and the check of every image."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Self

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset
from transformers import LlavaNextProcessor

from mayak.dataset.manifest import Manifest
from mayak.errors import DecodeError, ManifestError
from mayak.i18n import join, msg, msg_in, system_error
from mayak.imaging import decode_file, stated_size
from mayak.model.packer import BatchPacker, PackedBatch
from mayak.model.torch_internals import stop_workers
from mayak.model.transformers_internals import image_token_counts
from mayak.training.plan import Plan
from mayak.types import DecodedImage, Progress, Sample

Row = tuple[DecodedImage, int]

_MAX_SHOWN = 5
_MIN_IMAGES_FOR_WORKERS = 64
"""With fewer images in a whole run, starting worker processes takes longer than they save."""
_MAX_WORKERS = 8


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Packed images with their answers."""

    packed: PackedBatch
    """The question and the answer, without the answer's end token."""
    answers: torch.Tensor
    """int64 (B, A): answer token ids, predicted at the last A positions."""
    base_tiles: bool
    """Whether the images come twice: first all whole, then all as their base tiles alone."""

    def __len__(self) -> int:
        """Images, each counted once."""
        return len(self.answers) // (2 if self.base_tiles else 1)

    def on(self, device: torch.device) -> TrainingBatch:
        """Return a copy on ``device``, transferred asynchronously."""
        answers = self.answers.to(device, non_blocking=True)
        return TrainingBatch(self.packed.on(device), answers, self.base_tiles)

    def pin_memory(self) -> TrainingBatch:
        """Return a copy in page-locked memory; the data loader calls this for a GPU."""
        return TrainingBatch(self.packed.pin_memory(), self.answers.pin_memory(), self.base_tiles)


class ManifestImages(Dataset[Row]):
    """The images of one split with their labels, decoded on access."""

    def __init__(self, manifest: Manifest) -> None:
        self._rows = [(manifest.locate(sample), sample) for sample in manifest.samples]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        """Decode an image.

        Raises:
            ManifestError: the file is missing, unreadable, or not the manifest's image.
        """
        path, sample = self._rows[index]
        return _open(path, sample), sample.label


@dataclass(frozen=True, slots=True)
class Collate:
    """Turns rows into a batch, in the loader's worker processes."""

    packer: BatchPacker
    base_tiles: bool = False
    """Whether base tiles follow, as tier 1 of the cascade reads them."""

    def __call__(self, rows: list[Row]) -> TrainingBatch:
        packer = self.packer
        views = [packer.prepare, packer.prepare_base] if self.base_tiles else [packer.prepare]
        labelled = [(view(image), label) for view in views for image, label in rows]
        images = [packer.with_answer(image, label) for image, label in labelled]
        answers = [packer.prompt.answer_ids(label) for _, label in labelled]
        return TrainingBatch(packer.pack(images), torch.tensor(answers), self.base_tiles)


class EpochSlice:
    """The next ``length`` batches of a stream that continues after them.

    Lightning sees the batches between two validations as an epoch, while one loader and its workers
    run through the whole training.
    """

    def __init__(self, stream: Iterator[TrainingBatch], length: int) -> None:
        self._stream, self._length = stream, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[TrainingBatch]:
        return islice(self._stream, self._length)


def verify(manifest: Manifest, progress: Progress) -> None:
    """Decode every image once, in threads, and compare its SHA-256 with the manifest's.

    Raises:
        ManifestError: names the images that are missing, unreadable or changed. None of them may
            reach training in any form.
    """
    faults: list[str] = []
    name = msg("checking {name}", name=manifest.path.name)
    with (
        ThreadPoolExecutor(max_workers=os.cpu_count()) as pool,
        progress.task(name, len(manifest.samples), msg_in("unit", "images")) as task,
    ):
        for fault in pool.map(lambda s: _fault(manifest.locate(s), s), manifest.samples):
            if fault:
                faults.append(fault)
            task.advance()
    if faults:
        more = len(faults) - _MAX_SHOWN
        listed = join("; ", faults[:_MAX_SHOWN])
        raise ManifestError(
            msg(
                "{path}: {n_faults} image(s) cannot be trained on: {listed}",
                path=manifest.path,
                n_faults=len(faults),
                listed=listed,
            )
            + (msg("; and {more} more", more=more) if more > 0 else ""),
            remedy=msg("restore the files, or make the data folder again with `mayak prepare`"),
        )


def stated_tokens(manifest: Manifest, processor: LlavaNextProcessor) -> list[int]:
    """Return how many tokens each image of a manifest takes, from the size in its file's header; a
    file without one counts as an image of one pixel."""
    sizes: list[tuple[int, ...]] = []
    for sample in manifest.samples:
        width, height = 1, 1
        # An image that cannot be decoded is an error when its turn comes.
        with suppress(OSError, DecodeError):
            width, height = stated_size(manifest.locate(sample))
        sizes.append((height, width))
    return image_token_counts(processor, sizes)


@dataclass(frozen=True, slots=True)
class LoaderOptions:
    """How one process loads its batches."""

    process: int = 0
    """Rank of this process."""
    workers: int = 0
    """Worker processes of each loader; 0 loads in this process."""
    pin: bool = False
    """Put batches into page-locked memory, for faster copies to a GPU."""
    lengths: Sequence[int] = ()
    """Of the training images in tokens, to give all processes equally much work."""


class PackedDataModule(LightningDataModule):  # type: ignore[misc]  # lightning is untyped
    """The batches of one process: for training from step ``done`` to the end, and for validation.

    A context manager; its end terminates the worker processes.
    """

    def __init__(
        self,
        train: ManifestImages,
        val: ManifestImages,
        collate: Collate,
        plan: Plan,
        options: LoaderOptions,
        *,
        done: int,
    ) -> None:
        super().__init__()
        self._lengths = iter(
            [sum(plan.passes(step) for step in steps) for steps in plan.rounds(done)]
        )
        batches = list(plan.batches(done, options.process, options.lengths))
        # Each image is scored by one process only, so that none is counted twice.
        own = list(range(len(val)))[options.process :: plan.processes]
        cut = range(0, len(own), plan.batch_size)
        val_batches = [own[start : start + plan.batch_size] for start in cut]
        self._train = _loader(train, collate, batches, options)
        self._val = _loader(val, collate, val_batches, options)
        self._val_length = len(val_batches)
        self._stream = iter(self._train)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # Lightning keeps an iterator, which would keep the worker processes alive.
        for loader in (self._train, self._val):
            stop_workers(loader)

    def train_dataloader(self) -> EpochSlice:
        """Return the batches up to the next validation; Lightning calls this once per slice."""
        return EpochSlice(self._stream, next(self._lengths))

    def val_dataloader(self) -> EpochSlice:
        """Return all validation batches."""
        return EpochSlice(iter(self._val), self._val_length)

    def transfer_batch_to_device(
        self, batch: TrainingBatch, device: torch.device, *_: object
    ) -> TrainingBatch:
        """Move a batch to the model's device; Lightning would also move what stays on the CPU."""
        return batch.on(device)


def worker_count(images: int, processes: int) -> int:
    """Return the number of worker processes per loader on a GPU, for that many images in all."""
    if images < _MIN_IMAGES_FOR_WORKERS:
        return 0
    return max(1, min(_MAX_WORKERS, (os.cpu_count() or 1) // processes - 1))


def _loader(
    images: ManifestImages, collate: Collate, batches: list[list[int]], options: LoaderOptions
) -> DataLoader[Row]:
    """Return a loader of exactly these batches in this order."""
    return DataLoader(
        images,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=options.workers,
        persistent_workers=options.workers > 0,
        # Never fork: CUDA's state and the tokenizer's threads do not survive it.
        multiprocessing_context=_context() if options.workers else None,
        pin_memory=options.pin,
    )


def _context() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # torch and transformers are imported once, not by every worker.
    context.set_forkserver_preload([__name__])
    return context


def _open(path: Path, sample: Sample) -> DecodedImage:
    fault: str
    try:
        image = decode_file(path)
        if image.sha256 == sample.sha256:
            return image
        fault = msg("changed since the manifest was made")
    except OSError as error:
        fault = system_error(error)
    except DecodeError as error:
        fault = error.message
    raise ManifestError(
        f"{path}: " + fault,
        remedy=msg("restore the file or run `mayak prepare` again"),
    )


def _fault(path: Path, sample: Sample) -> str | None:
    try:
        _open(path, sample)
    except ManifestError as error:
        return error.message
    return None
