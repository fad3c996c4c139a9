"""Groups: seeds summed up in runs of their own, between the sweep and its jobs."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
import scipy.stats
from mlflow.entities import Run

from runner.jobs.plan import Plan
from runner.jobs.sweep.groups import Groups
from runner.tracking import RunWriter, Store, open_store
from runner.training.outcome import Outcome
from tests.runner.jobs.planned import plan, task
from tests.runner.report.outcomes import failed, outcome

RATES = ("0.1", "0.5")
# Two learning rates with three seeds each: rate, seed, rate, seed, ...
SEEDS: list[dict[str, object]] = [
    {"optimizer__learning_rate": float(rate), "seed": seed} for seed in range(3) for rate in RATES
]


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(f"sqlite:///{store}", None, "test")


@pytest.fixture
def made() -> Plan:
    return plan(*SEEDS)


@pytest.fixture
def parent(opened: Store) -> RunWriter:
    return opened.start_run("sweep", {}, {"runner.kind": "sweep"})


def groups_in(store: Store) -> dict[str, Run]:
    found = store.client.search_runs([store.experiment_id], "tags.`runner.kind` = 'group'")
    return {run.info.run_name or "": run for run in found}


def groups_of(
    store: Store,
    made: Plan,
    parent: RunWriter,
    positions: Iterable[int] = range(6),
    done: Mapping[int, Outcome] | None = None,
) -> Groups:
    """Return the groups of a sweep as a command has them that runs some of its jobs."""
    sweep, *_ = store.sweeps.all()
    recorded = {job.key: job.parent for job in store.sweeps.jobs_of(sweep)}
    parents = {p: recorded[job.key] for p, job in enumerate(made.jobs) if job.key in recorded}
    groups = Groups(store, made, parent.run_id, store.sweeps.groups_of(sweep), parents)
    groups.begin(positions, done or {})
    return groups


def completed(
    groups: Groups, outcomes: Mapping[int, Outcome], done: Mapping[int, Outcome] | None = None
) -> None:
    """Have jobs end, one after the other."""
    so_far = dict(done or {})
    for position, each in outcomes.items():
        so_far[position] = each
        groups.take(position, so_far)


def recorded(store: Store, made: Plan, parent: RunWriter, position: int) -> Outcome:
    """Record a job as a worker does that was not told of a group."""
    tags = {"runner.kind": "run", "runner.key": made.jobs[position].key}
    tags["runner.sweep"] = parent.run_id
    run = store.start_run("job", {}, tags, parent.run_id)
    run.finish()
    return outcome(position, run_id=run.run_id)


def parents_in(store: Store, made: Plan) -> dict[int, str]:
    """Return the run that each job is listed under, by position in the plan."""
    sweep, *_ = store.sweeps.all()
    positions = {job.key: position for position, job in enumerate(made.jobs)}
    return {positions[job.key]: job.parent for job in store.sweeps.jobs_of(sweep)}


def test_a_group_is_made_when_its_first_job_ends(
    opened: Store, made: Plan, parent: RunWriter
) -> None:
    groups = groups_of(opened, made, parent)
    assert groups_in(opened) == {}
    completed(groups, {1: outcome(1)})
    ((name, run),) = groups_in(opened).items()
    assert name == "learning_rate=0.5"
    assert run.info.status == "RUNNING"
    assert run.data.tags["mlflow.parentRunId"] == parent.run_id
    assert run.data.tags["runner.sweep"] == parent.run_id


def test_jobs_are_listed_under_their_group_whenever_they_were_begun(
    opened: Store, made: Plan, parent: RunWriter
) -> None:
    groups = groups_of(opened, made, parent)
    early = groups.listed(task(opened, made, (0, 1, 2), sweep_id=parent.run_id))
    assert [job.parent_run_id for job in early.jobs] == [parent.run_id] * 3
    ended = {position: recorded(opened, made, parent, position) for position in (0, 1, 2)}
    completed(groups, ended)
    late = groups.listed(task(opened, made, (3, 4), sweep_id=parent.run_id))
    groups.__exit__()
    found = groups_in(opened)
    of_rate = [found[f"learning_rate={rate}"].info.run_id for rate in RATES]
    assert [job.parent_run_id for job in late.jobs] == [of_rate[1], of_rate[0]]
    assert parents_in(opened, made) == {p: of_rate[p % 2] for p in ended}


def test_jobs_of_a_killed_command_are_listed_under_their_group(
    opened: Store, made: Plan, parent: RunWriter
) -> None:
    ended = {position: recorded(opened, made, parent, position) for position in range(3)}
    groups = groups_of(opened, made, parent)
    completed(groups, ended)  # and is killed before it could move them
    groups_of(opened, made, parent, range(3, 6), ended)
    found = groups_in(opened)
    of_rate = [found[f"learning_rate={rate}"].info.run_id for rate in RATES]
    assert parents_in(opened, made) == {p: of_rate[p % 2] for p in ended}


def test_a_job_that_somebody_deleted_keeps_no_other_from_its_group(
    opened: Store, made: Plan, parent: RunWriter
) -> None:
    groups = groups_of(opened, made, parent)
    groups.listed(task(opened, made, sweep_id=parent.run_id))
    ended = {position: recorded(opened, made, parent, position) for position in (0, 2)}
    completed(groups, ended)
    opened.client.delete_run(ended[0].run_id)
    groups.__exit__()
    (group,) = groups_in(opened).values()
    assert parents_in(opened, made) == {2: group.info.run_id}


def test_seeds_that_come_later_make_a_group_of_a_job_that_was_alone(
    opened: Store, parent: RunWriter
) -> None:
    both, alone = plan({"seed": 0}, {"seed": 1}), plan({"seed": 0})
    groups = groups_of(opened, alone, parent, [0])
    groups.listed(task(opened, alone, sweep_id=parent.run_id))
    first = recorded(opened, alone, parent, 0)
    completed(groups, {0: first})
    groups.extend(both)
    groups.begin([1], {0: first})
    groups.listed(task(opened, both, (1,), sweep_id=parent.run_id))
    completed(groups, {1: recorded(opened, both, parent, 1)}, {0: first})
    groups.__exit__()
    (group,) = groups_in(opened).values()
    assert parents_in(opened, both) == dict.fromkeys((0, 1), group.info.run_id)


def test_mean_deviation_and_interval_are_those_worked_by_hand(
    opened: Store, made: Plan, parent: RunWriter
) -> None:
    groups = groups_of(opened, made, parent)
    losses = {0: 1.0, 2: 2.0, 4: 3.0, 1: 0.5, 3: 0.5, 5: 0.5}
    completed(groups, {p: outcome(p, metrics={"val/loss": loss}) for p, loss in losses.items()})
    run = groups_in(opened)["learning_rate=0.1"]
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer.learning_rate"] == "0.1"
    assert "seed" not in run.data.params
    assert "split.seed" in run.data.params
    metrics = run.data.metrics
    assert {k: metrics[f"val/loss/{k}"] for k in ("mean", "std", "n")} == {
        "mean": 2.0, "std": 1.0, "n": 3.0
    }  # fmt: skip
    # t(2, 0.975) = 4.30265 of the printed tables, over the square root of 3.
    assert metrics["val/loss/ci95_low"] == pytest.approx(2 - 4.30265 / math.sqrt(3), abs=1e-5)
    assert metrics["val/loss/ci95_high"] == pytest.approx(2 + 4.30265 / math.sqrt(3), abs=1e-5)
    alike = groups_in(opened)["learning_rate=0.5"].data.metrics
    assert (
        alike["val/loss/mean"] == alike["val/loss/ci95_low"] == alike["val/loss/ci95_high"] == 0.5
    )


def test_folds_make_one_group_over_which_seeds_are_averaged(
    opened: Store, parent: RunWriter
) -> None:
    kfold = {"split": {"name": "kfold", "n_folds": 2, "val": 0.2}}
    made = plan(*({**kfold, "split__fold": n % 2, "seed": n // 2} for n in range(4)))
    groups = groups_of(opened, made, parent, range(4))
    losses = [1.0, 2.0, 3.0, 6.0]
    completed(
        groups,
        {
            p: outcome(p, varied=made.jobs[p].varied, metrics={"val/loss": loss})
            for p, loss in enumerate(losses)
        },
    )
    (run,) = groups_in(opened).values()
    assert "split.fold" not in run.data.params
    assert run.data.params["split.n_folds"] == "2"
    metrics = run.data.metrics
    # The folds are 2 and 4; t is 12.706, and the correction without numbers of rows 1 / (k - 1).
    assert (metrics["val/loss/n"], metrics["val/loss/mean"]) == (2, 3)
    assert run.data.tags["runner.n_finished"] == "4"
    half_width = 12.706 * math.sqrt(2) * math.sqrt(1 / 2 + 1)
    assert metrics["val/loss/ci95_high"] == pytest.approx(3 + half_width, abs=2e-3)


def test_the_interval_is_that_of_scipy(opened: Store, parent: RunWriter) -> None:
    values = [0.31, 0.27, 0.44, 0.29, 0.38, 0.35, 0.9]
    made = plan(*({"seed": seed} for seed in range(len(values))))
    groups = groups_of(opened, made, parent, range(len(values)))
    completed(groups, {p: outcome(p, metrics={"val/loss": v}) for p, v in enumerate(values)})
    (run,) = groups_in(opened).values()
    found = run.data.metrics
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found["val/loss/std"] == pytest.approx(scipy.stats.tstd(values), rel=1e-12)
    assert found["val/loss/ci95_low"] == pytest.approx(expected.low, rel=1e-9)
    assert found["val/loss/ci95_high"] == pytest.approx(expected.high, rel=1e-9)


def test_failed_seeds_are_counted_and_not_summed_up(
    opened: Store, made: Plan, parent: RunWriter
) -> None:
    groups = groups_of(opened, made, parent)
    finished = {p: outcome(p, metrics={"val/loss": float(p)}) for p in (0, 2)}
    diverged = failed(4, metrics={"val/loss": math.nan})
    completed(groups, {**finished, 4: diverged, **{p: failed(p) for p in (1, 3, 5)}})
    some, none = (groups_in(opened)[f"learning_rate={rate}"] for rate in RATES)
    assert some.data.tags["runner.n_finished"] == "2"
    assert some.data.tags["runner.n_failed"] == "1"
    assert some.data.metrics["val/loss/n"] == 2
    assert some.data.metrics["val/loss/mean"] == 1
    assert none.data.metrics == {}
    assert none.data.tags["runner.n_failed"] == "3"


def test_pruned_seeds_have_finished_and_are_counted_as_pruned(
    opened: Store, made: Plan, parent: RunWriter
) -> None:
    groups = groups_of(opened, made, parent, [0, 2, 4])
    stopped = {"status": "PRUNED", "pruned_at_step": 6}
    completed(groups, {p: outcome(p, **stopped) for p in (0, 2, 4)})
    (run,) = groups_in(opened).values()
    counts = {name: run.data.tags.get(f"runner.n_{name}") for name in ("finished", "pruned")}
    assert counts == {"finished": "3", "pruned": "3"}
    assert run.data.metrics == {}


def test_the_best_step_has_no_interval(opened: Store, made: Plan, parent: RunWriter) -> None:
    groups = groups_of(opened, made, parent, [0, 2, 4])
    completed(groups, {p: outcome(p, metrics={"best/step": 6.0 * p}) for p in (0, 2, 4)})
    (run,) = groups_in(opened).values()
    assert {name.rpartition("/")[2] for name in run.data.metrics} == {"mean", "std", "n"}


def test_one_value_has_a_mean_and_no_interval(opened: Store, made: Plan, parent: RunWriter) -> None:
    groups = groups_of(opened, made, parent, [0, 2, 4])
    completed(groups, {0: outcome(0, metrics={"val/loss": 0.25}), 2: failed(2), 4: failed(4)})
    (run,) = groups_in(opened).values()
    assert run.data.metrics == {"val/loss/mean": 0.25, "val/loss/n": 1}


def test_a_group_ends_with_the_last_of_its_jobs(
    opened: Store, made: Plan, parent: RunWriter
) -> None:
    groups = groups_of(opened, made, parent)
    completed(groups, {p: outcome(p) for p in (0, 1, 2, 4)})
    found = groups_in(opened)
    assert [found[f"learning_rate={r}"].info.status for r in RATES] == ["FINISHED", "RUNNING"]
    groups.__exit__()
    found = groups_in(opened)
    assert [found[f"learning_rate={r}"].info.status for r in RATES] == ["FINISHED", "KILLED"]


def test_a_configuration_with_one_seed_is_no_group(opened: Store, parent: RunWriter) -> None:
    made = plan({"seed": 1, "dtype": "float32"}, {"seed": 1, "dtype": "float64"})
    groups = groups_of(opened, made, parent, [0, 1])
    completed(groups, {0: outcome(0), 1: outcome(1)})
    assert groups_in(opened) == {}


def test_groups_of_an_earlier_attempt_go_on_as_they_were(
    opened: Store, made: Plan, parent: RunWriter
) -> None:
    first = groups_of(opened, made, parent)
    done = {p: outcome(p, metrics={"val/loss": 1.0}) for p in range(5)}
    completed(first, done)
    first.__exit__()
    before = groups_in(opened)["learning_rate=0.5"]
    assert before.info.status == "KILLED"
    again = groups_of(opened, made, parent, [5], done)
    completed(again, {5: outcome(5, metrics={"val/loss": 4.0})}, done)
    found = groups_in(opened)
    assert len(found) == 2
    run = found["learning_rate=0.5"]
    assert (run.info.run_id, run.info.status) == (before.info.run_id, "FINISHED")
    assert run.data.metrics["val/loss/mean"] == 2.0


@pytest.mark.parametrize("status", ["RUNNING", "KILLED", "FINISHED"])
def test_groups_that_lack_nothing_but_their_sum_are_summed_up(
    status: str, opened: Store, made: Plan, parent: RunWriter
) -> None:
    first = groups_of(opened, made, parent, [0, 1] if status == "FINISHED" else range(6))
    completed(first, {0: outcome(0, metrics={"val/loss": 0.0})})
    if status == "KILLED":
        first.__exit__()
    before = groups_in(opened)["learning_rate=0.1"]
    assert before.info.status == status
    # The others ended, and their command before it could say so.
    done = {p: outcome(p, metrics={"val/loss": float(p)}) for p in (0, 2, 4, 1)}
    groups_of(opened, made, parent, [3, 5], done)
    (whole,) = groups_in(opened).values()
    assert (whole.info.run_id, whole.info.status) == (before.info.run_id, "FINISHED")
    assert whole.data.metrics["val/loss/mean"] == 2.0
