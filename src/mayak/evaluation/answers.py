"""Free answers to the four-way question → the label they give, or −1.

An answer is read the way a person reads it: words become concepts (``vocabulary``), concepts are
gathered into phrases that are affirmed or denied, each phrase contributes evidence, and the
evidence of the whole answer must agree on one label. Whatever it does not say stays −1
(unclassifiable); nothing falls back to "irrelevant".
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
    DIGIT = auto()
    """The label's digit, given as the answer."""
    NAME = auto()
    """The category in words: a drug conversation, a place of transaction, the drug itself."""
    UNRELATED = auto()
    """Any relation to drugs is denied."""
    DRUG_SEEN = auto()
    """Drugs are affirmed, and no other category is named with them."""
    DRUG_ABSENT = auto()
    """Drugs are denied, which rules out the drug itself and leaves the other categories open."""
    TOPIC = auto()
    """Drugs are the topic (a drug deal, drug-related) of something unnamed."""
    BARE = auto()
    """A conversation or a place, without a word about drugs."""
    DENIED = auto()


@dataclass(frozen=True, slots=True)
class _Evidence:
    kind: _Kind
    label: int
    position: int


def parse_answer(text: str) -> int:
    """The label 0–3 that an answer gives, or −1 where it gives none, several, or refuses.

    Digits count only where they answer ("3", "정답은 2번", "label 0"), not where they count
    ("3 people", "2장", "0.5 g"). Denials are understood before and after what they deny. A list of
    the options repeated back is no choice; a conclusion overrides what came before it, and a doubt
    takes back what was said before it. A mere possibility ("might be", "수도 있습니다") is no
    answer.
    """
    plain = _without_options(normalise(text))
    tokens = _answering(scan(plain), plain)
    evidence = list(_evidence(tokens, plain))
    refused = any(token.concept is Concept.REFUSAL for token in tokens)
    if refused:
        evidence = [item for item in evidence if item.kind is _Kind.DIGIT]
    return _decide(_after_conclusion(evidence, tokens))


# --- options repeated back ----------------------------------------------------------------------

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


def _without_options(text: str) -> str:
    """The text less any run of three or more options: repeating the question chooses nothing."""
    return _OPTION_LIST.sub(" , ", text)


# --- digits that answer -------------------------------------------------------------------------

_CUED = re.compile(
    r"[\s:=#\-(\[\"']*(?:(?:은|는|이|가|의|로)\s*)?(?:is|are|would be|as|번호|number)?[\s:=#(\[]*"
)
_KOREAN_ANSWER = re.compile(
    r"\s?번?\)?\s?(?:유형|라벨|레이블|항목|선택지|카테고리|범주|클래스"
    r"|입니다|이다|이에요|예요|이고|이며|임(?=$|[\s.,!])|으?로\s?(?:보|판단|분류|생각|추정|답)|라고"
    r"|에\s?(?:해당|속|가장|가깝|포함)|[이가]\s?(?:맞|정답|적절|적합|가장|아니|아닌|아닙)|[은는]\s?(?:아니|아닙|아닌))"
)
_COUNTER_WORD_ANSWER = re.compile(
    r"\s?번\s?(?=$|[.,:;)\]!?(\n]|마약|관련|거래|대화|또는|혹은|중|[이은는을과도인](?=\s|나|고|며|라))"
)
_ENGLISH_ANSWER = re.compile(r"\)?\s+(?:is the (?:correct|best|right|most|answer)|fits|applies)")
_ENGLISH_COPULA = re.compile(r"\b(?:it|this|that|image|picture|photo)(?: is|'s)\s+$")
_COUNTED = re.compile(
    r"\s?(?:명|장|개|년|월|일(?![\s번])|시|분|초|그램|킬로|밀리|만|천|원|병|봉|알|정|통|대|마리|층|호|회|차|가지|종|번째"
    r"|%|°|점|배|위|학년|[km]?[gl]\b|[cm]m\b|px\b)"
    r"|\s(?!is\b|because\b|as\b|and\b|or\b|for\b|since\b|not\b|but\b|fits\b|applies\b|with\b|which\b|in\b)[a-z]+"
)
_GLOSS = re.compile(r"\s?(?:번)?\s?[:.)\]\-=–]+\s*\(?|\s?(?:번)?\s?\(|\s(?=[가-힣])")
_CONTENT = {
    Concept.DRUG, Concept.CHAT, Concept.CHAT_OPTION, Concept.PLACE, Concept.DEAL,
    Concept.DEAD_DROP, Concept.ITSELF, Concept.ABOUT, Concept.RELATED, Concept.UNRELATED,
    Concept.NUMBER,
}  # fmt: skip
_JOINED_NUMBERS = ([Concept.NUMBER, Concept.JOIN], [Concept.NUMBER, Concept.PAUSE])


