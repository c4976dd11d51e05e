"""The chapter on integrity: log, sums, hashes, sources, model runs and recorded actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mayak import __version__
from mayak.case import LogEntry, Run, SourceHash, StoredSource, clock_note
from mayak.case.reasons import source_kind
from mayak.i18n import join, msg, msg_in, plural
from mayak.report.document import Block, Cell, Facts, Prose, Section, Table
from mayak.report.report_data import ReportData
from mayak.report.text import files as files_text
from mayak.report.text import moment, shortened, size

_PAIRS = 20
"""Pairs of log entries whose times run backwards."""
_FAULTS = 200
"""Faults in the chapter on integrity; `mayak verify` lists all."""
_HISTORY = 50
"""Recorded actions, the last ones."""
_ACCEPTED = 5
"""Accepted files of a log entry that are named."""


def integrity(found: ReportData) -> Section:
    """Return the chapter: everything that a court can check."""
    blocks: list[Block] = [_log(found), *_clock(found), _sums(found), _hashes(found)]
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
    blocks += [_source(number, source, found) for number, source in enumerate(found.sources, 1)]
    blocks += [_engine(run, found.tiers[run.id], shown=run == found.run) for run in found.runs]
    blocks += _history(found)
    return Section(msg("Integrity"), tuple(blocks))


def _log(found: ReportData) -> Facts:
    head = msg("Log head (SHA-256)")
    case = msg("Case id (UUID)")
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


def _clock(found: ReportData) -> list[Block]:
    """Return log entries whose times run backwards."""
    pairs = found.history.set_back
    if not pairs:
        return []
    text = msg(
        "Entries of the log with an earlier time than the entry before them: {n_pairs:,}. That "
        "alone does not prove a change: clocks are set.",
        n_pairs=len(pairs),
    )
    return [Prose(text, "warning", tuple(clock_note(*pair) for pair in pairs[:_PAIRS]))]


def _sums(found: ReportData) -> Prose:
    text = (
        msg("Every listed file is accounted for:")
        if found.is_balanced
        else msg("THE SUMS DO NOT HOLD:")
    )
    sums = (found.counts.sum_text, found.listed_text)
    return Prose(text, "plain" if found.is_balanced else "alarm", sums)


def _hashes(found: ReportData) -> Prose:
    """Return how many rows of the lists have a hash, and why the others have none."""
    counts, hashed = found.counts, found.hashed
    without = counts.items - hashed
    text = msg(
        "{hashed:,} of {items:,} rows of the lists carry a hash: images MD5, SHA-1 and SHA-256, "
        "documents and files of a list of known files SHA-256. ",
        hashed=hashed,
        items=counts.items,
    )
    if without:
        text += msg(
            "{without:,} carry none: {failures:,} were not read, and the others were left out by a "
            "rule without being hashed.",
            without=without,
            failures=counts.failures,
        )
    return Prose(text)


def _source(number: int, source: StoredSource, found: ReportData) -> Facts:
    title = msg("Source {number}", number=number)
    rows: list[tuple[str, str]] = [
        (title, shortened(source.path, 300)),
        *((msg("Earlier path"), shortened(path, 300)) for path in source.former_paths),
        (msg("Kind"), source_kind(source.kind)),
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
            (msg("Computed (UTC)") + which, f"{moment(reading.began)} – {moment(reading.ended)}"),
            (msg("Stored hash") + which, _compared(reading)),
        ]
        code |= {"MD5" + which, "SHA-256" + which}
    rows.append((msg("Compared again"), _again(source, found)))
    return Facts(tuple(rows), code=frozenset(code))


def _listed(source: StoredSource, found: ReportData) -> str:
    counts = found.source_counts.get(source.id)
    text = files_text(counts.files if counts else 0)
    if source.id in found.history.complete:
        return text + msg(", to the end of the source")
    return text + msg("; there is no record that triage reached its end")


def _no_hash(source: StoredSource, found: ReportData) -> str:
    """Return why there is no hash of the whole source, and what there is instead."""
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


def _again(source: StoredSource, found: ReportData) -> str:
    """Return when and how the source was last compared with its record."""
    if source.id not in found.history.compared:
        return msg("not on record")
    entry, how = found.history.compared[source.id]
    if how.get("whole"):
        return entry.time + msg(": as a whole, by SHA-256")
    return entry.time + msg(
        ": {hashed:,} files by SHA-256, {sized:,} by presence and size, {uncompared:,} not "
        "compared",
        hashed=how.get("hashed", 0),
        sized=how.get("sized", 0),
        uncompared=how.get("uncompared", 0),
    )


def _compared(reading: SourceHash) -> str:
    if reading.stored_hash is None:
        text = msg("the source stores no hash of itself")
    elif reading.matches:
        text = msg("matches the stored hash") + f" ({reading.stored_hash})"
    else:
        text = msg("DIFFERS from the stored hash") + f" ({reading.stored_hash})"
    if reading.accepted_damaged:
        text += msg("; accepted by the operator")
    return text


def _engine(run: Run, tiers: dict[int, int], *, shown: bool) -> Facts:
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
    rows: list[tuple[str, str]] = [
        (title, msg("scores shown in this report") if shown else "–"),
        (msg("Model"), str(engine.get("model"))),
        *(
            (name, str(digest) if (digest := engine.get(key)) else msg("none"))
            for key, name in names.items()
        ),
        (msg_in("weights", "Precision"), str(engine.get("precision"))),
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
    return Facts(tuple(rows), code=frozenset({*names.values(), finger}))


def _history(found: ReportData) -> list[Block]:
    notable = found.history.notable
    entries = notable[-_HISTORY:]
    rows: list[tuple[Cell, ...]] = [
        (str(e.sequence), e.time, shortened(e.operator, 60), _action(e)) for e in entries
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
    columns = (msg("Entry"), msg("Time"), msg("Operator"), msg("What"))
    return [Prose(text), Table(columns, tuple(rows), (0.6, 1.9, 1.1, 4.0), small=True)]


def _action(entry: LogEntry) -> Cell:
    describe = _ACTIONS.get(entry.action)
    return _triage(entry.detail) if describe is None else describe(entry.detail)


def _triage(detail: Mapping[str, Any]) -> Cell:
    lines: list[str] = [msg("triage of ") + ", ".join(map(str, detail.get("sources", ())))]
    lines += _options(detail.get("options", {}))
    for key, name in (
        ("known_good", msg("left out by list ")),
        ("known_bad", msg("alert by list ")),
    ):
        lines += [name + f"{file}: {digest}" for file, digest in detail.get(key, {}).items()]
    return tuple(shortened(line, 300) for line in lines)


def _verification(detail: Mapping[str, Any]) -> Cell:
    absent = detail.get("absent", [])
    return msg(
        "verification: {faults} in what was compared, {absent} absent",
        faults=plural("{n:,} fault", "{n:,} faults", detail.get("faults", 0)),
        absent=plural("{n:,} source", "{n:,} sources", len(absent)),
    )


def _triage_end(detail: Mapping[str, Any]) -> Cell:
    which = ", ".join(map(str, detail.get("sources", ())))
    if detail.get("limited"):
        return msg("triage ended at its limit (sources {which})", which=which)
    return msg("triage reached the end of sources {which}", which=which)


def _not_hashed(detail: Mapping[str, Any]) -> Cell:
    return (
        msg("source {source} could not be read to its end", source=detail.get("source")),
        str(detail.get("reason")),
    )


def _reduced_scale(detail: Mapping[str, Any]) -> Cell:
    return plural(
        "run {run}: the whole model read {n:,} image at a reduced scale only",
        "run {run}: the whole model read {n:,} images at a reduced scale only",
        len(detail.get("contents", ())),
        run=detail.get("run"),
    )


def _refusal(detail: Mapping[str, Any]) -> Cell:
    return (
        msg("source {source} refused: damaged or changed", source=detail.get("source")),
        f"SHA-256 {detail.get('sha256')}",
    )


def _training_images(detail: Mapping[str, Any]) -> Cell:
    found = {key: detail[key] for key in ("run", "images", "seen")}
    if not detail.get("near_copies", True):
        return msg(
            "run {run}: of {images:,} scored images, {seen:,} are training images of the "
            "model; near copies of some were not looked for, because the training record has "
            "no PDQ hashes",
            **found,
        )
    return msg(
        "run {run}: of {images:,} scored images, {seen:,} are training images of the model or "
        "near copies of some",
        **found,
    )


def _refused_relocation(detail: Mapping[str, Any]) -> Cell:
    number, new = detail.get("source"), str(detail.get("new"))
    text = msg("source {source} is not at this path: what is there differs", source=number)
    return (text, shortened(new, 300))


def _relocation(detail: Mapping[str, Any]) -> Cell:
    number, new, old = detail.get("source"), str(detail.get("new")), str(detail.get("old"))
    text = msg("source {source}, compared with its record, is at another path now", source=number)
    return (text, shortened(old, 300), "→ " + shortened(new, 300))


def _risk_bound(detail: Mapping[str, Any]) -> Cell:
    text = msg(
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
    return text, drift


def _accepted_damage(detail: Mapping[str, Any]) -> Cell:
    files: Sequence[object] = detail.get("files", ())
    text = plural(
        "{n:,} file was accepted although it is damaged, changed or gone",
        "{n:,} files were accepted although they are damaged, changed or gone",
        len(files),
    )
    return (text, *(shortened(str(file), 300) for file in files[:_ACCEPTED]))


def _opened_with_password(detail: Mapping[str, Any]) -> Cell:
    containers: Sequence[object] = detail.get("containers", ())
    text = plural(
        "{n:,} container was opened with a password",
        "{n:,} containers were opened with a password",
        len(containers),
    )
    return (text, *(shortened(str(path), 300) for path in containers[:_ACCEPTED]))


_ACTIONS: dict[str, Callable[[Mapping[str, Any]], Cell]] = {
    "accept damage": _accepted_damage,
    "cascade": _risk_bound,
    "opened with a password": _opened_with_password,
    "reduced scale": _reduced_scale,
    "refuse relocation": _refused_relocation,
    "refuse source": _refusal,
    "relocate source": _relocation,
    "source cannot be hashed": _not_hashed,
    "training images": _training_images,
    "triage finished": _triage_end,
    "verify": _verification,
}
"""The text for each kind of log entry; that of a triage lists its options."""


def _options(options: Mapping[str, Any]) -> list[str]:
    """Return the settings of a triage that differ from doing nothing."""
    names = {
        "include": msg("paths like "),
        "exclude": msg("no paths like "),
        "since": msg("changed since "),
        "smallest": msg("longer side in pixels, at least: "),
        "limit": msg("images at most: "),
        "known_safe": msg("left out unopened, as safe: "),
        "accept_damaged": msg("go on with damaged sources"),
        "passwords": msg("passwords given for encrypted containers"),
        "untested_readers": msg("readers that were never compared with another program"),
        "shadow_copies": msg("volume shadow copies"),
    }
    given = [
        names.get(name, f"{name} ") + _value(value)
        for name, value in options.items()
        if value not in (None, [], False)
    ]
    return [msg("options: ") + join("; ", given)] if given else []


def _value(value: object) -> str:
    if value is True:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
