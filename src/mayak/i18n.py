"""Messages: English texts that can be rendered in the language of the person who reads them.

``msg`` and ``plural`` make a ``Message``, a ``str`` whose own value is the English text. So what is
written for machines is English by construction. Where a person reads (terminal, page, report),
``render`` looks the message up in the catalogue ``locale/<language>/LC_MESSAGES/mayak.po``.

An f-string, ``str.join`` or another method of ``str`` returns a plain string, which stays English:
put messages together with ``+`` and ``join``, or pass one to another as a value.
"""

from __future__ import annotations

import json
import locale
import os
import re
from collections.abc import Callable, Iterable
from datetime import date
from functools import cache
from numbers import Number
from pathlib import Path
from typing import NamedTuple, Self, TypeAlias

Language: TypeAlias = str
"""The code of a language, for example ``ko``. English needs no catalogue."""

JsonMessage: TypeAlias = "str | dict[str, object]"
"""A message as JSON: plain text, or its template with the values."""

_CATALOGUES = Path(__file__).with_name("locale")
_KEPT = (str, Number, date, list, tuple, dict, set, frozenset, bytes, type(None))
"""Values that keep their type, because templates format it; others are kept as their text."""


class _Template(NamedTuple):
    key: str
    is_plural: bool
    values: dict[str, object]


class Message(str):
    """A text in English, with what is needed to render it in another language."""

    __slots__ = ("_source",)
    _source: _Template | tuple[str, ...]

    def __new__(cls, english: str, source: _Template | tuple[str, ...]) -> Self:
        self = super().__new__(cls, english)
        self._source = source
        return self

    def __getnewargs__(self) -> tuple[str, _Template | tuple[str, ...]]:  # type: ignore[override]
        return str(self), self._source

    def __add__(self, other: str) -> Message:
        return join("", (self, other))

    def __radd__(self, other: str) -> Message:
        return join("", (other, self))


def msg(template: str, /, **values: object) -> Message:
    """Return a message; the template names its values as ``str.format`` does."""
    return _made(template, template, None, values)


def msg_in(context: str, template: str, /, **values: object) -> Message:
    """Return a message; ``context`` tells the catalogue two meanings of the same English apart."""
    return _made(f"{context}\x04{template}", template, None, values)


def plural(singular: str, plural: str, n: int, /, **values: object) -> Message:
    """Return a message about ``n`` things; both templates may name ``n``."""
    return _made(singular, singular, plural, {"n": n, **values})


def _made(key: str, template: str, plural: str | None, values: dict[str, object]) -> Message:
    values = {name: v if isinstance(v, _KEPT) else message_of(v) for name, v in values.items()}
    english = plural if plural is not None and values["n"] != 1 else template
    shown = {name: str(v) if isinstance(v, Message) else v for name, v in values.items()}
    return Message(english.format_map(shown), _Template(key, plural is not None, values))


_SYSTEM = {
    str(text): text
    for text in (
        msg("No such file or directory"),
        msg("Permission denied"),
        msg("Operation not permitted"),
        msg("No space left on device"),
        msg("Disk quota exceeded"),
        msg("Is a directory"),
        msg("Not a directory"),
        msg("File exists"),
        msg("Directory not empty"),
        msg("Input/output error"),
        msg("Read-only file system"),
        msg("Too many open files"),
        msg("File name too long"),
        msg("File too large"),
        msg("Too many levels of symbolic links"),
        msg("Device or resource busy"),
        msg("Text file busy"),
        msg("No such device"),
        msg("No such device or address"),
        msg("Cannot allocate memory"),
        msg("Invalid argument"),
        msg("Invalid cross-device link"),
        msg("Address already in use"),
        msg("Connection refused"),
        msg("Broken pipe"),
        msg("Stale file handle"),
        msg("Transport endpoint is not connected"),
    )
}
"""What the system calls the usual reasons for which it refuses a file or a connection."""


def system_error(error: OSError) -> str:
    """Return why the system refused, without the number and the path."""
    reason = error.strerror or str(error)
    return reason if isinstance(reason, Message) else _SYSTEM.get(reason, reason)


def message_of(value: object) -> str:
    """Return the text of an object as a message if it has one: an error of the system, or an
    exception made with a message."""
    text = str(value)
    if isinstance(value, BaseException) and not isinstance(text, Message):
        if isinstance(value, OSError) and value.strerror:
            before, _, after = text.partition(value.strerror)
            return before + system_error(value) + after
        return next((part for part in value.args if isinstance(part, Message)), text)
    return text


