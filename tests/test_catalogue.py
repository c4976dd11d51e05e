"""The catalogues have each text of the code and no other; the Korean one has all wordings."""

import ast
import importlib.util
import re
import string
from pathlib import Path

import pytest

from mayak import errors
from mayak.i18n import catalogue, languages

TEXT = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")
PACKAGE = Path(__file__).parents[1] / "src" / "mayak"
SCRIPT = Path(__file__).parents[1] / "scripts" / "update_catalogue.py"
OTHERS = [language for language in languages() if language != "en"]


@pytest.fixture(scope="module")
def updating():
    spec = importlib.util.spec_from_file_location("update_catalogue", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def texts(updating):
    return updating.texts()


def key(message):
    english = message.id if isinstance(message.id, str) else message.id[0]
    return f"{message.context}\x04{english}" if message.context else english


def placeholders(template):
    """The names of a text's values."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_texts_are_found_in_python_in_the_pages_scripts_and_in_templates(texts):
    assert "{path}: piece {missing!r} is missing" in texts
    assert ("Decide it", "Decide {n} images") in texts
    assert "The {n} surest are shown; predictions.csv lists all." in texts
    assert texts.get("images", "unit") is not None


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_has_the_texts_of_the_code_and_no_others(language, updating, texts):
    wanted = {key(message) for message in texts if message.id}
    there = updating.read(language)
    found = {key(message) for message in there if message.id}
    remedy = "run scripts/update_catalogue.py"
    assert wanted - found == set(), remedy
    assert found - wanted == set(), remedy
    for message in filter(lambda message: message.id, there):
        assert isinstance(message.id, str) == isinstance(texts.get(*_named(message)).id, str)
    assert not [message.id for message in there if message.fuzzy and message.id]
    assert not there.obsolete


def test_the_korean_catalogue_has_all_wordings(updating):
    """A text without a wording is shown in English, which other languages may do."""
    for message in filter(lambda message: message.id, updating.read("ko")):
        assert all(_wordings(message)), message.id


def _wordings(message):
    return [message.string] if isinstance(message.string, str) else list(message.string)


def _named(message):
    return message.id if isinstance(message.id, str) else message.id[0], message.context


@pytest.mark.parametrize("language", OTHERS)
def test_wordings_have_the_values_of_their_text_and_no_others(language, updating):
    for message in updating.read(language):
        forms = (message.id,) if isinstance(message.id, str) else message.id
        for wording in filter(None, _wordings(message) if message.id else ()):
            lacking = placeholders(forms[-1]) - placeholders(wording)
            assert lacking <= {"n"} if len(forms) > 1 else not lacking, message.id
            assert placeholders(wording) <= placeholders(forms[-1]), message.id


@pytest.mark.parametrize("language", OTHERS)
def test_mayak_reads_a_catalogue_as_babel_does(language, updating):
    expected = {
        key(message): _wordings(message)
        for message in updating.read(language)
        if message.id and all(_wordings(message))
    }
    assert catalogue(language).forms == expected


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_that_is_up_to_date_stays_as_it_is(
    language, updating, texts, monkeypatch, tmp_path
):
    there = updating.read(language)
    there.update(texts, no_fuzzy_matching=True)
    before = updating.path_of(language).read_bytes()
    monkeypatch.setattr(updating, "LOCALE", tmp_path)
    updating.write(language, there)
    assert updating.path_of(language).read_bytes() == before


def test_another_language_takes_one_file(updating, texts, monkeypatch, tmp_path):
    monkeypatch.setattr(updating, "LOCALE", tmp_path)
    tmp_path.joinpath("ja").mkdir()
    updating.main([])
    found = updating.read("ja")
    assert {key(message) for message in found if message.id} == {
        key(message) for message in texts if message.id
    }
    assert found.plural_forms == "nplurals=1; plural=0;"


def _english(node):
    """Whether an expression makes English text of its own, which nobody can translate."""
    if isinstance(node, ast.JoinedStr):
        node = ast.Constant("".join(p.value for p in node.values if isinstance(p, ast.Constant)))
    return isinstance(node, ast.Constant) and bool(TEXT.search(str(node.value)))


def test_what_a_person_reads_is_a_message_in_all_its_parts():
    """Values of messages, and what errors say, are not plain English strings."""
    kinds = {name for name in vars(errors) if name.endswith("Error")}
    plain = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in ("msg", "msg_in", "plural"):
                read = [word.value for word in node.keywords]
            elif node.func.id in kinds | {"Rejected"}:
                read = node.args
            else:
                continue
            plain += [f"{path.name}:{each.lineno}" for each in read if _english(each)]
    assert plain == []
