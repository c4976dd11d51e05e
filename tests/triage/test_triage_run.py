"""Evidence into a case: every file accounted for, once per content, resumable, nothing written."""

import hashlib
import io
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import unicodedata
import zipfile
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, NumberObject, StreamObject

from case_samples import stacks_of
from chat_samples import chat, copies
from mayak.case import CaseStore
from mayak.errors import CaseError, ConfigError, EvidenceError, IntegrityError
from mayak.i18n import render
from mayak.triage import Options, local, reading, triage
from mayak.triage.decoding import decode_files
from mayak.triage.verify import check_sources
from mayak.triage.writing import CaseWriter
from mayak.types import Engine, EvidencePath, Failure, Prediction, Scores, Sides, SilentProgress
from mayak_synthetic.exfat import volume

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs links and signals")


class Grey:
    """A classifier that only looks at the mean grey: label 0 to 3 from dark to light."""

    min_sides = Sides(10_000, 10_000)

    def __init__(self, model="grey"):
        self.engine = Engine(model, None, "fp32", "0" * 64, "1" * 64, ())
        self.seen = []

    def classify(self, images):
        for image in images:
            self.seen.append(image.sha256)
            scores = [0.1, 0.1, 0.1, 0.1]
            scores[min(3, int(image.pixels.mean() // 64))] = 0.7
            yield Prediction(
                image.sha256, Scores(tuple(scores), 0.01), False, self.engine.fingerprint
            )


def picture(number, kind="JPEG", size=(96, 64)):
    values = np.random.default_rng(number).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).resize(size, Image.Resampling.BICUBIC).save(buffer, kind)
    return buffer.getvalue()


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def phone(tmp_path):
    """A folder and an archive with all sorts of files."""
    folder = tmp_path / "사진"
    (folder / "DCIM").mkdir(parents=True)
    for number in range(3):
        (folder / "DCIM" / f"{number}.jpg").write_bytes(picture(number))
    (folder / "DCIM" / "copy of 0.dat").write_bytes(picture(0))
    (folder / "notes.txt").write_text("hello", encoding="utf-8")
    (folder / "empty.jpg").touch()
    (folder / "icon.png").write_bytes(picture(7, "PNG", (16, 16)))
    (folder / "broken.jpg").write_bytes(picture(8)[:60])
    (folder / "scrambled.jpg").write_bytes(b"nothing that anyone knows")
    archive = zipped(
        tmp_path / "phone.zip",
        {"a/1.jpg": picture(1), "b/9.png": picture(9, "PNG"), "readme": b"text"},
    )
    return folder, archive


def run(case, *sources, classifier=None, **options):
    settings = Options(sources=sources, case=case, operator="김수사", workers=2, **options)
    return triage(settings, classifier or Grey(), SilentProgress())


def told(case, source=None):
    """{path with entry numbers: what became of it}, of the whole case."""
    with CaseStore.read(case) as store:
        return {
            numbered(item): item.content or (item.failure or item.exclusion)
            for recorded in store.sources()
            for item in store.known_items(recorded.id)
        }


def numbered(item):
    try:
        return EvidencePath.from_json(item.location).numbered
    except ValueError:  # a gap of a container
        return json.loads(item.location)["path"]


def compare(store, progress=None):
    """The faults of the sources, and which of them are not there."""
    faults, compared = check_sources(store, progress or SilentProgress())
    return faults, [one.path for one in compared if one.absent]


def digests(*roots):
    files = [p for root in roots for p in ([root] if root.is_file() else root.rglob("*"))]
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.is_file()}


def test_every_file_is_accounted_for_and_nothing_is_written_to_the_sources(tmp_path, phone):
    before = digests(*phone)
    summary = run(tmp_path / "case", *phone)

    assert digests(*phone) == before
    counts = summary.counts
    assert (counts.items, counts.contents, counts.failures, counts.exclusions) == (12, 6, 2, 4)
    assert counts.is_balanced
    assert counts.distinct_contents == 4
    assert sum(summary.labels.values()) == 4
    assert summary.exclusions == {"no-pictures": 2, "empty": 1, "too-small": 1}
    found = told(tmp_path / "case")
    assert found["사진/DCIM/0.jpg"] == found["사진/DCIM/copy of 0.dat"]
    assert found["사진/DCIM/1.jpg"] == found["phone.zip/a/1.jpg"]
    assert found["사진/broken.jpg"].stage == "decode"
    assert "does not begin like any known image format" in found["사진/scrambled.jpg"].message
    with CaseStore.read(tmp_path / "case") as store:
        assert store.verify() == []
        assert [len(s.hashes) for s in store.sources()] == [0, 1]
        # A folder states UTC, this ZIP the clock of whoever wrote it.
        assert {item.times.zone_known for item in store.known_items(1)} == {True}
        assert {item.times.zone_known for item in store.known_items(2)} == {False}
        assert store.sources()[1].hashes[0].sha256 == before[phone[1]]
        assert compare(store) == ([], [])


def pictures(folder, count):
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:02}.jpg").write_bytes(picture(number))
    return folder


def in_case(case):
    """Items and results that are on disk."""
    with CaseStore.read(case) as store:
        return store.counts().items, sum(run.predictions for run in store.runs())


@pytest.mark.parametrize("waiting", [1 << 28, 1], ids=["room for all", "no room"])
def test_what_a_model_has_said_is_on_disk_while_it_goes_on(tmp_path, monkeypatch, waiting):
    folder = pictures(tmp_path / "x", 48)
    on_disk = []
    monkeypatch.setattr("mayak.triage.writing._SECONDS", 0.3)
    monkeypatch.setattr("mayak.triage.pipeline._PREDICTION_WAIT_S", 0.1)
    monkeypatch.setattr("mayak.triage.pipeline._MAX_IMAGES", waiting)
    # So many are taken at once; with more, those that are not asked for yet make room.
    monkeypatch.setattr("mayak.triage.bounded_queue._MAX_TAKEN", 4)

    class Gathering(Grey):
        """Takes eight images, thinks for a while, and answers for all."""

        def classify(self, images):
            stream, said = iter(images), 0
            while window := list(islice(stream, 8)):
                for _ in range(1000):
                    if (written := in_case(tmp_path / "case")[1]) == said:
                        break
                    time.sleep(0.1)
                on_disk.append(written)
                said += len(window)
                yield from super().classify(window)

    run(tmp_path / "case", folder, classifier=Gathering())
    assert on_disk == [0, 8, 16, 24, 32, 40]


