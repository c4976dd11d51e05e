"""From people's decisions to a training set: cases made by triage, read again from the evidence."""

import hashlib
import io
import json
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from mayak.case import CaseStore, Content, Item
from mayak.dataset import PrepareOptions, prepare, read_manifest
from mayak.errors import CaseError, EvidenceError, IntegrityError, ManifestError
from mayak.evidence import open_source
from mayak.labels import LABELS
from mayak.triage import Options, triage
from mayak.types import SilentProgress


def encoded(seed, kind="JPEG", **how):
    """The file of a picture unlike that of any other seed."""
    rough = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    picture = Image.fromarray(rough).resize((160, 120), Image.Resampling.BICUBIC)
    picture.save(buffer, kind, **how)
    return buffer.getvalue()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def run_triage(case, *sources):
    """A case of images that are files of their own, without the processes of triage."""
    opened = CaseStore.create if not case.exists() else CaseStore.open
    with opened(case, operator="김수사") as store:
        for path in sources:
            with open_source(path) as source:
                number = store.add_source(str(path), source.path.kind)
                items = [(entry, entry.open().read()) for entry in source.items()]
                store.add_items(
                    number,
                    [
                        Item(str(entry.path), entry.path.to_json(), stored(data), len(data))
                        for entry, data in items
                    ],
                )
    return case


def stored(data):
    kind = "PNG" if data.startswith(b"\x89PNG") else "JPEG"
    return Content(digest(data), digest(data)[:32], digest(data)[:40], len(data), kind, 160, 120)


def triaged(case, *sources):
    options = Options(sources=sources, case=case, operator="김수사", workers=1)
    triage(options, None, SilentProgress())
    return case


def decide(case, reviewer, verdicts):
    """``verdicts`` by the bytes of the images."""
    with CaseStore.review(case, operator=reviewer) as store:
        store.decide(reviewer, {digest(data): verdict for data, verdict in verdicts.items()})


@pytest.fixture
def lab(tmp_path):
    """A folder and an archive with four images a class and others, and a case made of both."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(16):
        (photos / f"{seed:02}.jpg").write_bytes(encoded(seed))
    (photos / "copy.jpg").write_bytes(encoded(0))
    (photos / "undecided.jpg").write_bytes(encoded(99))
    with zipfile.ZipFile(tmp_path / "phone.zip", "w") as archive:
        archive.writestr("forwarded.jpg", encoded(0, quality=40))  # a near-duplicate of 0
        archive.writestr("shot.png", encoded(50, "PNG"))
    run_triage(tmp_path / "case", photos, tmp_path / "phone.zip")
    verdicts = {encoded(seed): seed % 4 for seed in range(16)}
    verdicts |= {encoded(0, quality=40): 0, encoded(50, "PNG"): 3}
    decide(tmp_path / "case", "김수사", verdicts)
    return tmp_path


def made(base, *cases, **changes):
    options = {"data": base / "data", "augment": 0, "cases": cases or (base / "case",)}
    return prepare(PrepareOptions(**(options | changes)))


def dataset(base):
    return json.loads((base / "data" / "dataset.json").read_text(encoding="utf-8"))


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def evidence(base):
    """What must never be written to, the case without its log included."""
    return files(base / "photos") | {"zip": (base / "phone.zip").read_bytes()}


def test_what_was_decided_becomes_the_set_and_nothing_else(lab):
    before = evidence(lab), files(lab / "case")
    result = made(lab)
    assert (evidence(lab), files(lab / "case")) == before
    assert (result.found, result.used) == (18, 18)
    samples = {sample.sha256: sample for sample in result.samples}
    wanted = {digest(encoded(seed)): seed % 4 for seed in range(16)}
    wanted |= {digest(encoded(0, quality=40)): 0, digest(encoded(50, "PNG")): 3}
    assert {name: sample.label for name, sample in samples.items()} == wanted
    for split in ("train", "val", "test"):
        manifest = read_manifest(lab / "data" / f"{split}_drug_data.json")
        for sample in manifest.samples:
            assert digest(manifest.locate(sample).read_bytes()) == sample.sha256
            assert samples[sample.sha256].split == split
    assert {path.name for path in (lab / "data" / "images").iterdir()} == {
        label.folder for label in LABELS
    }
    near = samples[digest(encoded(0, quality=40))], samples[digest(encoded(0))]
    assert near[0].group == near[1].group
    assert near[0].split == near[1].split


def test_each_image_tells_who_decided_it_and_where_it_lay(lab):
    decide(lab / "case", "이검토", {encoded(0): 0})
    made(lab)
    rows = {row["sha256"]: row for row in dataset(lab)["images"]}
    row = rows[digest(encoded(0))]
    assert row["image_path"] == f"data/images/0_irrelevant/{digest(encoded(0))}.jpeg"
    with CaseStore.read(lab / "case") as store:
        (origin,) = row["provenance"]
        assert (origin["case"], origin["case_name"]) == (store.id, "case")
        assert origin["source"] == str(lab / "photos")
        assert origin["path"] == "photos/00.jpg"
        verdicts = store.verdicts(digest(encoded(0)))
        assert origin["decisions"] == [
            {"reviewer": name, "verdict": 0, "at": verdicts[name].at.isoformat()}
            for name in ("김수사", "이검토")
        ]
    (origin,) = rows[digest(encoded(50, "PNG"))]["provenance"]
    assert origin["path"] == "phone.zip/shot.png"


def test_what_was_withdrawn_is_not_taken(lab):
    decide(lab / "case", "이검토", {encoded(99): 3})
    with CaseStore.review(lab / "case", operator="이검토") as store:
        store.undo("이검토")
    assert made(lab).used == 18


def test_what_reviewers_differ_on_is_left_out_and_listed(lab):
    decide(lab / "case", "이검토", {encoded(5): 3})
    result = made(lab)
    assert (result.found, result.used, result.reasons) == (18, 17, {"disagreement": 1})
    assert digest(encoded(5)) not in {sample.sha256 for sample in result.samples}
    (row,) = dataset(lab)["rejected"]
    assert row["sha256"] == digest(encoded(5))
    assert row["error"] == "photos/05.jpg: reviewers differ (김수사: 1, 이검토: 3)"
    assert [said["reviewer"] for said in row["provenance"][0]["decisions"]] == ["김수사", "이검토"]


@pytest.fixture
def second(lab):
    """Another case with an image of the first's and one of its own."""
    folder = lab / "other photos"
    folder.mkdir()
    (folder / "same.jpg").write_bytes(encoded(1))
    (folder / "own.jpg").write_bytes(encoded(70))
    return run_triage(lab / "case 2", folder)


