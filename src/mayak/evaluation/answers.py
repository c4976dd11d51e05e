"""Parser of free answers to the four-way question: text → label, or −1.

1. ``markup`` removes markup and gives digits one form.
2. ``vocabulary`` turns words into concepts.
3. ``choices`` keeps the digits that name a label.
4. Concepts are grouped into phrases, each affirmed or denied as a whole.
5. Each phrase contributes evidence, and all evidence must agree on one label.

An answer that is not clear is −1 (unclassifiable). Nothing defaults to "irrelevant".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby, pairwise, zip_longest

from mayak.evaluation.choices import explicit_choices, without_options
from mayak.evaluation.markup import plain
from mayak.evaluation.vocabulary import CONTENT, HEDGES, Concept, Token, scan
from mayak.labels import UNCLASSIFIABLE

IRRELEVANT, CHAT, PLACE, DRUG = range(4)


class _Kind(Enum):
    DIGIT = auto()  # the label's digit, given as the answer
    NAME = auto()  # the category in words: "drug conversation", "마약 원본"
    UNRELATED = auto()  # any relation to drugs is denied
    DRUG_SEEN = auto()  # drugs are affirmed, and no other category is named with them
    DRUG_ABSENT = auto()  # drugs are denied: not the drug itself, the other categories stay open
    TOPIC = auto()  # drugs are the topic (a drug deal, drug-related) of something unnamed
    BARE = auto()  # a conversation or a place, without a word about drugs
    DENIED = auto()  # a category is denied
    BARE_DENIED = auto()  # a conversation or a place is denied


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
    words = without_options(plain(text))
    tokens = explicit_choices(scan(words), words)
    return _decide(_after_marks(_evidence(tokens, words), tokens))


def _evidence(tokens: list[Token], text: str) -> list[_Evidence]:
    """Return the evidence of each phrase, in order, without names that are doubted later; nothing
    if the answer ends without a decision."""
    gathered: list[_Evidence] = []
    chosen: list[_Evidence] = []  # what a doubt does not withdraw
    undecided = False
    refused = any(token.concept is Concept.REFUSAL for token in tokens)
    for clause in _clauses(tokens):
        concepts = {token.concept for token in clause}
        if concepts & {*HEDGES, Concept.CORRECT}:
            gathered = [*chosen]
            undecided = undecided or Concept.HEDGE in concepts
        if concepts & {*HEDGES, Concept.CONDITION, Concept.REFUSAL}:
            continue
        read = [item for part, denied in _phrases(clause) for item in _read(part, denied, text)]
        possible = Concept.POSSIBLE in concepts
        if possible or (refused and Concept.SUBJECT not in concepts):
            # A possibility answers nothing, but it casts doubt on another answer before it.
            kinds = {_Kind.DIGIT, _Kind.NAME, _Kind.UNRELATED} if possible else {_Kind.DIGIT}
            answered = not possible or any(item.kind in kinds for item in gathered)
            read = [item for item in read if item.kind in kinds and answered]
        gathered += read
        undecided = undecided and not _is_decisive(read)
        digits = [item for item in read if item.kind is _Kind.DIGIT]
        alternatives = (digits or chosen) and Concept.JOIN in concepts  # "2 or a drug chat"
        chosen += read if alternatives else digits
    return [] if undecided else gathered


def _is_decisive(evidence: list[_Evidence]) -> bool:
    return any(item.kind not in (_Kind.BARE, _Kind.TOPIC, _Kind.DENIED) for item in evidence)


def _clauses(tokens: list[Token]) -> Iterator[list[Token]]:
    """Yield the clauses of all statements. A question or a concession ("although …,") is none."""
    sentence: list[list[Token]] = [[]]
    conceding = False
    for token in tokens:
        if token.concept is Concept.STOP:
            yield from sentence
        if token.concept in (Concept.STOP, Concept.QUESTION):
            sentence = [[]]
            conceding = False
        elif token.concept is Concept.CONCEDE:
            conceding = True
        elif token.concept is Concept.BREAK or (conceding and token.concept is Concept.PAUSE):
            sentence.append([])
            conceding = False
        elif not conceding:
            sentence[-1].append(token)
    yield from sentence


def _phrases(clause: list[Token]) -> list[tuple[list[Token], bool]]:
    """Split a clause's content into phrases that are affirmed (False) or denied (True) as a whole.

    A Korean negation denies the phrase before it, an English one the phrase after it, up to the
    next subject after a comma. Two Korean negations of one phrase cancel each other; it is dropped.
    """
    phrases: list[tuple[list[Token], bool]] = []
    phrase: list[Token] = []
    denying = paused = compared = trailing = False

    def close(denied: bool) -> None:
        nonlocal phrase
        if phrase:
            phrases.append((phrase, denied))
        phrase = []

    for token, following in zip_longest(clause, clause[1:]):
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
            trailing = token.text.endswith(("n't", "not", "unlikely"))
            compared = token.text.endswith(("than", "instead of"))
        elif token.concept is Concept.PAUSE:
            paused = True
            number = following is not None and following.is_number
            listed = number and bool(phrase) and phrase[-1].is_number  # "1, 2 and 3"
            if compared or (not listed and (number or _ends_at_comma(phrase, denying))):
                close(denying)
                # "rather than 1, 3" and "no drugs, 0" deny what is before the comma
                denying = denying and not (compared or number)
            elif phrase:
                phrase.append(token)
        elif token.concept is Concept.SUBJECT and paused:
            close(denying)
            denying = False
        elif token.concept in CONTENT or token.concept in (Concept.JOIN, Concept.OF):
            phrase.append(token)
    if trailing and denying and phrases and not (phrase or paused):  # "2 isn't right"
        phrases[-1] = (phrases[-1][0], True)
    close(denying)
    return phrases


def _ends_at_comma(phrase: list[Token], denying: bool) -> bool:
    numbers = all(token.is_number for token in phrase)
    return numbers or not (phrase[-1].korean or denying)


_TYPES = {
    Concept.CHAT: CHAT,
    Concept.CHAT_OPTION: CHAT,
    Concept.PLACE: PLACE,
    Concept.DEAD_DROP: PLACE,
    Concept.ITSELF: DRUG,
}
_OBJECT = re.compile(r"\S(?:과|와|랑|(?<!해당)하고)(?:는|은|의|도)?\s?(?:\S+적으로\s?)?$")
"""A Korean noun that "관련" or "무관" is about."""


def _read(phrase: list[Token], denied: bool, text: str) -> Iterator[_Evidence]:
    """Yield the evidence of one affirmed or denied phrase."""
    words = [token for token in phrase if token.concept is not Concept.NUMBER]
    negative = {Concept.UNRELATED, Concept.RELATED} if denied else {Concept.UNRELATED}
    relation = next((token for token in words if token.concept in negative), None)
    for token in phrase:
        if token.is_number:
            spared = denied and _is_spared(token, words, relation, text)
            kind = _Kind.DENIED if denied and not spared else _Kind.DIGIT
            yield _Evidence(kind, int(token.text), token.start)
    if relation is not None:
        yield _relation(words, relation, denied, text)
        at = words.index(relation)
        if at and _is_join(words[at - 1 : at]):
            # "a drug conversation or irrelevant" gives two answers
            yield from _names(words[:at], denied and not relation.korean, text)
        elif relation.concept is Concept.UNRELATED and _is_join(words[at + 1 : at + 2]):
            yield from _names(words[at + 1 :], denied, text)
        return
    yield from _names(words, denied, text)


def _is_spared(number: Token, words: list[Token], relation: Token | None, text: str) -> bool:
    """Return whether the denial of a phrase leaves out its digit."""
    if not words:
        return False
    if text[words[-1].end : number.start].strip() in (":", "=", "("):
        # "no drugs: 0", but not "no drugs (3)"
        return _TYPES.get(words[-1].concept, _name(words, text)[1]) != int(number.text)
    if re.match(r"[\w\s]*[님음]\)", text[words[-1].end :]):
        return True  # "0 (마약 아님)"
    # "0번(관련 없음)"
    return relation is not None and not _OBJECT.search(text[number.end : relation.start])


def _is_join(words: list[Token]) -> bool:
    return [token.concept for token in words] == [Concept.JOIN]


def _names(words: list[Token], denied: bool, text: str) -> Iterator[_Evidence]:
    """Yield the evidence of the categories that are named, affirmed or denied."""
    for part in _joined(words):
        kind, label = _name(part, text)
        position = part[0].start
        if not denied:
            yield _Evidence(kind, label, position)
        elif kind is _Kind.DRUG_SEEN:
            yield _Evidence(_Kind.DRUG_ABSENT, IRRELEVANT, position)
            yield _Evidence(_Kind.DENIED, DRUG, position)
        elif kind in (_Kind.NAME, _Kind.BARE):
            kind = _Kind.DENIED if kind is _Kind.NAME else _Kind.BARE_DENIED
            yield _Evidence(kind, label, position)


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


_ABOUT = {"about", "discussing", "mentioning", "describing", "through"}
_COMPOUND = re.compile(
    r"\s(?!사진|이미지|그림|봉|가루|결정|알약|정제|주사|물질|덩어리|샘플|제품|성분|추정|의심|같|맞"
    r"|보|확실|판단|분류|및|또는|혹은|등|이|있|없|모습|포장|캡슐|약물|아[니닌님]|않|으?로|원본|실물"
    r"|그|해당)[가-힣]|에\s?(?:대|관)한|의\s|[을를]?\s?(?:하|한|끊|투약|복용)|-\w|\s?:?\s?\d"
    r"|\s?:\s?(?:none|no\b|없)|\s(?!(?:is|are|was|were|in|on|at|or|and|that|which|such|like|with"
    r"|inside|within|here|visible|shown|present|packets?|buds?|leaves|plants?|bags?|baggies|powder"
    r"|pills?|tablets?|crystals?|samples?|substances?|images?|photos?|pictures?|packages?|depicted"
    r"|found|but|so|because|products?|material|not|could|may|might|seen|placed|packaged|stored"
    r"|wrapped|of|for|by|from|being|itself|as)\b)[a-z]"
)
"""After a drug: it only describes another thing ("drug dog", "마약 탐지견", "마약에 대한")."""


def _joined(words: list[Token]) -> Iterator[list[Token]]:
    """Yield the parts that "and", "or" or a comma joins."""
    for is_join, part in groupby(
        words, lambda token: token.concept in (Concept.JOIN, Concept.PAUSE)
    ):
        tokens = list(part)
        if not is_join and any(token.concept in CONTENT for token in tokens):
            yield tokens


def _name(words: list[Token], text: str) -> tuple[_Kind, int]:
    """Return what a noun phrase names. Its head comes last in Korean, first in English."""
    concepts = {token.concept for token in words}
    korean = words[0].korean
    head = _korean_head(words, text) if korean else _english_head(words, text)
    types = [_TYPES[token.concept] for token in head if token.concept in _TYPES]
    if concepts & {Concept.DRUG, Concept.DEAD_DROP}:
        if types and Concept.ABOUT not in concepts:
            return _Kind.NAME, types[-1]
        topical = concepts & {Concept.ABOUT, Concept.RELATED, Concept.DEAL} or any(
            token.text in _ABOUT
            or (token.concept is Concept.DRUG and _COMPOUND.match(text, token.end))
            for token in words
        )
        return (_Kind.TOPIC, UNCLASSIFIABLE) if topical else (_Kind.DRUG_SEEN, DRUG)
    if Concept.CHAT_OPTION in concepts:
        return _Kind.NAME, CHAT
    pairs = pairwise(head)
    if any(a.concept is Concept.DEAL and b.concept is Concept.PLACE for a, b in pairs):
        return _Kind.NAME, PLACE
    named = [label for label in types if label != DRUG]
    return (_Kind.BARE, named[-1]) if named else (_Kind.TOPIC, UNCLASSIFIABLE)


def _korean_head(words: list[Token], text: str) -> list[Token]:
    """Return the words up to the last type that is not merely spoken of or where a drug is."""
    types = [at for at, token in enumerate(words) if token.concept in _TYPES]
    drugs = [at for at, token in enumerate(words) if token.concept is Concept.DRUG]
    for at in reversed(types):
        # "대화에서 거래 장소를 언급합니다": a conversation; "장소에 마약이 있습니다": the drug
        spoken_of = at != types[0] and text.startswith(("을", "를"), words[at].end)
        located = words[at].concept is Concept.PLACE and text.startswith("에", words[at].end)
        if not (spoken_of or (located and drugs and drugs[-1] > at)):
            return words[: at + 1]
    return []


def _english_head(words: list[Token], text: str) -> list[Token]:
    """Return the first noun phrase, up to a preposition or to a verb after a type."""
    head: list[Token] = []
    for token in words:
        typed = any(other.concept in _TYPES for other in head)
        if head and (
            token.concept is Concept.OF
            or (typed and re.search("[a-z]{3}", text[head[-1].end : token.start]))
        ):
            break
        if token.concept is not Concept.OF:
            head.append(token)
    return head


def _after_marks(evidence: list[_Evidence], tokens: list[Token]) -> list[_Evidence]:
    """Return only the evidence after the last correction, or else after the first conclusion, if it
    is decisive."""
    corrections = [token.start for token in tokens if token.concept is Concept.CORRECT]
    conclusions = [token.start for token in tokens if token.concept is Concept.CONCLUDE]
    for mark in [*corrections[-1:], *conclusions[:1]]:
        after = [item for item in evidence if item.position > mark]
        if _is_decisive(after):
            return after
    return evidence


def _decide(evidence: list[_Evidence]) -> int:
    """Return the one label on which the evidence agrees, or −1."""

    def labels(*kinds: _Kind) -> set[int]:
        return {item.label for item in evidence if item.kind in kinds}

    digits, named = labels(_Kind.DIGIT), labels(_Kind.DIGIT, _Kind.NAME)
    denied = labels(_Kind.DENIED) if digits else labels(_Kind.DENIED, _Kind.BARE_DENIED)
    if len(digits) == 1:
        named = digits | (named - denied)  # "it names the place of a deal, but it is not 2: 1"
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
    elif not named and len(bare - denied) == 1 and denied - bare - {DRUG}:
        # "not a chat, it is a place": among the options, the bare word means the option.
        named = bare - denied
    if len(named) != 1 or named & denied:
        return UNCLASSIFIABLE
    return named.pop()
