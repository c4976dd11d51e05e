"""Sentences of a report that claim something change when the claim is false."""

import csv
import dataclasses
import json
import re
import sqlite3
import unicodedata
from datetime import UTC, datetime

import pytest
from pypdf import PdfReader
from report_samples import ENGINE, content, decide, item, make, scores, sha

from mayak.case import CaseStore, Exclusion, Item, SourceHash
from mayak.case.database import entry_hash
from mayak.report.builder import DocumentBuilder
from mayak.report.document import to_json_values
from mayak.report.report_data import collect
from mayak.report.text import shortened
from mayak.types import Failure, Prediction, Scores


def said(folder, language="en"):
    """All words of the page on a case."""
    with CaseStore.read(folder) as case:
        data = collect(case, case.verify())
        document = DocumentBuilder(case, data, language, clear=False).page(300)
    return json.dumps(
        to_json_values(dataclasses.replace(document, pictures={}), language), ensure_ascii=False
    )


def located(*layers):
    layers = [{"kind": kind, "name": name} for kind, name in layers]
    return json.dumps(layers, separators=(",", ":"))


def left_out(name, rule="not-an-image", reason="does not begin like any known image format"):
    return Item(
        f"photos/{name}", located(("folder", "photos"), ("file", name)), Exclusion(rule, reason)
    )


def tamper(folder, *statements):
    """Change rows and leave the schema as it was."""
    database = sqlite3.connect(folder / "case.sqlite")
    triggers = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    triggers = triggers.fetchall()
    for name, _ in triggers:
        database.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        database.execute(*([statement] if isinstance(statement, str) else statement))
    for _, sql in triggers:
        database.execute(sql)
    database.commit()
    database.close()


@pytest.fixture
def case(tmp_path):
    """A case of one folder, taken in whole; returns its path and a way to add to it."""
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        source = store.add_source("/evidence/photos", "folder")
        store.add_items(source, [item("a.jpg", content(0)), item("b.jpg", content(1))])
        store.record("triage finished", sources=[source], limited=False)
    return tmp_path / "case"


def add(folder, *items, source=1):
    with CaseStore.open(folder, operator="a") as store:
        store.add_items(source, items)


def log(folder, action, **detail):
    with CaseStore.open(folder, operator="a") as store:
        store.record(action, **detail)


# ---------------------------------------------------------------------- what was listed


def test_that_all_files_were_listed_is_said_of_sources_that_were_gone_through_alone(case):
    assert "Triage went through every source to its end" in said(case)
    assert "FILES MAY BE MISSING" not in said(case)
    with CaseStore.open(case, operator="a") as store:
        second = store.add_source("/evidence/phone.zip", "zip")
        store.record("triage finished", sources=[1, second], limited=True)
    text = said(case)
    assert "Triage went through every source" not in text
    assert (
        "FILES MAY BE MISSING. There is no record that triage reached the end of source 2" in text
    )
    assert "triage ended at its limit (sources 1, 2)" in text
    assert "끝까지 처리하였다는 기록이 없는 분석 대상: 번호 2" in said(case, "ko")
    log(case, "triage finished", sources=[second], limited=False)
    assert "Triage went through every source to its end" in said(case)


def test_archives_are_not_said_to_have_been_listed_whole(case):
    add(
        case,
        left_out("cut.zip", "container", "its files are listed next"),
        item("cut.zip", Failure("cut.zip", "read", "Damaged", "it has no directory")),
    )
    text = said(case)
    assert "with what could be listed of 1 archives and disk images inside the sources" in text
    assert "what could be listed in it follows" in text and "its files follow" not in text


def test_deleted_files_without_content_count_as_deleted(case):
    assert "2 files, 0 of them deleted" in said(case)
    add(case, left_out("gone.jpg", "DeletedWithoutContent", "was deleted; no content is left"))
    assert "3 files, 1 of them deleted" in said(case)
    assert "삭제된 파일 1개 포함" in said(case, "ko")


def test_pictures_inside_files_and_notes_on_archives_are_named_where_they_count_as_files(case):
    assert "Counted as" not in said(case)
    inner = located(("folder", "photos"), ("file", "scan.tif"), ("embedded", "page 2"))
    gap = json.dumps({"path": "photos/cut.zip", "error": "Damaged", "message": "no directory"})
    add(
        case,
        Item("photos/scan.tif/page 2", inner, content(2)),
        left_out("cut.zip", "container", "its files are listed next"),
        Item("photos/cut.zip", gap, Failure("photos/cut.zip", "read", "Damaged", "no directory")),
    )
    text = said(case)
    assert "5 files = 3 images + 1 not read + 1 left out" in text
    assert "Counted as a file is also 1 picture inside another file: a page, a frame" in text
    assert "Counted as a file that could not be read is also 1 note on what could not" in text
    assert "1행도 읽지 못한 파일로 세며" in said(case, "ko")


