"""The run of a sweep, and whether it has come to its results."""

from pathlib import Path

import pytest

from runner.jobs.plan import Plan
from runner.jobs.sweep.parent_runs import recorded_sweep
from runner.tracking import Store, open_store
from runner.training.outcome import Outcome
from tests.runner.jobs.planned import plan


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(None, None, "test")


def test_a_sweep_says_from_the_start_how_many_jobs_it_has(opened: Store) -> None:
    made = plan({"seed": 1}, {"seed": 2})
    with recorded_sweep(opened, made, None, {}, 0.0):
        (sweep,) = opened.sweeps.all()
        assert (sweep.status, sweep.n_jobs, sweep.n_finished) == ("RUNNING", 2, None)


def fail_to_sum_up(opened: Store, made: Plan) -> None:
    with recorded_sweep(opened, made, None, {}, 0.0) as run:
        run.log_metrics(0, {"n_finished": 1, "n_failed": 0})
        raise OSError("no room")


def test_a_sweep_whose_summing_up_failed_has_not_been_summed_up(opened: Store) -> None:
    with pytest.raises(OSError, match="no room"):
        fail_to_sum_up(opened, plan({"seed": 1}))
    (sweep,) = opened.sweeps.all()
    assert (sweep.status, sweep.n_finished) == ("FAILED", None)


@pytest.mark.parametrize(("status", "expected"), [("FINISHED", "FINISHED"), ("FAILED", "FAILED")])
def test_a_sweep_ends_as_its_jobs_have(opened: Store, status: str, expected: str) -> None:
    made = plan({"seed": 1})
    outcome = Outcome("seed=1", "", status, {}, {}, None, 1.0)  # type: ignore[arg-type]  # as above
    with recorded_sweep(opened, made, None, {0: outcome}, 0.0) as run:
        run.log_metrics(0, {"n_finished": 1, "n_failed": 0})
    (sweep,) = opened.sweeps.all()
    assert (sweep.status, sweep.n_finished) == (expected, 1)
    # It goes on: its results are no longer the last word.
    with recorded_sweep(opened, made, sweep, {0: outcome}, 0.0):
        (again,) = opened.sweeps.all()
        assert (again.run_id, again.n_finished) == (sweep.run_id, None)


def test_an_interrupt_is_said_to_be_one(opened: Store) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        recorded_sweep(opened, plan({"seed": 1}), None, {}, 0.0) as run,
    ):
        raise KeyboardInterrupt
    ended = opened.client.get_run(run.run_id)
    assert (ended.info.status, ended.data.tags["runner.failure"]) == ("KILLED", "interrupted")
