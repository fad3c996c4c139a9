"""Which class a network gives to each point of a plane, with the rows that it was shown.

It must not know the network: it asks a function for probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from runner.figures import style as canvas
from runner.figures.lettering import DPI, INCHES, text_width
from runner.system.text import elide

Probabilities = Callable[[NDArray[np.float64]], NDArray[np.floating]]

_MARKERS = {"train": "o", "val": "s", "test": "^"}
_WORDS = {"train": "training", "val": "validation", "test": "test"}

# Inches.
_WIDTH, _HEIGHT, _BOTTOM, _TOP, _EDGE, _LINE = 4.5, 3.9, 0.58, 0.98, 0.2, 0.2
# How finely the plane is shaded: a cell is four pixels wide.
_CELLS_PER_INCH = DPI / 4
# How strongly a sure region is coloured: the points must stand out from it.
_STRENGTH = 0.5
# More points of a split than this hide each other.
_MOST_POINTS = 2_000
_MOST_CLASSES_NAMED = 14
_LONGEST_NAME = 30


@canvas.house_style()
def draw_decision_regions(
    predict_proba: Probabilities,
    X_raw: NDArray[np.float64],
    y: NDArray[np.integer],
    split: Mapping[str, NDArray[np.integer]],
    feature_names: Sequence[str],
    class_names: Sequence[str],
    path: Path,
    title: str = "",
) -> None:
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
        The PNG to write.
    title : str
        What stands above the picture, for instance the name of the run.
    """
    shown = {part: _thinned(split[part]) for part in _MARKERS if len(split.get(part, ()))}
    colors = _class_colors(len(class_names))
    (left, right), (low, high) = (_span(X_raw[:, column]) for column in (0, 1))
    x_positions = canvas.round_positions(left, right, at_most=6)
    y_positions = canvas.round_positions(low, high, at_most=6)
    y_labels = canvas.number_labels(y_positions)

    margin = _EDGE + text_width(y_labels, canvas.SMALL_PT) + 0.08
    legend = _legend_entries(shown, split, class_names, colors)
    legend_width = 0.45 + text_width([text for text, _, _ in legend], canvas.SMALL_PT) + _EDGE
    figure = canvas.page(margin + _WIDTH + legend_width, _BOTTOM + _HEIGHT + _TOP)
    axes = canvas.axes_at(figure, margin, _BOTTOM, _WIDTH, _HEIGHT)
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)

    _shade(axes, predict_proba, (left, right), (low, high), colors)
    n_points = sum(len(rows) for rows in shown.values())
    area = float(np.clip(5_000 / max(n_points, 1), 9.0, 34.0))
    for part, rows in shown.items():
        axes.scatter(
            X_raw[rows, 0], X_raw[rows, 1], s=area, marker=_MARKERS[part], linewidths=0.6,
            c=[colors[label] for label in y[rows]], edgecolors="white", zorder=3,
        )  # fmt: skip

    canvas.label_axis(axes, "x", x_positions, canvas.number_labels(x_positions))
    canvas.label_axis(axes, "y", y_positions, y_labels)
    top = _BOTTOM + _HEIGHT
    heading = f"{elide(title, 36)}: decision regions" if title else "Decision regions"
    canvas.write(figure, _EDGE, top + _TOP - 0.3, heading, bold=True)
    canvas.write(
        figure, _EDGE, top + _TOP - 0.5, "colour: the likeliest class, paler where it is less sure",
        size=canvas.SMALL_PT, color=canvas.MUTED,
    )  # fmt: skip
    x_name, y_name = (elide(name, 40) for name in feature_names)
    canvas.write(figure, _EDGE, top + 0.12, y_name, size=canvas.SMALL_PT)
    canvas.write(figure, margin + _WIDTH / 2, _EDGE, x_name, size=canvas.SMALL_PT, align="center")
    _write_legend(figure, margin + _WIDTH + 0.25, top - 0.1, legend)
    canvas.save(figure, path)


def _class_colors(n_classes: int) -> list[str]:
    """Give each class a colour; more than the palette has are told apart by lightness."""
    if n_classes <= len(canvas.PALETTE):
        return list(canvas.PALETTE[:n_classes])
    shades = mpl.colormaps["viridis"](np.linspace(0.0, 1.0, n_classes))
    return [to_hex(shade) for shade in shades]


def _thinned(rows: NDArray[np.integer]) -> NDArray[np.integer]:
    """Take evenly spaced rows where there are too many to be seen."""
    if len(rows) <= _MOST_POINTS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, _MOST_POINTS).astype(np.intp)]


def _span(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = (high - low) * 0.08 or abs(high) * 0.1 or 0.5
    return low - margin, high + margin


def _shade(
    axes: Axes,
    predict_proba: Probabilities,
    across: tuple[float, float],
    along: tuple[float, float],
    colors: Sequence[str],
) -> None:
    """Colour each cell by its likeliest class, the paler the nearer the runner-up comes."""
    n_across, n_along = round(_WIDTH * _CELLS_PER_INCH), round(_HEIGHT * _CELLS_PER_INCH)
    x_edges = np.linspace(*across, n_across + 1)
    y_edges = np.linspace(*along, n_along + 1)
    x, y = np.meshgrid((x_edges[:-1] + x_edges[1:]) / 2, (y_edges[:-1] + y_edges[1:]) / 2)
    probabilities = np.asarray(predict_proba(np.column_stack([x.ravel(), y.ravel()])))
    probabilities = np.nan_to_num(probabilities.astype(np.float64))
    ranked = np.partition(probabilities, max(len(colors) - 2, 0), axis=1)
    lead = ranked[:, -1] - ranked[:, -2] if len(colors) > 1 else ranked[:, -1]
    tint = 1.0 - np.array([to_rgb(color) for color in colors])[probabilities.argmax(axis=1)]
    mesh = QuadMesh(
        np.stack(np.meshgrid(x_edges, y_edges), axis=-1), antialiased=False,
        facecolors=1.0 - tint * lead[:, None] * _STRENGTH, zorder=0,
    )  # fmt: skip
    axes.add_collection(mesh, autolim=False)


def _legend_entries(
    shown: Mapping[str, NDArray[np.integer]],
    split: Mapping[str, NDArray[np.integer]],
    class_names: Sequence[str],
    colors: Sequence[str],
) -> list[tuple[str, str, str]]:
    """List text, marker and colour of each line of the legend."""
    named = list(zip(class_names, colors, strict=True))[:_MOST_CLASSES_NAMED]
    entries = [(elide(name, _LONGEST_NAME), "D", color) for name, color in named]
    if len(named) < len(class_names):
        entries.append((f"and {len(class_names) - len(named)} more classes", "", canvas.INK))
    entries.append(("", "", canvas.INK))
    for part, rows in shown.items():
        n_rows = len(split[part])
        count = f"{n_rows:,}" if len(rows) == n_rows else f"{len(rows):,} of {n_rows:,}"
        entries.append((f"{_WORDS[part]} ({count})", _MARKERS[part], canvas.MUTED))
    return entries


def _write_legend(
    figure: Figure, x: float, y: float, entries: Sequence[tuple[str, str, str]]
) -> None:
    for text, marker, color in entries:
        if marker:
            figure.add_artist(
                Line2D(
                    [x + 0.05], [y + 0.04], transform=INCHES, linestyle="",
                    marker=marker, markersize=5.0, color=color,
                )
            )  # fmt: skip
        canvas.write(figure, x + 0.2, y, text, size=canvas.SMALL_PT)
        y -= _LINE
