"""``mayak triage`` at the command line."""

import json

import pytest

from mayak.cli.app import main


def call(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["--lang", "en", "triage", *map(str, arguments), "--model", "nano"])
    return left.value.code, capsys.readouterr()


def test_what_could_not_be_read_and_what_is_empty_is_told_by_name(tmp_path, capsys):
    for name in ("photos", "unmounted"):
        (tmp_path / name).mkdir()
    (tmp_path / "photos" / "a\nno fault.jpg").write_bytes(b"no image")
    sources = [tmp_path / "photos", tmp_path / "unmounted"]

    code, said = call(capsys, *sources, "--case", tmp_path / "case")
    assert code == 1
    assert "photos/a\\u000ano fault.jpg" in said.out
    text = " ".join(said.out.replace("│", " ").split())  # a cell may have two lines
    assert "named as an image, but does not begin like any known image format" in text
    assert "not read: damaged (Damaged) 1" in said.out
    assert "remedy: compare it with the medium" in said.out
    assert "NOT OPENED" not in said.out
    assert f"source without files: {sources[1]}" in said.out.replace("\n", "")

    code, said = call(capsys, *sources, "--case", tmp_path / "case", "--json")
    found = json.loads(said.out)
    assert (code, found["unread_by"]) == (1, {"Damaged": 1})
    assert found["empty_sources"] == [str(sources[1])]


def test_a_file_in_the_place_of_the_case_is_refused(tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "case").write_text("notes")
    code, said = call(capsys, tmp_path / "photos", "--case", tmp_path / "case")
    assert code == 2
    assert "is not a case" in said.err


def test_files_that_can_hold_pictures_and_were_not_looked_into_are_told_by_kind(tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "Manifest.db").write_bytes(b"SQLite format 3\0")
    (photos / "Manifest.plist").write_bytes(b"bplist00")
    (photos / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    for number in range(3):
        (photos / f"{number}.sqlite").write_bytes(b"SQLite format 3\0")
    (photos / "lost.jpg").write_bytes(b"no image")
    code, said = call(capsys, photos, "--case", tmp_path / "case")
    assert code == 1
    kinds = "not opened (NotOpened) 5: SQLite 4; MP4 or QuickTime 1"
    assert kinds in " ".join(said.out.split())
    assert "remedy: watch it on a copy" in said.out
    # A single loss is not lost among them.
    assert said.out.index("lost.jpg") < said.out.index(".sqlite")
    assert "left out: a kind without pictures (no-pictures) 1: binary property list 1" in said.out
    _, said = call(capsys, photos, "--case", tmp_path / "case", "--json", "--known-safe", "sqlite")
    found = json.loads(said.out)["census"]
    assert {"outcome": "exclusion", "reason": "known-safe", "kind": "SQLite", "files": 4} in found
