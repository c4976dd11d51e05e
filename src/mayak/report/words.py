"""What things are called in a report."""

from __future__ import annotations

from mayak.case import Run, StoredItem
from mayak.case.reasons import reason
from mayak.case.records import Seen, SeenHow
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.report.report_data import Kind
from mayak.report.text import moment
from mayak.types import Failure


def label(index: int) -> str:
    return f"{index} " + LABELS[index].name


def kind(name: Kind) -> str:
    """Why a file stands in its list."""
    return {
        "selected": msg("selected"),
        "disputed": msg("reviewers differ"),
        "proposed": msg("proposed by the model, not reviewed"),
        "alert": msg("in a list of known files, not reviewed"),
        "unclassified": msg("without a model result, not reviewed"),
        "irrelevant": msg("decided: irrelevant"),
        "unseen": msg("model: irrelevant, not reviewed"),
        "failure": msg("could not be read"),
        "exclusion": msg("left out by a rule"),
    }[name]


def seen_how(how: SeenHow | None) -> str:
    """How an image was shown when it was decided."""
    if how is None:
        return msg("not recorded")
    return {
        "opened": msg("opened"),
        "grid": msg("in the grid"),
        "copy": msg("behind a copy"),
        "bulk": msg("not on the screen"),
    }[how]


def seen(how: Seen | None) -> str:
    """The same, with blurred or clear."""
    if how is None or how.blurred is None:
        return seen_how(how and how.how)
    clear = msg("blurred") if how.blurred else msg("clear")
    return seen_how(how.how) + ", " + clear


def run(shown: Run | None) -> str:
    """Which run's scores are shown."""
    if shown is None:
        return msg("none: nothing was classified")
    model = str(shown.engine.get("model")).partition("@")[0]
    until = f"{moment(shown.finished)} UTC" if shown.finished else msg("not finished")
    return msg("{run}: {model}, {until}", run=shown.id, model=model, until=until)


def zone(item: StoredItem) -> str | None:
    """What the times of a file are to be read by; None where it has none."""
    if item.times.is_empty:
        return None
    if item.times.zone_known is None:
        return msg("not recorded")
    return "UTC" if item.times.zone_known else msg("unknown")


def because(name: str, recorded: str) -> str:
    """A reason, its recorded name and the words that stand on record."""
    return reason(name) + f" ({name}): " + recorded


def failed(failure: Failure) -> str:
    """Where and why something failed."""
    return stage(failure.stage) + ": " + because(failure.error, failure.message)


def stage(name: str) -> str:
    """Where a file failed."""
    return {
        "read": msg("reading"),
        "decode": msg("decoding"),
        "classify": msg("classifying"),
    }.get(name, name)
