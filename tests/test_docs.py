"""The commands in the documentation are understood by the command line."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from mayak.cli.app import build

PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))


def commands(page):
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = (shlex.split(line, comments=True) for block in blocks for line in block.splitlines())
    return [words[1:] for words in lines if words[:1] == ["mayak"]]


def test_there_are_commands():
    assert sum(len(commands(page)) for page in PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_understood(page):
    app = build()
    for words in commands(page):
        if words[0] == "--lang":  # read before the commands are
            words = words[2:]
        _, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
        assert bound is not None, words


def test_the_table_of_file_kinds_is_that_of_the_program():
    """If not: python scripts/update_kinds.py"""
    script = Path(__file__).parents[1] / "scripts" / "update_kinds.py"
    spec = importlib.util.spec_from_file_location("update_kinds", script)
    kinds = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kinds)
    page = kinds.PAGE.read_text(encoding="utf-8")
    assert kinds.updated(page) == page
    assert all(f"{kind.name}" in page for kind in kinds.KINDS)