@posix
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_while_the_last_is_written_leaves_it_written(tmp_path, monkeypatch, times):
    folder = pictures(tmp_path / "x", 40)
    flush = CaseWriter.flush

    def interrupted(writer):
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
        flush(writer)

    monkeypatch.setattr("mayak.triage.writing._SECONDS", 1e9)  # one flush, however slow it is
    monkeypatch.setattr(CaseWriter, "flush", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "case", folder)
    assert in_case(tmp_path / "case") == (40, 40)
    monkeypatch.setattr(CaseWriter, "flush", flush)
    assert sum(run(tmp_path / "case", folder).labels.values()) == 40


def test_what_was_read_before_the_source_went_away_is_classified(tmp_path, monkeypatch):
    folder = pictures(tmp_path / "x", 40)

    class Away(reading.SourceIdentity):
        def require(self):
            raise EvidenceError(f"{self.path} is gone")

    class Slow(Grey):
        def classify(self, images):
            for prediction in super().classify(images):
                time.sleep(0.02)
                yield prediction

    monkeypatch.setattr(reading, "SourceIdentity", Away)
    with pytest.raises(EvidenceError, match="is gone"):
        run(tmp_path / "case", folder, classifier=Slow())
    assert in_case(tmp_path / "case") == (40, 40)


def test_a_case_that_cannot_be_written_ends_the_run(tmp_path, monkeypatch):
    folder = pictures(tmp_path / "x", 40)

    def full(*_):
        raise CaseError("the disk is full")

    monkeypatch.setattr(CaseStore, "add_results", full)
    with pytest.raises(CaseError, match="the disk is full"):
        run(tmp_path / "case", folder)
    monkeypatch.undo()
    assert sum(run(tmp_path / "case", folder).labels.values()) == 40


@pytest.mark.parametrize("waiting", [1 << 28, 1], ids=["room for all", "no room"])
def test_a_classifier_that_ends_before_its_images_is_a_fault(tmp_path, monkeypatch, waiting):
    folder = pictures(tmp_path / "x", 60)
    monkeypatch.setattr("mayak.triage.pipeline._MAX_IMAGES", waiting)
    monkeypatch.setattr("mayak.triage.reading._MAX_OUTCOMES", 1)
    monkeypatch.setattr("mayak.triage.bounded_queue._MAX_TAKEN", 2)

    class Hasty(Grey):
        def classify(self, images):
            return islice(super().classify(images), 3)

    with pytest.raises(RuntimeError, match="ended before"):
        run(tmp_path / "case", folder, classifier=Hasty())


class Counted(SilentProgress):
    """Adds up what triage's own task is told."""

    done, total = 0, None

    @contextmanager
    def task(self, name, total, unit):
        with super().task(name, total, unit) as silent:
            yield self if name == "triage" else silent

    def advance(self, steps=1, **figures):
        self.done += steps

    def expect(self, total):
        self.total = total


def test_an_image_is_done_when_the_model_has_answered(tmp_path):
    folder = pictures(tmp_path / "x", 20)
    (folder / "note.txt").write_text("no image")
    progress = Counted()
    seen = []

    class Slow(Grey):
        def classify(self, images):
            images = list(images)
            seen.append((progress.done, progress.total))
            yield from super().classify(images)
            deadline = time.monotonic() + 100
            while progress.done < progress.total and time.monotonic() < deadline:
                time.sleep(0.01)
            seen.append((progress.done, progress.total))

    settings = Options(sources=(folder,), case=tmp_path / "case", operator="Tester", workers=2)
    triage(settings, Slow(), progress)
    assert seen == [(1, 21), (21, 21)]


def test_the_progress_ends_at_its_total(tmp_path, phone):
    folder = phone[0]

    def total(**options):
        progress = Counted()
        settings = Options(phone, tmp_path / "case", operator="Tester", workers=2, **options)
        summary = triage(settings, Grey(), progress)
        assert progress.done == progress.total
        return progress.total, summary

    first, summary = total()
    assert first == summary.counts.items
    again, _ = total()
    assert again == summary.counts.exclusions + summary.counts.failures
    *_, gone, changed = sorted((folder / "DCIM").glob("*.jpg"))
    gone.unlink()
    changed.write_bytes(picture(99))
    with_changes, _ = total(accept_damaged=True)
    assert with_changes == again + 3  # the vanished one, and the changed one before and after


def test_the_same_bytes_are_classified_once(tmp_path, phone):
    grey = Grey()
    run(tmp_path / "case", *phone, classifier=grey)
    assert len(grey.seen) == len(set(grey.seen)) == 4


def unrecorded(case, entry):
    item = told(case)[entry.path.numbered]
    assert not isinstance(item, str), entry
    return item


def test_running_again_does_nothing_and_another_model_runs_beside(tmp_path, phone):
    case = tmp_path / "case"
    first = run(case, *phone)
    again = Grey()
    assert run(case, *phone, classifier=again) == first
    assert again.seen == []
    with pytest.MonkeyPatch.context() as patch:  # nor is anything read that was taken in
        patch.setattr(reading, "read", lambda entry: unrecorded(case, entry))
        assert run(case, *phone) == first
    other = Grey("other")
    second = run(case, *phone, classifier=other)
    assert (second.run, len(other.seen)) == (2, 4)
    assert second.counts == first.counts
    with CaseStore.read(case) as store:
        assert [r.predictions for r in store.runs()] == [4, 4]
        assert all(r.finished for r in store.runs())


def test_a_source_can_be_added_later(tmp_path, phone):
    case = tmp_path / "case"
    run(case, phone[0])
    grey = Grey()
    summary = run(case, phone[1], classifier=grey)
    assert summary.counts.items == 12
    assert len(grey.seen) == 1