def test_a_changed_source_that_was_accepted_has_to_be_gone_through_again(case):
    now = datetime(2026, 3, 1, tzinfo=UTC)
    with CaseStore.open(case, operator="a") as store:
        store.add_source_hash(1, SourceHash("a" * 32, "b" * 64, 1, now, now, accepted_damaged=True))
    assert "FILES MAY BE MISSING" in said(case)


def test_sums_that_do_not_hold_are_not_called_sums(case):
    add(case, left_out("notes.txt"))
    text = said(case)
    assert "The numbers add up: 3 files = 2 images + 0 not read + 1 left out" in text
    assert "these are all 3 files of the case" in text
    assert "Every listed file is accounted for" in text
    tamper(case, "DELETE FROM exclusions")
    text = said(case)
    for claim in ("The numbers add up", "these are all", "Every listed file is accounted for"):
        assert claim not in text
    assert "THE NUMBERS DO NOT ADD UP: 3 files ≠ 2 images + 0 not read + 0 left out" in text
    assert "BUT THE CASE HAS 3 FILES" in text
    assert text.index("THE SUMS DO NOT HOLD: the lists do not account") < text.index('"sections"')
    korean = said(case, "ko")
    assert "집계가 맞지 않습니다" in korean and "집계가 맞습니다" not in korean


# ---------------------------------------------------------------------- hashes


def test_how_many_rows_carry_a_hash_is_counted(case):
    assert "2 of 2 rows of the lists carry a hash" in said(case)
    assert "carry none" not in said(case)
    add(
        case,
        left_out("notes.txt"),
        left_out("scan.pdf", "document", f"a PDF with 0 images, SHA-256 {'d' * 64}"),
        left_out("known.jpg", "known-good", f"its md5 is in a.txt; SHA-256 {'e' * 64}"),
        left_out("odd.pdf", "document", "a PDF with 0 images"),  # of an earlier version
        item("broken.jpg", Failure("broken.jpg", "decode", "DecodeError", "ends early")),
    )
    text = said(case)
    assert "4 of 7 rows of the lists carry a hash" in text
    assert "3 carry none: 1 were not read, and the others were left out" in text
    assert "4 of its 7 files have a hash of their own in the lists" in text
    assert "the hash of each file stands in the lists" not in text
    assert "목록 7행 중 4행에 해시값이 있습니다" in said(case, "ko")


def test_a_source_without_a_hash_is_told_with_the_reason(case):
    with CaseStore.open(case, operator="a") as store:
        store.add_source("/evidence/phone.E01", "image")
    assert "NOT YET COMPUTED as a whole: triage did not come to its end" in said(case)
    log(case, "source cannot be hashed", source=2, reason="piece 3 is missing")
    text = said(case)
    assert "NOT YET COMPUTED" not in text
    assert "NONE as a whole: it could not be read to its end (piece 3 is missing)" in text
    assert text.index("SOURCES THAT COULD NOT BE READ TO THEIR END") < text.index('"sections"')
    assert "no fault was found" not in text


# ---------------------------------------------------------------------- what was not looked at


def test_files_left_out_as_no_image_are_counted_by_the_kinds_that_their_names_state(case):
    text = said(case)
    assert "NOT OPENED" not in text and "do not begin as an image" not in text
    add(case, left_out("notes.txt"))
    text = said(case)
    assert "Left out because they do not begin as an image does: 1 file." in text
    assert "NOT OPENED" not in text
    names = ["chat.db", "chat.db-wal", "CLIP.MP4", "mail.eml", "Thumbs.db", "snap@3x.ktx"]
    add(case, *(left_out(name) for name in [*names, "phone.dmg", "old.hwp", "README"]))
    text = said(case)
    assert (
        "NOT OPENED: files whose names suggest that they can contain pictures: databases 2; "
        "caches and stores of thumbnails 2; videos 1; mail and contacts 1; disk images, "
        "backups and archives 1; documents 1. See Limits."
    ) in text
    assert "Left out because they do not begin as an image does: 10 files." in text
    assert '[".db", "databases", "2"]' in text and '["(no extension)", "–", "1"]' in text
    assert "데이터베이스 2; 캐시·썸네일 저장 파일 2; 동영상 1" in said(case, "ko")


