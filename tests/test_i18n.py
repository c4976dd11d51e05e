"""Messages are English wherever they are written, and in the reader's language when rendered."""

import ast
import copy
import json
import pickle
from importlib.resources import files
from pathlib import Path

import pytest

from mayak.errors import ConfigError, MayakError
from mayak.i18n import (
    Message,
    join,
    languages,
    message_of,
    msg,
    msg_in,
    packed,
    plural,
    preferred,
    render,
    system_error,
    unpacked,
)

SOURCES = [
    path for path in Path(str(files("mayak"))).rglob("*.py") if "__pycache__" not in path.parts
]


def test_a_message_is_its_english_text():
    text = msg("{path}: piece {missing!r} is missing", path=Path("disk.001"), missing="disk.002")
    assert text == "disk.001: piece 'disk.002' is missing"
    assert json.dumps({"message": text}) == '{"message": "disk.001: piece \'disk.002\' is missing"}'
    assert type(str(text)) is str


def test_it_is_rendered_in_the_language_of_whoever_reads_it():
    text = msg("{path} is damaged: it does not match its stored hash", path="a.E01")
    assert render(text, "en") == "a.E01 is damaged: it does not match its stored hash"
    assert "a.E01" in render(text, "ko") and "해시" in render(text, "ko")
    assert type(render(text, "en")) is type(render(text, "ko")) is str


def test_a_plain_text_stays_as_it_is():
    assert render("encrypted", "ko") == "encrypted"


def test_a_message_without_a_wording_stays_english():
    assert render(msg("no such text {number:,}", number=1000), "ko") == "no such text 1,000"


def test_values_that_are_messages_are_rendered_too():
    inner = msg("encrypted")
    outer = msg("{path} cannot be read: {error}", path="a", error=inner)
    assert outer == "a cannot be read: encrypted"
    assert render(outer, "ko") == "읽을 수 없습니다: a(암호화됨)"


def test_messages_that_are_put_together_are_rendered_part_by_part():
    text = "a.zip: " + msg("encrypted") + " (" + join(", ", [msg("damaged"), "b"]) + ")"
    assert isinstance(text, Message)
    assert text == "a.zip: encrypted (damaged, b)"
    assert render(text, "ko") == "a.zip: 암호화됨 (손상됨, b)"


def test_a_plural_is_chosen_by_the_number():
    assert [plural("{n:,} file", "{n:,} files", n) for n in (0, 1, 2000)] == [
        "0 files",
        "1 file",
        "2,000 files",
    ]
    assert [render(plural("{n:,} file", "{n:,} files", n), "ko") for n in (1, 2000)] == [
        "파일 1개",
        "파일 2,000개",
    ]


def test_the_same_english_can_have_two_meanings():
    assert render(msg("images"), "ko") == "이미지"
    assert render(msg_in("unit", "images"), "ko") == "장"


def test_literal_braces_and_values_with_braces():
    assert msg("{{n}} of {name}", name="{m}") == "{n} of {m}"
    assert render(msg("{path} {reason}", path="{m}", reason="{"), "ko") == "{m}: {"


@pytest.mark.parametrize("through", [lambda it: pickle.loads(pickle.dumps(it)), copy.deepcopy])  # noqa: S301
def test_copies_and_other_processes_get_whole_messages(through):
    text = through("a: " + msg("encrypted"))
    assert (text, render(text, "ko")) == ("a: encrypted", "a: 암호화됨")
    error = through(ConfigError(msg("encrypted"), remedy=msg("use {least} or more", least=1)))
    assert render(error.message, "ko") == "암호화됨"
    assert render(error.remedy, "ko") == "1 이상의 값을 지정하십시오"


def test_the_text_of_an_error_is_a_message():
    error = MayakError(msg("encrypted"), remedy=msg("use {least} or more", least=1))
    assert str(error) == "encrypted → use 1 or more"
    assert render(str(error), "ko") == "암호화됨 → 1 이상의 값을 지정하십시오"
    outer = msg("{path} cannot be read: {error}", path="a", error=ValueError(msg("encrypted")))
    assert render(outer, "ko") == "읽을 수 없습니다: a(암호화됨)"
    assert message_of(ValueError("plain")) == "plain"