def test_an_image_of_two_cases_is_one(lab, second):
    decide(second, "b", {encoded(1): 1, encoded(70): 2})
    result = made(lab, lab / "case", second)
    assert result.used == 19
    rows = {row["sha256"]: row for row in dataset(lab)["images"]}
    origins = rows[digest(encoded(1))]["provenance"]
    assert {origin["case_name"] for origin in origins} == {"case", "case 2"}
    assert [origin["case"] for origin in origins] == sorted(o["case"] for o in origins)


def test_cases_that_differ_on_an_image_leave_it_out(lab, second):
    decide(second, "b", {encoded(1): 3, encoded(70): 2})
    result = made(lab, lab / "case", second)
    assert result.reasons == {"disagreement": 1}
    assert digest(encoded(1)) not in {sample.sha256 for sample in result.samples}


def test_the_same_decisions_are_the_same_bytes(lab, second):
    decide(second, "b", {encoded(1): 1, encoded(70): 2})
    made(lab, lab / "case", second, augment=1, data=lab / "a" / "data")
    made(lab, second, lab / "case", augment=1, data=lab / "b" / "data", workers=2)
    assert files(lab / "a") == files(lab / "b")
    assert len(list((lab / "a" / "data" / "augmented").iterdir())) > 0


def test_other_decisions_are_another_set(lab):
    made(lab)
    (lab / "data" / "notes.txt").write_text("mine", encoding="utf-8")
    before = files(lab / "data")
    made(lab)
    assert files(lab / "data") == before
    decide(lab / "case", "김수사", {encoded(0): 3})
    with pytest.raises(ManifestError, match="other files than there are now"):
        made(lab)
    assert files(lab / "data") == before
    made(lab, overwrite=True)
    name = f"{digest(encoded(0))}.jpeg"
    assert not (lab / "data" / "images" / "0_irrelevant" / name).exists()
    assert (lab / "data" / "images" / "3_drug_raw" / name).exists()
    assert (lab / "data" / "notes.txt").exists()


