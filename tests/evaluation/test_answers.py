"""The parser of free answers, against answers read by a person and rules for any answer."""

from __future__ import annotations

import json
import random
from itertools import product
from pathlib import Path

import pytest
import yaml

from mayak.evaluation.answers import parse_answer

HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE / "answers.yaml").read_text(encoding="utf-8"))
BLIND = yaml.safe_load((HERE / "blind_answers.yaml").read_text(encoding="utf-8"))
ALL = [case for group in (*CASES.values(), *BLIND.values()) for case in group]
SHAPES = yaml.safe_load((HERE / "answer_shapes.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", ALL, ids=lambda case: case["answer"][:60] or "empty")
def test_reads_the_label_a_person_reads(case):
    assert parse_answer(case["answer"]) == case["label"], case.get("why")


@pytest.mark.parametrize(
    ("label", "answers"),
    [
        pytest.param(label, answers, id=f"{shape} {label}")
        for shape, labels in SHAPES.items()
        for label, answers in labels.items()
    ],
)
def test_reads_the_shapes_that_models_write(label, answers):
    read = {answer: parse_answer(answer) for answer in answers}
    assert read == dict.fromkeys(answers, label)


# Explicit choices; {} is the digit.
CHOICES = (
    *("{}", "{}.", "{}번", "{}번입니다.", "정답은 {}번입니다.", "정답: {}", "답은 {}입니다."),
    *("유형 {}", "{}번으로 판단됩니다.", "{}번이 가장 적절합니다.", "제 생각에는 {}번입니다."),
    *("Answer: {}", "The answer is {}.", "label {}", "Option {}", "It is {}.", "I think it is {}."),
    *("I'd go with {}", "This belongs to category {}.", "({})", "label_{}", "Probably {}."),
)


@pytest.mark.parametrize("separator", [". ", "\n", "; ", ", "])
def test_two_explicit_choices_without_a_correction_are_unclear(separator):
    digits = [(a, b) for a, b in product("0123", repeat=2) if a != b]
    picked = random.Random(7)
    for first, second in product(CHOICES, repeat=2):
        one, other = picked.choice(digits)
        answer = first.format(one).rstrip(".") + separator + second.format(other)
        assert parse_answer(answer) == -1, answer


NAMES_KO = ("관련 없음", "마약 대화 내역 사진", "마약 거래 장소", "마약 원본")
NAMES_EN = ("irrelevant", "drug conversation", "place of a drug transaction", "the drug itself")
# {0} is the digit, {1} the category's name.
NAMED_KO = ("{0}", "{0}번", "{0} ({1})", "{0}번({1})", "{0}: {1}", "{1}", "{1}({0})", "{0} [{1}]")
NAMED_EN = ("{0}", "{0} ({1})", "{0}: {1}", "{1}", "{1} ({0})", "option {0}", '"{0}: {1}"')
OR_KO = (" 또는 ", " 혹은 ", ", 또는 ", " 아니면 ", " / ")
OR_EN = (" or ", ", or ", " / ", " or else ", " or possibly ")
SAID_KO = ("{}", "정답: {}", "정답은 {}입니다.", "이 이미지는 {}에 해당합니다.", "{}로 보입니다.")
SAID_EN = ("{}", "Answer: {}", "The answer is {}.", "It is either {}.", "This belongs to {}.")


@pytest.mark.parametrize(
    ("forms", "names", "joins", "sentences"),
    [(NAMED_KO, NAMES_KO, OR_KO, SAID_KO), (NAMED_EN, NAMES_EN, OR_EN, SAID_EN)],
    ids=["Korean", "English"],
)
def test_an_or_between_two_choices_is_unclear_with_names_and_brackets_too(
    forms, names, joins, sentences
):
    picked = random.Random(13)
    for one, other, join, sentence in product(forms, forms, joins, sentences):
        first, second = picked.sample(range(4), 2)
        both = one.format(first, names[first]) + join + other.format(second, names[second])
        answer = sentence.format(both)
        assert parse_answer(answer) == -1, answer


# {0} and {1} are asserted of one image.
BOTH_KO = (
    *(
        "{0}이면서 {1}이기도 합니다.",
        "{0}인 동시에 {1}입니다.",
        "{0}이자 {1}입니다.",
        "{0} 겸 {1}입니다.",
    ),
    *("{0}에도 해당하고 {1}에도 해당합니다.", "{0}뿐만 아니라 {1}에도 해당합니다."),
    *(
        "{0}입니다. 또한 {1}입니다.",
        "{0}입니다. 동시에 {1}이기도 합니다.",
        "{0}도 되고 {1}도 됩니다.",
    ),
    *(
        "{0}과 {1} 모두 해당됩니다.",
        "{0}이지만 {1}이기도 합니다.",
        "{0}에 해당합니다. {1}에도 해당합니다.",
    ),
    *("{0}이거나 {1} 중 하나입니다.", "{0}입니다. 하지만 {1}일 수도 있습니다."),
)
BOTH_EN = (
    *("It is both {0} and {1}.", "It is {0} as well as {1}.", "It is {0} and also {1}."),
    *("It is {0}. It is also {1}.", "This is {0}, but also {1}.", "not only {0} but also {1}"),
    *("Besides {0}, it is {1}.", "In addition to {0}, it is also {1}.", "{0} along with {1}"),
    *("It fits {0} and {1} equally.", "Both {0} and {1} apply.", "It is {0}; {1} applies too."),
    *("I think it is {0}, or {1}, but I am not sure", "{0}, or possibly {1}, I can't tell"),
)


@pytest.mark.parametrize(
    ("forms", "names", "sentences"),
    [(NAMED_KO[:5], NAMES_KO, BOTH_KO), (NAMED_EN[:5], NAMES_EN, BOTH_EN)],
    ids=["Korean", "English"],
)
def test_two_labels_of_one_image_are_unclear(forms, names, sentences):
    picked = random.Random(17)
    for one, other, sentence in product(forms, forms, sentences):
        first, second = picked.sample(range(4), 2)
        named = one.format(first, names[first]), other.format(second, names[second])
        answer = sentence.format(*named)
        assert parse_answer(answer) == -1, answer


UNDECIDED = (
    *("I can't decide.", "I am not sure which.", "I can't tell.", "It is hard to decide."),
    *("I don't know.", "I can't make up my mind.", "I have no idea.", "I am not certain."),
    *("It cannot be determined.", "It's unclear.", "I remain undecided.", "I can't be sure."),
    *("판단하기 어렵습니다.", "판단이 어려워요.", "확신할 수 없습니다.", "확신이 없네요."),
    *("결정하지 못하겠습니다.", "고를 수 없습니다.", "잘 모르겠어요.", "판단이 서지 않습니다."),
    *(
        "결론을 내리기 어렵습니다.",
        "구분이 안 됩니다.",
        "어느 쪽인지 알 수 없습니다.",
        "애매합니다.",
    ),
)
SURE_ENOUGH = (
    *("I'm pretty sure.", "I am not 100% sure.", "I cannot tell who wrote it.", "I think."),
    *("It is unclear when it was taken.", "The exact substance is unknown.", "No doubt."),
    *(
        "아마 맞을 거예요.",
        "누구인지는 알 수 없습니다.",
        "정확한 성분은 알 수 없습니다.",
        "확신합니다.",
    ),
)


def test_no_decision_after_a_choice_withdraws_it_and_a_mild_doubt_does_not():
    for choice, digit, space in product(CHOICES, "0123", " \n"):
        chosen = choice.format(digit).rstrip(".") + "." + space
        for sentence in UNDECIDED:
            assert parse_answer(chosen + sentence) == -1, chosen + sentence
        for sentence in SURE_ENOUGH if chosen[:2] != "1." else ():  # the start of a list
            assert parse_answer(chosen + sentence) == int(digit), chosen + sentence


WRAPPERS = {
    "bold": "**{}**",
    "italic": "_{}_",
    "heading": "## {}",
    "quotation": "> {}",
    "bullet": "- {}",
    "code": "`{}`",
    "code block": "```\n{}\n```",
    "double quotes": '"{}"',
    "curly quotes": "“{}”",
    "role": "ASSISTANT: {}",
    "role on its line": "### Assistant:\n{}",
    "turn": "USER: 어떤 유형입니까?\nASSISTANT: {}",
    "tag": "<answer>{}</answer>",
    "paragraph": "<p>{}</p>",
    "white space": "\n\n  {} \n",
    "zero-width ends": "\u200b{}\ufeff",
}
CLEAR = [
    *(choice.format(digit) for choice, digit in product(CHOICES, "0123")),
    *(answer for label in range(4) for answer in SHAPES["names"][label]),
    *(answer for label in range(4) for answer in SHAPES["corrected"][label]),
    *(case["answer"] for case in CASES["prose"]),
]


@pytest.mark.parametrize("wrapper", WRAPPERS.values(), ids=WRAPPERS)
def test_markup_quotes_and_roles_do_not_change_the_label(wrapper):
    for answer in CLEAR:
        assert parse_answer(wrapper.format(answer)) == parse_answer(answer), answer


def test_zero_width_characters_and_json_do_not_change_the_label():
    for answer in CLEAR:
        wrapped = json.dumps({"answer": answer}, ensure_ascii=False)
        assert parse_answer("\u200b".join(answer)) == parse_answer(answer), answer
        assert parse_answer(wrapped) == parse_answer(answer), answer


# Words that no pattern for a category contains.
NEUTRAL_WORDS = (
    *("the", "a", "red", "cat", "tree", "street", "person", "with", "and", "or", "not", "is"),
    *("on", "under", "phone", "answer", "label", "type", "고양이", "나무", "거리", "사람", "하늘"),
    *("아래", "음식", "그리고", "있습니다", "입니다", "없습니다", "아닙니다", "답은", "유형"),
    *("4", "5", "6", "7", "8", "9", "47", "58", "!", "?", ".", ",", ":", "(", ")", "*", "#"),
)


def test_an_answer_without_digit_and_without_a_word_of_the_vocabulary_is_unclear():
    picked = random.Random(11)
    for _ in range(2000):
        answer = " ".join(picked.choices(NEUTRAL_WORDS, k=picked.randint(0, 14)))
        assert parse_answer(answer) == -1, answer


@pytest.mark.parametrize("unit", ["명", "장", "개", "g", "%", " people", " bags", "시", "층", "월"])
def test_a_digit_that_counts_is_not_a_choice(unit):
    frames = ("{}", "약 {}", "There are {}", "사진에 {}", "so {}", "결국 {}", "정답은 {}")
    for digit, frame in product("0123", frames):
        answer = frame.format(digit + unit)
        assert parse_answer(answer) == -1, answer


@pytest.mark.parametrize("sign", ["-", "−", "–", "±", "~", "<"])
def test_a_sign_before_the_digit_is_not_dropped(sign):
    frames = ("{}", "Answer: {}", "정답은 {}입니다.", "**{}**", "({})", '{{"label": {}}}')
    for digit, frame in product("0123", frames):
        answer = frame.format(sign + digit)
        assert parse_answer(answer) == -1, answer
