"""How a sweep stands in the store, whatever earlier commands called its jobs."""

from pathlib import Path

import pytest

from runner.jobs.plan import Plan
from runner.jobs.sweep.groups import Groups
from runner.jobs.sweep.parent_runs import recorded_sweep
from runner.jobs.sweep.resume import bring_up_to_date, outdated, standing_of
from runner.tracking import Store, open_store
from tests.runner.jobs.planned import plan, work


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(None, None, "test")


def run(opened: Store, made: Plan, jobs: list[int]) -> str:
    """Run some jobs of a sweep, in a process of its own as far as the store can tell."""
    standing = standing_of(opened, made)
    sweep, outcomes = standing.sweep, dict(standing.done)
    with recorded_sweep(opened, made, sweep, outcomes, 0.0) as parent:
        known = opened.sweeps.groups_of(sweep) if sweep else {}
        with Groups(opened, made, parent.run_id, known) as groups:
            groups.rename(outdated(made, standing))
            parents = groups.begin(jobs)
            bring_up_to_date(opened, made, standing, parents)
            for position in jobs:
                *_, ended = work(opened, made, (position,), sweep_id=parent.run_id, parents=parents)
                outcomes[position] = ended.outcome
                groups.complete(position, outcomes)
    return parent.run_id


def test_nothing_stands_of_a_sweep_that_never_ran(opened: Store) -> None:
    standing = standing_of(opened, plan({"seed": 1}, {"seed": 2}))
    assert (standing.sweep, standing.done) == (None, {})


def test_what_is_done_is_told_in_the_words_of_the_present_command(opened: Store) -> None:
    rate = {"sweep__name": "mine", "optimizer__learning_rate": 0.1}
    run(opened, plan({**rate, "seed": 0}, {**rate, "seed": 1}), [0, 1])
    other = {"sweep__name": "mine", "optimizer__learning_rate": 0.2}
    made = plan(*({**each, "seed": seed} for each in (rate, other) for seed in (0, 1, 2)))
    done = standing_of(opened, made).done
    assert {p: outcome.name for p, outcome in done.items()} == {
        0: "learning_rate=0.1 seed=0",
        1: "learning_rate=0.1 seed=1",
    }
    sweep_id = run(opened, made, [2, 3, 4, 5])
    sweep = standing_of(opened, made).sweep
    assert sweep is not None
    assert sweep.run_id == sweep_id
    stored = {job.outcome.name for job in opened.sweeps.jobs_of(sweep)}
    assert stored == {job.name for job in made.jobs}
    groups = [opened.client.get_run(run_id) for run_id in opened.sweeps.groups_of(sweep).values()]
    assert sorted(group.info.run_name for group in groups) == [
        "learning_rate=0.1",
        "learning_rate=0.2",
    ]
    assert {group.data.metrics["val/loss/n"] for group in groups} == {3.0}


def test_settings_in_another_order_are_the_same_groups(opened: Store) -> None:
    points = [
        {"optimizer__learning_rate": rate, "optimizer__momentum": momentum, "seed": seed}
        for rate in (0.1, 0.2)
        for momentum in (0.0, 0.5)
        for seed in (0, 1)
    ]
    first = plan(*points)
    run(opened, first, [0])
    turned = plan(*({key: point[key] for key in reversed(point)} for point in points))
    run(opened, turned, [p for p in range(8) if p not in standing_of(opened, turned).done])
    sweep = standing_of(opened, turned).sweep
    assert sweep is not None
    runs = opened.client.search_runs([opened.experiment_id], "tags.`runner.kind` = 'group'")
    assert len(runs) == 4
    assert {group.data.metrics["val/loss/n"] for group in runs} == {2.0}
