"""``DecisionExport``: the file that carries decisions from one copy of a case to another.

The format is JSON Lines: a head with the id of the case, the samples, every action in order, and an
end with the number of lines. ``hash`` of each line is the SHA-256 over the hash of the line before
and the other values of the line as canonical JSON, so that a damaged, missing or added line is
found. It does not prove who wrote the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mayak.case.database import GENESIS
from mayak.case.records import Seen
from mayak.case.values import VERDICTS
from mayak.errors import CaseError, IntegrityError
from mayak.files import json_digest, write_durably
from mayak.i18n import message_of, msg, system_error
from mayak.untrusted import DOCUMENT_BYTES, PARSE_ERRORS, parse_json, read_file

FORMAT = "mayak decisions"
VERSION = 2
_READ = (1, VERSION)
"""Files of version 1 lack how the images were shown."""


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """A blind sample, without the numbers that differ between copies of the case."""

    run: str
    """The engine's fingerprint."""
    seed: int
    population: int
    reviewer: str
    drawn: str
    """UTC, ISO 8601."""
    items: tuple[str, ...]
    """SHA-256, in the order they were drawn."""


@dataclass(frozen=True, slots=True)
class DecisionAction:
    """What a reviewer decided or withdrew in one action."""

    reviewer: str
    number: int
    """1 is this reviewer's first action."""
    at: str
    """UTC, ISO 8601."""
    verdicts: Mapping[str, int]
    """By SHA-256; empty if ``undoes`` withdraws another action of this reviewer."""
    undoes: int | None
    sample: SampleRecord | None
    seen: Mapping[str, Seen] = field(default_factory=dict)
    """By SHA-256, how each image was shown, if that is known."""


@dataclass(frozen=True, slots=True)
class DecisionExport:
    """All samples and actions of one copy of a case."""

    case: str
    samples: tuple[SampleRecord, ...]
    actions: tuple[DecisionAction, ...]

    @property
    def reviewers(self) -> set[str]:
        """Everyone who decided or drew a sample."""
        return {one.reviewer for one in self.actions} | {one.reviewer for one in self.samples}


def write_export(path: Path, export: DecisionExport) -> str:
    """Write an export to a new file, whole or not at all; return the hash of its last line.

    The same export gives the same bytes.

    Raises:
        CaseError: the file exists or cannot be written.
    """
    if path.exists():
        raise CaseError(msg("{path} exists already", path=path), remedy=msg("name a new file"))
    lines, previous = [], GENESIS
    for record in _records(export):
        previous = _hash(previous, record)
        lines.append(json.dumps(record | {"hash": previous}, ensure_ascii=False) + "\n")
    try:
        write_durably(path, "".join(lines).encode())
    except OSError as error:
        raise CaseError(
            msg("{path} cannot be written ({strerror})", path=path, strerror=system_error(error)),
            remedy=msg("check the folder, its permissions and the free disk space"),
        ) from error
    return previous


def read_export(path: Path) -> DecisionExport:
    """Read a file that ``write_export`` wrote.

    Raises:
        IntegrityError: a line is damaged, or the file was cut after it; the message names it.
        CaseError: it is another kind of file.
    """
    try:
        lines = read_file(path, DOCUMENT_BYTES).split(b"\n")
    except (OSError, ValueError) as error:
        reason = system_error(error) if isinstance(error, OSError) else message_of(error)
        raise CaseError(
            msg("{path} cannot be read ({reason})", path=path, reason=reason),
            remedy=msg("check the path"),
        ) from error
    records = _chained(path, lines)
    if (head := next(records, None)) is None:
        raise _foreign(path)
    samples: list[SampleRecord] = []
    by_reviewer: dict[str, list[DecisionAction]] = {}
    ordered: list[DecisionAction] = []
    for number, record in enumerate(records, 2):
        try:
            if "items" in record:
                samples.append(_sample(record))
            else:
                ordered.append(_action(record, samples, by_reviewer))
                by_reviewer.setdefault(record["reviewer"], []).append(ordered[-1])
        except PARSE_ERRORS as error:
            raise _damaged(path, number, msg("is not what mayak writes")) from error
    return DecisionExport(head["case"], tuple(samples), tuple(ordered))


def renamed(export: DecisionExport, names: Mapping[str, str]) -> DecisionExport:
    """Return the export with some reviewers under other names.

    Raises:
        CaseError: a name is that of another reviewer in the export.
    """
    reviewers = export.reviewers
    taken = sorted(reviewers & {names[name] for name in names.keys() & reviewers})
    if taken:
        raise CaseError(
            msg("{taken} has decisions there too", taken=taken[0]), remedy=msg("choose a new name")
        )

    def sample(one: SampleRecord) -> SampleRecord:
        return replace(one, reviewer=names.get(one.reviewer, one.reviewer))

    return DecisionExport(
        export.case,
        tuple(map(sample, export.samples)),
        tuple(
            replace(
                action,
                reviewer=names.get(action.reviewer, action.reviewer),
                sample=None if action.sample is None else sample(action.sample),
            )
            for action in export.actions
        ),
    )


