"""Which language the user reads: Korean or English."""

from __future__ import annotations

import locale
import os
from contextvars import ContextVar
from typing import Literal

Language = Literal["ko", "en"]

_process: Language = "en"
"""Of threads and contexts in which no language was set. A ``ContextVar`` alone is not enough: a new
thread begins without the context of the one that started it."""
_current: ContextVar[Language | None] = ContextVar("language", default=None)


def system_language() -> Language:
    """The language of the locale: ``ko`` for a Korean one, otherwise ``en``."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(variable):
            return "ko" if value.lower().startswith("ko") else "en"
    # Windows sets none of the three and names the locale "Korean_Korea".
    name = locale.getlocale()[0] or ""
    return "ko" if name.lower().startswith("ko") else "en"


def set_language(language: Language) -> None:
    """Make ``tr`` answer in this language from here on, in this context."""
    _current.set(language)


def set_process_language(language: Language) -> None:
    """Make ``tr`` answer in this language here, and in every thread that sets none itself."""
    global _process
    _process = language
    _current.set(language)


def language() -> Language:
    """The language that ``tr`` answers in."""
    return _current.get() or _process


def tr(en: str, ko: str) -> str:
    """One of two wordings of the same text; both stand where the text is used."""
    return ko if language() == "ko" else en
