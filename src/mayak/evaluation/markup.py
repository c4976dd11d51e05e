"""Plain text of a model's answer: no markup, one form of each digit, no role names.

Models wrap answers in Markdown, HTML or XML tags, LaTeX, JSON and code. What such markup says about
the answer ("this is the final one", "this is struck out") becomes words; the rest is removed.
"""

from __future__ import annotations

import html
import re
import unicodedata

LABEL_WORD = (
    r"(?:\b(?:answers?|ans|options?|labels?|category|class|choice|type|prediction|classification"
    r"|verdict|result|output|predicted|conclusion|response)(?![a-z])|(?<![가-힣])(?:유형|라벨"
    r"|레이블|분류|카테고리|범주|선택지?|항목|클래스|판단|판정|예측|결과|결론|대답|응답|답안"
    r"|정?답변?|최종)|答案|答え|选项?)"
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
    (r"\\+n(?!e[qg]|u\b|ot|abla)", "\n"),
    (r"\\+(?:[a-z]+|.)", " "),
    (r"[-=]+>|[→⇒⟹➡👉]", " so "),
    (r"[*`#]+|(?m:^[ \t]*[-+•>]+[ \t]+)", ""),
    (r"[{}|_ \t\r\f\v]+", " "),
    (rf"({LABEL_WORD})-?(?=[0-3]\b)", r"\1 "),
    (r"(?<![\d.])([0-3])\.0+(?![\d.])", r"\1"),
]
"""Applied in this order to lower-case text."""

_ROLE = re.compile(
    r"(?:^|(?<=[\n.?!)\]:\"“']))\s*[\"“']?(?:assistant|ai|bot|(?:ai )?model|어시스턴트|모델"
    r"|챗봇)\s*[:\n]"
    r"|\bq\s?[:.].*\ba\s?[:.]",
    re.DOTALL,
)
_NUMBER_WORDS = {"zero": "0", "one": "1", "two": "2", "three": "3", "영": "0", "일": "1", "삼": "3"}
_NUMBER_WORD = re.compile(
    r"\b(?:zero|two|three)\b|(?<![가-힣])[영일삼](?=번(?![가-힣])|번[입이으은을])"
    rf"|(?:(?<=^)|(?<=number )|(?<=\bis )|(?<=: )|(?<={'|'.join(['option ', 'answer '])}))one"
    r"(?=\s*(?:[.,;:!()\n]|$))"
)

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
    return _NUMBER_WORD.sub(lambda word: _NUMBER_WORDS[word.group()], text)


def _plain_letter(letter: str) -> str:
    """Return a letter's plain form: a circled digit set apart, nothing for invisible letters."""
    category = unicodedata.category(letter)
    if unicodedata.decomposition(letter).startswith(("<super>", "<sub>")):
        return " ^"
    if category in ("Nd", "No") and unicodedata.digit(letter, None) is not None:
        digit = str(unicodedata.digit(letter))
        return digit if category == "Nd" else f" {digit} "
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