def _answering(tokens: list[Token], text: str) -> list[Token]:
    """The tokens less the digits that count, order or date something."""
    leads = [token for token in tokens if token.concept is Concept.NUMBER and _leads(token, text)]
    kept: list[Token] = []
    for at, token in enumerate(tokens):
        if token.concept is Concept.NUMBER:
            before = tokens[at - 1] if at else None
            after = tokens[at + 1] if at + 1 < len(tokens) else None
            listed = len(leads) > 1 and token in leads
            # "정답은 2 또는 3": the second stands where the first does
            joined = [t.concept for t in kept[-2:]] in _JOINED_NUMBERS
            if listed or not (joined or _answers(token, before, after, text)):
                continue
        kept.append(token)
    return kept


def _leads(number: Token, text: str) -> bool:
    """Whether the digit opens a line as a list's number does ("1. …")."""
    line = text[text.rfind("\n", 0, number.start) + 1 : number.start]
    opens = not line.strip(" ([") or re.search(r"[.!]\s$", line) is not None
    return opens and re.match(r"[.)]\s+\S", text[number.end :]) is not None


def _answers(number: Token, before: Token | None, after: Token | None, text: str) -> bool:
    head, tail = text[: number.start], text[number.end :]
    if _KOREAN_ANSWER.match(tail) or _COUNTER_WORD_ANSWER.match(tail):
        return True
    if _COUNTED.match(tail):
        # "label 2 drug transaction place": a cue beside it, and the option's own words after it
        named = after is not None and after.concept in _CONTENT and after.start == number.end + 1
        return named and _cue_ends(before, head) == ""
    between = _cue_ends(before, head)
    if between is not None and _CUED.fullmatch(between):
        return True
    if _ENGLISH_ANSWER.match(tail) or _ENGLISH_COPULA.search(head):
        return True
    alone = re.split(r"[.!?;\n,]", head)[-1] + re.split(r"[.!?;\n,]", tail)[0]
    if not alone.replace(number.text, "").strip(" ()[]\"'<>-"):
        return True
    gloss = _GLOSS.match(tail)
    if gloss and after is not None and after.concept in _CONTENT:
        return after.start <= number.end + gloss.end()
    named_before = before is not None and before.concept in _CONTENT
    return named_before and head.endswith(("(", "[")) and tail.startswith((")", "]"))


def _cue_ends(before: Token | None, head: str) -> str | None:
    """What stands between a cue and the digit, without space around it; None without a cue."""
    if before is None or before.concept not in (Concept.CUE, Concept.CONCLUDE):
        return None
    return head[before.end :].strip()


# --- phrases and their polarity -----------------------------------------------------------------


def _sentences(tokens: list[Token]) -> Iterator[list[Token]]:
    """The tokens of each statement; questions say nothing."""
    sentence: list[Token] = []
    for token in tokens:
        if token.concept is Concept.QUESTION:
            sentence = []
        elif token.concept is Concept.STOP:
            yield sentence
            sentence = []
        else:
            sentence.append(token)
    yield sentence


def _evidence(tokens: list[Token], text: str) -> Iterator[_Evidence]:
    """What each phrase contributes, in order, less what is doubted or corrected later."""
    gathered: list[_Evidence] = []
    for sentence in _sentences(tokens):
        for clause in _clauses(sentence):
            concepts = {token.concept for token in clause}
            if Concept.HEDGE in concepts or Concept.CORRECT in concepts:
                gathered = [item for item in gathered if item.kind is _Kind.DIGIT]
            if concepts & {Concept.HEDGE, Concept.POSSIBLE, Concept.IF, Concept.REFUSAL}:
                continue
            for phrase, denied in _phrases(clause):
                gathered += _read(phrase, denied, text)
    yield from gathered


def _clauses(sentence: list[Token]) -> Iterator[list[Token]]:
    clause: list[Token] = []
    for token in sentence:
        if token.concept is Concept.BREAK:
            yield clause
            clause = []
        else:
            clause.append(token)
    yield clause


