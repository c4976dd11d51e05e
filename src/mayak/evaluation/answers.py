"""Parser of free answers to the four-way question: text → label, or −1.

1. ``vocabulary`` turns words into concepts.
2. Digits that count, date or enumerate something are removed.
3. Concepts are grouped into phrases, each affirmed or denied as a whole.
4. Each phrase contributes evidence, and all evidence must agree on one label.

An answer that is not clear is −1 (unclassifiable). Nothing defaults to "irrelevant".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from mayak.evaluation.vocabulary import Concept, Token, normalise, scan
from mayak.labels import UNCLASSIFIABLE

IRRELEVANT, CHAT, PLACE, DRUG = range(4)


class _Kind(Enum):
    DIGIT = auto()  # the label's digit, given as the answer
    NAME = (
        auto()
    )  # the category in words: a drug conversation, a transaction place, the drug itself
    UNRELATED = auto()  # any relation to drugs is denied
    DRUG_SEEN = auto()  # drugs are affirmed, and no other category is named with them
    DRUG_ABSENT = auto()  # drugs are denied: not the drug itself, the other categories stay open
    TOPIC = auto()  # drugs are the topic (a drug deal, drug-related) of something unnamed
    BARE = auto()  # a conversation or a place, without a word about drugs
    DENIED = auto()  # a category is denied


@dataclass(frozen=True, slots=True)
class _Evidence:
    kind: _Kind
    label: int
    position: int


def parse_answer(text: str) -> int:
    """Return the label 0–3 that an answer gives, or −1 if it gives none, several, or refuses.

    Digits count only as answers ("3", "정답은 2번", "label 0"), not as numbers ("3 people", "2장",
    "0.5 g", "-1"). Negations are understood before and after their object. A repeated list of the
    options is not a choice. A conclusion overrides the text before it, and a doubt withdraws it. A
    mere possibility ("might be", "수도 있습니다") is not an answer.
    """
    plain = _OPTION_LIST.sub(" , ", normalise(text))
    tokens = _without_other_digits(scan(plain), plain)
    evidence = _evidence(tokens, plain)
    if any(token.concept is Concept.REFUSAL for token in tokens):
        evidence = [item for item in evidence if item.kind is _Kind.DIGIT]
    return _decide(_after_conclusion(evidence, tokens))


_OPTION_NAMES = (
    r"관련\s?없음|무관|마약 대화(?: 내역)?(?: 사진)?|마약 거래(?: 장소)?|마약 원본"
    r"|irrelevant|unrelated|not related"
    r"|(?:a |the )?(?:photo of a )?drug (?:conversation|chat)(?: history| photo)?"
    r"|(?:a |the )?(?:drug )?transaction (?:place|location)"
    r"|(?:a |the )?(?:place of a )?drug (?:transaction|deal)(?: (?:place|location|site))?"
    r"|(?:the )?(?:raw )?drugs?(?: itself)?"
)
_OPTION = rf"[(\[]?(?:[0-3]\s?(?:번)?[)\]]?\s?[:.)=\-]?\s?)?(?:{_OPTION_NAMES})[)\]]?"
_BETWEEN = (
    r"\s*[,/;·|\n]\s*(?:and |or |및 |또는 |혹은 |그리고 )?|\s+(?:and|or|및|또는|혹은|그리고)\s+"
)
_OPTION_LIST = re.compile(
    rf"{_OPTION}(?:(?:{_BETWEEN}){_OPTION}){{2,}}"
    rf"|(?<!\d)[0-3]번?(?:(?:{_BETWEEN})[0-3]번?(?!\d)){{2,}}"
)
"""Three or more options in a row: the question repeated."""

# --- 2. digits ----------------------------------------------------------------------------------

_CUED = re.compile(
    r"(?:유형|번호|라벨|레이블|분류(?: ?(?:결과|번호|값))?|카테고리|범주|선택지?|클래스|가운데|결국"
    r"|(?<![가-힣])(?:정?답변?|중(?:에서?)?|결론(?:적으로)?|최종(?:적으로)?)|따라서|그러므로"
    r"|\b(?:answer|option|label|category|class|type|choice|number|therefore|thus|hence|so|a(?=:)"
    r"|choose|pick|select|go with))"
    r"[\s:=#\-(\[\"']*(?:(?:은|는|이|가|의|로)\s*)?(?:is|are|would be|as|번호|number)?[\s:=#(\[]*$"
)
"""A word that introduces the answer, right before the digit."""
_KOREAN_ANSWER = re.compile(
    r"\s?번?\)?\s?(?:유형|라벨|레이블|항목|선택지|카테고리|범주|클래스"
    r"|입니다|이다|이에요|예요|이고|이며|임(?=$|[\s.,!])|으?로\s?(?:보|판단|분류|생각|추정|답)|라고"
    r"|에\s?(?:해당|속|가장|가깝|포함)|[이가]\s?(?:맞|정답|적절|적합|가장|더|아니|아닌|아닙)"
    r"|[은는]\s?(?:아니|아닙|아닌))"
    r"|\s?번\s?(?=$|[.,:;)\]!?(\n]|마약|관련|거래|대화|또는|혹은|중|[이은는을과도인](?=\s|나|고|며|라))"
)
_ENGLISH_ANSWER = re.compile(r"\)?\s+(?:is the (?:correct|best|right|most|answer)|fits|applies)")
_COPULA = re.compile(r"\b(?:it|this|that|image|picture|photo)(?: is|'s)(?: not)?\s+$")
_COUNTED = re.compile(
    r"\s?(?:명|장|개|년|월|일(?![\s번])|시|분|초|그램|킬로|밀리|만|천|원|병|봉|알|정|통|대|마리|층|호|회|차"
    r"|가지|종|번째|%|°|점|배|위|학년|[km]?[gl]\b|[cm]m\b|px\b)"
    r"|\s(?!(?:is|because|as|and|or|for|since|not|but|fits|applies|with|which|in)\b)[a-z]+"
)
_GLOSS = re.compile(r"\s?(?:번)?\s?[:.)\]\-=–]+\s*\(?|\s?(?:번)?\s?\(|\s(?=[가-힣])")
_SEGMENT = re.compile(r"[.!?;\n,]|\bbut\b|\bso\b|므로 ")
_CONTENT = {
    Concept.DRUG, Concept.CHAT, Concept.CHAT_OPTION, Concept.PLACE, Concept.DEAL,
    Concept.DEAD_DROP, Concept.ITSELF, Concept.ABOUT, Concept.RELATED, Concept.UNRELATED,
    Concept.NUMBER,
}  # fmt: skip
_JOINED_NUMBERS = ([Concept.NUMBER, Concept.JOIN], [Concept.NUMBER, Concept.PAUSE])


def _without_other_digits(tokens: list[Token], text: str) -> list[Token]:
    """Remove the digits that count or date something."""
    kept: list[Token] = []
    for at, token in enumerate(tokens):
        # "정답은 2 또는 3": the second digit is an answer if the first is.
        joined = [t.concept for t in kept[-2:]] in _JOINED_NUMBERS
        if token.concept is not Concept.NUMBER or joined or _answers(tokens, at, text):
            kept.append(token)
    return kept


def _answers(tokens: list[Token], at: int, text: str) -> bool:
    """Return whether a digit is given as the answer."""
    number = tokens[at]
    head, tail = text[: number.start], text[number.end :]
    # Where the category's own words begin after the digit, and end before it.
    content = [t for t in tokens[at + 1 : at + 2] if t.concept in _CONTENT]
    named_before = at > 0 and tokens[at - 1].concept in _CONTENT
    if _KOREAN_ANSWER.match(tail):
        return True
    cued = _CUED.search(head) is not None
    if _COUNTED.match(tail):
        # "label 2 drug transaction place": the cue before it, and the option's own words after it
        return cued and any(token.start == number.end + 1 for token in content)
    if cued or _ENGLISH_ANSWER.match(tail) or _COPULA.search(head):
        return True
    segment = _SEGMENT.split(head)[-1] + number.text + _SEGMENT.split(tail)[0]
    if re.sub(r"\W", "", segment) in (number.text, 3 * number.text):
        return True
    if gloss := _GLOSS.match(tail):
        return any(token.start <= number.end + gloss.end() for token in content)
    return named_before and head.endswith(("(", "[")) and tail.startswith((")", "]"))


# --- 3. phrases ---------------------------------------------------------------------------------


def _evidence(tokens: list[Token], text: str) -> list[_Evidence]:
    """Return the evidence of each phrase, in order, without what is doubted or corrected later."""
    gathered: list[_Evidence] = []
    for clause in _clauses(tokens):
        concepts = {token.concept for token in clause}
        if concepts & {Concept.HEDGE, Concept.CORRECT}:
            gathered = [item for item in gathered if item.kind is _Kind.DIGIT]
        if concepts & {Concept.HEDGE, Concept.POSSIBLE, Concept.REFUSAL}:
            continue
        for phrase, denied in _phrases(clause):
            gathered += _read(phrase, denied, text)
    return gathered


def _clauses(tokens: list[Token]) -> Iterator[list[Token]]:
    """Yield the clauses of all statements; a question states nothing."""
    sentence: list[list[Token]] = [[]]
    for token in tokens:
        if token.concept is Concept.QUESTION:
            sentence = [[]]
        elif token.concept is Concept.STOP:
            yield from sentence
            sentence = [[]]
        elif token.concept is Concept.BREAK:
            sentence.append([])
        else:
            sentence[-1].append(token)
    yield from sentence


def _phrases(clause: list[Token]) -> list[tuple[list[Token], bool]]:
    """Split a clause's content into phrases that are affirmed (False) or denied (True) as a whole.

    A Korean negation denies the phrase before it, an English one the phrase after it, up to the
    next subject after a comma. Two Korean negations of one phrase cancel each other; it is dropped.
    """
    phrases: list[tuple[list[Token], bool]] = []
    phrase: list[Token] = []
    denying = paused = False

    def close(denied: bool) -> None:
        nonlocal phrase
        if phrase:
            phrases.append((phrase, denied))
        phrase = []

    for token in clause:
        if token.concept is Concept.NEG:
            if not phrase and phrases and phrases[-1][1]:
                phrases.pop()
            close(not denying)
            denying = False
        elif token.concept is Concept.NOT:
            # "not without" cancels; "neither … nor" denies both
            cancels = denying and not phrase and not paused
            close(denying)
            denying = not cancels
        elif token.concept is Concept.PAUSE:
            paused = True
            is_english = phrase and not phrase[-1].korean and not denying
            if is_english or all(t.concept is Concept.NUMBER for t in phrase):
                close(denying)
            elif phrase:
                phrase.append(token)
        elif token.concept is Concept.SUBJECT and paused:
            close(denying)
            denying = False
        elif token.concept in _CONTENT or token.concept in (Concept.JOIN, Concept.OF):
            phrase.append(token)
    close(denying)
    return phrases


# --- 4. evidence --------------------------------------------------------------------------------

_TYPES = {
    Concept.CHAT: CHAT,
    Concept.CHAT_OPTION: CHAT,
    Concept.PLACE: PLACE,
    Concept.DEAD_DROP: PLACE,
    Concept.ITSELF: DRUG,
}
_OBJECT = re.compile(r"\S(?:과|와|랑|하고)(?:는|은|의|도)?\s?(?:\S+적으로\s?)?$")
"""A Korean noun that "관련" or "무관" is about."""


def _read(phrase: list[Token], denied: bool, text: str) -> Iterator[_Evidence]:
    """Yield the evidence of one affirmed or denied phrase."""
    words = [token for token in phrase if token.concept is not Concept.NUMBER]
    negative = {Concept.UNRELATED, Concept.RELATED} if denied else {Concept.UNRELATED}
    relation = next((token for token in words if token.concept in negative), None)
    for token in phrase:
        if token.concept is Concept.NUMBER:
            # In "0번(관련 없음)" the relation is denied, not the digit.
            spared = relation and not _OBJECT.search(text[token.end : relation.start])
            kind = _Kind.DENIED if denied and not spared else _Kind.DIGIT
            yield _Evidence(kind, int(token.text), token.start)
    if relation is not None:
        yield _relation(words, relation, denied, text)
        return
    for part in _joined(words):
        kind, label = _name(part, text)
        position = part[0].start
        if not denied:
            yield _Evidence(kind, label, position)
        elif kind is _Kind.DRUG_SEEN:
            yield _Evidence(_Kind.DRUG_ABSENT, IRRELEVANT, position)
            yield _Evidence(_Kind.DENIED, DRUG, position)
        elif kind in (_Kind.NAME, _Kind.BARE):
            yield _Evidence(_Kind.DENIED, label, position)


def _relation(words: list[Token], relation: Token, denied: bool, text: str) -> _Evidence:
    """Return the evidence of "not related (to …)": irrelevance, if the relation is to drugs or to
    nothing in particular."""
    at = words.index(relation)
    last = words[at - 1].concept if at else None
    after = [token.concept for token in words[at + 1 :]]
    head = next((concept for concept in after if concept in _TYPES), None)
    about_drugs = {Concept.DRUG, Concept.DEAL} & {token.concept for token in words}
    named_object = _OBJECT.search(text[: relation.start]) or re.match(
        r"\s*(?:to|with)\b", text[relation.end :]
    )
    if relation.concept is Concept.UNRELATED and denied:
        return _Evidence(_Kind.DENIED, IRRELEVANT, relation.start)
    if relation.concept is Concept.RELATED and last is Concept.DRUG and head:
        # "마약 관련 대화가 아닙니다", "not a drug-related chat": the noun is denied.
        return _Evidence(_Kind.DENIED, _TYPES[head], relation.start)
    if last in _TYPES and relation.korean:
        return _Evidence(_Kind.DENIED, _TYPES[last], relation.start)
    if about_drugs or not named_object:
        return _Evidence(_Kind.UNRELATED, IRRELEVANT, relation.start)
    return _Evidence(_Kind.TOPIC, UNCLASSIFIABLE, relation.start)


def _joined(words: list[Token]) -> Iterator[list[Token]]:
    """Yield the parts that "and", "or" or a comma joins."""
    part: list[Token] = []
    for token in words:
        if token.concept not in (Concept.JOIN, Concept.PAUSE):
            part.append(token)
        elif part:
            yield part
            part = []
    if any(token.concept in _CONTENT for token in part):
        yield part


def _name(words: list[Token], text: str) -> tuple[_Kind, int]:
    """Return what a noun phrase names. Its head comes last in Korean, first in English."""
    concepts = {token.concept for token in words}
    korean = words[0].korean
    types = [token for token in words if token.concept in _TYPES]
    if concepts & {Concept.DRUG, Concept.DEAD_DROP}:
        label = _korean_head(words, types, text) if korean else _english_head(words)
        if label is not None:
            return _Kind.NAME, label
        topical = concepts & {Concept.ABOUT, Concept.RELATED, Concept.DEAL}
        return (_Kind.TOPIC, UNCLASSIFIABLE) if topical else (_Kind.DRUG_SEEN, DRUG)
    if Concept.CHAT_OPTION in concepts:
        return _Kind.NAME, CHAT
    if {Concept.DEAL, Concept.PLACE} <= concepts:
        return _Kind.NAME, PLACE
    heads = [_TYPES[t.concept] for t in types if t.concept is not Concept.ITSELF]
    return (_Kind.BARE, heads[-1 if korean else 0]) if heads else (_Kind.TOPIC, UNCLASSIFIABLE)


def _korean_head(words: list[Token], types: list[Token], text: str) -> int | None:
    if not types:
        return None
    last = types[-1]
    located = text[last.end :].startswith("에")
    drug_follows = any(t.concept is Concept.DRUG and t.start > last.start for t in words)
    # "장소에 마약이 있습니다" shows the drug; "대화에서 마약을 말합니다" stays a conversation.
    return (
        None if last.concept is Concept.PLACE and located and drug_follows else _TYPES[last.concept]
    )


def _english_head(words: list[Token]) -> int | None:
    """Return the type that the first noun phrase with any content names."""
    phrase: list[Token] = []
    for token in words:
        if token.concept is not Concept.OF:
            phrase.append(token)
        elif phrase:
            break
    types = [token for token in phrase if token.concept in _TYPES]
    return _TYPES[types[-1].concept] if types else None


def _after_conclusion(evidence: list[_Evidence], tokens: list[Token]) -> list[_Evidence]:
    """Return only the evidence after the first "therefore" or "answer:", if it is decisive."""
    marks = [token.start for token in tokens if token.concept is Concept.CONCLUDE]
    concluded = [item for item in evidence if marks and item.position > marks[0]]
    decisive = any(item.kind not in (_Kind.BARE, _Kind.TOPIC) for item in concluded)
    return concluded if decisive else evidence


def _decide(evidence: list[_Evidence]) -> int:
    """Return the one label on which the evidence agrees, or −1."""

    def labels(*kinds: _Kind) -> set[int]:
        return {item.label for item in evidence if item.kind in kinds}

    denied = labels(_Kind.DENIED)
    named = labels(_Kind.DIGIT, _Kind.NAME)
    bare = labels(_Kind.BARE)
    seen, topic = bool(labels(_Kind.DRUG_SEEN)), bool(labels(_Kind.TOPIC))
    absent = bool(labels(_Kind.DRUG_ABSENT))
    if not named and len(bare) == 1 and (topic or (seen and bare == {CHAT})):
        # The conversation and its topic are in two sentences.
        named = bare
    if labels(_Kind.UNRELATED) or denied >= {CHAT, PLACE, DRUG}:
        named = named | {IRRELEVANT} if not seen else set()
    elif not named and seen:
        named = {DRUG} if not bare and not absent else set()
    elif not named and absent:
        named = {IRRELEVANT} if not bare and not topic else set()
    elif not named and len(bare - denied) == 1 and denied - bare:
        # "not a chat, it is a place": among the options, the bare word means the option.
        named = bare - denied
    if len(named) != 1 or named & denied:
        return UNCLASSIFIABLE
    return named.pop()
