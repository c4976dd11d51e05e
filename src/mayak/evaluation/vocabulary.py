"""Recognition of words in free answers: Korean or English text → concepts in order.

Patterns see the text that ``markup.plain`` returns. ``choices`` decides which digits are answers,
``answers`` what the concepts mean together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_UNABLE = (
    r"(?:can ?not|can't|could ?n[o']t|(?:(?:un|not )able|(?:not |im)possible|hard|difficult"
    r"|too \w+) to)"
)
_DECIDE = "determine|tell|identify|say|classify|confirm|decide|know|choose|recogni[sz]e"
_KO_HARD = r"(?:어렵|어려|힘[들드듭]|곤란|쉽지 않)"
_KO_JUDGE = (
    r"(?:판단|판별|확인|분류|식별|구[분별]|특정|단정|결정|선택|확[신답]|결론)[을를이가은]?\s?"
)
_KO_UNABLE = (
    rf"(?:{_KO_JUDGE}(?:(?:하|내리|짓)?(?:[기지][는은가를도]?)?\s?(?:{_KO_HARD}|못|안 [되됩돼서]"
    rf"|불가)"
    r"|(?:할|내릴|지을) 수[가는도]? 없|서지 않)|확신[이은]? ?없|(?:알|고를"
    r"|(?<![가-힣])정할) 수[가는도]? 없"
    rf"|(?:알(?:아보)?|고르|(?<![가-힣])정하)[기지][는은가를도]? (?:{_KO_HARD}|못))"
)
_NO_RELATION = r"(?!\s(?:\S+\s)?(?:관련|연관|무관|상관|관계))"


class Concept(Enum):
    """The meanings that words can have, each with its pattern.

    The first concept whose pattern matches is taken: more special ones come first.
    """

    NEUTRAL = (  # contains another concept's letters but means something else
        r"중고 ?거래|if i(?:'m| am) not mistaken|even if|if anything|prescription drugs?"
        r"|\bon drugs\b|마약\s?(?:김밥|떡볶이|옥수수|베개|토스트|계란|쿠키|방석|소스|핫도그|처럼"
        r"|같은|같이|모양)|drug ?stores?\b|like (?:illegal )?drugs?,? but|say no to drugs?"
        r"|다름(?:이)?\s?(?:없|아니|아닌)\w*|(?:틀림|의심(?:할|의)?\s?여지(?:가|도)?|끊임"
        r"|어김)\s?없\w*|(?:without|no|little|beyond) (?:a |any )?(?:doubt|hesitation|question)"
        r"|[않아][을닐]까 (?:합|싶)\w*"
    )
    ALSO = (  # a BREAK: what is before it and what is after it both hold
        r"뿐(?:만)?\s?아니라|(?<=[이소하0-3])면서(?!도)|(?<=인)\s?동시에|(?<=이)자(?=\s)"
        r"|(?<=\s)겸(?=\s)|\b(?:as well as|not (?:only|just)|besides|in addition to"
        r"|at the same time|plus|(?:along|together) with)\b"
    )
    MILD_HEDGE = (  # doubt of a degree or about a detail: withdraws no digit before it
        r"(?:not|n[o']t be) (?:100 ?%|completely|entirely|fully|absolutely|totally) (?:sure"
        r"|certain)|100 ?% 확신[^.,\n]{1,9}(?:[아않]|없\w*)\w*|\bunknown\b|(?:누[가구군]|무엇이"
        r"|어디|언제|몇|성분|종류|신원|시[간각]|위치|주소|얼굴|글[자씨]|어떤 (?:마약"
        r"|약))[^.,\n]{1,20}?"
        rf"{_KO_UNABLE}\w*|(?:{_UNABLE} (?:\w+ )?(?:{_DECIDE})|(?:do not|don't) know|unclear|not"
        r" (?:clear|sure)) (?:who|where|when|how (?:many|much)|what is (?:inside|hidden|written)"
        r"|which drug|the \w+ (?:drug|substance))|substance (?:can ?not|can't) be \w+|(?:(?:the"
        r"|this) )?(?:image|photo|picture|text|quality) is (?:not (?:\w+ )?clear|unclear)"
    )
    HEDGE = (  # no decision: withdraws what was said before it
        rf"모르겠\w*|모름|자신[이은]? ?없\w*|애매[하합]\w*|헷갈[립리네]\w*|{_KO_UNABLE}\w*|(?:확실"
        rf"|분명|명확)(?:하지|치) 않\w*|불(?:분명|확실)\w*|{_UNABLE} (?:(?:\w+ly "
        rf"|be )?(?:{_DECIDE}|sure|certain|classified"
        r"|decided)|(?:give|provide) an? (?:\w+ )?answer)|(?:do not|don't) (?:\w+ )?know|no idea"
        r"|(?:make|made) up my mind|not (?:\w+ )?(?:sure|certain|clear)\b|\bun(?:sure|clear"
        r"|certain|decided|determined|classifiable)\b|\bdoubt\b|not enough (?:information|detail"
        r"|context)|不确定|[无無]法(?:判断|确定)|判断できま|[分わ]か[りら][まな]|no estoy segur"
        r"|no lo s[ée]\b|ne sais pas|weiß nicht|не знаю|pas s[ûu]r|nicht sicher|не уверен"
    )
    REFUSAL = (
        r"죄송|도와\s?드릴 수 없|답(?:변|을)*\s?(?:드릴|할) 수 없|응할 수 없"
        r"|\bsorry\b(?!,? (?:i meant|(?:i made a|my) mistake))"
        rf"|\bapologi[sz]e|{_UNABLE} (?:assist|help|comply|provide|answer)|as an? (?:\w+ )?ai\b"
        r"|not (?:allowed|comfortable)|\bi (?:can ?not|can't|won't|refuse|decline)\b(?! (?:\w+ly )?"
        rf"(?:see|find|be|read|give an?|provide an?|{_DECIDE}))"
    )
    CONCLUDE = (
        r"따라서|그러니까?|그래서|고로|[저나]라면|그러므로|결론(?:적으로|은|:)?|결국|최종(?:적으로"
        r"| 답변?은?)?|\b(?:therefore|thus|hence|in conclusion|final answer)\b|if (?:i |you "
        r"|we )?(?:am |were |are )?(?:forced|had|have|must|asked|need)(?: to)?(?: (?:choose|pick"
        r"|guess|select|decide|answer))?(?: one)?|굳이 \S+|(?:골라야|선택해야|답해야) \S+면"
        r"|(?:고[르른]|선택한?|답한|분류한)[라자다]면"
    )
    CONDITION = (  # in this clause: a condition, a mistaken or first impression
        r"오인|착각|헷갈|혼동|만약|만일|(?:but )?only if\b|려면\b"
        r"|(?<=[가-힣0-3])[라다이으되]면\b(?:[^\n]{1,40}아니면\b[^.\n]*)?|일 때"
        r"|이어야(?! [합한할])|(?:경우|상황|문맥|맥락)에 따(?=라)|아니라면|(?<=[이가] )아니면"
        r"|않(?:다|으)면|(?:아[닌닐]|[가-힣](?<![이그위의본]))\s?경우|(?:없는|않는) 한 |아닌 (?:한"
        r"|이상)\b|전제|가정 ?하에|\((?=if (?:it|this|the)\b)|\bif (?:confirmed|true|yes"
        r"|drugs?)\b[^.\n]*|要是|であれば|\Awere\b|가정하면|처음|언뜻|얼핏|생각했"
        r"|[이있하]?었?겠지만|\b(?:if|unless|whether|were (?:it|this|there)|(?:would"
        r"|'d) have(?! to\b)|had (?:it|this|there)|at first|(?:a|first) glance|i thought|initially"
        r"|normally|usually|considered(?!,)|mistak\w+|confus\w+|resembl\w+|otherwise|else(?= (?:it"
        r"|[0-3]))|assuming|as long as|(?<!i )suppos(?:e|ing)\b[^.\n]*|should (?:the|this|it"
        r"|these)|(?<=[0-3] )when|for it to|would (?:have|need) to(?! be [0-3])|provided (?:that"
        r"|it(?:'s| is))|in case|depend\w*|si|wenn|sonst|если|иначе)\b|如果|假如|否[则則]|もし"
        r"|なら|場合|[인는]지(?:는|를|도)?\b|여부"
    )
    POSSIBLE = (  # in this clause: a mere possibility
        r"수도\s?있\w*|(?<!류할 )(?<!단할 )(?<!인할 )(?<!볼 )(?<!라고 할 )(?<![다소])수\s?있\w*"
        r"|[일될]\s?수\s?있\w*|지도\s?모\w*|가능성(?:이|도|은)?\s?있\w*|[도은는이] 가능\w*"
        r"|can(?:not|'t) be ruled out|\b(?:might|may|could|possibl[ey]"
        r"|perhaps|maybe|quiz[aá]s?|tal vez|peut-être|vielleicht|возможно)\b|可能|也许|かもしれ"
    )
    CORRECT = (  # what was said before it does not hold
        r"(?:사실|실|실제로)은\b|실제로는\b|다시 (?:보니|생각)\w*|정정\w*|(?<![가-힣])아니(?:요"
        r"|오)?\s?[,.…]+|\bactually\b|\bin (?:reality|fact)\b|\b(?:no,? )?wait\b|\bcorrection\b"
        r"|\bno, sorry\b|(?<=\s)no[,:](?=\s)|on reflection"
        r"|\bi mean(?:t)?\b|i was wrong|\b(?:i made a|my) mistake\b"
    )
    UNRELATED = (
        r"무관(?=[하한함합입임]|$|[\s.,!)])[하한함합]?|\b(?:irrelevant|unrelated)\b"
        r"|nothing to do with|(?:毒品|麻薬|薬物)[^\s。]{0,4}(?:无关|無関係|関係な)"
        r"|no (?:\w+ )?drug (?:content|activity|references?|use)|no (?:\w+ )?(?:relation(?:ship)?"
        r"|relevance|connection|link)\b"
    )
    NEG = (  # a negation after its object
        r"(?<=[0-3]: )(?:no|x)(?=\W*(?:\n|\Z))|(?:is|are|was|were)(?:n't| not)(?: \w+)? (?:visible"
        r"|present|shown|seen|depicted|involved|found|apparent|evident|detected)|(?:do|does)(?:n't"
        r"| not) (?:appear|exist)\b|absent\b|(?:is|are|be) (?:(?:wrong|incorrect)\b(?! to)"
        r"|excluded|ruled out)|제외|배제|무리(?:가|입)\w*|(?:라고|로) (?:하|보)기(?:에는?|엔)"
        r"|기(?:는|가|에는)? (?:어렵|힘들|애매)\w*|오답|틀[렸린립]\w*|(?:(?<=[0-3])"
        r"|(?<=[번소화본]))보다는?|이?라기(?:\s?보다는?|에는|엔)|아니(?!면\b)[가-힣]*"
        r"|아[닙녜][가-힣]*|아[닌님닐]|않[가-힣]*|(?<=[\s이가은는도련관계])없(?:음(?=과\s"
        r"|이[나거면자]|인 |뿐)|[가-힣]*)|(?:(?<=지)|(?<![가-힣]))\s?못\s?[하한합했보찾][가-힣]*"
    )
    NOT = (  # a negation before its object
        r"\b(?:(?:rather|better|more|other|likely) than|instead of|anything but|except|excluding"
        r"|over(?= (?:\w+ )?[0-3])|rules? out|unlikely|hardly|not|no(?!,)|none of"
        r"|(?:wrong|incorrect) to|nothing(?! (?:to do|but))|never|neither|nor|without|cannot"
        r"|free of|absence of|lack(?:s"
        r"|ing)?|\w+n't|nicht|keine?|pas)\b|[不非]"
    )
    RELATED = (
        r"(?:관련|연관)(?:된|되어|되|이|은|성이|성은|성|한|하여|짓)?|관계(?:가|는|된)?|상관(?:이"
        r"|은)?|\b(?:relat(?:ed?|es|ing|ion)|relevant|connected|involv(?:es?|ing)|associated"
        r"|linked)\b"
    )
    ABOUT = (  # after a drug: prevention, news, tests …, and not the drug itself
        r"예방|근절|캠페인|포스터|뉴스|기사(?=[\s입이를의]|$)|수사(?=[\s관팀대]|$)|단속|광고|중독"
        r"|퇴치|불법|위험|해[롭로]|유해|교육|재활|검사\s?(?:기|지|키트|시약|결과)|\b(?:prevention"
        r"|awareness|campaign|news|article|poster|test(?:ing|s)?|addiction|rehab\w*|education"
        r"|advert\w*|policy|abuse|(?:illegal|harmful|bad|crimes?"
        r"|against|dangerous)(?! (?:drug|subst)))\b"
    )
    DEAD_DROP = r"던지기|드랍\s?(?:장소|지점|포인트)?|\bdead[ -]?drops?\b"
    DRUG = (
        r"마약(?:류|성 물질|성)?|필로폰|메스암페타민|히로뽕|대마(?:초)?|코카인|헤로인|케타민"
        r"|엑스터시|펜타닐|\b(?:(?:illegal |illicit )?drugs?|narcotics?|meth(?:amphetamine)?"
        r"|cocaine|heroin|cannabis|marijuana|ketamine|ecstasy|mdma|fentanyl|(?:illicit|illegal"
        r"|controlled) substances?)\b"
    )
    CHAT_OPTION = (
        r"(?:대화|채팅)\s?내역|\bchat (?:history|log)\b"  # names the option without the drug
    )
    CHAT = (
        r"대화|채팅|메신저|카카오톡|카톡|텔레그램|(?:문자 ?)?메시지|이야기|\b(?:conversations?"
        r"|chats?|messages?|messenger|text(?:s|ing)|messaging)\b"
    )
    PLACE = r"장소|지점|현장|은닉처|포인트|\b(?:places?|locations?|spots?|sites?|drop points?)\b"
    DEAL = (
        r"거래|판매|구매|구입|매매|전달|은닉|접선|\b(?:transactions?|deal(?:s|ing)?|sold|bought"
        r"|sales?|(?:sell|buy|trad|traffick)(?:s|ing|e)?|exchang(?:es?|ed|ing)|drop(?:s|ped)?"
        r"|purchas(?:e|ing)|hidden|stash\w*)\b"
    )
    ITSELF = r"원본|실물|(?<=[약그\s])자체|\b(?:itself|themselves|raw(?= drug))\b"
    BREAK = (  # separates clauses
        r"(?<=[가-힣])(?:지만|으나|는데|은데|인데|므로|며|라서|아서|어서|니까|이니|으니|우나"
        r"|[까려]워)(?=[\s,]|$)|(?<=이)지(?=,?\s(?!않|못))|(?<=[이하있없않되니])고(?=[\s,]|$)"
        r"|(?<=하)여(?=[\s,]|$)|(?<=[있없보])어(?=[\s,]|$)|\s[-–—]+\s|보이나(?=[\s,]|$)|때문"
        r"|\((?=maybe|might|could|possibl|perhaps|if|not|but)|그러나|하지만|다만|\b(?:but|however"
        r"|though|yet|because|since|rather|so|due to|(?<=, )only|as (?:it|the|this"
        r"|there))\b"
    )
    CONCEDE = r"\b(?:although|while|whilst|despite)\b|(?:\A|(?<=[.!?\n] ))though\b"
    JOIN = (
        rf"또는|혹은|그리고|(?<=\s)및(?=\s)|(?<=[화소])(?:와|나)(?=\s){_NO_RELATION}"
        r"|(?<=도),|(?<=[0-3]) ?(?:或者?|和|と|か|または|もしくは|\b(?:ou?|oder|или)\b) ?(?=[0-3])"
        r"|(?<=[본약진역점번소음징0-3)\]'\"])(?:이나(?=\s\W*관련 없음)"
        rf"|(?:과|와|이나|나)(?=\s){_NO_RELATION})|이거나|아니면|\band\b(?: (?:also|equally)\b)?"
        r"|\bor\b(?: (?:else|alternatively)\b| (?:possibly|maybe|perhaps)(?=\W*[0-3]))?|&|/"
    )
    OF = (  # ends an English noun phrase: the words after it describe the ones before
        r"\b(?:of|in|on|at|with|about|for|from|inside|near|where|which|that|show(?:s|ing)|by|used"
        r"|depict(?:s|ing)|contain(?:s|ing)|through|between|discussing|mentioning|describing)\b"
    )
    SUBJECT = (
        r"\b(?:it|this|there|they|i|the (?:image|picture|photo|screenshot))\b|이 (?:이미지|사진)"
    )
    NUMBER = (
        r"(?<!− )(?<!\d[.,:/~–-])(?<![\da-z@+−–$₩€£¥^<~≈±-])[0-3](?![\da-z])(?!\s?[%°]|[.,:/~–+-]\d"
        r"|-[a-z])"
    )
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
    def is_number(self) -> bool:
        """Whether it is a digit 0–3."""
        return self.concept is Concept.NUMBER

    @property
    def separates(self) -> bool:
        """Whether the words before and after it say two things."""
        return self.concept in _SEPARATORS

    @property
    def korean(self) -> bool:
        """Whether Korean word order applies: the head and the negation come last."""
        return any("가" <= letter <= "힣" for letter in self.text)


CONTENT = {
    Concept.DRUG, Concept.CHAT, Concept.CHAT_OPTION, Concept.PLACE, Concept.DEAL,
    Concept.DEAD_DROP, Concept.ITSELF, Concept.ABOUT, Concept.RELATED, Concept.UNRELATED,
    Concept.NUMBER,
}  # fmt: skip
"""Concepts that an answer is about."""
HEDGES = {Concept.MILD_HEDGE, Concept.HEDGE}
_SEPARATORS = {
    *HEDGES, Concept.REFUSAL, Concept.CONDITION, Concept.POSSIBLE, Concept.CORRECT,
    Concept.CONCLUDE, Concept.NEG, Concept.NOT, Concept.BREAK, Concept.CONCEDE,
    Concept.QUESTION, Concept.STOP, Concept.PAUSE, Concept.UNRELATED,
}  # fmt: skip

_SCANNER = re.compile("|".join(f"(?P<{concept.name}>{concept.value})" for concept in Concept))
_PREDICATES = {*HEDGES, Concept.CONDITION, Concept.POSSIBLE, Concept.NEG, Concept.REFUSAL}
_CONNECTIVE = re.compile(r"(?:지만|으나|는데|니|(?<![라다냐자])고|며|라)$")
"""Korean endings that end a clause within the predicate."""


def scan(text: str) -> list[Token]:
    """Return the concepts of a normalised text, in order; unknown words are skipped."""
    tokens = []
    for match in _SCANNER.finditer(text):
        concept = Concept[str(match.lastgroup).replace("ALSO", "BREAK")]
        tokens.append(Token(concept, match.group(), match.start(), match.end()))
        if concept in _PREDICATES and _CONNECTIVE.search(match.group()):
            tokens.append(Token(Concept.BREAK, "", match.end(), match.end()))
    return tokens