def _phrases(clause: list[Token]) -> Iterator[tuple[list[Token], bool]]:
    """Content of a clause in runs that are affirmed (False) or denied (True) as a whole.

    A Korean negation denies the run before it, an English one the run after it, up to the next
    subject after a comma. Two Korean negations on one run cancel each other and leave nothing.
    """
    runs: list[tuple[list[Token], bool]] = []
    run: list[Token] = []
    denying = False
    paused = False

    def close(denied: bool) -> None:
        nonlocal run
        if run:
            runs.append((run, denied))
        run = []

    for token in clause:
        if token.concept is Concept.NEG:
            if not run and runs and runs[-1][1]:
                runs.pop()
            close(not denying)
            denying = False
        elif token.concept is Concept.NOT:
            # "not without" cancels; "neither … nor" denies both
            cancels = denying and not run and not paused
            close(denying)
            denying = not cancels
        elif token.concept is Concept.PAUSE:
            paused = True
            spoken_in_english = run and not run[-1].korean and not denying
            if spoken_in_english or all(t.concept is Concept.NUMBER for t in run):
                close(denying)
            elif run:
                run.append(token)
        elif token.concept is Concept.SUBJECT and paused:
            close(denying)
            denying = False
        elif token.concept in _CONTENT or token.concept in (Concept.JOIN, Concept.OF):
            run.append(token)
    close(denying)
    return iter(runs)


# --- what a phrase says -------------------------------------------------------------------------

_TYPES = {
    Concept.CHAT: CHAT,
    Concept.CHAT_OPTION: CHAT,
    Concept.PLACE: PLACE,
    Concept.DEAD_DROP: PLACE,
    Concept.ITSELF: DRUG,
}
_OBJECT_PARTICLE = re.compile(r"(\S*)(?:과|와|랑|하고)(?:는|은|의|도)?\s?(?:\S+적으로\s?)?$")
_FOREIGN_OBJECT = re.compile(r"\s*(?:to|with)\s+((?:[a-z'-]+\s?){0,4})")
_ANY_OBJECT = re.compile(r"\b(?:any|these|this|those|above|crime|criminal|illegal|it|them|case)\b")


def _read(phrase: list[Token], denied: bool, text: str) -> list[_Evidence]:
    """The evidence in one affirmed or denied run of content."""
    numbers = [token for token in phrase if token.concept is Concept.NUMBER]
    words = [token for token in phrase if token.concept is not Concept.NUMBER]
    relation = next(
        (
            at
            for at, token in enumerate(words)
            if token.concept is Concept.UNRELATED or (denied and token.concept is Concept.RELATED)
        ),
        None,
    )
    found = []
    for token in numbers:
        # In "0번(관련 없음)" the relation is denied, not the digit.
        spared = relation is not None and not _OBJECT_PARTICLE.search(
            text[token.end : words[relation].start]
        )
        kind = _Kind.DENIED if denied and not spared else _Kind.DIGIT
        found.append(_Evidence(kind, int(token.text), token.start))
    if relation is not None:
        return found + _relation_denied(words, relation, denied, text)
    for part in _coordinated(words):
        named = _name(part, text)
        if named is None:
            continue
        kind, label = named
        position = part[0].start
        if not denied:
            found.append(_Evidence(kind, label, position))
        elif kind is _Kind.DRUG_SEEN:
            found.append(_Evidence(_Kind.DRUG_ABSENT, IRRELEVANT, position))
            found.append(_Evidence(_Kind.DENIED, DRUG, position))
        elif kind in (_Kind.NAME, _Kind.BARE):
            found.append(_Evidence(_Kind.DENIED, label, position))
    return found


def _relation_denied(words: list[Token], at: int, denied: bool, text: str) -> list[_Evidence]:
    """Evidence of "not related (to …)": irrelevance, unless it is related to something else."""
    relation = words[at]
    if relation.concept is Concept.UNRELATED and denied:
        return [_Evidence(_Kind.DENIED, IRRELEVANT, relation.start)]
    before = [token for token in words[:at] if token.concept is not Concept.PAUSE]
    after = words[at + 1 :]
    # "마약 관련 대화가 아닙니다", "not a drug-related chat": the noun is denied, not the relation.
    head = next((token for token in after if token.concept in _TYPES), None)
    direct = relation.concept is Concept.RELATED and before and before[-1].concept is Concept.DRUG
    if direct and head is not None and Concept.OF not in {t.concept for t in after}:
        return [_Evidence(_Kind.DENIED, _TYPES[head.concept], head.start)]
    if relation.korean:
        match = _OBJECT_PARTICLE.search(text[: relation.start])
        if match:
            last = before[-1] if before else None
            if last is None or last.end < match.start(1):
                return _irrelevant(relation) if match.group(1) in ("범죄", "범행") else []
            if last.concept in _TYPES:
                return [_Evidence(_Kind.DENIED, _TYPES[last.concept], last.start)]
        return _irrelevant(relation)
    match = _FOREIGN_OBJECT.match(text[relation.end :])
    if match and not after and not _ANY_OBJECT.search(match.group(1)):
        return []
    return _irrelevant(relation)


def _irrelevant(relation: Token) -> list[_Evidence]:
    return [_Evidence(_Kind.UNRELATED, IRRELEVANT, relation.start)]


