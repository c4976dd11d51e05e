"""The summary: numbers of files and images, classes, reviewers, how images were shown."""

from __future__ import annotations

from mayak.case.records import SeenHow
from mayak.i18n import msg
from mayak.labels import LABELS, numbered_label
from mayak.report import words
from mayak.report.document import Block, Figures, Prose, Section, Table
from mayak.report.report_data import OPEN, ReportData
from mayak.report.text import files, moment, shortened


def summary(found: ReportData) -> Section:
    """Return the chapter."""
    chosen = found.images["selected"]
    waiting = sum(found.images[state] for state in OPEN)
    blocks: list[Block] = [
        Figures(
            (
                (
                    f"{found.counts.items:,}",
                    msg("files listed"),
                    msg("in {n_sources} sources", n_sources=len(found.sources)),
                ),
                (
                    f"{found.counts.distinct_contents:,}",
                    msg("different images"),
                    files(found.counts.contents),
                ),
                (
                    f"{chosen:,}",
                    msg("images selected by reviewers"),
                    files(found.files["selected"]),
                ),
                (
                    f"{waiting:,}",
                    msg("images not settled"),
                    msg("reviewers differ, or proposed or without a result and not reviewed"),
                ),
                (
                    f"{found.counts.failures:,}",
                    msg("files not read"),
                    msg("listed with reasons"),
                ),
            )
        ),
        _labels(found),
        Prose(
            msg(
                "Selected is what reviewers decided to be relevant (1, 2 or 3) and "
                "nobody contradicts. The model only proposes; what is not reviewed, so "
                "that no decision is valid, is listed apart and is not a finding. None of"
                " this replaces an analysis of a substance or a ruling on what a "
                "warrant covers."
            ),
            "soft",
        ),
    ]
    if found.reviewers:
        blocks += [_reviewers(found), *_seen(found)]
    else:
        blocks.append(Prose(_undecided(found), "warning"))
    return Section(msg("Summary"), tuple(blocks), ends_page=True)


def _labels(found: ReportData) -> Table:
    rows = [
        (
            numbered_label(label.index),
            f"{len(found.selected.get(label.index, ())):,}",
            f"{found.selected_files[label.index]:,}",
            f"{found.agreed[label.index]:,}",
            f"{found.proposals[label.index]:,}",
        )
        for label in LABELS[1:]
    ]
    rows.append(
        (
            msg("Sum"),
            f"{found.images['selected']:,}",
            f"{found.files['selected']:,}",
            f"{sum(found.agreed.values()):,}",
            f"{sum(found.proposals.values()):,}",
        )
    )
    return Table(
        (
            msg("Label"),
            msg("Selected images"),
            msg("their files"),
            msg("of these, the model agreed"),
            msg("Proposals without a decision"),
        ),
        tuple(rows),
        (2.2, 1.2, 1.1, 1.7, 1.4),
        numbers=frozenset({1, 2, 3, 4}),
    )


def _reviewers(found: ReportData) -> Table:
    return Table(
        (msg("Reviewer"), msg("Images"), msg("First decision (UTC)"), msg("Last decision (UTC)")),
        tuple(
            (shortened(name, 80), f"{who.images:,}", moment(who.first), moment(who.last))
            for name, who in found.reviewers.items()
        ),
        (2.2, 0.9, 1.6, 1.6),
        numbers=frozenset({1}),
    )


def _seen(found: ReportData) -> list[Block]:
    """Return how the images were shown when they were decided."""
    rows = []
    order: tuple[SeenHow | None, ...] = ("opened", "grid", "copy", "bulk", None)
    for how in order:
        decisions = {
            seen: count for seen, count in found.seen.items() if (seen.how if seen else None) == how
        }
        if total := sum(decisions.values()):
            blurred = sum(count for seen, count in decisions.items() if seen and seen.blurred)
            drawn = how is not None and how != "bulk"
            rows.append((words.seen_how(how), f"{total:,}", f"{blurred:,}" if drawn else "–"))
    text = msg(
        "How the images were shown when they were decided. A decision does not "
        "mean that somebody looked at the image by itself: “with another copy” "
        "was decided together with another image of the same picture, “not on "
        "the screen” without having been drawn. An “opened” image was shown by "
        "itself: the original, or its thumbnail of at most 320 pixels until the"
        " original had been read, or if it could not be."
    )
    return [
        Prose(text, "soft"),
        Table(
            (msg("How the image was shown"), msg("Decisions"), msg("of these, blurred")),
            tuple(rows),
            (2.2, 0.9, 1.2),
            numbers=frozenset({1, 2}),
        ),
    ]


def _undecided(found: ReportData) -> str:
    """Return what a report without a valid decision contains."""
    why = (
        msg("No decision is valid (withdrawn: {withdrawn:,}).", withdrawn=found.withdrawn)
        if found.withdrawn
        else msg("Nobody has decided anything yet.")
    )
    holds = msg(" The report holds {awaiting:,} proposals and no finding.", awaiting=found.awaiting)
    return why + holds
