"""Which class a network gives to each point of a plane, with the rows that it was shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from runner.figures.scales import SPLITS
from runner.figures.style import (
    MUTED,
    PALETTE,
    Array,
    Look,
    house_style,
    legend_beside,
    new_figure,
    save,
)
from runner.system.text import elide
from runner.training.data.dataset import Dataset

Probabilities = Callable[[NDArray[np.float64]], NDArray[np.floating]]

_MARKERS = {"train": "o", "val": "s", "test": "^"}
_WIDTH, _HEIGHT = 4.5, 3.9
# How finely the plane is shaded: a cell is four pixels wide.
_CELLS_PER_INCH = 37.5
# How strongly a region is coloured where the network is certain; points must stand out.
_STRENGTH = 0.5
# More points of a split than this hide each other.
_MOST_POINTS = 2_000
_MOST_CLASSES_NAMED = 14


@house_style()
def draw_decision_regions(
    predict_proba: Probabilities,
    dataset: Dataset,
    split: Mapping[str, NDArray[np.integer]],
    path: Path,
    title: str = "",
) -> Figure:
    """Shade the plane of two features by class, and draw the rows on it, as a PNG.

    `predict_proba` gives the class probabilities, of shape (n, n_classes), of raw features, of
    shape (n, 2). `split` has the row indices of "train", "val" and "test", some of which may be
    empty or absent.
    """
    colors = _class_colors(len(dataset.class_names))
    figure, (axes,) = new_figure(_WIDTH, _HEIGHT)
    x_edges, y_edges = _edges(dataset.X[:, 0], _WIDTH), _edges(dataset.X[:, 1], _HEIGHT)
    axes.pcolormesh(x_edges, y_edges, _shades(predict_proba, x_edges, y_edges, colors), zorder=0)
    axes.set_xlabel(elide(dataset.feature_names[0], 40))
    axes.set_title(elide(dataset.feature_names[1], 40))

    named = list(zip(dataset.class_names, colors, strict=True))[:_MOST_CLASSES_NAMED]
    entries = [(elide(name, 30), "D", color) for name, color in named]
    if len(named) < len(dataset.class_names):
        entries.append((f"and {len(dataset.class_names) - len(named)} more classes", "", MUTED))
    entries.append(("", "", MUTED))
    parts = {part: split[part] for part in _MARKERS if len(split.get(part, ()))}
    n_shown = sum(min(len(rows), _MOST_POINTS) for rows in parts.values())
    area = float(np.clip(5_000 / max(n_shown, 1), 9.0, 34.0))
    for part, rows in parts.items():
        shown, count = rows, f"{len(rows):,}"
        if len(rows) > _MOST_POINTS:  # evenly spaced ones stand for all
            shown = rows[np.linspace(0, len(rows) - 1, _MOST_POINTS).astype(np.intp)]
            count = f"{_MOST_POINTS:,} of {count}"
        look: Look = {
            "marker": _MARKERS[part],
            "linewidths": 0.6,
            "edgecolors": "white",
            "zorder": 3,
        }
        classes = [colors[label] for label in dataset.y[shown]]
        axes.scatter(dataset.X[shown, 0], dataset.X[shown, 1], s=area, c=classes, **look)
        entries.append((f"{SPLITS[part]} ({count})", _MARKERS[part], MUTED))
    handles = [
        Line2D([], [], linestyle="", marker=marker, markersize=5.0, color=color)
        for _, marker, color in entries
    ]
    legend_beside(axes, handles, [text for text, _, _ in entries])
    axes.set(xlim=x_edges[[0, -1]], ylim=y_edges[[0, -1]])
    heading = f"{elide(title, 40)}: decision regions" if title else "Decision regions"
    return save(figure, path, heading, "colour: the likeliest class, paler where it is less sure")


def _class_colors(n_classes: int) -> list[str]:
    """Give each class a colour: of the palette, or of a range of lightness for more classes."""
    if n_classes <= len(PALETTE):
        return list(PALETTE[:n_classes])
    return [to_hex(shade) for shade in mpl.colormaps["viridis"](np.linspace(0.0, 1.0, n_classes))]


def _edges(values: Array, inches: float) -> Array:
    """Divide the range of values, with a margin, into the cells that are shaded."""
    low, high = float(values.min()), float(values.max())
    margin = (high - low) * 0.08 or abs(high) * 0.1 or 0.5
    return np.linspace(low - margin, high + margin, round(inches * _CELLS_PER_INCH) + 1)


def _shades(
    predict_proba: Probabilities, x_edges: Array, y_edges: Array, colors: Sequence[str]
) -> Array:
    """Colour each cell by its likeliest class, the paler the nearer the runner-up comes."""
    x, y = np.meshgrid((x_edges[:-1] + x_edges[1:]) / 2, (y_edges[:-1] + y_edges[1:]) / 2)
    probabilities = np.asarray(predict_proba(np.column_stack([x.ravel(), y.ravel()])))
    probabilities = np.nan_to_num(probabilities.astype(np.float64))
    ranked = np.partition(probabilities, max(len(colors) - 2, 0), axis=1)
    lead = ranked[:, -1] - ranked[:, -2] if len(colors) > 1 else ranked[:, -1]
    tint = 1.0 - np.array([to_rgb(color) for color in colors])[probabilities.argmax(axis=1)]
    shades: Array = (1.0 - tint * lead[:, None] * _STRENGTH).reshape(*x.shape, 3)
    return shades
