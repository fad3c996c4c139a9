"""Optimizers: how parameters follow their gradients.

They see only the flat buffer (runs, n_parameters), so a step is a handful of vector operations
whatever the depth. Every run has settings of its own; where a setting that is off for one run is
on for another in the same stack, the extra operation leaves out the first run's row: a share of
nothing would not do, since ``0 * inf`` is not 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from softnet.stack.arrays import Array, Indices
from softnet.stack.parameters import Parameters
from softnet.stack.settings import NOT_NEGATIVE, POSITIVE, Settings


@dataclass(frozen=True)
class OptimizerSettings(Settings):
    """What every optimizer has.

    Parameters
    ----------
    learning_rate : float
        Size of a step, above 0; a schedule multiplies it.
    weight_decay : float
        L2 penalty added to the gradient of every parameter, biases too, as PyTorch does.
    clip_norm : float or None
        A gradient whose Euclidean norm over all parameters is larger is scaled to this norm.
    """

    learning_rate: float = field(metadata=POSITIVE)
    weight_decay: float = field(default=0.0, metadata=NOT_NEGATIVE)
    clip_norm: float | None = field(default=None, metadata=POSITIVE)


class Optimizer(ABC):
    """Updates the parameters of a stack; all that it remembers is in `state`.

    Parameters
    ----------
    settings : sequence of Settings
        One per run.
    parameters : Parameters
        What is updated, in place.
    """

    Settings = OptimizerSettings
    STATE: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Sequence[OptimizerSettings], parameters: Parameters) -> None:
        self.parameters = parameters
        self.state = {name: np.zeros_like(parameters.values) for name in self.STATE}
        self._take(tuple(settings))

    def _take(self, settings: tuple[OptimizerSettings, ...]) -> None:
        """Lay out the settings as columns (runs, 1) in the parameters' dtype."""
        self.settings = settings
        self._rates: tuple[float, ...] = ()
        self._scratch = np.empty_like(self.parameters.values)
        self._decay = self._column(lambda run: run.weight_decay)
        self._clip = self._column(lambda run: math.inf if run.clip_norm is None else run.clip_norm)
        self._decays = bool(np.any(self._decay > 0))
        self._spared = np.flatnonzero(self._decay == 0)
        self._clips = bool(np.any(np.isfinite(self._clip)))

    def _rows_where(self, rows: NDArray[np.bool]) -> NDArray[np.bool] | bool:
        """Turn a column (runs, 1) into `where` of a ufunc: all rows, none, or these."""
        return rows if rows.any() and not rows.all() else bool(rows.any())

    def _column(self, setting: Callable[[Any], float]) -> Array:
        with np.errstate(over="ignore"):  # a number too large for float32 is infinite there
            return self.as_column([setting(run) for run in self.settings])

    def as_column(self, values: Sequence[float]) -> Array:
        """Return one number per run as a column (runs, 1), or as one number if all are equal.

        It is in the parameters' dtype: a float64 column would turn float32 gradients into float64.
        """
        dtype = self.parameters.values.dtype
        if len(set(values)) == 1:
            # The same bits as with a column, at half the cost for a small network.
            return np.array(values[0], dtype)
        return np.array(values, dtype).reshape(-1, 1)

    @abstractmethod
    def step(self, learning_rates: Sequence[float], t: int) -> None:
        """Update the parameters by their gradients, which may be overwritten.

        With the rate of each run that is left, as Python floats; this is update number `t`, from 1.
        """

    def keep(self, rows: Indices) -> None:
        """Go on with the runs at these positions among those left, as the parameters do."""
        self.state = {
            name: np.array(array[rows], order=self.parameters.order)
            for name, array in self.state.items()
        }
        self._take(tuple(self.settings[row] for row in rows))

    def clip_and_decay(self) -> Array:
        """Return the gradients, clipped and then with the penalty's part, in place."""
        gradients = self.parameters.gradients
        if self._clips:
            # A copy only where memory holds them parameter by parameter.
            rows = np.ascontiguousarray(gradients)
            squares = np.matmul(rows[:, None, :], rows[:, :, None])
            norms = np.sqrt(squares.reshape(-1, 1))
            too_long = norms > self._clip
            factors = np.ones_like(norms)
            np.divide(self._clip, norms, out=factors, where=too_long)
            np.multiply(gradients, factors, out=gradients)
        if self._decays:
            np.multiply(self.parameters.values, self._decay, out=self._scratch)
            if len(self._spared):
                # To leave rows out of the sum, by `where`, takes three times as long.
                self._scratch[self._spared] = -0.0  # which changes no number it is added to
            np.add(gradients, self._scratch, out=gradients)
        return gradients
