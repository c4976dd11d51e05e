"""Triage under random kills, delays and faults, then resumed: the case must equal the undisturbed
one.

A run takes a small mixed source (a folder with archives and documents, a ZIP, a disk image, hash
lists) into a case in several attempts. Each attempt has random delays in every stage, its own batch
size and number of workers, and one disturbance: SIGKILL or Ctrl-C of the process or SIGKILL of a
decoder at a random moment, a file that cannot be read once, a decoder that dies, a classifier that
raises, or the folder gone for a time. A last attempt without disturbance finishes the case. Ids,
times and the order of arrival may differ from the undisturbed case; nothing else may, and
``CaseStore.verify`` must find no fault.

``test_undisturbed.py`` makes a few runs, ``benchmarks/disturbed.py`` as many as are asked for.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import random
import shutil
import signal
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import psutil
from PIL import Image

from case_samples import stacks_of
from mayak.case import CaseStore
from mayak.errors import EvidenceError
from mayak.evidence import Source
from mayak.triage import Options, hashing, local, reading, triage, writing
from mayak.triage.decoding import decode_files
from mayak.types import Engine, EvidenceEntry, Prediction, Scores, Sides, SilentProgress

IMAGES = Path(__file__).parents[1] / "evidence" / "images"
ROUNDING = 1e-4
"""How far scores of nano may differ between batches (see ``benchmarks/comparing.py``)."""
PLAN = "MAYAK_TEST_DISTURBANCE"
"""Environment variable by which decoders learn the disturbances of the attempt."""
KINDS = ("kill", "kill", "kill decoder", "interrupt", "read", "die", "raise", "gone", "none")
"""Disturbances of an attempt; more weight for SIGKILL."""


# ------------------------------------------------------------------ the source


def picture(number: int, kind: str = "JPEG", size: tuple[int, int] = (96, 64)) -> bytes:
    values = np.random.default_rng(number).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).resize(size, Image.Resampling.NEAREST).save(buffer, kind)
    return buffer.getvalue()


def _several(numbers: range, kind: str) -> bytes:
    """A PDF, TIFF or GIF of several pictures."""
    pages = [Image.open(io.BytesIO(picture(number))) for number in numbers]
    buffer = io.BytesIO()
    pages[0].save(buffer, kind, save_all=True, append_images=pages[1:])
    return buffer.getvalue()


def _transparent(number: int) -> bytes:
    """A PNG that shows nothing and hides a picture under its transparency."""
    image = Image.open(io.BytesIO(picture(number))).convert("RGBA")
    image.putalpha(0)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _again(data: bytes) -> bytes:
    """The same picture as a PNG."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, "PNG")
    return buffer.getvalue()


def _zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


@dataclass(frozen=True)
class Material:
    """Sources and hash lists."""

    sources: tuple[Path, ...]
    known_good: Path
    known_bad: Path

    def digests(self) -> dict[str, str]:
        files = [
            file
            for source in self.sources
            for file in ([source] if source.is_file() else sorted(source.rglob("*")))
        ]
        return {str(f): hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()}


def make_material(folder: Path) -> Material:
    """A folder, a ZIP and an E01 with every kind of outcome in them."""
    large = np.random.default_rng(1).integers(0, 256, (640, 640, 3), dtype=np.uint8)
    noise = io.BytesIO()
    Image.fromarray(large).save(noise, "PNG")  # 1.2 MB: a chunk of its own
    inner = _zipped({"inner/1.jpg": picture(1), "inner/30.jpg": picture(30), "read.me": b"text"})
    files = {f"DCIM/{number}.jpg": picture(number) for number in range(14)}
    files |= {
        "DCIM/복사본 0.jpg": picture(0),
        "DCIM/half of 3.jpg": picture(3, size=(48, 32)),
        "DCIM/4 again.png": _again(picture(4)),
        "DCIM/large.png": noise.getvalue(),
        "Download/disk.dd": lzma.decompress((IMAGES / "exfat.dd.xz").read_bytes()),
        "Download/saved.zip": _zipped({"a/2.jpg": picture(2), "b/nested.zip": inner}),
        "Download/cut.zip": _zipped({"x.jpg": picture(31)})[:-30],
        "Download/scan.pdf": _several(range(40, 43), "PDF"),
        "Download/copy of scan.pdf": _several(range(40, 43), "PDF"),
        "Download/fax.tif": _several(range(50, 72), "TIFF"),
        "Download/film.gif": _several(range(80, 87), "GIF"),
        "hidden.png": _transparent(90),
        "copy of hidden.png": _transparent(90),
        "icon.png": picture(7, "PNG", (16, 16)),
        "another icon.png": picture(9, "PNG", (16, 16)),
        "logo.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
        "._1.jpg": b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(200),
        "broken.jpg": picture(8)[:60],
        "copy of broken.jpg": picture(8)[:60],
        "scrambled.jpg": b"nothing that anyone knows",
        "empty.jpg": b"",
        "notes.txt": "메모".encode(),
    }
    root = folder / "phone"
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
        # An access time after that of the last change is not moved by reading (relatime).
        os.utime(root / name, (time.time() + 3600, time.time() - 3600))
    (root / "link.jpg").symlink_to("DCIM/1.jpg")
    members = {f"{n}.jpg": picture(n) for n in (1, 5, 100, 101)} | {"scan.pdf": files["hidden.png"]}
    (folder / "backup.zip").write_bytes(_zipped(members | {"page.html": b"<html>"}))
    shutil.copy(IMAGES / "phone.E01", folder)
    lists = {"good": [picture(5)], "bad": [picture(2), files["icon.png"], files["broken.jpg"]]}
    for name, listed in lists.items():
        hashes = [hashlib.sha256(data).hexdigest() for data in listed]
        (folder / f"{name}.txt").write_text("\n".join(hashes) + "\n", encoding="ascii")
    sources = (root, folder / "backup.zip", folder / "phone.E01")
    return Material(sources, folder / "good.txt", folder / "bad.txt")