def test_extensions_beyond_the_commonest_are_summed(case):
    add(case, *(left_out(f"{n}-{m}.x{n}") for n in range(20) for m in range(20 - n)))
    text = said(case)
    assert '[".x0", "–", "20"]' in text and ".x15" not in text
    assert '["5 other extensions", "–", "15"]' in text


def test_the_backup_of_a_phone_is_named_as_not_read(case):
    add(case, left_out("info/Manifest.db"))
    assert "backup" not in said(case)
    folder = "00008030-000B"
    names = ("Manifest.db", "Manifest.plist", "0f/0ff77cdd", "1c/1c4cd4a9")
    add(case, *(left_out(f"{folder}/{name}") for name in names))
    text = said(case)
    assert "by the names in them (Manifest.db next to Manifest.plist): 1." in text
    assert "does not read such backups" not in text  # of a plain one, the pictures are read
    assert "no picture can be recognised. Left out in them as no image: 4 files." in text
    assert "backups of phones 1" in text
    assert "휴대전화 백업 1" in said(case, "ko")


def test_what_is_not_looked_at_of_documents_and_animations_is_a_limit(case):
    text = said(case)
    assert "Documents (PDF)" not in text
    assert "Of an animation at most four frames" in text and "some frames only" not in text
    add(case, left_out("scan.pdf", "document", f"a PDF with 0 images, SHA-256 {'d' * 64}"))
    assert "Documents (PDF): 1. The images in them were examined; texts and" in said(case)
    assert "문서(PDF) 1개는 문서에 포함된 이미지만 분석하였으며" in said(case, "ko")


def test_free_space_is_a_limit_of_disk_images_alone(case):
    assert "free space was not searched" not in said(case)
    inner = located(("folder", "photos"), ("image", "usb.dd"), ("volume", "1"), ("file", "a.txt"))
    add(case, Item("photos/usb.dd/1/a.txt", inner, Exclusion("not-an-image", "no")))
    assert "1 of 1 sources are or hold disk images. Their free space was not searched" in said(case)
    assert "비할당 영역" in said(case, "ko")


def test_files_that_were_not_read_are_counted_by_reason_or_said_to_be_none(case):
    assert "No listed file counts as not read" in said(case)
    failure = Failure("x.zip", "read", "Encrypted", "a password")
    add(case, item("x.zip", failure), item("y.zip", failure))
    text = said(case)
    assert "No listed file counts" not in text
    assert "2 files were not read, so that their content was not examined: encrypted 2" in text
    assert "encrypted (2): give its password or recovery key with --password-file" in text
    assert "암호화됨 (2): --password-file로 암호나 복구 키를 지정하십시오" in said(case, "ko")


def test_what_the_settings_of_triage_left_out_is_counted(case):
    assert "by the settings of triage" not in said(case)
    add(
        case, left_out("old.jpg", "since", "last changed 2019"), left_out("i.png", "too-small", "-")
    )
    assert "Left out by the settings of triage: 2 files (older than --since" in said(case)


# ---------------------------------------------------------------------- the model


def test_the_model_is_said_to_have_been_asked_of_the_images_that_it_was_asked_of(case):
    assert "No model was asked about the images" in said(case)
    with CaseStore.open(case, operator="a") as store:
        run = store.start_run(ENGINE)
        store.add_results(
            run, [Prediction(sha(0), Scores(scores(0), 0.01), False, ENGINE.fingerprint)]
        )
    with CaseStore.review(case, operator="b") as store:
        store.decide("b", {sha(1): 1})
    text = said(case)
    assert "model gave no result" in text and "no model was asked" not in text
    assert "was asked one question of 1 image" in text and "Without a result: 1 image." in text
    assert "quicker stage" not in text and "adjusted by the calibration" not in text


def test_two_equal_scores_are_shown_as_a_tie_and_never_as_irrelevant(case):
    tied = Scores((0.4, 0.1, 0.1, 0.4), 0.01)
    with CaseStore.open(case, operator="a") as store:
        run = store.start_run(ENGINE)
        store.add_results(run, [Prediction(sha(0), tied, False, ENGINE.fingerprint)])
    with CaseStore.review(case, operator="b") as store:
        store.decide("b", {sha(0): 3})
    assert "model 3 drug itself (tied) · 0.400" in said(case)


