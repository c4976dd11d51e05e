"""Every reason that mayak records has a name in the user's language."""

import ast
import re
from importlib.resources import files
from typing import get_args

from mayak.case.reasons import REASONS, REMEDIES, reason, remedy
from mayak.evidence import EXCLUSIONS, Reason
from mayak.i18n import render

RECORDED = re.compile(r'\b(?:Exclusion\(|Failure\([^"\n]*"\w+",\s*)"([\w-]+)"')


def test_no_reason_that_is_recorded_lacks_a_name():
    scripts = (entry for entry in (files("mayak") / "triage").iterdir() if entry.suffix == ".py")
    found = {name for script in scripts for name in RECORDED.findall(script.read_text("utf-8"))}
    assert {"empty", "too-small", "known-good", "GivenUp", "Damaged", "Changed"} <= found
    assert found | set(get_args(Reason)) <= REASONS.keys()


def test_every_failure_has_a_remedy_and_none_touches_evidence():
    assert set(get_args(Reason)) - EXCLUSIONS <= REMEDIES.keys() <= REASONS.keys()
    assert {"Changed", "DecodeError", "GivenUp", "crashed", "ModelError"} <= REMEDIES.keys()
    assert remedy("Encrypted").startswith("decrypt a copy")
    assert remedy("SomebodyElsesError") is None
    stated = set(REMEDIES.values())
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
