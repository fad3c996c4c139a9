"""What became of one job, and which of several came out best."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from runner.system.text import elide_apart

Status = Literal["FINISHED", "PRUNED", "FAILED", "KILLED"]
T = TypeVar("T")

# Metrics that get a column beside the one that ranks.
USUAL_METRICS = tuple(
    f"{part}/{kind}" for part in ("val", "test") for kind in ("loss", "accuracy", "rmse")
)
_LONGEST_SETTING = 32
# What the parts of the rows are called in a sentence.
PART_WORDS = {"train": "training", "val": "validation", "test": "test"}
PARTS = tuple(PART_WORDS)


@dataclass(frozen=True)
class Outcome:
    """What became of one job."""

    name: str  # what the store shows it as
    run_id: str  # its id in the store
    # "FINISHED", "PRUNED", "FAILED" or "KILLED". MLflow has no word for a run that a search has
    # stopped early: there it is FINISHED.
    status: Status
    varied: Mapping[str, str]  # the settings by which it differs from the others, by dotted key
    metrics: Mapping[str, float]  # final values, such as ``val/loss``
    failure: str | None  # why it did not finish
    duration_s: float  # seconds of training, from its first step to its last
    n_steps: int | None = None  # updates that it took
    # How many rows it was trained and measured on, by part.
    rows: Mapping[str, int] = field(default_factory=dict)
    pruned_at_step: int | None = None  # the step of its budget at which a search has stopped it
    pruned_at_epoch: int | None = None  # that step as an epoch, of a budget in epochs


def epoch_at(step: int | None, n_train: int, batch_size: int, n_epochs: int) -> int | None:
    """Return the epoch that ends at a step; None where the budget is not in epochs."""
    if not (step and n_train and batch_size and n_epochs):
        return None
    return step // -(-n_train // batch_size)


AnyOutcome = TypeVar("AnyOutcome", bound=Outcome)


def varied_values(varied: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """Return the distinct values of each setting, in order of appearance."""
    values: dict[str, dict[str, None]] = {}
    for one in varied:
        for key, value in one.items():
            values.setdefault(key, {})[value] = None
    return {key: list(distinct) for key, distinct in values.items()}


def varying(varied: Sequence[Mapping[str, object]]) -> list[str]:
    """Return the keys whose values differ, in order of appearance."""
    keys = dict.fromkeys(key for one in varied for key in one)
    return [key for key in keys if len({one.get(key) for one in varied}) > 1]


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Name each setting by the last part of its key, or by all of it where that is another's too.

    Examples
    --------
    >>> short_names(["optimizer.learning_rate", "split.seed"])
    {'optimizer.learning_rate': 'learning_rate', 'split.seed': 'split.seed'}
    """
    keys = list(keys)
    # Runs are grouped over their seeds, so that split.seed must not be shown as seed.
    ends = [key.rpartition(".")[2] for key in dict.fromkeys([*keys, "seed"])]
    return {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=False)}


def varying_settings(varied: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the keys whose values differ, each with the name to show it by."""
    names = short_names(varying(varied))
    return dict(zip(names, elide_apart(names.values(), _LONGEST_SETTING), strict=True))


def further_metrics(recorded: Iterable[str], metric: str) -> list[str]:
    """Return the metrics worth a column beside the one that ranks."""
    others = {*recorded} - {metric}
    return [name for name in USUAL_METRICS if name in others]


def best_first(
    items: Iterable[T],
    metric: str,
    value: Callable[[T], float | None],
    further: Callable[[T, str], float | None] | None = None,
) -> list[T]:
    """Sort by the values of a metric, the best first; NaN and None come last.

    Equals are sorted by `further`, an item's value by another metric: by the loss and then by the
    accuracy on validation rows. Beyond that, and without it, they keep their order.

    Examples
    --------
    >>> best_first([0.5, None, 0.9], "val/accuracy", lambda share: share)
    [0.9, 0.5, None]
    """

    def rank(item: T) -> list[tuple[bool, float]]:
        ranks = [_rank(metric, value(item))]
        if further is not None:
            ranks += [_rank(name, further(item, name)) for name in ("val/loss", "val/accuracy")]
        return ranks

    return sorted(items, key=rank)


def _rank(metric: str, value: float | None) -> tuple[bool, float]:
    if value is None or math.isnan(value):
        return True, 0.0
    from runner.config.plugins import plugins
    from softnet import higher_is_better  # which takes NumPy

    plugins()  # which may have added the metric
    return False, -value if higher_is_better(metric) else value


def is_metric(name: str) -> bool:
    """Tell whether results can be ranked by a metric: a store may have those of other versions."""
    from runner.config.plugins import plugins
    from softnet import is_metric as is_known

    plugins()
    return is_known(name)


def part_of(metric: str) -> str:
    """Return which rows a metric is measured on; empty for what is of none.

    Examples
    --------
    >>> part_of("best/val/loss"), part_of("baseline/test/loss"), part_of("best/step")
    ('val', 'test', '')
    """
    return next((part for part in PARTS if part in metric.split("/")), "")


def best_outcomes(outcomes: Iterable[AnyOutcome], metric: str) -> list[AnyOutcome]:
    """Sort runs by a metric, the best first; those that are equal in it as `best_first` says."""

    def value(outcome: AnyOutcome, name: str = metric) -> float | None:
        return outcome.metrics.get(name)

    return best_first(outcomes, metric, value, value)


def by_settings(outcome: Outcome) -> list[tuple[str, float, str]]:
    """Return what jobs are put in order by: their settings, numbers as numbers.

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


def stored(value: float) -> float:
    """Return a value of a metric as MLflow stores it: an infinity is the largest double."""
    # NaN passes through.
    return value if value - value == 0 else min(max(value, -sys.float_info.max), sys.float_info.max)
