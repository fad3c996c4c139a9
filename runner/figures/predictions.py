"""Predictions against what is true: ROC and precision-recall, calibration, quantities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from runner.figures import style
from runner.figures.style import MUTED, PALETTE, Array, Look, house_style
from runner.system.text import elide
from softnet import ranking_curve

_EVEN: Look = {"color": MUTED, "linewidth": 1.0, "linestyle": (0, (1, 1.5))}
_LONGEST_NAME = 24
# Bins of predicted probabilities, each as wide as the others.
_BINS = 10


def _heading(title: str, what: str) -> str:
    return f"{elide(title, 40)}: {what}" if title else what.capitalize()


def _judged(truth: NDArray[np.bool_], names: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return the labels that rows have and lack, as many as there are colours, with these."""
    # Of two classes the last one says all.
    first = int(len(names) == 2 and bool((truth.sum(axis=1) == 1).all()))
    sound = [n for n in range(first, len(names)) if 0 < truth[:, n].sum() < len(truth)]
    return [(n, elide(names[n], _LONGEST_NAME), c) for n, c in zip(sound, PALETTE, strict=False)]


@house_style()
def draw_ranking(
    truth: NDArray[np.bool_], predicted: Array, names: Sequence[str], path: Path, title: str = "",
    *, is_roc: bool,
) -> Figure:  # fmt: skip
    """Draw the ROC or the precision-recall curve of each label as a PNG.

    Parameters
    ----------
    truth : ndarray of bool, shape (n_samples, n_labels)
        Whether each row has each class or label.
    predicted : ndarray of shape (n_samples, n_labels)
        Probabilities.
    names : sequence of str
    path : Path
    title : str
    is_roc : bool
        Whether it is the share found against false alarms, or precision against the share found.
    """
    figure, (axes,) = style.new_figure(3.4, 3.4)
    lines, labels = [], []
    for label, name, color in _judged(truth, names):
        _, wrong, right = ranking_curve(predicted[:, label], truth[:, label], np.ones(len(truth)))
        found = right / right[-1]
        if is_roc:
            x, y = np.append(0.0, wrong / wrong[-1]), np.append(0.0, found)
        else:
            x, y = np.append(0.0, found), np.append(1.0, right / (right + wrong))
        drawing = "default" if is_roc else "steps-pre"
        lines += axes.plot(x, y, color=color, linewidth=1.6, drawstyle=drawing)
        labels.append(name)
    if is_roc:
        axes.plot([0, 1], [0, 1], **_EVEN)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_xlabel("share of the others said to have it" if is_roc else "share found (recall)")
    axes.set_ylabel("share found (recall)" if is_roc else "share right (precision)")
    style.legend_beside(axes, lines, labels)
    what = "ROC curve" if is_roc else "precision-recall curve"
    note = "dotted: what chance gives" if is_roc else ""
    return style.save(figure, path, f"{elide(title, 40)}: {what}" if title else what, note)


@house_style()
def draw_calibration(
    truth: NDArray[np.bool_], predicted: Array, names: Sequence[str], path: Path, title: str = ""
) -> Figure:
    """Draw how often a label is there against the probability that was predicted, as a PNG.

    `truth` and `predicted` are of shape (n_samples, n_labels).
    """
    figure, (axes,) = style.new_figure(3.4, 3.4)
    lines, labels = [], []
    axes.plot([0, 1], [0, 1], **_EVEN)
    for label, name, color in _judged(truth, names):
        bins = np.minimum((predicted[:, label] * _BINS).astype(np.intp), _BINS - 1)
        counts = np.bincount(bins, minlength=_BINS)
        is_used = counts > 0
        means, shares = (
            np.bincount(bins, of[:, label], _BINS)[is_used] / counts[is_used]
            for of in (predicted, truth)
        )
        lines += axes.plot(means, shares, color=color, linewidth=1.6, marker="o", markersize=3.5)
        labels.append(name)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_xlabel("predicted probability, mean of a tenth")
    axes.set_ylabel("share that has it")
    style.legend_beside(axes, lines, labels)
    return style.save(figure, path, _heading(title, "calibration"), "dotted: as it should be")


@house_style()
def draw_predicted(y: Array, predicted: Array, name: str, path: Path, title: str = "") -> Figure:
    """Draw predicted against true quantities (n_samples,) as a PNG."""
    figure, (axes,) = style.new_figure(3.4, 3.4)
    axes.scatter(y, predicted, s=9, color=PALETTE[0], alpha=0.6, linewidths=0)
    ends = [float(min(y.min(), predicted.min())), float(max(y.max(), predicted.max()))]
    axes.plot(ends, ends, **_EVEN)
    axes.locator_params(nbins=5)
    axes.set_xlabel(f"true {elide(name, _LONGEST_NAME)}")
    axes.set_ylabel(f"predicted {elide(name, _LONGEST_NAME)}")
    return style.save(figure, path, _heading(title, "predicted against true"), "dotted: equal")


@house_style()
def draw_residuals(y: Array, predicted: Array, name: str, path: Path, title: str = "") -> Figure:
    """Draw what is left of quantities (n_samples,) against what was predicted, as a PNG."""
    figure, (axes,) = style.new_figure(4.6, 2.6)
    axes.scatter(predicted, y - predicted, s=9, color=PALETTE[0], alpha=0.6, linewidths=0)
    axes.axhline(0.0, **_EVEN)
    axes.locator_params(nbins=5)
    axes.set_xlabel(f"predicted {elide(name, _LONGEST_NAME)}")
    axes.set_ylabel("true less predicted")
    return style.save(figure, path, _heading(title, "residuals"))
