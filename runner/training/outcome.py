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

_AMONG_EQUALS = ("val/loss", "val/accuracy")


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


def best_first(
    items: Iterable[T],
    metric: str,
    value: Callable[[T], float | None],
    further: Callable[[T, str], float | None] | None = None,
) -> list[T]:
    """Sort by the values of a metric, the best first; NaN and None come last, in their order.

    Parameters
    ----------
    items : iterable
    metric : str
        By which they are sorted.
    value : callable
        Gives the value of an item.
    further : callable, optional
        Gives the value of an item by another metric: of what is equally good, that is first which
        is better by the loss and then by the accuracy on validation rows. Beyond that, and without
        it, equals keep their order.

    Examples
    --------
    >>> best_first([0.5, None, 0.9], "val/accuracy", lambda share: share)
    [0.9, 0.5, None]
    """
    equals = _put_together(items, metric, lambda item, _: value(item))
    if further is not None:
        for other in _AMONG_EQUALS:
            equals = [finer for each in equals for finer in _put_together(each, other, further)]
    return [item for each in equals for item in each]


def _put_together(
    items: Iterable[T], metric: str, value: Callable[[T, str], float | None]
) -> list[list[T]]:
    """Put together what is equally good by a metric, the best first, each in its order."""
    given = list(items)
    if len(given) == 1:
        return [given]  # without asking for a value that decides nothing
    sign = -1.0 if higher_is_better(metric) else 1.0

    def place(found: float | None) -> tuple[bool, float]:
        return (True, 0.0) if found is None or math.isnan(found) else (False, sign * found)

    equals: dict[tuple[bool, float], list[T]] = {}
    for item in given:
        equals.setdefault(place(value(item, metric)), []).append(item)
    return [equals[found] for found in sorted(equals)]


def by_settings(outcome: Outcome) -> list[tuple[str, float, str]]:
    """Return by what jobs are put in order: their settings, numbers as numbers.

    Examples
    --------
    >>> nine, ten = (Outcome("", "", "FINISHED", {"seed": s}, {}, None, 0.0) for s in ("9", "10"))
    >>> by_settings(nine) < by_settings(ten)
    True
    """
    return [(key, *_as_number(value)) for key, value in outcome.varied.items()]


def _as_number(text: str) -> tuple[float, str]:
    try:
        number = float(text)
    except ValueError:
        return math.inf, text
    return (math.inf, text) if math.isnan(number) else (number, "")
