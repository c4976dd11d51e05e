"""Samples → decoded images → packed batches; every image checked before training begins."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Self

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from mayak.dataset.manifest import Manifest
from mayak.errors import DecodeError, ManifestError
from mayak.i18n import join, msg, msg_in, system_error
from mayak.imaging import decode_file
from mayak.model.packing import Packed, Packing
from mayak.training.plan import Plan
from mayak.types import DecodedImage, Progress, Sample

Row = tuple[DecodedImage, int]

_SHOWN = 5
_FEW = 64
"""Images in a whole run below which starting worker processes takes longer than they save."""
_MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Batch:
    """Images with their answers, one behind the other."""

    packed: Packed
    """The question, and the answer but for its end."""
    answers: torch.Tensor
    """int64 (B, A): the answers' tokens, which the last A positions foretell."""
    base_tiles: bool
    """Whether the images come twice: whole, and behind them all as their base tiles alone."""

    def __len__(self) -> int:
        """Images, each counted once."""
        return len(self.answers) // (2 if self.base_tiles else 1)

    def on(self, device: torch.device) -> Batch:
        """There, without waiting for it."""
        answers = self.answers.to(device, non_blocking=True)
        return Batch(self.packed.on(device), answers, self.base_tiles)

    def pin_memory(self) -> Batch:
        """As the loader asks for where a GPU computes."""
        return Batch(self.packed.pin_memory(), self.answers.pin_memory(), self.base_tiles)


class Images(Dataset[Row]):
    """The images of one split, decoded when asked for, with their labels."""

    def __init__(self, manifest: Manifest) -> None:
        self._rows = [(manifest.locate(sample), sample) for sample in manifest.samples]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        """Raises ManifestError when the file is not, or no longer, the manifest's image."""
        path, sample = self._rows[index]
        return _open(path, sample), sample.label


@dataclass(frozen=True, slots=True)
class Collate:
    """Rows → batch; runs in the loader's workers."""

    packing: Packing
    base_tiles: bool = False
    """Whether base tiles follow, as tier 1 of the cascade reads them."""

    def __call__(self, rows: list[Row]) -> Batch:
        packing = self.packing
        views = [packing.prepare, packing.prepare_base] if self.base_tiles else [packing.prepare]
        shown = [(view(image), label) for view in views for image, label in rows]
        pieces = [packing.answered(piece, label) for piece, label in shown]
        answers = [packing.prompt.answer_ids(label) for _, label in shown]
        return Batch(packing.pack(pieces), torch.tensor(answers), self.base_tiles)


class Stretch:
    """The next ``length`` batches of a stream that outlives it.

    Lightning sees each stretch between two validations as an epoch of its own, while one loader and
    its workers run through the whole training.
    """

    def __init__(self, stream: Iterator[Batch], length: int) -> None:
        self._stream, self._length = stream, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Batch]:
        return islice(self._stream, self._length)


def verify(manifest: Manifest, progress: Progress) -> None:
    """Decode every image once, in threads, and compare its SHA-256 with the manifest's.

    Raises ManifestError naming the images that are missing, unreadable or changed: none of them may
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
        more = len(faults) - _SHOWN
        listed = join("; ", faults[:_SHOWN])
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


class Feed(LightningDataModule):  # type: ignore[misc]  # lightning is untyped
    """The batches of one process: training's from step ``done`` to the run's end, and validation's.

    A context manager: leaving it ends the ``workers`` processes. ``pin`` prepares memory for faster
    copies to a GPU.
    """

    def __init__(
        self,
        train: Images,
        val: Images,
        collate: Collate,
        plan: Plan,
        *,
        done: int,
        process: int,
        workers: int,
        pin: bool,
    ) -> None:
        super().__init__()
        self._lengths = iter(
            [sum(plan.passes(step) for step in steps) for steps in plan.rounds(done)]
        )
        batches = list(plan.batches(done, process))
        # Each image is scored by one process alone: nothing is counted twice.
        own = list(range(len(val)))[process :: plan.processes]
        cut = range(0, len(own), plan.batch_size)
        val_batches = [own[start : start + plan.batch_size] for start in cut]
        self._train = _loader(train, collate, batches, workers, pin=pin)
        self._val = _loader(val, collate, val_batches, workers, pin=pin)
        self._val_length = len(val_batches)
        self._stream = iter(self._train)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # Whoever still holds an iterator (Lightning does) would keep its processes alive.
        for source in (self._train, self._val):
            if (end := getattr(source._iterator, "_shutdown_workers", None)) is not None:
                end()

    def train_dataloader(self) -> Stretch:
        """The batches up to the next validation; Lightning asks once a stretch."""
        return Stretch(self._stream, next(self._lengths))

    def val_dataloader(self) -> Stretch:
        """All validation batches."""
        return Stretch(iter(self._val), self._val_length)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, *_: object) -> Batch:
        """Where the model computes; Lightning cannot know what stays on the CPU."""
        return batch.on(device)


def worker_count(images: int, processes: int) -> int:
    """Worker processes a loader, where a GPU computes, for that many images in all."""
    if images < _FEW:
        return 0
    return max(1, min(_MOST_WORKERS, (os.cpu_count() or 1) // processes - 1))


def _loader(
    images: Images, collate: Collate, batches: list[list[int]], workers: int, *, pin: bool
) -> DataLoader[Row]:
    """A loader of exactly these batches in this order."""
    return DataLoader(
        images,
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        persistent_workers=workers > 0,
        # Never fork: CUDA's state and the tokenizer's threads do not survive it.
        multiprocessing_context=_context() if workers else None,
        pin_memory=pin,
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
