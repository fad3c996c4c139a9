"""Which rows each step sees."""

from __future__ import annotations

import json
from itertools import chain, pairwise

import numpy as np
import pytest

from softnet import SAMPLINGS, steps_per_epoch, stream
from softnet.stack.arrays import Order
from softnet.training.batches import Batches

# The first four batches of four from eight rows, seed 0: part of every result ever recorded.
FIRST_BATCHES = {
    "shuffled": [[6, 3, 4, 7], [2, 0, 1, 5], [0, 7, 3, 2], [6, 5, 1, 4]],
    "with_replacement": [[5, 5, 2, 1], [0, 4, 0, 3], [3, 6, 6, 6], [5, 4, 4, 5]],
}
# Rows and batch size: even, one row left over, batches of one, one row, more asked than there is.
SIZES = [(8, 4), (9, 4), (5, 1), (1, 1), (3, 8)]


def batches(
    sampling: str,
    n_samples: int = 9,
    batch_size: int = 4,
    seeds: tuple[int, ...] = (0,),
    order: Order = "C",
) -> Batches:
    rngs = [stream(seed, "batches") for seed in seeds]
    return SAMPLINGS[sampling](n_samples, batch_size, rngs, order)


def drawn(source: Batches, *chunks: int) -> list[list[list[int]]]:
    """Draw as many steps at a time as `chunks` says."""
    return [rows.tolist() for n_steps in chunks for rows in source.draw(n_steps)]


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_first_batches_are_those_that_were_always_drawn(sampling: str) -> None:
    rows = drawn(batches(sampling, 8, 4), 4)
    assert [of_run for (of_run,) in rows] == FIRST_BATCHES[sampling]


@pytest.mark.parametrize(("n_samples", "batch_size"), SIZES)
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_batches_do_not_depend_on_how_many_are_drawn_at_a_time(
    sampling: str, n_samples: int, batch_size: int
) -> None:
    at_once = drawn(batches(sampling, n_samples, batch_size, (3, 4)), 20)
    assert drawn(batches(sampling, n_samples, batch_size, (3, 4)), *[1] * 20) == at_once
    assert drawn(batches(sampling, n_samples, batch_size, (3, 4)), 3, 7, 0, 10) == at_once


@pytest.mark.parametrize(("n_samples", "batch_size"), SIZES)
def test_a_shuffled_epoch_sees_every_row_once(n_samples: int, batch_size: int) -> None:
    source = batches("shuffled", n_samples, batch_size, (0, 1))
    for _ in range(3):
        epoch = list(source.draw(steps_per_epoch(n_samples, batch_size)))
        for run in range(2):
            rows = np.concatenate([batch[run] for batch in epoch])
            assert sorted(rows) == list(range(n_samples))


def test_the_last_batch_of_a_shuffled_epoch_is_short() -> None:
    sizes = [rows.shape for rows in batches("shuffled", 9, 4, (0, 1)).draw(6)]
    assert sizes == [(2, 4), (2, 4), (2, 1)] * 2


def test_epochs_are_shuffled_anew() -> None:
    epochs = [rows[0].tolist() for rows in batches("shuffled", 20, 20).draw(5)]
    assert all(first != second for first, second in pairwise(epochs))


def test_drawing_with_replacement_gives_every_row_the_same_chance() -> None:
    rows = np.array(drawn(batches("with_replacement", 10, 50), 400)).ravel()
    # 20,000 draws of one in ten: 2,000 each, with a standard deviation of 42.
    assert np.abs(np.bincount(rows, minlength=10) - 2000).max() < 5 * 42


def test_drawing_with_replacement_repeats_rows_and_fills_every_batch() -> None:
    rows = np.array(drawn(batches("with_replacement", 3, 8), 10))
    assert rows.shape == (10, 1, 8)
    assert set(rows.ravel()) == {0, 1, 2}


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_alone_draws_what_it_draws_in_a_stack(sampling: str) -> None:
    seeds = (5, 6, 7)
    stacked = drawn(batches(sampling, seeds=seeds), 10)
    for run, seed in enumerate(seeds):
        assert drawn(batches(sampling, seeds=(seed,)), 10) == [[step[run]] for step in stacked]


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_runs_that_stay_draw_on_as_before(sampling: str) -> None:
    whole, cut = (batches(sampling, seeds=(5, 6, 7)) for _ in range(2))
    assert drawn(whole, 4) == drawn(cut, 4)
    cut.keep(np.array([0, 2]))
    assert drawn(cut, 7) == [[step[0], step[2]] for step in drawn(whole, 7)]


@pytest.mark.parametrize("n_runs", [1, 3, 130])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_the_order_in_memory_changes_no_row(sampling: str, n_runs: int) -> None:
    by_run, side_by_side = (
        batches(sampling, seeds=tuple(range(n_runs)), order=order) for order in ("C", "F")
    )
    for first, second in zip(by_run.draw(6), side_by_side.draw(6), strict=True):
        assert first.tolist() == second.tolist()
        assert first.flags.c_contiguous
        assert second.flags.f_contiguous
    stay = np.array([n_runs - 1, 0])
    by_run.keep(stay)
    side_by_side.keep(stay)
    for first, second in zip(by_run.draw(6), side_by_side.draw(6), strict=True):
        assert first.tolist() == second.tolist()
        assert second.flags.f_contiguous


