"""What is created is for the account that created it alone, under the usual umask too."""

import os
import stat
import sys

import pytest
from PIL import Image

from case_samples import fill
from mayak.case import CaseStore
from mayak.cli.app import main
from mayak.report import write_report
from mayak.types import SilentProgress

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="rights of Unix")


@pytest.fixture(autouse=True)
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["--lang", "en", *map(str, arguments)])
    assert not ended.value.code


def open_to_others(*paths):
    """The paths, and what is inside, that group or others have some right to."""
    every = [inside for path in paths for inside in (path, *path.rglob("*"))]
    return [path for path in every if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]


def test_what_commands_create_is_for_the_user_alone(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.linear_gradient("L").resize((300, 200)).save(photos / "a.jpg")
    case, decisions = tmp_path / "case", tmp_path / "decisions.jsonl"
    run("triage", photos, "--case", case, "--model", "nano")
    run("report", case)
    run("decisions", "export", case, "--to", decisions)
    made = [path for path in tmp_path.iterdir() if path != photos]
    assert set(made) == {case, tmp_path / "case-report", decisions}
    assert list(case.glob("thumbnails/*/*.jpg"))
    assert open_to_others(*made) == []


def test_a_program_that_uses_the_library_creates_closed_folders_too(tmp_path):
    with CaseStore.create(tmp_path / "case", operator="kim") as store:
        fill(store)
        write_report(store, tmp_path / "report", SilentProgress())
    for name in ("case", "report"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700


def test_a_folder_that_was_opened_to_a_group_stays_open(tmp_path):
    case = tmp_path / "case"
    with CaseStore.create(case, operator="kim") as store:
        fill(store)
    for path in (case, *case.rglob("*")):
        path.chmod(0o770 if path.is_dir() else 0o660)
    run("decisions", "export", case, "--to", tmp_path / "decisions.jsonl")
    rights = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (case, *case.rglob("*"))}
    assert rights["case"] == 0o770
    assert rights["case.sqlite"] == 0o660
