"""Plots as PNG and SVG, in Korean or English; the same numbers give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure

from mayak.evaluation.gain import PERCENT, GainCurve, target_name
from mayak.fonts import font_path
from mayak.i18n import Language, msg, render
from mayak.labels import LABELS, UNCLASSIFIABLE, label_name
from mayak.metrics import Interval, Metrics

_DPI = 160
_BLUE, _GREY, _INK = "#2563a8", "#a3adb8", "#1b1f24"


@dataclass(frozen=True, slots=True)
class Bars:
    """One run's bars: accuracy, then each label's recall; None for a label without images."""

    name: str
    values: tuple[float | None, ...]
    intervals: tuple[Interval | None, ...]


def confusion_matrix(measured: Metrics, language: Language) -> dict[str, bytes]:
    """Plot ``confusion_matrix.png`` and ``.svg``: counts, shaded by the share of the true label."""
    counts = np.asarray(measured.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    columns = [label.index for label in LABELS] + [UNCLASSIFIABLE] * (counts.shape[1] > len(LABELS))
    with _style():
        figure = Figure(figsize=(1.6 + 1.25 * counts.shape[1], 5.6), layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for (row, column), count in np.ndenumerate(counts):
            axes.text(
                column,
                row,
                f"{count}\n{shares[row, column]:.0%}",
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.55 else _INK,
            )
        axes.set_xticks(
            range(len(columns)), [_wrapped(render(label_name(c), language)) for c in columns]
        )
        axes.set_yticks(
            range(len(LABELS)), [_wrapped(render(label.name, language)) for label in LABELS]
        )
        axes.set_xlabel(render(msg("predicted"), language))
        axes.set_ylabel(render(msg("true label"), language))
        title = msg("Confusion matrix") + msg(" ({count} images)", count=measured.n)
        axes.set_title(render(title, language))
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return _saved(figure, "confusion_matrix")


def per_class_recall(measured: Metrics, language: Language) -> dict[str, bytes]:
    """Plot ``per_class_recall.png`` and ``.svg``: each label's recall with its 95% interval."""
    bars = Bars(
        "",
        tuple(row.recall if row.support else None for row in measured.per_class),
        tuple(row.recall_interval for row in measured.per_class),
    )
    names = [
        _wrapped(render(label.name, language)) + f"\n(n = {row.support})"
        for label, row in zip(LABELS, measured.per_class, strict=True)
    ]
    with _style():
        title = msg("Recall by label, 95% interval")
        figure = _bars(names, [bars], [_BLUE], title, language)
        return _saved(figure, "per_class_recall")


def comparison(first: Bars, second: Bars, language: Language) -> dict[str, bytes]:
    """Plot ``comparison.png`` and ``.svg``: accuracy and recall of two runs, side by side."""
    names = [
        render(msg("accuracy"), language),
        *(_wrapped(render(label.name, language)) for label in LABELS),
    ]
    with _style():
        figure = _bars(
            names,
            [first, second],
            [_GREY, _BLUE],
            msg("Accuracy and recall by label, 95% intervals"),
            language,
        )
        return _saved(figure, "comparison")


