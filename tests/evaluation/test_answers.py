"""The parser of free answers, against answers read by a person."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mayak.evaluation.answers import parse_answer

CASES = yaml.safe_load((Path(__file__).parent / "answers.yaml").read_text(encoding="utf-8"))
ALL = [case for group in CASES.values() for case in group]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case["answer"][:60] or "empty")
def test_reads_the_label_a_person_reads(case):
    assert parse_answer(case["answer"]) == case["label"], case["why"]
