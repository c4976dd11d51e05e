"""Make the stored case of the present schema: what a later version must still open and report.

    .venv/bin/python tests/case/make_stored_case.py

Run it once when a new schema has landed, and never again for that schema. It writes
``tests/case/stored/schema-N.zip``, N being the database's ``user_version``: four drawn images,
two of them re-encodings of one picture, a ZIP, a text file and a broken JPEG, classified by
``nano``; two reviewers, a verdict that was undone, a blind sample and an alert. Its source is
absent.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

from PIL import Image

from mayak.case import CaseStore
from mayak.case.records import Seen
from mayak.cli.app import main as mayak
from mayak.types import Engine, Prediction, Scores
from mayak_synthetic.scenes import render

STORED = Path(__file__).parent / "stored"
WORK = Path("/tmp/mayak-stored-case")  # noqa: S108  fixed: the path is part of the case
ENGINE = Engine("everything irrelevant", None, "fp32", "0" * 64, "1" * 64, (("torch", "2.15.0"),))
SUBJECTS = ("tablets", "ordinary_chat", "street")


def jpeg(image: Image.Image, quality: int) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return data.getvalue()


def fill(phone: Path) -> None:
    """Write the source's files."""
    phone.mkdir(parents=True)
    pictures = [
        render(subject, 10 + number, "base").image.convert("RGB").resize((320, 240))
        for number, subject in enumerate(SUBJECTS)
    ]
    for number, picture in enumerate(pictures):
        (phone / f"사진 {number}.jpg").write_bytes(jpeg(picture, 85))
    (phone / "note.txt").write_text("no image\n", encoding="utf-8")
    (phone / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0broken")
    with zipfile.ZipFile(phone / "sent.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("re-encoded.jpg"), jpeg(pictures[0], 60))


def decide(folder: Path) -> None:
    """Let two reviewers decide, undo, and judge a blind sample."""
    with CaseStore.review(folder, operator="kim") as case:
        images = [content.sha256 for content in case.contents()]
        # A second engine that calls everything irrelevant: nano calls nothing so, and a blind
        # sample is drawn of that.
        run = case.start_run(ENGINE)
        scores = (0.97, 0.01, 0.01, 0.01)
        case.add_results(
            run,
            [Prediction(sha, Scores(scores, 0.0), False, ENGINE.fingerprint) for sha in images],
            {},
        )
        case.finish_run(run)
        sample = case.draw_sample(run, 2, 7, "kim")
        case.judge("kim", sample, dict.fromkeys(case.sample_items(sample), 0))
        seen = {images[0]: Seen("opened", False), images[1]: Seen("grid", True)}
        case.decide("kim", {images[0]: 3, images[1]: 1}, seen=seen)
        case.decide("kim", {images[0]: 0})
        case.undo("kim")
        case.decide("이검토", {images[0]: 2})


def main() -> None:
    """Write the ZIP of the case."""
    shutil.rmtree(WORK, ignore_errors=True)
    phone, case = WORK / "phone", WORK / "case"
    fill(phone)
    known = WORK / "known.txt"
    known.write_text(hashlib.sha256((phone / "사진 0.jpg").read_bytes()).hexdigest() + "\n")
    arguments = ["triage", str(phone), "--case", str(case), "--model", "nano", "--operator", "kim"]
    try:
        mayak([*arguments, "--known-bad", str(known)])
    except SystemExit as ended:
        if ended.code not in (0, 1):
            raise
    decide(case)
    with closing(sqlite3.connect(case / "case.sqlite")) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    target = STORED / f"schema-{version}.zip"
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path for path in case.rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(case))
    print(target)  # noqa: T201
    shutil.rmtree(WORK)


if __name__ == "__main__":
    main()
