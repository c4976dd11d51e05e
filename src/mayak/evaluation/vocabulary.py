"""The words of an answer: free Korean or English text → concepts in order.

What the words mean together is the business of ``mayak.evaluation.answers``; this module only
recognises them. Patterns see normalised text: NFKC, lower case, no markup.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum, auto


class Concept(Enum):
    """What a word or phrase contributes."""

    NUMBER = auto()
    """A single digit 0–3 that stands alone; whether it answers is decided by its surroundings."""
    DRUG = auto()
    CHAT = auto()
    CHAT_OPTION = auto()
    """The option's own words (대화 내역), which name it even without the drug."""
    PLACE = auto()
    DEAL = auto()
    DEAD_DROP = auto()
    """A drug and its hand-over in one word (던지기)."""
    ITSELF = auto()
    ABOUT = auto()
    """After a drug: the thing named is about drugs (prevention, news, tests), not the drug."""
    RELATED = auto()
    UNRELATED = auto()
    NOT = auto()
    """A negation before what it denies (English)."""
    NEG = auto()
    """A negation after what it denies (Korean; ``are not visible``)."""
    JOIN = auto()
    OF = auto()
    """Ends an English noun phrase: what follows describes what went before."""
    SUBJECT = auto()
    PAUSE = auto()
    BREAK = auto()
    STOP = auto()
    QUESTION = auto()
    CUE = auto()
    CONCLUDE = auto()
    CORRECT = auto()
    """What was said before only seemed so (actually, 사실은)."""
    HEDGE = auto()
    POSSIBLE = auto()
    IF = auto()
    REFUSAL = auto()
    NEUTRAL = auto()
    """Holds another concept's letters and means something else (다름없다, 마약 김밥)."""


@dataclass(frozen=True, slots=True)
class Token:
    """A recognised word or phrase and where it stands in the normalised text."""

    concept: Concept
    text: str
    start: int
    end: int

    @property
    def korean(self) -> bool:
        """Whether Korean word order rules it: the head and the negation come last."""
        return any("가" <= letter <= "힣" for letter in self.text)


_UNABLE = r"(?:can ?not|can't|could ?n[o']t|unable to|not able to|not possible to|impossible to)"
_KO_UNABLE = r"(?:판단|판별|확인|분류|식별|구분|특정|단정|결정)(?:할|하기)"

_NO_RELATION = r"(?!\s(?:\S+\s)?(?:관련|연관|무관|상관|관계))"

