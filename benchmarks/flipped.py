"""Evidence with flipped bytes: ``python benchmarks/flipped.py [--runs N] [--seconds S]``.

Each run fills a folder with 20 files, each a ZIP, a TAR, a disk image, an E01, a PDF or a picture
of which up to twenty bytes are changed and some are cut off, and an undamaged picture. It opens the
folder as a source, and one of the files, reads all that is found and decodes it, in a forked
process with limited memory. The process must end within the time limit. Only mayak's own errors may
occur, every file of the folder must be listed, no two entries may have the same path, the undamaged
picture must be read, and the files must be unchanged afterwards. ``--seed N`` makes other runs;
``--record FILE`` keeps the result, and the next call continues there. Exits with 1 if a run was
wrong. POSIX only.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import random
import resource
import select
import shutil
import signal
import sys
import tarfile
import time
import traceback
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from mayak.errors import DecodeError, MayakError
from mayak.evidence import Limits, ReaderLostError, open_source
from mayak.imaging import decode
from mayak.types import Failure, OutcomeReason
from mayak_synthetic.exfat import volume
from mayak_synthetic.phone import as_on_a_phone, write_phone
from soaking import Run, soak

SECONDS = 1200.0  # generous: the machine may be shared
MEMORY = 4 << 30
LIMITS = Limits(seconds=20)
MAX_FLIPS = 20
FILES = 20
WHOLE = "zzz-whole.jpg"
IMAGES = Path(__file__).parent.parent / "tests" / "evidence" / "images"
LOST = {OutcomeReason.CRASHED, OutcomeReason.TOO_SLOW, OutcomeReason.OUT_OF_MEMORY}


def picture(number: int, kind: str) -> bytes:
    """Return a small noisy picture in a format of Pillow."""
    values = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()


def make_material(folder: Path) -> dict[str, bytes]:
    """Return the undamaged sources by file name."""
    kinds = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF"}
    pictures = {f"{n}.{end}": picture(n, kind) for n, (end, kind) in enumerate(kinds.items())}
    pages, packed = io.BytesIO(), io.BytesIO()
    Image.open(io.BytesIO(pictures["0.jpg"])).save(pages, "PDF")
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in pictures.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    sources = {"a.tar.gz": packed.getvalue(), "a.pdf": pages.getvalue(), **pictures}
    for name, method in (("stored.zip", zipfile.ZIP_STORED), ("packed.zip", zipfile.ZIP_DEFLATED)):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for member, data in sources.items():
                archive.writestr(f"사진/{member}", data)
        sources = {name: stream.getvalue(), **sources}
    files, deleted = as_on_a_phone(pictures | {"b.zip": sources["packed.zip"]})
    write_phone(folder / "phone.E01", files, deleted)
    for image in sorted(IMAGES.iterdir()):
        data = image.read_bytes()
        packed_image = image.suffix == ".xz"
        sources[image.stem if packed_image else image.name] = (
            lzma.decompress(data) if packed_image else data
        )
    return {
        "phone.E01": (folder / "phone.E01").read_bytes(),
        "card.dd": volume(files, deleted),
        **sources,
    }


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes with some of them changed; a tenth of the sources is also cut off."""
    changed = bytearray(data)
    # Half of the flips are in the first and last 4 KiB, which hold most of the structures.
    ends = [*range(min(4096, len(data))), *range(max(0, len(data) - 4096), len(data))]
    for _ in range(rng.randint(1, MAX_FLIPS)):
        at = rng.choice(ends) if rng.random() < 0.5 else rng.randrange(len(data))
        changed[at] ^= 1 << rng.randrange(8) if rng.random() < 0.5 else rng.randrange(1, 256)
    if rng.random() < 0.1:
        del changed[rng.randrange(1, len(changed)) :]
    return bytes(changed)


def examined(folder: Path, single: Path) -> Counter[str]:
    """Read and decode all of a folder and of one of its files; return what came of each."""
    found = _read(folder)
    outcomes = Counter({f"WRONG: {path} twice": n for path, n in found.paths.items() if n > 1})
    for file in folder.iterdir():
        path = f"{folder.name}/{file.name}"
        if path not in found.listed:
            outcomes[f"WRONG: {path} is not listed"] += 1
        kind = file.name.partition("-")[2]
        outcomes[f"{kind}: {found.outcome_of(path)}"] += 1
    if f"{folder.name}/{WHOLE}" in found.failed:
        outcomes[f"WRONG: {WHOLE} was not read"] += 1
    try:
        _read(single)
        outcomes["as a source: read"] += 1
    except MayakError:
        outcomes["as a source: refused"] += 1
    return outcomes


@dataclass
class Found:
    """What a source gave: its files, and how files and containers failed."""

    paths: Counter[str] = field(default_factory=Counter)
    listed: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)

    def outcome_of(self, path: str) -> str:
        """Return what became of a file and of all that is in it."""
        within = {why for at, why in self.failed.items() if (at + "/").startswith(path + "/")}
        lost = sorted(within & LOST)
        if lost:
            return f"reader lost ({', '.join(lost)})"
        return "read, with failures" if within else "read"


def _read(path: Path) -> Found:
    found = Found()
    with open_source(path, LIMITS) as source:
        source.count()
        for entry in source.items():
            if isinstance(entry, Failure):
                found.failed[entry.path] = entry.error
                continue
            found.paths[entry.path.to_json()] += 1
            found.listed.add(str(entry.path))
            try:
                with entry.open() as stream:
                    decode(stream.read())
            except ReaderLostError as error:
                found.failed[str(entry.path)] = error.outcome
            except DecodeError:
                found.failed[str(entry.path)] = "not decoded"
            except MayakError:
                found.failed[str(entry.path)] = "not read"
    return found


def in_a_child(folder: Path, single: Path, output: Path) -> Counter[str]:
    """Run ``examined`` in a process that may crash, hang or ask for too much."""
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            output.write_text(json.dumps(examined(folder, single)), encoding="utf-8")
        except BaseException:  # noqa: BLE001 - the parent judges
            wrong = {f"WRONG: {traceback.format_exc()}": 1}
            output.write_text(json.dumps(wrong), encoding="utf-8")
        finally:
            os._exit(0)
    until = time.monotonic() + SECONDS
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Counter(["WRONG: hang"])
        select.select([], [], [], 0.005)
    if os.WIFSIGNALED(ended[1]):
        return Counter([f"WRONG: {signal.Signals(os.WTERMSIG(ended[1])).name}"])
    return Counter(json.loads(output.read_text(encoding="utf-8")))


def prepare(place: Path) -> Run:
    """Make the sources and return the function that damages one and reads it."""
    material = make_material(place)

    whole = picture(99, "JPEG")
    names = list(material)

    def run(number: int, seed: str) -> Counter[str]:
        rng = random.Random(seed)
        folder = place / f"damaged-{number}"
        folder.mkdir()
        first = (number - 1) * FILES
        for n in range(first, first + FILES):
            name = names[n % len(names)]
            (folder / f"{n}-{name}").write_bytes(damaged(material[name], rng))
        single = rng.choice(sorted(folder.iterdir()))
        (folder / WHOLE).write_bytes(whole)
        before = {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.iterdir()}
        outcomes = in_a_child(folder, single, place / "outcome")
        for path, digest in before.items():
            if hashlib.sha256(path.read_bytes()).digest() != digest:
                outcomes[f"WRONG: {path.name} was changed"] += 1
        shutil.rmtree(folder)
        return outcomes

    return run


if __name__ == "__main__":
    sys.exit(soak("Evidence with flipped bytes.", prepare))
