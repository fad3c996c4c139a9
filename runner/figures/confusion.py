"""Which classes a network takes for which others.

It must not know where the predictions come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from runner.figures import style as canvas
from runner.figures.grid import Grid, Names
from runner.system.text import elide

# Inches; smaller cells hold no number, or no share below it.
_NUMBER_CELL, _SHARE_CELL = 0.2, 0.5
_LONGEST_NAME = 24


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


@canvas.house_style()
def draw_confusion_matrix(
    y_true: NDArray[np.integer],
    y_pred: NDArray[np.integer],
    class_names: Sequence[str],
    path: Path,
    title: str = "",
    split: str = "test",
) -> None:
    """Draw counts, coloured by their share of the true class, as a PNG.

    Parameters
    ----------
    y_true, y_pred : ndarray of shape (n_samples,)
        Class indices.
    class_names : sequence of str
        The name of each index; classes without a row stay in the table, in grey.
    path : Path
        The PNG to write.
    title : str
        What stands above the picture, for instance the name of the run.
    split : str
        Which rows these are.
    """
    n_classes = len(class_names)
    counts = confusion_counts(y_true, y_pred, n_classes)
    of_class = counts.sum(axis=1)
    with np.errstate(invalid="ignore"):
        shares = counts / of_class[:, None]
    own = np.diagonal(shares)
    cell = min(1.1, max(0.62, 3.0 / n_classes), 9.0 / n_classes)
    names = [elide(name, _LONGEST_NAME) for name in class_names]
    n_right, n_rows = int(np.trace(counts)), int(counts.sum())
    right = f"{_percent(n_right / max(n_rows, 1))} of {n_rows:,} {split} rows right"
    grid = Grid(
        shares,
        Names("true (rows)", [f"{name} ({n:,})" for name, n in zip(names, of_class, strict=True)]),
        Names("predicted", names),
        cell=(cell, cell),
        colors=mpl.colormaps["Blues"],
        meanings=[(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")],
        title=f"{elide(title, 40)}: confusion matrix" if title else "Confusion matrix",
        subtitle=f"{right}; colour: share of the true class",
        beside=None if cell >= _SHARE_CELL else Names("right", [_percent(s) for s in own]),
    )
    if cell >= _NUMBER_CELL:
        grid.write_numbers(
            [
                [_cell_text(n, share, cell) for n, share in zip(*row, strict=True)]
                for row in zip(counts.tolist(), shares.tolist(), strict=True)
            ]
        )
    grid.save(path)


def _cell_text(count: int, share: float, cell: float) -> str:
    if count == 0:
        return "0" if cell > 0.9 else ""
    return f"{count:,}\n{_percent(share)}" if cell >= _SHARE_CELL else f"{count:,}"


def _percent(share: float) -> str:
    """Write a share so that only a full one reads 100 %."""
    if np.isnan(share):
        return "\N{EN DASH}"
    digits = 0 if share in (0.0, 1.0) else 1
    percent = min(100.0 * share, 99.9) if share < 1.0 else 100.0
    return f"{percent:.{digits}f} %"
