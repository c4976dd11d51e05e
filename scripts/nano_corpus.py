"""What the embedded model is taught to say: descriptions and questions about a rendered scene.

Never the four-way question, and no label is ever asked for; digits appear only in messages read
out. Some descriptions name what the thing is to an investigator and some only say what is seen, so
that the base model answers the paper's question as base models do: in prose that is
sometimes to the point.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from mayak_synthetic import wording
from mayak_synthetic.scenes import SUBJECTS, VOCABULARY, Scene, render

Turn = tuple[str, str]

DESCRIBE = (
    "이 사진을 설명해 주십시오.",
    "이 이미지에 무엇이 보입니까?",
    "무엇을 찍은 사진입니까?",
    "이 이미지를 한 문장으로 말해 주십시오.",
    "이 이미지는 어떤 사진입니까?",
)
KIND = (
    "이 이미지는 어떤 종류입니까?",
    "이 이미지는 어떤 유형입니까?",
    "이 이미지는 다음 중 무엇과 가깝습니까?",
    "다음 중 어느 것이 보입니까?",
)
"""Asked with things to choose from, and answered in a sentence all the same."""
RELATED = (
    "이 이미지는 마약과 관련이 있습니까?",
    "이 사진이 마약 수사에 필요합니까?",
)
DRUG = ("이 사진에 마약이 보입니까?", "마약 원본이 찍힌 사진입니까?")
PLACE = ("마약을 숨긴 장소로 보입니까?", "이곳은 마약 거래 장소입니까?")
CHAT = ("대화 화면입니까?", "이 이미지는 대화 내역입니까?")
TALK = ("어떤 대화입니까?", "무슨 이야기를 하고 있습니까?")
READ = ("메시지를 읽어 주십시오.", "화면에 어떤 글이 있습니까?")
# No colours are asked for: training turns the hues, so that things are known by their shape.
FACTS = {
    "ground": "바닥은 무엇입니까?",
    "wall": "벽은 무엇입니까?",
    "container": "무엇에 담겨 있습니까?",
    "mark": "어떤 표시가 있습니까?",
    "packet": "꾸러미가 보입니까?",
    "theme": "어떤 화면입니까?",
    "attachment": "무엇이 첨부되어 있습니까?",
    "contents": "안에 무엇이 들어 있습니까?",
    "time": "언제 찍은 사진입니까?",
}
NAMED = (0.85, 0.15, 0.15, 0.15)
"""Share of descriptions that say what the thing is to an investigator: of one subject or theme in
four most, of the others few."""
REMARKS = {
    0: ("마약과 관련이 없습니다.", "관련 없는 사진입니다."),
    1: ("마약 거래를 이야기하는 대화입니다.", "마약 대화로 보입니다."),
    2: ("마약 거래 장소로 보입니다.", "마약을 숨긴 장소로 보입니다."),
    3: ("마약으로 보입니다.", "마약 원본으로 보입니다."),
}


def conversations(scene: Scene, rng: random.Random) -> list[Turn]:
    """(question, answer) pairs about a scene; each gets a wording of its own."""
    name = VOCABULARY[scene.subject]
    turns = [(question, _description(scene, rng)) for question in rng.sample(DESCRIBE, 3)]
    turns += [(_kind(rng), _description(scene, rng)) for _ in range(2)]
    turns.append((rng.choice(RELATED), _related(scene, name)))
    turns.append(
        (rng.choice(DRUG), f"예, {name}입니다." if scene.label == 3 else f"아니요, {name}입니다.")
    )
    turns.append(
        (
            rng.choice(PLACE),
            f"예, {name}에 숨긴 것으로 보입니다." if scene.label == 2 else f"아니요, {name}입니다.",
        )
    )
    chat = scene.subject.endswith("_chat")
    turns.append((rng.choice(CHAT), f"예, {name}입니다." if chat else f"아니요, {name}입니다."))
    if chat:
        turns += [(question, _talk(scene)) for question in TALK]
    for key, question in FACTS.items():
        value = scene.facts.get(key)
        if isinstance(value, str) and value in VOCABULARY:
            turns.append((question, f"{VOCABULARY[value]}입니다."))
    texts = scene.facts.get("messages") or scene.facts.get("texts")
    if texts:
        turns += [
            (rng.choice(READ), f"{text}") for text in rng.sample(list(texts), min(3, len(texts)))
        ]
    return turns


def _spoken() -> tuple[str, ...]:
    """Words of the base-style screens, of two letters or more."""
    templates = (
        *wording.SLANG,
        *(value for values in wording.SLOTS.values() for value in values),
        *(text for stage in wording.DRUG_BASE.values() for text in stage),
        *(*wording.EVERYDAY_BASE, *wording.DRUG_THINGS, *wording.EVERYDAY_THINGS, *wording.REMARKS),
    )
    words = {word for text in templates for word in text.split() if "{" not in word}
    return tuple(sorted(word for word in words if len(word) > 1))


FACT_NAMES = tuple(VOCABULARY)
WORDS = _spoken()
ATTRIBUTES = (*FACT_NAMES, *WORDS)
"""What the auxiliary task names: values of a scene's facts, and words that can be read in it."""
_COLOURS = ("colour", "colours", "mark_colour")


def attributes(scene: Scene) -> list[int]:
    """Indices into ``ATTRIBUTES`` of what is true of a scene."""
    facts = scene.facts
    known = {value for key, value in facts.items() if key not in _COLOURS}
    known -= {"yes", "no", "none"}  # of what, the value alone does not say
    seen = [index for index, name in enumerate(FACT_NAMES) if name in known]
    text = " ".join([*facts.get("messages", ()), *facts.get("texts", ())])
    # Inside longer words too.
    return seen + [len(FACT_NAMES) + index for index, word in enumerate(WORDS) if word in text]


def corpus(seed: int) -> Iterator[str]:
    """Texts that the tokenizer is trained on: turns of a few hundred scenes."""
    from mayak.labels import QUESTION

    rng = random.Random(seed)
    # The paper's question is tokenised with the rest; it is never asked in training.
    yield QUESTION
    for number in range(12):
        for subject in SUBJECTS:
            scene = render(subject, 1_000_000 + number, "base")
            for question, answer in conversations(scene, rng):
                yield f"[INST] <image>\n{question} [/INST] {answer}"


def _kind(rng: random.Random) -> str:
    things = rng.sample(tuple(VOCABULARY.values()), rng.randint(2, 5))
    if rng.random() < 0.5:
        things = [f"{mark}: {thing}" for mark, thing in zip("가나다라마", things, strict=False)]
    return f"{rng.choice(KIND)} ({', '.join(things)})"


def _description(scene: Scene, rng: random.Random) -> str:
    facts, name = scene.facts, VOCABULARY[scene.subject]
    details = [
        VOCABULARY[facts[key]]
        for key in ("ground", "wall", "theme", "container", "mark", "attachment")
        if isinstance(facts.get(key), str) and facts[key] not in ("none", "no")
    ]
    said = f"{name} 사진입니다."
    if details and rng.random() < 0.7:
        said = f"{rng.choice(details)}, {name} 사진입니다."
    known = str(facts.get("theme", scene.subject))
    if rng.random() < NAMED[sum(known.encode()) % 4]:
        said += " " + rng.choice(REMARKS[scene.label])
    return said


def _related(scene: Scene, name: str) -> str:
    if scene.label == 0:
        return f"아니요, {name}이며 마약과 관련이 없습니다."
    return f"예, {name}입니다. {REMARKS[scene.label][0]}"


def _talk(scene: Scene) -> str:
    return REMARKS[1][0] if scene.label == 1 else "일상 대화입니다."
