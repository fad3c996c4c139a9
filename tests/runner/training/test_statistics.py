import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from runner.training.outcome import Outcome, Status
from runner.training.statistics import (
    Configuration,
    choice_on_test,
    compare,
    configurations,
    half_width,
    ranked,
    summarize,
)

Outcomes = list[Outcome]
# Not so small that NumPy's squares of them vanish.
FINITE = st.integers(-(10**9), 10**9).map(lambda thousandths: thousandths / 1000)


def job(loss: float | None, status: Status = "FINISHED", **varied: str) -> Outcome:
    metrics = {} if loss is None else {"val/loss": loss, "val/accuracy": 1 - loss}
    return Outcome(f"{varied}", "", status, varied, metrics, None, 1.0)


def seeds(losses: list[float], first: int = 0, **varied: str) -> Configuration:
    """One configuration, whose seeds count up from the first."""
    jobs = [job(loss, **varied, seed=f"{seed}") for seed, loss in enumerate(losses, start=first)]
    (folded,) = configurations(jobs)
    return folded


# Tables of Student's t give 12.706 for one degree of freedom, 4.303 for two and 2.776 for four.
@pytest.mark.parametrize(
    ("values", "mean", "std", "half"),
    [
        ([1, 3], 2, math.sqrt(2), 12.706),  # s / sqrt(n) is 1
        ([1, 2, 3], 2, 1, 4.303 / math.sqrt(3)),
        ([2, 4, 4, 4, 6], 4, math.sqrt(2), 2.776 * math.sqrt(2 / 5)),
    ],
)
def test_summary_worked_by_hand(values: list[float], mean: float, std: float, half: float) -> None:
    summary = summarize(values)
    assert (summary.n, summary.mean) == (len(values), mean)
    assert summary.std == pytest.approx(std, rel=1e-15)  # the last bit of a root
    # The tables have three decimals.
    assert summary.half_width == pytest.approx(half, abs=5e-4)
    assert (summary.low + summary.high) / 2 == pytest.approx(mean, rel=1e-15)


@given(st.lists(FINITE, min_size=2, max_size=40))
def test_summary_is_that_of_scipy(values: list[float]) -> None:
    summary = summarize(values)
    # Where values nearly cancel, what rounding leaves is small beside the largest of them.
    close = {"rtol": 1e-9, "atol": 1e-12 * max(map(abs, values))}
    np.testing.assert_allclose(summary.mean, np.mean(values), **close)
    np.testing.assert_allclose(summary.std, np.std(values, ddof=1), **close)
    if summary.std > 1e-6 * max(map(abs, values)):  # else SciPy warns of what it cannot tell
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        np.testing.assert_allclose((summary.low, summary.high), expected, **close)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(2, 12))
def test_equal_values_vary_by_nothing(value: float, n: int) -> None:
    summary = summarize([value] * n)
    assert (summary.mean, summary.std, summary.low, summary.high) == (value, 0, value, value)


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([0.25], 0.25),
        ([1.0, math.nan], math.nan),
        ([math.inf, 1.0], math.inf),
        ([-math.inf, 1.0], -math.inf),
        ([math.inf, -math.inf], math.nan),
    ],
)
def test_one_value_and_values_that_are_not_finite_have_no_interval(
    values: list[float], mean: float
) -> None:
    summary = summarize(values)
    assert summary.n == len(values)
    assert summary.mean == pytest.approx(mean, nan_ok=True)
    assert all(map(math.isnan, (summary.std, summary.low, summary.high)))


def test_the_largest_numbers_and_those_of_numpy_are_summed_up_too() -> None:
    summary = summarize([1e308, 0.0, 1e308])
    assert summary.mean == pytest.approx(1e308 / 3 * 2)
    assert summary.std == pytest.approx(1e308 / math.sqrt(3))
    assert summarize(list(np.float32([1.5, 2.5]))) == summarize([1.5, 2.5])


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^values: must be at least one, got none\.$"):
        summarize([])


def test_jobs_are_folded_over_their_seeds_in_order_of_appearance() -> None:
    jobs = [job(0.1, rate=rate, seed=seed) for seed in "012" for rate in ("b", "a")]
    folded = configurations(jobs)
    assert [one.varied for one in folded] == [{"rate": "b"}, {"rate": "a"}]
    assert [list(one.outcomes) for one in folded] == [jobs[::2], jobs[1::2]]


def test_jobs_are_folded_over_splits_in_any_order_of_settings() -> None:
    jobs = [job(0.1, **{"split.seed": n, "split.fold": n, "rate": "a"}) for n in "01"]
    assert [one.varied for one in configurations(jobs)] == [{"rate": "a"}]
    jobs = [job(0.1, a="1", b="2", seed="0"), job(0.1, seed="1", b="2", a="1")]
    assert len(configurations(jobs)) == 1


