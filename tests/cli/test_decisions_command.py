"""``mayak decisions``: two reviewers, two copies of a case, at the command line."""

import json
import re
import shutil

import pytest

from case_samples import digest, fill
from mayak.case import CaseStore
from mayak.cli.app import main

A, B = digest("a"), digest("b")


@pytest.fixture
def copies(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    with CaseStore.create(here, operator="김수사") as store:
        fill(store)
    shutil.copytree(here, there)
    for folder, reviewer, verdict in ((here, "김수사", 3), (there, "이검토", 0)):
        with CaseStore.review(folder, operator=reviewer) as store:
            store.decide(reviewer, {A: verdict, B: 1})
    return here, there


def run(capsys, *arguments, language="en"):
    with pytest.raises(SystemExit) as ended:
        main(["decisions", "--lang", language, *map(str, arguments)])
    return ended.value.code or 0, capsys.readouterr()


def test_two_reviewers_and_what_they_differ_on(copies, tmp_path, capsys):
    here, there = copies
    path = tmp_path / "decisions.jsonl"
    code, shown = run(capsys, "export", there, "--to", path, "--operator", "이검토")
    assert code == 0
    assert f"actions written to {path}: 1 (이검토)" in shown.out
    assert path.read_text(encoding="utf-8").count("\n") == 3

    code, shown = run(capsys, "merge", here, path)
    assert (code, shown.err) == (0, "")
    told = shown.out.splitlines()
    assert told[0] == "new actions of 이검토: 1"
    assert re.fullmatch(r"    (20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC) – \1", told[1])
    assert told[2:4] == ["    0 irrelevant: 1", "    1 drug conversation: 1"]
    assert "images on which reviewers differ: 1" in shown.out
    assert run(capsys, "merge", here, path)[1].out.startswith("nothing new")

    code, shown = run(capsys, "disagreements", here)
    assert code == 0
    lines = shown.out.splitlines()
    assert lines[0] == f"phone.zip/a.jpg  {A}"
    assert lines[1].startswith("    김수사: 3 drug itself (2")
    assert lines[2].startswith("    이검토: 0 irrelevant (2")
    assert lines[3] == "images: 1"


def test_machines_are_told_the_same(copies, tmp_path, capsys):
    here, there = copies
    path = tmp_path / "decisions.jsonl"
    said = json.loads(run(capsys, "export", there, "--to", path, "--json")[1].out)
    assert (said["reviewers"], said["acts"], said["samples"]) == (["이검토"], 1, 0)
    assert said["head"] == json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["hash"]
    said = json.loads(run(capsys, "merge", here, path, "--json")[1].out)
    assert (said["added"], said["disagreements"]) == ({"이검토": 1}, 1)
    taken = said["taken_in"]["이검토"]
    assert (taken["verdicts"], taken["withdrawn"]) == ({"0": 1, "1": 1}, 0)
    assert taken["first"] == taken["last"]
    (said,) = json.loads(run(capsys, "disagreements", here, "--json")[1].out)
    assert said["places"] == ["phone.zip/a.jpg", "phone.zip/copy of a.jpg"]
    assert [row["verdict"] for row in said["verdicts"]] == [3, 0]


def test_korean(copies, tmp_path, capsys):
    here, there = copies
    path = tmp_path / "판정.jsonl"
    shown = run(capsys, "export", there, "--to", path, language="ko")[1].out
    assert "판정 1건을" in shown
    shown = run(capsys, "merge", here, path, language="ko")[1].out
    assert "이검토: 새 판정 1건 병합" in shown
    assert "마약류 실물(추정)" in run(capsys, "disagreements", here, language="ko")[1].out


def test_a_reviewer_of_both_copies_is_taken_in_under_another_name(copies, tmp_path, capsys):
    here, there = copies
    with CaseStore.review(here, operator="이검토") as store:
        store.decide("이검토", {A: 2})
    path = tmp_path / "decisions.jsonl"
    run(capsys, "export", there, "--to", path)
    code, shown = run(capsys, "merge", here, path)
    assert code == 2
    assert "이검토 decided in both copies" in shown.err
    assert "--rename" in shown.err
    code, shown = run(capsys, "merge", here, path, "--rename", "이검토=이검토 (2)")
    assert code == 0
    assert "new actions of 이검토 (2): 1" in shown.out


def test_acts_in_the_name_of_one_who_decides_here_need_a_word(copies, tmp_path, capsys):
    here, there = copies
    with CaseStore.review(there, operator="이검토") as store:
        store.undo("이검토")
    path = tmp_path / "decisions.jsonl"
    run(capsys, "export", there, "--to", path)
    code, shown = run(capsys, "merge", here, path, "--operator", "이검토")
    assert code == 2
    assert "the file has further decisions in the name of 이검토 (" in shown.err
    assert "--continue '이검토'" in shown.err
    code, shown = run(
        capsys, "merge", here, path, "--operator", "이검토", "--continue", "이검토", language="ko"
    )
    assert code == 0
    assert "이검토: 새 판정 2건 병합" in shown.out
    assert "취소한 판정: 2" in shown.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["merge", "{here}"], "no file is named"),
        (["merge", "{here}", "{here}/case.sqlite"], "is not a file of decisions"),
        (["merge", "{here}", "missing.jsonl"], "missing.jsonl cannot be read"),
        (["merge", "{here}", "{file}", "--rename", "x"], "not OLD=NEW"),
        (["merge", "{here}", "{file}", "--rename", "x=y"], "no such reviewer"),
        (["merge", "{here}", "{file}", "--continue", "x"], "--continue x: no such reviewer"),
        (["merge", "missing", "{file}"], "missing is not a case"),
        (["export", "{here}", "--to", "{file}"], "exists already"),
        (["disagreements", "missing"], "missing is not a case"),
    ],
)
def test_bad_input_is_said_and_changes_nothing(copies, tmp_path, capsys, arguments, message):
    here, there = copies
    file = tmp_path / "decisions.jsonl"
    run(capsys, "export", there, "--to", file)
    before = file.read_bytes()
    filled = [text.format(here=here, file=file) for text in arguments]
    code, shown = run(capsys, *filled)
    assert code == 2
    assert message in shown.err
    assert shown.out == ""
    assert file.read_bytes() == before
    with CaseStore.read(here) as store:
        assert store.reviewers() == ["김수사"]


def test_a_damaged_file_is_an_integrity_failure(copies, tmp_path, capsys):
    here, there = copies
    file = tmp_path / "decisions.jsonl"
    run(capsys, "export", there, "--to", file)
    file.write_bytes(file.read_bytes().replace(b'": 0', b'": 3'))
    code, shown = run(capsys, "merge", here, file)
    assert code == 3
    assert "line 2 does not follow" in shown.err
