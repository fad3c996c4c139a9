"""How a metric goes with two numbers that were swept: one cell for each pair.

It must not know what was swept, nor how a cell was chosen among several.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from runner.figures import style as canvas
from runner.figures.grid import Grid, Names
from runner.figures.measures import Measure, metric_number
from runner.figures.scales import DECADE, log_scale_serves

# More numbers than this are not read.
_MOST_NUMBERS = 100
_NO_VALUE = "\N{MULTIPLICATION SIGN}"


@canvas.house_style()
def draw_heat_map(
    values: NDArray[np.float64],
    ran: NDArray[np.bool_],
    rows: Names,
    columns: Names,
    measure: Measure,
    path: Path,
    *,
    title: str = "",
    subtitle: str = "",
) -> None:
    """Draw a metric for each pair of two numbers as a PNG, the better the brighter.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        In the unit of the metric, rows from the bottom; one at least is finite.
    ran : ndarray of shape (n_rows, n_columns)
        Which pairs were run: a NaN elsewhere is no failure.
    rows, columns : Names
        The two numbers and their values.
    measure : Measure
        What the cells show.
    path : Path
        The PNG to write.
    title, subtitle : str
        What stands above the picture.
    """
    # The table is written from the top, an axis from the bottom.
    values, ran = values[::-1], ran[::-1]
    rows = Names(rows.side, rows.labels[::-1])
    tame = measure.tame(values.ravel()).reshape(values.shape)
    failed = ran & np.isnan(values)
    scaled, meanings = _scale(values, values[tame], measure)

    told = [f"{measure.label}, brighter is better, framed: the best", subtitle]
    told += [f"{_NO_VALUE}: no finite value"] * bool(failed.any())
    told += ["grey: not run"] * bool(not ran.all())
    n_rows, n_columns = values.shape
    grid = Grid(
        scaled,
        rows,
        columns,
        cell=(min(0.9, max(0.55, 3.2 / n_columns), 9.0 / n_columns), min(0.46, 9.0 / n_rows)),
        colors=mpl.colormaps["viridis" if measure.higher_is_better else "viridis_r"],
        meanings=meanings,
        title=title,
        subtitle="; ".join(filter(None, told)),
    )
    numbered = values.size <= _MOST_NUMBERS
    texts = np.where(failed, _NO_VALUE, "").astype(object)
    for place in np.argwhere(np.isfinite(values) & numbered):
        texts[*place] = metric_number(float(values[*place]))
    grid.write_numbers(texts.tolist())
    best = measure.best(values.ravel())
    if best is not None:
        row, column = divmod(best, n_columns)
        for color, width in (("white", 4.5), ("black", 2.0)):
            grid.axes.add_patch(
                Rectangle(
                    (column - 0.5, row - 0.5), 1.0, 1.0, fill=False, edgecolor=color,
                    linewidth=width, clip_on=False, zorder=4,
                )
            )  # fmt: skip
    grid.save(path)


def _scale(
    values: NDArray[np.float64], tame: NDArray[np.float64], measure: Measure
) -> tuple[NDArray[np.float64], list[tuple[float, str]]]:
    """Return what to colour, and what the ends and the middle of the colours mean.

    Values beyond the tame ones take the colour of the worst end.
    """
    low, high = float(tame.min()), float(tame.max())
    logarithmic = low > 0.0 and measure.kind != "accuracy" and log_scale_serves(tame, DECADE)
    clipped = np.clip(values, low, high)
    if low == high:
        room = abs(low) * 0.1 or 0.5
        return clipped, [(low - room, ""), (low, metric_number(low)), (low + room, "")]
    middle = float(np.sqrt(low * high)) if logarithmic else (low + high) / 2
    texts = [metric_number(value) for value in (low, middle, high)]
    best = -1 if measure.higher_is_better else 0
    texts[best] += " (best)"
    if np.isfinite(values).sum() > tame.size:
        texts[-1 - best] += " or worse"
    places = [low, middle, high]
    if logarithmic:
        clipped, places = np.log10(clipped), np.log10(places).tolist()
    return clipped, list(zip(places, texts, strict=True))
