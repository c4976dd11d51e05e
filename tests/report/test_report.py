"""A report says of each file what became of it, by whom, and in how far to believe it."""

import base64
import csv
import dataclasses
import hashlib
import io
import json
import re
import sqlite3
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from PIL import Image
from pypdf import PdfReader
from report_samples import ENGINE, HOSTILE, decide, make, sha, thumbnail

from mayak.case import CaseStore
from mayak.case.folder import WriterLock
from mayak.case.records import Seen
from mayak.errors import CaseError, ConfigError
from mayak.names import printable
from mayak.report import write_report
from mayak.report.report_data import collect
from mayak.types import Failure, Scores, SilentProgress

LISTS = ("selected", "unreviewed", "not-selected")


class Page(HTMLParser):
    """What a browser makes of a page: its tags and its text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def rows(folder, name):
    with (folder / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def sheets(folder):
    """The rows below the heads of the workbook's lists."""
    book = openpyxl.load_workbook(folder / "report.xlsx")
    return {
        name: list(sheet.iter_rows(min_row=2, values_only=True))
        for name, sheet in zip(LISTS, book.worksheets[1:], strict=True)
    }


def paper(path):
    reader = PdfReader(path)
    return reader, "\n".join(page.extract_text() for page in reader.pages)


def squeezed(text):
    return re.sub(r"\s", "", text)


def test_every_file_stands_in_one_list(report):
    listed = {name: rows(report, name) for name in LISTS}
    assert [len(listed[name]) for name in LISTS] == [12, 8, 9]
    paths = [(row["source"], row["path"]) for name in LISTS for row in listed[name]]
    assert len(paths) == len(set(paths)) == 29
    assert {row["review status"] for row in listed["selected"]} == {"selected"}
    assert {row["review status"] for row in listed["unreviewed"]} == {
        "reviewers differ",
        "proposed by the model, not reviewed",
        "in a list of known files, not reviewed",
        "without a model result, not reviewed",
    }
    failed = [row for row in listed["not-selected"] if row["review status"] == "could not be read"]
    assert [row["reason or remark"] for row in failed] == [
        "decoding: could not be decoded (DecodeError): ends <early>"
    ]
    left_out = [row for row in listed["not-selected"] if "rule" in row["review status"]]
    assert {row["reason or remark"].split(":")[0] for row in left_out} == {
        "not an image (not-an-image)",
        "smaller than the limit (too-small)",
        "empty file (empty)",
    }


def test_the_list_of_selected_files_tells_what_identifies_each(report):
    row = next(row for row in rows(report, "selected") if row["path"].endswith("copy of 3.png"))
    data = b"image 3"
    assert row["file name"] == "copy of 3.png"
    # By this place's own name: the same bytes are a .jpg elsewhere.
    assert row["reason or remark"] == "extension .png but content JPEG"
    named_right = [row for row in rows(report, "selected") if row["path"].endswith(".jpg")]
    assert named_right and not any(row["reason or remark"] for row in named_right)
    assert row["MD5"] == hashlib.md5(data).hexdigest()  # noqa: S324
    assert row["SHA-1"] == hashlib.sha1(data).hexdigest()  # noqa: S324
    assert row["SHA-256"] == hashlib.sha256(data).hexdigest()
    assert (row["size in bytes"], row["deleted"]) == ("1003", "yes")
    assert row["modified"] == "2026-03-01 00:30:00"
    assert row["time zone of these times"] == "UTC"
    assert row["decided label"] == "3 drug itself"
    assert "김수사" in row["decisions (label, person, UTC, how shown)"]
    # The same number stands at the image's other places, in the lists and beside its picture.
    numbers = {r["image number"] for r in rows(report, "selected") if r["SHA-256"] == sha(3)}
    assert len(numbers) == 1


def test_only_what_people_agree_on_is_a_finding(report):
    page = Page(report / "report.html").text
    findings = page[page.index("Findings: 1") : page.index("Reviewers differ\n")]
    proposals = page[page.index("UNREVIEWED") : page.index("List of selected files")]
    assert sha(7)[:16] in findings
    assert sha(17)[:16] in proposals
    assert sha(17)[:16] not in findings
    assert sha(5)[:16] not in findings  # 김수사 says 1, 이검토 2
    selected = {row["SHA-256"] for row in rows(report, "selected")}
    assert selected == {sha(n) for n in range(1, 16) if n % 4 and n != 5}


