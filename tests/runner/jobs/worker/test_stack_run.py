"""A stack at work: the same record as alone, whatever goes wrong in it or interrupts it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow.entities import Run

import runner.jobs.worker.stack_run
from runner.jobs.events import Ended, Progress, Resumed, WorkerEvent
from runner.jobs.plan import Plan
from runner.jobs.worker.stack_run import run_stack
from runner.jobs.worker.states import open_states
from runner.tracking import Store, open_store
from runner.training.outcome import Outcome
from runner.training.train import StackTraining
from softnet import Record
from tests.runner.jobs.planned import STOPPING, outcomes, plan, task, weights_of, work

SPLIT = {"name": "shuffled", "train": 10, "val": 5, "test": 5}
VARIED: list[dict[str, object]] = [
    {"seed": 1},
    {"seed": 2, "training__early_stopping": STOPPING},
    {"seed": 1, "optimizer__learning_rate": 1e200},
    {"seed": 3, "optimizer__weight_decay": 0.01},
]


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(f"sqlite:///{store}", None, "test")


def recorded(store: Store, outcome: Outcome) -> tuple[object, ...]:
    """All of a job's record that must not depend on its stack, floats by their bits."""
    run = store.client.get_run(outcome.run_id)
    histories = {
        name: [(step, value.hex()) for step, value in store.sweeps.history(outcome.run_id, name)]
        for name in sorted(run.data.metrics)
    }
    weights = [(name, w.tobytes()) for name, w in weights_of(store, outcome.run_id).items()]
    final = {name: value.hex() for name, value in outcome.metrics.items()}
    tags = [run.data.tags[f"runner.{name}"] for name in ("key", "weights_sha256")]
    return run.info.status, outcome.failure, histories, weights, final, tags


def runs(store: Store) -> dict[str, list[str]]:
    """Return the states of the runs of each name."""
    found: dict[str, list[str]] = {}
    run: Run
    for run in store.client.search_runs([store.experiment_id]):
        found.setdefault(run.info.run_name or "", []).append(run.info.status)
    return found


def test_the_record_of_a_job_alone_equals_that_in_a_stack(opened: Store) -> None:
    made = plan(*VARIED)
    everyone = tuple(range(len(VARIED)))
    together = outcomes(work(opened, made, everyone))
    backwards = outcomes(work(opened, made, everyone[::-1]))
    assert [together[p].status for p in everyone] == ["FINISHED", "FINISHED", "FAILED", "FINISHED"]
    for position in everyone:
        (alone,) = outcomes(work(opened, made, (position,))).values()
        expected = recorded(opened, alone)
        assert recorded(opened, together[position]) == expected
        assert recorded(opened, backwards[position]) == expected


def test_a_run_of_its_own_has_the_bits_of_a_job_of_a_sweep_and_figures(opened: Store) -> None:
    made = plan({"seed": 1})
    (own,) = outcomes(work(opened, made, (0,), is_alone=True)).values()
    (job,) = outcomes(work(opened, made, (0,))).values()
    assert recorded(opened, own) == recorded(opened, job)
    files = [{f.path for f in opened.client.list_artifacts(one.run_id)} for one in (own, job)]
    assert files[0] - files[1] == {"figures", "predictions.parquet"}


def test_each_job_ends_once_and_all_progress_is_told(opened: Store) -> None:
    made = plan(*VARIED)
    events = work(opened, made, (0, 1, 2, 3))
    assert [e.position for e in events if isinstance(e, Ended)] == [0, 1, 2, 3]
    # A sum of rounded twelfths.
    assert sum(e.n for e in events if isinstance(e, Progress)) == pytest.approx(4, abs=1e-9)


def test_progress_is_whole_where_all_jobs_stop_early(opened: Store) -> None:
    made = plan({"training__early_stopping": STOPPING, "training__steps": 5000})
    events = work(opened, made, (0,))
    assert sum(e.n for e in events if isinstance(e, Progress)) == pytest.approx(1, abs=1e-9)


def test_jobs_are_listed_under_their_parents(opened: Store) -> None:
    told = task(opened, plan({"seed": 1}, {"seed": 2}), (0, 1))
    jobs = (told.jobs[0], replace(told.jobs[1], parent_run_id="9" * 32))
    found = outcomes(list(run_stack(replace(told, jobs=jobs))))
    tags = [opened.client.get_run(found[p].run_id).data.tags for p in (0, 1)]
    assert [tag["mlflow.parentRunId"] for tag in tags] == ["5" * 32, "9" * 32]
    assert {tag["runner.sweep"] for tag in tags} == {"5" * 32}


