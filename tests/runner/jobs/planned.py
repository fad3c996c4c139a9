"""Short jobs as they come from the command line, plans of them, and how they are worked on."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.config import Experiment
from runner.config.compose import Job
from runner.jobs.plan import Plan, make_plan
from runner.jobs.worker.task import Assignment, Ended, Event
from runner.jobs.worker.work import work_on
from runner.tracking import Store
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


def job(**changes: object) -> Job:
    """Make the job whose overrides are the changes."""
    overrides = (f"{key.replace('__', '.')}={value}" for key, value in changes.items())
    return Job(config(**changes), tuple(overrides))


def plan(*changes: dict[str, object]) -> Plan:
    """Plan a job for each set of changes."""
    return make_plan([job(**each) for each in changes])


def assignment(store: Store, made: Plan, **more: object) -> Assignment:
    """Assign all jobs of a plan, as those of a sweep whose run need not exist, or `alone`."""
    sweep_id = None if more.get("alone") else "5" * 32
    given: dict[str, object] = {"wanted": range(len(made.jobs)), "sweep_id": sweep_id, **more}
    return Assignment(made, store, **given)  # type: ignore[arg-type]  # what a test says


def work(store: Store, made: Plan, stack: tuple[int, ...], **more: object) -> list[Event]:
    return list(work_on(assignment(store, made, **more))(stack))


def outcomes(events: list[Event]) -> dict[int, Outcome]:
    return {event.position: event.outcome for event in events if isinstance(event, Ended)}


def weights_of(store: Store, run_id: str) -> dict[str, NDArray[Any]]:
    """Return the parameters that a run left, as NumPy reads them."""
    content = stored_run(store, run_id).read("weights.npz", 1 << 20)
    with np.load(io.BytesIO(content)) as archive:
        return dict(archive)
