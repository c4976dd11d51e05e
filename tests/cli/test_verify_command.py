"""``mayak verify`` at the command line."""

import json

import pytest

from case_samples import content, item
from mayak.case import CaseStore
from mayak.cli.app import main


def verify(case, capsys, *options):
    with pytest.raises(SystemExit) as stopped:
        main(["--lang", "en", "verify", str(case), "--operator", "b", "--json", *options])
    return stopped.value.code, json.loads(capsys.readouterr().out)


def test_a_case_is_verified_and_that_is_recorded_while_triage_writes(tmp_path, capsys):
    with CaseStore.create(tmp_path / "case", operator="a") as writer:
        source = writer.add_source(str(tmp_path / "gone.zip"), "zip")
        writer.add_items(source, [item("a.jpg", content("a"))])
        code, found = verify(writer.folder, capsys)
        assert (code, found["faults"]) == (0, [])
        assert found["absent"] == [str(tmp_path / "gone.zip")]
        writer.add_items(source, [item("b.jpg", content("b"))])
        said = [(entry.operator, entry.action) for entry in writer.log()]
        assert said[-3:] == [("b", "open"), ("b", "verify"), ("a", "add items")]
        assert verify(writer.folder, capsys)[0] == 0


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
    assert [(f["problem"], f["table"]) for f in rewritten["faults"]] == [("deleted", "log")]
