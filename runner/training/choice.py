"""What choosing among many is worth, from what each of them says of the rows that chose.

The best of many is best partly by luck on these rows. Choosing again on resampled rows, and
measuring the choice on the rows left out, says how much of it is luck.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.training.statistics import Summary
from softnet import METRICS, Loss, Metric, Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from softnet import Examples

    Floats = NDArray[np.float64]

UNKNOWN = Summary(0, np.nan, np.nan, np.nan, np.nan)
# As many as an evaluation takes, so that predictions have its bits.
_ROWS_PER_BLOCK = 128


def resamples(n_rows: int, n_resamples: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return how often each row counts in each resample, of shape (n_resamples, n_rows).

    Poisson numbers with mean 1, so that rows of several splits can be drawn together: a row counts
    as often in each. Those of 0, more than a third, are left out.
    """
    return np.random.default_rng(seed).poisson(1.0, (n_resamples, n_rows)).astype(np.uint8)


def measure_rows(
    network: Network, rows: Examples, of_rows: Callable[[Loss, NDArray[Any], NDArray[Any]], Any]
) -> NDArray[Any]:
    """Return what `Metric.of_rows`, or the like, says of each row: (runs, n_rows, ...)."""
    X = np.ascontiguousarray(rows.X, network.dtype)
    blocks = []
    for start in range(0, len(X), _ROWS_PER_BLOCK):
        block = slice(start, start + _ROWS_PER_BLOCK)
        blocks.append(of_rows(network.loss, network.outputs(X[None, block]), rows.y[block]))
    return np.concatenate(blocks, axis=1)


def measure_resamples(
    metric: Metric, of_rows: NDArray[Any], rows: Examples, counts: NDArray[Any]
) -> Floats:
    """Return a metric of each run on each resample, of shape (runs, n_resamples).

    `of_rows` is of shape (runs, n_rows, ...), as `measure_rows` returns it; `counts`, of shape
    (n_resamples, n_rows), says how often each row counts. Without any, the metric is NaN.
    """
    weights = counts * (1.0 if rows.shares is None else rows.shares)
    with np.errstate(all="ignore"):  # 0 / 0
        if of_rows.ndim == 2:  # a number of each row, whose mean it is
            means: Floats = of_rows.astype(np.float64) @ weights.T / weights.sum(axis=1)
            return np.sqrt(means) if isinstance(metric, METRICS["rmse"]) else means
        nothing = np.full(len(of_rows), np.nan)
        measured = [metric.total(of_rows, rows.y, w) if w.any() else nothing for w in weights]
        return np.stack(measured, axis=1)


def expected_of_best(chosen_on: Floats, left_out: Floats, *, higher_is_better: bool) -> Summary:
    """Return what the best is worth on new rows: the bias-corrected bootstrap.

    Both arrays are of shape (n_candidates, n_resamples): the metric of each candidate on each
    resample, and on the rows left out of it. Of the summary over the resamples, `low` and `high`
    are quantiles: 95 % lie between them.

    References
    ----------
    I. Tsamardinos, E. Greasidou and G. Borboudakis, "Bootstrapping the out-of-sample predictions
    for efficient and accurate cross-validation", Machine Learning 107, 2018.
    """
    ranks = np.where(np.isnan(chosen_on), -np.inf, chosen_on if higher_is_better else -chosen_on)
    values = left_out[np.argmax(ranks, axis=0), np.arange(ranks.shape[1])]
    values = values[np.isfinite(values)]
    if not len(values):
        return UNKNOWN
    low, high = np.quantile(values, (0.025, 0.975)).tolist()
    return Summary(len(values), float(values.mean()), float(values.std()), low, high)


def difference_on_resamples(
    metric: Metric, first: Network, second: Network, rows: Examples
) -> Summary:
    """Compare two networks on the same rows by a paired bootstrap.

    It is of the first's metric minus the second's: its mean on these rows, and the bounds between
    which 95 % of the resamples lie.
    """
    counts = np.vstack([np.ones(len(rows.y)), resamples(len(rows.y), 1000)])
    measured = [
        measure_resamples(metric, measure_rows(each, rows, metric.of_rows), rows, counts)[0]
        for each in (first, second)
    ]
    (difference, *resampled) = np.subtract(*measured)
    found = np.array(resampled)[np.isfinite(resampled)]
    low, high = np.quantile(found, (0.025, 0.975)).tolist()
    return Summary(len(found), float(difference), float(found.std()), low, high)


def greedy(
    predictions: NDArray[Any],
    measure: Callable[[NDArray[Any]], Floats],
    n_rounds: int,
    *,
    higher_is_better: bool,
) -> list[int]:
    """Choose the members of an ensemble one by one, each by what it makes of those before it.

    The predictions, of shape (n_candidates, n_rows, n_outputs), come best first: of equals the
    first is taken. `measure` gives the metric of each of several averages of that shape. Returns at
    most `n_rounds` positions, some of them again, up to where the metric was best.

    References
    ----------
    R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, "Ensemble selection from libraries of
    models", ICML 2004.
    """
    total = np.zeros(predictions.shape[1:])
    chosen: list[int] = []
    path: list[float] = []
    for n_members in range(1, n_rounds + 1):
        values = measure((total + predictions) / n_members)
        ranks = np.where(np.isnan(values), np.inf, -values if higher_is_better else values)
        chosen.append(int(np.argmin(ranks)))
        path.append(float(ranks.min()))
        total += predictions[chosen[-1]]
    return chosen[: int(np.argmin(path)) + 1]