# Order decides between overlapping patterns: longer and more special ones come first.
_PATTERNS: tuple[tuple[Concept, tuple[str, ...]], ...] = (
    (
        Concept.NEUTRAL,
        (
            r"마약\s?(?:김밥|떡볶이|옥수수|베개|토스트|계란|쿠키|방석|소스|핫도그)",
            r"마약(?:처럼|같은|같이| 같은| 같이| 모양)",
            r"drug ?stores?\b",
            r"truth drugs?\b",
            r"like (?:illegal )?drugs?,? but",
            r"다름(?:이)?\s?(?:없|아니)\w*",
            r"다름 아닌",
            r"틀림\s?없\w*",
            r"의심(?:할|의)?\s?여지(?:가|도)?\s?없\w*",
            r"끊임없\w*",
            r"어김없\w*",
            r"(?:there is )?no doubt",
            r"without (?:a |any )?doubt",
            r"not (?:only|just)\b",
            r"뿐(?:만)?\s?아니라",
            r"대화형",
        ),
    ),
    (
        Concept.REFUSAL,
        (
            r"죄송",
            r"도와\s?드릴 수 없",
            r"답변(?:을)?\s?(?:드릴|할) 수 없",
            r"응할 수 없",
            r"\bsorry\b",
            r"\bapologi[sz]e",
            rf"{_UNABLE} (?:assist|help|comply|provide|answer)",
            r"won't (?:be able|assist|help)",
            r"not (?:allowed|comfortable)",
            r"as an ai\b",
        ),
    ),
    (
        Concept.HEDGE,
        (
            r"모르겠\w*",
            r"알 수 없\w*",
            r"알기 어렵\w*",
            r"알아보기 (?:힘들|어렵)\w*",
            rf"{_KO_UNABLE} 수(?:가|는)? 없\w*",
            rf"{_KO_UNABLE}(?:는|가)? (?:어렵|힘들)\w*",
            r"확실(?:하지|치) 않\w*",
            r"분명(?:하지|치) 않\w*",
            r"불분명\w*",
            r"불확실\w*",
            r"명확(?:하지|치) 않\w*",
            r"분류\s?불가\w*",
            r"판단\s?불가\w*",
            rf"{_UNABLE} (?:reliably |accurately |really |be )?"
            r"(?:determine|tell|identify|say|classify|confirm|decide|sure|certain|know|recogni[sz]e)",
            r"(?:do not|don't) know",
            r"not (?:\w+ )?(?:sure|certain|clear)\b",
            r"\bunclear\b",
            r"\buncertain\b",
            r"\bundetermined\b",
            r"(?:hard|difficult) to (?:say|tell|determine)",
            r"not enough (?:information|detail|context)",
            r"\bunclassifiable\b",
        ),
    ),
    (
        Concept.POSSIBLE,
        (
            r"수도\s?있\w*",
            r"지도\s?모\w*",
            r"가능성(?:이|도|은)?\s?있\w*",
            r"가능성을 배제\w*",
            r"\bmight\b",
            r"\bmay\b",
            r"\bcould (?:be|also|possibly|show|depict)",
            r"\bpossibly\b",
            r"\bperhaps\b",
            r"\bmaybe\b",
            r"cannot (?:be )?ruled? out",
        ),
    ),
    (
        Concept.IF,
        (
            r"만약",
            r"만일",
            r"(?:이)?라면\b",
            r"인지(?:는|를)?\b",
            r"여부",
            r"\bif\b",
            r"\bwhether\b",
        ),
    ),
    (
        Concept.CORRECT,
        (r"사실은\b", r"실은\b", r"실제로는\b", r"\bactually\b", r"\bin reality\b", r"\bin fact\b"),
    ),
    (
        Concept.CONCLUDE,
        (
            r"따라서",
            r"그러므로",
            r"결론(?:적으로|은|:)?",
            r"결국",
            r"최종(?:적으로| 답변?은?)?",
            r"정답(?:은|:)?",
            r"(?<![가-힣])답변?(?:은|:)",
            r"\btherefore\b",
            r"\bthus\b",
            r"\bhence\b",
            r"\bin conclusion\b",
            r"\bfinal answer\b",
            r"\banswer\b",
        ),
    ),
    (
        Concept.CUE,
        (
            r"유형",
            r"번호",
            r"라벨",
            r"레이블",
            r"분류\s?(?:결과|번호|값)?(?=[은는:\s])",
            r"카테고리",
            r"범주",
            r"선택(?:은|지|:)?",
            r"클래스",
            r"(?<![가-힣])답(?=[\s:])",
            r"(?<![가-힣])중(?:에서?)?",
            r"가운데",
            r"\b(?:option|label|category|class|type|choice|number)\b",
            r"\b(?:i(?:'d| would)? )?(?:choose|pick|select|go with)\b",
        ),
    ),
    (
        Concept.UNRELATED,
        (
            r"무관(?=[하한함합]|$|[\s.,!)])\w*",
            r"\birrelevant\b",
            r"\bunrelated\b",
            r"nothing to do with",
            r"no (?:\w+ )?(?:relation(?:ship)?|relevance|connection|link)\b",
        ),
    ),
    (
        Concept.NEG,
        (
            r"(?:is|are|was|were)(?:n't| not)(?: \w+)? "
            r"(?:visible|present|shown|seen|depicted|involved|found|apparent|evident|detected)",
            r"(?:do|does)(?:n't| not) (?:appear|exist)\b",
            r"absent\b",
            r"아니[가-힣]*",
            r"아닙[가-힣]*",
            r"아닌(?=\s|$|[가-힣])",
            r"아님",
            r"아녜요",
            r"않[가-힣]*",
            r"(?<=\s)없[가-힣]*",
            r"(?<=[이가은는도])없[가-힣]*",
            r"(?<=련)없[가-힣]*",
            r"아닐",
            r"(?:(?<=지)|(?<![가-힣]))\s?못\s?[하한합했보찾][가-힣]*",
            r"(?:이|가) 빠진",
            r"부재",
        ),
    ),
    (
        Concept.NOT,
        (
            r"\brather than\b",
            r"\binstead of\b",
            r"\bnot\b",
            r"\bno\b",
            r"\bnone of\b",
            r"\bnever\b",
            r"\bneither\b",
            r"\bnor\b",
            r"\bwithout\b",
            r"\b\w+n't\b",
            r"\bcannot\b",
            r"\bfree of\b",
            r"\black(?:s|ing)?\b",
            r"\babsence of\b",
        ),
    ),
    (
        Concept.RELATED,
        (
            r"관련(?:된|되어|되|이|은|성이|성은|성|한|하여|짓)?",
            r"연관(?:된|되어|되|이|성이|성)?",
            r"관계(?:가|는|된)?",
            r"상관(?:이|은)?",
            r"\brelat(?:ed|es|ing|ion)\b",
            r"\brelevant\b",
            r"\bconnected\b",
            r"\binvolv(?:es?|ing)\b",
            r"\bassociated\b",
            r"\blinked\b",
        ),
    ),
    (
        Concept.ABOUT,
        (
            r"예방",
            r"근절",
            r"캠페인",
            r"포스터",
            r"뉴스",
            r"기사(?=[\s입이를의]|$)",
            r"수사(?=[\s관팀대]|$)",
            r"단속",
            r"검사\s?(?:기|지|키트|시약|결과)",
            r"광고",
            r"중독",
            r"퇴치",
            r"교육",
            r"재활",
            r"\b(?:prevention|awareness|campaign|news|article|poster|test(?:ing|s)?|addiction|rehab\w*"
            r"|education|advert\w*|policy|abuse|dealers?|lord|cartel|enforcement|problem)\b",
        ),
    ),
    (
        Concept.DEAD_DROP,
        (r"던지기", r"드랍\s?(?:장소|지점|포인트)?", r"\bdead[ -]?drops?\b"),
    ),
    (
        Concept.DRUG,
        (
            r"마약(?:류|성 물질|성|)?",
            r"필로폰",
            r"메스암페타민",
            r"히로뽕",
            r"대마(?:초)?",
            r"코카인",
            r"헤로인",
            r"케타민",
            r"엑스터시",
            r"펜타닐",
            r"\b(?:illegal |illicit )?drugs?\b",
            r"\bnarcotics?\b",
            r"\bmeth(?:amphetamine)?\b",
            r"\bcocaine\b",
            r"\bheroin\b",
            r"\bcannabis\b",
            r"\bmarijuana\b",
            r"\bketamine\b",
            r"\becstasy\b",
            r"\bmdma\b",
            r"\bfentanyl\b",
            r"\billicit substances?\b",
            r"\billegal substances?\b",
            r"\bcontrolled substances?\b",
        ),
    ),
    (Concept.CHAT_OPTION, (r"대화\s?내역", r"채팅\s?내역", r"\bchat (?:history|log)\b")),
    (
        Concept.CHAT,
        (
            r"대화",
            r"채팅",
            r"메신저",
            r"카카오톡",
            r"카톡",
            r"텔레그램",
            r"문자 ?메시지",
            r"메시지",
            r"이야기",
            r"\bconversations?\b",
            r"\bchats?\b",
            r"\bmessages?\b",
            r"\bmessenger\b",
            r"\btext(?:s|ing)\b",
            r"\bmessaging\b",
        ),
    ),
    (
        Concept.DEAL,
        (
            r"거래",
            r"판매",
            r"구매",
            r"구입",
            r"매매",
            r"전달",
            r"은닉",
            r"접선",
            r"\btransactions?\b",
            r"\bdeal(?:s|ing)?\b",
            r"\b(?:sell|buy|trad|traffick)(?:s|ing|e)?\b",
            r"\b(?:sold|bought|sale|sales|trade)\b",
            r"\bexchang(?:e|es|ed|ing)\b",
            r"\bdrop(?:s|ped)?\b",
            r"\bpurchas(?:e|ing)\b",
            r"\bhidden\b",
            r"\bstash\w*\b",
        ),
    ),
    (
        Concept.PLACE,
        (
            r"장소",
            r"지점",
            r"현장",
            r"은닉처",
            r"포인트",
            r"\bplaces?\b",
            r"\blocations?\b",
            r"\bspots?\b",
            r"\bsites?\b",
            r"\bdrop points?\b",
        ),
    ),
    (
        Concept.ITSELF,
        (
            r"원본",
            r"실물",
            r"그\s?자체",
            r"\bitself\b",
            r"\bthemselves\b",
            r"\braw drugs?\b",
            r"\boriginal\b",
        ),
    ),
    (
        Concept.BREAK,
        (
            r"(?<=[가-힣])(?:지만|으나|는데|은데|인데)(?=[\s,]|$)",
            r"(?<=[가-힣])며(?=[\s,]|$)",
            r"(?<=[이하있없않되니])고(?=[\s,]|$)",
            r"(?<=[보])이나(?=[\s,]|$)",
            r"때문",
            r"그러나",
            r"하지만",
            r"다만",
            r"(?<=[가-힣])므로(?=[\s,]|$)",
            r"\bbut\b",
            r"\bhowever\b",
            r"\balthough\b",
            r"\bthough\b",
            r"\bwhile\b",
            r"\byet\b",
            r"\binstead\b",
            r"\bbecause\b",
            r"\bsince\b",
            r"\brather\b",
            r"\bso\b",
            r"\bdespite\b",
            r"\bexcept\b",
        ),
    ),
    (
        Concept.JOIN,
        (
            r"또는",
            r"혹은",
            r"그리고",
            r"(?<=\s)및(?=\s)",
            rf"(?<=[화소])(?:와|나)(?=\s){_NO_RELATION}",
            rf"(?<=[본약진역점번])(?:과|이나)(?=\s){_NO_RELATION}",
            r"이거나",
            r"\band\b",
            r"\bor\b",
            r"&",
            r"/",
        ),
    ),
    (
        Concept.OF,
        (
            r"\b(?:of|in|on|at|with|about|for|from|inside|near|where|which|that|showing|shows|depicting"
            r"|depicts|containing|contains|by|through|used|between|discussing|mentioning|describing)\b",
        ),
    ),
    (Concept.SUBJECT, (r"\b(?:it|this|there|they|i|the (?:image|picture|photo|screenshot))\b",)),
    (
        Concept.NEUTRAL,
        (r"\d+(?:[.,:/~–-]\d+)+", r"\d{2,}", r"[a-z]+\d\w*", r"\d[a-z]\w*", r"[4-9]"),
    ),
    (Concept.NUMBER, (r"[0-3]",)),
    (Concept.QUESTION, (r"\?",)),
    (Concept.STOP, (r"[!;\n]", r"\.(?!\d)", r"…", r"。")),
    (Concept.PAUSE, (r",", r"、")),
)