def gain_curve(curves: dict[str, GainCurve], language: Language) -> dict[str, bytes]:
    """Plot ``gain_curve.png`` and ``.svg``: recall at each share of images viewed, one panel for
    each curve, with 95% intervals."""
    viewed = [0.0, *(percent / 100 for percent in PERCENT)]
    ticks = np.linspace(0, 1, 6)
    with _style():
        figure = Figure(figsize=(8.6, 3.4 * ((len(curves) + 1) // 2) + 0.6), layout="constrained")
        panels = figure.subplots((len(curves) + 1) // 2, 2, squeeze=False).flat
        for (key, curve), axes in zip(curves.items(), panels, strict=False):
            low, high = zip((0.0, 0.0), *curve.bounds, strict=True)
            axes.plot([0, 1], [0, 1], color=_GREY, linewidth=1.2, linestyle="--")
            axes.fill_between(viewed, low, high, color=_BLUE, alpha=0.18, linewidth=0)
            axes.plot(viewed, [0.0, *curve.recall], color=_BLUE, linewidth=2)
            mark = msg(" · too few groups") if curve.has_too_few_groups else ""
            axes.set_title(render(target_name(key), language) + render(mark, language))
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_ticks(ticks, [f"{tick:.0%}" for tick in ticks])
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1.02)
            axes.grid(color="#d9dee3", linewidth=0.7)
            for side in ("top", "right"):
                axes.spines[side].set_visible(False)
        for axes in panels:  # the place of a curve that is missing
            axes.set_visible(False)
        figure.supxlabel(
            render(msg("share of all images viewed, in the order of review"), language)
        )
        figure.supylabel(render(msg("recall"), language))
        figure.suptitle(render(msg("Recall by share of images viewed, 95% intervals"), language))
        return _saved(figure, "gain_curve")


def _bars(
    names: Sequence[str],
    runs: Sequence[Bars],
    colours: Sequence[str],
    title: str,
    language: Language,
) -> Figure:
    figure = Figure(figsize=(1.9 + 1.35 * len(names), 4.6), layout="constrained")
    axes = figure.subplots()
    width = 0.72 / len(runs)
    for number, (run, colour) in enumerate(zip(runs, colours, strict=True)):
        for at, (value, interval) in enumerate(zip(run.values, run.intervals, strict=True)):
            if value is None:
                continue
            x = at + (number - (len(runs) - 1) / 2) * width
            axes.bar(x, value, width * 0.94, color=colour)
            top = value
            if interval is not None:
                axes.vlines(x, interval.low, interval.high, color=_INK, linewidth=1.4)
                axes.hlines(
                    [interval.low, interval.high], x - 0.05, x + 0.05, color=_INK, linewidth=1.4
                )
                top = interval.high
            axes.text(x, top + 0.015, f"{value:.1%}", ha="center", va="bottom", fontsize=9.5)
        if run.name:
            axes.bar(0, 0, color=colour, label=render(run.name, language))
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(0, 1.1)
    axes.set_yticks(np.linspace(0, 1, 6), [f"{v:.0%}" for v in np.linspace(0, 1, 6)])
    axes.grid(axis="y", color="#d9dee3", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_title(render(title, language))
    if any(run.name for run in runs):
        figure.legend(loc="outside lower center", ncols=len(runs), frameon=False)
    return figure


def _wrapped(name: str) -> str:
    """Break a long name into two lines at the space nearest its middle."""
    spaces = [at for at, letter in enumerate(name) if letter == " "]
    if len(name) < 8 or not spaces:
        return name
    middle = min(spaces, key=lambda at: abs(at - len(name) / 2))
    return f"{name[:middle]}\n{name[middle + 1 :]}"


@contextmanager
def _style() -> Iterator[None]:
    path = str(font_path())
    if path not in {entry.fname for entry in font_manager.fontManager.ttflist}:
        font_manager.fontManager.addfont(path)
    family = font_manager.FontProperties(fname=path).get_name()
    settings: Any = {  # matplotlib types each key
        "font.family": family,
        "font.size": 11,
        "axes.titlesize": 13,
        "axes.unicode_minus": False,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "xtick.color": _INK,
        "ytick.color": _INK,
        # A fixed salt gives the SVG's elements the same names in every run.
        "svg.hashsalt": "mayak",
        "svg.fonttype": "path",
    }
    with mpl.rc_context(settings):
        yield


def _saved(figure: Figure, name: str) -> dict[str, bytes]:
    """Save a figure as PNG and SVG, without the date that matplotlib would add."""
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=_DPI, metadata={"Software": None})
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return {f"{name}.png": png.getvalue(), f"{name}.svg": svg.getvalue()}