def test_a_page_asks_for_nothing_and_runs_nothing(report):
    text = (report / "report.html").read_text(encoding="utf-8")
    page = Page(report / "report.html")
    assert not page.tags & {"script", "link", "iframe", "form", "a", "object"}
    assert not {name for name in page.attributes if name.startswith("on")}
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=\"(?!data:image/jpeg)", text)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_text_everywhere(report, name):
    shown = printable(name)
    short = shown if len(shown) < 200 else shown[:30]
    assert short in Page(report / "report.html").text or sha(HOSTILE.index(name)) in {
        row["SHA-256"] for row in rows(report, "not-selected")
    }
    cells = [row["file name"] for name in LISTS for row in rows(report, name)]
    assert (shown in cells) != (f"'{shown}" in cells)
    assert [c for c in cells if c.lstrip()[:1] in set("=+-@\t\r")] == []
    texts = [row[3] for name in LISTS for row in sheets(report)[name]]
    assert shown in texts
    graph = json.loads((report / "case.jsonld").read_text(encoding="utf-8"))
    held = [node.get("uco-observable:fileName") for node in graph["@graph"]]
    assert name in held


def test_hostile_names_are_text_on_paper(report):
    _, text = paper(report / "report.pdf")
    seen = squeezed(text)
    for name in HOSTILE[1:4] + HOSTILE[6:8] + HOSTILE[9:11] + HOSTILE[13:]:
        assert squeezed(printable(name)) in seen, name
    assert "\\U0001f600漢字\\u0639" in seen  # no font of ours has the sign
    assert "(4,026characters)" in seen


def test_a_workbook_computes_nothing(report):
    book = openpyxl.load_workbook(report / "report.xlsx")
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert kinds <= {"s", "n"}
    assert all(not sheet._hyperlinks for sheet in book)
    found = sheets(report)
    assert [len(found[name]) for name in LISTS] == [12, 8, 9]


def test_a_record_of_a_csv_file_is_one_line(report):
    for name in LISTS:
        data = (report / f"{name}.csv").read_bytes()
        assert data.startswith(b"\xef\xbb\xbf")
        assert data.decode("utf-8-sig").count("\n") == len(rows(report, name)) + 1


def test_paper_has_its_fonts_and_all_pictures(report, korean_report):
    for folder in (report, korean_report):
        reader, text = paper(folder / "report.pdf")
        names = set()
        for page in reader.pages:
            for font in page["/Resources"]["/Font"].values():
                descendant = font.get_object()["/DescendantFonts"][0].get_object()
                descriptor = descendant["/FontDescriptor"].get_object()
                assert {"/FontFile2", "/FontFile3"} & set(descriptor), descriptor
                names.add(str(descriptor["/FontName"]).split("+")[1].split("-")[0])
        assert names <= {"Pretendard", "NanumGothic", "NanumGothicCoding"}
        pictures = sum(len(page.images) for page in reader.pages)
        # 11 selected, 1 disputed, 5 proposals, 1 that only a list of known files names
        assert pictures == 18
        for n in (1, 2, 3, 5, 6, 7):
            assert sha(n)[:16] in squeezed(text)
        assert sha(1) in squeezed(text)


def test_paper_and_page_speak_the_language_that_was_asked_for(report, korean_report):
    _, text = paper(korean_report / "report.pdf")
    page = Page(korean_report / "report.html").text
    for words in (
        "사진·그림파일선별분석결과",
        "상세목록",
        "미선별파일목록",
        "해시값",
        "무결성",
        "검토결과:3마약류실물(추정)",
        "점수보정값(SHA-256)없음",
    ):
        assert words in squeezed(text)
        assert words in squeezed(page)
    assert "Findings" not in page
    _, text = paper(report / "report.pdf")
    assert "Image analysis report" in text
    assert "무결성" not in text
    assert PdfReader(korean_report / "report.pdf").trailer["/Root"]["/Lang"] == "ko"


def test_a_korean_report_is_english_only_in_what_is_on_record(korean_report):
    page = Page(korean_report / "report.html").text
    assert "기록 원문 DecodeError: " in page
    text = re.sub(r"기록 원문 [\w-]+: [^)]*\)", "", page)
    assert re.findall(r"(?<![\w/.`'‘-])[A-Za-z][a-z]+(?: [a-z]{2,}){2,}", text) == []
    told = squeezed(text)
    assert "종류폴더" in told and "종류압축파일(ZIP)" in told
    for key in ("smallest", "accept_damaged", "not-an-image", "DecodeError"):
        assert key not in told


