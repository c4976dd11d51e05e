"""``mayak report`` at the command line."""

import json
import sqlite3
import subprocess
import sys

import pytest

from case_samples import digest, fill
from mayak.case import CaseStore
from mayak.cli.app import main


@pytest.fixture
def case(tmp_path):
    with CaseStore.create(tmp_path / "case-0417", operator="김수사") as store:
        fill(store)
        store.decide("김수사", {digest("a"): 3})
    return tmp_path / "case-0417"


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as done:
        main([str(argument) for argument in arguments])
    return done.value.code, capsys.readouterr()


def test_a_report_lies_beside_the_case_and_leaves_it_as_it_was(case, capsys):
    before = {p: p.read_bytes() for p in case.rglob("*") if p.is_file()}
    code, said = run(capsys, "report", case, "--json")
    assert code == 0
    made = json.loads(said.out)
    assert (made["selected"], made["not_settled"], made["not_selected"]) == (2, 1, 2)
    assert made["sound"] is True
    folder = case.with_name("case-0417-report")
    assert sorted(made["files"]) == sorted(path.name for path in folder.iterdir())
    assert {p: p.read_bytes() for p in case.rglob("*") if p.is_file()} == before


def test_a_second_report_replaces_the_first_only_when_asked(case, capsys):
    assert run(capsys, "report", case, "--lang", "ko")[0] == 0
    code, said = run(capsys, "report", case, "--lang", "ko")
    assert code == 2
    assert "--overwrite" in said.err
    assert run(capsys, "report", case, "--lang", "ko", "--overwrite")[0] == 0
    page = (case.with_name("case-0417-report") / "report.html").read_text(encoding="utf-8")
    assert "사진·그림 파일 선별 분석 결과" in page


def test_an_open_failure_of_integrity_is_exit_code_3_and_the_report_is_there(case, capsys):
    database = sqlite3.connect(case / "case.sqlite")
    database.execute("DROP TRIGGER decisions_keeps")
    database.execute("UPDATE decisions SET verdict = 0")
    database.commit()
    database.close()
    code, said = run(capsys, "report", case, "--to", case.with_name("out"))
    assert code == 3
    assert "INTEGRITY FAILURE" in said.out
    page = (case.with_name("out") / "report.html").read_text(encoding="utf-8")
    assert "decisions id 1: was changed" in page


def test_sums_that_do_not_hold_are_no_result(case, capsys):
    database = sqlite3.connect(case / "case.sqlite")
    (sql,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'exclusions_holds'")
    database.execute("DROP TRIGGER exclusions_holds")
    database.execute("DELETE FROM exclusions")
    database.execute(*sql)
    database.commit()
    database.close()
    code, said = run(capsys, "--lang", "en", "report", case)
    assert code == 3
    assert "5 files ≠ 2 selected + 1 not settled + 1 not selected" in said.out
    assert "THE SUMS DO NOT HOLD" in said.out


def test_reports_do_without_torch(case):
    code = (
        "import sys\nfrom mayak.cli.app import main\n"
        "try:\n    main(['report', sys.argv[1]])\n"
        "except SystemExit as done:\n"
        "    sys.exit(done.code or ('torch' in sys.modules and 9) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, case], capture_output=True)
    assert done.returncode == 0, done.stderr
