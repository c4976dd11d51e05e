"""The chapter on limits: what was not examined, and what the model may have missed."""

from __future__ import annotations

from collections.abc import Sequence

from mayak.case import BlindSample
from mayak.case.census import ReasonCount, space_text
from mayak.case.reasons import kind_name, reason
from mayak.i18n import join, msg, plural
from mayak.report.document import Block, Prose, Section, Table
from mayak.report.left_out import LeftOut, kind, kind_of, kinds
from mayak.report.report_data import ReportData
from mayak.report.text import files, images, moment, shortened
from mayak.types import OutcomeReason

_EXTENSIONS = 15
"""Extensions that are listed, the most frequent ones."""
_KINDS = 40
"""Reasons and kinds that are listed, the most frequent ones."""
_BY_KIND = (OutcomeReason.NO_PICTURES, OutcomeReason.KNOWN_SAFE)
"""Rules whose files are listed by kind."""
_BACKUPS = 10
"""Folders of phone backups that are listed."""
_CHOSEN = (
    OutcomeReason.INCLUDE,
    OutcomeReason.EXCLUDE,
    OutcomeReason.SINCE,
    OutcomeReason.KNOWN_GOOD,
    OutcomeReason.KNOWN_SAFE,
    OutcomeReason.TOO_SMALL,
)
"""Rules that the operator sets by options."""


def limits(found: ReportData) -> Section:
    """Return the chapter."""
    points = [
        _demonstration(found),
        _not_read(found),
        _without_pictures(found),
        _unknown(found),
        _no_image(found),
        _backups(found),
        _options(found),
        _free_space(found),
        _documents(found),
        msg(
            "Of an animation at most four frames were examined; of a file with several pictures "
            "of a camera (MPO) and of a Photoshop file the first picture alone."
        ),
        _unreviewed_irrelevant(found),
        _quick_tiers(found),
        msg("What a file states of itself (camera, time, position) can be altered by anybody."),
    ]
    blocks: list[Block] = [Prose("", points=tuple(filter(None, points)))]
    blocks += _by_kind(
        found.census.not_read,
        msg("Not read, by reason and kind; the content of these files was not examined:"),
    )
    blocks += _by_kind(
        [count for count in found.census.left_out if count.reason in _BY_KIND],
        msg("Left out, by reason and kind:"),
    )
    if found.unknown.files:
        blocks += _by_extension(
            found.unknown, msg("Left out as of no known kind, by the extension of the name:")
        )
        blocks.append(_beginnings(found))
    if found.left_out.files:
        blocks += _by_extension(
            found.left_out,
            msg(
                "Left out as no image, by the extension of the name (what is in them was not "
                "looked at):"
            ),
        )
    blocks.append(_miss_rate(found))
    return Section(msg("Limits"), tuple(blocks))


def _demonstration(found: ReportData) -> str | None:
    if found.run is None or not str(found.run.engine.get("model", "")).startswith("nano@"):
        return None
    return msg(
        "The embedded model “nano” demonstrates that the program works. Its proposals about real "
        "images have no meaning."
    )


def _not_read(found: ReportData) -> str:
    if not found.counts.failures:
        return msg(
            "No listed file counts as not read; what a rule left out was not examined further."
        )
    reasons = join(
        ", ", [reason(count.reason) + f" {count.files:,}" for count in found.census.not_read]
    )
    return plural(
        "{n:,} file was not read, so that its content was not examined: {reasons}.",
        "{n:,} files were not read, so that their content was not examined: {reasons}.",
        found.counts.failures,
        reasons=reasons,
    )


def _without_pictures(found: ReportData) -> str | None:
    if not (count := found.exclusions.get(OutcomeReason.NO_PICTURES, 0)):
        return None
    return msg(
        "Left out as kinds without pictures, such as texts, programs, fonts and sounds: {files}. "
        "What is drawn by a program or a vector drawing, the cover of a sound file, and a picture "
        "that begins after the first 32 KiB of a text were not looked for.",
        files=files(count),
    )


def _unknown(found: ReportData) -> str | None:
    if not found.unknown.files:
        return None
    return msg(
        "Left out because their first bytes are of no kind that mayak knows: {files}. Whether they "
        "hold pictures is not known: beyond their first 32 KiB nobody looked for any.",
        files=files(found.unknown.files),
    )


def _no_image(found: ReportData) -> str | None:
    left = found.left_out
    if not left.files:
        return None
    text = msg(
        "Left out because they do not begin as an image does: {files}. They were not examined "
        "further: pictures inside such files were not looked for.",
        files=files(left.files),
    )
    if not left.kinds:
        return text
    named = msg(
        "By their names, among them are kinds that can hold pictures: {kinds}.", kinds=kinds(left)
    )
    return text + " " + named


def _documents(found: ReportData) -> str | None:
    if not (count := found.exclusions.get(OutcomeReason.DOCUMENT, 0)):
        return None
    return msg(
        "Documents (PDF): {count:,}. The images in them were examined; texts and drawings on "
        "their pages were not looked at.",
        count=count,
    )


def _backups(found: ReportData) -> str | None:
    folders = found.left_out.backups
    if not folders:
        return None
    named = join("; ", [shortened(folder, 120) for folder in folders[:_BACKUPS]])
    if len(folders) > _BACKUPS:
        named += "; …"
    return msg(
        "Folders that hold a phone's backup, by the names in them (Manifest.db next to "
        "Manifest.plist): {n_folders:,}. mayak does not undo the renaming of the files in "
        "such backups, and of an encrypted one no picture can be recognised. Left out in them "
        "as no image: {files}. {named}",
        n_folders=len(folders),
        files=files(found.left_out.in_backups),
        named=named,
    )


