"""The file in which decisions travel from one copy of a case to another.

JSON Lines: a head that names the case, the samples, every act in order, an end that counts the
lines. Each line's ``hash`` is the SHA-256 over the hash of the line before and the line's other
values as canonical JSON, so that a damaged, missing or added line is found and named. It does not
show who wrote the file: that is a matter of how it was handed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from mayak.case.database import GENESIS
from mayak.case.records import Seen, SeenHow
from mayak.errors import CaseError, IntegrityError
from mayak.files import json_digest, write_durably
from mayak.i18n import msg
from mayak.labels import LABELS
from mayak.untrusted import DOCUMENT_BYTES, PARSE_ERRORS, parse_json, read_file

FORMAT = "mayak decisions"
VERSION = 2
_READ = (1, VERSION)
"""Files of version 1 do not hold how the images were shown."""

_VERDICTS = frozenset(label.index for label in LABELS)


@dataclass(frozen=True, slots=True)
class Draw:
    """A sample, as every copy of the case can know it."""

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
class Act:
    """What a reviewer decided or withdrew at once."""

    reviewer: str
    number: int
    """1 is this reviewer's first act."""
    at: str
    """UTC, ISO 8601."""
    verdicts: Mapping[str, int]
    """By SHA-256; none where ``undoes`` withdraws another act of this reviewer."""
    undoes: int | None
    sample: Draw | None
    seen: Mapping[str, Seen] = field(default_factory=dict)
    """By SHA-256, how each image was shown, if that is known."""


@dataclass(frozen=True, slots=True)
class History:
    """All samples and acts of one copy of a case."""

    case: str
    samples: tuple[Draw, ...]
    acts: tuple[Act, ...]


def write_history(path: Path, history: History) -> str:
    """Write a history to a new file, whole or not at all; returns the hash of its last line.

    The same history gives the same bytes. Raises CaseError if the file is there or refused.
    """
    if path.exists():
        raise CaseError(
            msg("{path} exists already", path=path),
            remedy=msg("name a new file"),
        )
    lines, previous = [], GENESIS
    for record in _records(history):
        previous = _hash(previous, record)
        lines.append(json.dumps(record | {"hash": previous}, ensure_ascii=False) + "\n")
    try:
        write_durably(path, "".join(lines).encode())
    except OSError as error:
        raise CaseError(
            msg(
                "{path} cannot be written ({strerror})", path=path, strerror=error.strerror or error
            ),
            remedy=msg("check the folder, its permissions and the free disk space"),
        ) from error
    return previous


def read_history(path: Path) -> History:
    """What ``write_history`` wrote. Raises IntegrityError naming the line that is damaged or
    after which the file was cut, CaseError for another file."""
    try:
        lines = read_file(path, DOCUMENT_BYTES).split(b"\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CaseError(
            msg("{path} cannot be read ({reason})", path=path, reason=reason),
            remedy=msg("check the path"),
        ) from error
    records = _chained(path, lines)
    if (head := next(records, None)) is None:
        raise _foreign(path)
    samples: list[Draw] = []
    acts: dict[str, list[Act]] = {}
    ordered: list[Act] = []
    for number, record in enumerate(records, 2):
        try:
            if "items" in record:
                samples.append(_draw(record))
            else:
                ordered.append(_act(record, samples, acts))
                acts.setdefault(record["reviewer"], []).append(ordered[-1])
        except PARSE_ERRORS as error:
            raise _damaged(path, number, msg("is not what mayak writes")) from error
    return History(head["case"], tuple(samples), tuple(ordered))


def renamed(history: History, names: Mapping[str, str]) -> History:
    """The history with some reviewers under other names. Raises CaseError where a name is that of
    another reviewer in it."""
    reviewers = {act.reviewer for act in history.acts} | {d.reviewer for d in history.samples}
    taken = sorted(reviewers & {names[name] for name in names.keys() & reviewers})
    if taken:
        raise CaseError(
            msg("{taken} has decisions there too", taken=taken[0]),
            remedy=msg("choose a new name"),
        )

    def draw(one: Draw) -> Draw:
        return replace(one, reviewer=names.get(one.reviewer, one.reviewer))

    return History(
        history.case,
        tuple(map(draw, history.samples)),
        tuple(
            replace(
                act,
                reviewer=names.get(act.reviewer, act.reviewer),
                sample=None if act.sample is None else draw(act.sample),
            )
            for act in history.acts
        ),
    )


