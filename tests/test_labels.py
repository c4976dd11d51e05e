"""What is sent to the model stays to the letter; screens and reports name the classes apart."""

import re

from mayak.i18n import catalogue, render
from mayak.labels import LABELS, QUESTION


def test_the_question_and_the_names_in_it_are_the_papers():
    assert QUESTION == (
        "이 이미지는 다음 중 어떤 유형입니까? "
        "(0: 관련 없음, 1: 마약 대화 내역 사진, 2: 마약 거래 장소, 3: 마약 원본)"
    )


def test_what_is_recorded_of_a_class_is_english_and_as_before():
    assert [(label.answer, label.folder, str(label.name)) for label in LABELS] == [
        ("0", "0_irrelevant", "irrelevant"),
        ("1", "1_chat_history", "drug conversation"),
        ("2", "2_transaction_place", "transaction place"),
        ("3", "3_drug_raw", "drug itself"),
    ]


def test_a_class_is_shown_as_an_estimate_and_under_the_name_of_the_law():
    assert [render(label.name, "ko") for label in LABELS] == [
        "관련 없음",
        "마약류 대화 내역(추정)",
        "마약류 거래 장소(추정)",
        "마약류 실물(추정)",
    ]
    paper = [label.paper_name for label in LABELS[1:]]
    wordings = [wording for forms in catalogue("ko").forms.values() for wording in forms]
    assert not [wording for wording in wordings if any(name in wording for name in paper)]
    assert not [wording for wording in wordings if re.search("마약(?!류)", wording)]