def test_a_model_that_nobody_asked_is_not_said_to_have_given_no_result(case):
    with CaseStore.review(case, operator="b") as store:
        store.decide("b", {sha(1): 1})
    text = said(case)
    assert "no model was asked" in text and "model gave no result" not in text


def test_images_that_a_quick_stage_dismissed_were_asked_no_question(case):
    engine = dataclasses.replace(ENGINE, calibration="c" * 64)
    with CaseStore.open(case, operator="a") as store:
        run = store.start_run(engine)
        found = [
            Prediction(sha(n), Scores(scores(n), 0.01), True, engine.fingerprint, tier=tier)
            for n, tier in ((0, 0), (1, 2))
        ]
        store.add_results(run, found)
        store.finish_run(run)
    text = said(case)
    assert "was asked one question of 1 image" in text
    assert "by a quicker stage, without the question: 1 image." in text
    assert "adjusted by the calibration" in text


def test_images_that_rest_on_the_models_word_are_counted_or_said_to_be_none(case):
    assert "No image rests on the model's word" in said(case)
    with CaseStore.open(case, operator="a") as store:
        run = store.start_run(ENGINE)
        rows = [
            Prediction(sha(n), Scores(scores(0), 0.01), False, ENGINE.fingerprint) for n in (0, 1)
        ]
        store.add_results(run, rows)
    text = said(case)
    assert "No image rests" not in text
    assert "on which no decision is valid may be relevant: 2 images" in text


def test_the_estimate_of_what_was_missed_names_what_it_does_not_cover(tmp_path):
    folder = decide(make(tmp_path / "case", hostile=(), images=12), upto=10)
    assert "No blind sample was drawn" in said(folder)
    with CaseStore.review(folder, operator="b") as store:
        number = store.draw_sample(1, 1, 7, "b")
        store.judge("b", number, dict.fromkeys(store.sample_items(number), 0))
    text = said(folder)
    assert "among the images that mayak read and a run called irrelevant" in text
    assert "Of files that were not read (1) or left out (3), of free space" in text
    assert "1 of 1 images that run 1 called irrelevant" in text
    assert "were missed among these 1 (" in text
    assert "제외한 파일(3개)" in said(folder, "ko")


# ---------------------------------------------------------------------- people


def test_nobody_is_said_to_have_decided_or_looked_if_no_decision_stands(tmp_path):
    folder = make(tmp_path / "case", hostile=(), images=8)
    text = said(folder)
    assert "Nobody has decided anything yet. The report holds 6 proposals" in text
    assert "The reviewers named in this report decided" not in text
    assert "No decision of a reviewer is valid" in text
    with CaseStore.review(folder, operator="b") as store:
        store.decide("b", {sha(1): 1})
    assert "The reviewers named in this report decided" in said(folder)
    with CaseStore.review(folder, operator="b") as store:
        store.undo("b")
    text = said(folder)
    assert "Nobody has decided" not in text
    assert "No decision is valid (withdrawn: 1)." in text
    for claim in ("no reviewer has looked", "검토자가 확인하지 않았"):
        assert claim not in text + said(folder, "ko")


# ---------------------------------------------------------------------- integrity


def test_no_fault_is_said_with_what_was_compared_and_what_that_cannot_show(case):
    with CaseStore.read(case) as store:
        extent = store.extent()
    text = said(case)
    assert (
        f"{extent.entries} log entries, {extent.records} records and {extent.thumbnails} "
        "thumbnails of the case were compared with their recorded hashes for this report; no fault"
    ) in text
    assert "all computed again or that was set back to an earlier state" in text


def compared(number, files, **how):
    values = {"source": number, "files": files, "absent": False, "whole": False, "hashed": 0}
    return values | {"sized": 0, "uncompared": 0, "added": 0} | how


def test_sources_are_said_to_have_been_compared_only_if_they_were(case):
    with CaseStore.open(case, operator="a") as store:
        store.add_source("/evidence/phone.zip", "zip")
    assert "No source has been compared again" in said(case)
    absent = [compared(1, 2, absent=True, uncompared=2), compared(2, 0, absent=True)]
    log(case, "verify", faults=0, absent=["x", "y"], head="0", sources=absent)
    text = said(case)
    assert "No source has been compared again" in text and "last compared" not in text
    first = [compared(1, 2, hashed=1, sized=1), compared(2, 0, absent=True)]
    log(case, "verify", faults=0, absent=["y"], head="0", sources=first)
    text = said(case)
    assert "1 of 2 sources were compared again, last at" in text
    assert "1 file without a recorded hash by presence and size alone" in text
    assert "not compared: source 2." in text
    add(case, left_out("new.txt"))
    assert "1 file not at all" in said(case)
    both = [compared(1, 3, hashed=3), compared(2, 0, whole=True)]
    log(case, "verify", faults=0, absent=[], head="0", sources=both)
    text = said(case)
    assert "2 of 2 sources were compared again" in text and "not compared: source" not in text


