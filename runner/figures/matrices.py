"""Tables of coloured cells: confusion matrix, weights of a linear model, pairs of swept numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from runner.figures import style
from runner.figures.scales import DECADE, Measure
from runner.figures.style import Array, Look, house_style, number_text
from runner.system.text import elide

#: The name of the rows or the columns of a table, and the label of each.
Side = tuple[str, Sequence[str]]

# Weights of red, green and blue in the brightness of a colour (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114])
_LONGEST_NAME = 26
# Inches, of text of 8 points: the height of a line, and about the width of a letter.
_LINE, _LETTER = 0.115, 0.075
# Inches; a smaller cell of a confusion matrix holds no count, or no share below it.
_COUNT_CELL, _SHARE_CELL = 0.2, 0.5
# Larger tables cannot be read: the largest weights are drawn, and numbers left out.
_MOST_FEATURES, _MOST_WEIGHTS, _MOST_METRICS = 40, 200, 100


def _draw_table(
    values: Array,
    rows: Side,
    columns: Side,
    cell: tuple[float, float],
    norm: Normalize,
    colors: str,
) -> tuple[Figure, Axes, Axes]:
    """Draw cells of (width, height) inches, rows from the top; NaN is grey.

    Return the figure with the axes of the table and of the colour bar.
    """
    n_rows, n_columns = values.shape
    width, height = n_columns * cell[0], n_rows * cell[1]
    figure, (axes,) = style.new_figure(width, height)
    edges = "white" if min(cell) >= 0.12 else "face"
    color_map = mpl.colormaps[colors].with_extremes(bad="#E0E0E0")
    masked = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(masked, norm=norm, cmap=color_map, edgecolors=edges, linewidth=0.8)
    axes.set(xlim=(0, n_columns), ylim=(n_rows, 0), xlabel=columns[0])
    axes.annotate(rows[0], (0, 1), (-4, 7), "axes fraction", "offset points", ha="right")
    axes.spines[:].set_visible(False)

    upright = max(map(len, columns[1])) * _LETTER > cell[0]
    for axis, labels, step in (
        (axes.yaxis, rows[1], math.ceil(_LINE / cell[1])),
        (axes.xaxis, columns[1], math.ceil(_LINE / cell[0]) if upright else 1),
    ):
        axis.set_ticks(np.arange(len(labels))[::step] + 0.5, labels[::step])
    axes.tick_params(axis="x", labelrotation=90.0 if upright else 0.0)

    bar_height = min(1.1 / height, 1.0)
    bar = axes.inset_axes((1 + 0.25 / width, 1 - bar_height, 0.13 / width, bar_height))
    figure.colorbar(mesh, cax=bar)
    bar.minorticks_off()
    bar.spines[:].set_visible(False)
    return figure, axes, bar


def _write_cells(axes: Axes, texts: NDArray[np.object_], cell_width: float) -> None:
    """Write a text into each cell of a drawn table, in letters that fit, light on dark colours."""
    mesh = axes.collections[0]
    dark = mesh.to_rgba(np.ma.asarray(mesh.get_array()))[..., :3] @ _LUMINANCE < 0.55
    longest = max(len(line) for text in texts.ravel().tolist() for line in text.split("\n"))
    size = min(8.0, 8.0 * cell_width / (max(longest, 1) * _LETTER * 1.1))
    look: Look = {"ha": "center", "va": "center", "in_layout": False, "size": size}
    for (row, column), text in np.ndenumerate(texts):
        if text:
            color = "white" if dark[row, column] else style.INK
            axes.text(column + 0.5, row + 0.5, text, color=color, **look)


def confusion_counts(
    y_true: NDArray[np.integer], y_pred: NDArray[np.integer], n_classes: int
) -> NDArray[np.intp]:
    """Count how often each true class (row) was given each predicted class (column).

    Examples
    --------
    >>> confusion_counts(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
    array([[1, 0],
           [1, 1]])
    """
    cells = np.asarray(y_true, np.intp) * n_classes + np.asarray(y_pred, np.intp)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


@house_style()
def draw_confusion_matrix(
    counts: NDArray[np.intp],
    class_names: Sequence[str],
    path: Path,
    title: str = "",
    split: str = "",
) -> Figure:
    """Draw counts, coloured by their share of the true class, as a PNG.

    `counts`, of shape (n_classes, n_classes), has the true classes in its rows and the predicted
    ones in its columns; classes without a row stay in the table, in grey. `split` says which rows
    of the data were counted.
    """
    n_classes, n_rows, n_right = len(counts), counts.sum(axis=1), int(np.trace(counts))
    with np.errstate(invalid="ignore"):
        shares = counts / n_rows[:, None]
    cell = min(1.1, max(0.55, 3.0 / n_classes), 9.0 / n_classes)
    names = [elide(name, _LONGEST_NAME) for name in class_names]
    labels = [f"{name} ({n:,})" for name, n in zip(names, n_rows, strict=True)]
    rows = ("true (rows)", labels)
    if cell < _SHARE_CELL:  # the cells of the diagonal have no room for shares
        right = map(_percent, np.diagonal(shares))
        labels = [f"{label}: {share}" for label, share in zip(labels, right, strict=True)]
        rows = ("true (rows): share right", labels)
    norm = Normalize(0.0, 1.0)
    figure, axes, bar = _draw_table(shares, rows, ("predicted", names), (cell, cell), norm, "Blues")
    bar.set_yticks([0.0, 0.5, 1.0], ["0 %", "50 %", "100 %"])
    if cell >= _COUNT_CELL:
        texts = np.full(counts.shape, "", dtype=object)
        for at in zip(*counts.nonzero(), strict=True):
            share = f"\n{_percent(shares[at])}" if cell >= _SHARE_CELL else ""
            texts[at] = f"{counts[at]:,}{share}"
        _write_cells(axes, texts, cell)
    n = int(counts.sum())
    note = f"{_percent(n_right / max(n, 1))} of {n:,} {split} rows right"
    heading = f"{elide(title, 40)}: confusion matrix" if title else "Confusion matrix"
    return style.save(figure, path, heading, note, "colour: share of the true class")


def _percent(share: float) -> str:
    """Write a share so that only a full one reads 100 %."""
    if np.isnan(share):
        return "\N{EN DASH}"
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    return f"{min(100.0 * share, 99.9):.1f} %"


def centered_weights(weight: NDArray[np.floating]) -> Array:
    """Subtract from weights, (in_features, out_features), their mean over the classes.

    Softmax does not change when all logits move together, so what the classes have in common
    says nothing, and may well be large.
    """
    centered: Array = np.array(weight, dtype=np.float64)
    if centered.shape[1] > 1:
        with np.errstate(invalid="ignore", over="ignore"):
            centered -= centered.mean(axis=1, keepdims=True)
    return centered


@house_style()
def draw_weights(
    weight: NDArray[np.floating],
    feature_names: Sequence[str],
    class_names: Sequence[str],
    path: Path,
    title: str = "",
    per: str = "unit",
) -> Figure:
    """Draw the weights of a linear model as a heat map, features x classes, as a PNG.

    `weight` has shape (in_features, out_features). One step of an input is "unit" of the raw
    feature, "standard deviation" or "range": `per`.
    """
    values = centered_weights(weight)
    size = np.abs(np.where(np.isfinite(values), values, 0.0))
    largest = float(size.max()) or 1.0
    shown = np.sort(np.argsort(-size.max(axis=1), kind="stable")[:_MOST_FEATURES])
    note = "weight less its mean over the classes" if values.shape[1] > 1 else "weight"
    notes = [f"{note}, per {per} of the feature"]
    if len(shown) < len(values):
        notes.append(f"the {len(shown)} largest of {len(values):,} features")
    values = values[shown]
    n_rows, n_columns = values.shape
    rows = ("feature", [elide(feature_names[row], _LONGEST_NAME) for row in shown])
    columns = ("class", [elide(name, _LONGEST_NAME) for name in class_names])
    cell = min(0.9, max(0.6, 2.4 / n_columns), 9.0 / n_columns), min(0.34, 9.0 / n_rows)
    norm = Normalize(-largest, largest)
    clipped = np.clip(values, -largest, largest)
    figure, axes, bar = _draw_table(clipped, rows, columns, cell, norm, "RdBu_r")
    ends = [-largest, 0.0, largest]
    bar.set_yticks(ends, [_signed(end) for end in ends])
    if values.size <= _MOST_WEIGHTS and cell[0] >= 0.4:
        texts = [[_signed(value) for value in row] for row in values.tolist()]
        _write_cells(axes, np.array(texts, dtype=object), cell[0])
    heading = f"{elide(title, 40)}: weights" if title else "Weights"
    return style.save(figure, path, heading, *notes)


def _signed(value: float) -> str:
    return number_text(value, "+#.3g") if value else "0"


@house_style()
def draw_heat_map(
    values: Array,
    ran: NDArray[np.bool_],
    sides: tuple[Side, Side],
    measure: Measure,
    path: Path,
    title: str,
    *notes: str,
) -> Figure:
    """Draw a metric for each pair of two numbers as a PNG, the better the brighter.

    `values`, of shape (n_rows, n_columns), is in the unit of the metric, with rows from the bottom;
    one at least is finite. `ran`, of the same shape, says which pairs were run: a NaN elsewhere is
    no failure. `sides` are the two numbers and their values, rows first.
    """
    values, ran = values[::-1], ran[::-1]  # rows are drawn from the top
    n_rows, n_columns = values.shape
    rows = (sides[0][0], sides[0][1][::-1])
    cell = min(0.9, max(0.55, 3.2 / n_columns), 9.0 / n_columns), min(0.46, 9.0 / n_rows)
    low, high = measure.view([values.ravel()], room=100.0)
    is_log = measure.kind != "accuracy" and 0.0 < DECADE * low < high
    norm = LogNorm(low, high) if is_log else Normalize(low, high)
    colors = "viridis" if measure.higher_is_better else "viridis_r"
    figure, axes, bar = _draw_table(np.clip(values, low, high), rows, sides[1], cell, norm, colors)
    ends = sorted({low, high})
    bar.set_yticks(ends, [number_text(end, "#.3g") for end in ends])

    failed = ran & np.isnan(values)
    texts = np.where(failed, "\N{MULTIPLICATION SIGN}", "").astype(object)
    if values.size <= _MOST_METRICS:
        for at in zip(*np.nonzero(np.isfinite(values)), strict=True):
            texts[at] = number_text(float(values[at]), "#.3g")
    _write_cells(axes, texts, cell[0])
    row, column = divmod(measure.best(values.ravel()) or 0, n_columns)
    for color, width in (("white", 4.5), ("black", 2.0)):
        look: Look = {"edgecolor": color, "linewidth": width, "fill": False, "zorder": 4}
        axes.add_patch(Rectangle((column, row), 1.0, 1.0, clip_on=False, **look))

    notes = (f"{measure.label}, brighter is better, framed: the best", *notes)
    notes += ("darkest: or worse",) * bool(((values < low) | (values > high)).any())
    notes += ("\N{MULTIPLICATION SIGN}: no finite value",) * bool(failed.any())
    notes += ("grey: not run",) * (not ran.all())
    return style.save(figure, path, title, *notes)
