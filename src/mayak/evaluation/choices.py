"""Explicit choices: the digits of an answer that name a label, and not a count, date or name.

A digit is a choice if its clause says nothing else ("I think it is 2"), if a label's word
introduces it ("label 2", "정답은 2"), if a judgement follows it ("2번입니다"), or if the category's
name explains it ("2: 마약 거래 장소").
"""

from __future__ import annotations

import re

from mayak.evaluation.markup import LABEL_WORD
from mayak.evaluation.vocabulary import CONTENT, Concept, Token

_LABEL = rf"{LABEL_WORD}(?:\s?(?:id|no\.?|number|index|code|번호|코드|값)(?![a-z]))?"
_INTRODUCED = re.compile(
    rf"(?:{_LABEL}|\b중(?:에서)?|가운데|\b(?:it|this)(?=(?:'s| is) ?)|\bi(?:'d|'ll| would"
    rf"| will) (?!like|need|want|give)(?:\w+ ){{1,3}}"
    r"|\bi (?:conclude|choose|pick|select|say|think|believe|guess))(?:은|는|이|가|의|로|으로|は"
    r"|是)?[\s:=#(\[\"'-]*(?:(?:(?:would|must|should) be|'s|is|are|as|es|아마도?|most"
    r"|\w+ly)\b\s?)*[\s:=#(\[\"']*\Z"
)
_JUDGED = re.compile(
    r"\s?번(?:(?=\n)|\s?(?:\Z|(?=[^\w\s])|입니|이[다에고며지라네요거]|예요|임\b|인|일[ 지]"
    r"|[은는도과와]\s|또는|혹은|쪽|선택|정답|추정|으로\s(?!나)|에\s(?![걸나한]|대[해한])"
    r"|이\s(?![나적쓰써있넘])|[을를]\s[선고골뽑]))|\s(?:is|would be|seems) (?:the|my)\b"
    r"|\s?번?\s?(?:맞|같|유력|유형|라벨|판단됩|아[니닌님])|(?:으?로|이?라고)\s?보[는이인입]"
    r"|(?:으?로|에|[이가은는을를]|이?라[고기]|보다는?)\s?(?:맞|정답|가장|가깝|더|유력|적절|적합"
    r"|아[니닌님]|해당|속하|판[단별]|분류|생각|추정|선택|고르|골[라랐]|답[하이입변]|결정)"
)
_ENDS = re.compile(
    r"\s*(?:\Z|[^\w\s%°])|\s(?:is|fits|applies|matches|seems|looks|would|with|which|and|or|for|as"
    r"|image|photo|picture)\b|[은는이가을를로에도]\s|입니|이[다에고며]|예요|です"
)
_OTHER_NUMBER = re.compile(
    r"\b(?:vol|fig|p|ch|sec|eq|ver)\. ?\Z|\b(?:image|photo|picture|figure|page|step|user|person"
    r"|room|table|line)s? ?#?\Z|(?:^|[^이당본위] )(?:사진|이미지|그림) ?\Z|(?:출구|버스|좌석|사물함"
    r"|등번호|전화|문제|호선|창구|노선)[은는이가를을]?\s\Z"
)
_ENDS_TEXT = re.compile(r"번?\s?(?:[.\n;]|\Z)")
_STATED = re.compile(r"\b(?:it|this|that)(?: is|'s) .*:\s?\Z")
_FIRST_ITEM = re.compile(r"(?m)^1[.)] (?!.{,20}(?:대화|채팅|chat|conversation|drug))\S")
_GLOSS = re.compile(r"\s?번?(?:\s?[:.)\]\-=–—,]+\s*[(\"']*|\s?[(\[\"']|\s(?=[가-힣]))")
_CHOOSING = frozenset(
    """
    a also am an and answer appears appropriate as assigned at based be because believe belong
    belongs best better both but choose chose class classified classify closest con confident const
    correct corresponds d decision described digit doubt either fall falls feel final fit fits
    fitting for gets go going guess here hesitation high i in is it just label lean leaning let
    like ll looks m make makes making match matches me more most must my no nor ok okay on
    option or pick print put return right s say seems select short should so suitable sure that
    the then think this to toward towards type under var ve very vote we well which will with
    without would yes
    """.split()  # noqa: SIM905 - one word a line otherwise
)
"""English words that choose, and say nothing about the picture."""
_FILLERS = re.compile(
    rf"(?:\bmy (?:final |best )?)?{_LABEL}[가-힣]*|\d+(?:\.\d+)?\s?%|\b(?:image|photo"
    rf"|picture)\s?#?\d+\s?:|\bnumber(?=\W*[0-3])|\b(?:has|have|got) to be\b|\bfrom me\b"
    rf"|\bwith (?:\w+ )?confidence\b"
    r"|\b(?:the|this|given|type of(?: the| this)?) (?:image|photo|picture|screenshot|(?:(?:correct"
    r"|right|best) )?one)\b|(?<![가-힣])(?:[이그저본위]|해당)\s?(?:이미지|사진"
    r"|그림)?[은는이가을를의]?(?![가-힣])|(?<![가-힣\d])(?:[제저내나](?:는|가)?|[네예음]"
    r"|이?[것건듯][은는]?|여기[는서]?|또한|역시|그냥|가장|제일|바로|[세네] 번호)(?![가-힣])"
    r"|(?<![가-힣])(?:(?:번호|숫자)(?=[은는로:])|답|아마|확실|분명|당연|가까|적절|적합|알맞|맞|올바"
    r"|굳이|고르|골|또는|혹은|아니면|그리고|생각|추정|보[는이입인임여]|사료|같|확신|드립|합니|하겠"
    r"|입니)[가-힣]*|(?<=[0-3])\s?번?\s?(?:입니다|이?[다요]|이?에요|예요|임|이?네요|으?로"
    r"|[은는이가을를도과와에]|[인일]|이나|이?라고|이?고)?(?![가-힣])"
)
_JOINED = re.compile(
    r"\d번?[)\]]?\s?(?:[,/&]|[,\s]\s?(?:and|or|및|또는|혹은)|[과와]|이나|이거나)\s?[(\[]?\Z"
)
_RIGHT_EDGE = re.compile(r"[:()\[=]|\n")

