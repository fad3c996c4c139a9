"""Early stopping: when a run's metric has stopped improving, and which of its weights were best."""

from __future__ import annotations

import math
from dataclasses import dataclass

from softnet.metrics import higher_is_better, is_metric
from softnet.stack.setting_rules import require, require_count, require_not_negative


@dataclass(frozen=True)
class EarlyStopping:
    """Stop once `patience` evaluations in a row brought no improvement; keep the best weights.

    Parameters
    ----------
    metric : str
        A recorded metric, for instance ``val/loss``.
    patience : int
        Evaluations without improvement after which the run stops, 1 or above.
    min_delta : float
        What counts as an improvement must be larger than this.
    """

    metric: str = "val/loss"
    patience: int = 10
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        require(
            is_metric(self.metric), "metric", "a recorded metric such as 'val/loss'", self.metric
        )
        require_count("patience", self.patience, 1)
        require_not_negative("min_delta", self.min_delta)

    def gain(self, value: float, best: float) -> float:
        """Return by how much `value` is better than `best`; above 0 is better."""
        return value - best if higher_is_better(self.metric) else best - value

    @property
    def worst(self) -> float:
        """A value that every finite one improves on."""
        return -math.inf if higher_is_better(self.metric) else math.inf
