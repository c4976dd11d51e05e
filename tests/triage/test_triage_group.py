from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from case_samples import stacks_of
from chat_samples import chat, copies, hundred_chats
from mayak.case import CaseStore, Content, Item
from mayak.imaging.hashing import perceptual_hash
from mayak.imaging.thumbnails import overview, thumbnail
from mayak.triage.group import Groups, group, stacked


def digest(number):
    return f"{number:064x}"


def groups(roots, numbers):
    packed = b"".join(bytes.fromhex(digest(number)) for number in numbers)
    return Groups(packed, np.array(roots, dtype=np.int64))


def test_groups_are_sorted_and_pictures_without_another_are_in_none():
    found = groups([0, 1, 2, 1, 0, 5, 1], [9, 2**200, 1, 7, 3, 0, 8])

    assert list(found) == [[digest(3), digest(9)], [digest(7), digest(8), digest(2**200)]]
    assert (len(found), found[-1], found[:1]) == (2, found[1], [found[0]])
    with pytest.raises(IndexError):
        found[2]


@pytest.mark.parametrize("roots", [[], [0], [0, 1, 2]])
def test_there_may_be_none(roots):
    assert list(groups(roots, range(len(roots)))) == []


RESIZED = ("quality 85", "quality 70", "quality 55", "75 % of the size", "half the size")


def taken_in(store, files):
    """The files of images as triage takes them in, by name; SHA-256 by name."""
    items = []
    for name, data in files.items():
        image = Image.open(io.BytesIO(data)).convert("RGB")
        pdq = perceptual_hash(overview(image))
        content = Content(
            sha256=hashlib.sha256(data).hexdigest(),
            md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
            sha1=hashlib.sha1(data, usedforsecurity=False).hexdigest(),
            size=len(data),
            format="JPEG",
            width=image.width,
            height=image.height,
            pdq=pdq.bits,
            pdq_quality=pdq.quality,
            thumbnail=thumbnail(image),
        )
        items.append(Item(name, json.dumps({"path": name}), content))
    store.add_items(store.add_source("phone.zip", "zip"), items)
    return {item.display: item.outcome.sha256 for item in items}


@pytest.fixture
def store(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="kim") as opened:
        yield opened


def test_no_chat_is_stacked_with_another_and_copies_are_with_theirs(store):
    chats = list(
        {picture.tobytes(): (deals, picture) for deals, picture in hundred_chats()}.values()
    )
    files = {}
    for number, (_, picture) in enumerate(chats):
        files[f"{number} as it was"] = png(picture)
        if number < 8:
            files |= {f"{number} {what}": copies(picture)[what] for what in RESIZED}
    names = taken_in(store, files)
    number_of = {sha256: int(name.split()[0]) for name, sha256 in names.items()}

    group(store)

    drugs = {number for number, (deals, _) in enumerate(chats) if deals}
    mixed = [{number_of[s] in drugs for s in members} for members in store.groups()]
    assert {True, False} in mixed  # alike by PDQ
    stacks = [[number_of[sha256] for sha256 in stack] for stack in stacks_of(store)]
    assert all(len(set(stack)) == 1 for stack in stacks)
    whole = {stack[0] for stack in stacks if len(stack) == 1 + len(RESIZED)}
    usable = {number_of[sha256] for sha256, _ in store.perceptual_hashes(50)}
    assert whole == usable & set(range(8))
    assert len(whole) >= 5
    assert store.verify() == []


@pytest.mark.parametrize("what", ["brighter", "darker"])
def test_a_slightly_brighter_copy_is_stacked(store, what):
    picture = chat(["오늘 저녁에 시간 돼?", "응 몇 시에?", "7시 어때"])
    names = taken_in(store, {"it": png(picture), what: copies(picture)[what]})

    group(store)

    assert stacks_of(store) == [sorted(names.values())]


