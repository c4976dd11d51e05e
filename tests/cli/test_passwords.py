"""Passwords of encrypted containers: from a file or a terminal, never on the command line."""

import json
import sys

import pytest

from mayak.case import CaseStore
from mayak.cli import triage as command
from mayak.cli.app import main
from mayak.cli.options import read_passwords
from mayak.errors import ConfigError
from phone_backups import PASSWORD, IosFile, Keybag, ios_backup, write


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"one", ("one",)),
        (b"one\n", ("one",)),
        (b"one\r\ntwo \r\n\r\n", ("one", "two ")),
        ("암호 하나\n둘".encode(), ("암호 하나", "둘")),
        (b"\xef\xbb\xbfone\n", ("one",)),  # as Windows' editor saves UTF-8
        (b"one\none\n", ("one",)),
        (b" \n", (" ",)),
    ],
)
def test_a_file_has_one_password_a_line(tmp_path, data, expected):
    (tmp_path / "passwords").write_bytes(data)
    assert read_passwords(tmp_path / "passwords") == expected


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (None, "cannot be read"),
        (b"", "has no password"),
        (b"\n\r\n", "has no password"),
        (b"geheim\xff\n", "is not in UTF-8"),
        ("geheim".encode("utf-16"), "is not in UTF-8"),
        (b"".join(b"geheim%d\n" % n for n in range(1001)), "has 1,001 passwords, more than 1,000"),
        (b"geheim" * 200_000, "more than 1048576 bytes"),
    ],
    ids=["missing", "empty", "blank", "Latin-1", "UTF-16", "a word list", "large"],
)
def test_a_file_that_cannot_be_used_is_an_error_that_names_it_and_nothing_in_it(
    tmp_path, data, text, capsys
):
    path = tmp_path / "passwords"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=text) as error:
        read_passwords(path)
    assert str(path) in error.value.message
    assert error.value.remedy
    assert "geheim" not in str(error.value)
    (tmp_path / "photos").mkdir()
    arguments = ["triage", str(tmp_path / "photos"), "--case", str(tmp_path / "case")]
    with pytest.raises(SystemExit) as left:
        main(["-v", *arguments, "--password-file", str(path), "--model", "nano"])
    assert left.value.code == 2
    assert "geheim" not in "".join(capsys.readouterr())


def test_no_option_takes_a_password_itself(tmp_path, capsys):
    for option in ("--password", "--passwords"):
        with pytest.raises(SystemExit) as left:
            main(["triage", str(tmp_path), "--case", str(tmp_path / "case"), option, "x"])
        assert left.value.code == 2


@pytest.fixture
def phone(tmp_path):
    file = IosFile("HomeDomain", "a.txt", b"a text")
    return write(tmp_path / "phone", ios_backup([file], Keybag()))


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["--lang", "en", *map(str, arguments)])
    return left.value.code, capsys.readouterr()


def test_triage_and_verify_take_a_file(tmp_path, phone, capsys):
    case, file = tmp_path / "case", tmp_path / "passwords"
    file.write_text(PASSWORD, encoding="utf-8")
    triage = ("triage", phone, "--case", case, "--model", "nano", "--json")
    triage += ("--known-safe", "database")  # its list of files
    code, said = call(capsys, *triage)
    assert code == 1
    assert json.loads(said.out)["unread_by"] == {"Encrypted": 1}
    code, said = call(
        capsys, *triage, "--password-file", file, "--untested-readers", "--shadow-copies"
    )
    assert code == 0
    assert PASSWORD not in said.out + said.err
    with CaseStore.read(case) as store:
        options = list(store.triage_options())
    assert [one["passwords"] for one in options] == [False, True]
    assert [one["untested_readers"] for one in options] == [False, True]
    assert [one["shadow_copies"] for one in options] == [False, True]

    code, said = call(capsys, "verify", case)
    assert code == 1
    assert "1 NOT COMPARED, in a container that needs a password" in said.out.replace("\n", " ")
    code, said = call(capsys, "verify", case, "--password-file", file)
    assert code == 0, said
    assert "no fault found" in said.out


def test_at_a_terminal_the_password_is_asked_for_after_the_run(
    tmp_path, phone, capsys, monkeypatch
):
    questions, answers = [], ["wrong", PASSWORD, ""]
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(command, "getpass", lambda text: questions.append(text) or answers.pop(0))
    triage = ("triage", phone, "--case", tmp_path / "case", "--model", "nano")
    triage += ("--known-safe", "database")
    code, said = call(capsys, *triage)
    assert code == 0
    assert questions == ["password (Enter: go on without another): "] * 3
    assert "needs a password: phone/Manifest.plist" in said.err
    assert PASSWORD not in said.out + said.err
    # Nobody is asked if there is nothing to open, and nobody who gave a file.
    plain = write(tmp_path / "plain", ios_backup([]))
    code, _ = call(capsys, "triage", plain, "--case", tmp_path / "other", *triage[4:])
    assert (code, len(questions)) == (0, 3)
    answers += [""]
    (tmp_path / "passwords").write_text("wrong")
    code, _ = call(capsys, *triage, "--password-file", tmp_path / "passwords")
    assert (code, len(questions)) == (1, 3)
    # Without an answer it counts as not read.
    code, _ = call(capsys, *triage)
    assert (code, len(questions)) == (1, 4)
