"""Evidence with flipped bytes: ``python benchmarks/flipped.py [--runs N] [--seconds S]``.

Each run changes up to twenty bytes of a ZIP, a TAR, a disk image, an E01, a PDF or a picture, cuts
some, opens the result as a source, reads all that is found and decodes it, in a forked process with
limited memory. The process must end within the time limit. Only mayak's own errors may occur, no
two entries may have the same path, and the file must be unchanged afterwards. ``--seed N`` makes
other runs; ``--record FILE`` keeps the result, and the next call continues there. Exits with 1 if a
run was wrong. POSIX only.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import resource
import select
import signal
import sys
import tarfile
import time
import traceback
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from mayak.errors import MayakError
from mayak.evidence import open_source
from mayak.imaging import decode
from mayak.types import Failure
from mayak_synthetic.exfat import volume
from mayak_synthetic.phone import as_on_a_phone, write_phone
from soaking import Run, soak

SECONDS = 300.0  # generous: the machine may be shared
MEMORY = 4 << 30
MAX_FLIPS = 20


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


def examined(path: Path) -> str:
    """Read and decode all of a source; return what came of it."""
    seen = set()
    entries = failures = 0
    try:
        with open_source(path) as source:
            for entry in source.items():
                if isinstance(entry, Failure):
                    failures += 1
                    continue
                if entry.path in seen:
                    return f"WRONG: {entry.path} twice"
                seen.add(entry.path)
                entries += 1
                try:
                    with entry.open() as stream:
                        decode(stream.read())
                except MayakError:
                    failures += 1
    except MayakError:
        return "refused" if not entries else "ended early with an error"
    return "read" if not failures else "read, with failures"


def in_a_child(path: Path, output: Path) -> str:
    """Run ``examined`` in a process that may crash, hang or ask for too much."""
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            output.write_text(examined(path), encoding="utf-8")
        except BaseException:  # noqa: BLE001 - the parent judges
            output.write_text("WRONG: " + traceback.format_exc(), encoding="utf-8")
        finally:
            os._exit(0)
    until = time.monotonic() + SECONDS
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "WRONG: hang"
        select.select([], [], [], 0.005)
    if os.WIFSIGNALED(ended[1]):
        return f"WRONG: {signal.Signals(os.WTERMSIG(ended[1])).name}"
    return output.read_text(encoding="utf-8")


def prepare(place: Path) -> Run:
    """Make the sources and return the function that damages one and reads it."""
    material = make_material(place)

    def run(number: int, seed: str) -> Counter[str]:
        rng = random.Random(seed)
        name = list(material)[(number - 1) % len(material)]
        path = place / "damaged" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(damaged(material[name], rng))
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        outcome = in_a_child(path, place / "outcome")
        if hashlib.sha256(path.read_bytes()).hexdigest() != before:
            outcome = "WRONG: the source was changed"
        path.unlink()
        wrong = outcome.startswith("WRONG")
        return Counter([f"{outcome} ({name})" if wrong else f"{name}: {outcome}"])

    return run


if __name__ == "__main__":
    sys.exit(soak("Evidence with flipped bytes.", prepare))
