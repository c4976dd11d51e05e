"""A case with all that a report can be asked to show: hostile names, failures, disagreement."""

import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime

from PIL import Image, ImageDraw

from mayak.case import Alert, CaseStore, Content, Duplicate, Exclusion, Item, SourceHash
from mayak.types import Engine, Failure, FileTimes, Prediction, Scores

TAKEN = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
TIMES = FileTimes(modified=TAKEN, created=TAKEN)
ENGINE = Engine(
    "nano@0123456789abcdef", "2" * 64, "fp32", "0" * 64, "1" * 64, (("torch", "2.15.0"),)
)
HOSTILE = (
    "<img src=x onerror=alert(1)>.jpg",
    '=HYPERLINK("evil.example","open")',
    "+cmd|' C calc'!A0.jpg",
    "사진\u202egpj.exe",
    "line\nbreak\r\n\ttab.jpg",
    "길" * 4000 + ".jpg",
    "#panic() $x$ @ref *bold* _it_ `raw` \\ [a](b) <label> ~ -- '\"",
    "{{7*7}}{% for x in y %}.jpg",
    "@SUM(1+1)*cmd",
    "-2+3.png",
    "\u3164\u200b\ufeff.jpg",
    "😀漢字عربي.jpg",
    "odd\\udcff name.jpg",
    "C:\\Users\\..\\..\\etc.jpg",
)


def thumbnail(number, text=""):
    image = Image.new("RGB", (256, 180 + number % 3 * 30), _colour(number))
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 30, 150, 140), fill=_colour(number + 5))
    draw.text((20, 150), text or f"picture {number}", fill="white")
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=80)
    return stream.getvalue()


def _colour(number):
    return tuple(hashlib.sha256(bytes([number % 251, number // 251])).digest()[:3])


def content(number, **changes):
    data = f"image {number}".encode()
    values = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "md5": hashlib.md5(data).hexdigest(),  # noqa: S324
        "sha1": hashlib.sha1(data).hexdigest(),  # noqa: S324
        "size": 1000 + number,
        "format": "JPEG",
        "width": 4000,
        "height": 3000,
        "metadata": {"taken": "2026-02-03T04:05:06+09:00", "make": "=1+1", "model": "<b>SM</b>"},
    }
    if "thumbnail" not in changes:
        values["thumbnail"] = thumbnail(number)
    return Content(**(values | changes))


def sha(number):
    return hashlib.sha256(f"image {number}".encode()).hexdigest()


def item(name, outcome, **values):
    location = json.dumps([{"kind": "zip", "name": "phone.zip"}, {"kind": "file", "name": name}])
    values = {"size": 1234, "times": TIMES} | values
    return Item(f"phone.zip/DCIM/Camera/{name}", location, outcome, **values)


def scores(label, best=0.7):
    rest = (1 - best) / 3
    return tuple(best if index == label else rest for index in range(4))


def make(folder, *, images=24, hostile=HOSTILE):
    """A case: images n with label n % 4, some of them decided by two reviewers."""
    names = [*hostile, *(f"IMG_{n:04d}.jpg" for n in range(len(hostile), images))]
    with CaseStore.create(folder, operator="김수사") as case:
        source = case.add_source("/evidence/압수물/phone.zip", "zip")
        began = datetime(2026, 3, 1, tzinfo=UTC)
        case.record("triage", sources=["phone.zip"], options={"smallest": 32, "include": []})
        case.add_source_hash(
            source,
            SourceHash("a" * 32, "b" * 64, 123456, began, began.replace(minute=3), None, None),
        )
        folder_source = case.add_source("/evidence/사진", "folder")
        case.add_items(
            source,
            [
                item(
                    name,
                    content(n),
                    deleted=n % 5 == 0,
                    times=replace(TIMES, zone_known=n % 2 == 0),
                )
                for n, name in enumerate(names)
            ],
        )
        case.add_items(
            source,
            [
                item("copy of 3.png", Duplicate(sha(3)), deleted=True),
                item("broken.jpg", Failure("broken.jpg", "decode", "DecodeError", "ends <early>")),
                item(
                    "=note.txt",
                    Exclusion("not-an-image", "does not begin like any known image format"),
                ),
                item("icon.png", Exclusion("too-small", "16 × 16 pixels")),
            ],
        )
        case.add_items(folder_source, [item("empty.jpg", Exclusion("empty", "0 bytes"), size=0)])
        run = case.start_run(ENGINE)
        failed = {sha(len(names) - 1): Failure("x", "classify", "ModelError", "out of memory")}
        case.add_results(
            run,
            [
                Prediction(sha(n), Scores(scores(n % 4), 0.01), False, ENGINE.fingerprint)
                for n in range(len(names) - 1)
            ],
            failed,
        )
        case.finish_run(run)
        case.record("triage finished", sources=[source, folder_source], limited=False)
        case.add_alerts([Alert(sha(4), "known <bad>.txt", "c" * 64, "md5")])
    return folder


def decide(folder, *, upto=16):
    """김수사 decides the first images as the model does, 이검토 differs on the fifth."""
    with CaseStore.review(folder, operator="김수사") as case:
        case.decide("김수사", {sha(n): n % 4 for n in range(upto) if n != 4})
        case.decide("이검토 <b>", {sha(5): 2, sha(1): 1, sha(2): 0})
        case.undo("이검토 <b>")
        case.decide("이검토 <b>", {sha(5): 2, sha(1): 1})
    return folder
