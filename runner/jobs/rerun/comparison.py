"""Compare a result with the one that it should repeat: the verdict, and where they first differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.training.run_files import Metrics, bits

Weights = Mapping[str, NDArray[Any]]

# Training amplifies a last bit: in float64 to 5e-15 after 5,000 steps, in float32 to 5e-3 where an
# input of a ReLU crosses zero. Beyond these, relative to the largest value of an array or a
# metric, no other library or processor is an excuse.
CLOSE_WITHIN = {"float64": 1e-6, "float32": 2e-2}


class Verdict(StrEnum):
    """IDENTICAL: all bytes. CLOSE: small differences that have a cause. DIFFERENT: any others."""

    IDENTICAL = "IDENTICAL"
    CLOSE = "CLOSE"
    DIFFERENT = "DIFFERENT"
    CANNOT_COMPARE = "CANNOT COMPARE"


@dataclass(frozen=True)
class Difference:
    """The first value that differs: ``val/loss at step 300``, and both values there."""

    location: str
    original: str
    rerun: str


@dataclass(frozen=True)
class Comparison:
    """How a rerun compares with its original."""

    verdict: Verdict
    n_values: int = 0  # of metrics, that both have
    n_parameters: int = 0  # that both have
    # What can have changed bits: another processor or library, other code, other data.
    causes: tuple[str, ...] = ()
    # What is wrong with the record itself, such as an edited part; for CANNOT COMPARE the reason.
    findings: tuple[str, ...] = ()
    n_one_sided: int = 0  # values that only one of them has
    # The first metric by step, and the first parameter by layer, that differ.
    metric: Difference | None = None
    weight: Difference | None = None
    # The largest difference: in units in the last place, inf where there is no such number, and
    # relative to the largest value of its metric or array.
    ulps: float = 0.0
    relative: float = 0.0

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the rerun."""
        return {"runner.verdict": str(self.verdict)}

    @property
    def differs(self) -> bool:
        """Whether a bit differs, or the record is not what the run left."""
        return self.verdict in {Verdict.CLOSE, Verdict.DIFFERENT}

    @property
    def shows_edited_metric(self) -> bool:
        """Whether only a metric differs, of the same weights and without a cause."""
        return self.metric is not None and self.weight is None and not self.causes

    def is_admitted(self, tolerance: float | None) -> bool:
        """Tell whether a person who admits relative differences up to `tolerance` admits this."""
        if not self.differs or tolerance is None:
            return self.verdict is Verdict.IDENTICAL
        is_sound = not self.findings and not self.shows_edited_metric
        return is_sound and self.relative <= tolerance


def cannot_compare(reason: str) -> Comparison:
    """Return the comparison with what cannot be compared."""
    return Comparison(Verdict.CANNOT_COMPARE, findings=(reason,))


def compare(
    original: tuple[Metrics, Weights],
    rerun: tuple[Metrics, Weights],
    *,
    causes: Sequence[str] = (),
    findings: Sequence[str] = (),
    same_data: bool = True,
) -> Comparison:
    """Compare every metric at every step, and the weights, by their bytes.

    The parameters of both are of one type. With any `findings` the verdict is DIFFERENT, and
    without the `same_data` it is never IDENTICAL.
    """
    metric = _first_metric(original[0], rerun[0])
    weight = _first_weight(original[1], rerun[1])
    ulps, relative = 0.0, 0.0
    if metric is not None or weight is not None:
        largest = [_largest_difference(*pair) for pair in _pairs(original, rerun)]
        ulps, relative = (max(column) for column in zip(*largest, strict=True))
    bound = max(CLOSE_WITHIN[array.dtype.name] for array in original[1].values())
    if findings:
        verdict = Verdict.DIFFERENT
    elif metric is None and weight is None:
        verdict = Verdict.IDENTICAL if same_data else Verdict.CLOSE
    elif causes and relative <= bound:
        verdict = Verdict.CLOSE
    else:
        verdict = Verdict.DIFFERENT
    return Comparison(
        verdict,
        n_values=len(original[0].keys() & rerun[0].keys()),
        n_parameters=sum(
            w.size for name, w in original[1].items() if w.shape == rerun[1][name].shape
        ),
        causes=tuple(causes),
        findings=tuple(findings),
        n_one_sided=len(original[0].keys() ^ rerun[0].keys()),
        metric=metric,
        weight=weight,
        ulps=ulps,
        relative=relative,
    )


