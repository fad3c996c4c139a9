"""Softmax cross-entropy from logits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softnet import SoftmaxCrossEntropy, central_differences, one_hot, relative_error

DTYPES = ["float32", "float64"]
FLOAT64 = np.dtype("float64")


def test_loss_equals_the_logarithm_worked_by_hand() -> None:
    # exp(0, ln 3) = (1, 3), probabilities (1/4, 3/4): losses ln 4 of class 0, ln(4/3) of class 1.
    logits = np.array([[[0.0, math.log(3)], [0.0, math.log(3)]]])
    losses = SoftmaxCrossEntropy(FLOAT64).row_losses(logits, np.array([0, 1]))
    np.testing.assert_allclose(losses, [[math.log(4), math.log(4 / 3)]], rtol=1e-15)


def test_gradient_equals_the_difference_worked_by_hand() -> None:
    # Two rows: (1/4 - 1, 3/4 - 0) / 2 = (-3/8, 3/8) and (1/4 - 0, 3/4 - 1) / 2 = (1/8, -1/8).
    logits = np.array([[[0.0, math.log(3)], [0.0, math.log(3)]]])
    gradient = SoftmaxCrossEntropy(FLOAT64).gradient(logits, np.eye(2)[None])
    np.testing.assert_allclose(gradient, [[[-3 / 8, 3 / 8], [1 / 8, -1 / 8]]], rtol=1e-15)


def test_one_hot_has_a_one_at_the_class() -> None:
    rows = one_hot(np.array([2, 0]), 3, np.dtype("float32"))
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert rows.dtype == np.float32


@pytest.mark.parametrize("n_rows", [1, 5])
@pytest.mark.parametrize("n_classes", [1, 2, 3, 10])
def test_gradient_equals_central_differences(n_classes: int, n_rows: int) -> None:
    rng = np.random.default_rng(0)
    loss, logits = SoftmaxCrossEntropy(FLOAT64), rng.standard_normal((3, n_rows, n_classes))
    y = rng.integers(n_classes, size=n_rows)
    targets = np.repeat(one_hot(y, n_classes, FLOAT64)[None], 3, axis=0)
    analytic = loss.gradient(logits, targets).copy()
    numeric = central_differences(
        lambda: float(loss.row_losses(logits, y).mean(axis=-1).sum()), logits
    )
    assert relative_error(analytic, numeric) <= 1e-9


@pytest.mark.parametrize("dtype", DTYPES)
def test_shifting_all_logits_of_a_row_changes_no_bit(dtype: str) -> None:
    rng = np.random.default_rng(1)
    # Multiples of 1/16 up to 4 plus whole numbers up to 512 are exact in both types, and so is
    # the difference to the row's maximum: nothing is left that could round differently.
    logits = (rng.integers(-64, 65, (2, 6, 4)) / 16).astype(dtype)
    shifted = logits + rng.integers(-512, 513, (2, 6, 1)).astype(dtype)
    y = rng.integers(4, size=6)
    targets = one_hot(y, 4, logits.dtype)[None]
    loss = SoftmaxCrossEntropy(logits.dtype)
    assert loss.row_losses(logits, y).tobytes() == loss.row_losses(shifted, y).tobytes()
    assert loss.predictions(logits).tobytes() == loss.predictions(shifted).tobytes()
    gradient = loss.gradient(logits, targets).tobytes()
    assert gradient == loss.gradient(shifted, targets).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [1, 2, 3, 10, 1000])
def test_probabilities_of_a_row_sum_to_one(n_classes: int, dtype: str) -> None:
    logits = (5 * np.random.default_rng(2).standard_normal((2, 7, n_classes))).astype(dtype)
    probabilities = SoftmaxCrossEntropy(logits.dtype).predictions(logits)
    assert (probabilities >= 0).all()
    # Each probability is off by a few roundings of its own size, and their sizes sum to one; the
    # sum they were divided by is off by at most half a rounding for each of its terms.
    tolerance = (8 + n_classes / 2) * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(
        probabilities.sum(axis=-1, dtype=np.float64), 1, rtol=0, atol=tolerance
    )


def test_gradient_of_a_row_sums_to_zero() -> None:
    logits = np.random.default_rng(3).standard_normal((2, 5, 4))
    gradient = SoftmaxCrossEntropy(FLOAT64).gradient(
        logits, one_hot(np.arange(5) % 4, 4, FLOAT64)[None]
    )
    np.testing.assert_allclose(gradient.sum(axis=-1), 0, atol=1e-16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_of_ten_thousand_give_exact_finite_losses(dtype: str) -> None:
    logits = np.array([[[1e4, -1e4], [-1e4, 1e4], [-1e4, -1e4]]], dtype)
    loss = SoftmaxCrossEntropy(logits.dtype)
    with np.errstate(all="raise", under="ignore"):
        losses = loss.row_losses(logits, np.array([1, 1, 0]))
        gradient = loss.gradient(logits, one_hot(np.array([1, 1, 0]), 2, logits.dtype)[None])
    # exp(-20000) is 0: the first row loses the whole distance, the second nothing, the third ln 2.
    assert losses.tolist() == [[2e4, 0.0, float(np.log(logits.dtype.type(2)))]]
    assert (3 * gradient).tolist() == [[[1.0, -1.0], [0.0, 0.0], [-0.5, 0.5]]]


def test_small_probabilities_keep_their_digits() -> None:
    # log(softmax) of probabilities that underflow would be -inf; from the logits it is exact.
    losses = SoftmaxCrossEntropy(FLOAT64).row_losses(np.array([[[0.0, -800.0]]]), np.array([1]))
    assert losses.tolist() == [[800.0]]


def test_a_single_class_is_certain() -> None:
    loss, logits = SoftmaxCrossEntropy(FLOAT64), np.array([[[3.0], [-2.0]]])
    assert loss.predictions(logits).tolist() == [[[1.0], [1.0]]]
    assert loss.row_losses(logits, np.array([0, 0])).tolist() == [[0.0, 0.0]]
    assert loss.gradient(logits, np.ones((1, 2, 1))).tolist() == [[[0.0], [0.0]]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_rows", [1, 2, 5, 33])
@pytest.mark.parametrize("n_classes", [1, 2, 3, 9, 40])
def test_alone_equals_in_stack_by_bytes(n_classes: int, n_rows: int, dtype: str) -> None:
    rng = np.random.default_rng(4)
    logits = (3 * rng.standard_normal((7, n_rows, n_classes))).astype(dtype)
    y = rng.integers(n_classes, size=n_rows)
    targets = np.repeat(one_hot(y, n_classes, logits.dtype)[None], 7, axis=0)

    def results(runs: slice) -> list[np.ndarray]:
        loss, own = SoftmaxCrossEntropy(logits.dtype), logits[runs].copy()
        gradient = loss.gradient(own, targets[runs].copy()).copy()
        return [gradient, loss.predictions(own), loss.row_losses(own, y)]

    stacked = results(slice(0, 7))
    for run in range(7):
        for alone, together in zip(results(slice(run, run + 1)), stacked, strict=True):
            assert alone.dtype == dtype
            assert alone[0].tobytes() == together[run].tobytes()


def test_results_do_not_change_the_logits() -> None:
    loss, logits = SoftmaxCrossEntropy(FLOAT64), np.random.default_rng(5).standard_normal((2, 3, 4))
    before = logits.copy()
    loss.predictions(logits)
    loss.row_losses(logits, np.array([0, 1, 2]))
    loss.gradient(logits, one_hot(np.array([0, 1, 2]), 4, FLOAT64)[None])
    assert logits.tobytes() == before.tobytes()


def test_a_class_beyond_the_columns_is_refused() -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        one_hot(np.array([0, 3]), 3, FLOAT64)