# ------------------------------------------------------------------ what a case states


def state(folder: Path) -> dict[str, object]:
    """Everything that a case states, without ids, times of the run and the order of arrival."""
    with CaseStore.read(folder) as case:
        items: Counter[str] = Counter()
        for source in case.sources():
            for item in case.known_items(source.id):
                values = asdict(item)
                del values["id"]
                items[repr(sorted(values.items()))] += 1
        contents = {}
        results = {}
        for content in case.contents():
            values = asdict(content)
            del values["id"]
            contents[content.sha256] = repr(sorted(values.items()))
            results[content.sha256] = case.results_of(content.sha256)
            assert case.thumbnail(content) is not None
        sources = []
        for source in case.sources():
            hashes = [asdict(reading) for reading in source.hashes]
            for values in hashes:
                del values["began"], values["ended"]
            sources.append((source.path, source.kind, hashes))
        return {
            "faults of the record": case.verify(),
            "sources": sources,
            "items": items,
            "contents": contents,
            "results": results,
            "groups": sorted(map(sorted, case.groups())),
            "stacks": sorted(map(sorted, stacks_of(case))),
            "alerts": sorted(map(str, case.alerts())),
            "counts": case.counts(),
            "left out": case.exclusion_counts(),
            "not read": case.failure_counts(),
            "runs": [(r.fingerprint, r.finished is not None) for r in case.runs()],
        }


def differences(undisturbed: dict[str, object], disturbed: dict[str, object]) -> list[str]:
    """In what two states differ."""
    found = []
    for key, expected in undisturbed.items():
        got = disturbed[key]
        if key == "results":
            found += _different_results(expected, got)
        elif isinstance(expected, Counter):
            found += [f"{key}, missing: {one} × {n}" for one, n in (expected - got).items()]
            found += [f"{key}, surplus: {one} × {n}" for one, n in (got - expected).items()]
        elif expected != got:
            found.append(f"{key}: {expected} and {got}")
    return found


def _different_results(expected, got) -> Iterator[str]:
    for sha256 in sorted(expected.keys() | got.keys()):
        one, other = expected.get(sha256), got.get(sha256)
        if one is None or other is None or one.keys() != other.keys():
            yield f"results of {sha256}: {one} and {other}"
            continue
        for number, result in one.items():
            if not _is_alike(result, other[number]):
                yield f"results of {sha256}: {result} and {other[number]}"


def _is_alike(one, other) -> bool:
    if isinstance(one, Prediction) and isinstance(other, Prediction):
        scores = zip(_figures(one), _figures(other), strict=True)
        is_close = all(abs(a - b) <= ROUNDING for a, b in scores)
        return is_close and replace(one, scores=other.scores) == other
    return one == other


def _figures(prediction: Prediction) -> tuple[float, ...]:
    return (*prediction.scores.values, prediction.scores.off_label)


# ------------------------------------------------------------------ disturbances


