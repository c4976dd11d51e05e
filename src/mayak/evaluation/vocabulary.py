"""Recognition of words in free answers: Korean or English text → concepts in order.

Patterns see normalised text: NFKC, lower case, no markup. ``mayak.evaluation.answers`` decides what
the concepts mean together.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

_UNABLE = r"(?:can ?not|can't|could ?n[o']t|unable to|not able to|not possible to|impossible to)"
_KO_UNABLE = r"(?:판단|판별|확인|분류|식별|구분|특정|단정|결정)"
_NO_RELATION = r"(?!\s(?:\S+\s)?(?:관련|연관|무관|상관|관계))"


class Concept(Enum):
    """The meanings that words can have, each with its pattern.

    The first concept whose pattern matches is taken: more special ones come first.
    """

    NEUTRAL = (  # contains another concept's letters but means something else
        r"마약\s?(?:김밥|떡볶이|옥수수|베개|토스트|계란|쿠키|방석|소스|핫도그|처럼|같은|같이|모양)"
        r"|drug ?stores?\b|truth drugs?\b|like (?:illegal )?drugs?,? but|대화형|뿐(?:만)?\s?아니라"
        r"|다름(?:이)?\s?(?:없|아니|아닌)\w*|(?:틀림|의심(?:할|의)?\s?여지(?:가|도)?|끊임"
        r"|어김)\s?없\w*"
        r"|(?:there is )?no doubt|without (?:a |any )?doubt|not (?:only|just)\b"
    )
    REFUSAL = (
        r"죄송|도와\s?드릴 수 없|답변(?:을)?\s?(?:드릴|할) 수 없|응할 수 없|\bsorry\b"
        rf"|\bapologi[sz]e|{_UNABLE} (?:assist|help|comply|provide|answer)|as an ai\b"
        r"|not (?:allowed|comfortable)|won't (?:be able|assist|help)"
    )
    HEDGE = (  # doubt about what was said before it
        r"모르겠\w*|알 수 없\w*|알(?:아보)?기 (?:힘들|어렵)\w*|(?:분류|판단)\s?불가\w*"
        rf"|{_KO_UNABLE}(?:할 수(?:가|는)? 없|하기(?:는|가)? (?:어렵|힘들))\w*"
        r"|(?:확실|분명|명확)(?:하지|치) 않\w*|불(?:분명|확실)\w*|(?:hard|difficult) to (?:say"
        r"|tell)"
        rf"|{_UNABLE} (?:\w+ly |be )?(?:determine|tell|identify|say|classify|confirm|decide"
        r"|sure|certain|know|recogni[sz]e)|(?:do not|don't) know|not (?:\w+ )?(?:sure|certain"
        r"|clear)\b"
        r"|\bun(?:clear|certain|determined|classifiable)\b|not enough (?:information|detail"
        r"|context)"
    )
    POSSIBLE = (  # in this clause: a possibility, a condition, a mistaken impression
        r"수도\s?있\w*|[일될]\s?수\s?있\w*|지도\s?모\w*|가능성(?:이|도|은)?\s?있\w*"
        r"|가능성을 배제\w*"
        r"|오인|착각|헷갈|만약|만일|라면\b|인지(?:는|를)?\b|여부|cannot (?:be )?ruled? out"
        r"|\b(?:might|may|mistak\w+|could|possibly|perhaps|maybe|if|whether)\b"
    )
    CORRECT = r"(?:사실|실|실제로)은\b|실제로는\b|\bactually\b|\bin (?:reality|fact)\b"
    CONCLUDE = (
        r"따라서|그러므로|결론(?:적으로|은|:)?|결국|최종(?:적으로| 답변?은?)?|정답(?:은|:)?"
        r"|(?<![가-힣])답변?(?:은|:)|\b(?:therefore|thus|hence|in conclusion|final answer|answer)\b"
    )
    UNRELATED = (
        r"무관(?=[하한함합]|$|[\s.,!)])\w*|\b(?:irrelevant|unrelated)\b|nothing to do with"
        r"|no (?:\w+ )?(?:relation(?:ship)?|relevance|connection|link)\b"
    )
    NEG = (  # a negation after its object
        r"(?:is|are|was|were)(?:n't| not)(?: \w+)? (?:visible|present|shown|seen|depicted"
        r"|involved|found|apparent|evident|detected)|(?:do|does)(?:n't| not) (?:appear|exist)\b"
        r"|absent\b"
        r"|아[니닙녜][가-힣]*|아[닌님닐]|않[가-힣]*|(?<=[\s이가은는도련])없[가-힣]*|(?:이|가) 빠진"
        r"|부재"
        r"|(?:(?<=지)|(?<![가-힣]))\s?못\s?[하한합했보찾][가-힣]*"
    )
    NOT = (  # a negation before its object
        r"\b(?:rather than|instead of|not|no|none of|never|neither|nor|without|cannot|free of"
        r"|absence of|lack(?:s|ing)?|\w+n't)\b"
    )
    RELATED = (
        r"(?:관련|연관)(?:된|되어|되|이|은|성이|성은|성|한|하여|짓)?|관계(?:가|는|된)?|상관(?:이"
        r"|은)?"
        r"|\b(?:relat(?:ed|es|ing|ion)|relevant|connected|involv(?:es?|ing)|associated|linked)\b"
    )
    ABOUT = (  # after a drug: prevention, news, tests …, and not the drug itself
        r"예방|근절|캠페인|포스터|뉴스|기사(?=[\s입이를의]|$)|수사(?=[\s관팀대]|$)|단속|광고|중독"
        r"|퇴치"
        r"|교육|재활|검사\s?(?:기|지|키트|시약|결과)|\b(?:prevention|awareness|campaign|news"
        r"|article"
        r"|poster|test(?:ing|s)?|addiction|rehab\w*|education|advert\w*|policy|abuse|dealers?|lord"
        r"|cartel|enforcement|problem)\b"
    )
    DEAD_DROP = r"던지기|드랍\s?(?:장소|지점|포인트)?|\bdead[ -]?drops?\b"
    DRUG = (
        r"마약(?:류|성 물질|성)?|필로폰|메스암페타민|히로뽕|대마(?:초)?|코카인|헤로인|케타민"
        r"|엑스터시"
        r"|펜타닐|\b(?:(?:illegal |illicit )?drugs?|narcotics?|meth(?:amphetamine)?|cocaine|heroin"
        r"|cannabis|marijuana|ketamine|ecstasy|mdma|fentanyl"
        r"|(?:illicit|illegal|controlled) substances?)\b"
    )
    CHAT_OPTION = (
        r"(?:대화|채팅)\s?내역|\bchat (?:history|log)\b"  # names the option without the drug
    )
    CHAT = (
        r"대화|채팅|메신저|카카오톡|카톡|텔레그램|(?:문자 ?)?메시지|이야기"
        r"|\b(?:conversations?|chats?|messages?|messenger|text(?:s|ing)|messaging)\b"
    )
    PLACE = r"장소|지점|현장|은닉처|포인트|\b(?:places?|locations?|spots?|sites?|drop points?)\b"
    DEAL = (
        r"거래|판매|구매|구입|매매|전달|은닉|접선|\b(?:transactions?|deal(?:s|ing)?|sold|bought"
        r"|sales?"
        r"|(?:sell|buy|trad|traffick)(?:s|ing|e)?|exchang(?:es?|ed|ing)|drop(?:s|ped)?"
        r"|purchas(?:e|ing)|hidden|stash\w*)\b"
    )
    ITSELF = r"원본|실물|그\s?자체|\b(?:itself|themselves|raw drugs?|original)\b"
    BREAK = (  # separates clauses
        r"(?<=[가-힣])(?:지만|으나|는데|은데|인데|므로|며)(?=[\s,]|$)"
        r"|(?<=[이하있없않되니])고(?=[\s,]|$)"
        r"|보이나(?=[\s,]|$)|때문|그러나|하지만|다만|\b(?:but|however|although|though|while|yet"
        r"|instead|because|since|rather|so|despite|except)\b"
    )
    JOIN = (
        rf"또는|혹은|그리고|(?<=\s)및(?=\s)|(?<=[화소])(?:와|나)(?=\s){_NO_RELATION}"
        rf"|(?<=[본약진역점번])(?:과|이나)(?=\s){_NO_RELATION}|이거나|\b(?:and|or)\b|&|/"
    )
    OF = (  # ends an English noun phrase: the words after it describe the ones before
        r"\b(?:of|in|on|at|with|about|for|from|inside|near|where|which|that|show(?:s|ing)|by|used"
        r"|depict(?:s|ing)|contain(?:s|ing)|through|between|discussing|mentioning|describing)\b"
    )
    SUBJECT = r"\b(?:it|this|there|they|i|the (?:image|picture|photo|screenshot))\b"
    NUMBER = r"(?<!\d[.,:/~–-])(?<![\da-z+-])[0-3](?![\da-z])(?![.,:/~–-]\d)"
    QUESTION = r"\?"
    STOP = r"[!;\n]|\.(?!\d)|…|。"
    PAUSE = r"[,、]"


@dataclass(frozen=True, slots=True)
class Token:
    """A recognised word or phrase and its position in the normalised text."""

    concept: Concept
    text: str
    start: int
    end: int

    @property
    def korean(self) -> bool:
        """Whether Korean word order applies: the head and the negation come last."""
        return any("가" <= letter <= "힣" for letter in self.text)


_SCANNER = re.compile("|".join(f"(?P<{concept.name}>{concept.value})" for concept in Concept))
_PREDICATES = {Concept.HEDGE, Concept.POSSIBLE, Concept.NEG, Concept.REFUSAL}
_CONNECTIVE = re.compile(r"(?:지만|으나|는데|니|(?<![라다냐자])고|며|라)$")
"""Korean endings that end a clause within the predicate."""

_QUOTED = re.compile(r"[\"“「『‘]([^\"”」』’]*)[\"”」』’]|(?<!\w)'([^']*)'(?!\w)")
_REPORTED_AFTER = re.compile(r"\s*(?:이?라(?:고|는|며)|(?:is|was) (?:written|shown|printed))")
_REPORTED_BEFORE = re.compile(
    r"(?:says?|reads?|reading|saying|text|written|labell?ed|titled):?\s*$"
)


def normalise(text: str) -> str:
    """Apply NFKC and lower case, separate circled digits, remove markup (Markdown, tags, LaTeX) and
    reported speech."""
    spaced = "".join(
        f" {unicodedata.digit(letter)} "
        if unicodedata.category(letter) == "No" and unicodedata.digit(letter, None) is not None
        else letter
        for letter in text
    )
    plain = unicodedata.normalize("NFKC", spaced).casefold().replace("’", "'")
    plain = re.sub(r"[*`#\ufe0f\u20e3\u200b-\u200f\u2060\ufeff]", "", plain)
    plain = re.sub(r"</?[a-z]+>|\\[a-z]+(?=\{)|[{}$_ \t\r\f\v]+", " ", plain)
    return _QUOTED.sub(_unquoted, plain).strip()


def _unquoted(match: re.Match[str]) -> str:
    """Return a quotation's words if they are the model's own, nothing if they are the picture's."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    if _REPORTED_AFTER.match(after) or _REPORTED_BEFORE.search(before):
        return " "
    return match.group(1) or match.group(2) or ""


def scan(text: str) -> list[Token]:
    """Return the concepts of a normalised text, in order; unknown words are skipped."""
    tokens = []
    for match in _SCANNER.finditer(text):
        concept = Concept[str(match.lastgroup)]
        tokens.append(Token(concept, match.group(), match.start(), match.end()))
        if concept in _PREDICATES and _CONNECTIVE.search(match.group()):
            tokens.append(Token(Concept.BREAK, "", match.end(), match.end()))
    return tokens