def _first_metric(original: Metrics, rerun: Metrics) -> Difference | None:
    """Find the earliest step at which a metric differs, or is missing on one side."""
    # Within a step in the order in which a run records them.
    order = {name: rank for rank, (name, _) in reversed([*enumerate([*rerun, *original])])}
    for name, step in sorted({*original, *rerun}, key=lambda at: (at[1], order[at[0]])):
        then, now = original.get((name, step), ()), rerun.get((name, step), ())
        if bits(then) != bits(now):
            return Difference(f"{name} at step {step:,}", _written(then), _written(now))
    return None


def _written(values: Sequence[float]) -> str:
    return " and ".join(repr(float(value)) for value in values) or "nothing"


def _first_weight(original: Weights, rerun: Weights) -> Difference | None:
    """Find the first parameter, layer by layer, whose bytes differ."""
    for name, then in original.items():
        now = rerun[name]
        if then.shape != now.shape:  # trained on other data
            return Difference(name, f"shape {then.shape}", f"shape {now.shape}")
        differ = np.argwhere(_as_integers(then) != _as_integers(now))
        if len(differ):
            index = tuple(map(int, differ[0]))
            location = f"{name}[{', '.join(map(str, index))}]"
            return Difference(location, _digits(then[index]), _digits(now[index]))
    return None


def _as_integers(values: NDArray[Any]) -> NDArray[Any]:
    """Return the bits of floats as whole numbers."""
    return np.ascontiguousarray(values).view(f"i{values.dtype.itemsize}")


def _digits(value: np.floating[Any]) -> str:
    """Write a number with all its digits, as short as its type needs."""
    is_plain = np.isfinite(value) and (value == 0 or 1e-5 < abs(float(value)) < 1e16)
    return np.format_float_positional(value, unique=True, trim="0") if is_plain else str(value)


def _pairs(
    original: tuple[Metrics, Weights], rerun: tuple[Metrics, Weights]
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Pair what has one scale: an array of parameters, a metric over its steps."""
    columns: dict[str, list[tuple[float, float]]] = {}
    for at in dict.fromkeys([*original[0], *rerun[0]]):
        then, now = original[0].get(at, ()), rerun[0].get(at, ())
        # Where one side has none, or more than one, there is no measure of the difference.
        pair = (then[0], now[0]) if len(then) == len(now) == 1 else (0.0, math.nan)
        columns.setdefault(at[0], []).append(pair)
    weights = [(array, rerun[1][name]) for name, array in original[1].items()]
    metrics = [np.array(pairs).T for pairs in columns.values()]
    return weights + [(before, after) for before, after in metrics]


def _largest_difference(then: NDArray[Any], now: NDArray[Any]) -> tuple[float, float]:
    """Return the largest difference in last places, and relative to the largest value."""
    if then.shape != now.shape:
        return math.inf, math.inf
    is_number = ~(np.isnan(then) & np.isnan(now))
    then, now = then[is_number], now[is_number]
    if np.array_equal(then, now):
        return 0.0, 0.0
    if not (np.isfinite(then).all() and np.isfinite(now).all()):
        return math.inf, math.inf
    ulps = max(abs(a - b) for a, b in zip(_ranks(then), _ranks(now), strict=True))
    with np.errstate(over="ignore"):
        largest = float(np.abs(then - now).max())
    return float(ulps), largest / float(max(np.abs(then).max(), np.abs(now).max()))


def _ranks(values: NDArray[Any]) -> list[int]:
    """Return the rank of each float: neighbours differ by one, through zero too."""
    lowest = -(1 << (8 * values.dtype.itemsize - 1))
    return [bit if bit >= 0 else lowest - bit for bit in _as_integers(values).ravel().tolist()]
