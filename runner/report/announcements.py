"""Lines about a sweep before it has results: its plan, and how to resume it.

They go to the error stream: the standard output is for results, of which the plan of `--dry-run` is
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runner.config.search import HalvingSearch, OptunaSearch
from runner.jobs.plan import Plan
from runner.jobs.search import trials
from runner.jobs.stacks import Stack
from runner.report.table import printing, say
from runner.system.formatting import count
from runner.system.process import command_line
from runner.system.text import elide
from runner.training.outcome import Outcome, varied_values

_VALUES_SHOWN = 6


def say_start(plan: Plan, done: Mapping[int, Outcome], *, is_new: bool) -> None:
    """Say how many jobs are done and how many will run; `done` is by position in the plan."""
    name, jobs = plan.sweep_name, count(len(plan.jobs), "job")
    n_failed = _n_failed(done[position] for position in plan.asked if position in done)
    n_to_run = sum(position not in done for position in plan.asked)
    search = plan.first.search
    if isinstance(search, OptunaSearch):
        say(f"{name}: {count(search.n_trials, 'trial')}, proposed {search.batch:,} at a time.")
    elif is_new:
        say(f"{name}: {jobs} to run.")
    elif n_failed and not n_to_run:
        say(f"{name} is over: {jobs}, {n_failed:,} failed, sweep.retry_failed is false.")
    elif n_to_run or len(done) < len(plan.jobs) or _n_failed(done.values()):
        say(f"{name}: {jobs}, {_done_and_left(plan, done, n_to_run)}.")
    else:
        say(f"{name} is complete: {jobs}. sweep.restart=true would run it again.")


def _done_and_left(plan: Plan, done: Mapping[int, Outcome], n_to_run: int) -> str:
    n_failed = _n_failed(done.values())
    failed = f", {n_failed:,} failed and left" if n_failed else ""
    n_left = sum(position not in done for position in plan.earlier)
    left = f", {n_left:,} of an earlier command left" if n_left else ""
    return f"{len(done) - n_failed:,} done{failed}{left}, {n_to_run:,} to run"


def _n_failed(outcomes: Iterable[Outcome]) -> int:
    return sum(outcome.status == "FAILED" for outcome in outcomes)


def say_resume_hint() -> None:
    """Say which command resumes the sweep."""
    # Restarting once is enough: the next command resumes.
    if command := command_line(without="sweep.restart="):
        say(f"The same command goes on where this one stopped:\n  {command}")


def points_run_once(plan: Plan) -> list[str]:
    """Say how many points of a sweep are no jobs of their own; nothing where all are."""
    if not plan.n_duplicates:
        return []
    are = "is" if plan.n_duplicates == 1 else "are"
    again = "proposed" if plan.first.search.proposes else "given"
    return [f"{count(plan.n_duplicates, 'point')} {are} {again} again, and run once."]


def print_plan(
    plan: Plan, done: Mapping[int, Outcome], stacks: Sequence[Stack], n_workers: int
) -> None:
    """Print the plan of a sweep that is not run."""
    lines = [f"{plan.sweep_name}: {count(len(plan.jobs), 'job')}"]
    lines += [f"  {line}" for line in _varying_settings(plan)]
    lines += points_run_once(plan)
    lines += _rungs(plan)
    problems = [job.problem for job in plan.jobs if job.problem is not None]
    if problems:
        lines.append(f"{count(len(problems), 'job')} cannot run: {problems[0]}")
    n_to_run = sum(p not in done and plan.jobs[p].problem is None for p in plan.asked)
    lines.append(_done_and_left(plan, done, n_to_run))
    if stacks:
        largest = max(len(stack) for stack in stacks)
        lines.append(
            f"{count(len(stacks), 'stack')} of up to {count(largest, 'run')}, "
            f"{count(n_workers, 'worker')}"
        )
    with printing() as out:
        for line in lines:
            out.line(line)


def _rungs(plan: Plan) -> list[str]:
    """Say how many trials of successive halving come how far."""
    search, training = plan.first.search, plan.first.training
    budgets = {
        (job.experiment.training.budget, job.experiment.training.evaluate_every)
        for job in plan.jobs
    }
    if isinstance(search, OptunaSearch) and len(plan.jobs) < plan.n_jobs:
        return [f"the first of {count(search.n_trials, 'trial')}; their results propose the others"]
    if not isinstance(search, HalvingSearch):
        return []
    n = n_trials = len(trials(plan))
    parts: list[str] = []
    if len(budgets) > 1:
        for share in search.shares:
            parts.append(f"{n:,} to {share}{' of their budget' if not parts else ''}")
            n = -(-n // search.reduction)
        parts.append(f"{n:,} to the end")
        sums = "budgets differ, so their sum depends on who goes on"
        return [f"{count(n_trials, 'trial')}: {', '.join(parts)}; {sums}"]
    total = before = 0
    unit = "epoch" if training.epochs else "step"
    for rung in [*search.rungs(training.budget, training.evaluate_every), training.budget]:
        parts.append(f"{n:,} to {f'{unit} ' if not parts else ''}{rung:,}")
        total += n * (rung - before)
        n, before = -(-n // search.reduction), rung
    n_runs = len(plan.jobs) // n_trials
    each = f" of {count(n_runs, 'run')}" if n_runs > 1 else ""
    saved = f"{count(total * n_runs, unit)} instead of {training.budget * len(plan.jobs):,}"
    return [f"{count(n_trials, 'trial')}{each}: {', '.join(parts)}: {saved}"]


def _varying_settings(plan: Plan) -> list[str]:
    """Describe each setting that varies: how many values it has, and the first and last."""
    values = varied_values(job.varied for job in plan.jobs)
    width = max(map(len, values), default=0)
    lines = []
    for key, distinct in values.items():
        shown = distinct
        if len(distinct) > _VALUES_SHOWN:
            shown = [*distinct[: _VALUES_SHOWN - 2], "...", distinct[-1]]
        values_shown = elide(", ".join(shown), 100)
        lines.append(f"{key:{width}}  {count(len(distinct), 'value')}: {values_shown}")
    return lines