def _records(history: History) -> Iterator[dict[str, Any]]:
    yield {"format": FORMAT, "version": VERSION, "case": history.case}
    for draw in history.samples:
        yield asdict(draw)
    positions = {draw: position for position, draw in enumerate(history.samples)}
    for act in history.acts:
        record: dict[str, Any] = {"reviewer": act.reviewer, "number": act.number, "at": act.at}
        if act.undoes is None:
            record["verdicts"] = dict(act.verdicts)
        else:
            record["undoes"] = act.undoes
        if act.sample is not None:
            record["sample"] = positions[act.sample]
        if act.seen:
            record["seen"] = {sha256: list(seen) for sha256, seen in act.seen.items()}
        yield record
    yield {"end": len(history.samples) + len(history.acts) + 2}


def _hash(previous: str, record: Mapping[str, Any]) -> str:
    return json_digest([previous, record])


def _chained(path: Path, lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """The head and what follows it up to the end, each line checked."""
    previous = GENESIS
    for number, line in enumerate(lines, 1):
        if not line and number == len(lines):
            break
        try:
            record = parse_json(line)
            said = record.pop("hash")
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
        if said != previous:
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


def _draw(record: dict[str, Any]) -> Draw:
    draw = Draw(**{**record, "items": tuple(record["items"])})
    if not (
        isinstance(draw.run, str)
        and _is_number(draw.seed)
        and draw.seed.bit_length() < 64
        and _is_number(draw.population)
        and draw.population.bit_length() < 64
        and 1 <= len(set(draw.items)) == len(draw.items) <= draw.population
        and all(isinstance(item, str) for item in draw.items)
    ):
        raise ValueError(record)
    _check(draw.reviewer, draw.drawn)
    return draw


def _act(record: dict[str, Any], samples: list[Draw], acts: Mapping[str, list[Act]]) -> Act:
    """The act, if it can follow those before it."""
    before = acts.get(record["reviewer"], [])
    position = record.get("sample")
    undoes = record.get("undoes")
    numbers = (record["number"], *(n for n in (position, undoes) if n is not None))
    if not all(map(_is_number, numbers)) or (position is not None and position < 0):
        raise ValueError(record)
    act = Act(
        reviewer=record["reviewer"],
        number=record["number"],
        at=record["at"],
        verdicts=record.get("verdicts", {}),
        undoes=undoes,
        sample=None if position is None else samples[position],
        seen={sha256: Seen(*seen) for sha256, seen in record.get("seen", {}).items()},
    )
    _check(act.reviewer, act.at)
    if act.number != len(before) + 1 or bool(act.verdicts) == (act.undoes is not None):
        raise ValueError(record)
    if act.undoes is not None:
        undone = before[act.undoes - 1] if act.undoes >= 1 else act
        withdrawn = any(other.undoes == act.undoes for other in before)
        if undone.undoes is not None or withdrawn or undone.sample != act.sample:
            raise ValueError(record)
    if not all(_is_number(verdict) and verdict in _VERDICTS for verdict in act.verdicts.values()):
        raise ValueError(record)
    if not act.seen.keys() <= act.verdicts.keys() or not all(map(_is_seen, act.seen.values())):
        raise ValueError(record)
    shown = {seen.how for seen in act.seen.values()}
    # As the audit requires: nothing can be taken out of the case again.
    if ("copy" in shown and not shown & {"opened", "grid"}) or (
        act.sample and not shown <= {"opened", "bulk"}
    ):
        raise ValueError(record)
    if act.sample and (
        act.sample.reviewer != act.reviewer or not act.verdicts.keys() <= set(act.sample.items)
    ):
        raise ValueError(record)
    return act


def _check(reviewer: str, at: str) -> None:
    if not reviewer.strip() or datetime.fromisoformat(at).astimezone(UTC).isoformat() != at:
        raise ValueError(reviewer, at)
    reviewer.encode()  # the case would hold another name


def _is_seen(seen: Seen) -> bool:
    if seen.how not in get_args(SeenHow):
        return False
    return seen.blurred is None if seen.how == "bulk" else isinstance(seen.blurred, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _foreign(path: Path) -> CaseError:
    return CaseError(
        msg("{path} is no file of decisions", path=path),
        remedy=msg("name a file that `mayak decisions export` wrote"),
    )


def _damaged(path: Path, line: int, text: str) -> IntegrityError:
    return IntegrityError(
        f"{path}: " + msg("line {line} ", line=line) + text,
        remedy=msg("export it again"),
    )
