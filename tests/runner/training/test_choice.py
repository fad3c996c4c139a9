"""What the best of many is worth on new rows."""

import math

import numpy as np
import pytest

from runner.training.choice import (
    difference_on_resamples,
    expected_of_best,
    greedy,
    measure_resamples,
    measure_rows,
    resamples,
)
from runner.training.statistics import Summary
from softnet import Examples, Network, evaluate, metric_named, mlp

ROWS = Examples(np.zeros((200, 1)), np.zeros(200, np.intp))


def test_the_choice_worked_by_hand() -> None:
    chosen_on = np.array([[0.9, 0.1, math.nan], [0.8, 0.5, 0.2]])
    left_out = np.array([[0.3, 9.0, 9.0], [9.0, 0.5, math.nan]])
    best = expected_of_best(chosen_on, left_out, higher_is_better=True)
    assert (best.n, best.mean) == (2, pytest.approx(0.4))  # what nothing was left out of is none
    worst = expected_of_best(chosen_on, left_out, higher_is_better=False)
    assert (worst.n, worst.mean) == (2, pytest.approx(9.0))
    nothing = expected_of_best(chosen_on, left_out * math.nan, higher_is_better=True)
    assert math.isnan(nothing.mean)


def expected(shares_right: list[float], rng: np.random.Generator) -> tuple[float, Summary]:
    """Let candidates be right by chance; return the largest share, and what the best is worth."""
    right = rng.random((len(shares_right), 200)) < np.array(shares_right)[:, None]
    counts, accuracy = resamples(200, 200, int(rng.integers(1000))), metric_named("accuracy")
    sides = [measure_resamples(accuracy, right, ROWS, c) for c in (counts, counts == 0)]
    return right.mean(axis=1).max(), expected_of_best(*sides, higher_is_better=True)


def test_the_known_bias_of_the_best_of_many_is_taken_away() -> None:
    rng = np.random.default_rng(0)
    found = [expected([0.7] * 50, rng) for _ in range(100)]
    # The largest of 50 is 2.25 standard deviations of 0.0324 above 0.7, on average.
    assert np.mean([best for best, _ in found]) == pytest.approx(0.773, abs=0.005)
    assert np.mean([worth.mean for _, worth in found]) == pytest.approx(0.7, abs=0.01)
    assert np.mean([worth.low <= 0.7 <= worth.high for _, worth in found]) >= 0.95


def test_one_that_is_better_by_far_is_worth_what_it_is() -> None:
    rng = np.random.default_rng(1)
    found = [expected([0.95, *[0.7] * 49], rng)[1].mean for _ in range(20)]
    assert np.mean(found) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("name", ["loss", "accuracy", "roc_auc", "f1_macro"])
def test_a_resample_is_measured_as_its_rows_would_be(name: str) -> None:
    rng = np.random.default_rng(0)
    network = Network(mlp([4, 3]), n_runs=2)
    network.parameters.values[:] = rng.normal(size=network.parameters.values.shape)
    X, y, shares = rng.normal(size=(300, 4)), rng.integers(0, 3, 300), rng.uniform(1, 2, 300)
    rows = Examples(X, y, None, shares)
    metric = metric_named(name)
    of_rows, counts = measure_rows(network, rows, metric.of_rows), resamples(300, 3)
    measured = measure_resamples(metric, of_rows, rows, np.vstack([counts, counts[:1] * 0]))
    for n, count in enumerate(counts):
        drawn = np.repeat(np.arange(300), count)
        alone = evaluate(network, X[drawn], y[drawn], [name], shares[drawn])
        np.testing.assert_allclose(measured[:, n], alone[name], rtol=1e-12)  # summed otherwise
    assert np.isnan(measured[:, 3]).all()


def test_rows_left_out_are_more_than_a_third() -> None:
    counts = resamples(1000, 200)
    assert (counts == 0).mean() == pytest.approx(math.exp(-1), abs=0.005)
    assert counts.mean() == pytest.approx(1, abs=0.01)


def test_the_greedy_choice_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    predictions, y = rng.dirichlet(np.ones(3), (12, 150)), rng.integers(0, 3, 150)

    def loss(average: np.ndarray) -> float:
        return float(-np.log(average[np.arange(150), y]).mean())

    chosen: list[int] = []
    best: tuple[float, list[int]] = (math.inf, [])
    for _ in range(20):
        losses = [loss(predictions[[*chosen, one]].mean(axis=0)) for one in range(12)]
        chosen = [*chosen, int(np.argmin(losses))]
        if min(losses) < best[0] - 1e-12:  # equal but for rounding: fewer members
            best = min(losses), chosen
    found = greedy(
        predictions,
        lambda averages: np.array([loss(average) for average in averages]),
        20,
        higher_is_better=False,
    )
    assert found == best[1]
    assert len(set(found)) < len(found)  # some come again


def test_a_paired_bootstrap_sees_what_two_networks_share() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 4)), rng.integers(0, 3, 400)
    rows, loss = Examples(X, y), metric_named("loss")
    first, second = Network(mlp([4, 3])), Network(mlp([4, 3]))
    first.parameters.values[:] = rng.normal(size=first.parameters.values.shape)
    second.parameters.values[:] = first.parameters.values
    second.parameters.values[:, :3] += 0.01
    found = difference_on_resamples(loss, first, second, rows)
    losses = [evaluate(each, X, y)["loss"][0] for each in (first, second)]
    assert found.mean == pytest.approx(losses[0] - losses[1], rel=1e-9)
    # The standard error of a mean of paired differences, within what 1,000 resamples tell.
    differences = np.subtract(
        *(each.loss.row_losses(each.outputs(X[None]), y)[0].copy() for each in (first, second))
    )
    error = differences.std() / math.sqrt(400)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.1)
