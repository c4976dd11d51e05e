"""Explicit choices: the digits of an answer that name a label, and not a count, date or name.

A digit is a choice if its clause says nothing else ("I think it is 2"), if a label's word
introduces it ("label 2", "정답은 2"), if a judgement follows it ("2번입니다"), or if the category's
name explains it ("2: 마약 거래 장소").
"""

from __future__ import annotations

import re
from itertools import takewhile

from mayak.evaluation.markup import LABEL_WORD
from mayak.evaluation.vocabulary import CONTENT, Concept, Token

_LABEL = rf"{LABEL_WORD}(?:\s?(?:id|no\.?|number|index|code|번호|코드|값)(?![a-z]))?"
_INTRODUCED = re.compile(
    rf"(?:{_LABEL}|(?:[这该]|认为)是|\b중(?:에서)?|가운데|\b(?:it|this)(?=(?:'s| is) ?)|\bi(?:'d"
    rf"|'ll| would| will) (?!like|need|want|give)(?:\w+ ){{1,3}}"
    r"|\bi (?:conclude|choose|pick|select|say|think|believe|guess))(?:은|는|이|가|의|로|으로|は"
    r"|是)?[\s:=#(\[\"'-]*(?:(?:(?:would|must|should) be|'s|is|are|as|es|est|é|è|ist|correct[ae]?"
    r"|correta|아마도?|most"
    r"|\w+ly)\b\s?)*[\s:=#(\[\"']*\Z"
)
_JUDGED = re.compile(
    r"(?!\s?번?이?라[고는]\s(?:적|쓰|쓴|써|표|새|인쇄|나|되어))(?:\s?番?(?:を選|に(?:該当|分類|属)"
    r"|だと|が(?:正|最|適))|\s?번(?:(?=\n)|\s?(?:\Z|(?=[^\w\s])|입니"
    r"|이(?:[다에고며지죠라네요거야군구잖자랍기]|란다|면서)|예요|임\b|인|일[ 지]|[은는도과와]\s"
    r"|또는|혹은|쪽|선택|정답|추정|으로도?\s(?!나)|에도?\s(?![걸나한]|대[해한])"
    r"|이\s(?![나적쓰써있넘])|[을를]\s[선고골뽑]))|\s(?:is|would be|seems) (?:the|my)\b"
    r"|\s?번?\s?(?:맞|같|유력|유형|라벨|판단됩|의 (?:특징|성격|요소)|아[니닌님])|(?:으?로도?|에도?"
    r"|[이가은는을를도]|이?라[고기]|보다는?)\s?(?:됩|되[고며]|볼 수|맞|정답|가장|가깝|더|유력|적절"
    r"|적합|아[니닌님]|해당|속[하한합]|판[단별]|분류|생각|추정|선택|고르|골[라랐]|답[하이입변]"
    r"|결정))"
)
_ENDS = re.compile(
    r"\s*(?:\Z|[^\w\s%°])|\s(?:is|fits|appl(?:y|ies)|both|equally|too|matches|seems|looks|would"
    r"|with|which|and|or|for|as|image|photo|picture)\b|[은는이가을를로에도와과]\s|입니"
    r"|이[다에고며]|예요|です|或|または|もしくは|か(?=\s?[0-3])"
)
_OTHER_NUMBER = re.compile(
    r"(?:\b(?:how (?!i )\w+|what (?:time|number|page|price)|asks)|몇(?! ?번)"
    r"|얼마)[^.?!\n]*\?\s*\Z|\b(?:s?he|they|seller|buyer|sender) (?:\w+ )?(?:answer|sa[yi]"
    r"|repl)\w*\W*\Z|(?:상대방?|자|친구)(?:의|[이가은는])? ?(?:답변?|대답)[은는이]?\s\Z|\b(?:vol"
    r"|fig|p|ch|sec|eq|ver)\. ?\Z"
    r"|\b(?:image|photo|picture|figure|page|step|user|person"
    r"|room|table|line)s? ?#?\Z|(?:^|[^이당본위] )(?:사진|이미지|그림) ?\Z|(?:출구|버스|좌석|사물함"
    r"|등번호|[가-힣](?<![답형벨류택목지의]) ?번호|전화|문제|호선|창구|노선)[은는이가를을]?\s\Z"
)
_FITTING = {Concept.CHAT: "01", Concept.PLACE: "02", Concept.NUMBER: ""}
"""The labels that a word can end with: "chat: 1", but "message: 2" gives a number."""
_COUNTED = re.compile(
    r"번?:?\s\d+(?:\.\d+)?\s?%|\s(?:answers?|options|labels|types|categories|classes)\W*\Z"
)
_ENDS_TEXT = re.compile(r"번?\s?(?:[.\n;]|\Z)")
_NEXT_ENTRY = re.compile(r"[.,;\n]\s*[^\W\d]+:\s?\d")
"""After "drug: 3": the next entry of a list, "sugar: 0"."""
_STATED = re.compile(r"\b(?:it|this|that)(?: is|'s) .*:\s?\Z")
_FIRST_ITEM = re.compile(r"(?m)^1[.)] (?!.{,20}(?:대화|채팅|chat|conversation|drug))\S")
_GLOSS = re.compile(r"\s?번?(?:\s?[:.)\]\-=–—,]+\s*[(\"']*|\s?[(\[\"']|\s(?=[가-힣]))")
_CHOOSING = frozenset(
    """
    a also am an and answer appears applies apply appropriate as assigned at based be because
    believe belong belongs best better both but choose chose class classified classify closest con
    confident const correct corresponds d decision described digit doubt either fall falls feel
    final fit fits fitting for gets go going guess half here hesitation high i in is it just label
    lean leaning let like ll looks m make makes making match matches me more most must my no nor of
    ok okay on option or other part pick print put return right s say seems select short should so
    suitable sure that the then think this to too toward towards type under var ve very vote we
    well which will with without would yes
    """.split()  # noqa: SIM905 - one word a line otherwise
)
"""English words that choose, and say nothing about the picture."""
_FILLERS = re.compile(
    rf"(?:\bmy (?:final |best )?)?{_LABEL}[가-힣]*|\d+(?:\.\d+)?\s?%|\b(?:image|photo"
    rf"|picture)\s?#?\d+\s?:|\bnumber(?=\W*[0-3])|\b(?:has|have|got) to be\b|\bfrom me\b"
    r"|\bor else\b|\b(?:the|this|given|type of(?: the| this)?) (?:image|photo|picture|screenshot"
    r"|(?:(?:correct|right|best) )?one)\b|(?<![가-힣])(?:[이그저본위]|해당)\s?(?:이미지|사진"
    r"|그림)?[은는이가을를의]?(?![가-힣])|(?<![가-힣\d])(?:[제저내나](?:는|가)?|[네예음]"
    r"|이?[것건듯거][은는]?|거(?:야|예요|라고)|겁니다|듯[하해합][가-힣]*|여기[는서]?|가장|제일"
    r"|바로|반은|또한|동시에|역시|하고?|[세네] 번호)(?![가-힣])|(?<![가-힣])(?:(?:다음|보기"
    r"|위)?\s?중(?:에서?)?(?![가-힣])|(?:번호|숫자)(?=[은는로:])|답|아마|확실|분명|당연|가까|적절"
    r"|적합|알맞|맞|올바|굳이|고르|골|둘 다|모두|또는|혹은|아니면|그리고|생각|추정"
    r"|보[는이입인임여]|[봐봅]|사료|같|확신|드립|합니|하겠|입니)[가-힣]*"
    r"|(?<=[0-3])\s?번?\s?(?:입니다|이?(?:[다요야죠]|지요|기도|[에예]요|네요?|군요?|구나|잖아요?"
    r"|거든요?|란다|랍니다|올시다|겠[가-힣]{1,3}|라[구니]까?요?)|이[지자오여]|임|으?로도?|에도"
    r"|[은는이가을를도과와에]|[인일]|이거나|이나|이?라고|이?고)?(?![가-힣])"
    r"|(?<=[0-3])\s?[番类類号]?です|(?:この|本)?(?:写真|画像)[はの]|而是|なので|だから"
)
_JOINED = re.compile(
    r"\d번?[)\]]?\s?(?:[,、/&]|[,\s]\s?(?:and|or|및|또는|혹은|ou?|oder|или)|[과와]|이나|이거나"
    r"|或者?|和|と|か|または"
    r"|もしくは)\s?[(\[]?\Z"
)
_JOINS = {Concept.JOIN, Concept.PAUSE}
_NO_WORD = re.compile(r"\W*(?:(?:번?(?:으로|에|이기|이)?도|[번인]|사진|이미지)\W*)?")
_ENDS_PHRASE = re.compile(
    r"\s?번?\s*(?:\Z|[^\w\s%°]|입니|이[다에고며]|예요|임\b|정도|중\b| ?(?:모두|둘 다|both|equally"
    r"|too|as well|appl)|으?로\s|에도?\s)|[은는이가]\s"
)
_RIGHT_EDGE = re.compile(r"[:()\[=]|\n")

