"""Successive halving against a brute force that trains every trial alone and applies the rule."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from runner.config.search import HalvingSearch
from runner.jobs import session
from runner.jobs.events import Event, Progress
from runner.jobs.executors.interface import Executor
from runner.jobs.executors.local import InProcess, LocalProcesses
from runner.jobs.plan import Plan
from runner.jobs.search import pruned, rung_steps
from runner.jobs.session import Request
from runner.tracking import Store, open_store
from runner.training.outcome import Outcome
from runner.training.prepare import prepare_cached
from runner.training.train import Result, train
from tests.runner.jobs.planned import STOPPING, plan, weights_of

SEARCH = {"name": "halving", "n_trials": 9, "reduction": 3, "min_share": 0.1}
# The last diverges at once.
RATES = (0.001, 0.02, 0.3, 0.003, 1.0, 0.05, 0.1, 0.01, 1e300)
POINTS: dict[str, list[dict[str, Any]]] = {
    "plain": [{"optimizer__learning_rate": rate} for rate in RATES],
    "seeds": [{"optimizer__learning_rate": r, "seed": s} for r in RATES for s in (0, 1)],
    "sizes": [
        {"optimizer__learning_rate": r, "model__hidden_layer_sizes": [n]}
        for r in RATES[:5]
        for n in (4, 6)
    ],
    "patience": [
        {"optimizer__learning_rate": rate, "training__early_stopping": STOPPING} for rate in RATES
    ],
    "accuracy": [
        {"optimizer__learning_rate": r, "sweep": {"metric": "val/accuracy"}} for r in RATES[:8]
    ],
}


def searched(points: list[dict[str, Any]]) -> Plan:
    return plan(*({**point, "search": SEARCH} for point in points))


def alone(made: Plan, position: int, step: int | None = None) -> Result:
    """Train a job alone, to a step of its budget or to the end."""
    job = made.jobs[position]
    experiment = (job if step is None else pruned(job, step)).experiment
    return train(prepare_cached(experiment), [experiment])[0]


def by_brute_force(made: Plan) -> list[int | None]:
    """Return the step at which each job is stopped, None for what goes to its end or fails."""
    metric, search = made.first.ranking_metric, made.first.search
    assert isinstance(search, HalvingSearch)
    ends: list[int | None] = [None] * len(made.jobs)
    by_trial: dict[str, list[int]] = {}
    for position, job in enumerate(made.jobs):
        settings = {key: value for key, value in job.varied.items() if key != "seed"}
        by_trial.setdefault(str(settings), []).append(position)
    trials = list(by_trial.values())
    for rung in range(len(search.shares)):
        ranks = []
        for trial in trials:
            results = [alone(made, p, rung_steps(made.jobs[p], search)[rung]) for p in trial]
            values, losses = ([r.final[m] for r in results] for m in (metric, "val/loss"))
            is_bad = any(result.failure for result in results)
            sign = -1 if metric == "val/accuracy" else 1
            mean = math.fsum(values) / len(values)
            ranks.append((is_bad, 0 if is_bad else sign * mean, sum(losses), trial, results))
        ranks.sort(key=lambda rank: (rank[0], rank[1], 0 if rank[0] else rank[2]))
        n_staying = math.ceil(len(trials) / search.reduction)
        for *_, trial, results in ranks[n_staying:]:
            for position, result in zip(trial, results, strict=True):
                if not result.failure:
                    ends[position] = rung_steps(made.jobs[position], search)[rung]
        staying = [rank[3] for rank in ranks[:n_staying]]
        trials = [trial for trial in trials if trial in staying]
    return ends


def run(made: Plan, store: Store, executor: Executor | None = None) -> dict[int, Outcome]:
    executor = executor or InProcess()
    finished = session.run(Request(made, is_sweep=True), store, executor, lambda _: None)
    return dict(finished.outcomes)


def check(made: Plan, outcomes: dict[int, Outcome], store: Store) -> None:
    """Hold what was stopped where, and all bits that were left, against runs alone."""
    ends = by_brute_force(made)
    assert {p: o.pruned_at_step for p, o in outcomes.items()} == dict(enumerate(ends))
    for position, outcome in outcomes.items():
        expected = alone(made, position, ends[position])
        status = "FAILED" if expected.failure else "PRUNED" if ends[position] else "FINISHED"
        assert outcome.status == status
        assert outcome.metrics == pytest.approx(expected.final, rel=0, abs=0, nan_ok=True)
        assert any("test/" in name for name in outcome.metrics) == (status != "PRUNED")
        weights = weights_of(store, outcome.run_id)
        assert {k: w.tobytes() for k, w in weights.items()} == {
            name: array.tobytes() for name, array in expected.weights.items()
        }


@pytest.fixture
def opened(store: object) -> Store:
    return open_store(None, None, "test")


@pytest.mark.slow
@pytest.mark.parametrize("points", POINTS)
def test_rungs_are_those_of_a_brute_force_to_the_last_bit(points: str, opened: Store):
    made = searched(POINTS[points])
    check(made, run(made, opened), opened)


def test_two_workers_decide_what_one_does(opened: Store):
    made = searched(POINTS["sizes"])
    check(made, run(made, opened, LocalProcesses(2)), opened)


def test_progress_comes_to_all_jobs_though_most_are_stopped(opened: Store):
    """So the time that is left, which is told by it, is right from the first rung on."""
    made, events = searched(POINTS["plain"][:8]), list[Event]()
    session.run(Request(made, is_sweep=True), opened, InProcess(), events.append)
    parts = [event.n for event in events if isinstance(event, Progress)]
    assert sum(parts) == pytest.approx(8, rel=0.05)  # rungs lie at whole evaluations


class _Stop(BaseException):
    """Somebody pulls the plug."""


@pytest.mark.slow
def test_a_search_stopped_within_a_rung_goes_on_to_the_same_bits(
    opened: Store, monkeypatch: pytest.MonkeyPatch
):
    """What is stopped between rungs is tested in `tests/runner/cli/test_searches.py`."""
    monkeypatch.setattr("runner.jobs.worker.stack_run._SAVED_EVERY_S", 0.0)
    made = searched(POINTS["seeds"])

    def stop_at(n: int) -> Callable[[Event], None]:
        left = [n]

        def hear(event: Event) -> None:
            left[0] -= type(event).__name__ in ("Ended", "Progress")
            if not left[0]:
                raise _Stop

        return hear

    for n in (4, 12):
        with pytest.raises(_Stop):
            session.run(Request(made, is_sweep=True), opened, InProcess(), stop_at(n))
    outcomes = run(made, opened)
    check(made, outcomes, opened)
    again = run(made, opened)
    n_again = sum(again[p].run_id != outcome.run_id for p, outcome in outcomes.items())
    assert n_again == sum(outcome.status == "FAILED" for outcome in outcomes.values())