@dataclass
class Attempt:
    """One call of ``triage``, and what disturbs it."""

    seed: int
    workers: int = 2
    batch: int = 8
    """Images that the classifier takes together."""
    delay: float = 0.0
    """Seconds that a stage waits at most, now and then."""
    chunk: int = 32
    """Files that travel to a decoder together."""
    limit: int | None = None
    tokens: str = ""
    """Folder of the faults that are still to come: each file in it stands for one, and is removed
    by the process that causes it."""
    faults: dict[str, int] = field(default_factory=dict)
    """How many of a kind: ``read``, ``die``, ``raise``."""

    def arm(self, folder: Path) -> None:
        self.tokens = str(folder)
        folder.mkdir(exist_ok=True)
        for kind, count in self.faults.items():
            for number in range(count):
                (folder / f"{kind}-{number}").touch()

    def disarm(self) -> Counter[str]:
        """Remove the faults that did not come; how many of each kind did."""
        left = Counter(file.name.partition("-")[0] for file in Path(self.tokens).iterdir())
        shutil.rmtree(self.tokens)
        return Counter(self.faults) - left

    def strikes(self, kind: str, chance: float) -> bool:
        if self.faults.get(kind) and _dice.random() < chance:
            for file in Path(self.tokens).glob(f"{kind}-*"):
                with suppress(FileNotFoundError):
                    file.unlink()
                    return True
        return False

    def pause(self) -> None:
        if self.delay and _dice.random() < 0.2:
            time.sleep(_dice.uniform(0, self.delay))


_dice = random.Random()


