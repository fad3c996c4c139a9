"""Trains the best configuration of a sweep once more, on all rows that may train.

As many steps as its runs needed, since no row is left to say when to stop. What comes of it is a
run as any other, listed under the sweep.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from runner.config.plain import to_plain
from runner.config.schema import SweepConfig
from runner.jobs.events import Ended
from runner.jobs.origin import learned_before
from runner.jobs.plan import GivenJob, Plan, PlannedJob, plan_each, run_name
from runner.jobs.sweep.candidates import Candidate, weights_in
from runner.jobs.worker.stack_run import run_stack
from runner.jobs.worker.task import make_task
from runner.system.errors import RecordError
from runner.system.formatting import count, number
from runner.tracking import REFIT_OF, RunQuery, address_of, job_of
from runner.tracking.notes import NOTE
from runner.tracking.records.mlflow_record import stored_run
from runner.training.verdict import estimate

if TYPE_CHECKING:
    from runner.config.schema import Experiment
    from runner.tracking import Store
    from runner.training.outcome import Outcome
    from runner.training.statistics import Configuration
    from softnet import StackSettings


def refit(
    store: Store,
    sweep_id: str,
    best: Configuration,
    metric: str,
    experiment: Experiment,
    shapes: Sequence[StackSettings],
) -> tuple[Candidate, str]:
    """Train the best configuration once more; return its run, and what is to be said of it.

    Over several splits all rows train, on one split those that train and validate. What an earlier
    command has made of the same is taken. The experiment is that of its first run, the `shapes` are
    what each of the runs has trained that its model is of. Raises `ConfigError`, `DataError` or
    `RecordError` if it cannot be trained, or diverges.
    """
    has_splits = len(best.by_split(metric)) > 1
    stopped = [run.metrics["best/step"] for run in best.outcomes if "best/step" in run.metrics]
    n_steps = round(median(stopped or [shape.n_steps for shape in shapes]))
    changes = {
        "epochs": None,
        "steps": n_steps,
        "evaluate_every": min(shapes[0].evaluate_every, n_steps),
        "early_stopping": None,
    }
    settings = {
        "training": experiment.training.model_copy(update=changes),
        "split": experiment.split.model_copy(update={"train_too": "all" if has_splits else "val"}),
        "sweep": SweepConfig(),
    }
    (job,) = plan_each([GivenJob(to_plain(experiment.model_copy(update=settings)))]).jobs
    if job.problem is not None:
        raise job.problem
    name = f"refit {run_name(experiment, best.varied)}"
    outcome = _trained(store, sweep_id, replace(job, name=name, varied=best.varied))
    if outcome.status != "FINISHED":
        raise RecordError(f"run {outcome.run_id}: {outcome.failure}.")
    note = _note(best, metric, outcome, n_steps, experiment.split.name if has_splits else "")
    store.set_tags(outcome.run_id, {NOTE: f"Refit {note}"})
    weights = weights_in(stored_run(store, outcome.run_id), job.experiment)
    learned = partial(learned_before, job.experiment, store.place)
    return Candidate(outcome.run_id, job.experiment, job.data_digest, weights, learned), note


def _trained(store: Store, sweep_id: str, job: PlannedJob) -> Outcome:
    """Train a job as a run of its own, unless an earlier command has."""
    of_sweep = {REFIT_OF: sweep_id}
    tags = of_sweep | {"runner.key": job.key}
    for run in store.backend.runs(RunQuery([store.experiment_id], tags, status="FINISHED")):
        return job_of(run).outcome
    plan, address = Plan((job,)), address_of(store)
    task = make_task(plan, (0,), store=address, is_alone=True, tags=of_sweep)
    task = replace(task, jobs=(replace(task.jobs[0], parent_run_id=sweep_id),))
    (outcome,) = [e.outcome for e in run_stack(task) if isinstance(e, Ended) and e.outcome]
    return outcome


def _note(best: Configuration, metric: str, run: Outcome, n_steps: int, split: str) -> str:
    """Say what a refit was trained on, and what it is worth: it may have no rows to be tested on.

    `split` is the kind of several, empty for one.
    """
    n_train, tested = run.rows.get("train", 0), f"test/{metric.rpartition('/')[2]}"
    if split:
        what = f"on all {count(n_train, 'row')}"
    else:
        what = f"on the {count(n_train, 'row')} that train and validate"
    what = f"{what} for {count(n_steps, 'step')}"
    if tested in run.metrics:
        n_test = count(run.rows["test"], "test row")
        return f"{what}; {tested} {number(tested, run.metrics[tested])} on the {n_test}"
    known = tested if best.summary(tested) is not None else metric
    summary = best.summary(known)
    worth = ""
    if summary is not None and math.isfinite(summary.high):
        worth = f", {known} {estimate(summary, known)}"
    elif summary is not None:
        worth = f", {known} {number(known, summary.mean)}"
    of = {"kfold": "the folds", "": "the run that was chosen"}.get(split, "the splits")
    return f"{what}; its estimate is that of {of}{worth}"