_SCANNER = re.compile(
    "|".join(
        f"(?P<{concept.name}_{row}>{'|'.join(patterns)})"
        for row, (concept, patterns) in enumerate(_PATTERNS)
    )
)

_CONNECTIVE = re.compile(r"(?:지만|으나|는데|니|(?<![라다냐자])고|며|라)$")
"""Korean endings that end a clause inside the word that they belong to."""

_QUOTED = re.compile(r"[\"“「『‘]([^\"”」』’]*)[\"”」』’]|(?<!\w)'([^']*)'(?!\w)")
_REPORTED_AFTER = re.compile(r"\s*(?:이?라(?:고|는|며)|(?:is|was) (?:written|shown|printed))")
_REPORTED_BEFORE = re.compile(
    r"(?:says?|reads?|reading|saying|text|written|labell?ed|titled):?\s*$"
)


def normalise(text: str) -> str:
    """NFKC and lower case; circled digits set apart, markup and reported speech removed."""
    spaced = "".join(
        f" {unicodedata.digit(letter)} "
        if unicodedata.category(letter) == "No" and unicodedata.digit(letter, None) is not None
        else letter
        for letter in text
    )
    plain = unicodedata.normalize("NFKC", spaced).casefold().replace("’", "'")
    plain = re.sub(r"[*_`#]|️|⃣", "", plain)
    plain = re.sub(r"[ \t\r\f\v]+", " ", plain)
    return _QUOTED.sub(_unquoted, plain).strip()


def _unquoted(match: re.Match[str]) -> str:
    """What a quotation leaves: nothing of words that the picture says, all of the model's own."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    if _REPORTED_AFTER.match(after) or _REPORTED_BEFORE.search(before):
        return " "
    return match.group(1) or match.group(2) or ""


_PREDICATES = {Concept.HEDGE, Concept.POSSIBLE, Concept.NEG, Concept.REFUSAL}


def scan(text: str) -> list[Token]:
    """The concepts of a normalised text, in order; unknown words are passed over."""
    tokens = []
    for match in _SCANNER.finditer(text):
        if match.lastgroup:
            concept = Concept[match.lastgroup.rsplit("_", 1)[0]]
            tokens.append(Token(concept, match.group(), match.start(), match.end()))
            if concept in _PREDICATES and _CONNECTIVE.search(match.group()):
                tokens.append(Token(Concept.BREAK, "", match.end(), match.end()))
    return tokens
