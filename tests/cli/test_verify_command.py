"""``mayak verify`` at the command line."""

import json

import pytest

from case_samples import content, item
from mayak.case import CaseStore
from mayak.cli.app import main


def verify(case, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--lang", "en", "verify", str(case), "--operator", "b", "--json"])
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