def test_korean_lines_end_between_words(korean_report):
    _, text = paper(korean_report / "report.pdf")
    sentence = "유효한 검토자 판정이 없는 추천 분류는 따로 표시하고 검토 결과로 보지 않습니다."
    lines = [line.strip() for line in text.splitlines()]
    start = next(n for n, line in enumerate(lines) if "‘선별’은" in line)
    told = " ".join(lines[start : start + 3])
    assert sentence in told


def test_the_same_case_gives_the_same_bytes(case, report, write, tmp_path):
    again = write(case, tmp_path / "again").folder
    names = sorted(path.name for path in report.iterdir())
    assert names == sorted(path.name for path in again.iterdir())
    for name in names:
        assert (again / name).read_bytes() == (report / name).read_bytes(), name
    for line in (report / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((report / name).read_bytes()).hexdigest() == digest


def test_thumbnails_are_blurred_in_their_pixels(case, report, write, tmp_path):
    clear = write(case, tmp_path / "clear", clear=True).folder
    blurred, shown = (
        re.findall(
            r"image/jpeg;base64,([^\"]+)", (folder / "report.html").read_text(encoding="utf-8")
        )
        for folder in (report, clear)
    )
    assert len(blurred) == len(shown) == 18

    def sharpest(pictures):
        grey = (Image.open(io.BytesIO(base64.b64decode(p))).convert("L") for p in pictures)
        return max(np.abs(np.diff(np.asarray(p, np.int16))).max() for p in grey)

    # Letters and edges are gone: no pixel differs much from the one beside it.
    assert sharpest(shown) > 100
    assert sharpest(blurred) < 20
    assert base64.b64decode(shown[0]) == thumbnail(1)


def test_integrity_is_told_in_numbers_that_can_be_checked(case, report):
    page = Page(report / "report.html").text
    with CaseStore.read(case) as store:
        assert store.head() in page
        entries = sum(1 for _ in store.log())
    for words in (
        f"Log entries{entries}",
        "29 files = 25 images + 1 not read + 3 left out",
        "29 files = 12 selected + 8 not settled + 9 not selected",
        "b" * 64,
        "2026-03-01 00:00:00 – 2026-03-01 00:03:00",
        "nano@0123456789abcdef",
        "torch 2.15.0",
        "none as a whole (a folder). 0 of its 1 files have a hash of their own in the lists",
        "25 of 29 rows of the lists carry a hash",
        "no fault was found",
        "No blind sample was drawn",
    ):
        assert squeezed(words) in squeezed(page), words


@pytest.fixture
def own(tmp_path):
    """A case of one's own to spoil."""
    return decide(make(tmp_path / "case", hostile=(), images=12), upto=10)


def test_a_case_that_was_tampered_with_says_so_first(own, write, tmp_path):
    database = sqlite3.connect(own / "case.sqlite")
    database.execute("DROP TRIGGER items_keeps")
    database.execute("UPDATE items SET display = 'harmless.jpg' WHERE id = 2")
    database.commit()
    database.close()
    made = write(own, tmp_path / "report")
    assert not made.data.has_no_fault
    page = Page(made.folder / "report.html").text
    assert page.index("INTEGRITY FAILURE") < page.index("Summary")
    assert "items id 2: was changed" in page
    first = PdfReader(made.folder / "report.pdf").pages[0].extract_text()
    assert "INTEGRITY FAILURE" in first
    assert "no fault was found" not in first
    korean = write(own, tmp_path / "ko", "ko").folder
    assert "무결성 검증 실패" in PdfReader(korean / "report.pdf").pages[0].extract_text()


def test_a_thumbnail_that_was_exchanged_is_not_shown(own, write, tmp_path):
    with CaseStore.read(own) as store:
        name = store.content(sha(1)).thumbnail
    (path,) = [p for p in (own / "thumbnails").rglob("*") if name in p.name]
    path.write_bytes(thumbnail(99, "something else"))
    made = write(own, tmp_path / "report", clear=True)
    assert not made.data.has_no_fault
    assert "no thumbnail, or not as recorded" in Page(made.folder / "report.html").text


def test_what_the_last_verification_found_is_told(own, write, tmp_path):
    with CaseStore.open(own, operator="김수사") as store:
        store.record("verify", faults=2, absent=[], head=store.head())
    made = write(own, tmp_path / "one")
    assert not made.data.has_no_fault
    assert "found 2 faults" in Page(made.folder / "report.html").text
    with CaseStore.open(own, operator="김수사") as store:
        store.record("verify", faults=0, absent=[], head=store.head())
    made = write(own, tmp_path / "two")
    assert made.data.has_no_fault
    assert "does not record which sources it compared" in Page(made.folder / "report.html").text


def test_a_blind_sample_says_how_much_was_missed(own, write, tmp_path):
    with CaseStore.review(own, operator="b") as store:
        # Of images 0 to 10 the model calls 0, 4 and 8 irrelevant; 4 alone is not decided.
        number = store.draw_sample(1, 1, 7, "표본 판정자")
        (drawn,) = store.sample_items(number)
    page = Page(write(own, tmp_path / "one").folder / "report.html").text
    assert "0 judged so far" in page
    with CaseStore.review(own, operator="b") as store:
        store.judge("표본 판정자", number, {drawn: 0})
        (sample,) = store.samples()
    page = Page(write(own, tmp_path / "two").folder / "report.html").text
    assert "judged by 표본 판정자. 0 were relevant (0.00%)" in page
    assert f"between {sample.missed.low} and {sample.missed.high} relevant images" in page


def test_a_report_states_how_the_images_were_shown_that_were_decided(own, write, tmp_path):
    with CaseStore.review(own, operator="박감식") as store:
        seen = {
            sha(0): Seen("opened", False),
            sha(1): Seen("grid", True),
            sha(2): Seen("copy", True),
            sha(3): Seen("bulk", None),
        }
        store.decide("박감식", {sha(n): n for n in range(4)}, seen=seen)
        store.decide("박감식", {sha(6): 2}, seen={sha(6): Seen("grid", False)})
    folder = write(own, tmp_path / "shown").folder
    page = " ".join(Page(folder / "report.html").text.split())
    assert "does not mean that somebody looked at the image by itself" in page
    numbers = "opened10inthegrid21withanothercopy11notonthescreen1–notrecorded11–"
    assert numbers in squeezed(page)
    row = next(row for row in rows(folder, "selected") if row["SHA-256"] == sha(3))
    decided = row["decisions (label, person, UTC, how shown)"]
    assert re.search(r"김수사, \S+ \S+ \(not recorded\) / .*박감식, \S+ \S+ \(not on the", decided)
    graph = json.loads((folder / "case.jsonld").read_text(encoding="utf-8"))["@graph"]
    told = {node.get("uco-core:description") for node in graph}
    assert {
        "Decision of a reviewer, not of the model. The image was shown in a grid, blurred.",
        "Decision of a reviewer, not of the model. How the image was shown is not recorded.",
    } <= told


def test_without_decisions_and_model_there_is_a_report_too(tmp_path, write):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        store.add_source("phone.zip", "zip")
    made = write(tmp_path / "case", tmp_path / "report")
    page = Page(made.folder / "report.html").text
    assert "No image has been selected." in page
    assert "Nobody has decided anything yet" in page
    assert "0 files = 0 selected + 0 not settled + 0 not selected" in page


def test_many_images_are_split_and_what_is_left_out_is_told(own, tmp_path, monkeypatch):
    monkeypatch.setattr("mayak.report.builder.VOLUME", 3)
    monkeypatch.setattr("mayak.report.case_jsonld.IMAGES_PER_FILE", 3)
    monkeypatch.setattr("mayak.report.html._IMAGES", 1)
    with CaseStore.read(own) as store:
        made = write_report(store, tmp_path / "report", SilentProgress())
        found = collect(store, [])
    volumes = sorted(made.folder.glob("report-*.pdf"))
    shown = sum(len(page.images) for path in volumes for page in PdfReader(path).pages)
    assert len(volumes) > 1
    assert shown == found.images["selected"] + found.images["disputed"] + len(found.proposed)
    for path in volumes:
        reader, text = paper(path)
        assert f"of {len(volumes)}" in text
        assert sum(len(page.images) for page in reader.pages) <= 3
    page = Page(made.folder / "report.html").text
    assert re.search(r"1 of \d images are shown here", page)
    assert len(list(made.folder.glob("case-*.jsonld"))) > 1


def test_a_folder_in_use_is_left_alone(own, write, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="not empty"):
            write(own, tmp_path / "full", overwrite=overwrite)
    assert (tmp_path / "full" / "letter.txt").is_file()
    with pytest.raises(ConfigError, match="overlap"):
        write(own, own / "report")
    write(own, tmp_path / "report")
    with pytest.raises(ConfigError, match="not empty"):
        write(own, tmp_path / "report")
    write(own, tmp_path / "report", overwrite=True)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_what_a_killed_report_left_is_swept_and_what_is_being_written_is_not(own, tmp_path, write):
    left = [tmp_path / f".report.{digit * 32}" for digit in "ab"]
    other = tmp_path / ".report.notes"
    for folder in (*left, other):
        folder.mkdir()
        (folder / "report.html").write_text("half", encoding="utf-8")
    lock = WriterLock(left[1])
    write(own, tmp_path / "report")
    lock.release()
    assert [folder.exists() for folder in (*left, other)] == [False, True, True]
    assert "case.lock" not in {path.name for path in (tmp_path / "report").iterdir()}


def test_a_case_that_changes_meanwhile_gives_no_report(own, tmp_path, monkeypatch):
    def deciding(*args):
        with CaseStore.review(own, operator="b") as other:
            other.decide("b", {sha(0): 0})

    monkeypatch.setattr("mayak.report.bundle.FORMATS", (deciding,))
    with CaseStore.read(own) as store, pytest.raises(CaseError, match="changed while"):
        write_report(store, tmp_path / "report", SilentProgress())
    assert not (tmp_path / "report").exists()


def test_the_graph_keeps_model_and_person_apart_and_is_valid_case(tmp_path, write):
    case = decide(make(tmp_path / "case", images=6, hostile=HOSTILE[:5]), upto=4)
    folder = write(case, tmp_path / "report").folder
    graph = json.loads((folder / "case.jsonld").read_text(encoding="utf-8"))["@graph"]
    nodes = {node["@id"]: node for node in graph}
    assert len(nodes) == len(graph)
    said = []
    for node in graph:
        if node["@type"] != "uco-analysis:Analysis":
            continue
        by = node.get("uco-action:instrument") or node["uco-action:performer"]
        (result,) = (nodes[one["@id"]] for one in node["uco-action:result"])
        (facet,) = (nodes[one["@id"]] for one in result["uco-core:hasFacet"])
        (named,) = (nodes[one["@id"]] for one in facet["uco-analysis:classification"])
        confident = "uco-analysis:classificationConfidence" in named
        said.append((nodes[by["@id"]]["uco-core:name"], named["uco-analysis:class"][0], confident))
    assert ("mayak", "1", True) in said
    assert ("김수사", "1", False) in said
    assert ("이검토 <b>", "1", False) in said
    done = subprocess.run(
        [
            Path(sys.executable).parent / "case_validate",
            "--built-version",
            "case-1.5.0",
            folder / "case.jsonld",
        ],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Conforms: True" in done.stdout


def test_a_time_without_a_zone_is_not_given_as_utc(tmp_path, write):
    case = decide(make(tmp_path / "case", images=6, hostile=[]), upto=6)
    folder = write(case, tmp_path / "report").folder
    every = {row["path"]: row for name in LISTS for row in rows(folder, name)}
    odd = next(path for path in every if path.endswith("IMG_0005.jpg"))
    assert every[odd]["modified"] == "2026-03-01 00:30:00"
    assert every[odd]["time zone of these times"] == "unknown"
    graph = json.loads((folder / "case.jsonld").read_text(encoding="utf-8"))["@graph"]
    times = {
        node["uco-observable:filePath"]: node["uco-observable:modifiedTime"]["@value"]
        for node in graph
        if "uco-observable:modifiedTime" in node
    }
    assert times[odd] == "2026-03-01T00:30:00"
    even = next(path for path in times if path.endswith("copy of 3.png"))
    assert times[even] == "2026-03-01T00:30:00+00:00"
    assert "time zone unknown" in Page(folder / "report.html").text


def test_the_report_names_the_run_whose_scores_it_shows(tmp_path, write):
    case = make(tmp_path / "case", images=6, hostile=[])
    other = dataclasses.replace(ENGINE, adapter="f" * 64)
    with CaseStore.open(case, operator="김수사") as store:
        (first,) = store.runs()
        second = store.start_run(other)
        for prediction in list(store.predictions(first.id)):
            changed = dataclasses.replace(
                prediction, scores=Scores((1.0, 0.0, 0.0, 0.0), 0.01), engine=other.fingerprint
            )
            store.add_results(second, [changed])
        failures = {
            sha256: results[first.id]
            for sha256, results in (
                (c.sha256, store.results_of(c.sha256)) for c in store.contents()
            )
            if isinstance(results[first.id], Failure)
        }
        store.add_results(second, (), failures)
        store.finish_run(second)
    for run, shown in ((None, second), (first.id, first.id), (second, second)):
        folder = write(case, tmp_path / f"report {run}", run=run).folder
        assert f"Model run shown{shown}: " in "".join(Page(folder / "report.html").text.split("\n"))
        labels = {row["model's label"] for name in LISTS for row in rows(folder, name)} - {""}
        assert (labels == {"0 irrelevant"}) == (shown == second)
    with pytest.raises(CaseError, match="has no run 9"):
        write(case, tmp_path / "report 9", run=9)