_NEAR = 120
"""Characters and tokens before and after a digit that decide on it."""
_NAMES = (
    r"관련\s?없음|무관|irrelevant|unrelated|not related",
    r"마약 대화(?: 내역)?(?: 사진)?|(?:a |the )?(?:photo of a )?drug (?:conversation"
    r"|chat)(?: history| photo)?",
    r"마약 거래(?: 장소)?|(?:a |the )?(?:drug )?transaction (?:place|location)|(?:a |the )?"
    r"(?:place of a )?drug (?:transaction|deal)(?: (?:place|location|site))?",
    r"마약 원본|(?:the )?(?:raw )?drugs?(?: itself)?",
)
_OPTION_NAMES = "|".join(_NAMES)
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
    r"|(?<![\d.])0번?\s?(?:[-~–]|to|부터|에서)\s?3번?(?!\d)(?:까지)?"
    rf"|(?<![\d.])[0-3]번?(?:{_BETWEEN}(?<![\n;] )(?<![\n;])[0-3]번?(?!\d)){{2,}}"
)
"""Three or more options in a row: the question repeated."""
_YES = (
    r"(?:yes|true|[yov]|예|네|맞(?:음|습니다|다)|해당(?:함|됨|됩니다|합니다)?|그렇(?:다|습니다)"
    r"|참|있음|是|はい|s[ií]|oui|ja"
    r"|да|(?P<marked>[✅✔✓☑⭕]|←))"
)
_NO = (
    r"(?:no|false|[nx]|non|nein|not? applicable|n/a|unsure|uncertain|unclear"
    r"|maybe|불확실|모름|아니[요오다]|아[님닙][가-힣]*|거짓"
    r"|해당\s?(?:없음|사항\s?없음|안\s?됨|(?:되|하)지\s?않[가-힣]*)|(?<!관련)(?<!관련 )없음|不是"
    r"|否|いいえ|нет|[❌✗✘×])"
)
_TICK = r"(?:\[\s?[xvo✓✔]\s?\]|[☑☒✅✔✓■⭕←])"
_TICKED = rf"(?:{_TICK}|\([xv✓✔]\))"
_UNTICKED = r"(?:\[\s?\]|\(\s?\)|[☐❌✗✘⬜□])"
_NAMED = (
    rf"(?:[(\[]?\b(?:{LABEL_WORD}\s?)?[0-3](?![\da-z])[^\n\d;]{{0,60}}?"
    rf"|(?:{_OPTION_NAMES})[^\n;:]{{0,9}}?)"
)
_VERDICTS = re.compile(
    rf"(?:(?P<ticked>{_TICKED})|{_UNTICKED})\s*(?P<boxed>(?:(?!{_TICKED}|{_UNTICKED})[^\n])+)"
    rf"|(?<![\w.,])(?P<option>{_NAMED})\W+(?:so\s+)?(?:(?P<yes>{_YES})|{_NO})(?!\w)"
    r"(?=\W*(?:\Z|[0-3](?!\d))|\s*[\n,.;()\[\]–—/-])"
    rf"[^\n]*?(?=\n|\Z|[,;./]?\s*(?<!\w)(?:[(\[]?[0-3](?!\d)|{_OPTION_NAMES}))"
)
"""Options with a verdict on each: "1: … - no", "[x] 2: …"."""
_CROSS = "[❌✗✘]"
_WORDS = rf"(?:(?!{_TICK}|{_CROSS}|\.\d)[^\d\n])"
_ALL_OPTIONS = re.compile(
    rf"{_WORDS}{{0,20}}\s*(?:[a-z]+ )?".join(
        rf"((?:(?:{_TICK}|{_CROSS}) ?)?(?:(?:\(?[a-d가나다라]|(?<![^\n])[1-4])[.):] ?)?"
        rf"(?:(?<![\w.]){label}(?![\da-z]| ?%|\.\d|(?!번)[가-힣])|{name}){_WORDS}{{0,60}}"
        rf"(?:{_TICK}|{_CROSS}|\n?(?<!-)(\d*\.\d+|\d+(?=\s?%)|[01])\s?%?(?!\w|\.\d))?)"
        for label, name in enumerate(_NAMES)
    )
)
"""A list of all options, some with a mark or each with its probability."""
_CROSSED_OUT = re.compile(rf"[0-3]\b[^\d✅✔☑❌✗✘\n]*(?:{_CROSS}|(?<=[:=\s])false\b)")
_NUMBERED_LINES = re.compile(r"\A(?=.*^1[.)] .*^2[.)] )", re.DOTALL | re.MULTILINE)


