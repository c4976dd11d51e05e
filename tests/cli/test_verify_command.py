"""``mayak verify`` at the command line."""

import json
import sqlite3
from datetime import UTC, datetime

import pytest

from case_samples import content, fill, item
from mayak.case import CaseStore, set_back
from mayak.case.database import entry_hash
from mayak.cli.app import main
from mayak.types import Failure


def say(case, capsys, *options, language="en"):
    with pytest.raises(SystemExit) as stopped:
        main(["--lang", language, "verify", str(case), "--operator", "b", *options])
    return stopped.value.code, capsys.readouterr().out


def verify(case, capsys, *options):
    code, out = say(case, capsys, "--json", *options)
    return code, json.loads(out)


@pytest.fixture
def case(tmp_path):
    """A case of one source, a folder that is there and empty, and of one that is gone."""
    (tmp_path / "photos").mkdir()
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        store.add_source(str(tmp_path / "photos"), "folder")
        source = store.add_source(str(tmp_path / "gone.zip"), "zip")
        store.add_items(source, [item("a.jpg", content("a"))])
    return tmp_path / "case"


def test_a_case_is_verified_and_that_is_recorded_while_triage_writes(tmp_path, capsys):
    with CaseStore.create(tmp_path / "case", operator="a") as writer:
        source = writer.add_source(str(tmp_path / "gone.zip"), "zip")
        writer.add_items(source, [item("a.jpg", content("a"))])
        code, found = verify(writer.folder, capsys)
        assert (code, found["faults"]) == (1, [])
        assert found["absent"] == [str(tmp_path / "gone.zip")]
        writer.add_items(source, [item("b.jpg", content("b"))])
        said = [(entry.operator, entry.action) for entry in writer.log()]
        assert said[-3:] == [("b", "open"), ("b", "verify"), ("a", "add items")]
        assert verify(writer.folder, capsys)[0] == 1