def _records(export: DecisionExport) -> Iterator[dict[str, Any]]:
    yield {"format": FORMAT, "version": VERSION, "case": export.case}
    for sample in export.samples:
        yield asdict(sample)
    positions = {sample: position for position, sample in enumerate(export.samples)}
    for one in export.actions:
        record: dict[str, Any] = {"reviewer": one.reviewer, "number": one.number, "at": one.at}
        if one.undoes is None:
            record["verdicts"] = dict(one.verdicts)
        else:
            record["undoes"] = one.undoes
        if one.sample is not None:
            record["sample"] = positions[one.sample]
        if one.seen:
            record["seen"] = {sha256: list(seen) for sha256, seen in one.seen.items()}
        yield record
    yield {"end": len(export.samples) + len(export.actions) + 2}


def _hash(previous: str, record: Mapping[str, Any]) -> str:
    return json_digest([previous, record])


def _chained(path: Path, lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the head and the lines after it up to the end, each checked."""
    previous = GENESIS
    for number, line in enumerate(lines, 1):
        if not line and number == len(lines):
            break
        try:
            record = parse_json(line)
            stored = record.pop("hash")
        except PARSE_ERRORS as error:
            if number == 1:
                raise _foreign(path) from error
            if number == len(lines):
                break
            text = msg("cannot be read")
            raise _damaged(path, number, text) from error
        if number == 1:
            _require_head(path, record)
        previous = _hash(previous, record)
        if stored != previous:
            text = msg(
                "does not follow from the line before: one of the two was changed, or lines "
                "between them are missing"
            )
            raise _damaged(path, number, text)
        if "end" in record:
            if any(lines[number:]):
                raise _damaged(path, number + 1, msg("was added"))
            return
        yield record
    if previous == GENESIS:
        raise _foreign(path)
    whole = len(lines) - 1
    raise _damaged(path, whole, msg("is the last: the file was cut"))


def _require_head(path: Path, record: dict[str, Any]) -> None:
    if record.get("format") != FORMAT or not isinstance(record.get("case"), str):
        raise _foreign(path)
    if record.get("version") not in _READ:
        raise CaseError(
            msg("{path} was written by another version of mayak", path=path),
            remedy=msg("use the newer of the two versions"),
        )


def _sample(record: dict[str, Any]) -> SampleRecord:
    sample = SampleRecord(**{**record, "items": tuple(record["items"])})
    if not (
        isinstance(sample.run, str)
        and _is_number(sample.seed)
        and sample.seed.bit_length() < 64
        and _is_number(sample.population)
        and sample.population.bit_length() < 64
        and 1 <= len(set(sample.items)) == len(sample.items) <= sample.population
        and all(isinstance(item, str) for item in sample.items)
    ):
        raise ValueError(record)
    _check(sample.reviewer, sample.drawn)
    return sample


def _action(
    record: dict[str, Any],
    samples: list[SampleRecord],
    by_reviewer: Mapping[str, list[DecisionAction]],
) -> DecisionAction:
    """Parse an action.

    Raises:
        ValueError: it cannot follow the actions before it.
    """
    before = by_reviewer.get(record["reviewer"], [])
    position = record.get("sample")
    undoes = record.get("undoes")
    numbers = (record["number"], *(n for n in (position, undoes) if n is not None))
    if not all(map(_is_number, numbers)) or (position is not None and position < 0):
        raise ValueError(record)
    action = DecisionAction(
        reviewer=record["reviewer"],
        number=record["number"],
        at=record["at"],
        verdicts=record.get("verdicts", {}),
        undoes=undoes,
        sample=None if position is None else samples[position],
        seen={sha256: Seen(*seen) for sha256, seen in record.get("seen", {}).items()},
    )
    _check(action.reviewer, action.at)
    if action.number != len(before) + 1 or bool(action.verdicts) == (action.undoes is not None):
        raise ValueError(record)
    if action.undoes is not None:
        undone = before[action.undoes - 1] if action.undoes >= 1 else action
        withdrawn = any(other.undoes == action.undoes for other in before)
        if undone.undoes is not None or withdrawn or undone.sample != action.sample:
            raise ValueError(record)
    if not all(_is_number(verdict) and verdict in VERDICTS for verdict in action.verdicts.values()):
        raise ValueError(record)
    if not action.seen.keys() <= action.verdicts.keys() or not all(
        seen.is_valid for seen in action.seen.values()
    ):
        raise ValueError(record)
    shown = {seen.how for seen in action.seen.values()}
    # The audit requires the same: a row cannot be removed from the case again.
    if ("copy" in shown and not shown & {"opened", "grid"}) or (
        action.sample and not shown <= {"opened", "bulk"}
    ):
        raise ValueError(record)
    if action.sample and (
        action.sample.reviewer != action.reviewer
        or not action.verdicts.keys() <= set(action.sample.items)
    ):
        raise ValueError(record)
    return action


def _check(reviewer: str, at: str) -> None:
    if not reviewer.strip() or datetime.fromisoformat(at).astimezone(UTC).isoformat() != at:
        raise ValueError(reviewer, at)
    reviewer.encode()  # the case would store another name


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _foreign(path: Path) -> CaseError:
    return CaseError(
        msg("{path} is not a file of decisions", path=path),
        remedy=msg("give a file that `mayak decisions export` wrote"),
    )


def _damaged(path: Path, line: int, text: str) -> IntegrityError:
    return IntegrityError(
        f"{path}: " + msg("line {line} ", line=line) + text, remedy=msg("export it again")
    )
