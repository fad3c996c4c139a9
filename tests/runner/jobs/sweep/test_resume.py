"""Where a sweep goes on: jobs of earlier commands join those that are asked for now."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runner.jobs.plan import Plan
from runner.jobs.sweep.resume import sweep_state, with_earlier_jobs
from runner.tracking import Store, open_store
from tests.runner.jobs.planned import plan

MINE = {"sweep__name": "mine"}


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(None, None, "test")


def leave(opened: Store, made: Plan, folder: Path, lines: str | None = None) -> None:
    """Leave a sweep as a command does that was stopped when it had written its plan."""
    run = opened.start_run("mine", {}, {"runner.kind": "sweep", "runner.plan": made.identity})
    (folder / "plan").mkdir()
    (folder / "plan" / "plan.jsonl").write_text(made.lines() if lines is None else lines)
    run.log_folder(folder / "plan", "plan")
    run.finish()


def test_nothing_is_done_of_a_sweep_that_never_ran(opened: Store) -> None:
    state = sweep_state(opened, plan({"seed": 1}, {"seed": 2}))
    assert (state.sweep, state.done, state.recorded) == (None, {}, {})


def test_without_a_name_or_a_sweep_nothing_joins(opened: Store, tmp_path: Path) -> None:
    nameless, named = plan({"seed": 1}), plan({**MINE, "seed": 1})
    leave(opened, nameless, tmp_path)
    assert with_earlier_jobs(opened, nameless) is nameless
    assert with_earlier_jobs(opened, named) is named


def test_earlier_jobs_come_first_and_are_not_asked_for(opened: Store, tmp_path: Path) -> None:
    before = plan(*({**MINE, "seed": seed} for seed in (0, 1)))
    leave(opened, before, tmp_path)
    now = plan(*({**MINE, "sweep__fail_fast": True, "seed": seed} for seed in (2, 1)))
    whole = with_earlier_jobs(opened, now)
    assert [job.name for job in whole.jobs] == ["seed=0", "seed=1", "seed=2"]
    assert (whole.asked, whole.earlier) == ([1, 2], {0})
    assert whole.first.sweep.fail_fast
    assert whole.jobs[0].experiment.sweep == whole.first.sweep
    assert whole.identity == now.identity == before.identity
    assert [job.key for job in whole.jobs[:2]] == [job.key for job in before.jobs]


def test_all_jobs_are_named_by_what_varies_among_all(opened: Store, tmp_path: Path) -> None:
    leave(opened, plan(*({**MINE, "seed": seed} for seed in (0, 1))), tmp_path)
    more = {**MINE, "optimizer__momentum": 0.5, "optimizer__learning_rate": 0.25}
    whole = with_earlier_jobs(opened, plan({**more, "seed": 2}, {**more, "seed": 3}))
    # The momentum is that of the earlier jobs, which did not set it.
    assert [job.varied for job in whole.jobs] == [
        {"optimizer.learning_rate": rate, "seed": str(seed)}
        for seed, rate in enumerate(("0.5", "0.5", "0.25", "0.25"))
    ]
    assert whole.jobs[0].name == "learning_rate=0.5 seed=0"


def test_a_job_with_other_data_takes_the_place_of_the_earlier_one(
    opened: Store, tmp_path: Path
) -> None:
    before = plan({**MINE, "seed": 0}, {**MINE, "seed": 1})
    earlier = [replace(job, key=f"earlier {job.name}", data_digest="f" * 64) for job in before.jobs]
    leave(opened, replace(before, jobs=tuple(earlier)), tmp_path)
    whole = with_earlier_jobs(opened, plan({**MINE, "seed": 1}, {**MINE, "seed": 2}))
    assert [job.name for job in whole.jobs] == ["seed=0", "seed=1", "seed=2"]
    assert whole.jobs[0].key == "earlier seed=0"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[" * 100_000,
        "[]",
        "null",
        json.dumps({"key": "k"}),
        json.dumps({"key": "k", "name": "n", "config": {"_target_": "os.system"}, "varied": {}}),
        json.dumps({"key": "k", "name": "n", "config": [], "varied": []}),
        json.dumps({"key": "k", "changes": [[["config", "seed"], 4]]}),
        json.dumps({"key": "k", "changes": [[[], 4], "ab", 7]}),
        json.dumps(["k", 0]),
        '{"varies": 7}\n["k", 0]',
        '{"varies": [[["config", "seed"], [1]]]}\n["k", 9]',
    ],
)
def test_lines_that_are_no_jobs_are_passed_over(line: str, opened: Store, tmp_path: Path) -> None:
    earlier = plan({**MINE, "seed": 1})
    leave(opened, earlier, tmp_path, f"{line}\n{earlier.lines()}")
    whole = with_earlier_jobs(opened, plan({**MINE, "seed": 2}))
    assert [job.name for job in whole.jobs] == ["seed=1", "seed=2"]


def test_a_sweep_whose_plan_is_gone_is_what_is_asked_for(opened: Store) -> None:
    now = plan({**MINE, "seed": 2})
    opened.start_run("mine", {}, {"runner.kind": "sweep", "runner.plan": now.identity}).finish()
    assert with_earlier_jobs(opened, now).jobs == now.jobs