def test_a_source_that_was_absent_later_is_not_said_to_have_been_compared_without_that(case):
    log(case, "verify", faults=0, absent=[], head="0", sources=[compared(1, 2, hashed=2)])
    assert "absent at the last verification" not in said(case)
    gone = [compared(1, 2, absent=True, uncompared=2)]
    log(case, "verify", faults=0, absent=["x"], head="0", sources=gone)
    text = said(case)
    assert "1 of 1 sources were compared again" in text
    assert "absent at the last verification" in text and "UTC): source 1." in text
    assert "때 연결되지 않은 분석 대상: 1." in said(case, "ko")


def test_a_triage_that_accepted_changed_files_is_told_on_the_first_page(case):
    log(case, "triage", sources=["/evidence/photos"], options={"accept_damaged": False})
    assert "--accept-damaged" not in said(case)
    log(case, "triage", sources=["/evidence/photos"], options={"accept_damaged": True})
    text = said(case)
    # Nothing was damaged: the notice is of the setting alone.
    assert "Triage was set to go on even if sources or files were damaged or changed" in text
    assert text.index("(--accept-damaged, log entry") < text.index('"sections"')
    assert "(--accept-damaged, 작업 기록 항목" in said(case, "ko")


def test_accepted_files_and_reduced_images_are_in_the_history(case):
    log(case, "accept damage", files=[f"photos/{n}.jpg: is no longer there" for n in range(7)])
    log(case, "reduced scale", run=1, contents=[sha(0)])
    text = said(case)
    assert "7 files were accepted although they are damaged, changed or gone" in text
    assert "photos/4.jpg: is no longer there" in text and "photos/5.jpg: is no" not in text
    assert "run 1: the whole model read 1 image at a reduced scale only" in text
    text = said(case, "ko")
    assert "손상·변경되었거나 없어진 파일 7개" in text and "축소된 크기로만" in text


def test_passwords_and_what_they_opened_are_in_the_history(case):
    options = {"passwords": True, "untested_readers": True, "shadow_copies": True}
    log(case, "triage", sources=["/evidence/phone"], options=options)
    log(case, "opened with a password", containers=["phone/Manifest.plist"])
    text = said(case)
    assert "passwords given for encrypted containers" in text
    assert "readers that were never compared with another program" in text
    assert "volume shadow copies" in text
    assert "1 container was opened with a password" in text
    assert "phone/Manifest.plist" in text
    text = said(case, "ko")
    assert "컨테이너 1개를 비밀번호로 열었습니다" in text
    assert "암호화된 컨테이너의 비밀번호 지정" in text


def test_alarms_of_the_first_page_are_sentences(case):
    tamper(case, "UPDATE contents SET width = width + 1")
    first = said(case).split('"sections"')[0]
    assert "2 records of images are not as recorded (contents id 1, id 2)" in first
    alarm = "최초 기록과 다름: 이미지 정보 기록 2건 (이미지 정보 기록 id 1, id 2)"
    assert alarm in said(case, "ko")


def test_a_log_whose_times_run_backwards_is_noted_under_integrity(case):
    assert "Entries of the log with an earlier time" not in said(case)
    database = sqlite3.connect(case / "case.sqlite")
    rows = database.execute("SELECT * FROM log ORDER BY sequence").fetchall()
    database.close()
    changes, previous = [], "0" * 64
    for sequence, at, operator, action, detail, *_ in rows:
        at = "2019-01-01T00:00:00+00:00" if sequence == len(rows) else at
        hashed = entry_hash(sequence, at, operator, action, detail, previous)
        query = "UPDATE log SET at = ?, previous = ?, hash = ? WHERE sequence = ?"
        changes.append((query, (at, previous, hashed, sequence)))
        previous = hashed
    tamper(case, *changes)
    text = said(case)
    assert "INTEGRITY FAILURE" not in text
    assert f"entry {len(rows)} (2019-01-01 00:00:00 UTC) follows entry {len(rows) - 1}" in text


def test_disk_images_that_are_not_what_their_hash_says_are_told_on_the_first_page(case):
    assert "do not match their stored hash" not in said(case)
    add(case, item("x.E01", Failure("x.E01", "read", "HashMismatch", "MD5")))
    assert "that do not match their stored hash: 1, listed" in said(case)


