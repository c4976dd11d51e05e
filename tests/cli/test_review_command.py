"""``mayak review`` at the command line."""

import pytest

from mayak.case import CaseStore
from mayak.cli.app import main


def review(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["--lang", "ko", "review", *map(str, arguments)])
    return stopped.value.code, capsys.readouterr().err


@pytest.mark.parametrize("damage", ["absent", "identity", "database"])
def test_what_keeps_a_review_from_starting_is_said_in_the_language_asked_for(
    tmp_path, capsys, damage
):
    case = tmp_path / "case"
    if damage != "absent":
        with CaseStore.create(case, operator="a"):
            pass
        (case / {"identity": "case.json", "database": "case.sqlite"}[damage]).write_bytes(b"{")
    code, said = review(capsys, case)
    assert code in (2, 3)
    assert "케이스" in said and "해결: " in said
    for english in ("is not a case", "name the folder", "is damaged", "restore"):
        assert english not in said


def test_a_review_begins_with_the_faults_that_the_last_verification_found(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("mayak.review.serve", lambda session, **_: None)
    with CaseStore.create(tmp_path / "case", operator="a") as store:
        store.record("verify", faults=0)
    assert review(capsys, tmp_path / "case") == (0, "")
    with CaseStore.open(tmp_path / "case", operator="a") as store:
        store.record("verify", faults=3)
    assert "마지막 검증 결과: 불일치 3건" in review(capsys, tmp_path / "case")[1]
