"""Verdicts on numbers: every bit counts, the first place is named, and only a cause excuses."""

import math
from typing import Any

import numpy as np
import pytest

from runner.jobs.rerun import Comparison, Verdict
from runner.jobs.rerun.comparison import Difference, Weights, cannot_compare, compare
from runner.training.run_files import Metrics

METRICS: Metrics = {
    ("train/loss", 10): (0.5,),
    ("val/loss", 10): (0.25,),
    ("train/loss", 20): (0.125,),
    ("val/loss", 20): (math.nan,),
}


def weights(dtype: str = "float64") -> dict[str, np.ndarray[Any, Any]]:
    return {
        "layers.0.weight": np.array([[1.0, -2.0], [0.0, 4.0]], dtype),
        "layers.0.bias": np.array([0.5, 0.25], dtype),
    }


def compared(metrics: Metrics = METRICS, left: Weights | None = None, **more: object) -> Comparison:
    """Compare the originals above with what a rerun gave."""
    now = weights() if left is None else left
    then = {name: array.astype(now[name].dtype) for name, array in weights().items()}
    return compare((METRICS, then), (metrics, now), **more)  # type: ignore[arg-type]  # what a test says


def next_up(array: np.ndarray[Any, Any], *index: int) -> None:
    array[index] = np.nextafter(array[index], array.dtype.type(np.inf))


def test_equal_bytes_are_identical_nan_included() -> None:
    comparison = compared()
    assert comparison.verdict is Verdict.IDENTICAL
    assert (comparison.n_values, comparison.n_parameters) == (4, 6)
    assert (comparison.ulps, comparison.relative) == (0, 0)
    assert comparison.is_admitted(None)


@pytest.mark.parametrize(("dtype", "unit"), [("float64", 2.0**-52), ("float32", 2.0**-23)])
def test_one_unit_in_the_last_place_is_found_and_measured(dtype: str, unit: float) -> None:
    left = weights(dtype)
    next_up(left["layers.0.weight"], 1, 1)
    comparison = compared(left=left)
    # 4 is the largest weight, and the next float after it is 4 units of 1 away.
    assert (comparison.ulps, comparison.relative) == (1, pytest.approx(unit))
    now = str(left["layers.0.weight"][1, 1])
    assert comparison.weight == Difference("layers.0.weight[1, 1]", "4.0", now)
    assert comparison.metric is None


def test_a_cause_excuses_one_unit_and_no_large_difference() -> None:
    left = weights()
    next_up(left["layers.0.bias"], 0)
    assert compared(left=left).verdict is Verdict.DIFFERENT
    close = compared(left=left, causes=["BLAS kernel"])
    assert (close.verdict, close.causes) == (Verdict.CLOSE, ("BLAS kernel",))
    left["layers.0.bias"][0] += 1e-5
    assert compared(left=left, causes=["SIMD"]).verdict is Verdict.DIFFERENT


VAL = ("val/loss", 10)


def test_the_first_metric_is_the_one_of_the_earliest_step() -> None:
    metric = compared({**METRICS, VAL: (0.3,), ("train/loss", 20): (0.1,)}).metric
    assert metric == Difference("val/loss at step 10", "0.25", "0.3")


@pytest.mark.parametrize(
    ("now", "shown", "counts"), [((), "nothing", (3, 1)), ((0.25, 0.2), "0.25 and 0.2", (4, 0))]
)
def test_no_value_or_a_second_one_at_a_step_is_different(
    now: tuple[float, ...], shown: str, counts: tuple[int, int]
) -> None:
    metrics = {at: values for at, values in {**METRICS, VAL: now}.items() if values}
    comparison = compared(metrics, causes=["CPU"])
    assert comparison.verdict is Verdict.DIFFERENT
    assert comparison.metric == Difference("val/loss at step 10", "0.25", shown)
    assert (comparison.n_values, comparison.n_one_sided) == counts


def test_nan_beside_a_number_is_beyond_any_tolerance() -> None:
    comparison = compared({**METRICS, ("val/loss", 20): (0.1,)}, causes=["CPU"])
    assert comparison.verdict is Verdict.DIFFERENT
    assert math.isinf(comparison.relative)
    assert not comparison.is_admitted(1e300)


def test_the_sign_of_zero_is_a_bit() -> None:
    left = weights()
    left["layers.0.weight"][1, 0] = -0.0
    comparison = compared(left=left)
    assert comparison.verdict is Verdict.DIFFERENT
    assert comparison.weight == Difference("layers.0.weight[1, 0]", "0.0", "-0.0")


def test_units_are_counted_through_zero() -> None:
    left = weights()
    left["layers.0.weight"][1, 0] = -5e-324
    assert compared(left=left).ulps == 1


def test_other_shapes_are_different_and_named() -> None:
    left = {**weights(), "layers.0.bias": np.array([0.5, 0.25, 0.0])}
    comparison = compared(left=left, causes=["data digest"])
    assert comparison.verdict is Verdict.DIFFERENT
    assert comparison.weight == Difference("layers.0.bias", "shape (2,)", "shape (3,)")
    assert comparison.n_parameters == 4  # what has one shape can be compared


def test_other_data_are_never_called_identical() -> None:
    comparison = compared(causes=["data digest"], same_data=False)
    assert comparison.verdict is Verdict.CLOSE
    assert not comparison.is_admitted(None)
    assert comparison.is_admitted(0.0)


def test_a_record_that_was_changed_is_different_whatever_the_bits_and_tolerance() -> None:
    comparison = compared(findings=["weights.npz: was changed after the run"])
    assert comparison.verdict is Verdict.DIFFERENT
    assert not comparison.is_admitted(1.0)


def test_tolerance_admits_up_to_itself() -> None:
    left = weights()
    left["layers.0.weight"][1, 1] = 4.0 + 4e-3  # relative to the largest of the array, itself
    comparison = compared(left=left)
    assert comparison.verdict is Verdict.DIFFERENT
    assert comparison.is_admitted(1.1e-3)
    assert not comparison.is_admitted(0.9e-3)


def test_what_cannot_be_compared_is_never_admitted() -> None:
    comparison = cannot_compare("the weights are missing")
    assert comparison.verdict is Verdict.CANNOT_COMPARE
    assert not comparison.is_admitted(1.0)
    assert comparison.tags == {"runner.verdict": "CANNOT COMPARE"}