def join(separator: str, parts: Iterable[str]) -> Message:
    """Return one message made of others, as ``str.join`` does with plain strings."""
    between = [piece for part in parts for piece in (separator, part)][1:]
    return Message("".join(between), tuple(between))


def packed(text: str) -> JsonMessage:
    """Return a message as plain JSON values, which another process gives to ``unpacked``."""
    if not isinstance(text, Message):
        return str(text)
    source = text._source
    if not isinstance(source, _Template):
        return {"parts": [packed(part) for part in source]}
    values = {name: _packed_value(value) for name, value in source.values.items()}
    return {
        "english": str(text),
        "key": source.key,
        "plural": source.is_plural,
        "values": values,
    }


def _packed_value(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_packed_value(each) for each in value]
    if value is None or isinstance(value, int | float):
        return value
    return packed(value if isinstance(value, str) else str(value))


def unpacked(value: object) -> str:
    """Return the message that ``packed`` made these values of. Raises ValueError for others."""
    text = _unpacked_value(value)
    if not isinstance(text, str):
        raise ValueError("not a message")
    return text


def _unpacked_value(value: object) -> object:
    match value:
        case list():
            return [_unpacked_value(each) for each in value]
        case {"parts": list() as parts}:
            return join("", [unpacked(part) for part in parts])
        case {
            "english": str() as english,
            "key": str() as key,
            "plural": bool() as is_plural,
            "values": dict() as values,
        }:
            kept = {str(name): _unpacked_value(each) for name, each in values.items()}
            return Message(english, _Template(key, is_plural, kept))
        case None | str() | int() | float():
            return value
    raise ValueError("not a message")


def render(text: str, language: Language) -> str:
    """Return the wording of a message in a language, English if it has none; a plain string as it
    is."""
    if not isinstance(text, Message):
        return text
    if language == "en":
        return str(text)
    source = text._source
    if not isinstance(source, _Template):
        return "".join(render(part, language) for part in source)
    wordings = catalogue(language).forms.get(source.key)
    if wordings is None:
        return str(text)
    values = {n: render(v, language) if isinstance(v, str) else v for n, v in source.values.items()}
    which = catalogue(language).form(int(str(source.values["n"]))) if source.is_plural else 0
    return wordings[which].format_map(values)


@cache
def languages() -> tuple[Language, ...]:
    """English and every language that has a catalogue."""
    found = _CATALOGUES.glob("*/LC_MESSAGES/mayak.po")
    return ("en", *sorted(path.parents[1].name for path in found))


def preferred(names: str) -> Language:
    """Return the language that a locale's name or an Accept-Language header begins with, English if
    mayak has none such."""
    first = re.split(r"[^a-z]", names.lower(), maxsplit=1)[0]
    code = locale.normalize(first).partition("_")[0]  # "korean" of Windows is "ko"
    return code if code in languages() else "en"


def system_language() -> Language:
    """Return the language of the locale."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            return preferred(value)
    # Windows sets none of the three and names the locale "Korean_Korea".
    return preferred(locale.getlocale()[0] or "")


class Catalogue(NamedTuple):
    """The texts of one language."""

    forms: dict[str, list[str]]
    """By the English text: the wording, or one for each plural form."""
    form: Callable[[int], int]
    """Return which of the forms is for a number of things."""


@cache
def catalogue(language: Language) -> Catalogue:
    """Read the catalogue of a language other than English."""
    import gettext  # an English run does without

    forms: dict[str, list[str]] = {}
    path = _CATALOGUES / language / "LC_MESSAGES" / "mayak.po"
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        fields: dict[str, str] = {}
        field = ""
        for line in block.splitlines():
            if line.startswith('"'):
                fields[field] += json.loads(line)  # PO escapes strings as JSON does
            elif not line.startswith("#"):
                field, _, quoted = line.partition(" ")
                fields[field] = json.loads(quoted)
        wordings = [text for field, text in fields.items() if field.startswith("msgstr")]
        if fields and all(wordings):
            key = fields["msgid"]
            forms[f"{fields['msgctxt']}\x04{key}" if "msgctxt" in fields else key] = wordings
    rule = forms.pop("")[0].partition("plural=")[2].partition(";")[0]
    return Catalogue(forms, gettext.c2py(rule))