@pytest.mark.parametrize("method", ["__init__", "until", "results"])
def test_a_job_that_raises_costs_itself_alone(
    method: str, opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(StackTraining, method)

    def fault(self: StackTraining, *given: object) -> object:
        if method == "__init__":
            real(self, *given)
        if any(run.seed == 2 for run in self._training.runs):
            raise ArithmeticError("of seed 2")
        return None if method == "__init__" else real(self, *given)

    monkeypatch.setattr(StackTraining, method, fault)
    found = outcomes(work(opened, plan(*({"seed": s} for s in range(4))), (0, 1, 2, 3)))
    assert [found[p].status for p in range(4)] == ["FINISHED", "FINISHED", "FAILED", "FINISHED"]
    assert found[2].failure == "ArithmeticError: of seed 2"
    assert runs(opened) == {
        **{f"seed={seed}": ["FINISHED"] for seed in (0, 1, 3)},
        "seed=2": ["FAILED"],
    }


def wrong_from(step: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every training that a seed takes part in raise from a step on."""
    real = StackTraining.until

    def fault(self: StackTraining, step_of_rung: int) -> Iterator[Record]:
        for record in real(self, step_of_rung):
            if record.step >= step and any(run.seed == seed for run in self._training.runs):
                raise ArithmeticError(f"of seed {seed}")
            yield record

    monkeypatch.setattr(StackTraining, "until", fault)


def test_jobs_of_a_failed_stack_have_another_try_in_runs_of_their_own(
    opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(*({"seed": s} for s in range(4)))
    expected = outcomes(work(opened, made))
    monkeypatch.setattr(runner.jobs.worker.stack_run, "_SHOWN_AFTER_S", 0.0)
    wrong_from(20, 2, monkeypatch)
    found = outcomes(work(opened, made))
    assert [found[p].status for p in range(4)] == ["FINISHED", "FINISHED", "FAILED", "FINISHED"]
    assert runs(opened) == {
        **{f"seed={seed}": ["FINISHED", "KILLED", "FINISHED"] for seed in (0, 1, 3)},
        "seed=2": ["FAILED", "KILLED", "FINISHED"],
    }
    for position in (0, 1, 3):
        assert recorded(opened, found[position]) == recorded(opened, expected[position])


def test_an_interrupt_while_jobs_are_tried_again_leaves_nothing_running(
    opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner.jobs.worker.stack_run, "_SHOWN_AFTER_S", 0.0)
    wrong_from(20, 2, monkeypatch)
    events = run_stack(task(opened, plan(*({"seed": s} for s in range(3)))))
    assert any(isinstance(event, Ended) for event in events)  # the first one is done
    next(events)  # the second one has begun
    events.close()
    states = sorted(state for states in runs(opened).values() for state in states)
    assert states == ["FINISHED", "KILLED", "KILLED", "KILLED", "KILLED"]


def test_a_defect_in_a_run_of_its_own_keeps_its_traceback(
    opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: object) -> Iterator[object]:
        raise ArithmeticError("ours")

    monkeypatch.setattr(StackTraining, "until", fault)
    with pytest.raises(ArithmeticError, match="ours"):
        work(opened, plan({"seed": 1}), (0,), is_alone=True)
    assert runs(opened) == {"seed=1": ["FAILED"]}


@pytest.mark.parametrize("content", ["x,y\n" + "1,0\n2,1\n" * 10, "x,y\n1,0\noops,1\n", None])
def test_data_that_changed_meanwhile_fail_the_jobs_and_say_so(
    content: str | None, opened: Store, tmp_path: Path
) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(20)))
    data = {"name": "file", "path": str(table), "target": "y"}
    made = plan(*({"data": data, "split": SPLIT, "seed": seed} for seed in (1, 2, 3)))
    assert [o.status for o in outcomes(work(opened, made, (2,))).values()] == ["FINISHED"]
    if content is None:
        table.unlink()
    else:
        table.write_text(content)
    found = outcomes(work(opened, made, (0, 1)))
    assert [found[p].status for p in (0, 1)] == ["FAILED", "FAILED"]
    for outcome in found.values():
        assert outcome.failure is not None
        assert "rows.csv" in outcome.failure
        tag = opened.client.get_run(outcome.run_id).data.tags["runner.failure"]
        assert tag == outcome.failure


def interrupted(store: Store, made: Plan, stack: tuple[int, ...], states: Path, until: int) -> None:
    """Stop after so many records, as SIGTERM does."""
    events = run_stack(task(store, made, stack, states=str(states)))
    for _ in range(until):
        next(events)
    events.close()


@pytest.fixture
def saved_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.jobs.worker.stack_run, "_SAVED_EVERY_S", 0.0)


def going_on(store: Store, made: Plan, stack: tuple[int, ...], folder: Path) -> list[WorkerEvent]:
    """Train jobs, each from where it was saved in whatever stack, as a later command does."""
    states = open_states(str(folder), None)
    assert states is not None
    saved = {key: (one.name, key) for one in states.saved() for key in one.keys}
    keys = {position: made.jobs[position].key for position in stack}
    sources = {position: saved[key] for position, key in keys.items() if key in saved}
    return work(store, made, stack, states=str(folder), sources=sources, is_resumed=True)


@pytest.mark.usefixtures("saved_always")
@pytest.mark.parametrize("split", [((0, 1, 2, 3),), ((2, 0), (3,), (1,))])
def test_a_stack_saved_and_resumed_has_the_same_bits(
    split: tuple[tuple[int, ...], ...], opened: Store, tmp_path: Path
) -> None:
    made, everyone, folder = plan(*VARIED), (0, 1, 2, 3), tmp_path / "states"
    expected = outcomes(work(opened, made, everyone))
    interrupted(opened, made, everyone, folder, until=7)
    assert len(list(folder.glob("*.npz"))) == 1
    for stack in split:
        events = going_on(opened, made, stack, folder)
        assert events[0] == Resumed(35)
        done = sum(e.n for e in events if isinstance(e, Progress))
        assert done == pytest.approx(len(stack), abs=1e-9)
        found = outcomes(events)
        for position in stack:
            assert recorded(opened, found[position]) == recorded(opened, expected[position])


@pytest.mark.usefixtures("saved_always")
def test_what_is_recorded_leaves_no_state(opened: Store, tmp_path: Path) -> None:
    folder = tmp_path / "states"
    folder.mkdir()
    work(opened, plan(*VARIED), (0, 1, 2, 3), states=str(folder))
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("saved_always")
@pytest.mark.parametrize("digest", ["environment_digest", "code_digest"])
def test_a_state_of_another_environment_is_not_taken(
    digest: str, opened: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan({"seed": 1})
    interrupted(opened, made, (0,), tmp_path / "states", until=3)
    monkeypatch.setattr(runner.jobs.worker.stack_run, digest, lambda: "another")
    events = going_on(opened, made, (0,), tmp_path / "states")
    assert not any(isinstance(event, Resumed) for event in events)
    assert outcomes(events)[0].status == "FINISHED"


@pytest.mark.usefixtures("saved_always")
@pytest.mark.parametrize(
    "damage", ["gone", "torn", "arrays of something else", "a tree of something else"]
)
def test_a_state_of_no_use_costs_only_time(damage: str, opened: Store, tmp_path: Path) -> None:
    made = plan({"seed": 1})
    interrupted(opened, made, (0,), tmp_path / "states", until=3)
    (file,) = (tmp_path / "states").glob("*.npz")
    if damage == "gone":
        file.unlink()
    elif damage == "torn":
        file.write_bytes(file.read_bytes()[:-9])
    elif damage == "arrays of something else":
        np.savez(file, weight=np.ones(3))
    else:
        np.savez(file, tree=np.frombuffer(b'{"keys": []}', np.uint8))
    events = going_on(opened, made, (0,), tmp_path / "states")
    assert not any(isinstance(event, Resumed) for event in events)
    assert outcomes(events)[0].status == "FINISHED"


def test_what_takes_long_is_shown_while_it_trains(
    opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(*VARIED)
    expected = outcomes(work(opened, made, (0, 1, 2, 3)))
    monkeypatch.setattr(runner.jobs.worker.stack_run, "_SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr(runner.jobs.worker.stack_run, "FLUSH_EVERY_S", 0.0)
    events = run_stack(task(opened, made))
    next(events)
    assert [sorted(states) for states in runs(opened).values()].count(["FINISHED", "RUNNING"]) == 3
    found = outcomes(list(events))
    assert {found[p].run_id for p in found}.isdisjoint({o.run_id for o in expected.values()})
    for position in range(4):
        assert recorded(opened, found[position]) == recorded(opened, expected[position])


def test_what_is_shown_and_then_stopped_is_killed(
    opened: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner.jobs.worker.stack_run, "_SHOWN_AFTER_S", 0.0)
    interrupted(opened, plan({"seed": 1}, {"seed": 2}), (0, 1), tmp_path, until=3)
    assert runs(opened) == {"seed=1": ["KILLED"], "seed=2": ["KILLED"]}
