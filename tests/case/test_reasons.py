"""Every reason that mayak records has a name in the user's language."""

import ast
import re
from importlib.resources import files
from pathlib import Path
from typing import get_args, get_type_hints

from mayak.case.reasons import REASONS, REMEDIES, reason, remedy
from mayak.evidence import EXCLUSIONS
from mayak.i18n import Message, render
from mayak.signatures import KINDS
from mayak.types import OutcomeReason
from mayak.workers import Lost

SOURCE = Path(str(files("mayak")))

RECORDED = re.compile(
    r"\b(?:Exclusion\(\s*|Failure\([^\"\n]*\"\w+\",\s*|(?:entry_failure|container_gap)\(\s*[^\"\n]*,\s*)"
    r"\"([\w-]+)\""
)
"""A reason that is written out where an outcome is made."""


def test_every_reason_has_a_text():
    assert set(OutcomeReason) == REASONS.keys()
    assert all(isinstance(text, Message) for text in REASONS.values())


def test_reasons_are_recorded_by_their_enumeration_only():
    scripts = [each.read_text("utf-8") for each in SOURCE.rglob("*.py")]
    assert [name for script in scripts for name in RECORDED.findall(script)] == []
    assert RECORDED.findall('Failure(path, "read", "Damaged", text)') == ["Damaged"]


def test_what_a_lost_worker_is_recorded_as_is_a_reason():
    assert set(get_args(get_type_hints(Lost)["why"])) <= set(OutcomeReason)


def test_every_failure_has_a_remedy_and_none_touches_evidence():
    rules = set(OutcomeReason) - REMEDIES.keys()
    assert rules >= EXCLUSIONS
    assert rules - EXCLUSIONS == {
        "not-an-image",
        "no-pictures",
        "unknown",
        "known-safe",
        "empty",
        "apple-double",
        "program",
        "container",
        "document",
        "too-small",
        "include",
        "exclude",
        "since",
        "known-good",
        "gap-closed",
    }
    assert "decrypt a copy" in remedy("Encrypted")
    assert remedy("SomebodyElsesError") is None
    assert remedy("Unsupported", "F2FS") == "mount it read-only and give that folder"
    assert remedy("Damaged", "F2FS") == remedy("Damaged")
    stated = {*REMEDIES.values(), *(kind.remedy for kind in KINDS)}
    for package in ("imaging", "evidence", "triage"):
        for script in (files("mayak") / package).iterdir():
            if script.name.endswith(".py"):
                stated |= set(remedies(script.read_text("utf-8")))
    assert "give the source as it was, or continue with --accept-damaged" in stated
    assert [
        text for text in stated if ALTERS.search(text) and not re.search("copy|elsewhere", text)
    ] == []


ALTERS = re.compile(
    r"\b(alter|change|convert|crop|cut|decrypt|delete|edit|move|re-?encode|remove|rename|resize|save"
    r"|scale|shrink|smaller|unpack) (a|an|the|it|its|them)\b|\bsmaller\b"
)


def remedies(script):
    """The texts of ``remedy=``, in English."""
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.keyword) and node.arg == "remedy":
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and str(part.value).isascii():
                    yield str(part.value)


def test_a_reason_reads_in_the_users_language():
    assert render(reason("too-small"), "ko") == "크기 기준 미만"
    assert render(reason("Encrypted"), "ko") == "암호화됨"
    assert reason("Encrypted") == "encrypted"
    assert reason("SomebodyElsesError") == "SomebodyElsesError"
