"""Predictions against the truth: ROC and precision-recall curves, calibration, residuals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from runner.figures import style
from runner.figures.style import MUTED, PALETTE, Array, Look, house_style
from runner.system.formatting import count
from runner.system.text import elide
from softnet import ranking_curve

# What chance gives, or a perfect prediction.
_REFERENCE: Look = {"color": MUTED, "linewidth": 1.0, "linestyle": (0, (1, 1.5))}
_POINTS: Look = {"s": 9, "color": PALETTE[0], "alpha": 0.6, "linewidths": 0}
_LONGEST_NAME = 24
# Bins of predicted probabilities, of equal width.
_N_BINS = 10


@house_style()
def draw_probabilities(
    truth: NDArray[np.bool_],
    predicted: Array,
    names: Sequence[str],
    path: Path,
    title: str = "",
    split: str = "",
) -> Figure:
    """Draw ROC curves, precision-recall curves and calibration of each label, as a PNG.

    `truth` and `predicted` probabilities have the shape (n_samples, n_labels). Of two classes the
    second stands for both; labels that all rows have, or none, have no curves. `split` says which
    rows they are, such as ``"test"``.
    """
    first = int(len(names) == 2 and bool((truth.sum(axis=1) == 1).all()))
    sound = [n for n in range(first, len(names)) if 0 < truth[:, n].sum() < len(truth)]
    figure, panels = style.new_figure(2.4, 2.4, 3, across=True)
    lines = []
    for n, color in zip(sound, PALETTE, strict=False):
        look: Look = {"color": color, "linewidth": 1.6}
        lines += _draw_label(panels, truth[:, n], predicted[:, n], look)
    for axes, x, y in zip(
        panels,
        ("false positive rate", "recall", "predicted probability"),
        ("recall", "precision", "share of rows"),
        strict=True,
    ):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x)
        axes.set(xticks=[0.0, 0.5, 1.0], yticks=[0.0, 0.5, 1.0])
        axes.set_title(y)
    for axes in (panels[0], panels[2]):
        axes.plot([0, 1], [0, 1], **_REFERENCE)
    named = [elide(names[n], _LONGEST_NAME) for n in sound[: len(PALETTE)]]
    style.legend_beside(panels[2], lines, named)
    words = "ROC, precision-recall, calibration"
    heading = f"{elide(title, 40)}: {words}" if title else words
    note = f"{_rows(len(truth), split)}dotted: chance; of calibration, a perfect one"
    some = f"the first {len(named)} of {len(names)}" if len(sound) > len(named) else ""
    return style.save(figure, path, heading, note, some)


def _draw_label(
    panels: Sequence[Axes], truth: NDArray[np.bool_], predicted: Array, look: Look
) -> list[object]:
    _, wrong, right = ranking_curve(predicted, truth, np.ones(len(truth)))
    recall = np.append(0.0, right / right[-1])
    panels[0].plot(np.append(0.0, wrong / wrong[-1]), recall, **look)
    precision = np.append(1.0, right / (right + wrong))
    panels[1].plot(recall, precision, drawstyle="steps-pre", **look)
    bins = np.minimum((predicted * _N_BINS).astype(np.intp), _N_BINS - 1)
    counts = np.bincount(bins, minlength=_N_BINS)
    used = counts > 0
    means, shares = (
        np.bincount(bins, values, _N_BINS)[used] / counts[used] for values in (predicted, truth)
    )
    return [*panels[2].plot(means, shares, marker="o", markersize=3.5, **look)]


@house_style()
def draw_quantities(
    y: Array, predicted: Array, name: str, path: Path, title: str = "", split: str = ""
) -> Figure:
    """Draw predicted quantities (n_samples,) against true ones, and their residuals, as a PNG."""
    figure, panels = style.new_figure(3.4, 2.8, 2, across=True)
    name = elide(name, _LONGEST_NAME)
    panels[0].scatter(y, predicted, **_POINTS)
    ends = [float(min(y.min(), predicted.min())), float(max(y.max(), predicted.max()))]
    panels[0].plot(ends, ends, **_REFERENCE)
    panels[0].set_xlabel(f"true {name}")
    panels[0].set_title(f"predicted {name}")
    panels[1].scatter(predicted, y - predicted, **_POINTS)
    panels[1].axhline(0.0, **_REFERENCE)
    panels[1].set_xlabel(f"predicted {name}")
    panels[1].set_title("residual: true less predicted")
    for axes in panels:
        axes.locator_params(nbins=5)
    heading = f"{elide(title, 40)}: predictions" if title else "Predictions"
    note = f"{_rows(len(y), split)}dotted: a perfect prediction"
    return style.save(figure, path, heading, note)


def _rows(n: int, split: str) -> str:
    return f"{count(n, f'{split} row')}; " if split else ""
