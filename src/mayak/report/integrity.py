"""The chapters that say how far a report can be relied on: notices, methods, limits, integrity."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mayak import __version__
from mayak.case import LogEntry, Run, Source, SourceHash, alarms, clock_note
from mayak.i18n import msg, plural
from mayak.labels import QUESTION
from mayak.report.document import Block, Cell, Facts, Prose, Section, Table
from mayak.report.left_out import warning
from mayak.report.report_data import Survey
from mayak.report.text import files as files_text
from mayak.report.text import images, moment, shortened, size

_NOTED = 6
"""Kinds of faults on the first page."""
_NAMED = 20
"""Sources named by number, and pairs of log entries, in one sentence."""
_FAULTS = 200
"""Faults in the chapter on integrity; `mayak verify` lists all."""
_HISTORY = 50


def notices(found: Survey) -> tuple[Prose, ...]:
    """What stands on the first page, alarms first."""
    return tuple(
        said
        for said in (
            _faulty(found),
            _sums_off(found),
            _faulty_before(found),
            _damaged(found),
            _accepting(found),
            _unhashed(found),
            _sound(found),
            _unlike_their_hash(found),
            _incomplete(found),
            _without_result(found),
            _not_looked_into(found),
        )
        if said is not None
    )


def _faulty(found: Survey) -> Prose | None:
    if not found.faults:
        return None
    count = len(found.faults)
    points = alarms(found.faults)
    if (more := len(points) - _NOTED) > 0:
        points[_NOTED:] = [msg("and {more:,} more kinds, see Integrity", more=more)]
    return Prose(
        plural(
            "INTEGRITY FAILURE. The case is not as it was written: {n:,} fault. Do not rely on "
            "this report until they are explained.",
            "INTEGRITY FAILURE. The case is not as it was written: {n:,} faults. Do not rely on "
            "this report until they are explained.",
            count,
        ),
        "alarm",
        tuple(shortened(point, 300) for point in points),
    )


def _sums_off(found: Survey) -> Prose | None:
    if found.balanced:
        return None
    return Prose(
        msg(
            "THE SUMS DO NOT HOLD: the lists do not account for all files of the case, see "
            "Integrity."
        ),
        "alarm",
    )


def _faulty_before(found: Survey) -> Prose | None:
    check = found.history.last_check
    if check is None or not (faults := check.detail.get("faults")):
        return None
    return Prose(
        msg(
            "INTEGRITY FAILURE ON RECORD. The last verification ({moment_of}, {operator}) found "
            "{faults} faults. Run mayak verify again.",
            moment_of=moment_of(check),
            operator=check.operator,
            faults=faults,
        ),
        "alarm",
    )


def _damaged(found: Survey) -> Prose | None:
    if not found.damaged:
        return None
    return Prose(
        msg("DAMAGED OR CHANGED SOURCES were accepted by the operator:"),
        "alarm",
        tuple(shortened(source.path, 300) for source in found.damaged),
    )


def _accepting(found: Survey) -> Prose | None:
    """Of a folder, no hash of the whole records what was accepted."""
    entries = found.history.accepting
    if not entries:
        return None
    which = numbers([entry.sequence for entry in entries])
    return Prose(
        msg(
            "Triage was told to go on with damaged or changed files (--accept-damaged, log entry "
            "{which}). An image file of a folder that had changed since it was read is listed "
            "with its earlier and its later bytes; one that was gone is listed all the same.",
            which=which,
        ),
        "warning",
    )


def _unhashed(found: Survey) -> Prose | None:
    reasons = found.history.unreadable
    if not reasons:
        return None
    return Prose(
        msg("SOURCES THAT COULD NOT BE READ TO THEIR END, so that there is no hash of the whole:"),
        "alarm",
        tuple(
            shortened(f"{source.path}: {reasons[source.id]}", 300)
            for source in found.sources
            if source.id in reasons
        ),
    )


def _sound(found: Survey) -> Prose | None:
    if not found.sound:
        return None
    extent = found.extent
    return Prose(
        msg(
            "Integrity: {entries:,} log entries, {records:,} records and {thumbnails:,} "
            "thumbnails of the case were compared with their recorded hashes for this report; no "
            "fault was found. This does not show a case whose hashes were all computed again or "
            "that was set back to an earlier state: for that, compare the log head with one that "
            "was noted elsewhere. ",
            entries=extent.entries,
            records=extent.records,
            thumbnails=extent.thumbnails,
        )
        + _compared_again(found),
        "good",
    )


def _compared_again(found: Survey) -> str:
    """Which sources were compared since they were taken in, and how far."""
    history, count = found.history, len(found.sources)
    done = [source for source in found.sources if source.id in history.compared]
    if not done:
        check = history.last_check
        if check is None or "sources" in check.detail:
            return msg("No source has been compared again since it was taken in.")
        return msg(
            "The verification of {moment_of} does not record which sources it compared.",
            moment_of=moment_of(check),
        )
    latest = moment_of(max((history.compared[s.id][0] for s in done), key=lambda e: e.sequence))
    told = msg(
        "{n_done:,} of {count:,} sources were compared again, last at {latest}",
        n_done=len(done),
        count=count,
        latest=latest,
    )
    by_size = without = 0
    for source in done:
        how = history.compared[source.id][1]
        files = found.source_counts[source.id].files if source.id in found.source_counts else 0
        by_size += how.get("sized", 0)
        without += how.get("uncompared", 0) + max(0, files - how.get("files", 0))
    if by_size:
        told += msg(
            "; {files_text} without a recorded hash by presence and size alone",
            files_text=files_text(by_size),
        )
    if without:
        told += msg("; {files_text} not at all", files_text=files_text(without))
    left = [n for n, s in enumerate(found.sources, 1) if s.id not in history.compared]
    if left:
        told += msg("; not compared: source {numbers}", numbers=numbers(left))
    check = history.last_check
    seen = {} if check is None else {s.get("source"): s for s in check.detail.get("sources") or ()}
    absent = [
        n
        for n, source in enumerate(found.sources, 1)
        if source.id in history.compared and seen.get(source.id, {}).get("absent")
    ]
    if check is not None and absent:
        told += msg(
            "; absent at the last verification ({moment_of}): source {numbers}",
            moment_of=moment_of(check),
            numbers=numbers(absent),
        )
    return told + "."


def _unlike_their_hash(found: Survey) -> Prose | None:
    if not (count := found.failures.get("HashMismatch", 0)):
        return None
    return Prose(
        msg(
            "Disk images inside the sources that are not what their stored hash says: {count:,}, "
            "listed among the files that could not be read.",
            count=count,
        ),
        "warning",
    )


def _incomplete(found: Survey) -> Prose | None:
    if not found.incomplete:
        return None
    which = numbers(found.incomplete)
    return Prose(
        msg(
            "FILES MAY BE MISSING. That triage went through source {which} to the end is not on "
            "record: it was stopped, ended at its limit, or was done by an earlier version of "
            "mayak. Files that it did not reach are in no list and no number of this report.",
            which=which,
        ),
        "warning",
    )


def _without_result(found: Survey) -> Prose | None:
    if not (missing := found.images["unclassified"]):
        return None
    return Prose(
        msg("Neither a model result nor a decision: {images}.", images=images(missing)),
        "warning",
    )


def _not_looked_into(found: Survey) -> Prose | None:
    text = warning(found.left_out)
    if text is None:
        return None
    return Prose(text + " " + msg("See Limits."), "warning")


def moment_of(entry: LogEntry) -> str:
    return f"{entry.at[:19].replace('T', ' ')} UTC"


def methods(found: Survey, *, clear: bool) -> Section:
    """What was done, in plain words."""
    points = [
        _listing(found),
        _accounting(found),
        msg(
            "Images with the same bytes (SHA-256) count as one image and are listed at every "
            "place where they were found; the pictures inside a repeated image file at the first "
            "place alone."
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
            "Signs in names that cannot be seen or that change the direction of writing are spelt "
            "out by number, such as \\u202e; a long name is shortened in the middle and stands "
            "whole in the CSV files."
        ),
    ]
    title = msg("Methods")
    return Section(title, (Prose("", points=tuple(points)),))


def _listing(found: Survey) -> str:
    """How many files were listed, and whether that is all of them."""
    deleted = sum(counts.deleted for counts in found.source_counts.values())
    entered = found.exclusions.get("container", 0)
    told = plural(
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
        return told + msg(
            "Of source {which} it is not on record that triage came to the end: files may be "
            "missing.",
            which=which,
        )
    return told + msg(
        "Triage went through every source to its end. An archive or disk image of a kind that "
        "mayak does not know is one file to it: what is in it is not listed (see Limits)."
    )


def _accounting(found: Survey) -> str:
    """What the three outcomes mean, and whether they add up."""
    counts = found.counts
    told = msg(
        "Each listed file is an image, a file that could not be read, or a file that a rule left "
        "out, which then was not examined further. "
    )
    told += _no_files(found)
    sums = outcome_sum(found)
    if counts.balanced:
        return told + msg("The numbers add up: {sums}.", sums=sums)
    return told + msg("THE NUMBERS DO NOT ADD UP: {sums}.", sums=sums)


def _no_files(found: Survey) -> str:
    """How many of the rows that are counted as files are none of their own in a source."""
    inside = sum(counts.inside for counts in found.source_counts.values())
    gaps = sum(counts.gaps for counts in found.source_counts.values())
    told = ""
    if inside:
        told += msg(
            "Counted as files are also {inside:,} pictures inside other files: pages, frames, "
            "pictures of documents and pictures under transparency. ",
            inside=inside,
        )
    if gaps:
        told += msg(
            "Counted as files that could not be read are also {gaps:,} notes on what could not be "
            "listed of archives, disk images and folders, besides the row of the archive or disk "
            "image itself. ",
            gaps=gaps,
        )
    return told


def outcome_sum(found: Survey) -> str:
    """Files by outcome, as the case has them."""
    counts = found.counts
    sign = "=" if counts.balanced else "≠"
    return msg(
        "{items:,} files {sign} {contents:,} images + {failures:,} not read + {exclusions:,} left "
        "out",
        items=counts.items,
        sign=sign,
        contents=counts.contents,
        failures=counts.failures,
        exclusions=counts.exclusions,
    )


def _asking(found: Survey) -> str:
    """Of how many images the model was asked, and what its score is."""
    run = found.run
    if run is None:
        return msg("No model was asked about the images.")
    tiers = found.tiers[run.id]
    asked = tiers.get(1, 0) + tiers.get(2, 0)
    told = msg(
        "A vision-language model was asked one question of {images}: “{question}” ",
        images=images(asked),
        question=QUESTION,
    )
    if quick := tiers.get(0, 0):
        told += msg(
            "Called irrelevant by a quicker stage, without the question: {images}. ",
            images=images(quick),
        )
    if lacking := found.counts.distinct_contents - run.predictions:
        told += msg("Without a result: {images}. ", images=images(lacking))
    told += msg("A score is the share of a label's probability among the four labels")
    if run.engine.get("calibration"):
        told += msg(", adjusted by the calibration that Integrity names")
    return told + msg(
        ". It orders the work of looking; it is not the probability that the answer is right."
    )


def _deciding(found: Survey) -> str:
    """Who decided, and how far that says who looked."""
    back = msg(
        "{withdrawn:,} decisions were withdrawn and stay on record.", withdrawn=found.withdrawn
    )
    if not found.reviewers:
        return msg("No decision of a reviewer stands. ") + back
    return (
        msg(
            "The reviewers named in this report decided, not the model. Each decision is kept "
            "with name and time. ‘Not reviewed’ means that no decision stands, not that nobody "
            "looked. "
        )
        + back
    )


def numbers(found: Sequence[int]) -> str:
    """Numbers of sources, the first few."""
    shown = ", ".join(map(str, found[:_NAMED]))
    return shown + (", …" if len(found) > _NAMED else "")


def integrity(found: Survey) -> Section:
    """What a court can check: sources, hashes, engine, log, sums."""
    blocks: list[Block] = [_log(found), *_clock(found), *_sums(found), _hashes(found)]
    if found.faults:
        faults = found.faults[:_FAULTS]
        blocks.append(
            Prose(
                msg(
                    "Faults, {shown:,} of {n_faults:,}:",
                    shown=len(faults),
                    n_faults=len(found.faults),
                ),
                "alarm",
                tuple(shortened(str(fault), 300) for fault in faults),
            )
        )
    for number, source in enumerate(found.sources, 1):
        blocks += _source(number, source, found)
    for run in found.runs:
        blocks += _engine(run, found.tiers[run.id], shown=run == found.run)
    blocks += _history(found)
    return Section(msg("Integrity"), tuple(blocks))


def _log(found: Survey) -> Facts:
    head = msg("Log head (SHA-256)")
    case = msg("Case number (UUID)")
    return Facts(
        (
            (case, found.case),
            (msg("Case created"), f"{moment(found.created)} UTC"),
            (msg("Log entries"), f"{found.entries:,}"),
            (msg("Last entry"), f"{moment(found.as_of)} UTC"),
            (head, found.head),
            (msg("This report made by"), f"mayak {__version__}"),
        ),
        code=frozenset({case, head}),
    )


def _clock(found: Survey) -> list[Block]:
    """Entries of the log whose times run backwards."""
    pairs = found.history.set_back
    if not pairs:
        return []
    text = msg(
        "Entries of the log with an earlier time than the entry before them: {n_pairs:,}. That "
        "alone does not prove a change: clocks are set.",
        n_pairs=len(pairs),
    )
    return [Prose(text, "warning", tuple(clock_note(*pair) for pair in pairs[:_NAMED]))]


def _sums(found: Survey) -> list[Block]:
    chosen, waiting, rest = found.listed
    items = found.counts.items
    sign = "=" if chosen + waiting + rest == items else "≠"
    lists = msg(
        "{items:,} files {sign} {chosen:,} selected + {waiting:,} not settled + {rest:,} not "
        "selected",
        items=items,
        sign=sign,
        chosen=chosen,
        waiting=waiting,
        rest=rest,
    )
    text = (
        msg("Every listed file is accounted for:")
        if found.balanced
        else msg("THE SUMS DO NOT HOLD:")
    )
    return [Prose(text, "plain" if found.balanced else "alarm", (outcome_sum(found), lists))]


def _hashes(found: Survey) -> Prose:
    """How many rows of the lists carry a hash, and why the others do not."""
    counts, hashed = found.counts, found.hashed
    without = counts.items - hashed
    told = msg(
        "{hashed:,} of {items:,} rows of the lists carry a hash: images MD5, SHA-1 and SHA-256, "
        "documents and files of a list of known files SHA-256. ",
        hashed=hashed,
        items=counts.items,
    )
    if without:
        told += msg(
            "{without:,} carry none: {failures:,} could not be read, and the others were left out "
            "by a rule without being hashed.",
            without=without,
            failures=counts.failures,
        )
    return Prose(told)


def _source(number: int, source: Source, found: Survey) -> list[Block]:
    title = msg("Source {number}", number=number)
    rows: list[tuple[str, str]] = [
        (title, shortened(source.path, 300)),
        (msg("Kind"), source.kind),
        (msg("Listed"), _listed(source, found)),
    ]
    code: set[str] = set()
    if not source.hashes:
        rows.append((msg("Hash"), _no_hash(source, found)))
    for count, reading in enumerate(source.hashes, 1):
        which = "" if len(source.hashes) == 1 else msg(", reading {count}", count=count)
        rows += [
            (msg("Size") + which, size(reading.size)),
            ("MD5" + which, reading.md5),
            ("SHA-256" + which, reading.sha256),
            (
                msg("Computed (UTC)") + which,
                f"{moment(reading.began)} – {moment(reading.ended)}",
            ),
            (msg("Stored hash") + which, _compared(reading)),
        ]
        code |= {"MD5" + which, "SHA-256" + which}
    rows.append((msg("Compared again"), _again(source, found)))
    return [Facts(tuple(rows), code=frozenset(code))]


def _listed(source: Source, found: Survey) -> str:
    counts = found.source_counts.get(source.id)
    told = files_text(counts.files if counts else 0)
    if source.id in found.history.complete:
        return told + msg(", to the end of the source")
    return told + msg("; that it was gone through to the end is not on record")


def _no_hash(source: Source, found: Survey) -> str:
    """Why there is no hash of the whole, and what there is instead."""
    counts = found.source_counts.get(source.id)
    files, hashed = (counts.files, counts.hashed) if counts else (0, 0)
    each = msg(
        "{hashed:,} of its {files:,} files have a hash of their own in the lists; of the other "
        "{others:,} only a change of presence or size can be found",
        hashed=hashed,
        files=files,
        others=files - hashed,
    )
    if source.kind == "folder":
        why = msg("none as a whole (a folder). ")
    elif (reason := found.history.unreadable.get(source.id)) is not None:
        why = msg("NONE as a whole: it could not be read to its end ({reason}). ", reason=reason)
    else:
        why = msg("NOT YET COMPUTED as a whole: triage did not come to its end; run it again. ")
    return why + each


def _again(source: Source, found: Survey) -> str:
    """When and how the source was last compared with what is recorded of it."""
    if source.id not in found.history.compared:
        return msg("not on record")
    entry, how = found.history.compared[source.id]
    if how.get("whole"):
        return moment_of(entry) + msg(": as a whole, by SHA-256")
    return moment_of(entry) + msg(
        ": {hashed:,} files by SHA-256, {sized:,} by presence and size, {uncompared:,} not "
        "compared",
        hashed=how.get("hashed", 0),
        sized=how.get("sized", 0),
        uncompared=how.get("uncompared", 0),
    )


def _compared(reading: SourceHash) -> str:
    if reading.stored_hash is None:
        said = msg("the source stores no hash of itself")
    elif reading.matches:
        said = msg("matches the stored hash") + f" ({reading.stored_hash})"
    else:
        said = msg("DIFFERS from the stored hash") + f" ({reading.stored_hash})"
    if reading.accepted_damaged:
        said += msg("; accepted by the operator")
    return said


def _engine(run: Run, tiers: dict[int, int], *, shown: bool) -> list[Block]:
    engine = run.engine
    title = msg("Model run {run_id}", run_id=run.id)
    names = {
        "adapter": msg("Adapter (SHA-256)"),
        "prompt": msg("Prompt (SHA-256)"),
        "preprocessing": msg("Preprocessing (SHA-256)"),
        "calibration": msg("Calibration (SHA-256)"),
    }
    finger = msg("Fingerprint")
    software = ", ".join(f"{name} {version}" for name, version in engine.get("software", ()))
    state = (
        f"{moment(run.started)} – {moment(run.finished)}"
        if run.finished
        else f"{moment(run.started)} – " + msg("not finished")
    )
    rows = [
        (title, msg("scores shown in this report") if shown else "–"),
        (msg("Model"), str(engine.get("model"))),
        *((said, str(engine.get(key) or msg("none"))) for key, said in names.items()),
        (msg("Precision"), str(engine.get("precision"))),
        (msg("Software"), software or "–"),
        (finger, run.fingerprint),
        (msg("From – to (UTC)"), state),
        (
            msg("Results"),
            msg(
                "{predictions:,} scores, {failures:,} failures",
                predictions=run.predictions,
                failures=run.failures,
            ),
        ),
    ]
    if tiers.keys() - {2}:
        counts = [tiers.get(tier, 0) for tier in range(3)]
        text = msg(
            "vision tower {tower:,}, language model on the base tile {base:,}, whole model "
            "{whole:,}",
            tower=counts[0],
            base=counts[1],
            whole=counts[2],
        )
        rows.append((msg("Images decided by"), text))
    return [Facts(tuple(rows), code=frozenset({*names.values(), finger}))]


def _history(found: Survey) -> list[Block]:
    notable = found.history.notable
    entries = notable[-_HISTORY:]
    rows: list[tuple[Cell, ...]] = [
        (str(e.sequence), moment_of(e), shortened(e.operator, 60), _told(e)) for e in entries
    ]
    if not rows:
        return []
    text = msg("What was done with the sources:")
    if len(entries) < len(notable):
        text = msg(
            "What was done with the sources, the last {n_entries:,} of {n_notable:,} entries:",
            n_entries=len(entries),
            n_notable=len(notable),
        )
    columns = (
        msg("Entry"),
        msg("Time"),
        msg("Operator"),
        msg("What"),
    )
    return [Prose(text), Table(columns, tuple(rows), (0.6, 1.9, 1.1, 4.0), small=True)]


def _told(entry: LogEntry) -> Cell:
    detail = entry.detail
    if entry.action == "verify":
        absent = detail.get("absent", [])
        return msg(
            "verification: {faults} faults in what was compared, {n_absent} sources absent",
            faults=detail.get("faults"),
            n_absent=len(absent),
        )
    if entry.action == "triage finished":
        which = ", ".join(map(str, detail.get("sources", ())))
        if detail.get("limited"):
            return msg("triage ended at its limit (sources {which})", which=which)
        return msg("triage came to the end of sources {which}", which=which)
    if entry.action == "source cannot be hashed":
        return (
            msg("source {source} could not be read to its end", source=detail.get("source")),
            str(detail.get("reason")),
        )
    if entry.action == "refuse source":
        return (
            msg("source {source} refused: damaged or changed", source=detail.get("source")),
            f"SHA-256 {detail.get('sha256')}",
        )
    if entry.action == "cascade":
        return _promised(detail)
    said: list[str] = [msg("triage of ") + ", ".join(map(str, detail.get("sources", ())))]
    said += _options(detail.get("options", {}))
    for key, name in (
        ("known_good", msg("left out by list ")),
        ("known_bad", msg("alert by list ")),
    ):
        said += [name + f"{file}: {digest}" for file, digest in detail.get(key, {}).items()]
    return tuple(shortened(line, 300) for line in said)


def _promised(detail: Mapping[str, Any]) -> Cell:
    told = msg(
        "run {run}: of what the whole model would call relevant, at most {alpha:.1%} was to be "
        "lost to earlier tiers, with {confidence:.0%} confidence ({lost} of {relevant} in the "
        "calibration)",
        run=detail["run"],
        alpha=detail["alpha"],
        confidence=detail["confidence"],
        lost=detail["lost"],
        relevant=detail["relevant"],
    )
    if detail["differs"]:
        drift = msg(
            "the {found} relevant images found look other than those of the calibration: this may "
            "not have held",
            found=detail["found"],
        )
    elif detail["p"] is None:
        drift = msg(
            "{found} relevant images are too few to compare with the calibration's",
            found=detail["found"],
        )
    else:
        drift = msg(
            "the {found} relevant images found look like those of the calibration",
            found=detail["found"],
        )
    return told, drift


def _options(options: dict[str, Any]) -> list[str]:
    given = {name: value for name, value in options.items() if value not in (None, [], False)}
    text = " ".join(f"{name}={json.dumps(v, ensure_ascii=False)}" for name, v in given.items())
    return [msg("options ") + text] if text else []