def png(picture):
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def test_stacks_do_not_depend_on_the_order_of_the_files(tmp_path):
    pictures = [chat(["오늘 저녁에 시간 돼?", text, "7시 어때"]) for text in ("네", "예", "응")]
    files = {f"{at} {name}": d for at, p in enumerate(pictures) for name, d in copies(p).items()}
    found = []
    for order in (1, -1):
        with CaseStore.create(tmp_path / f"case{order}", operator="kim") as store:
            taken_in(store, dict(list(files.items())[::order]))
            group(store)
            found.append((store.groups(), stacks_of(store)))

    assert found[0] == found[1]
    assert len(found[0][1]) >= 3


@pytest.mark.parametrize("damage", ["missing", "another", "no picture", "a link"])
def test_a_thumbnail_that_is_not_as_it_was_written_proves_nothing(store, tmp_path, damage):
    picture = chat(["오늘 저녁에 시간 돼?", "응 몇 시에?", "7시 어때"])
    files = {name: copies(picture)[name] for name in ("quality 85", "quality 70", "quality 55")}
    names = taken_in(store, files)
    group(store)
    assert stacks_of(store) == [sorted(names.values())]

    digest = store.content(names["quality 70"]).thumbnail
    path = store.folder / "thumbnails" / digest[:2] / f"{digest}.jpg"
    data = path.read_bytes()
    path.unlink()
    if damage == "another":
        path.write_bytes(thumbnail(picture))
    elif damage == "no picture":
        path.write_bytes(data[:100])
    elif damage == "a link":
        path.symlink_to(tmp_path / "nowhere")
    group(store)

    assert stacks_of(store) == [sorted(set(names.values()) - {names["quality 70"]})]
    assert store.groups() == [sorted(names.values())]


def hashes(*rows):
    """PDQ hashes in which these bits are set."""
    bits = np.zeros((len(rows), 256), dtype=np.uint8)
    for row, ones in zip(bits, rows, strict=True):
        row[list(ones)] = 1
    return np.packbits(bits, axis=1).view(np.uint64)


def test_a_stack_is_no_chain():
    chain = hashes(range(0), range(6), range(12), range(18))

    assert stacked(chain, "abcd", lambda *_: True) == [["b", "c"]]
    assert stacked(hashes(range(0), range(10), range(11)), "abc", lambda *_: True) == [["a", "b"]]


def test_every_two_pictures_of_a_stack_were_compared():
    pairs = {"ab", "bc", "cd", "bd", "ad", "ac"}
    same = hashes(*[range(0)] * 4)

    assert stacked(same, "abcd", lambda one, other: one + other in pairs) == [["a", "b", "c", "d"]]
    pairs.remove("bc")
    assert stacked(same, "abcd", lambda one, other: one + other in pairs) == [["a", "b", "d"]]


def test_a_picture_goes_to_the_nearest_of_the_stacks_that_it_fits():
    rows = hashes(range(0), range(8), range(2, 8))

    def is_same(one, other):
        return {one, other} != {"a", "b"}

    assert stacked(rows, "abc", is_same) == [["b", "c"]]


def test_thousands_of_pictures_of_one_view_end_in_time():
    asked = []

    def is_same(one, other):
        asked.append((one, other))
        return False

    assert stacked(hashes(*[range(0)] * 500), range(500), is_same) == []
    assert len(asked) <= 500 * 64

    found = stacked(hashes(*[range(0)] * 150), range(150), lambda *_: True)
    assert [len(stack) for stack in found] == [64, 64, 22]


def test_grouping_again_after_more_pictures_came_records_the_new_stacks(store):
    picture = chat(["오늘 저녁에 시간 돼?", "응 몇 시에?", "7시 어때"])
    made = copies(picture)
    names = taken_in(store, {name: made[name] for name in ("quality 85", "quality 55")})
    group(store)
    names |= taken_in(store, {"quality 70": made["quality 70"]})
    group(store)
    head = store.head()
    group(store)

    assert stacks_of(store) == [sorted(names.values())]
    assert store.head() == head