def without_options(text: str) -> str:
    """Return the text without repeated options, without options that are ruled out one by one, and
    without the numbers of a list's lines."""
    text = _CROSSED_OUT.sub(" ", _ALL_OPTIONS.sub(_chosen_option, text))
    verdicts = list(_VERDICTS.finditer(text))
    options = " ".join(match["boxed"] or match["option"] for match in verdicts)
    several = len(verdicts) > 1 and re.search(rf"0|{_OPTION_NAMES}", options)
    if several or (len(verdicts) == 1 and verdicts[0]["boxed"]):
        text = _VERDICTS.sub(_affirmed, text)
    elif len(verdicts) == 1 and verdicts[0]["marked"] and _OPTION_LISTS.match(text):
        return options
    text = _OPTION_LISTS.sub(" , ", text)
    return re.sub(r"(?m)^\d[.)] ", "", text) if _NUMBERED_LINES.match(text) else text


def _chosen_option(options: re.Match[str]) -> str:
    """Return the option that is ticked or has more than half of the probability, or else none."""
    entries = options.groups()[::2]
    chosen = [label for label, entry in enumerate(entries) if re.search(_TICK, entry)]
    crossed = [label for label, entry in enumerate(entries) if re.search(_CROSS, entry)]
    shares = [float(share or "nan") for share in options.groups()[1::2]]
    if min(abs(sum(shares) - 1), abs(sum(shares) / 100 - 1)) < 0.02:
        chosen = [label for label, share in enumerate(shares) if share > sum(shares) / 2]
    elif not chosen and len(crossed) in (0, 3):
        return options.group()
    return f"\nanswer: {chosen[0]}.\n" if len(chosen) == 1 and chosen[0] not in crossed else " , "


