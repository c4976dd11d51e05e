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
    r"|verdict|result|output|predicted|cls|respuesta|digit|guess|pick|selection|conclusion"
    r"|response)(?![a-z])|(?<![가-힣])(?:유형|라벨|레이블|분류|카테고리|범주|선택지?|항목|클래스"
    r"|판단|판정|예측|결과|결론|대답|응답|답안|정?답변?|최종)|答案|答え|选项?)"
)
"""A word before the digit of a label."""

_MARKUP = [
    (r"(?s)<(think(?:ing)?|reason(?:ing)?)>.*?(?:</\1>|\Z)", " "),
    (r"~~[^~]*~~", " "),  # struck out
    (r"[0-3]\b[^\d✅✔☑❌✗✘\n]*(?:[❌✗✘]|(?<=[:=\s])false\b)", " "),  # options crossed out
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
    (r"\bno\. ?(?=\d)", "number "),
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

_QUOTED = re.compile(r"[\"“「『‘]([^\"”」』’]*)[\"”」』’]|(?<!\w)'([^']*)'(?!\w)")
_REPORTED_AFTER = re.compile(r"\s*(?:이?라(?:고|는|며)|(?:is|was) (?:written|shown|printed))")
_REPORTED_BEFORE = re.compile(
    r"(?:says?|reads?|reading|saying|text|written|labell?ed|titled):?\s*$"
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
    text = _QUOTED.sub(_unquoted, text).strip()
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
    return match.group(1) or match.group(2) or ""