def test_a_set_of_files_in_its_place_leaves_no_images_behind(lab):
    made(lab)
    raw = lab / "raw_data"
    shutil.move(lab / "data" / "images", raw)
    (lab / "data" / "images" / "3_drug_raw").mkdir(parents=True)
    prepare(PrepareOptions(raw=raw, data=lab / "data", augment=0, overwrite=True))
    assert not (lab / "data" / "images").exists()
    assert all("provenance" not in row for row in dataset(lab)["images"])


def test_missing_sources_are_named(lab):
    (lab / "photos").rename(lab / "elsewhere")
    (lab / "phone.zip").rename(lab / "phone.bak")
    with pytest.raises(EvidenceError) as caught:
        made(lab)
    assert caught.value.message == f"sources are missing: {lab / 'phone.zip'}, {lab / 'photos'}"
    assert not (lab / "data").exists()


def test_images_that_changed_or_went_are_named(lab):
    (lab / "photos" / "03.jpg").write_bytes(encoded(1234))
    (lab / "photos" / "07.jpg").unlink()
    with zipfile.ZipFile(lab / "phone.zip", "w") as archive:
        archive.writestr("shot.png", b"other bytes")
    with pytest.raises(IntegrityError) as caught:
        made(lab)
    assert caught.value.message == (
        "4 decided images are not what the case recorded: phone.zip/shot.png: its bytes have "
        "changed; phone.zip/forwarded.jpg: is no longer there; photos/03.jpg: its bytes have "
        "changed; photos/07.jpg: is no longer there"
    )
    assert not (lab / "data").exists()


def test_an_image_that_cannot_be_decoded_whole_is_rejected_with_its_place(lab):
    """Triage shows what there is of it; nothing is trained on it."""
    cut = encoded(80)[:-300]
    (lab / "more").mkdir()
    (lab / "more" / "cut.jpg").write_bytes(cut)
    triaged(lab / "case", lab / "more")
    decide(lab / "case", "김수사", {cut: 3})
    result = made(lab)
    assert result.reasons == {"damaged": 1}
    (row,) = dataset(lab)["rejected"]
    assert row["error"].startswith("more/cut.jpg: ")
    assert row["provenance"][0]["path"] == "more/cut.jpg"
    assert not list((lab / "data" / "images").rglob(f"{digest(cut)}*"))


def test_pictures_inside_files(lab):
    more = lab / "more"
    more.mkdir()
    frames = [Image.open(io.BytesIO(encoded(seed))) for seed in (90, 91)]
    frames[0].save(more / "document.pdf", save_all=True, append_images=frames[1:])
    frames[0].save(more / "film.gif", save_all=True, append_images=frames[1:], duration=100)
    triaged(lab / "case", more)
    with CaseStore.review(lab / "case", operator="a") as store:
        source = store.sources()[-1].id
        inside = [item for item in store.known_items(source) if item.content]
        assert len(inside) == 4
        store.decide("a", {item.content: 2 for item in inside})
    result = made(lab)
    assert {item.content for item in inside} <= {sample.sha256 for sample in result.samples}
    places = {row["provenance"][0]["path"] for row in dataset(lab)["images"]}
    assert {item.display for item in inside} <= places


def test_what_cannot_serve_is_refused(lab, second):
    with pytest.raises(ManifestError, match="nobody has decided anything"):
        made(lab, second)
    with pytest.raises(CaseError, match="is not a case"):
        made(lab, lab / "photos")
    shutil.copytree(lab / "case", lab / "copy")
    with pytest.raises(ManifestError, match="are copies of one case"):
        made(lab, lab / "case", lab / "copy")
    with pytest.raises(ManifestError, match="are copies of one case"):
        made(lab, lab / "case", lab / "case")
    for inside in (lab / "photos" / "data", lab / "case" / "data", lab):
        with pytest.raises(ManifestError, match="is inside the other"):
            made(lab, data=inside)
    with CaseStore.review(lab / "case", operator="김수사") as store:
        store.undo("김수사")
        store.decide("김수사", {digest(encoded(seed)): 0 for seed in range(4)})
    with pytest.raises(ManifestError, match="no readable image in 1_chat_history"):
        made(lab)
    assert made(lab, test_only=True).used == 4
