"""Sessions: what is checked first, what goes on, how each end is recorded and reported."""

import os
import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient

import runner.jobs.worker.stack_run
from runner.jobs.events import Ended, Event, Finished, Interrupted, Progress, Started, SweepOpened
from runner.jobs.executors.local import LocalProcesses
from runner.jobs.plan import make_plan
from runner.jobs.session import preview
from runner.jobs.worker.stack_run import Events, run_stack
from runner.jobs.worker.task import Task
from runner.system.errors import ConfigError, StoreError, Terminated
from runner.tracking import open_store
from tests.runner.jobs.planned import MISSING, job, run

# pytest-xdist has a thread of its own, which holds no lock that a worker needs.
pytestmark = [
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
]


def runs_in(store: Path, kind: str = "run") -> dict[str, str]:
    client = MlflowClient(f"sqlite:///{store}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(ids, f"tags.`runner.kind` = '{kind}'")
    return {run.info.run_name or "": run.info.status for run in runs}


def test_a_job_alone_is_a_run_of_its_own_with_figures(store: Path) -> None:
    events: list[Event] = []
    finished = run([job(seed=3)], events.append, is_sweep=False)
    (outcome,) = finished.outcomes.values()
    assert (outcome.status, outcome.name, outcome.varied) == ("FINISHED", "seed=3", {"seed": "3"})
    assert runs_in(store) == {"seed=3": "FINISHED"}
    assert runs_in(store, "sweep") == {}
    assert events[0] == Started("seed=3", 1, n_steps=60)
    assert events[-1] == finished
    client = MlflowClient(f"sqlite:///{store}")
    assert "figures" in {file.path for file in client.list_artifacts(outcome.run_id)}


def test_a_sweep_of_one_job_is_a_sweep(store: Path) -> None:
    finished = run([job(seed=3)])
    assert [outcome.status for outcome in finished.outcomes.values()] == ["FINISHED"]
    assert runs_in(store) == {"seed=3": "FINISHED"}
    assert list(runs_in(store, "sweep").values()) == ["FINISHED"]


@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_sweep_has_the_same_results_in_this_process_and_in_workers(
    n_workers: int, store: Path
) -> None:
    jobs = [job(seed=seed, sweep__name=f"with {n_workers}") for seed in range(3)]
    events: list[Event] = []
    executor = LocalProcesses(n_workers) if n_workers else None
    finished = run([*jobs, job(seed=9, data=MISSING, sweep__name=f"with {n_workers}")],
                   events.append, executor=executor)  # fmt: skip
    assert [o.status for o in finished.outcomes.values()] == ["FINISHED"] * 3 + ["FAILED"]
    assert isinstance(events[0], SweepOpened)
    assert sorted(e.position for e in events if isinstance(e, Ended)) == [0, 1, 2, 3]
    # A sum of rounded twelfths.
    n_jobs = sum(e.n_jobs for e in events if isinstance(e, Progress))
    assert n_jobs == pytest.approx(4, abs=1e-9)
    alone = run([jobs[1]], is_sweep=False).outcomes[0]
    assert alone.metrics == finished.outcomes[1].metrics


def test_the_same_sweep_again_runs_what_is_missing(store: Path) -> None:
    jobs = [job(seed=seed, sweep__name="mine") for seed in range(2)]
    first = run(jobs)
    events: list[Event] = []
    again = run(jobs, events.append)
    assert {p: (o.run_id, o.metrics) for p, o in again.outcomes.items()} == {
        p: (o.run_id, o.metrics) for p, o in first.outcomes.items()
    }
    assert again.duration_s is None
    assert not any(isinstance(event, Ended) for event in events)
    more = run([job(seed=7, sweep__name="mine")], events.append)
    assert [o.name for o in more.outcomes.values()] == ["seed=0", "seed=1", "seed=7"]
    assert more.plan.asked == [2]
    assert set(runs_in(store)) == {"seed=0", "seed=1", "seed=7"}
    (group,) = MlflowClient(f"sqlite:///{store}").search_runs(["1"], "tags.`runner.kind` = 'group'")
    assert group.data.metrics["val/loss/n"] == 3


def test_a_job_whose_seeds_have_come_since_is_listed_under_their_group(store: Path) -> None:
    run([job(seed=0, sweep__name="mine"), job(seed=0, dtype="float32", sweep__name="mine")])
    run([job(seed=1, sweep__name="mine")])
    client = MlflowClient(f"sqlite:///{store}")
    (group,) = client.search_runs(["1"], "tags.`runner.kind` = 'group'")
    below = client.search_runs(["1"], f"tags.`mlflow.parentRunId` = '{group.info.run_id}'")
    assert sorted(one.data.params["seed"] for one in below) == ["0", "1"]


def test_a_job_alone_that_cannot_run_is_an_error_and_leaves_nothing(store: Path) -> None:
    with pytest.raises(ConfigError, match=r"training\.batch_size: must be at most 40"):
        run([job(training__batch_size=99)], is_sweep=False)
    assert runs_in(store) == {}


def test_one_illegal_job_is_said_before_any_starts(store: Path) -> None:
    jobs = [job(seed=0), job(optimizer__learning_rate=-1.0)]
    with pytest.raises(ConfigError, match="Nothing was run: job 2 of 2 is optimizer"):
        run(jobs)
    assert runs_in(store) == runs_in(store, "sweep") == {}


@pytest.mark.parametrize("is_sweep", [False, True])
def test_a_store_that_is_not_there_ends_the_command_before_it_begins(is_sweep: bool) -> None:
    jobs = [job(seed=seed, tracking__uri="http://127.0.0.1:9") for seed in range(1 + is_sweep)]
    with pytest.raises(ConfigError, match="no MLflow server answers"):
        run(jobs, is_sweep=is_sweep)


def test_a_preview_says_what_would_be_done(store: Path) -> None:
    run([job(seed=1, sweep__name="mine")])
    before = runs_in(store)
    plan = make_plan([job(seed=seed, sweep__name="mine") for seed in (1, 2, 2)])
    seen = preview(plan, open_store(None, None, "test"), n_workers=2)
    assert (sorted(seen.done), seen.stacks, seen.plan.n_duplicates) == ([0], [(1,)], 1)
    assert runs_in(store) == before


@pytest.mark.parametrize("stage", ["StackTraining.__iter__", "end_run"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyboardInterrupt(), "KILLED"),
        (Terminated(), "KILLED"),
        (MemoryError("no room"), "FAILED"),
        (StoreError("/there: cannot be written"), "FAILED"),
    ],
    ids=repr,
)
def test_what_ends_a_run_alone_is_told_and_recorded(
    stage: str,
    error: BaseException,
    expected: str,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fault(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(f"{runner.jobs.worker.stack_run.__name__}.{stage}", fault)
    events: list[Event] = []
    with pytest.raises(type(error)):
        run([job(seed=3)], events.append, is_sweep=False)
    assert runs_in(store) == {"seed=3": expected}
    # What was interrupted is reported; an error speaks for itself.
    finished = [event for event in events if isinstance(event, Finished)]
    statuses = [outcome.status for event in finished for outcome in event.outcomes.values()]
    assert statuses == (["KILLED"] if expected == "KILLED" else [])


def test_an_interrupted_sweep_reports_what_is_done_and_goes_on(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [job(seed=seed) for seed in range(3)]
    events: list[Event] = []

    def interrupt(event: Event) -> None:
        events.append(event)
        if isinstance(event, Ended):
            raise KeyboardInterrupt

    monkeypatch.setattr("runner.jobs.stacks._MOST_RUNS", 1)
    with pytest.raises(KeyboardInterrupt):
        run(jobs, interrupt)
    *_, hint, finished = events
    assert isinstance(hint, Interrupted)
    assert isinstance(finished, Finished)
    assert (len(finished.outcomes), finished.was_interrupted) == (1, True)
    assert list(runs_in(store, "sweep").values()) == ["KILLED"]
    assert "RUNNING" not in runs_in(store).values()
    ended: list[Event] = []
    again = run(jobs, ended.append)
    assert len([event for event in ended if isinstance(event, Ended)]) == 2
    assert [outcome.status for outcome in again.outcomes.values()] == ["FINISHED"] * 3
    assert list(runs_in(store, "sweep").values()) == ["FINISHED"]


def test_a_sweep_that_fails_fast_stops_and_says_so(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.jobs.stacks._MOST_RUNS", 1)
    bad = job(seed=0, optimizer__learning_rate=1e200, sweep__fail_fast=True)
    finished = run([bad, *(job(seed=seed, sweep__fail_fast=True) for seed in (1, 2))])
    assert finished.was_stopped
    assert [outcome.status for outcome in finished.outcomes.values()] == ["FAILED"]
    assert list(runs_in(store, "sweep").values()) == ["FAILED"]


def test_jobs_that_failed_before_are_tried_alone_when_their_worker_dies(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [job(seed=seed) for seed in range(2)]

    def fail(*_: object, **__: object) -> None:
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("runner.jobs.worker.stack_run.end_run", fail)
        first = run(jobs)
    assert [outcome.status for outcome in first.outcomes.values()] == ["FAILED"] * 2

    def die_in_company(task: Task) -> Events:
        if len(task.jobs) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return run_stack(task)

    again = run(jobs, executor=LocalProcesses(1, die_in_company))
    assert [outcome.status for outcome in again.outcomes.values()] == ["FINISHED"] * 2
