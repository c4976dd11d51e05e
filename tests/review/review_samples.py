"""A case of small pictures, most of them with files behind them, for the tests of the desk."""

import hashlib
import io

import numpy as np
from PIL import Image

from mayak.case import Alert, CaseStore, Content, Exclusion, Item
from mayak.imaging.hashing import perceptual_hash
from mayak.imaging.thumbnails import thumbnail
from mayak.types import Engine, EvidencePath, Failure, Prediction, Scores

ENGINE = Engine("nano", None, "fp32", "0" * 64, "1" * 64, (("torch", "2.11"),))

HOSTILE = [
    "<img src=x onerror=alert(1)>.jpg",
    '"><script>document.title="broken"</script>.jpg',
    '=HYPERLINK("http://example.com","click").jpg',
    "photo\u202egpj.exe.jpg",
    "two\nlines.jpg",
    '{{ 7*7 }}{% raw %}#read("x").jpg',
    "same\u3164\u2800\u200b.jpg",
    "long" + "가" * 4000 + ".jpg",
]
HOSTILE_CAMERA = "<b onmouseover=alert(1)>cam</b>\u202eevil"


def picture(number, side=48):
    """Noise that differs from number to number, as a JPEG."""
    noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def scores(number):
    """Label ``number % 4``, the surer the smaller the number."""
    best = 0.95 - (number % 100) / 200
    rest = (1 - best) / 3
    return tuple(best if label == number % 4 else rest for label in range(4))


def content(data, **changes):
    image = Image.open(io.BytesIO(data)).convert("RGB")
    found = perceptual_hash(image)
    values = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "sha1": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
        "size": len(data),
        "format": "JPEG",
        "width": image.width,
        "height": image.height,
        "pdq": found.bits,
        "pdq_quality": found.quality,
        "thumbnail": thumbnail(image),
    }
    return Content(**(values | changes))


def build(folder, count, *, stack=0, hostile=False):
    """A case of ``count`` pictures in the folder ``evidence`` beside it; the last ``stack`` of them
    are one stack. Returns the contents' SHA-256 in order, and the case's folder."""
    source = folder / "evidence"
    (source / "DCIM").mkdir(parents=True)
    root = EvidencePath("folder", "evidence")
    items, digests = [], []
    for number in range(count):
        data = picture(number)
        name = f"DCIM/IMG_{number:04}.jpg"
        (source / name).write_bytes(data)
        metadata = {}
        if number % 3 == 0:
            metadata = {
                "taken": f"2026-03-{1 + number % 28:02} 10:00:00",
                "make": "Maker",
                "model": "One" if number % 2 else "Two",
                "location": {
                    "latitude": 37.5 + number / 1000,
                    "longitude": 127.0,
                    "altitude": None,
                },
            }
        display = f"evidence/{name}"
        if hostile and number < len(HOSTILE):
            display = f"evidence/DCIM/{HOSTILE[number]}"
            metadata = {**metadata, "make": HOSTILE_CAMERA, "model": "=1+1", "software": "{{x}}"}
        path = root.child("file", name)
        found = content(data, metadata=metadata, warnings=("<i>odd</i>",) if hostile else ())
        items.append(Item(display, path.to_json(), found, size=len(data), deleted=number % 10 == 9))
        digests.append(found.sha256)
    bad = root.child("file", "DCIM/broken.jpg")
    items.append(
        Item(
            "evidence/DCIM/broken.jpg",
            bad.to_json(),
            Failure("evidence/DCIM/broken.jpg", "decode", "DecodeError", "cannot be decoded"),
        )
    )
    icon = root.child("file", "icon.png")
    items.append(
        Item("evidence/icon.png", icon.to_json(), Exclusion("too-small", "16 × 16 pixels"))
    )
    case = folder / "case"
    with CaseStore.create(case, operator="maker") as store:
        number = store.add_source(str(source), "folder")
        for start in range(0, len(items), 500):
            store.add_items(number, items[start : start + 500])
        run = store.start_run(ENGINE)
        store.add_results(
            run,
            [
                Prediction(digest, Scores(scores(n), 0.01), False, ENGINE.fingerprint)
                for n, digest in enumerate(digests)
            ],
        )
        store.finish_run(run)
        store.add_alerts([Alert(digests[1], "known <b>bad</b>.txt", "0" * 64, "md5")])
        if stack:
            members = [sorted(digests[-stack:])]
            store.set_groups(members, distance=31, stacks=members, stack_distance=10)
    return digests, case