def test_errors_of_the_system_are_rendered_too(tmp_path):
    with pytest.raises(FileNotFoundError) as raised:
        (tmp_path / "absent").read_bytes()
    text = msg("{path} cannot be read: {error}", path="a", error=raised.value)
    assert text == f"a cannot be read: {raised.value}"
    assert "[Errno 2] 파일이나 폴더가 없음" in render(text, "ko")
    assert system_error(raised.value) == "No such file or directory"
    assert render(system_error(OSError(5, msg("encrypted"))), "ko") == "암호화됨"
    assert system_error(OSError("of another kind")) == "of another kind"


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("ko_KR.UTF-8", "ko"),
        ("Korean_Korea", "ko"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("en-GB,ko;q=0.5", "en"),
        ("fr_FR", "en"),
        ("kok_IN", "en"),
        ("ko", "ko"),
        ("C.UTF-8", "en"),
        ("", "en"),
    ],
)
def test_the_language_of_a_locale_or_a_browser(name, language):
    assert {"en", "ko"} <= set(languages())
    assert preferred(name) == language


def test_a_language_needs_its_catalogue_only_and_may_lack_wordings(tmp_path, monkeypatch):
    path = tmp_path / "ja" / "LC_MESSAGES" / "mayak.po"
    path.parent.mkdir(parents=True)
    path.write_text(
        'msgid ""\nmsgstr ""\n"Plural-Forms: nplurals=1; plural=0;\\n"\n\n'
        'msgid "encrypted"\nmsgstr "暗号化"\n\nmsgid "damaged"\nmsgstr ""\n',
        encoding="utf-8",
    )
    (tmp_path / "fr").mkdir()
    (tmp_path / ".DS_Store").touch()
    monkeypatch.setattr("mayak.i18n._CATALOGUES", tmp_path)
    languages.cache_clear()
    try:
        assert languages() == ("en", "ja")
        assert preferred("ja_JP.UTF-8") == "ja"
        assert render(join(", ", [msg("encrypted"), msg("damaged")]), "ja") == "暗号化, damaged"
    finally:
        languages.cache_clear()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_message_is_made_inside_an_f_string(source):
    """It would lose all but its English."""
    made = {
        node.lineno
        for text in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(text, ast.FormattedValue) and text.conversion != ord("s")
        for node in ast.walk(text.value)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"msg", "plural"}
    }
    assert made == set()


EDGES = {"cli", "evaluation", "report", "review", "i18n.py"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_only_what_a_person_looks_at_is_rendered(source):
    """The other packages know no language: what they return is for programs and people alike."""
    top = source.relative_to(Path(str(files("mayak")))).parts[0]
    if top not in EDGES:
        text = source.read_text(encoding="utf-8")
        imported = {
            name.name
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.ImportFrom) and node.module == "mayak.i18n"
            for name in node.names
        }
        assert imported <= {
            "Message",
            "join",
            "msg",
            "msg_in",
            "plural",
            "system_error",
            "message_of",
            "packed",
            "unpacked",
        }


def test_a_message_keeps_its_wordings_on_its_way_to_another_process():
    reason = msg("{path} ends after {done} of {size} bytes", path="a.E01", done=1, size=2)
    for message in (
        "plain",
        reason,
        plural("{n} file", "{n} files", 2),
        msg("{path}: {reason}", path="x", reason=reason),
        "a.E01: " + reason,
    ):
        sent = unpacked(json.loads(json.dumps(packed(message))))
        assert (sent, render(sent, "ko")) == (message, render(message, "ko"))
    for other in (None, 1, ["x"], {"parts": "x"}, {"parts": [1]}, {"english": 1}):
        with pytest.raises(ValueError, match="not a message"):
            unpacked(other)
