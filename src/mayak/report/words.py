"""Names of classes, states and reasons in a report."""

from __future__ import annotations

from collections.abc import Sequence

from mayak.case import Run, StoredItem
from mayak.case.reasons import because
from mayak.case.records import Seen, SeenHow
from mayak.i18n import msg
from mayak.report.report_data import Kind
from mayak.report.text import moment
from mayak.types import Failure

_NAMED = 20
"""Numbers that one sentence lists."""


def kind(name: Kind) -> str:
    """Return why a file is in its list."""
    return {
        "selected": msg("selected"),
        "disputed": msg("reviewers differ"),
        "proposed": msg("proposed by the model, not reviewed"),
        "alert": msg("in a list of known files, not reviewed"),
        "without_result": msg("without a model result, not reviewed"),
        "irrelevant": msg("decided: irrelevant"),
        "unreviewed_irrelevant": msg("model: irrelevant, not reviewed"),
        "failure": msg("could not be read"),
        "exclusion": msg("left out by a rule"),
    }[name]


def seen_how(how: SeenHow | None) -> str:
    """Return how an image was shown when it was decided."""
    if how is None:
        return msg("not recorded")
    return {
        "opened": msg("opened"),
        "grid": msg("in the grid"),
        "copy": msg("with another copy"),
        "bulk": msg("not on the screen"),
    }[how]


def seen(how: Seen | None) -> str:
    """Return how an image was shown, and whether it was blurred."""
    if how is None or how.blurred is None:
        return seen_how(how and how.how)
    clear = msg("blurred") if how.blurred else msg("clear")
    return seen_how(how.how) + ", " + clear


def run(shown: Run | None) -> str:
    """Return the model run whose scores are shown."""
    if shown is None:
        return msg("none: nothing was classified")
    model = str(shown.engine.get("model")).partition("@")[0]
    until = f"{moment(shown.finished)} UTC" if shown.finished else msg("not finished")
    return msg("{run}: {model}, {until}", run=shown.id, model=model, until=until)


def zone(item: StoredItem) -> str | None:
    """Return the time zone of a file's times; None if it has no times."""
    if item.times.is_empty:
        return None
    if item.times.zone_known is None:
        return msg("not recorded")
    return "UTC" if item.times.zone_known else msg("unknown")


def failed(failure: Failure) -> str:
    """Return the stage and the reason of a failure."""
    return stage(failure.stage) + ": " + because(failure.error, failure.message)


def stage(name: str) -> str:
    """Return the name of the stage in which a file failed."""
    return {
        "read": msg("reading"),
        "decode": msg("decoding"),
        "classify": msg("classifying"),
    }.get(name, name)


def numbers(found: Sequence[int]) -> str:
    """Return numbers as text, the first few if there are many."""
    shown = ", ".join(map(str, found[:_NAMED]))
    return shown + (", …" if len(found) > _NAMED else "")
