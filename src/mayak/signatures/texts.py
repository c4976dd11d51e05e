"""Checks of files that are text, by their first bytes."""

from __future__ import annotations

import re

from mayak.signatures.headers import HEAD

_CONTROLS = bytes({*range(32), 127} - {*b"\t\n\v\f\r\x1b"})
_UTF_16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_MARK = rb"(?:\xef\xbb\xbf)?\s*"
_FIELD = (
    rb"(?:Return-Path|Received|Delivered-To|MIME-Version|Message-ID|Content-Type|Date|Subject|"
    rb"From|To|Cc|Reply-To|X-[\w-]{1,40}):[^\n]*\n(?:[ \t][^\n]*\n)*"
)
_MAIL = re.compile(_MARK + rb"(?:From [^\n]+\n|\d+\s*\n)?" + _FIELD + _FIELD, re.IGNORECASE)
"""Two header fields of RFC 5322, after the line that a mailbox or Apple Mail puts before them."""
_CARD = re.compile(_MARK + rb"BEGIN:VCARD", re.IGNORECASE)
_HTML = re.compile(
    _MARK + rb"(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_XML = re.compile(_MARK + rb"<(?:\?xml|!DOCTYPE|plist|svg)\b")
_JSON = re.compile(_MARK + rb"[\[{]")

_IN_BASE64 = (b"data:image/", b"/9j/", b"iVBORw0KGgo", b"R0lGOD", b"UklGR")
"""With which pictures begin in a text."""
_IN_BYTES = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"WEBPVP8"),
    *(b"ftypheic", b"ftypmif1", b"ftypavif"),
)
LONGEST_BEGINNING = max(map(len, _IN_BASE64 + _IN_BYTES))


def is_text(head: bytes) -> bool:
    """Whether these are characters of a text in UTF-8, UTF-16 with a mark, or CP949."""
    if (encoding := _UTF_16.get(head[:2])) is not None:
        text = head[2 : len(head) & ~1].decode(encoding, "replace")
        return "\0" not in text and "\ufffd" not in text[:-1]
    if len(head.translate(None, _CONTROLS)) < len(head):
        return False
    # A long text is cut off in the middle of a character.
    return any(_is_encoded(head, encoding, cut) for encoding, cut in (("utf-8", 3), ("cp949", 1)))


def is_binary(head: bytes) -> bool:
    return not is_text(head)


def _is_encoded(head: bytes, encoding: str, cut: int) -> bool:
    try:
        head.decode(encoding)
    except UnicodeDecodeError as error:
        return len(head) == HEAD and error.start >= len(head) - cut
    return True


def is_mail(head: bytes) -> bool:
    """Whether a text is a message, a mailbox or a contact."""
    return (_MAIL.match(head) or _CARD.match(head)) is not None


def is_html(head: bytes) -> bool:
    return _HTML.match(head) is not None


def is_svg(head: bytes) -> bool:
    return _XML.match(head) is not None and b"<svg" in head


def is_xml(head: bytes) -> bool:
    return _XML.match(head) is not None


def is_json(head: bytes) -> bool:
    return _JSON.match(head) is not None and is_text(head)


def begins_picture(data: bytes, *, is_text: bool = False) -> bool:
    """Whether the beginning of a picture is somewhere in these bytes; in a text only as base64."""

    for mark in _IN_BASE64 if is_text else _IN_BASE64 + _IN_BYTES:  # noqa: SIM110
        if mark in data:
            return True
    return False
