"""Figures of a triage: what each tier loses, the risk bound in fact, the order of review.

``mayak evaluate --as-triage`` and ``mayak calibrate`` compute them from the scores that triage
stores and from the tier that decided each image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mayak.case.scores import review_order
from mayak.evaluation.gain import PERCENT, Auroc, GainCurve, aurocs, gain_curves
from mayak.i18n import Message, msg
from mayak.labels import LABELS
from mayak.metrics import Interval, share_interval
from mayak.model.cascade import LAST, TIERS
from mayak.model.risk_control import Drift, RiskBound
from mayak.types import Scores

Verdict = Literal["kept", "broken", "open", "too-few-groups"]
"""Whether a share is at most alpha: its whole interval is, its whole interval is not, the interval
contains alpha, or it comes from too few groups to be relied on."""


TIER_NAMES = (
    msg("vision tower, base tile"),
    msg("language model, base tile"),
    msg("the whole model"),
)


def verdict_text(verdict: Verdict) -> Message:
    """Return a verdict on the risk bound as people read it."""
    return {
        "kept": msg("KEPT"),
        "broken": msg("BROKEN"),
        "open": msg("undecided: the interval contains the bound"),
        "too-few-groups": msg("undecided: too few duplicate groups"),
    }[verdict]


@dataclass(frozen=True, slots=True)
class Share:
    """Some of a number of images."""

    count: int
    of: int
    interval: Interval | None
    """Of count / of, over duplicate groups; None if there are no images."""

    @property
    def value(self) -> float | None:
        """count / of."""
        return self.count / self.of if self.of else None

    def verdict(self, alpha: float) -> Verdict:
        """Return whether these images show the share to be at most ``alpha``."""
        if self.interval is None or self.interval.has_too_few_groups:
            return "too-few-groups"
        if self.interval.low <= alpha < self.interval.high:
            return "open"
        return "kept" if self.interval.high <= alpha else "broken"


@dataclass(frozen=True, slots=True)
class TierLoss:
    """What one tier of the cascade decided and lost."""

    decided: int
    """Images."""
    lost: Share
    """Relevant images that it called irrelevant, of all relevant images."""
    lost_by_label: dict[int, int]
    """The same by true label, 1 to 3."""


@dataclass(frozen=True, slots=True)
class BoundCheck:
    """The risk bound compared with what the early tiers dismissed."""

    bound: RiskBound
    against_model: Share
    """Dismissed by tiers 0 and 1, of the images that the whole model calls relevant: what the bound
    is about."""
    against_truth: Share
    """Dismissed by tiers 0 and 1, of the images whose label is relevant."""

    def named(self) -> tuple[tuple[Message, Share], tuple[Message, Share]]:
        """Return both shares with what they are of."""
        return (
            (msg("of what the whole model calls relevant"), self.against_model),
            (msg("of the images labelled relevant"), self.against_truth),
        )


@dataclass(frozen=True, slots=True)
class TriageFigures:
    """What the plain figures of a run do not show of a triage."""

    is_calibrated: bool
    """Whether scores are divided by temperatures."""
    tiers: tuple[TierLoss, TierLoss, TierLoss]
    lost: Share
    """Relevant images that any tier called irrelevant, of all relevant images."""
    not_scored: int
    """Relevant images that could not be read or that triage leaves out; not in any share."""
    n_calibration: int
    """Images that the calibration was set on: figures on them are too good."""
    bound: BoundCheck | None
    drift: Drift | None
    """None without a risk bound, and if the run was continued."""
    is_continued: bool
    """Whether the run was interrupted."""
    gain: dict[str, GainCurve]
    auroc: dict[str, Auroc | None]

    @property
    def lost_by_label(self) -> dict[int, int]:
        """Lost by any tier, by true label 1 to 3."""
        return {
            label.index: sum(tier.lost_by_label[label.index] for tier in self.tiers)
            for label in LABELS[1:]
        }

    @property
    def drift_not_compared(self) -> bool:
        """Whether an interruption is why it is unknown if triage would warn."""
        return self.is_continued and self.bound is not None

    def as_json(self) -> dict[str, Any]:
        """Return the values of ``metrics.json`` and of the calibration."""
        check = self.bound
        return {
            "temperatures": self.is_calibrated,
            "relevant": self.lost.of,
            "relevant_not_scored": self.not_scored,
            "calibration_images": self.n_calibration,
            "lost": _share_values(self.lost),
            "tiers": [
                {
                    "decided": tier.decided,
                    "lost": _share_values(tier.lost),
                    "lost_by_label": {str(k): n for k, n in tier.lost_by_label.items()},
                }
                for tier in self.tiers
            ],
            "bound": check
            and {
                "alpha": check.bound.alpha,
                "confidence": check.bound.confidence,
                "whole_model": _checked(check.against_model, check.bound.alpha),
                "truth": _checked(check.against_truth, check.bound.alpha),
            },
            "drift": self.drift and asdict(self.drift) | {"differs": self.drift.has_drifted},
            "drift_not_compared": self.drift_not_compared,
            "gain": {
                "viewed": [percent / 100 for percent in PERCENT],
                **{
                    key: {
                        "recall": list(curve.recall),
                        "ci95": [list(bounds) for bounds in curve.bounds],
                        "groups": curve.n_groups,
                        "too_few_groups": curve.has_too_few_groups,
                    }
                    for key, curve in self.gain.items()
                },
            },
            "auroc": {
                key: area
                and {
                    "value": area.value,
                    "ci95": [area.interval.low, area.interval.high],
                    "groups": area.interval.n_groups,
                    "too_few_groups": area.interval.has_too_few_groups,
                }
                for key, area in self.auroc.items()
            },
        }


def triage_notes(figures: TriageFigures) -> list[Message]:
    """Return the cautions: some images set the calibration; an interruption."""
    notes = []
    if figures.n_calibration:
        notes.append(
            msg(
                "temperatures and thresholds were set on {n_calibration} of these images: figures "
                "on them are too good",
                n_calibration=figures.n_calibration,
            )
        )
    if figures.drift_not_compared:
        notes.append(
            msg(
                "the run was interrupted: whether these images differ from those of the "
                "calibration was not compared; measure into another folder (--out)"
            )
        )
    return notes


@dataclass(frozen=True, slots=True)
class TriagedImage:
    """One image that a cascade decided."""

    sha256: str
    group: str
    label: int
    scores: Scores
    tier: int
    whole_model: int
    """Label that the whole model gives it; −1 if two labels have the highest score, which is not
    irrelevant."""


def triage_figures(
    images: Sequence[TriagedImage],
    *,
    is_calibrated: bool,
    risk_bound: RiskBound | None,
    not_scored: int,
    n_calibration: int,
    found_drift: Drift | None,
    is_continued: bool = False,
) -> TriageFigures:
    """Compute the figures of at least one image."""
    ordered = sorted(images, key=lambda image: image.sha256)
    labels = np.array([image.label for image in ordered])
    groups = np.array([image.group for image in ordered])
    scores = np.array([image.scores.values for image in ordered])
    tiers = np.array([image.tier for image in ordered])
    whole = np.array([image.whole_model for image in ordered])
    predicted = np.array([image.scores.label for image in ordered])
    is_relevant, is_dismissed = labels != 0, tiers < LAST
    is_lost = is_relevant & (predicted == 0)
    first, second, last = (
        TierLoss(
            int((tiers == tier).sum()),
            _share(is_lost & (tiers == tier), is_relevant, groups),
            {
                label.index: int((is_lost & (tiers == tier) & (labels == label.index)).sum())
                for label in LABELS[1:]
            },
        )
        for tier in TIERS
    )
    order = review_order(scores, np.zeros(len(ordered), dtype=bool))
    return TriageFigures(
        is_calibrated=is_calibrated,
        tiers=(first, second, last),
        lost=_share(is_lost, is_relevant, groups),
        not_scored=not_scored,
        n_calibration=n_calibration,
        bound=None
        if risk_bound is None
        else BoundCheck(
            risk_bound,
            _share(is_dismissed, whole != 0, groups),
            _share(is_dismissed, is_relevant, groups),
        ),
        drift=found_drift,
        is_continued=is_continued,
        gain=gain_curves(labels, groups, order),
        auroc=aurocs(labels, scores, groups),
    )


def _share(counted: NDArray[np.bool_], among: NDArray[np.bool_], groups: NDArray[np.str_]) -> Share:
    n = int(among.sum())
    interval = share_interval(counted[among], groups[among]) if n else None
    return Share(int((counted & among).sum()), n, interval)


def _share_values(share: Share) -> dict[str, Any]:
    values = {"count": share.count, "of": share.of, "share": share.value}
    return values | (share.interval.figures("share") if share.interval else {})


def _checked(share: Share, alpha: float) -> dict[str, Any]:
    return _share_values(share) | {"verdict": share.verdict(alpha)}