# ---------------------------------------------------------------------- lists, graph, names


def test_lists_name_files_as_the_medium_does_and_give_hashes_that_are_known(case, write, tmp_path):
    layers = [
        {"kind": "image", "name": "usb.dd"},
        {"kind": "file", "name": "DCIM/1#2.png", "serial": 94491},
    ]
    deleted = Item("usb.dd/DCIM/1#2.png#94491", json.dumps(layers), content(2), deleted=True)
    listed = f"its md5 is in a.txt; SHA-256 {'e' * 64}"
    add(case, deleted, left_out("known.jpg", "known-good", listed), left_out("notes.txt"))
    with CaseStore.review(case, operator="b") as store:
        store.decide("b", {sha(2): 3})
    folder = write(case, tmp_path / "report").folder

    def rows(name):
        with (folder / f"{name}.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    (row,) = rows("selected")
    assert (row["file name"], row["entry number"]) == ("1#2.png", "94491")
    known, notes = rows("not-selected")
    assert (known["SHA-256"], notes["SHA-256"], notes["entry number"]) == ("e" * 64, "", "")
    text = said(case)
    assert "entry number 94491" in text and '["1#2.png", "usb.dd/DCIM/1#2.png#94491"' in text
    graph = json.loads((folder / "case.jsonld").read_text(encoding="utf-8"))["@graph"]
    assert "1#2.png" in {node.get("uco-observable:fileName") for node in graph}
    assert "agree with their recorded hashes" in graph[0]["uco-core:description"]
    tamper(case, "UPDATE contents SET width = width + 1")
    folder = write(case, tmp_path / "tampered").folder
    graph = json.loads((folder / "case.jsonld").read_text(encoding="utf-8"))["@graph"]
    assert "INTEGRITY FAILURE (3 faults now)" in graph[0]["uco-core:description"]


def test_the_graph_calls_a_source_without_a_hash_no_failure_of_integrity(case, write, tmp_path):
    log(case, "source cannot be hashed", source=1, reason="piece 3 is missing")
    folder = write(case, tmp_path / "report").folder
    graph = json.loads((folder / "case.jsonld").read_text(encoding="utf-8"))["@graph"]
    stated = graph[0]["uco-core:description"]
    assert "SOURCES COULD NOT BE READ TO THEIR END, see the report" in stated
    assert "INTEGRITY FAILURE" not in stated


@pytest.mark.parametrize("digest", [None, "c" * 64])
def test_a_score_in_the_graph_is_called_calibrated_only_if_it_is(case, write, tmp_path, digest):
    engine = dataclasses.replace(ENGINE, calibration=digest)
    with CaseStore.open(case, operator="a") as store:
        run = store.start_run(engine)
        store.add_results(
            run, [Prediction(sha(1), Scores(scores(1), 0.01), bool(digest), engine.fingerprint)]
        )
    graph = (write(case, tmp_path / "report").folder / "case.jsonld").read_text(encoding="utf-8")
    assert ("its score is calibrated" in graph) == (digest is not None)
    assert ("its score is not calibrated" in graph) == (digest is None)


def test_a_name_is_shortened_between_signs():
    name = unicodedata.normalize("NFD", "한강공원의 밤 é" * 40)
    for most in range(60, 80):
        short = shortened(name, most)
        head, _, rest = short.partition(" … ")
        tail = rest.rpartition(" (")[0]
        for part in (head, tail):
            whole = unicodedata.normalize("NFC", part)
            assert not re.search("[\u1100-\u11ff\u0300-\u036f]", whole), part
    assert len(shortened("a" + "\u0301" * 4000, 100)) < 200


def test_no_line_of_paper_ends_inside_a_syllable_whose_letters_stand_apart(case, write, tmp_path):
    name = unicodedata.normalize("NFD", "한강공원산책저녁노을구경사진모음집저장소백업본.jpg")
    add(case, item(name, content(2)))
    with CaseStore.review(case, operator="b") as store:
        store.decide("b", {sha(2): 3})
    pages = PdfReader(write(case, tmp_path / "report", "ko").folder / "report.pdf").pages
    fonts = {
        str(font.get_object()["/BaseFont"]).partition("+")[2]
        for page in pages
        for font in page["/Resources"]["/Font"].values()
    }
    # Pretendard has whole syllables alone; letters that were torn apart fall to the other font.
    assert "NanumGothic" not in fonts
