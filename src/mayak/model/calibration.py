"""The calibration file next to an adapter: temperatures, and thresholds with a risk bound.

The file contains only numbers and the engine that they were measured on. It is refused for any
other engine, because another model, adapter, prompt or precision has other scores. It carries its
own digest, because numbers that were edited by hand guarantee nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mayak.errors import ModelError
from mayak.files import json_bytes, json_digest, write_durably
from mayak.i18n import msg, system_error
from mayak.model.risk_control import RiskBound
from mayak.types import Engine
from mayak.untrusted import PARSE_ERRORS, RECORD_BYTES, read_json

CALIBRATION = "calibration.json"


@dataclass(frozen=True, slots=True)
class Head:
    """Logistic regression on the vision tower's pooled features of the base tile (D numbers)."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    """Of each feature over the training images; features are standardised with both."""
    weights: tuple[tuple[float, ...], ...]
    """(4, D)."""
    bias: tuple[float, ...]
    """(4,)."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """One calibration of one engine."""

    engine: str
    """Fingerprint of the engine that was calibrated."""
    head: Head
    temperatures: tuple[float, float, float]
    """Divisors of each tier's logits before the softmax (Guo et al. 2017)."""
    risk_bound: RiskBound | None
    """None if there were too few images for a bound: the whole model then reads every image."""
    data: dict[str, Any]
    """The images used: digests of the manifests, and their numbers."""
    images: tuple[str, ...] = ()
    """SHA-256 of the images that temperatures and thresholds were set on, sorted; empty in a file
    of an earlier version."""
    held_out: dict[str, Any] | None = None
    """Figures on images that temperatures and thresholds were not set on; None if they could not
    be measured, and in a file of an earlier version."""

    @property
    def digest(self) -> str:
        """SHA-256 of the whole value as canonical JSON."""
        return _digest(self._values())

    def _values(self) -> dict[str, Any]:
        """Return the fields by their keys in the file. Fields that earlier versions do not have
        are left out if they are empty, so that the digests of their files stay valid."""
        keys = {"risk_bound": "promise"}
        values = {keys.get(name, name): value for name, value in asdict(self).items()}
        return {k: v for k, v in values.items() if k not in ("images", "held_out") or v}

    def write(self, adapter: Path) -> Path:
        """Write the file into the adapter's folder, completely or not at all.

        Raises:
            ModelError: the folder cannot be written.
        """
        path = adapter / CALIBRATION
        try:
            write_durably(path, json_bytes({**self._values(), "digest": self.digest}))
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
        """Return the calibration in an adapter's folder, or None if there is none.

        Raises:
            ModelError: the file is damaged or was changed.
        """
        path = adapter / CALIBRATION
        try:
            values = dict(read_json(path, RECORD_BYTES))
            if values.pop("digest", None) != _digest(values):
                raise ValueError(
                    msg("it is not what this version of `mayak calibrate` has written")
                )
            bound = values["promise"]
            return cls(
                engine=str(values["engine"]),
                head=_head(values["head"]),
                temperatures=_three(values["temperatures"]),
                risk_bound=None if bound is None else _risk_bound(bound),
                data=dict(values["data"]),
                images=tuple(str(digest) for digest in values.get("images", ())),
                held_out=dict(values["held_out"]) if "held_out" in values else None,
            )
        except FileNotFoundError:
            return None
        except (OSError, *PARSE_ERRORS) as error:
            raise ModelError(
                msg("{path} is damaged ({error})", path=path, error=error),
                remedy=_again(),
            ) from error

    def require(self, engine: Engine) -> None:
        """Check that the calibration was measured on exactly this engine.

        Raises:
            ModelError: it was measured on another one.
        """
        if engine.fingerprint != self.engine:
            raise ModelError(
                msg(
                    "the calibration next to the adapter belongs to another model, prompt, "
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


def _risk_bound(values: dict[str, Any]) -> RiskBound:
    first, second = values["thresholds"]
    return RiskBound(
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