def _affirmed(match: re.Match[str]) -> str:
    """Return an option's words on a line if the verdict is yes, else nothing."""
    ruled_out = not (match["ticked"] or match["yes"])
    return "\n" if ruled_out else "\n{}\n".format(match["boxed"] or match["option"])


def explicit_choices(tokens: list[Token], text: str) -> list[Token]:
    """Return the tokens without the digits that are not choices, and without repeated options."""
    kept: list[Token] = []
    for at, token in enumerate(tokens):
        if not token.is_number:
            kept.append(token)
        elif _JOINED.search(text, max(token.start - _NEAR, 0), token.start):
            # "정답은 2 또는 3": the second digit is a choice if the first is.
            if any(other.is_number for other in kept[-3:]):
                kept.append(token)
        elif (
            _is_choice(tokens, at, text)
            or _follows_or(kept, token, text)
            or _precedes_or(tokens, at, text)
        ):
            kept.append(token)
    numbers = [token for token in kept if token.is_number]
    if len(numbers) == 1 and _FIRST_ITEM.match(text, numbers[0].start):
        kept.remove(numbers[0])  # "1. The image shows …", cut off
    return _without_alternatives(kept)


def _follows_or(before: list[Token], number: Token, text: str) -> bool:
    """Return whether a digit is joined to the name of a category, which may explain a choice:
    "2 (transaction place) or 1", "마약 원본 또는 2"."""
    joins = list(takewhile(lambda token: token.concept in _JOINS, reversed(before)))
    names = before[: len(before) - len(joins)]
    return (
        any(token.concept is Concept.JOIN for token in joins)
        and bool(names)
        and names[-1].concept in CONTENT | {Concept.NEG}  # "관련 없음"
        and _NO_WORD.fullmatch(text, names[-1].end, joins[-1].start) is not None
        and _NO_WORD.fullmatch(text, joins[0].end, number.start) is not None
        and _ENDS_PHRASE.match(text, number.end) is not None
    )


