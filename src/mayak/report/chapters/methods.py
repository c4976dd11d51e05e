"""The chapter on methods: what was listed, counted, asked and decided."""

from __future__ import annotations

from mayak.i18n import join, msg, plural
from mayak.labels import LABELS, QUESTION
from mayak.report.document import Prose, Section
from mayak.report.report_data import ReportData
from mayak.report.text import files as files_text
from mayak.report.text import images
from mayak.report.words import numbers
from mayak.types import OutcomeReason


def methods(found: ReportData, *, clear: bool) -> Section:
    """Return the chapter: what was done, in plain words."""
    points = [
        _listing(found),
        _accounting(found),
        msg(
            "Images with the same bytes (SHA-256) count as one image and are listed under every "
            "path at which they were found; the pictures inside a repeated image file under the "
            "first path alone."
        ),
        _asking(found),
        _deciding(found),
        msg(
            "Times are in UTC (Korean time is nine hours ahead). Times of files are those that "
            "the source states; where it keeps a clock without a time zone (FAT, most ZIP files) "
            "that clock is shown as it is and the time zone is given as unknown."
        ),
        msg("The thumbnails are shown clearly.")
        if clear
        else msg("The thumbnails are blurred; the originals are identified by their hashes."),
        msg(
            "Characters in names that cannot be seen or that change the direction "
            "of writing are spelt out by number, such as \\u202e; a long name is "
            "shortened in the middle and is complete in the CSV files."
        ),
    ]
    title = msg("Methods")
    return Section(title, (Prose("", points=tuple(points)),))


def _listing(found: ReportData) -> str:
    """Return how many files were listed, and whether these are all."""
    deleted = sum(counts.deleted for counts in found.source_counts.values())
    entered = found.exclusions.get(OutcomeReason.CONTAINER, 0)
    text = plural(
        "mayak opens sources for reading only. Listed in {n:,} source: {files_text}, {deleted:,} "
        "of them deleted, with what could be listed of {entered:,} archives and disk images "
        "inside the sources. ",
        "mayak opens sources for reading only. Listed in {n:,} sources: {files_text}, {deleted:,} "
        "of them deleted, with what could be listed of {entered:,} archives and disk images "
        "inside the sources. ",
        len(found.sources),
        files_text=files_text(found.counts.items),
        deleted=deleted,
        entered=entered,
    )
    if found.incomplete:
        which = numbers(found.incomplete)
        return text + msg(
            "Of source {which} it is not on record that triage came to the end: files may be "
            "missing.",
            which=which,
        )
    return text + msg(
        "Triage went through every source to its end. An archive or disk image of a kind that "
        "mayak does not know is one file to it: what is in it is not listed (see Limits)."
    )


def _accounting(found: ReportData) -> str:
    """Return what the three outcomes mean, and whether they add up."""
    counts = found.counts
    text = msg(
        "Each listed file is an image, a file that was not read, or a file that a rule left out, "
        "which then was not examined further. "
    )
    text += _no_files(found)
    sums = found.counts.sum_text
    if counts.is_balanced:
        return text + msg("The numbers add up: {sums}.", sums=sums)
    return text + msg("THE NUMBERS DO NOT ADD UP: {sums}.", sums=sums)


def _no_files(found: ReportData) -> str:
    """Return how many rows count as files but are not separate files of a source."""
    inside = sum(counts.inside for counts in found.source_counts.values())
    gaps = sum(counts.gaps for counts in found.source_counts.values())
    text = ""
    if inside:
        text += plural(
            "Counted as a file is also {n:,} picture inside another file: a page, a frame, a "
            "picture of a document or one under transparency. ",
            "Counted as files are also {n:,} pictures inside other files: pages, frames, "
            "pictures of documents and pictures under transparency. ",
            inside,
        )
    if gaps:
        text += plural(
            "Counted as a file that could not be read is also {n:,} note on what could not be "
            "listed of an archive, a disk image or a folder, besides the row of the archive or "
            "disk image itself. ",
            "Counted as files that could not be read are also {n:,} notes on what could not be "
            "listed of archives, disk images and folders, besides the rows of the archives and "
            "disk images themselves. ",
            gaps,
        )
    return text


def _asking(found: ReportData) -> str:
    """Return how many images the model classified, and what a score is."""
    run = found.run
    if run is None:
        return msg("No model was asked about the images.")
    tiers = found.tiers[run.id]
    asked = tiers.get(1, 0) + tiers.get(2, 0)
    text = msg(
        "A vision-language model was asked one question of {images}: “{question}” ",
        images=images(asked),
        question=QUESTION,
    )
    names = [
        msg(
            "class {index} {name} (the paper’s name: ‘{paper}’)",
            index=label.index,
            name=label.name,
            paper=label.paper_name,
        )
        for label in LABELS[1:]
    ]
    text += msg("This report calls the classes: {names}. ", names=join(", ", names))
    if quick := tiers.get(0, 0):
        text += msg(
            "Called irrelevant by a quicker stage, without the question: {images}. ",
            images=images(quick),
        )
    if lacking := found.counts.distinct_contents - run.predictions:
        text += msg("Without a result: {images}. ", images=images(lacking))
    text += msg("A score is the share of a label's probability among the four labels")
    if run.engine.get("calibration"):
        text += msg(", adjusted by the calibration that Integrity names")
    return text + msg(
        ". It orders the work of looking; it is not the probability that the answer is right."
    )


def _deciding(found: ReportData) -> str:
    """Return who decided, and what “not reviewed” means."""
    back: str = msg("No decision was withdrawn.")
    if found.withdrawn:
        back = plural(
            "{n:,} decision was withdrawn and stays on record.",
            "{n:,} decisions were withdrawn and stay on record.",
            found.withdrawn,
        )
    if not found.reviewers:
        return msg("No decision of a reviewer is valid. ") + back
    return (
        msg(
            "The reviewers named in this report decided, not the model. Each decision is kept "
            "with name and time. ‘Not reviewed’ means that no decision is valid, not that nobody "
            "looked. "
        )
        + back
    )
