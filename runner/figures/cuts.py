"""Marks at the frame where it cuts a spread short, so that nobody takes the edge for its end.

It must not know what spreads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from runner.figures import style as canvas
from runner.figures.sheet import Entry

_MARK: dict[str, Any] = {
    "markersize": 4.5, "markerfacecolor": "white", "markeredgewidth": 1.0, "linestyle": "",
}  # fmt: skip


#: What the marks mean, for the legend.
ENTRY = Entry("goes on beyond the scale", {"marker": "^", "color": canvas.MUTED, **_MARK})


def cut_ends(
    low: NDArray[np.float64], high: NDArray[np.float64], limits: tuple[float, float]
) -> NDArray[np.bool_]:
    """Tell which ends lie outside of the frame: of shape (2, n), the lower ones first.

    NaN is no end.
    """
    return np.stack([low < limits[0], high > limits[1]])


def mark(axes: Axes, x: NDArray[np.float64], cut: NDArray[np.bool_], color: str) -> None:
    """Draw a mark at the frame for each end that is cut, pointing to where it lies.

    Parameters
    ----------
    axes : Axes
    x : ndarray of shape (n,)
        Where they stand.
    cut : ndarray of shape (2, n)
        Which lower and which upper ends are cut, as `cut_ends` gives them.
    color : str
    """
    for found, edge, marker in zip(cut, (0.0, 1.0), ("v", "^"), strict=True):
        if found.any():
            axes.plot(
                x[found], np.full(int(found.sum()), edge), marker=marker, color=color, zorder=3.5,
                transform=axes.get_xaxis_transform(), clip_on=False, **_MARK,
            )  # fmt: skip


def middles(cut: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep of neighbours in a row the one in the middle: a band needs no mark at each step.

    Parameters
    ----------
    cut : ndarray of shape (2, n)
        As `cut_ends` gives it.

    Examples
    --------
    >>> middles(np.array([[True, True, True, False, True]])).astype(int).tolist()
    [[0, 1, 0, 0, 1]]
    """
    kept = np.zeros_like(cut)
    for row, found in enumerate(cut):
        changes = np.diff(np.concatenate([[0], found.astype(int), [0]]))
        for first, end in np.flatnonzero(changes).reshape(-1, 2):
            kept[row, (first + end - 1) // 2] = True
    return kept