def _precedes_or(tokens: list[Token], at: int, text: str) -> bool:
    """Return whether "or" or "and" joins a category or another choice to a digit: "2 or a chat"."""
    joins = list(takewhile(lambda token: token.concept in _JOINS, tokens[at + 1 : at + _NEAR]))
    following = at + 1 + len(joins)
    return (
        any(token.concept is Concept.JOIN for token in joins)
        and following < len(tokens)
        and tokens[following].concept in CONTENT
        and _NO_WORD.fullmatch(text, tokens[at].end, joins[0].start) is not None
        and (not tokens[following].is_number or _is_choice(tokens, following, text))
    )


def _is_choice(tokens: list[Token], at: int, text: str) -> bool:
    first = max(at - _NEAR, 0)
    tokens, at = tokens[first : at + _NEAR], at - first
    number = tokens[at]
    head = text[max(number.start - _NEAR, 0) : number.start]
    tail = text[number.end : number.end + _NEAR]
    if _OTHER_NUMBER.search(head) or _COUNTED.match(tail):
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
        between = text[before.end : number.start].strip().removeprefix("사진")
        bracketed = between in ("(", "[") and re.match(r"번?[)\]]", tail)
        ends = _ENDS_TEXT.match(tail) and not _NEXT_ENTRY.match(tail)
        concluded = between in (":", "=") and before.text[-1] != "s" and ends
        fits = number.text in _FITTING.get(before.concept, "0123")
        if before.concept in CONTENT and fits and (bracketed or concluded):
            return True
    return _says_nothing_else(tokens, at, text)


def _says_nothing_else(tokens: list[Token], at: int, text: str) -> bool:
    """Return whether the digit's clause has no other words than those of choosing, or is a whole
    sentence before a colon ("it is a mint: 0")."""
    left = max(tokens[at].start - _NEAR, 0, *(t.end for t in tokens[:at] if t.separates))
    last = _ENDS_TEXT.match(text, tokens[at].end)
    if last and _STATED.search(text[left : tokens[at].start]):
        return True
    if last and text[left : tokens[at].start].strip() == "number" and _is_aside(tokens[:at]):
        return False
    right = min(
        tokens[at].end + _NEAR, *(t.start for t in tokens[at + 1 :] if t.separates), len(text)
    )
    if edge := _RIGHT_EDGE.search(text, tokens[at].end, right):
        right = edge.start()
    said = re.findall(r"\d|[^\W\d]+", _FILLERS.sub(" ", text[left:right]))
    numbers = [t.text for t in tokens if t.is_number and left <= t.start < right]
    words = {word for word in said if not (word in _CHOOSING or word.endswith("ly"))}
    return words <= set(numbers) and sum(word.isdigit() for word in said) <= len(numbers)


def _is_aside(before: list[Token]) -> bool:
    """Return whether a number follows a comma and a sentence that is not about the picture: "they
    live in this street, number 2"."""
    sentence = list(takewhile(lambda token: token.concept is not Concept.STOP, reversed(before)))
    paused = any(token.concept is Concept.PAUSE for token in sentence)
    return paused and not any(token.concept in CONTENT for token in sentence)


def _without_alternatives(tokens: list[Token]) -> list[Token]:
    """Remove "1 or 2" if one of the two is chosen later: "between 1 and 2 (a place), it is 2"."""
    numbers = [at for at, token in enumerate(tokens) if token.is_number]
    groups: list[list[int]] = []
    for at in numbers:
        between = [t.concept for t in tokens[groups[-1][-1] + 1 : at]] if groups else []
        if Concept.JOIN in between and set(between) <= CONTENT | _JOINS:
            groups[-1].append(at)
        else:
            groups.append([at])
    dropped: set[int] = set()
    chosen: set[str] = set()
    for group in reversed(groups):
        if len(group) == 1:
            chosen.add(tokens[group[0]].text)
        elif chosen & {tokens[at].text for at in group}:
            dropped.update(group)
    return [token for at, token in enumerate(tokens) if at not in dropped]