@pytest.mark.parametrize("varied", [{"rate": "a"}, {}])
def test_without_a_seed_each_job_is_a_configuration(varied: dict[str, str]) -> None:
    jobs = [job(0.1, **varied), job(0.2, **varied)]
    folded = configurations(jobs)
    assert [one.outcomes for one in folded] == [(jobs[0],), (jobs[1],)]
    assert [one.varied for one in folded] == [varied, varied]


def test_only_finished_runs_are_summed_up() -> None:
    (folded,) = configurations([
        job(1.0, seed="0"),
        job(9.0, "FAILED", seed="1"),
        job(3.0, seed="2"),
        job(9.0, "KILLED", seed="3"),
        job(None, seed="4"),
    ])  # fmt: skip
    summary = folded.summary("val/loss")
    assert summary is not None
    assert (summary.n, summary.mean) == (2, 2.0)
    assert folded.values("val/loss") == {("", ""): {"0": 1.0, "2": 3.0}}
    assert [run.varied["seed"] for run in folded.failures] == ["1", "3"]


def test_where_no_run_has_the_metric_there_is_no_summary() -> None:
    assert seeds([1.0, 2.0]).summary("test/loss") is None
    (failed,) = configurations([job(1.0, "FAILED", seed="0")])
    assert failed.summary("val/loss") is None


def test_the_best_mean_comes_first_and_unknown_ones_last() -> None:
    bad, good = seeds([0.1, 0.8], rate="bad"), seeds([0.3, 0.4], rate="good")
    diverged = seeds([0.0, math.nan], rate="diverged")
    (missing,) = configurations([job(None, rate="missing", seed="0")])
    given_order = [diverged, bad, missing, good]
    assert ranked(given_order, "val/loss") == [good, bad, diverged, missing]
    assert ranked(given_order, "val/accuracy") == [good, bad, diverged, missing]


def test_comparison_worked_by_hand() -> None:
    # Differences 1, 2, 3 although the values themselves spread ten times as far.
    comparison = compare(seeds([11, 22, 33], rate="a"), seeds([10, 20, 30], rate="b"), "val/loss")
    assert comparison is not None
    assert (comparison.n, comparison.difference) == (3, 2)
    # Tables of Student's t have three decimals.
    assert comparison.low == pytest.approx(2 - 4.303 / math.sqrt(3), abs=1e-3)
    assert comparison.high == pytest.approx(2 + 4.303 / math.sqrt(3), abs=1e-3)
    assert not comparison.distinguishable


