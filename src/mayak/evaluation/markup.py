"""Plain text of a model's answer: no markup, one form of each digit, no role names.

Models wrap answers in Markdown, HTML or XML tags, LaTeX, JSON and code. What such markup says about
the answer ("this is the final one", "this is struck out") becomes words; the rest is removed.
"""

from __future__ import annotations

import html
import re
import unicodedata

LABEL_WORD = (
    r"(?:\b(?:an(?:s|swers?)|options?|labels?|category|class|choice|type|prediction|classification"
    r"|verdict|result|output|predicted|cls|digit|guess|pick|selection|conclusion"
    r"|response)(?![a-z])|(?<![가-힣])(?:유형|라벨|레이블|분류|카테고리|범주|선택지?|항목|클래스"
    r"|판단|판정|예측|결과|결론|대답|응답|답안|정?답변?|최종)|\b(?:tipo|clase|categor[ií]a"
    r"|etiqueta|opci[oó]n|respuesta|resposta|risposta|jawaban|đáp án|loại"
    r"|r[ée]ponse|classe"
    r"|cat[ée]gorie|antwort|kategorie|typ|klasse|ответ|тип|класс|категория)(?![^\W\d])"
    r"|(?<!不)[选選][择擇択项]?肢?|属于|屬於|答案|答え|正解|回答|[类類]型|[类類][别別]|分[类類]"
    r"|标签|[结結][论論果]|タイプ|カテゴリー?|ラベル)"
)
"""A word before the digit of a label."""

_ITEM = r"(?:[-*] )?(?:\(?[a-d가나다라][.):] )?"
_MARKUP = [
    *(  # one letter is wrong, missing, added or swapped with the next; "chat" is too near "chart"
        (
            rf"\b{name[:at]}(?:{name[at]}?\w?{name[at + 1 :]}|{after}{name[at]}{name[at + 2 :]})\b",
            name,
        )
        for name in ("irrelevant", "unrelated", "conversation", "transaction", "itself")
        for at, after in enumerate([*name[1:], ""])
        if at
    ),
    (r"관련\s?(?:업[음슴]|없슴)", "관련 없음"),
    (r"(?s)<(think(?:ing)?|reason(?:ing)?)>.*?(?:</\1>|\Z)", " "),
    (r"~~[^~]*~~", " "),  # struck out
    (  # in a list of options, the one in bold or after an arrow
        rf"(?m)(\A(?=.*\n{_ITEM}1)|^{_ITEM}[0-2][^*\n]*\n)(?:[-*] )?(?:\*\*|[-=]+>|[→⇒➡👉]) ?"
        rf"({_ITEM}[0-3][^*\n]*)(?:\*\*)?$(?!\n(?:[-*] )?\*\*)",
        r"\1☑ \2",
    ),
    (r"<-+|[⬅👈]", "←"),
    (r"[❓❔]", "?"),
    (r"</[^<>\n]*>|<br ?/?>", "\n"),
    (r"<\w+\s([^<>]*)/>", r" \1 "),
    (r"(?s).*\[/inst\]|<[|a-z][^<>]*>", " "),
    (r"<([0-3])>", r"\1"),
    (r"\\+f?boxed\b", " answer: "),
    (r"\$\$?([^$\n]+)\$\$?", r" \1 "),
    (r"\\+n(?!e[qg]|[ou]t?\b|abla)", "\n"),
    (r"\\+(?:[a-z]+|.)", " "),
    (r"[-=]+>|[→⇒⟹➡👉]", " so "),
    (r"[*`#]+|(?m:^[ \t]*[-+•>]+[ \t]+)", ""),
    (r"(?<![a-z\d])([0-3])_(?=[a-z])", r"\1: "),
    (r"\|", "\n"),
    (r"[{}_ \t\r\f\v]+", " "),
    (rf"({LABEL_WORD})-?(?=[0-3]\b)", r"\1 "),
    (r"(?<![?:=-] )\bno\. ?(?=\d)", "number "),
    (r" ?\n[\n ]*", "\n"),
    (r"(?<![\d.])([0-3])\.0+(?!\.?\d)", r"\1"),
]
"""Applied in this order to lower-case text."""