def test_what_options_left_out_comes_in_without_them(tmp_path, phone):
    case = tmp_path / "case"
    known = tmp_path / "known.txt"
    known.write_text(
        hashlib.new("md5", picture(2), usedforsecurity=False).hexdigest(), encoding="ascii"
    )
    first = run(case, phone[0], exclude=("*/0.jpg",), known_good=(known,), include=("사진/DCIM/*",))
    assert first.exclusions == {"include": 5, "exclude": 1, "known-good": 1}
    assert first.counts.is_balanced
    second = run(case, phone[0], min_pixels=0)
    assert second.exclusions == {"no-pictures": 1, "empty": 1}
    assert second.counts.contents == 5
    assert second.counts == run(tmp_path / "fresh", phone[0], min_pixels=0).counts
    with CaseStore.read(case) as store:
        assert store.verify() == []


def test_patterns_match_names_that_a_mac_has_taken_apart(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    for number, name in enumerate(("사진 1.jpg", "메모.jpg")):
        (folder / unicodedata.normalize("NFD", name)).write_bytes(picture(number))
    assert run(tmp_path / "case", folder, include=("*/사진*",)).exclusions == {"include": 1}
    typed = unicodedata.normalize("NFD", "*/메모.jpg")
    assert run(tmp_path / "other", folder, exclude=(typed,)).exclusions == {"exclude": 1}


def test_since_leaves_out_what_is_older_but_not_what_has_no_time(tmp_path, phone):
    old = datetime(2020, 1, 1, tzinfo=UTC).timestamp()
    os.utime(phone[0] / "DCIM" / "0.jpg", (old, old))
    summary = run(tmp_path / "case", phone[0], since=datetime(2021, 1, 1, tzinfo=UTC))
    assert summary.exclusions["since"] == 1
    assert "2020-01-01" in told(tmp_path / "case")["사진/DCIM/0.jpg"].reason


def test_a_known_bad_file_raises_an_alert_and_comes_first(tmp_path, phone):
    known = tmp_path / "bad.csv"
    known.write_text(
        f"sha1\n{hashlib.new('sha1', picture(2), usedforsecurity=False).hexdigest()}\n",
        encoding="ascii",
    )
    assert run(tmp_path / "case", *phone).alerts == 0
    summary = run(tmp_path / "case", *phone, known_bad=(known,))  # the list came later
    assert summary.alerts == 1
    with CaseStore.read(tmp_path / "case") as store:
        first = store.results(summary.run, limit=1)[0]
    assert (first.display, first.alerts) == ("사진/DCIM/2.jpg", ("bad.csv",))


def test_an_alert_is_in_the_case_before_the_model_has_seen_anything(tmp_path, phone):
    known, case = tmp_path / "bad.txt", tmp_path / "case"
    known.write_text(hashlib.sha256(picture(0)).hexdigest() + "\n", encoding="ascii")
    found = []

    class Looking(Grey):
        def classify(self, images):
            for prediction in super().classify(images):
                with CaseStore.read(case) as store:
                    found.append(len(list(store.alerts())))
                yield prediction

    run(case, *phone, classifier=Looking(), known_bad=(known,))
    assert found[0] == 1


def test_files_that_are_looked_for_are_neither_harmless_nor_too_small(tmp_path, phone):
    folder, _ = phone
    small, cut = picture(7, "PNG", (16, 16)), picture(8)[:60]
    both = "".join(f"{hashlib.sha256(data).hexdigest()}\n" for data in (picture(0), small, cut))
    for name in ("good.txt", "bad.txt"):
        (tmp_path / name).write_text(both, encoding="ascii")
    lists = {"known_good": (tmp_path / "good.txt",), "known_bad": (tmp_path / "bad.txt",)}
    summary = run(tmp_path / "case", folder, **lists)
    assert summary.alerts == 2 and summary.exclusions == {"no-pictures": 1, "empty": 1}
    assert "its sha256 is in bad.txt" in told(tmp_path / "case")["사진/broken.jpg"].message
    good = run(tmp_path / "good", folder, known_good=lists["known_good"])
    assert good.exclusions["known-good"] == 4
    reason = told(tmp_path / "good")["사진/DCIM/0.jpg"].reason
    assert hashlib.sha256(picture(0)).hexdigest() in reason


def test_since_gives_a_clock_of_unknown_zone_the_benefit_of_the_doubt(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for hour, day in ((16, 1), (1, 1)):
            name = zipfile.ZipInfo(f"{hour}.jpg", (2026, 1, day, hour, 0, 0))
            archive.writestr(name, picture(hour))
    since = datetime(2026, 1, 1, 17, tzinfo=UTC)
    run(tmp_path / "case", tmp_path / "x.zip", since=since)
    left_out = {name for name, what in told(tmp_path / "case").items() if not isinstance(what, str)}
    assert left_out == {"x.zip/1.jpg"}


def test_the_limit_stops_and_the_next_run_goes_on(tmp_path, phone):
    summary = run(tmp_path / "case", *phone, limit=4)  # a broken one and an icon are of them
    assert summary.is_limited
    assert summary.counts.distinct_contents == 2
    assert run(tmp_path / "case", *phone).counts == run(tmp_path / "fresh", *phone).counts


def test_the_log_says_whether_triage_came_to_the_end_of_its_sources(tmp_path, phone, monkeypatch):
    def finished(case):
        with CaseStore.read(case) as store:
            found = [entry.detail for entry in store.log() if entry.action == "triage finished"]
        return [(detail["sources"], detail["limited"]) for detail in found]

    case = tmp_path / "case"
    run(case, *phone, limit=2)
    run(case, *phone)
    assert finished(case) == [([1, 2], True), ([1, 2], False)]
    cut_off(tmp_path / "cut off", phone[0])
    assert finished(tmp_path / "cut off") == []


def test_images_in_documents_and_archives_lie_at_their_place(tmp_path):
    pages = [Image.open(io.BytesIO(picture(n))) for n in (1, 2)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "PDF", save_all=True, append_images=pages[1:])
    inner = tmp_path / "word.docx"
    zipped(inner, {"word/media/image1.png": picture(5, "PNG"), "word/document.xml": b"<x/>"})
    source = zipped(
        tmp_path / "mail.zip", {"scan.pdf": buffer.getvalue(), "word.docx": inner.read_bytes()}
    )
    run(tmp_path / "case", source)
    found = told(tmp_path / "case")
    images = [path for path, outcome in found.items() if isinstance(outcome, str)]
    assert len(images) == 3
    assert "mail.zip/word.docx/word/media/image1.png" in images
    assert sum(path.startswith("mail.zip/scan.pdf/page ") for path in images) == 2
    assert found["mail.zip/scan.pdf"].rule == "document"


def test_a_pdf_may_begin_a_little_later_and_hold_two_pictures_of_one_name(tmp_path):
    """A picture ``B`` in a form ``A``, and one whose name has a slash in it: ``A/B``."""
    writer = PdfWriter()
    page = writer.add_blank_page(100, 100)
    images = []
    for number in (1, 2):
        image = StreamObject()
        image.set_data(picture(number))
        entries = {"Subtype": "Image", "ColorSpace": "DeviceRGB", "Filter": "DCTDecode"}
        image.update({NameObject(f"/{k}"): NameObject(f"/{v}") for k, v in entries.items()})
        for side, length in (("Width", 96), ("Height", 64), ("BitsPerComponent", 8)):
            image[NameObject(f"/{side}")] = NumberObject(length)
        images.append(writer._add_object(image))
    form = StreamObject()
    drawn = ((form, {"B": images[0]}), (page, {"A": writer._add_object(form), "A/B": images[1]}))
    for holder, objects in drawn:
        entries = DictionaryObject({NameObject(f"/{k}"): v for k, v in objects.items()})
        holder[NameObject("/Resources")] = DictionaryObject({NameObject("/XObject"): entries})
    buffer = io.BytesIO(b"\xef\xbb\xbf\n")
    buffer.seek(4)
    writer.write(buffer)
    source = zipped(tmp_path / "a.zip", {"scan": buffer.getvalue()})

    summary = run(tmp_path / "case", source)

    assert (summary.counts.contents, summary.counts.exclusions) == (2, 1)
    assert run(tmp_path / "case", source) == summary
    names = {"a.zip/scan", "a.zip/scan/page 1/A/B", "a.zip/scan/page 1/A/B (2)"}
    assert set(told(tmp_path / "case")) == names


def test_what_a_zip_does_not_list_comes_in_and_stays(tmp_path):
    first = zipped(tmp_path / "first.zip", {"1.jpg": picture(1), "notes": b"text"})
    second = zipped(tmp_path / "second.zip", {"2.jpg": picture(2)})
    (tmp_path / "a.zip").write_bytes(first.read_bytes() + second.read_bytes() + b"?" * 100)

    summary = run(tmp_path / "case", tmp_path / "a.zip")

    assert run(tmp_path / "case", tmp_path / "a.zip") == summary
    found = told(tmp_path / "case")
    digest = hashlib.sha256(picture(1)).hexdigest()
    assert found.pop("a.zip/[unlisted]/1.jpg#2") == digest
    assert found.pop("a.zip/[unlisted]/notes#3").rule == "no-pictures"
    assert found.pop("a.zip").message == "100 bytes that no entry of the directory names"
    assert list(found) == ["a.zip/2.jpg"]
    with CaseStore.read(tmp_path / "case") as store:
        assert compare(store) == ([], [])


def test_pictures_that_are_programs_are_left_out_as_such(tmp_path):
    members = {"logo.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n", "map.wmf": b"\xd7\xcd\xc6\x9a" + bytes(40)}
    run(tmp_path / "case", zipped(tmp_path / "a.zip", members))
    assert [outcome.rule for outcome in told(tmp_path / "case").values()] == ["program"] * 2


def test_documents_in_a_folder_do_not_look_deleted_to_verify(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    Image.open(io.BytesIO(picture(1))).save(folder / "scan.pdf")
    assert run(tmp_path / "case", folder).counts.contents == 1
    with CaseStore.read(tmp_path / "case") as store:
        assert compare(store) == ([], [])


def document(*numbers):
    pages = [Image.open(io.BytesIO(picture(n))) for n in numbers]
    buffer = io.BytesIO()
    pages[0].save(buffer, "PDF", save_all=True, append_images=pages[1:])
    return buffer.getvalue()


def test_a_changed_document_of_a_folder_is_named_and_stops_the_next_run(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    scan = folder / "scan.pdf"
    scan.write_bytes(document(1, 2))
    counts = run(tmp_path / "case", folder).counts
    for changed in (document(3, 4), b"%PDF-1.4 in ruins", b"no document"):
        scan.write_bytes(changed)
        with CaseStore.read(tmp_path / "case") as store:
            ((fault,), _) = compare(store)
        assert (fault.problem, "scan.pdf" in fault.message) == ("changed", True)
        with pytest.raises(IntegrityError, match=r"scan\.pdf"):
            run(tmp_path / "case", folder)
    scan.unlink()
    with CaseStore.read(tmp_path / "case") as store:
        ((fault,), _) = compare(store)
    assert (fault.problem, "scan.pdf" in fault.message) == ("deleted", True)

    scan.write_bytes(document(3, 4))
    summary = run(tmp_path / "case", folder, classifier=Grey("other"), accept_damaged=True)
    assert (counts.contents, summary.counts.contents, summary.without_result) == (2, 4, 0)
    with CaseStore.read(tmp_path / "case") as store:
        assert [(r.predictions, r.failures) for r in store.runs()] == [(2, 0), (2, 2)]
        assert store.verify() == []


def test_a_folder_that_became_an_archive_is_not_what_it_was(tmp_path, phone):
    run(tmp_path / "case", phone[0])
    shutil.rmtree(phone[0])
    shutil.copy(phone[1], phone[0])
    with CaseStore.read(tmp_path / "case") as store:
        ((fault,), _) = compare(store)
    assert (fault.problem, "folder → ZIP archive" in fault.message) == ("changed", True)


@pytest.mark.skipif(sys.platform != "linux", reason="needs raw names")
def test_a_source_whose_name_is_no_utf8_is_verified(tmp_path, phone):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xc1\xf5\xb0\xc5"))
    phone[0].rename(folder)
    run(tmp_path / "case", folder)
    with CaseStore.read(tmp_path / "case") as store:
        assert compare(store) == ([], [])
        (folder / "DCIM" / "2.jpg").unlink()
        ((fault,), absent) = compare(store)
    assert (fault.problem, absent) == ("deleted", [])
    assert "2.jpg" in fault.message


def test_one_bad_file_costs_itself(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    text = struct.pack(">I4s", 4, b"tEXt") + b"a\0bc" + b"BAD!"  # a wrong checksum
    png = picture(1, "PNG")
    (folder / "a.png").write_bytes(png[:33] + text + png[33:])
    (folder / "b.png").write_bytes(png)
    (folder / "film.mpg").write_bytes(b"\0\0\1\xba" + bytes(600))
    summary = run(tmp_path / "case", folder)
    assert (summary.counts.contents, summary.failures) == (2, 1)


def test_a_member_with_a_wrong_checksum_is_not_read(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"1.jpg": picture(1), "2.jpg": picture(2)})
    data = bytearray(archive.read_bytes())
    data[200] ^= 1
    archive.write_bytes(data)
    run(tmp_path / "case", archive)
    bad = told(tmp_path / "case")["a.zip/1.jpg"]
    assert bad.error == "Unreadable"
    assert "1.jpg" in bad.message


def test_another_model_over_one_source_says_how_many_are_left(tmp_path, phone):
    case = tmp_path / "case"
    run(case, *phone)
    summary = run(case, phone[1], classifier=Grey("other"))
    assert (summary.without_result, sum(summary.labels.values())) == (2, 2)
    whole = run(case, phone[0], classifier=Grey("other"), min_pixels=1000)
    assert (whole.without_result, sum(whole.labels.values())) == (0, 4)
    assert whole.counts == run(case, *phone).counts


def test_a_file_whose_bytes_were_left_out_before_takes_its_copies_in(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "b.jpg").write_bytes(picture(1))
    run(tmp_path / "case", folder, exclude=("*/b.jpg",))
    (folder / "c.jpg").write_bytes(picture(1))
    assert run(tmp_path / "case", folder).counts.contents == 2


def test_a_failing_file_fails_at_each_of_its_places_and_is_tried_again(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(picture(1)[:60])
    assert run(tmp_path / "case", folder).failures == 2
    (folder / "a.jpg").write_bytes(picture(1))
    summary = run(tmp_path / "case", folder)
    assert (summary.failures, summary.counts.contents) == (1, 1)
    with CaseStore.read(tmp_path / "case") as store:
        assert store.verify() == []


def test_a_source_that_changed_stops_the_run_until_it_is_accepted(tmp_path, phone):
    case = tmp_path / "case"
    run(case, *phone)
    zipped(phone[1], {"a/1.jpg": picture(1), "new.jpg": picture(20)})
    for _ in range(2):  # the refusal must not become the new truth
        with pytest.raises(IntegrityError, match="changed"):
            run(case, *phone)
    summary = run(case, *phone, accept_damaged=True)
    assert summary.damaged == [str(phone[1]), "phone.zip/b/9.png"]  # which is gone
    with CaseStore.read(case) as store:
        readings = store.sources()[1].hashes
        actions = [entry.action for entry in store.log()]
    assert [r.accepted_damaged for r in readings] == [False, True]
    assert actions.count("refuse source") == 2


def cut_off(case, *sources):
    """A run that ends before the hash of a source is taken."""

    def never(self, progress, stop):
        stop.wait()
        raise CancelledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mayak.evidence.Source.acquire", never)
        patch.setattr("mayak.triage.acquisition.Acquisitions.finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(case, *sources)


def interrupt(*_, **__):
    raise KeyboardInterrupt


def test_a_run_cut_off_before_the_hash_goes_on_once_every_file_is_compared(tmp_path, phone):
    case, archive = tmp_path / "case", phone[1]
    cut_off(case, archive)
    with CaseStore.read(case) as store:
        assert store.verify() == [] and store.sources()[0].hashes == ()
        assert compare(store) == ([], [])
    classifier = Grey()
    summary = run(case, archive, classifier=classifier)
    assert classifier.seen == [] and summary.counts.contents == 2
    with CaseStore.read(case) as store:
        assert store.sources()[0].hashes[0].sha256 == digests(archive)[archive]
    assert told(case) == told(case_of(tmp_path, archive))


def case_of(tmp_path, source):
    run(tmp_path / "whole", source)
    return tmp_path / "whole"


@pytest.mark.parametrize(
    ("members", "told_of"),
    [
        ({"a/1.jpg": picture(31), "b/9.png": picture(9, "PNG")}, r"1\.jpg: has changed"),
        ({"a/1.jpg": picture(1)}, r"9\.png: is no longer there"),
    ],
)
def test_a_source_that_changed_before_its_hash_was_taken_is_not_gone_on_with(
    tmp_path, phone, members, told_of
):
    case, archive = tmp_path / "case", phone[1]
    cut_off(case, archive)
    zipped(archive, members | {"readme": b"text"})
    with CaseStore.read(case) as store:
        (fault,) = compare(store)[0]
    assert fault.problem in ("changed", "deleted")
    for _ in range(2):
        with pytest.raises(IntegrityError, match=told_of):
            run(case, archive)
    with CaseStore.read(case) as store:
        assert store.sources()[0].hashes == ()


def test_a_limit_does_not_prove_a_source_that_changed_before_its_hash_was_taken(tmp_path, phone):
    case, archive = tmp_path / "case", phone[1]
    cut_off(case, archive)
    zipped(archive, {"b/9.png": picture(9, "PNG"), "new.jpg": picture(40), "readme": b"text"})
    run(case, archive, limit=0)
    with pytest.raises(IntegrityError, match=r"1\.jpg: is no longer there"):
        run(case, archive)


def test_a_source_that_cannot_be_read_to_its_end_goes_on_without_a_hash_if_accepted(
    tmp_path, phone, monkeypatch
):
    def breaks_off(self, *_):
        raise EvidenceError("the last piece is missing", remedy="find it")

    monkeypatch.setattr("mayak.evidence.Source.acquire", breaks_off)
    case, archive = tmp_path / "case", phone[1]
    with pytest.raises(EvidenceError, match=r"last piece is missing.*--accept-damaged"):
        run(case, archive)
    summary = run(case, archive, accept_damaged=True)
    assert (summary.damaged, summary.counts.contents) == ([str(archive)], 2)
    with CaseStore.read(case) as store:
        assert store.sources()[0].hashes == ()
        said = [entry.action for entry in store.log()]
    assert said.count("source cannot be hashed") == 2


def test_a_damaged_e01_in_a_folder_is_no_less_damaged(tmp_path, phone):
    folder, case = phone[0], tmp_path / "case"
    images = Path(__file__).parents[1] / "evidence" / "images"
    shutil.copy(images / "damaged.E01", folder)
    with pytest.raises(IntegrityError, match=r"damaged\.E01.*stored hash"):
        run(case, folder)
    summary = run(case, folder, accept_damaged=True)
    assert summary.damaged == ["사진/damaged.E01"]
    with CaseStore.read(case) as store:
        assert store.failure_counts()["HashMismatch"] == 1 and store.verify() == []
    shutil.copy(images / "phone.E01", folder)  # one that is whole
    assert run(case, folder, accept_damaged=True).damaged == ["사진/damaged.E01"]


def test_a_document_with_a_password_is_not_read(tmp_path):
    head = bytearray(512)
    head[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<H", head, 30, 9)  # sectors of 512 bytes, the directory in the first
    entry = "EncryptedPackage".encode("utf-16-le").ljust(128, b"\0")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "계약.docx").write_bytes(bytes(head) + entry * 4)
    summary = run(tmp_path / "case", tmp_path / "x")
    assert (summary.failures, summary.counts.exclusions) == (1, 0)
    assert told(tmp_path / "case")["x/계약.docx"].error == "Encrypted"


def test_a_disk_image_cut_off_before_its_hash_goes_on(tmp_path):
    disk, case = tmp_path / "disk.dd", tmp_path / "case"
    names = {f"DCIM/{number}.jpg": picture(number) for number in range(4)}
    archive = zipped(tmp_path / "saved.zip", {"kept.jpg": picture(9)}).read_bytes()
    # A partition table with one entry: exFAT from sector 8 on.
    size = len(inner := volume(names | {"saved.zip": archive}, {"DCIM/2.jpg"}))
    entry = struct.pack("<8sII", bytes([0, 0, 0, 0, 7, 0, 0, 0]), 8, size // 512)
    disk.write_bytes((bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa" + bytes(7 * 512) + inner)
    cut_off(case, disk)
    assert run(case, disk).counts.contents == 5
    assert told(case) == told(case_of(tmp_path, disk))


def test_faults_are_told_in_the_users_language_and_recorded_in_english(tmp_path, phone):
    folder, case = phone[0], tmp_path / "case"
    (folder / "cut.zip").write_bytes(phone[1].read_bytes()[:20])
    run(case, folder)
    (folder / "DCIM" / "1.jpg").unlink()
    with pytest.raises(IntegrityError) as raised:
        run(case, folder)
    assert "더 이상 없습니다" in render(raised.value.message, "ko")
    recorded = [each.message for each in told(case).values() if isinstance(each, Failure)]
    assert any("container cannot be entered" in message for message in recorded)
    assert all(message.isascii() for message in recorded)


def test_a_changed_file_of_a_folder_is_named_by_verify(tmp_path, phone):
    run(tmp_path / "case", *phone)
    (phone[0] / "DCIM" / "1.jpg").write_bytes(picture(30))
    (phone[0] / "DCIM" / "2.jpg").unlink()
    phone[1].unlink()
    with CaseStore.read(tmp_path / "case") as store:
        faults, absent = compare(store)
    assert absent == [str(phone[1])]
    assert [f.problem for f in faults] == ["changed", "deleted"]
    assert "1.jpg" in faults[0].message


def test_a_changed_file_is_not_scored_as_what_it_was(tmp_path, phone):
    case = tmp_path / "case"
    run(case, phone[0])
    (phone[0] / "DCIM" / "1.jpg").write_bytes(picture(30))
    for classifier in (Grey(), Grey("other")):
        with pytest.raises(IntegrityError, match=r"1\.jpg.*changed"):
            run(case, phone[0], classifier=classifier)


def test_a_file_that_was_only_touched_is_the_same(tmp_path, phone):
    first = run(tmp_path / "case", phone[0])
    os.utime(phone[0] / "DCIM" / "1.jpg", (0, 0))
    again = Grey()
    assert run(tmp_path / "case", phone[0], classifier=again) == first
    assert again.seen == []


def film(greys, kind="GIF"):
    frames = [Image.new("L", (64, 48), grey) for grey in greys]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=100)
    return buffer.getvalue()


def test_the_further_pictures_of_an_animation_and_a_scan_are_files_of_their_own(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.gif").write_bytes(film([10, 20, 30, 40, 50, 60, 230]))
    (folder / "scan.tif").write_bytes(film(range(5, 255, 10), "TIFF"))
    grey = Grey()
    summary = run(tmp_path / "case", folder, classifier=grey)

    found = told(tmp_path / "case")
    frames = {name for name in found if name.startswith("photos/a.gif/")}
    assert frames == {f"photos/a.gif/frame {n}" for n in (3, 5, 7)}
    assert sum(name.startswith("photos/scan.tif/page") for name in found) == 24
    assert (summary.counts.items, summary.counts.contents) == (29, 29)
    assert set(grey.seen) == set(found.values())
    with CaseStore.read(tmp_path / "case") as store:
        # The last frame is bright; the digest is that of the frame as PPM.
        assert (
            next(
                p.scores.label
                for p in store.predictions(1)
                if p.sha256 == found["photos/a.gif/frame 7"]
            )
            == 3
        )
        ppm = b"P6\n64 48\n255\n" + bytes([230]) * (64 * 48 * 3)
        assert found["photos/a.gif/frame 7"] == hashlib.sha256(ppm).hexdigest()
        assert compare(store) == ([], [])


@pytest.mark.parametrize("damaged", [False, True])
def test_a_first_page_that_gives_no_picture_does_not_cost_the_others(tmp_path, damaged):
    folder = tmp_path / "photos"
    folder.mkdir()
    first, *pages = (Image.new("L", (64, 48), grey) for grey in (10, 60, 120))
    if not damaged:  # too small, as the previews that some scanners put first
        first = first.resize((8, 8))
    buffer = io.BytesIO()
    first.save(buffer, "TIFF", save_all=True, append_images=pages, compression="tiff_adobe_deflate")
    scan = bytearray(buffer.getvalue())
    if damaged:
        with Image.open(buffer) as image:
            (start,), (length,) = image.tag_v2[273], image.tag_v2[279]
        scan[start : start + length] = b"\xff" * length
    (folder / "scan.tif").write_bytes(scan)
    summary = run(tmp_path / "case", folder)

    counts = summary.counts
    assert (counts.items, counts.contents) == (3, 2)
    assert (counts.exclusions, counts.failures) == ((0, 1) if damaged else (1, 0))
    assert run(tmp_path / "case", folder).counts == counts


class Tired(Grey):
    """Stops like a killed process after so many images."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def classify(self, images):
        for number, prediction in enumerate(super().classify(images)):
            if number == self.after:
                raise KeyboardInterrupt
            yield prediction


@pytest.mark.parametrize("after", [1, 5, 12, 24])
def test_a_run_cut_off_inside_a_file_goes_on_with_what_is_left_of_it(tmp_path, after):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "scan.tif").write_bytes(film(range(5, 255, 10), "TIFF"))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "case", folder, classifier=Tired(after))
    rest = Grey()
    summary = run(tmp_path / "case", folder, classifier=rest)

    assert (summary.counts.contents, summary.without_result) == (25, 0)
    assert len(rest.seen) == 25 - after
    with CaseStore.read(tmp_path / "case") as store:
        assert store.runs()[0].predictions == 25
        assert store.verify() == []


def brittle(work):
    """Dies over the third, the twentieth and the last page of a scan."""
    for request in work[1]:
        if request.part and {2, 19, 24} & set(range(request.part, request.part + request.n_parts)):
            os._exit(1)
    return decode_files(work)


def very_brittle(work):
    """Dies over every page but the first."""
    if any(request.part for request in work[1]):
        os._exit(1)
    return decode_files(work)


@pytest.mark.parametrize(("fragile", "had", "tried"), [(brittle, 22, 3), (very_brittle, 1, 3)])
def test_pages_that_could_not_be_had_are_named_and_tried_again(
    tmp_path, monkeypatch, fragile, had, tried
):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "scan.tif").write_bytes(film(range(5, 255, 10), "TIFF"))
    monkeypatch.setattr(local, "decode_files", fragile)
    counts = run(tmp_path / "case", folder).counts
    assert (counts.items, counts.contents, counts.failures) == (25, had, 25 - had)
    with CaseStore.read(tmp_path / "case") as store:
        failed = [item.failure for item in store.known_items(1) if item.failure]
        assert sum(failure.error == "crashed" for failure in failed) == tried
        assert {failure.path for failure in failed} <= {
            f"photos/scan.tif/page {n}" for n in range(2, 26)
        }
    monkeypatch.undo()
    counts = run(tmp_path / "case", folder).counts

    assert (counts.items, counts.contents, counts.failures) == (25, 25, 0)


@posix
def test_what_could_not_be_had_once_is_one_file_when_it_can(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "1.jpg").symlink_to("elsewhere")
    assert run(tmp_path / "case", folder).exclusions == {"SymbolicLink": 1}
    (folder / "1.jpg").unlink()
    (folder / "1.jpg").write_bytes(picture(1))
    summary = run(tmp_path / "case", folder)

    assert (summary.counts.items, summary.counts.contents, summary.exclusions) == (1, 1, {})


def test_an_accepted_change_costs_the_content_its_result_and_not_the_run(tmp_path, phone):
    folder, _ = phone
    run(tmp_path / "case", folder)
    (folder / "DCIM" / "2.jpg").write_bytes(picture(77))
    with pytest.raises(IntegrityError, match=r"2\.jpg: has changed"):
        run(tmp_path / "case", folder, classifier=Grey("other"))
    summary = run(tmp_path / "case", folder, classifier=Grey("other"), accept_damaged=True)

    assert (summary.run, summary.without_result) == (2, 0)
    with CaseStore.read(tmp_path / "case") as store:
        # What lies there now is a picture of its own.
        assert [(r.predictions, r.failures) for r in store.runs()] == [(3, 0), (3, 1)]
        assert store.verify() == [] and compare(store) == ([], [])
    assert "사진/DCIM/2.jpg#2" in told(tmp_path / "case")
    again = Grey("other")
    assert summary.damaged == ["사진/DCIM/2.jpg"]
    accepted_once = replace(summary, damaged=[])
    assert run(tmp_path / "case", folder, classifier=again) == accepted_once
    assert again.seen == []


def test_an_accepted_archive_gives_what_is_new_in_it(tmp_path, phone):
    case, archive = tmp_path / "case", phone[1]
    run(case, archive)
    zipped(archive, {"a/1.jpg": picture(50), "c.jpg": picture(51)})
    summary = run(case, archive, accept_damaged=True)
    found = told(case)
    assert found["phone.zip/a/1.jpg"] == hashlib.sha256(picture(1)).hexdigest()
    assert found["phone.zip/a/1.jpg#2"] == hashlib.sha256(picture(50)).hexdigest()
    assert found["phone.zip/c.jpg"] == hashlib.sha256(picture(51)).hexdigest()
    assert sum(summary.labels.values()) == 4
    assert run(case, archive).counts == summary.counts  # as it was accepted


def test_a_folder_that_became_an_archive_is_not_taken_for_it(tmp_path, phone):
    run(tmp_path / "case", phone[0])
    shutil.rmtree(phone[0])
    shutil.copy(phone[1], phone[0])
    for accept_damaged in (False, True):
        with pytest.raises(IntegrityError, match="another kind"):
            run(tmp_path / "case", phone[0], accept_damaged=accept_damaged)


def test_verify_passes_over_what_triage_adds_meanwhile(tmp_path, phone):
    folder, case = phone[0], tmp_path / "case"
    run(case, folder)

    class Writing(SilentProgress):
        def task(self, *args):
            (folder / "A.jpg").write_bytes(picture(60))
            run(case, folder)
            return super().task(*args)

    with CaseStore.read(case) as store:
        assert compare(store, Writing()) == ([], [])


def test_an_image_that_is_gone_from_a_folder_stops_the_next_run(tmp_path, phone):
    folder, _ = phone
    inner = zipped(folder / "saved.zip", {"kept.jpg": picture(30)})
    counts = run(tmp_path / "case", folder).counts
    (folder / "DCIM" / "2.jpg").unlink()
    inner.unlink()
    (folder / "icon.png").unlink()  # left out by a rule: nothing of it was taken in
    with pytest.raises(IntegrityError, match=r"jpg: is no longer there"):
        run(tmp_path / "case", folder)
    summary = run(tmp_path / "case", folder, classifier=Grey("other"), accept_damaged=True)

    assert (summary.counts, summary.without_result) == (counts, 0)
    with CaseStore.read(tmp_path / "case") as store:
        assert [(r.predictions, r.failures) for r in store.runs()] == [(4, 0), (2, 2)]


def test_a_member_that_is_gone_from_an_archive_in_a_folder_stops_the_next_run(tmp_path, phone):
    folder, _ = phone
    members = {"kept.jpg": picture(30), "gone.jpg": picture(31)}
    zipped(folder / "saved.zip", members)
    run(tmp_path / "case", folder)
    members.pop("gone.jpg")
    zipped(folder / "saved.zip", members)
    with pytest.raises(IntegrityError, match=r"gone\.jpg: is no longer there"):
        run(tmp_path / "case", folder)


def test_a_stick_that_is_pulled_leaves_a_case_that_goes_on(tmp_path, phone):
    hidden = tmp_path / "pulled"

    class Pulling(Grey):
        def classify(self, images):
            for number, prediction in enumerate(super().classify(images)):
                if number == 0:
                    phone[0].rename(hidden)
                yield prediction

    for number in range(40, 400):
        (phone[0] / f"{number}.jpg").write_bytes(picture(number))
    with pytest.raises(EvidenceError, match="gone"):
        run(tmp_path / "case", phone[0], classifier=Pulling())
    hidden.rename(phone[0])
    assert run(tmp_path / "case", phone[0]).counts == run(tmp_path / "fresh", phone[0]).counts


def test_bad_input_is_refused_before_a_case_is_made(tmp_path, phone):
    case = tmp_path / "case"
    with pytest.raises(EvidenceError, match="nothing-here"):
        run(case, tmp_path / "nothing-here")
    with pytest.raises(ConfigError, match="hash list"):
        run(case, *phone, known_bad=(tmp_path / "missing.txt",))
    for inside in (phone[0] / "case", phone[0].parent):
        with pytest.raises((ConfigError, CaseError)):
            run(inside, phone[0])
    assert not case.exists()


def test_an_empty_folder_gives_an_empty_case(tmp_path):
    (tmp_path / "empty").mkdir()
    summary = run(tmp_path / "case", tmp_path / "empty")
    assert summary.counts.items == 0 and summary.counts.is_balanced


SCRIPT = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {tests!r}
from test_triage_run import Grey, run
class Killed(Grey):
    def classify(self, images):
        for number, prediction in enumerate(super().classify(images)):
            if number == {answers}:
                os.kill(os.getpid(), signal.SIGKILL)
            yield prediction
if __name__ == "__main__":
    run(Path({case!r}), *map(Path, {sources!r}), classifier=Killed())
"""


@posix
def test_a_killed_run_goes_on_to_the_same_case(tmp_path, phone):
    for number in range(100, 500):
        (phone[0] / f"{number}.jpg").write_bytes(picture(number))
    whole, case = tmp_path / "whole", tmp_path / "case"
    run(whole, *phone)
    script = tmp_path / "script.py"
    # Killed by the number of answers, not by the clock: together fewer than there are images, so
    # that each run is cut off, however fast the machine is.
    for answers in (0, 1, 60, 150):
        script.write_text(
            SCRIPT.format(
                tests=[str(folder) for folder in Path(__file__).parents[:2]],
                answers=answers,
                case=str(case),
                sources=[str(p) for p in phone],
            ),
            encoding="utf-8",
        )
        ended = subprocess.run([sys.executable, str(script)], check=False)
        assert ended.returncode == -signal.SIGKILL
    if not (case / "case.json").exists():
        shutil.rmtree(case, ignore_errors=True)
    run(case, *phone)
    assert told(case) == told(whole)
    with CaseStore.read(case) as one, CaseStore.read(whole) as other:
        assert one.verify() == []
        assert sorted(map(repr, one.predictions(1))) == sorted(map(repr, other.predictions(1)))
        assert one.groups() == other.groups()


def test_copies_of_a_picture_are_stacked_and_another_chat_is_only_alike(tmp_path):
    folder = tmp_path / "phone"
    folder.mkdir()
    texts = ["다음엔 떨 두개", "네 사장님", "좌표 보낼게"]
    other = [text.replace("떨", "떡") for text in texts]
    made = {f"{at}.jpg": data for at, data in enumerate(copies(chat(texts)).values())}
    made["other.jpg"] = copies(chat(other))["quality 85"]
    for name, data in made.items():
        (folder / name).write_bytes(data)

    run(tmp_path / "case", folder)

    with CaseStore.read(tmp_path / "case") as store:
        names = {hashlib.sha256(data).hexdigest(): name for name, data in made.items()}
        assert [len(members) for members in store.groups()] == [len(made)]
        (stack,) = stacks_of(store)
        found = {names[sha256] for sha256 in stack}
        assert "other.jpg" not in found
        assert {f"{at}.jpg" for at in range(5)} <= found
        assert store.verify() == []
