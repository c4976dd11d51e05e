"""Items, contents and results for the tests of the case."""

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone

from mayak.case import Content, Duplicate, Exclusion, Item, SourceHash
from mayak.types import Engine, Failure, FileTimes, Prediction, Scores

ENGINE = Engine("nano", None, "fp32", "0" * 64, "1" * 64, (("torch", "2.11"),))
OTHER_ENGINE = Engine("nano", "2" * 64, "fp32", "0" * 64, "1" * 64, (("torch", "2.11"),))
SEOUL = timezone(timedelta(hours=9))


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def content(name, **changes):
    values = {
        "sha256": digest(name),
        "md5": digest(name)[:32],
        "sha1": digest(name)[:40],
        "size": 1234,
        "format": "JPEG",
        "width": 640,
        "height": 480,
        "pdq": bytes(range(32)),
        "pdq_quality": 100,
        "metadata": {"camera": "카메라", "gps": [37.5, 127.0]},
        "thumbnail": b"\xff\xd8 thumbnail of " + name.encode(),
        "warnings": ("first of 2 frames",),
    }
    return Content(**(values | changes))


def item(name, outcome, **values):
    location = json.dumps({"path": name})
    return Item(display=f"phone.zip/{name}", location=location, outcome=outcome, **values)


def images(first, last, **changes):
    return [
        item(f"{n}.jpg", content(f"{n}.jpg", **changes), size=n) for n in range(first, last + 1)
    ]


def five_items():
    """Two contents in three items, a failure, an exclusion."""
    taken = datetime(2026, 3, 1, 9, 30, tzinfo=SEOUL)
    return [
        item("a.jpg", content("a"), size=1234, times=FileTimes(modified=taken)),
        item("b.jpg", content("b"), deleted=True),
        item("copy of a.jpg", Duplicate(digest("a"))),
        item("c.jpg", Failure("c.jpg", "decode", "DecodeError", "not an image")),
        item("d.png", Exclusion("too small", "16 × 16 pixels")),
    ]


def prediction(name, engine=ENGINE, scores=(0.1, 0.2, 0.3, 0.4)):
    return Prediction(digest(name), Scores(scores, 0.01), False, engine.fingerprint)


def source_hash(**changes):
    began = datetime(2026, 3, 1, tzinfo=UTC)
    values = {
        "md5": "0" * 32,
        "sha256": "0" * 64,
        "size": 7,
        "began": began,
        "ended": began + timedelta(minutes=3),
    }
    return SourceHash(**(values | changes))


def fill(store):
    """A source with ``five_items`` and a finished run; returns both ids."""
    source = store.add_source("phone.zip", "zip")
    store.add_source_hash(source, source_hash())
    store.add_items(source, five_items())
    run = store.start_run(ENGINE)
    failure = Failure("b.jpg", "classify", "ModelError", "out of memory")
    store.add_results(run, [prediction("a")], {digest("b"): failure})
    store.finish_run(run)
    store.set_groups([[digest("a"), digest("b")]], distance=31)
    return source, run


def stacks_of(store):
    """The contents of each stack of copies of one picture, as they were recorded."""
    found = {}
    for row in store._database.query(
        "SELECT stack, content FROM group_members"
        " WHERE grouping = (SELECT max(id) FROM groupings) AND stack IS NOT NULL ORDER BY id"
    ):
        found.setdefault(row["stack"], []).append(row["content"])
    return [found[number] for number in sorted(found)]
