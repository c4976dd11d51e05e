"""The Korean of the product uses one term for one thing and promises nothing."""

import re
from pathlib import Path

import pytest

from mayak.i18n import catalogue

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
        "number format": "Precision",
        "drug itself (class 3)": "drug itself",
        "integrity": "Integrity",
        "vision tower": "vision tower",
    }.items():
        assert forms[text] == [terms[english]], english
