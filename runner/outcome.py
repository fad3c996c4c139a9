"""What became of one job, and which of several came out best.

Whoever runs jobs makes outcomes; whoever sums up, prints or draws sees nothing else of a run. It
must not know how a job is run, stored or shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from softnet import higher_is_better

Status = Literal["FINISHED", "FAILED", "KILLED"]
T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Parameters
    ----------
    name : str
        What the store shows it as.
    run_id : str
        Its id in the store.
    status : "FINISHED", "FAILED" or "KILLED"
    varied : mapping of str to str
        The overrides by which it differs from the others, by dotted key, as they were written.
    metrics : mapping of str to float
        Final values, such as ``val/loss``.
    failure : str or None
        Why it did not finish.
    duration_s : float
        Seconds from its start to its end.
    n_steps : int or None
        Updates that it took.
    """

    name: str
    run_id: str
    status: Status
    varied: Mapping[str, str]
    metrics: Mapping[str, float]
    failure: str | None
    duration_s: float
    n_steps: int | None = None


def best_first(items: Iterable[T], metric: str, value: Callable[[T], float | None]) -> list[T]:
    """Sort by the values of a metric, the best first; NaN and None come last, in their order.

    Examples
    --------
    >>> best_first([0.5, None, 0.9], "val/accuracy", lambda share: share)
    [0.9, 0.5, None]
    """
    sign = -1.0 if higher_is_better(metric) else 1.0

    def place(item: T) -> tuple[bool, float]:
        found = value(item)
        return (True, 0.0) if found is None or math.isnan(found) else (False, sign * found)

    return sorted(items, key=place)
