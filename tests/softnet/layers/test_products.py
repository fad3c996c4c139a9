"""NumPy's stacked product gives each slice the bits of its own product.

Everything that is promised about stacks rests on it, and NumPy does not promise it. The operands
are laid out as in the network: weights are views into one flat buffer, a batch is a view beside
its one-hot classes, some operands are transposed or the same for all runs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

Build = Callable[[slice], tuple[np.ndarray, np.ndarray]]

SIZES = [1, 2, 3, 4, 5, 7, 8, 10, 16, 17, 31, 32, 33, 64, 65]
N_SHAPES = 120


def products(build: Build, n_runs: int, *, into_buffer: bool) -> tuple[np.ndarray, list[bytes]]:
    """Multiply all runs at once, and each run alone in memory of its own."""

    def multiply(runs: slice) -> np.ndarray:
        left, right = build(runs)
        n_slices = len(right)
        shape = (left.shape[-2], right.shape[-1])
        if not into_buffer:
            return np.matmul(left, right, out=np.empty((n_slices, *shape), left.dtype))
        # As gradients: between others in one row for each run.
        buffer = np.zeros((n_slices, 3 + shape[0] * shape[1] + 2), left.dtype)
        view = buffer[:, 3:-2].reshape(n_slices, *shape)
        return np.matmul(left, right, out=view).copy()

    return multiply(slice(0, n_runs)), [
        multiply(slice(run, run + 1))[0].tobytes() for run in range(n_runs)
    ]


def flat_views(flat: np.ndarray, offset: int, shape: tuple[int, int]) -> np.ndarray:
    """Cut a weight matrix out of each row of a flat buffer, as Parameters.views does."""
    return flat[:, offset : offset + shape[0] * shape[1]].reshape(len(flat), *shape)


def operands(kind: str, dtype: str, rng: np.random.Generator) -> tuple[Build, int]:
    """Draw a shape, and say how the operands of some of the runs are laid out in memory."""
    n_runs = int(rng.integers(2, 18))
    n_rows, inputs, outputs, classes = (int(size) for size in rng.choice(SIZES, 4))
    offset = int(rng.integers(0, 9))

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(dtype)

    flat = normal(n_runs, offset + inputs * outputs + 3)
    hidden, gathered = normal(n_runs, n_rows, inputs), normal(n_runs, n_rows, inputs + classes)
    d_output, same = normal(n_runs, n_rows, outputs), normal(1, n_rows, inputs)
    ones, columns = np.ones((1, n_rows), dtype), normal(n_runs, n_rows, outputs)

    def weight(runs: slice) -> np.ndarray:
        return flat_views(flat[runs].copy(), offset, (inputs, outputs))

    def gradient_rows(runs: slice) -> tuple[np.ndarray, np.ndarray]:
        rows = flat[runs].copy()
        return rows[:, None, :], rows[:, :, None]

    layouts: dict[str, Build] = {
        "hidden @ weight": lambda runs: (hidden[runs].copy(), weight(runs)),
        "batch @ weight": lambda runs: (gathered[runs].copy()[..., :inputs], weight(runs)),
        "shared rows @ weight": lambda runs: (same, weight(runs)),
        "hidden.T @ gradient": lambda runs: (
            hidden[runs].copy().swapaxes(-1, -2),
            d_output[runs].copy(),
        ),
        "batch.T @ gradient": lambda runs: (
            gathered[runs].copy()[..., :inputs].swapaxes(-1, -2),
            d_output[runs].copy(),
        ),
        "ones @ gradient": lambda runs: (ones, d_output[runs].copy()),
        "gradient @ weight.T": lambda runs: (
            d_output[runs].copy(),
            weight(runs).swapaxes(-1, -2),
        ),
        "gradient @ copy of weight.T": lambda runs: (
            d_output[runs].copy(),
            np.ascontiguousarray(weight(runs).swapaxes(-1, -2)),
        ),
        "ones @ columns": lambda runs: (ones, columns[runs].copy()),
        "gradient . gradient": gradient_rows,
    }
    return layouts[kind], n_runs


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "kind",
    [
        "hidden @ weight",
        "batch @ weight",
        "shared rows @ weight",
        "hidden.T @ gradient",
        "batch.T @ gradient",
        "ones @ gradient",
        "gradient @ weight.T",
        "gradient @ copy of weight.T",
        "ones @ columns",
        "gradient . gradient",
    ],
)
def test_stacked_product_equals_each_slices_own_by_bytes(kind: str, dtype: str) -> None:
    rng = np.random.default_rng(20)
    for _ in range(N_SHAPES):
        build, n_runs = operands(kind, dtype, rng)
        stacked, alone = products(build, n_runs, into_buffer="gradient" in kind)
        assert [of_run.tobytes() for of_run in stacked] == alone


def test_a_layout_of_one_operand_alone_can_change_the_bits() -> None:
    # The counterpart: were this equal too, the comparison above would prove nothing.
    rng = np.random.default_rng(21)
    differing = 0
    for _ in range(50):
        left, right = rng.standard_normal((2, 65, 65))
        differing += (left @ right).tobytes() != np.einsum("ij,jk->ik", left, right).tobytes()
    assert differing > 0
