"""What ``mayak calibrate`` leaves beside an adapter: thresholds with a promise, and temperatures.

The file holds numbers alone and names the engine that it was measured on; it is refused for any
other one, since another model, adapter, prompt or precision has other scores. It carries its own
digest: numbers that were changed by hand promise nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mayak.errors import ModelError
from mayak.files import json_bytes, json_digest, write_durably
from mayak.i18n import msg, system_error
from mayak.types import Engine
from mayak.untrusted import PARSE_ERRORS, RECORD_BYTES, read_json

CALIBRATION = "calibration.json"


@dataclass(frozen=True, slots=True)
class Head:
    """A logistic regression on what the vision tower sees in the base tile (D numbers)."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    """Of each number in the training images; what is seen is standardised by them."""
    weights: tuple[tuple[float, ...], ...]
    """(4, D)."""
    bias: tuple[float, ...]
    """(4,)."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What the thresholds keep to, and on what they were measured."""

    alpha: float
    """Of the images that the whole model calls relevant, the share that may be lost at most."""
    confidence: float
    relevant: int
    """Calibration images that the whole model calls relevant, one of each duplicate group."""
    lost: int
    """Of these, how many an earlier tier dismisses."""
    thresholds: tuple[float, float | None]
    """Of tiers 0 and 1: an image whose log-odds of being irrelevant lie above is dismissed. None
    where tier 1 is not asked: it would dismiss too little that is safe."""
    shares: tuple[float, float, float]
    """Of all calibration images, those that each tier decides."""
    kept: tuple[float, ...]
    """Tier 0's log-odds of the relevant images that are not lost, for comparison with those that
    are found later."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """One calibration of one engine."""

    engine: str
    """Fingerprint of the engine that was calibrated."""
    head: Head
    temperatures: tuple[float, float, float]
    """By which each tier's logits are divided before they become scores (Guo et al. 2017)."""
    promise: Promise | None
    """None where the images were too few to promise anything: the whole model sees them all."""
    data: dict[str, Any]
    """Which images: digests of the manifests, numbers."""

    @property
    def digest(self) -> str:
        """SHA-256 of all of it as canonical JSON."""
        return _digest(asdict(self))

    def write(self, adapter: Path) -> Path:
        """Write it into the adapter's folder, whole or not at all. Raises ModelError."""
        path = adapter / CALIBRATION
        try:
            write_durably(path, json_bytes({**asdict(self), "digest": self.digest}))
        except OSError as error:
            raise ModelError(
                msg(
                    "{path} cannot be written ({strerror})", path=path, strerror=system_error(error)
                ),
                remedy=msg("free space or mend the access rights"),
            ) from error
        return path

    @classmethod
    def read(cls, adapter: Path) -> Self | None:
        """The calibration in an adapter's folder; None where there is none. Raises ModelError for a
        damaged or changed one."""
        path = adapter / CALIBRATION
        try:
            values = dict(read_json(path, RECORD_BYTES))
            if values.pop("digest", None) != _digest(values):
                raise ValueError(
                    msg("it is not what this version of `mayak calibrate` has written")
                )
            promise = values["promise"]
            return cls(
                engine=str(values["engine"]),
                head=_head(values["head"]),
                temperatures=_three(values["temperatures"]),
                promise=None if promise is None else _promise(promise),
                data=dict(values["data"]),
            )
        except FileNotFoundError:
            return None
        except (OSError, *PARSE_ERRORS) as error:
            raise ModelError(
                msg("{path} is damaged ({error})", path=path, error=error),
                remedy=_again(),
            ) from error

    def require(self, engine: Engine) -> None:
        """Raises ModelError unless it was measured on exactly this engine."""
        if engine.fingerprint != self.engine:
            raise ModelError(
                msg(
                    "the calibration beside the adapter belongs to another model, prompt, "
                    "precision or version of the software"
                ),
                remedy=_again(),
            )


def _digest(values: dict[str, Any]) -> str:
    return json_digest(values, "ascii")


def _again() -> str:
    return msg(
        "run `mayak calibrate` again with the same --precision and --device, or go without it: "
        "--exhaustive"
    )


def _head(values: dict[str, Any]) -> Head:
    head = Head(
        mean=_floats(values["mean"]),
        scale=_floats(values["scale"]),
        weights=tuple(_floats(row) for row in values["weights"]),
        bias=_floats(values["bias"]),
    )
    width = len(head.mean)
    lengths = [len(head.scale), *map(len, head.weights)]
    if len(head.weights) != 4 or len(head.bias) != 4 or lengths != [width] * 5:
        raise ValueError("head")
    return head


def _promise(values: dict[str, Any]) -> Promise:
    first, second = values["thresholds"]
    return Promise(
        alpha=float(values["alpha"]),
        confidence=float(values["confidence"]),
        relevant=int(values["relevant"]),
        lost=int(values["lost"]),
        thresholds=(float(first), None if second is None else float(second)),
        shares=_three(values["shares"]),
        kept=_floats(values["kept"]),
    )


def _floats(values: list[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _three(values: list[Any]) -> tuple[float, float, float]:
    first, second, third = _floats(values)
    return first, second, third