@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)), min_size=2))
def test_comparison_is_the_paired_test_of_scipy(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    comparison = compare(seeds([*first], rate="a"), seeds([*second], rate="b"), "val/loss")
    assert comparison is not None
    differences = np.subtract(first, second)
    if np.ptp(differences) == 0:  # SciPy divides by zero here
        assert comparison.is_constant
        assert not comparison.distinguishable
        assert math.isnan(comparison.p_value)
        return
    result = stats.ttest_rel(first, second)
    expected = result.confidence_interval(0.95)
    # Rounding of the mean, beside values of up to a thousand.
    np.testing.assert_allclose((comparison.low, comparison.high), expected, rtol=1e-9, atol=1e-9)
    if abs(result.pvalue - 0.05) > 1e-9:
        assert comparison.distinguishable == (result.pvalue < 0.05)


def test_comparison_is_over_common_seeds_alone() -> None:
    first, second = seeds([5.0, 1.0, 2.0, 4.0], rate="a"), seeds([1.0, 2.0, 9.0], first=1, rate="b")
    comparison = compare(first, second, "val/loss")
    assert comparison is not None
    assert (comparison.n, comparison.difference) == (3, pytest.approx((0 + 0 - 5) / 3, rel=1e-15))


def test_fewer_than_two_common_seeds_are_not_compared() -> None:
    one = seeds([1.0, 2.0], rate="a")
    (without,) = configurations([job(2.0, rate="b")])
    for other in (seeds([1.0, 2.0], first=1, rate="b"), seeds([1.0], first=2, rate="b"), without):
        assert compare(one, other, "val/loss") is None


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_nothing_is_told_apart_by_what_is_not_finite(loss: float) -> None:
    comparison = compare(seeds([loss, 2.0], rate="a"), seeds([1.0, 1.0], rate="b"), "val/loss")
    assert comparison is not None
    assert not comparison.distinguishable
    assert math.isnan(comparison.low)


def test_intervals_of_any_number_of_values_are_as_wide_as_those_of_scipy() -> None:
    for n in (*range(2, 301), 1000, 100_000):
        quantile = stats.t.ppf(0.975, n - 1)
        # 1e-11: what the expansion for many degrees of freedom leaves out.
        assert half_width(n, 1.0) == pytest.approx(quantile / math.sqrt(n), rel=1e-11)


def test_scipy_is_not_imported_for_an_interval() -> None:
    code = (
        "import sys; from runner.training.statistics import summarize\n"
        "summarize([0.5, 0.6]); assert 'scipy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def folds(values: list[list[float]], rows: dict[str, int] | None = None, **varied: str) -> Outcomes:
    """Return the runs of one configuration: a list of losses for each fold, one for each seed."""
    return [
        replace(job(loss, **varied, seed=f"{seed}", **{"split.fold": f"{fold}"}), rows=rows or {})
        for fold, losses in enumerate(values)
        for seed, loss in enumerate(losses)
    ]


ROWS = {"train": 60, "val": 15, "test": 25}


@pytest.mark.parametrize(("rows", "ratio"), [(ROWS, 15 / 60), (None, 1 / 2)])
def test_the_interval_over_folds_worked_by_hand(rows: dict[str, int] | None, ratio: float) -> None:
    # Seeds are averaged first: 1, 2 and 3, with s = 1. Student's t is 4.303 for two degrees.
    (folded,) = configurations(folds([[0.0, 2.0], [2.0], [2.0, 4.0, 3.0]], rows))
    summary = folded.summary("val/loss")
    assert summary is not None
    assert (summary.n, summary.mean, summary.std) == (3, 2.0, 1.0)
    assert summary.half_width == pytest.approx(4.303 * math.sqrt(1 / 3 + ratio), abs=1e-3)


def test_the_comparison_over_folds_worked_by_hand() -> None:
    first = folds([[11, 13], [22, 22], [33, 35]], ROWS, rate="a")
    second = folds([[10], [20, 20], [30, 32], [7]], ROWS, rate="b")
    comparison = compare(*configurations([*first, *second]), "val/loss")
    assert comparison is not None
    # Differences of the folds: 1 (of the common seed), 2 and 3.
    assert (comparison.n, comparison.n_splits, comparison.difference) == (3, 3, 2.0)
    half_width = 4.303 * math.sqrt(1 / 3 + 15 / 60)
    assert comparison.low == pytest.approx(2 - half_width, abs=2e-3)


def test_the_corrected_test_errs_in_five_percent_of_simulated_folds() -> None:
    # Folds as Nadeau and Bengio take them: correlated by n_eval / (n_eval + n_train), here 0.2.
    rng, wrong, naive = np.random.default_rng(0), 0, 0
    for _ in range(500):
        shared, own = rng.normal(size=1), rng.normal(size=5)
        of_folds = math.sqrt(0.2) * shared + math.sqrt(0.8) * own
        runs = of_folds[:, None] + 0.05 * rng.normal(size=(5, 3))  # three seeds
        first = folds(runs.tolist(), ROWS, rate="a")
        comparison = compare(
            *configurations([*first, *folds([[0.0] * 3] * 5, rate="b")]), "val/loss"
        )
        assert comparison is not None
        wrong += comparison.distinguishable
        naive += stats.ttest_1samp(runs.ravel(), 0).pvalue < 0.05
    # 25 are expected of 500, with a standard deviation of 5.
    assert 10 <= wrong <= 40
    assert naive > 200  # had seeds and folds been taken for 15 values


def test_the_test_of_the_choice_takes_in_each_fold_what_its_validation_rows_choose() -> None:
    jobs = []
    for rate, val, test in (("a", [0.1, 0.5], [0.2, 0.9]), ("b", [0.4, 0.3], [0.1, 0.6])):
        for one, loss in zip(folds([[v] for v in val], ROWS, rate=rate), test, strict=True):
            jobs.append(replace(one, metrics={**one.metrics, "test/loss": loss}))
    summary = choice_on_test(configurations(jobs), "val/loss")
    assert summary is not None
    # a in the first fold, b in the second; t is 12.706, s / sqrt(2) is 0.2.
    assert (summary.n, summary.mean) == (2, pytest.approx(0.4))
    std = 0.4 / math.sqrt(2)
    assert summary.half_width == pytest.approx(12.706 * std * math.sqrt(1 / 2 + 25 / 60), abs=1e-3)
    assert choice_on_test(configurations(jobs), "test/loss") is None
    assert choice_on_test(configurations(jobs[::2]), "val/loss") is None
