"""Which class a network gives to each point of a plane, with the rows that it was shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from runner.figures.scales import SPLITS
from runner.figures.style import MUTED, PALETTE, house_style, new_figure, save
from runner.system.text import elide

Probabilities = Callable[[NDArray[np.float64]], NDArray[np.floating]]

_MARKERS = {"train": "o", "val": "s", "test": "^"}
_WIDTH, _HEIGHT = 4.5, 3.9
# How finely the plane is shaded: a cell is four pixels wide.
_CELLS_PER_INCH = 37.5
# How strongly a sure region is coloured: the points must stand out from it.
_STRENGTH = 0.5
# More points of a split than this hide each other.
_MOST_POINTS = 2_000
_MOST_CLASSES_NAMED = 14


@house_style()
def draw_decision_regions(
    predict_proba: Probabilities, X_raw: NDArray[np.float64], y: NDArray[np.integer],
    split: Mapping[str, NDArray[np.integer]], feature_names: Sequence[str],
    class_names: Sequence[str], path: Path, title: str = "",
) -> Figure:  # fmt: skip
    """Shade the plane of two features by class, and draw the rows on it, as a PNG.

    Parameters
    ----------
    predict_proba : callable
        Raw features (n, 2) to class probabilities (n, n_classes).
    X_raw : ndarray of shape (n_samples, 2)
        Features in the units of the data.
    y : ndarray of shape (n_samples,)
        Class indices.
    split : mapping of "train", "val" and "test" to row indices
        Each has a marker of its own; empty and absent ones are left out.
    feature_names, class_names : sequence of str
    path : Path
    title : str
        The name of the run.
    """
    colors = _class_colors(len(class_names))
    rows = {part: _thinned(split[part]) for part in _MARKERS if len(split.get(part, ()))}
    figure, (axes,) = new_figure(_WIDTH, _HEIGHT)
    _shade(axes, predict_proba, _limits(X_raw[:, 0]), _limits(X_raw[:, 1]), colors)
    area = float(np.clip(5_000 / max(sum(map(len, rows.values())), 1), 9.0, 34.0))
    for part, shown in rows.items():
        axes.scatter(
            X_raw[shown, 0], X_raw[shown, 1], s=area, marker=_MARKERS[part], linewidths=0.6,
            c=[colors[label] for label in y[shown]], edgecolors="white", zorder=3,
        )  # fmt: skip
    axes.set_xlabel(elide(feature_names[0], 40))
    axes.set_title(elide(feature_names[1], 40))

    named = list(zip(class_names, colors, strict=True))[:_MOST_CLASSES_NAMED]
    entries = [(elide(name, 30), "D", color) for name, color in named]
    if len(named) < len(class_names):
        entries.append((f"and {len(class_names) - len(named)} more classes", "", MUTED))
    entries.append(("", "", MUTED))
    for part, shown in rows.items():
        n = len(split[part])
        count = f"{n:,}" if len(shown) == n else f"{len(shown):,} of {n:,}"
        entries.append((f"{SPLITS[part]} ({count})", _MARKERS[part], MUTED))
    axes.legend(
        [Line2D([], [], linestyle="", marker=m, markersize=5.0, color=c) for _, m, c in entries],
        [text for text, _, _ in entries],
        loc="upper left", bbox_to_anchor=(1.03, 1.0), borderaxespad=0.0, handletextpad=0.2,
        labelspacing=0.7,
    )  # fmt: skip
    heading = f"{elide(title, 40)}: decision regions" if title else "Decision regions"
    return save(figure, path, heading, "colour: the likeliest class, paler where it is less sure")


def _class_colors(n_classes: int) -> list[str]:
    """Give each class a colour; more than the palette has are told apart by lightness."""
    if n_classes <= len(PALETTE):
        return list(PALETTE[:n_classes])
    return [to_hex(shade) for shade in mpl.colormaps["viridis"](np.linspace(0.0, 1.0, n_classes))]


def _thinned(rows: NDArray[np.integer]) -> NDArray[np.integer]:
    """Take evenly spaced rows where there are too many to be seen."""
    if len(rows) <= _MOST_POINTS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _MOST_POINTS).astype(np.intp)]


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = (high - low) * 0.08 or abs(high) * 0.1 or 0.5
    return low - margin, high + margin


def _shade(
    axes: Axes, predict_proba: Probabilities, across: tuple[float, float],
    along: tuple[float, float], colors: Sequence[str],
) -> None:  # fmt: skip
    """Colour each cell by its likeliest class, the paler the nearer the runner-up comes."""
    x_edges = np.linspace(*across, round(_WIDTH * _CELLS_PER_INCH) + 1)
    y_edges = np.linspace(*along, round(_HEIGHT * _CELLS_PER_INCH) + 1)
    x, y = np.meshgrid((x_edges[:-1] + x_edges[1:]) / 2, (y_edges[:-1] + y_edges[1:]) / 2)
    probabilities = np.asarray(predict_proba(np.column_stack([x.ravel(), y.ravel()])))
    probabilities = np.nan_to_num(probabilities.astype(np.float64))
    ranked = np.partition(probabilities, max(len(colors) - 2, 0), axis=1)
    lead = ranked[:, -1] - ranked[:, -2] if len(colors) > 1 else ranked[:, -1]
    tint = 1.0 - np.array([to_rgb(color) for color in colors])[probabilities.argmax(axis=1)]
    rgb = (1.0 - tint * lead[:, None] * _STRENGTH).reshape(*x.shape, 3)
    axes.pcolormesh(x_edges, y_edges, rgb, zorder=0)
    axes.set(xlim=across, ylim=along)