class Stub:
    """A classifier that only looks at the mean grey: label 0 to 3 from dark to light."""

    min_sides = Sides(10_000, 10_000)
    engine = Engine("grey", None, "fp32", "0" * 64, "1" * 64, ())

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def classify(self, images):
        stream = iter(images)
        while window := list(islice(stream, self._attempt.batch)):
            self._attempt.pause()
            for image in window:
                if self._attempt.strikes("raise", 0.05):
                    raise RuntimeError("the classifier failed once")
                scores = [0.1, 0.1, 0.1, 0.1]
                scores[min(3, int(image.pixels.mean() // 64))] = 0.7
                scored = Scores(tuple(scores), 0.01)
                yield Prediction(image.sha256, scored, False, self.engine.fingerprint)


def nano(attempt: Attempt):
    """The embedded model."""
    from mayak.model import LabelScorer, load_model

    model = load_model("nano", precision="fp32", adapter=None, device="cpu", revision=None)
    return LabelScorer(model, attempt.batch)


def disturbed_decode(work):
    """What decoders run: ``decode_files``, sometimes late and sometimes deadly."""
    attempt = Attempt(**json.loads(os.environ[PLAN]))
    attempt.pause()
    if attempt.strikes("die", 0.2):
        os._exit(1)
    return decode_files(work)


def _late(function, attempt: Attempt):
    def late(*args, **kwargs):
        attempt.pause()
        return function(*args, **kwargs)

    return late


def _disturbed_items(items, attempt: Attempt):
    def listed(source, stop=None):
        for entry in items(source, stop):
            attempt.pause()
            if isinstance(entry, EvidenceEntry):
                entry = replace(entry, open=_once_unreadable(entry.open, attempt))
            yield entry

    return listed


def _once_unreadable(opener, attempt: Attempt):
    def opened():
        if attempt.strikes("read", 0.05):
            raise EvidenceError("the medium did not answer")
        return opener()

    return opened


def run_triage(attempt: Attempt, material: Material, case: Path, model: str = "stub") -> None:
    """Call ``triage`` with the delays and faults of an attempt."""
    _dice.seed(attempt.seed)
    options = Options(
        material.sources,
        case,
        "Tester",
        limit=attempt.limit,
        known_good=(material.known_good,),
        known_bad=(material.known_bad,),
        workers=attempt.workers,
    )
    classifier = Stub(attempt) if model == "stub" else nano(attempt)
    with ExitStack() as stack:
        put = stack.enter_context
        put(patch.dict(os.environ, {PLAN: json.dumps(asdict(attempt))}))
        put(patch.object(local, "decode_files", disturbed_decode))
        put(patch.object(reading, "_CHUNK_FILES", attempt.chunk))
        put(patch.object(writing, "_BATCH", attempt.chunk))
        put(patch.object(hashing, "sha256", _late(hashing.sha256, attempt)))
        put(patch.object(Source, "items", _disturbed_items(Source.items, attempt)))
        for name in ("add_items", "revise_items", "add_results", "outcome"):
            put(patch.object(CaseStore, name, _late(getattr(CaseStore, name), attempt)))
        triage(options, classifier, SilentProgress())


def random_attempt(dice: random.Random) -> Attempt:
    """Other options of speed, random delays."""
    return Attempt(
        seed=dice.getrandbits(32),
        workers=dice.choice((1, 1, 2, 3)),
        batch=dice.choice((1, 3, 8, 50)),
        delay=dice.choice((0.0, 0.01, 0.05)),
        chunk=dice.choice((1, 4, 32)),
    )


# ------------------------------------------------------------------ runs in processes of their own


def begun(attempt: Attempt, material: Material, case: Path, model: str, log: Path) -> int:
    """Start an attempt in a process of its own; returns its id."""
    process = os.fork()
    if process:
        return process
    status = 3
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run_triage(attempt, material, case, model)
        status = 0
    except KeyboardInterrupt:
        status = 130
    except BaseException:  # noqa: BLE001 - the attempt may end in any way
        log.write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        os._exit(status)


def _ended(process: int, seconds: float) -> int | None:
    """How a process ended (negative: the signal); None if it goes on for so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)


def _hit(process: int, kind: str, dice: random.Random) -> bool:
    """Send a signal to an attempt or one of its decoders."""
    target, what = process, signal.SIGINT if kind == "interrupt" else signal.SIGKILL
    if kind == "kill decoder":
        with suppress(psutil.Error):
            decoders = [
                child.pid
                for child in psutil.Process(process).children()
                if "resource_tracker" not in " ".join(child.cmdline())
            ]
            if not decoders:
                return False
            target = dice.choice(decoders)
    with suppress(ProcessLookupError):
        os.kill(target, what)
        return True
    return False


@dataclass
class Outcome:
    """How the attempts of one run ended, and in what the case differs."""

    disturbances: Counter[str]
    faults: list[str]


def disturbed_run(
    dice: random.Random,
    material: Material,
    work: Path,
    expected: dict[str, object],
    seconds: float,
    model: str,
) -> Outcome:
    """Take the material into one case with some disturbed attempts and a last one in peace."""
    case, log = work / "case", work / "log"
    came: Counter[str] = Counter()
    digests = material.digests()
    for _ in range(dice.randint(1, 3)):
        attempt = random_attempt(dice)
        kind = dice.choice(KINDS)
        if kind in ("read", "die", "raise"):
            attempt.faults = {kind: dice.randint(1, 3)}
        if dice.random() < 0.1:
            attempt.limit = dice.randint(1, 60)
        attempt.arm(work / "tokens")
        process = begun(attempt, material, case, model, log)
        came += _disturb(process, kind, dice, material, seconds)
        came += attempt.disarm()
        if not (case / "case.json").exists():  # killed before there was a case
            shutil.rmtree(case, ignore_errors=True)
    attempt = replace(random_attempt(dice), delay=0.0)
    attempt.arm(work / "tokens")
    ended = _ended(begun(attempt, material, case, model, log), 120 + 20 * seconds)
    attempt.disarm()
    faults = []
    if ended != 0:
        faults.append(f"the last attempt ended with {ended}: {log.exists() and log.read_text()}")
    if material.digests() != digests:
        faults.append("the sources have changed")
    return Outcome(came, faults + differences(expected, state(case)))


def _disturb(
    process: int, kind: str, dice: random.Random, material: Material, seconds: float
) -> Counter[str]:
    """Do to a process what was drawn, and wait for its end."""
    came: Counter[str] = Counter()
    root = material.sources[0]
    away = root.with_name("away")
    hits = {"kill": 1, "kill decoder": 2, "interrupt": dice.choice((1, 1, 2)), "gone": 1}
    ended = None
    for _ in range(hits.get(kind, 0)):
        ended = _ended(process, dice.uniform(0, 1.3 * seconds))
        if ended is not None:
            break
        if kind == "gone":
            root.rename(away)
            came[kind] += 1
        else:
            came[kind] += _hit(process, kind, dice)
    if ended is None:
        ended = _ended(process, 120 + 20 * seconds)
    if away.exists():
        away.rename(root)
    if ended is None:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        raise TimeoutError(f"an attempt did not end after: {kind}")
    came[f"ended with {ended}"] += 1
    return came


def undisturbed(
    material: Material, folder: Path, model: str = "stub"
) -> tuple[dict[str, object], float]:
    """The state of an undisturbed case, and the seconds that it took."""
    began = time.monotonic()
    log = folder / "log of undisturbed"
    attempt = Attempt(seed=0)
    attempt.arm(folder / "tokens")
    ended = _ended(begun(attempt, material, folder / "undisturbed", model, log), 300)
    if ended != 0:
        raise RuntimeError(f"the undisturbed run ended with {ended}: {log.read_text()}")
    return state(folder / "undisturbed"), time.monotonic() - began
