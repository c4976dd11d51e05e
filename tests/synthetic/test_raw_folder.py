"""Raw folders of synthetic images: the same bytes however they are made."""

from __future__ import annotations

import hashlib
import re

import pytest

from mayak.imaging.decode import decode_file
from mayak.imaging.hashing import perceptual_hash
from mayak.imaging.scenes import same_scene, scene_features
from mayak.labels import LABELS
from mayak.types import SilentProgress
from mayak_synthetic.raw_folder import BURSTS, _plan, again, generate
from mayak_synthetic.scenes import SUBJECTS, render

COUNTS = {0: 6, 1: 4, 2: 5, 3: 5}
NAME = re.compile(r"(IMG_\d{4}|사진 \d{4}|((Screenshot|카카오톡)_)?2026\d{4}_\d{6})\.(jpg|png)")


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make(folder, *, seed=7, style="base", workers=1, counts=COUNTS):
    generate(folder, counts, seed=seed, style=style, workers=workers, progress=SilentProgress())
    return digests(folder)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    return folder, make(folder)


def test_each_label_has_its_folder_and_its_number(written):
    folder, _ = written

    assert {path.name for path in folder.iterdir()} == {label.folder for label in LABELS}
    for label in LABELS:
        assert len(list((folder / label.folder).iterdir())) == COUNTS[label.index]


def test_every_file_is_an_image_of_its_suffix(written):
    folder, found = written

    for name in found:
        image = decode_file(folder / name)
        assert image.format == {"jpg": "JPEG", "png": "PNG"}[name.rsplit(".", 1)[1]]
        assert not image.warnings


def test_names_tell_nothing_of_what_is_shown(written):
    _, found = written

    for name in found:
        assert NAME.fullmatch(name.split("/")[1]), name


def test_two_workers_write_what_one_writes(written, tmp_path):
    assert make(tmp_path, workers=2) == written[1]


def test_another_seed_or_style_writes_something_else(written, tmp_path):
    counts = {3: 4}
    first = make(tmp_path / "a", counts=counts)

    assert not set(make(tmp_path / "b", counts=counts, seed=8).values()) & set(first.values())
    assert not set(make(tmp_path / "c", counts=counts, style="heldout").values()) & set(
        first.values()
    )


@pytest.mark.parametrize("label", range(4))
def test_a_plan_holds_every_subject_unique_names_and_a_few_bursts(label, tmp_path):
    jobs = _plan(tmp_path, label, 200, 1, "base")

    assert len({job.path for job in jobs}) == 200
    assert {job.subject for job in jobs} == {name for name, own in SUBJECTS.items() if own == label}
    assert sum(job.repeat > 0 for job in jobs) == round(200 * BURSTS)
    originals = {(job.subject, job.seed) for job in jobs if job.repeat == 0}
    assert all((job.subject, job.seed) in originals for job in jobs)
    assert len(originals) == 200 - round(200 * BURSTS)


def test_one_image_alone_needs_no_burst(tmp_path):
    assert len(make(tmp_path, counts={2: 1})) == 1


@pytest.mark.parametrize("subject", ["street", "gas_meter", "drug_chat", "ordinary_chat"])
def test_a_repeat_shows_the_same_scene_moved_or_scrolled(subject):
    first = render(subject, 3, "base")
    second = again(first, 3, "base", 1)
    assert (second.image.size, second.suffix) == (first.image.size, "jpg")
    looks = [perceptual_hash(scene.image).bits for scene in (first, second)]
    apart = int.from_bytes(looks[0]) ^ int.from_bytes(looks[1])
    assert apart.bit_count() > 31
    assert same_scene(scene_features(first.image), scene_features(second.image))
