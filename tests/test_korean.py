"""The Korean of the product uses one term for one thing and promises nothing."""

import re
from pathlib import Path

import pytest

from mayak.case.reasons import REASONS, REMEDIES, source_kind
from mayak.case.records import TABLES
from mayak.dataset.collect import REASONS as REJECTIONS
from mayak.i18n import catalogue, render
from mayak.signatures import CONTAINER_LAYERS, KINDS

ENGLISH = re.compile(r"\b(?:an?|and|are|as|at|be|by|for|from|in|is|it|not|of|on|or|the|to|with)\b")
"""Words of English that are no names."""
LITERAL = re.compile(
    r"(?<![\w-])--[a-z][a-z-]*|`[^`]+`|[\w./-]+\.(?:csv|db|html|json|py|txt|xlsx|yaml)\b", re.ASCII
)
"""Options, commands and names of files, which are the same in every language."""
ROOT = Path(__file__).parents[1]
PARTICLES = "은|는|이|가|을|를|과|와|으로|로"
BOTH = ["이(가)", "을(를)", "은(는)", "와(과)", "과(와)", "(으)로", "(이)"]
"""Pairs of particles that leave the choice to the reader."""
PAPER = "(‘[^’]*’)"
"""README.ko.md cites the paper's names of the classes so."""


def unused():
    """The glossary's words that are not used, each with what replaces it."""
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    table = page.partition("| not | but |\n|---|---|")[2]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", table, re.M)
    return {word: better for words, better in rows for word in words.split(", ")}


UNUSED = unused()
del UNUSED["이미지"]
"""The only word that is wrong in one of its senses alone, which no test can tell."""


def wordings():
    """Every Korean text of the catalogue."""
    return [wording for forms in catalogue("ko").forms.values() for wording in forms]


def prose():
    """README.ko.md without code and names of the paper."""
    text = (ROOT / "README.ko.md").read_text(encoding="utf-8")
    return re.sub(r"```.*?```|`[^`]*`|「.*?」|" + PAPER, "", text, flags=re.S)


def test_the_glossary_lists_words_that_are_not_used():
    assert {"원본", "축소 그림", "담당자", "라벨 밖", "화소", "유사 그룹"} <= UNUSED.keys()


@pytest.mark.parametrize("word", UNUSED)
def test_words_that_are_not_used_are_in_no_text(word):
    better = re.split("[,:;] ", UNUSED[word])
    for text in [*wordings(), prose()]:
        for part in better:
            text = text.replace(part, "")
        assert word not in text


def test_no_value_is_followed_by_a_particle():
    # Which one is right depends on the value's last sound: a colon or a noun follows it.
    after_value = re.compile(rf"\}}[’”\"'`]?({PARTICLES})(?=[\s.,:;)]|$)")
    assert not [w for w in wordings() if after_value.search(w)]
    setup = (ROOT / "scripts" / "setup.sh").read_text(encoding="utf-8")
    for text in [*wordings(), prose(), setup]:
        assert not [pair for pair in BOTH if pair in text], text


def test_marks_are_set_as_in_korean_print():
    for text in wordings():
        assert not re.search(r"\d %", text), "no blank before a per cent sign: " + text
        assert not re.search(r"[가-힣] \(", text), "no blank before a bracket: " + text
        assert not re.search(r"[}\d]–[{\d]", text), "~ between the ends of a range: " + text


def test_nothing_is_said_to_be_without_fault():
    assert not [
        w for w in wordings() if re.search("(?<!더 )이상 없|이상이 없|문제 없|반드시|완벽", w)
    ]


def test_the_glossary_and_the_catalogue_name_things_alike():
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    terms = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", page, re.M))
    forms = catalogue("ko").forms
    for english, text in {
        "source": "Source",
        "case": "Case",
        "case id": "Case id (UUID)",
        "operator": "Operator",
        "reviewer": "Reviewer",
        "disagreement": "Reviewers differ",
        "off-label mass": "Off-label mass",
        "confusion matrix": "Confusion matrix",
        "finding": "Findings",
        "blind sample": "Blind sample",
        "near-duplicate": "Near-duplicates",
        "model run": "Model run",
        "engine fingerprint": "Fingerprint",
        "selected file list": "List of selected files",
        "calibration": "Calibration",
        "number format": "weights\x04Precision",
        "precision (metric)": "Precision",
        "recall": "Recall",
        "class": "Label",
        "label": "evaluation\x04Label",
        "drug itself (class 3)": "drug itself",
        "integrity": "Integrity",
        "vision tower": "vision tower",
    }.items():
        assert forms[text] == [terms[english]], english


@pytest.mark.parametrize(
    "value",
    [
        *(kind.described for kind in KINDS),
        *(kind.name for kind in KINDS),
        *(kind.remedy for kind in KINDS),
        *map(source_kind, ("folder", "file", *sorted(CONTAINER_LAYERS))),
        *REASONS.values(),
        *REMEDIES.values(),
        *REJECTIONS.values(),
        *TABLES.values(),
    ],
)
def test_what_messages_take_as_a_value_is_korean_too(value):
    assert not ENGLISH.findall(render(value, "ko"))


@pytest.mark.parametrize("kind", ["folder", "file", *sorted(CONTAINER_LAYERS)])
def test_every_kind_of_source_has_a_name(kind):
    assert re.search("[가-힣]", render(source_kind(kind), "ko"))


def test_a_remedy_names_the_same_options_commands_and_files_in_korean():
    for key, wordings in catalogue("ko").forms.items():
        english = key.rpartition("\x04")[2]
        for wording in wordings:
            assert sorted(set(LITERAL.findall(wording))) == sorted(set(LITERAL.findall(english)))