_ROLE = re.compile(
    r"(?:^|(?<=[\n.?!)\]:\"“']))\s*[\"“']?(?:assistant|ai|bot|(?:chat)?gpt|llava|(?:ai )?model"
    r"|어시스턴트|모델|챗봇)\s*[:\n]"
    r"|\bq\s?[:.].*\ba\s?[:.]",
    re.DOTALL,
)
_NUMBER_WORDS = [
    (r"\bzero\b|(?<![가-힣])영(?=번)", "0"),
    (rf"(\A|{LABEL_WORD}\s|\b(?:number|is|as) |: )one(?=\s*(?:[.,;:!()\n]|\Z))", r"\g<1>1"),
    (r"(?<![가-힣])일(?=번(?:[입이은]|\W|\Z))", "1"),
    (r"\btwo\b", "2"),
    (r"\bthree\b|(?<![가-힣])삼(?=번)", "3"),
]

_QUOTED = r"(?:[\"“「『‘][^\"”」』’]*[\"”」』’]|(?<!\w)'[^']*'(?![a-z\d]))"
_QUOTED_WORDS = re.compile(rf"{_QUOTED}(?:(?:이?나|[과와]|,? (?:and|or)|,)\s?{_QUOTED})*")
_REPORTED_AFTER = re.compile(
    r"\s*(?:이?라(?:며|[고는](?! ?(?:생각|판단|결론|추정|확신|분류|[답봅보])))"
    r"|(?:등[이의]?|[과와]? ?같은) ?(?:은어|표현|단어|말|글|문구|용어|메시지|언급|등장|나오|나온)"
    r"|(?:is|was|are|were) (?:written|shown|printed))"
)
_REPORTED_BEFORE = re.compile(
    r"(?:says?|reads?|reading|saying|text|written|labell?ed|titled|mention(?:s|ing)?|wr(?:ites?"
    r"|ote)|제목[은이]|(?:caption|title) (?:is|was)|messages? (?:use|contain)s?|(?:word|term"
    r"|phrase|slogan)s?(?: (?:like|such as))?):?\s*$"
)


def plain(text: str) -> str:
    """Return the answer's own words in lower case, after NFKC, with digits as 0–9.

    Reported speech, hidden reasoning and what is struck out are left out, and so is everything
    before the assistant's last turn.
    """
    text = "".join(_plain_letter(letter) for letter in html.unescape(text))
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    for pattern, replacement in _MARKUP:
        text = re.sub(pattern, replacement, text)
    if turns := list(_ROLE.finditer(text)):
        text = text[turns[-1].end() :] or text
    text = _QUOTED_WORDS.sub(_unquoted, text).strip()
    for pattern, digit in _NUMBER_WORDS:
        text = re.sub(pattern, digit, text)
    return text


def _plain_letter(letter: str) -> str:
    """Return a letter's plain form: a circled digit set apart, nothing for invisible letters."""
    category = unicodedata.category(letter)
    if unicodedata.decomposition(letter).startswith(("<super>", "<sub>")):
        return " ^"
    if unicodedata.decimal(letter, None) is not None:
        return str(unicodedata.decimal(letter))
    if unicodedata.digit(letter, None) is not None:
        return f" {unicodedata.digit(letter)} "
    if letter == "\u20e3":  # keycap
        return " "
    hidden = category in ("Cf", "Cc") and letter not in "\n\t\r"
    return "" if hidden or "\ufe00" <= letter <= "\ufe0f" else letter


def _unquoted(match: re.Match[str]) -> str:
    """Return a quotation's words if they are the model's own, nothing if they are the picture's."""
    before, after = match.string[: match.start()], match.string[match.end() :]
    if _REPORTED_AFTER.match(after) or _REPORTED_BEFORE.search(before):
        return " "
    return re.sub(r"[\"“”「」『』‘’]|(?<!\w)'|'(?![a-z\d])", "", match.group())
