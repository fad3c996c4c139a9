"""Short jobs as they come from the command line, plans of them, and how they are worked on."""

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.config.compose import Job
from runner.config.schema import Experiment
from runner.jobs import session
from runner.jobs.events import Ended, Finished, Listener, WorkerEvent
from runner.jobs.executors.interface import Executor
from runner.jobs.executors.local import InProcess
from runner.jobs.plan import Plan, make_plan
from runner.jobs.session import Request
from runner.jobs.worker.stack_run import run_stack
from runner.jobs.worker.task import Task, make_task
from runner.tracking import Store, address_of, open_store
from runner.tracking.records.mlflow_record import stored_run
from runner.training.outcome import Outcome

CONFIG: dict[str, Any] = {
    "name": "test",
    "seed": 0,
    "data": {"name": "moons", "n_samples": 60, "noise": 0.1, "seed": 0, "scaling": "standardize"},
    "split": {"name": "shuffled", "train": 40, "val": 10, "test": 10, "seed": 0},
    "model": {"hidden_layer_sizes": [5], "activation": "tanh"},
    "optimizer": {"name": "sgd", "learning_rate": 0.5, "momentum": 0.5},
    "schedule": {"name": "constant"},
    "training": {"steps": 60, "batch_size": 7, "evaluate_every": 5},
}
# A point that costs itself alone.
MISSING = {"name": "file", "path": "/nowhere/none.csv", "target": "y"}
STOPPING = {"metric": "val/loss", "patience": 2, "min_delta": 0.0}


def config(**changes: object) -> dict[str, Any]:
    """Return `CONFIG` with changes: a whole section, or ``optimizer__learning_rate``."""
    changed = {key: dict(v) if isinstance(v, dict) else v for key, v in CONFIG.items()}
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            changed.setdefault(section, {})[name] = value
        else:
            changed[section] = dict(value) if isinstance(value, dict) else value
    return changed


def experiment(**changes: object) -> Experiment:
    return Experiment.from_dict(config(**changes))


def job(choices: Mapping[str, str] | None = None, **changes: object) -> Job:
    """Make the job whose overrides are the changes."""
    overrides = (f"{key.replace('__', '.')}={value}" for key, value in changes.items())
    return Job(config(**changes), tuple(overrides), choices or {})


def plan(*changes: dict[str, object]) -> Plan:
    """Plan a job for each set of changes."""
    return make_plan([job(**each) for each in changes])


def task(store: Store | None, made: Plan, stack: Sequence[int] = (), **more: object) -> Task:
    """Make the task of some jobs of a plan, by default of all.

    They are those of a sweep whose run need not exist, unless they are `is_alone`.
    """
    given: dict[str, Any] = {"sweep_id": None if more.get("is_alone") else "5" * 32, **more}
    address = None if store is None else address_of(store)
    return make_task(made, stack or range(len(made.jobs)), store=address, **given)


def work(store: Store, made: Plan, stack: Sequence[int] = (), **more: object) -> list[WorkerEvent]:
    return list(run_stack(task(store, made, stack, **more)))


def run(
    jobs: Sequence[Job | dict[str, Any]],
    listener: Listener = lambda _: None,
    *,
    is_sweep: bool = True,
    executor: Executor | None = None,
) -> Finished:
    """Run jobs, or those of sets of changes, in the usual store; by default in this process."""
    made = make_plan([job(**each) if isinstance(each, dict) else each for each in jobs])
    store = open_store(made.first.tracking.uri, None, made.experiment_name)
    return session.run(Request(made, is_sweep=is_sweep), store, executor or InProcess(), listener)


def outcomes(events: Iterable[WorkerEvent]) -> dict[int, Outcome]:
    return {e.position: e.outcome for e in events if isinstance(e, Ended) and e.outcome}


def weights_of(store: Store, run_id: str) -> dict[str, NDArray[Any]]:
    """Return the parameters that a run left, as NumPy reads them."""
    content = stored_run(store, run_id).read("weights.npz", 1 << 20)
    with np.load(io.BytesIO(content)) as archive:
        return dict(archive)
