"""Tables of coloured cells: confusion matrix, weights of a linear model, pairs of swept numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from runner.figures import style
from runner.figures.scales import DECADE, Measure, needs_log_scale
from runner.figures.style import Array, house_style, number_text, text_width
from runner.system.text import elide

#: What one side of a table is, and the label of each row or column.
Side = tuple[str, Sequence[str]]

# A label needs this much of the side it stands on, in inches.
_LABEL_SPACE = 0.115
# How bright red, green and blue look (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114])
_LONGEST_NAME = 26
# Inches; a smaller cell of a confusion matrix holds no count, or no share below it.
_COUNT_CELL, _SHARE_CELL = 0.2, 0.5
# More features are a wall; more numbers are not read.
_MOST_FEATURES, _MOST_WEIGHTS, _MOST_METRICS = 40, 200, 100


def _draw_table(
    shares: Array, rows: Side, columns: Side, cell: tuple[float, float], colors: str,
    ticks: Sequence[tuple[float, str]], texts: Sequence[Sequence[str]],
) -> tuple[Figure, Axes]:  # fmt: skip
    """Draw cells of (width, height) inches, rows from the top, and a bar that explains the colours.

    `shares` are positions on the colour map from 0 to 1, NaN is grey; `ticks` say what some of
    them mean; `texts` hold nothing, or what stands in each cell.
    """
    n_rows, n_columns = shares.shape
    width, height = n_columns * cell[0], n_rows * cell[1]
    figure, (axes,) = style.new_figure(width, height)
    color_map = mpl.colormaps[colors].with_extremes(bad="#E0E0E0")
    masked = np.ma.masked_invalid(shares)
    mesh = axes.pcolormesh(
        masked, cmap=color_map, vmin=0.0, vmax=1.0, linewidth=0.8,
        edgecolors="white" if min(cell) >= 0.12 else "face",
    )  # fmt: skip
    axes.set(xlim=(0, n_columns), ylim=(n_rows, 0), xlabel=columns[0])
    axes.annotate(rows[0], (0, 1), (-4, 7), "axes fraction", "offset points", ha="right")
    axes.spines[:].set_visible(False)

    size = min(style.SMALL_PT, max(5.5, min(cell) * 72 * 0.85))
    upright = text_width(columns[1], size) > cell[0] * 0.92
    for axis, labels, step in (
        (axes.yaxis, rows[1], math.ceil(_LABEL_SPACE / cell[1])),
        (axes.xaxis, columns[1], math.ceil(_LABEL_SPACE / cell[0]) if upright else 1),
    ):
        axis.set_ticks(np.arange(len(labels))[::step] + 0.5, labels[::step], size=size)
    axes.tick_params(axis="x", labelrotation=90.0 if upright else 0.0)

    bar_height = min(1.1 / height, 1.0)
    bar = axes.inset_axes((1 + 0.25 / width, 1 - bar_height, 0.13 / width, bar_height))
    figure.colorbar(mesh, cax=bar)
    bar.set_yticks([share for share, _ in ticks], [text for _, text in ticks])
    bar.spines[:].set_visible(False)

    widest = text_width([line for row in texts for text in row for line in text.split("\n")], 9.0)
    dark = color_map(masked)[..., :3] @ _LUMINANCE < 0.55
    for at in np.ndindex(shares.shape if texts else (0, 0)):
        if text := texts[at[0]][at[1]]:
            axes.text(
                at[1] + 0.5, at[0] + 0.5, text, size=min(9.0, 9.0 * cell[0] * 0.86 / widest),
                color="white" if dark[at] else style.INK, ha="center", va="center", in_layout=False,
            )  # fmt: skip
    return figure, axes


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
    y_true: NDArray[np.integer], y_pred: NDArray[np.integer], class_names: Sequence[str],
    path: Path, title: str = "", split: str = "test",
) -> Figure:  # fmt: skip
    """Draw counts, coloured by their share of the true class, as a PNG.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_samples,)
        Class indices.
    class_names : sequence of str
        The name of each index; classes without a row stay in the table, in grey.
    path : Path
    title : str
        The name of the run.
    split : str
        Which rows these are.
    """
    n_classes = len(class_names)
    counts = confusion_counts(y_true, y_pred, n_classes)
    n_rows = counts.sum(axis=1)
    with np.errstate(invalid="ignore"):
        shares = counts / n_rows[:, None]
    cell = min(1.1, max(0.62, 3.0 / n_classes), 9.0 / n_classes)
    names = [elide(name, _LONGEST_NAME) for name in class_names]
    labels = [f"{name} ({n:,})" for name, n in zip(names, n_rows, strict=True)]
    rows = ("true (rows)", labels)
    if cell < _SHARE_CELL:  # the diagonal's shares have no room in their cells
        own = map(_percent, np.diagonal(shares))
        labels = [f"{label}: {share}" for label, share in zip(labels, own, strict=True)]
        rows = ("true (rows): share right", labels)
    texts = [
        [_count_text(n, share, cell) for n, share in zip(*row, strict=True)]
        for row in zip(counts.tolist(), shares.tolist(), strict=True)
    ]
    ticks = [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")]
    figure, _ = _draw_table(shares, rows, ("predicted", names), (cell, cell), "Blues", ticks, texts)
    n_right = int(np.trace(counts))
    right = f"{_percent(n_right / max(len(y_true), 1))} of {len(y_true):,} {split} rows right"
    heading = f"{elide(title, 40)}: confusion matrix" if title else "Confusion matrix"
    return style.save(figure, path, heading, f"{right}; colour: share of the true class")


def _count_text(count: int, share: float, cell: float) -> str:
    if cell < _COUNT_CELL:
        return ""
    if count == 0:
        return "0" if cell > 0.9 else ""
    return f"{count:,}\n{_percent(share)}" if cell >= _SHARE_CELL else f"{count:,}"


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
    weight: NDArray[np.floating], feature_names: Sequence[str], class_names: Sequence[str],
    path: Path, title: str = "", per: str = "unit",
) -> Figure:  # fmt: skip
    """Draw the weights of a linear model as a heat map, features x classes, as a PNG.

    Parameters
    ----------
    weight : ndarray of shape (in_features, out_features)
    feature_names, class_names : sequence of str
        The names of the network's inputs and outputs.
    path : Path
    title : str
        The name of the run.
    per : str
        What one step of an input is: "unit" of the raw feature, "standard deviation", "range".
    """
    values = centered_weights(weight)
    size = np.abs(np.where(np.isfinite(values), values, 0.0))
    largest = float(size.max()) or 1.0
    shown = np.sort(np.argsort(-size.max(axis=1), kind="stable")[:_MOST_FEATURES])
    subtitle = "weight less its mean over the classes" if values.shape[1] > 1 else "weight"
    subtitle += f", per {per} of the feature"
    if len(shown) < len(values):
        subtitle += f"; the {len(shown)} largest of {len(values):,} features"
    values = values[shown]
    n_rows, n_columns = values.shape
    cell = (min(0.9, max(0.6, 2.4 / n_columns), 9.0 / n_columns), min(0.34, 9.0 / n_rows))
    numbered = values.size <= _MOST_WEIGHTS and cell[0] >= 0.4
    figure, _ = _draw_table(
        np.clip(values / largest, -1.0, 1.0) / 2 + 0.5,
        ("feature", [elide(feature_names[row], _LONGEST_NAME) for row in shown]),
        ("class", [elide(name, _LONGEST_NAME) for name in class_names]),
        cell, "RdBu_r",
        [(end / 2 + 0.5, _signed(end * largest, largest)) for end in (-1.0, 0.0, 1.0)],
        [[_signed(value, largest) for value in row] for row in values.tolist()] * numbered,
    )  # fmt: skip
    return style.save(
        figure, path, f"{elide(title, 40)}: weights" if title else "Weights", subtitle
    )


def _signed(value: float, largest: float) -> str:
    """Write a value with its sign, and with digits that suit the largest one."""
    if value == 0.0:
        return "0"
    magnitude = math.floor(math.log10(largest))
    if -4 <= magnitude <= 4:
        return number_text(value, f"+.{max(0, 2 - max(magnitude, 0) - min(magnitude, 0))}f")
    return number_text(value, "+.1e")


@house_style()
def draw_heat_map(
    values: Array, ran: NDArray[np.bool_], rows: Side, columns: Side, measure: Measure,
    path: Path, *, title: str = "", subtitle: str = "",
) -> Figure:  # fmt: skip
    """Draw a metric for each pair of two numbers as a PNG, the better the brighter.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        In the unit of the metric, rows from the bottom; one at least is finite.
    ran : ndarray of shape (n_rows, n_columns)
        Which pairs were run: a NaN elsewhere is no failure.
    rows, columns : (name, labels)
        The two numbers and their values.
    measure : Measure
    path : Path
    title, subtitle : str
    """
    values, ran = values[::-1], ran[::-1]  # a table is written from the top
    failed = ran & np.isnan(values)
    texts = np.where(failed, "\N{MULTIPLICATION SIGN}", "").astype(object)
    if values.size <= _MOST_METRICS:
        for at in zip(*np.nonzero(np.isfinite(values)), strict=True):
            texts[at] = number_text(float(values[at]), "#.3g")
    n_rows, n_columns = values.shape
    shares, ticks = _colored(values, measure)
    figure, axes = _draw_table(
        shares, (rows[0], rows[1][::-1]), columns,
        (min(0.9, max(0.55, 3.2 / n_columns), 9.0 / n_columns), min(0.46, 9.0 / n_rows)),
        "viridis" if measure.higher_is_better else "viridis_r", ticks, texts.tolist(),
    )  # fmt: skip
    best = measure.best(values.ravel())
    if best is not None:
        row, column = divmod(best, n_columns)
        for color, width in (("white", 4.5), ("black", 2.0)):
            frame = Rectangle((column, row), 1.0, 1.0, edgecolor=color, linewidth=width)
            frame.set(fill=False, zorder=4, clip_on=False)
            axes.add_patch(frame)
    notes = [f"{measure.label}, brighter is better, framed: the best", subtitle]
    notes += ["\N{MULTIPLICATION SIGN}: no finite value"] * bool(failed.any())
    notes += ["grey: not run"] * bool(not ran.all())
    return style.save(figure, path, title, "; ".join(filter(None, notes)))


def _colored(values: Array, measure: Measure) -> tuple[Array, list[tuple[float, str]]]:
    """Return positions on the colour map, and what its ends and its middle mean.

    Outliers take the colour of the worst end.
    """
    usual = values[measure.plottable(values)]
    low, high = float(usual.min()), float(usual.max())
    if low == high:
        return np.where(np.isnan(values), np.nan, 0.5), [(0.5, number_text(low, "#.3g"))]
    middle, shares = low / 2 + high / 2, np.clip(values, low, high)
    if low > 0.0 and measure.kind != "accuracy" and needs_log_scale(usual, DECADE):
        middle, shares = math.sqrt(low) * math.sqrt(high), np.log(shares)
        low_end, high_end = math.log(low), math.log(high)
    else:
        low_end, high_end = low, high
    texts = [number_text(value, "#.3g") for value in (low, middle, high)]
    best = -1 if measure.higher_is_better else 0
    texts[best] += " (best)"
    texts[-1 - best] += " or worse" if np.isfinite(values).sum() > usual.size else ""
    return (shares - low_end) / (high_end - low_end), list(zip((0, 0.5, 1), texts, strict=True))