def _coordinated(words: list[Token]) -> Iterator[list[Token]]:
    """The parts that and/or joins; "마약 대화 및 거래 장소" keeps its drug in both."""
    part: list[Token] = []
    drug: list[Token] = []
    for token in [*words, None]:
        if token is None or token.concept in (Concept.JOIN, Concept.PAUSE):
            types = [t for t in part if t.concept in _TYPES]
            if types and drug and not any(t.concept is Concept.DRUG for t in part):
                part = drug + part
            drug = [t for t in part if t.concept is Concept.DRUG][:1] or drug
            if any(t.concept in _CONTENT for t in part):
                yield [t for t in part if t.concept in _CONTENT or t.concept is Concept.OF]
            part = []
        else:
            part.append(token)


def _name(words: list[Token], text: str) -> tuple[_Kind, int] | None:
    """What a noun phrase names. Its head is the last noun in Korean, the first in English."""
    concepts = [token.concept for token in words]
    drug = Concept.DRUG in concepts or Concept.DEAD_DROP in concepts
    types = [token for token in words if token.concept in _TYPES]
    if not drug:
        if Concept.CHAT_OPTION in concepts:
            return _Kind.NAME, CHAT
        if Concept.DEAL in concepts and Concept.PLACE in concepts:
            return _Kind.NAME, PLACE
        heads = [_TYPES[t.concept] for t in types if t.concept is not Concept.ITSELF]
        return (_Kind.BARE, heads[-1] if words[0].korean else heads[0]) if heads else None
    topical = {Concept.ABOUT, Concept.RELATED, Concept.DEAL} & set(concepts)
    korean = words[0].korean
    label = _korean_head(words, types, text) if korean else _english_head(words)
    if label is not None:
        return _Kind.NAME, label
    return (_Kind.TOPIC, UNCLASSIFIABLE) if topical else (_Kind.DRUG_SEEN, DRUG)


def _korean_head(words: list[Token], types: list[Token], text: str) -> int | None:
    if not types:
        return None
    last = types[-1]
    located = text[last.end :].startswith(("에", "에는", "에서"))
    drug_follows = any(t.concept is Concept.DRUG and t.start > last.start for t in words)
    # "장소에 마약이 있습니다" shows the drug; "대화에서 마약을 말합니다" stays a conversation.
    if last.concept is Concept.PLACE and located and drug_follows:
        return None
    return _TYPES[last.concept]


def _english_head(words: list[Token]) -> int | None:
    """The type named by the first noun phrase that holds any content."""
    phrase: list[Token] = []
    for token in [*words, None]:
        if token is None or token.concept is Concept.OF:
            if phrase:
                break
        else:
            phrase.append(token)
    types = [token for token in phrase if token.concept in _TYPES]
    return _TYPES[types[-1].concept] if types else None


# --- the verdict --------------------------------------------------------------------------------


def _after_conclusion(evidence: list[_Evidence], tokens: list[Token]) -> list[_Evidence]:
    """Only what stands after the first "therefore" or "answer:", if anything does."""
    marks = [token.start for token in tokens if token.concept is Concept.CONCLUDE]
    concluded = [item for item in evidence if marks and item.position > marks[0]]
    decisive = [item for item in concluded if item.kind not in (_Kind.BARE, _Kind.TOPIC)]
    return concluded if decisive else evidence


def _decide(evidence: list[_Evidence]) -> int:
    """The one label on which the evidence agrees, or −1."""

    def labels(*kinds: _Kind) -> set[int]:
        return {item.label for item in evidence if item.kind in kinds}

    denied = labels(_Kind.DENIED)
    named = labels(_Kind.DIGIT, _Kind.NAME)
    bare = labels(_Kind.BARE)
    seen = bool(labels(_Kind.DRUG_SEEN))
    topic = bool(labels(_Kind.TOPIC))
    unrelated = bool(labels(_Kind.UNRELATED)) or denied >= {CHAT, PLACE, DRUG}
    if not named and len(bare) == 1 and (topic or (seen and bare == {CHAT})):
        # The conversation and its topic stood in two sentences.
        named = bare
    if unrelated:
        named = named | {IRRELEVANT} if not seen else set()
    elif not named and seen:
        named = {DRUG} if not bare and not labels(_Kind.DRUG_ABSENT) else set()
    elif not named and labels(_Kind.DRUG_ABSENT):
        named = {IRRELEVANT} if not bare and not topic else set()
    elif not named and len(bare - denied) == 1 and denied - bare:
        # "not a chat, it is a place": among the options, the bare word is the option.
        named = bare - denied
    if len(named) != 1 or named & denied:
        return UNCLASSIFIABLE
    return named.pop()
