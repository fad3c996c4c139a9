"""One flat buffer, and the named views into it."""

from __future__ import annotations

import numpy as np
import pytest

from softnet import Parameters

SHAPES = {"weight": (3, 2), "bias": (2,), "scale": (1,)}


def test_views_cut_each_row_in_the_order_of_the_shapes() -> None:
    parameters = Parameters(SHAPES, n_runs=2, dtype=np.float64)
    # Run 0 holds 0..8, run 1 holds 9..17: six weights by rows, two biases, one scale.
    parameters.values[:] = np.arange(18).reshape(2, 9)
    assert parameters["weight"].tolist() == [
        [[0, 1], [2, 3], [4, 5]],
        [[9, 10], [11, 12], [13, 14]],
    ]
    assert parameters["bias"].tolist() == [[6, 7], [15, 16]]
    assert parameters["scale"].tolist() == [[8], [17]]


def test_writing_through_a_view_reaches_the_buffer() -> None:
    parameters = Parameters(SHAPES, n_runs=2, dtype=np.float64)
    parameters["bias"][1] = [5, 6]
    assert parameters.values[1].tolist() == [0, 0, 0, 0, 0, 0, 5, 6, 0]
    parameters.views(parameters.gradients)["scale"][0] = 7
    assert parameters.gradients[0].tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 7]


@pytest.mark.parametrize("n_runs", [1, 3])
def test_views_are_never_copies(n_runs: int) -> None:
    parameters = Parameters(SHAPES, n_runs, np.float32)
    for view in parameters.views(parameters.values).values():
        assert np.shares_memory(view, parameters.values)
        assert view.dtype == np.float32


def test_buffers_are_contiguous_and_start_at_zero() -> None:
    parameters = Parameters(SHAPES, n_runs=4, dtype=np.float64)
    for buffer in (parameters.values, parameters.gradients):
        assert buffer.shape == (4, 9)
        assert buffer.flags.c_contiguous
        assert not buffer.any()
    assert (parameters.n_runs, parameters.n_parameters) == (4, 9)


def test_parameter_by_parameter_the_same_numbers_lie_otherwise() -> None:
    parameters = Parameters(SHAPES, n_runs=2, dtype=np.float64, order="F")
    parameters.values[:] = np.arange(18).reshape(2, 9)
    assert parameters["weight"].tolist() == [
        [[0, 1], [2, 3], [4, 5]],
        [[9, 10], [11, 12], [13, 14]],
    ]
    for buffer in (parameters.values, parameters.gradients):
        assert buffer.flags.f_contiguous
        assert all(np.shares_memory(v, buffer) for v in parameters.views(buffer).values())
    parameters.keep(np.array([1, 0, 1]))
    assert parameters.values[:, 0].tolist() == [9, 0, 9]
    assert parameters.values.flags.f_contiguous
    assert parameters.gradients.flags.f_contiguous


def test_keep_leaves_the_chosen_runs_in_order() -> None:
    parameters = Parameters(SHAPES, n_runs=3, dtype=np.float64)
    parameters.values[:] = [[0], [1], [2]]
    parameters.gradients[:] = [[3], [4], [5]]
    parameters.keep(np.array([0, 2]))
    assert parameters.values[:, 0].tolist() == [0, 2]
    assert parameters.gradients[:, 0].tolist() == [3, 5]
    assert parameters.n_runs == 2


def test_keep_of_no_run_leaves_an_empty_stack() -> None:
    parameters = Parameters(SHAPES, n_runs=3, dtype=np.float64)
    parameters.keep(np.array([], dtype=np.intp))
    assert parameters["weight"].shape == (0, 3, 2)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match="wait"):
        Parameters(SHAPES, 1, np.float64)["wait"]
