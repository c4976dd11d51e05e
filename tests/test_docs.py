"""The commands in the documentation are understood by the command line."""

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