def test_a_name_changed_to_no_text_is_named_though_the_sources_cannot_be_checked(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    with CaseStore.create(tmp_path / "case", operator="a") as writer:
        source = writer.add_source(str(tmp_path / "photos"), "folder")
        writer.add_items(source, [item("holiday.jpg", content("a"))])
    database = tmp_path / "case" / "case.sqlite"
    data = database.read_bytes()
    assert data.count(b"holiday.jpg")
    database.write_bytes(data.replace(b"holiday.jpg", b"h\xff\xfeiday.jpg"))
    code, found = verify(tmp_path / "case", capsys)
    assert code == 3
    assert "items id 1" in {f"{fault['table']} {fault['key']}" for fault in found["faults"]}


def test_a_log_head_noted_on_paper_is_looked_for(tmp_path, capsys):
    with CaseStore.create(tmp_path / "case", operator="a"):
        pass
    _, found = verify(tmp_path / "case", capsys)
    _, later = verify(tmp_path / "case", capsys, "--head", found["log_head"])
    assert later["faults"] == [] and later["log_head"] != found["log_head"]
    code, rewritten = verify(tmp_path / "case", capsys, "--head", "0" * 64)
    assert code == 3
    assert [(f["problem"], f["table"]) for f in rewritten["faults"]] == [("deleted", "log head")]


def test_a_source_that_is_absent_is_named_and_is_no_success(case, capsys):
    code, said = say(case, capsys)
    assert code == 1
    gone = f"source 2, {case.with_name('gone.zip')}: NOT COMPARED, it is not there"
    assert f"{gone} (files in the case: 1)" in said
    assert "no fault found in what was compared" in said
    assert "1 of 2 sources NOT compared" in said
    code, said = say(case, capsys, language="ko")
    assert code == 1
    assert "대조하지 못함. 분석 대상이 연결되어 있지 않음" in said
    assert "분석 대상 2개 중 1개는 대조하지 못함" in said
    code, found = verify(case, capsys)
    assert code == 1
    assert [one["absent"] for one in found["sources"]] == [False, True]


def test_no_fault_is_told_with_what_was_compared_and_with_what_only_a_noted_head_can_show(
    case, capsys
):
    with CaseStore.read(case) as store:
        head, entries = store.head(), sum(1 for _ in store.log())
    _, said = say(case, capsys)
    assert f"compared with their hashes: {entries:,} log entries, 4 records, 1 thumbnails" in said
    assert "hashes were all computed again, or that was set back to an earlier state" in said
    _, said = say(case, capsys, "--head", head)
    assert "computed again" not in said
    assert f"the noted log head is entry {entries} of the log" in said


def test_a_case_whose_hashes_were_all_computed_again_is_found_by_a_noted_head_alone(case, capsys):
    with CaseStore.read(case) as store:
        head = store.head()
    database = sqlite3.connect(case / "case.sqlite")
    database.execute("DROP TRIGGER log_keeps")
    previous = "0" * 64
    rows = database.execute("SELECT sequence, at, action, detail FROM log ORDER BY sequence")
    for sequence, at, action, detail in rows.fetchall():
        hashed = entry_hash(sequence, at, "somebody else", action, detail, previous)
        database.execute(
            "UPDATE log SET operator = 'somebody else', previous = ?, hash = ? WHERE sequence = ?",
            (previous, hashed, sequence),
        )
        previous = hashed
    database.execute(
        "CREATE TRIGGER log_keeps BEFORE UPDATE ON log BEGIN"
        " SELECT RAISE(ABORT, 'log is append-only'); END"
    )
    database.commit()
    database.close()
    code, found = verify(case, capsys)
    assert (code, found["faults"]) == (1, [])
    code, found = verify(case, capsys, "--head", head)
    assert (code, [fault["key"] for fault in found["faults"]]) == (3, [head])


def test_a_log_whose_times_run_backwards_is_noted_with_both_entries(case, capsys, monkeypatch):
    class Clock:
        @staticmethod
        def now(zone):
            return at

    with CaseStore.open(case, operator="a") as store:
        monkeypatch.setattr("mayak.case.database.datetime", Clock)
        at = datetime(2019, 1, 2, 3, 4, 5, tzinfo=UTC)
        store.record("note")
        at = datetime(2019, 1, 2, 3, 4, 4, 500_000, tzinfo=UTC)  # as clocks are kept right
        store.record("note")
        monkeypatch.undo()
        entries = list(store.log())
    early = next(entry.sequence for entry in entries if entry.at.startswith("2019"))
    assert [(a.sequence, b.sequence) for a, b in set_back(entries)] == [(early - 1, early)]
    code, found = verify(case, capsys)
    assert (code, found["faults"]) == (1, [])
    (note,) = found["notes"]
    assert f"entry {early} (2019-01-02 03:04:05 UTC) follows entry {early - 1}" in note
    _, said = say(case, capsys, language="ko")
    assert f"항목 {early}의 시각(2019-01-02 03:04:05 UTC)" in said


def test_faults_are_told_as_sentences_with_their_number(tmp_path, capsys):
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        fill(store)
    database = sqlite3.connect(tmp_path / "case" / "case.sqlite")
    for name in ("contents_keeps", "exclusions_holds"):
        database.execute(f"DROP TRIGGER {name}")
    database.execute("UPDATE contents SET width = width + 1")
    database.execute("DELETE FROM exclusions")
    database.commit()
    database.close()
    code, said = say(tmp_path / "case", capsys)
    assert code == 3
    assert "2 records of images are not as recorded (contents id 1, id 2)" in said
    assert "1 record of a left-out file was removed (exclusions id 1)" in said
    assert "2 of the triggers that protect records were removed" in said
    _, said = say(tmp_path / "case", capsys, language="ko")
    assert "최초 기록과 다름: 이미지 정보 기록 2건" in said
    assert "제거됨: 분석 제외 기록 1건" in said
    assert "기록의 변경·삭제를 막는 장치 2개가 제거되었습니다" in said


def test_what_was_not_read_and_not_looked_at_is_counted(case, capsys):
    with CaseStore.open(case, operator="a") as store:
        failures = [Failure(f"{n}.db", "read", "NotOpened", "-", kind="SQLite") for n in range(3)]
        store.add_items(1, [item(failure.path, failure) for failure in failures])
        store.record(
            "triage finished",
            sources=[1],
            limited=False,
            unexamined={"1": {"free": 2048, "slack": 5}},
        )
    _, out = say(case, capsys)
    text = " ".join(out.split())
    assert "not read: can hold pictures, was not opened (NotOpened) 3: SQLite 3" in text
    assert "not looked at in source 1: 2,053 bytes of free space (free clusters 2,048; " in text
    _, out = say(case, capsys, language="ko")
    assert "분석 대상 1에서 분석하지 않은 영역: 비할당·여유 영역 2,053바이트" in " ".join(
        out.split()
    )
    _, found = verify(case, capsys)
    assert found["census"] == [
        {"outcome": "failure", "reason": "NotOpened", "kind": "SQLite", "files": 3}
    ]
    assert found["not_looked_at_bytes"] == {"1": {"free": 2048, "slack": 5}}
