"""Pillow's own test images through triage: ``python benchmarks/corpus.py [--sdist FILE]``.

Pillow's source package carries about a thousand images, a good part of them malformed on purpose:
crashes, hangs, bombs and reads out of bounds that were found in it over the years. They go through
``mayak triage`` as a folder and as a ZIP of it, with and without the embedded model, each into a
case of its own, and the following is checked:

1. items = images + failures + exclusions, each file of the corpus is an item, and whatever else is
   an item is inside one of them;
2. no decoder crashed, hung or ran out of memory, and each failure has a reason;
3. folder and ZIP come out the same: outcomes, reasons, sizes, hashes, thumbnails, scores, groups;
4. ``verify`` finds no fault in any of the cases, nor in the sources;
5. no byte of the sources has changed;
6. what plain Pillow decodes is not refused, but for formats that nothing in the file tells.

Prints the figures and the failures by reason; exits with 1 if a check fails. Without ``--sdist``
pip downloads the package (46 MB).
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import PIL
from PIL import Image

from comparing import SAME_SCORE, Told, differences, digests, furthest, told
from mayak.case import CaseStore, Exclusion
from mayak.triage import Options, Summary, triage
from mayak.triage.verify import check_sources
from mayak.types import Classifier, SilentProgress
from mayak.workers import Lost, WorkerPool

PILLOW = "13.0.0"
SHA256 = "cdcd1ba258178f7356d74170c9a81ba4eab6a5d55748bc402a5a2a6fe6be3510"
"""Of ``pillow-13.0.0.tar.gz``."""

UNTELLABLE = {"IMT", "SPIDER"}
"""Formats of laboratories that start with nothing of their own, so that any file could be one."""


def main() -> None:
    """Fetch, run, check, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sdist", type=Path, help=f"pillow-{PILLOW}.tar.gz, already downloaded")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mayak-corpus-") as temporary:
        work = Path(temporary)
        folder = unpacked(asked.sdist or downloaded(work), work)
        archive = zipped(folder, work / "images.zip")
        raise SystemExit(bool(checked(work, folder, archive)))


def downloaded(work: Path) -> Path:
    """The source package, by pip; nothing of it is built or run but its statement of metadata."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--no-binary", "pillow", "--dest", str(work), f"pillow=={PILLOW}"),
        ],
        check=True,
    )
    return work / f"pillow-{PILLOW}.tar.gz"


def unpacked(sdist: Path, work: Path) -> Path:
    """The folder of images in the source package."""
    with sdist.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise SystemExit(f"{sdist} has SHA-256 {found}, not {SHA256}")
    inside = f"pillow-{PILLOW}/Tests/images"
    with tarfile.open(sdist) as package:
        members = [member for member in package if member.name.startswith(f"{inside}/")]
        package.extractall(work, members, filter="data")
    return work / inside


def zipped(folder: Path, archive: Path) -> Path:
    """The folder's files in a ZIP, under the same names."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(folder))
    return archive


def checked(work: Path, folder: Path, archive: Path) -> list[str]:
    """Run all four, print what came of it; what is wrong."""
    before = digests(folder, archive)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    print(f"Pillow {PIL.__version__} over the images of Pillow {PILLOW}: {len(files)} files")
    scorer = embedded_model()
    faults: list[str] = []
    cases: dict[str, Told] = {}
    for source in (folder, archive):
        for classifier in (None, scorer):
            model = "no model" if classifier is None else "nano"
            name = f"{'folder' if source == folder else 'ZIP'}, {model}"
            case = work / name
            started = time.perf_counter()
            options = Options(sources=(source,), case=case, operator="corpus", workers=2)
            summary = triage(options, classifier, SilentProgress())
            seconds = time.perf_counter() - started
            print(f"{name}: {figures(summary)}; {seconds:.0f} s")
            cases[name] = told(case)
            faults += [f"{name}: {fault}" for fault in wrong(case, files, summary, cases[name])]
    for model in ("no model", "nano"):
        pair = cases[f"folder, {model}"], cases[f"ZIP, {model}"]
        faults += [f"folder and ZIP, {model}: {line}" for line in differences(*pair)]
    apart = furthest(cases["folder, nano"], cases["ZIP, nano"])
    print(f"scores of folder and ZIP at most {apart:.1e} apart (limit {SAME_SCORE:.0e})")
    if digests(folder, archive) != before:
        faults.append("the sources have changed")
    failures = refused(cases["folder, no model"])
    faults += unjust(folder, failures)
    for reason, count in Counter(map(general, failures.values())).most_common():
        print(f"{count:5}  {reason}")
    for fault in faults:
        print(f"WRONG  {fault}")
    print("all checks hold" if not faults else f"{len(faults)} checks fail")
    return faults


def embedded_model() -> Classifier:
    """``nano``, as ``mayak triage`` has it."""
    # As the mayak command sets them.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # Worker processes import this file again: torch stays out of its top.
    from mayak.model import LabelScorer, load_model

    return LabelScorer(load_model("nano", precision="fp32", device="cpu"))


def figures(summary: Summary) -> str:
    counts = summary.counts
    left_out = ", ".join(f"{rule} {count}" for rule, count in sorted(summary.exclusions.items()))
    return (
        f"{counts.items} items = {counts.contents} images ({counts.distinct_contents} different) "
        f"+ {counts.failures} failures + {counts.exclusions} exclusions ({left_out})"
    )


def wrong(folder: Path, files: set[str], summary: Summary, case: Told) -> list[str]:
    """Which of the checks of a single case fail."""
    faults = []
    paths = {path for path, *_ in case.items}
    inside = {path for path in paths - files if not any(path.startswith(f"{f}/") for f in files)}
    if not summary.counts.is_balanced:
        faults.append("items are not images + failures + exclusions")
    if lost := files - paths:
        faults.append(f"not accounted for: {sorted(lost)}")
    if inside:
        faults.append(f"from nowhere: {sorted(inside)}")
    for path, outcome in refused(case).items():
        if outcome[1] in ("crashed", "too-slow", "out-of-memory") or not all(outcome):
            faults.append(f"{path}: {outcome}")
    with CaseStore.read(folder) as store:
        faults += map(str, store.verify())
        faults += map(str, check_sources(store, SilentProgress())[0])
    return faults


def refused(case: Told) -> dict[str, tuple[str, ...]]:
    """(stage, error, message) or (rule, reason) of what is neither an image nor too small."""
    found = {}
    for path, outcome, *_ in case.items:
        if isinstance(outcome, tuple):
            found[path] = outcome
        elif isinstance(outcome, Exclusion) and outcome.rule not in ("too-small", "document"):
            found[path] = (outcome.rule, outcome.reason)
    return found


def unjust(folder: Path, failures: dict[str, tuple[str, ...]]) -> list[str]:
    """What was refused and plain Pillow decodes."""
    paths = [path for path in failures if (folder / path).is_file()]
    plain = WorkerPool[str, str | None](plainly, 2, seconds=60).run(str(folder / p) for p in paths)
    return [
        f"{path}: Pillow decodes it as {found}"
        for path, found in plain
        if not isinstance(found, Lost | None) and found not in UNTELLABLE
    ]


def plainly(path: str) -> str | None:
    """The format that plain Pillow decodes a file in."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                image.load()
                return image.format
    except Exception:  # noqa: BLE001 - whatever it raises, it does not decode it
        return None


def general(outcome: tuple[str, ...]) -> str:
    """A reason without the numbers of the one file."""
    return ": ".join((*outcome[:-1], re.sub(r"-?\d+", "N", outcome[-1])))


if __name__ == "__main__":
    main()
