"""Sessions: what is checked first, what goes on, how each end is recorded and reported."""

import os
import signal
from pathlib import Path

import pytest
from mlflow import MlflowClient

import runner.jobs.worker.stack_run
from runner.jobs import session
from runner.jobs.events import Ended, Event, Finished, Interrupted, Progress, Started, SweepOpened
from runner.jobs.executors.local import LocalProcesses
from runner.jobs.rerun.request import Options, request
from runner.jobs.session import Request
from runner.jobs.worker.recording import Stop
from runner.jobs.worker.stack_run import Events, run_stack
from runner.jobs.worker.task import Task
from runner.system.errors import StoreError, Terminated
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
    assert events[0] == Started("seed=3", 60, "steps")
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
    n_jobs = sum(e.n for e in events if isinstance(e, Progress))
    assert n_jobs == pytest.approx(4, abs=1e-9)
    alone = run([jobs[1]], is_sweep=False).outcomes[0]
    assert alone.metrics == finished.outcomes[1].metrics


@pytest.mark.parametrize("stage", ["StackTraining.until", "end_run"])
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

    def die_in_company(task: Task, stop: Stop) -> Events:
        if len(task.jobs) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return run_stack(task, stop)

    again = run(jobs, executor=LocalProcesses(1, die_in_company))
    assert [outcome.status for outcome in again.outcomes.values()] == ["FINISHED"] * 2


def test_a_job_that_kills_its_worker_fails_alone_and_the_others_are_tried_together(
    store: Path, tmp_path: Path
) -> None:
    handed = tmp_path / "handed"

    def die_of_the_first(task: Task, stop: Stop) -> Events:
        with handed.open("a") as file:
            print(*(job.position for job in task.jobs), file=file)
        if task.jobs[0].position == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return run_stack(task, stop)

    finished = run([job(seed=n) for n in range(8)], executor=LocalProcesses(1, die_of_the_first))
    assert [o.status for o in finished.outcomes.values()] == ["FAILED"] + ["FINISHED"] * 7
    tasks = ["0 1 2 3 4 5 6 7", "0 1 2 3", "0 1", "0", "1", "2 3", "4 5 6 7"]
    assert handed.read_text().splitlines() == tasks


def test_a_worker_that_dies_has_no_more_read_of_the_store_than_its_own_jobs(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whole_sweep(*_: object, **__: object) -> None:
        raise AssertionError("all runs of a sweep were read")

    def die_when_recorded(task: Task, stop: Stop) -> Events:
        for event in run_stack(task, stop):
            if isinstance(event, Ended) and len(task.jobs) > 1:
                os.kill(os.getpid(), signal.SIGKILL)
            yield event

    monkeypatch.setattr("runner.tracking.queries.Sweeps._members", whole_sweep)
    monkeypatch.setattr("runner.jobs.stacks._FEW", 2)
    jobs = [job(seed=seed, optimizer__learning_rate=r) for seed in range(4) for r in (0.1, 0.2)]
    events: list[Event] = []
    run(jobs, events.append, executor=LocalProcesses(2, die_when_recorded))
    assert sorted(event.position for event in events if isinstance(event, Ended)) == [*range(8)]
    assert sorted(runs_in(store).values()) == ["FINISHED"] * 8
    client = MlflowClient(f"sqlite:///{store}")
    found = client.search_runs(["1"], "tags.`runner.kind` = 'run'")
    parents = {run.data.tags["mlflow.parentRunId"] for run in found}
    groups = client.search_runs(["1"], "tags.`runner.kind` = 'group'")
    assert parents == {group.info.run_id for group in groups}


@pytest.mark.parametrize("overrides", [(), ("training.steps=40",)])
def test_a_rerun_whose_worker_dies_when_it_has_recorded_has_each_job_finished_once(
    overrides: tuple[str, ...], store: Path
) -> None:
    sweep_id = run([job(seed=seed) for seed in range(2)]).run_id

    def die_when_recorded(task: Task, stop: Stop) -> Events:
        for event in run_stack(task, stop):
            if isinstance(event, Ended) and len(task.jobs) > 1:
                os.kill(os.getpid(), signal.SIGKILL)
            yield event

    options = Options(str(sweep_id), overrides, in_place=True)
    asked = request(options, lambda _: None)
    assert asked.plan is not None
    executor = LocalProcesses(1, die_when_recorded)
    again = Request(asked.plan, rerun=asked)
    finished = session.run(again, asked.recording, executor, lambda _: None)
    assert len(finished.outcomes) == 2
    assert [c.verdict for c in finished.comparisons.values()] == ["IDENTICAL"] * (
        0 if overrides else 2
    )
    client = MlflowClient(f"sqlite:///{store}")
    runs = client.search_runs(["1"], f"tags.`runner.sweep` = '{finished.run_id}'")
    keys = [run.data.tags["runner.key"] for run in runs if run.info.status == "FINISHED"]
    assert len(keys) == len(set(keys)) == 2


def test_a_worker_that_dies_in_a_long_training_costs_what_was_not_saved(
    store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner.jobs.worker.stack_run, "_SAVED_EVERY_S", 0.0)
    jobs = [job(seed=seed, training__steps=100) for seed in range(2)]
    steps = tmp_path / "steps"

    def die_in_company(task: Task, stop: Stop) -> Events:
        for n, event in enumerate(run_stack(task, stop)):
            if len(task.jobs) > 1 and n == 10:
                os.kill(os.getpid(), signal.SIGKILL)
            if n == 0 and len(task.jobs) == 1:
                with steps.open("a") as file:
                    print(event, file=file)
            yield event

    finished = run(jobs, executor=LocalProcesses(1, die_in_company))
    assert [outcome.status for outcome in finished.outcomes.values()] == ["FINISHED"] * 2
    # Each goes on from step 55 of 100: the next evaluation is 5 steps, a fortieth of its work.
    told = steps.read_text().splitlines()
    assert [line.partition(",")[0] for line in told] == ["Progress(n=0.025"] * 2