def test_rows_go_on_from_one_block_of_drawing_ahead_to_the_next() -> None:
    # Up to 2,048 numbers of each run are drawn at a time: batches of 100 in blocks of 20 steps.
    expected = stream(0, "batches").integers(9, size=(65, 100)).tolist()
    source = batches("with_replacement", batch_size=100)
    chunks = [source.draw(n_steps, 65) for n_steps in (7, 13, 1, 44)]
    assert [rows.tolist() for chunk in chunks for (rows,) in chunk] == expected
    for n_before in (3, 19, 20, 21, 45):
        source = batches("with_replacement", batch_size=100)
        assert [rows.tolist() for (rows,) in source.draw(n_before, 7)] == expected[:n_before]
        resumed = batches("with_replacement", batch_size=100)
        resumed.restore(source.state())
        assert [rows for (rows,) in drawn(resumed, 65 - n_before)] == expected[n_before:]


def permutations(seed: int, n_samples: int, n_epochs: int) -> list[list[int]]:
    """Shuffle as Fisher and Yates do, with 32-bit numbers cut to the bits that the largest needs.

    PCG64 gives 64 bits at a time, of which the lower half is used first.
    """
    raw = stream(seed, "batches").bit_generator
    halves = (half for number in iter(raw.random_raw, None) for half in divmod(number, 2**32)[::-1])
    epochs = []
    for _ in range(n_epochs):
        epochs.append(list(range(n_samples)))
        for last in range(n_samples - 1, 0, -1):
            mask = 2 ** last.bit_length() - 1
            other = next(cut for half in halves if (cut := half & mask) <= last)
            epochs[-1][last], epochs[-1][other] = epochs[-1][other], epochs[-1][last]
    return epochs


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("n_samples", "n_epochs"), [(9, 500), (1, 2100), (700, 7), (3000, 2)])
def test_epochs_drawn_many_at_a_time_are_those_drawn_one_by_one(
    n_samples: int, n_epochs: int, order: Order
) -> None:
    source = batches("shuffled", n_samples, 250, (3,), order)
    steps = [rows[0].tolist() for rows in source.draw(n_epochs * -(-n_samples // 250))]
    expected = permutations(3, n_samples, n_epochs)
    assert list(chain(*steps)) == list(chain(*expected))
    alone = stream(3, "batches")
    assert [alone.permutation(n_samples).tolist() for _ in expected] == expected


@pytest.mark.parametrize("n_before", [1, 227, 228, 700, 1000])
def test_a_shuffled_run_goes_on_from_any_step_of_a_block(n_before: int) -> None:
    # 227 epochs of 9 rows are drawn at a time, 3 steps each.
    source = batches("shuffled", seeds=(0, 1))
    drawn(source, n_before)
    resumed = batches("shuffled", seeds=(5, 5))
    resumed.restore(source.state())
    assert drawn(resumed, 700) == drawn(source, 700)


def test_a_batch_may_have_more_rows_than_are_drawn_at_a_time() -> None:
    expected = stream(0, "batches").integers(9, size=(3, 5000)).tolist()
    source = batches("with_replacement", batch_size=5000)
    assert [rows for (rows,) in drawn(source, 1, 2)] == expected


@pytest.mark.parametrize("n_before", [0, 1, 3, 4])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_restored_state_draws_on_as_before(sampling: str, n_before: int) -> None:
    source = batches(sampling, seeds=(5, 6))
    drawn(source, n_before)
    # Arrays and numbers only: what survives JSON needs no pickle.
    state = json.loads(json.dumps(source.state(), default=np.ndarray.tolist))
    expected = drawn(source, 8)
    resumed = batches(sampling, seeds=(0, 0))
    resumed.restore(state)
    assert drawn(resumed, 8) == expected


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_state_does_not_change_while_drawing_goes_on(sampling: str) -> None:
    source = batches(sampling)
    drawn(source, 1)
    state = source.state()
    before = json.dumps(state, default=np.ndarray.tolist)
    drawn(source, 9)
    assert json.dumps(state, default=np.ndarray.tolist) == before


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_state_of_another_number_of_runs_is_refused(sampling: str) -> None:
    state = batches(sampling, seeds=(0, 1)).state()
    with pytest.raises(ValueError, match="zip"):
        batches(sampling, seeds=(0,)).restore(state)


@pytest.mark.parametrize(
    ("n_samples", "batch_size", "steps"), [(8, 4, 2), (9, 4, 3), (3, 8, 1), (5, 1, 5)]
)
def test_an_epoch_has_as_many_steps_as_batches_are_needed(
    n_samples: int, batch_size: int, steps: int
) -> None:
    assert steps_per_epoch(n_samples, batch_size) == steps
