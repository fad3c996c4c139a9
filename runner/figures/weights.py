"""What a linear model has learned: how much each feature speaks for each class.

It must not know how the weights were found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from runner.figures import style as canvas
from runner.figures.grid import Grid, Names
from runner.system.text import elide

# More rows are a wall; those that weigh most are shown.
_MOST_FEATURES = 40
# More numbers than this are not read.
_MOST_NUMBERS = 200
_NUMBER_CELL = 0.4
_LONGEST_NAME = 28


def evidence(weight: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the part of a linear model's weights that decides.

    Parameters
    ----------
    weight : ndarray of shape (in_features, out_features)

    Returns
    -------
    ndarray of shape (in_features, out_features)
        Each weight less the mean over the classes: softmax does not change when all logits move
        together, so what the classes have in common says nothing, and may well be large.
    """
    found = np.asarray(weight, dtype=np.float64)
    if found.shape[1] == 1:
        return found
    with np.errstate(invalid="ignore"):  # infinite weights say nothing, and are drawn so
        distinct: NDArray[np.float64] = found - found.mean(axis=1, keepdims=True)
    return distinct


@canvas.house_style()
def draw_weights(
    weight: NDArray[np.floating],
    feature_names: Sequence[str],
    class_names: Sequence[str],
    path: Path,
    title: str = "",
    per: str = "unit",
) -> None:
    """Draw the weights of a linear model as a heat map, features x classes, as a PNG.

    Parameters
    ----------
    weight : ndarray of shape (in_features, out_features)
        The only layer's weights.
    feature_names, class_names : sequence of str
        The names of the network's inputs and outputs.
    path : Path
        The PNG to write.
    title : str
        What stands above the picture, for instance the name of the run.
    per : str
        What one step of an input is: "unit" of the raw feature, "standard deviation", "range".
    """
    values = evidence(weight)
    n_features = len(values)
    size = np.abs(np.where(np.isfinite(values), values, 0.0))
    chosen = np.sort(np.argsort(-size.max(axis=1), kind="stable")[:_MOST_FEATURES])
    values = values[chosen]
    largest = float(size.max()) or 1.0
    n_rows, n_columns = values.shape
    cell = (min(0.9, max(0.6, 2.4 / n_columns), 9.0 / n_columns), min(0.34, 9.0 / n_rows))
    subtitle = "weight less its mean over the classes" if n_columns > 1 else "weight"
    subtitle += f", per {per} of the feature"
    if n_rows < n_features:
        subtitle += f"; the {n_rows} largest of {n_features:,} features"
    grid = Grid(
        values,
        Names("feature", [elide(feature_names[row], _LONGEST_NAME) for row in chosen]),
        Names("class", [elide(name, _LONGEST_NAME) for name in class_names]),
        cell=cell,
        colors=mpl.colormaps["RdBu_r"],
        meanings=[(end, _number(end, largest)) for end in (-largest, 0.0, largest)],
        title=f"{elide(title, 40)}: weights" if title else "Weights",
        subtitle=subtitle,
    )
    if values.size <= _MOST_NUMBERS and cell[0] >= _NUMBER_CELL:
        grid.write_numbers([[_number(value, largest) for value in row] for row in values.tolist()])
    grid.save(path)


def _number(value: float, largest: float) -> str:
    """Write a value with its sign, and with digits that suit the largest one."""
    if value == 0.0:
        return "0"
    magnitude = math.floor(math.log10(largest))
    if -4 <= magnitude <= 4:
        return canvas.typeset(f"{value:+.{max(0, 2 - max(magnitude, 0) - min(magnitude, 0))}f}")
    return canvas.typeset(f"{value:+.1e}")