_OPTION_NAMES = (
    r"관련\s?없음|무관|마약 대화(?: 내역)?(?: 사진)?|마약 거래(?: 장소)?|마약 원본|irrelevant"
    r"|unrelated|not related|(?:a |the )?(?:photo of a )?drug (?:conversation|chat)(?: history"
    r"| photo)?|(?:a |the )?(?:drug )?transaction (?:place|location)|(?:a "
    r"|the )?(?:place of a )?drug (?:transaction|deal)(?: (?:place|location|site))?"
    r"|(?:the )?(?:raw )?drugs?(?: itself)?"
)
_OPTION = (
    r"[(\[]?(?:[0-3]\s?(?:번)?[)\]]?\s?[:.)=\-]?\s?)?"
    rf"(?:{_OPTION_NAMES})(?:\s?\([0-3]\))?[)\]]?"
)
_BETWEEN = (
    r"(?:\s*[,/;·|\n]\s*(?:(?:and|or|및|또는|혹은|그리고) )?|\s+(?:and|or|및|또는|혹은|그리고)\s+)"
)
_MARKER = r"(?<![\d.,])\(?{}(?:\s?번)?\s?(?:[:.)=]|\s[-–]\s|(?<=번)\s)\s?(?=[^\W\d])"
_ITEM = r"[^\d]{2,90}?"
_OPTION_LISTS = re.compile(
    rf"(?:{_MARKER.format(0)}{_ITEM})?{_MARKER.format(1)}(?=[^\d]{{,60}}(?:대화|채팅|chat"
    rf"|conv)){_ITEM}{_MARKER.format(2)}{_ITEM}(?:{_MARKER.format(3)}[^\d\n.)?!;]*?(?=[\d\n.)?!;]"
    rf"|\s중|\s(?:so|answer)\b|$)|$)"
    rf"|(?<!not )(?<!no )(?<!neither ){_OPTION}(?:{_BETWEEN}{_OPTION}){{2,}}"
    rf"|(?<![\d.])[0-3]번?(?:{_BETWEEN}(?<![\n;] )(?<![\n;])[0-3]번?(?!\d)){{2,}}"
)
"""Three or more options in a row: the question repeated."""
_NUMBERED_LINES = re.compile(r"\A(?=.*^1[.)] .*^2[.)] )", re.DOTALL | re.MULTILINE)