def _options(found: ReportData) -> str | None:
    rules = {rule: found.exclusions[rule] for rule in _CHOSEN if found.exclusions.get(rule)}
    if not rules:
        return None
    text = join(", ", [reason(rule) + f" {count:,}" for rule, count in rules.items()])
    return msg(
        "Left out by the settings of triage: {files} ({said}).",
        files=files(sum(rules.values())),
        said=text,
    )


def _free_space(found: ReportData) -> str | None:
    disks = [
        source
        for source in found.sources
        if source.kind == "image"
        or source.id in found.unexamined
        or (source.id in found.source_counts and found.source_counts[source.id].has_disk_image)
    ]
    if not disks:
        return None
    text = msg(
        "{n_disks:,} of {n_sources:,} sources are or hold disk images. Their free space was "
        "not searched: a deleted picture that no entry of the file system names any more was "
        "not found.",
        n_disks=len(disks),
        n_sources=len(found.sources),
    )
    numbers = {source.id: number for number, source in enumerate(found.sources, 1)}
    for source in disks:
        if (space := found.unexamined.get(source.id)) is not None:
            text += " " + msg(
                "Not looked at in source {number}: {space}.",
                number=numbers[source.id],
                space=space_text(space),
            )
        else:
            text += " " + msg(
                "How much that is in source {number} is not on record.", number=numbers[source.id]
            )
    return text


def _unreviewed_irrelevant(found: ReportData) -> str:
    if not (count := found.images["unreviewed_irrelevant"]):
        return msg("No image rests on the model's word alone that it is irrelevant.")
    return msg(
        "Images that the model calls irrelevant and on which no decision is valid may be relevant: "
        "{images}.",
        images=images(count),
    )


def _quick_tiers(found: ReportData) -> str | None:
    tiers = found.tiers[found.run.id] if found.run else {}
    if not (early := tiers.get(0, 0) + tiers.get(1, 0)):
        return None
    return msg(
        "Called irrelevant by a quicker reading than the whole model's: {images}. What that "
        "may have lost, and whether it held, is under Integrity.",
        images=images(early),
    )


def _by_kind(counts: Sequence[ReasonCount], title: str) -> list[Block]:
    """Return a table of reasons and kinds, with what can be done about failures."""
    rows = [
        (reason(count.reason), kind_name(name) or "–", f"{n_files:,}")
        for count in counts
        for name, n_files in count.kinds
    ]
    if not rows:
        return []
    shown = rows[:_KINDS]
    if rest := rows[_KINDS:]:
        n_files = sum(int(row[2].replace(",", "")) for row in rest)
        shown.append((msg("{n_rest:,} other kinds", n_rest=len(rest)), "–", f"{n_files:,}"))
    return [
        Prose(title),
        Table(
            (msg("Reason"), msg("Kind"), msg("Files")),
            tuple(shown),
            (3.0, 3.0, 1.0),
            numbers=frozenset({2}),
            small=True,
        ),
    ]


def _beginnings(found: ReportData) -> Prose:
    return Prose(
        msg(
            "Their most frequent first bytes: {beginnings}.",
            beginnings=join("; ", [f"{begins} ({count:,})" for begins, count in found.beginnings]),
        ),
        "soft",
    )


def _by_extension(left: LeftOut, title: str) -> list[Block]:
    """Return the files that were left out for one reason, by extension."""
    order = sorted(left.extensions.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = [
        (
            f".{name}" if name else msg("(no extension)"),
            kind(known) if (known := kind_of(name)) else "–",
            f"{count:,}",
        )
        for name, count in order[:_EXTENSIONS]
    ]
    if rest := order[_EXTENSIONS:]:
        rows.append(
            (
                msg("{n_rest:,} other extensions", n_rest=len(rest)),
                "–",
                f"{sum(count for _, count in rest):,}",
            )
        )
    return [
        Prose(title),
        Table(
            (msg("Extension"), msg("Kind that can hold pictures"), msg("Files")),
            tuple(rows),
            (2.0, 3.0, 1.0),
            numbers=frozenset({2}),
            small=True,
        ),
    ]


def _miss_rate(found: ReportData) -> Prose:
    if not found.samples:
        return Prose(
            msg(
                "No blind sample was drawn, so that nothing can be said of how many relevant "
                "images were missed."
            ),
            "warning",
        )
    counts = found.counts
    return Prose(
        msg(
            "How much was missed among the images that mayak read and a run called irrelevant, "
            "estimated from blind random samples of those that nobody had decided. Of files that "
            "were not read ({failures:,}) or left out ({exclusions:,}), of free space and of what "
            "came into the case later it says nothing:",
            failures=counts.failures,
            exclusions=counts.exclusions,
        ),
        points=tuple(map(_estimate, found.samples)),
    )


def _estimate(sample: BlindSample) -> str:
    drawn = msg(
        "Sample {sample_id}: {size:,} of {population:,} images that run {run} called irrelevant, "
        "drawn {moment} UTC, judged by {reviewer}. ",
        sample_id=sample.id,
        size=sample.size,
        population=sample.population,
        run=sample.run,
        moment=moment(sample.drawn),
        reviewer=sample.reviewer,
    )
    missed = sample.missed
    if missed is None:
        return drawn + msg(
            "{judged:,} judged so far; there is no estimate until all are.", judged=sample.judged
        )
    low, high = (100 * end for end in missed.interval)
    return drawn + msg(
        "{relevant:,} were relevant ({fraction:.2f}%). With 95 % confidence between {low:,} and "
        "{high:,} relevant images were missed among these {population:,} "
        "({lowest:.2f}–{highest:.2f}%).",
        relevant=missed.relevant,
        fraction=100 * missed.fraction,
        low=missed.low,
        high=missed.high,
        population=missed.population,
        lowest=low,
        highest=high,
    )