def without_options(text: str) -> str:
    """Return the text without repeated options, and without the numbers of a list's lines."""
    text = _OPTION_LISTS.sub(" , ", text)
    return re.sub(r"(?m)^\d[.)] ", "", text) if _NUMBERED_LINES.match(text) else text


def explicit_choices(tokens: list[Token], text: str) -> list[Token]:
    """Return the tokens without the digits that are not choices, and without repeated options."""
    kept: list[Token] = []
    for at, token in enumerate(tokens):
        if not token.is_number:
            kept.append(token)
        elif _JOINED.search(text, 0, token.start):
            # "정답은 2 또는 3": the second digit is a choice if the first is.
            if any(other.is_number for other in kept[-3:]):
                kept.append(token)
        elif _is_choice(tokens, at, text):
            kept.append(token)
    numbers = [token for token in kept if token.is_number]
    if len(numbers) == 1 and _FIRST_ITEM.match(text, numbers[0].start):
        kept.remove(numbers[0])  # "1. The image shows …", cut off
    return _without_alternatives(kept)


def _is_choice(tokens: list[Token], at: int, text: str) -> bool:
    number = tokens[at]
    head, tail = text[: number.start], text[number.end :]
    if _OTHER_NUMBER.search(head):
        return False
    if _JUDGED.match(tail):
        return True
    after = [
        t for t in tokens[at + 1 : at + 2] if t.separates or t.concept in CONTENT - {Concept.ABOUT}
    ]
    adjacent = any(not text[number.end : t.start].strip() for t in after)
    if (adjacent or _ENDS.match(tail)) and _INTRODUCED.search(head):
        return True
    gloss = _GLOSS.match(text, number.end)
    if gloss and any(t.concept in CONTENT and t.start <= gloss.end() for t in after):
        return True
    # "관련 없음 (0)" and "it is a chat: 1", but not "chats: 1", which counts them
    for before in tokens[max(at - 1, 0) : at]:
        between = text[before.end : number.start].strip()
        bracketed = between in ("(", "[") and re.match(r"번?[)\]]", tail)
        concluded = between in (":", "=") and before.text[-1] != "s" and _ENDS_TEXT.match(tail)
        if before.concept in CONTENT and not before.is_number and (bracketed or concluded):
            return True
    return _says_nothing_else(tokens, at, text)


def _says_nothing_else(tokens: list[Token], at: int, text: str) -> bool:
    """Return whether the digit's clause has no other words than those of choosing, or is a whole
    sentence before a colon ("it is a mint: 0")."""
    left = max((t.end for t in tokens[:at] if t.separates), default=0)
    if _STATED.search(text[left : tokens[at].start]) and _ENDS_TEXT.match(text, tokens[at].end):
        return True
    right = min((t.start for t in tokens[at + 1 :] if t.separates), default=len(text))
    if edge := _RIGHT_EDGE.search(text, tokens[at].end, right):
        right = edge.start()
    said = re.findall(r"\d|[^\W\d]+", _FILLERS.sub(" ", text[left:right]))
    numbers = [t.text for t in tokens if t.is_number and left <= t.start < right]
    words = {word for word in said if not (word in _CHOOSING or word.endswith("ly"))}
    return words <= set(numbers) and sum(word.isdigit() for word in said) <= len(numbers)


def _without_alternatives(tokens: list[Token]) -> list[Token]:
    """Remove "1 or 2" where one of the two is chosen later: "between 1 and 2, it is 2"."""
    numbers = [at for at, token in enumerate(tokens) if token.is_number]
    groups: list[list[int]] = []
    for at in numbers:
        if groups and at - groups[-1][-1] == 2 and tokens[at - 1].concept is Concept.JOIN:
            groups[-1].append(at)
        else:
            groups.append([at])
    dropped = {
        at
        for place, group in enumerate(groups)
        for later in groups[place + 1 :]
        if len(later) == 1 < len(group)
        if tokens[later[0]].text in {tokens[at].text for at in group}
        for at in group
    }
    return [token for at, token in enumerate(tokens) if at not in dropped]
