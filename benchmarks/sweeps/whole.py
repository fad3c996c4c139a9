"""Whole sweeps of the tutorial from Enter to exit, beside the fewest calls MLflow needs for them.

The floor is taken on the sweep's own store, before it and after it, with as many metrics and
params as one of its runs has and with the very files.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from benchmarks.sweeps.processes import (
    RUNNER,
    Spent,
    at_most,
    fresh_store,
    judged,
    spent,
    store_uri,
)
from benchmarks.tracking import Sizes, record_by_mlflow
from runner.tracking import open_store

FLOOR_LIMIT = 0.2
# What two equal sweeps may differ by on a machine that does other things too.
GROWTH_LIMIT = 1.05
COMPARED_WITH = 100
N_JOBS = 1000
# 40 evaluations of two metrics on the training rows, 8 of them on the validation rows.
FEW_METRICS = 96
N_RATES = 10
_WARM_UP = 3


class Floors(NamedTuple):
    """Milliseconds of each run that was recorded with as many metrics as ours, and with few."""

    ours_ms: list[float]
    few_ms: list[float]


def sweep_command(n_jobs: int) -> list[str]:
    """Return a sweep over ten learning rates, as many seeds each as make the number of jobs."""
    if n_jobs == 1:
        return [RUNNER, "--multirun", "experiment=tutorial", "optimizer.learning_rate=0.01"]
    rates = ",".join(f"{0.01 * (number + 1):g}" for number in range(N_RATES))
    seeds = f"seed=range(0,{n_jobs // N_RATES})"
    return [RUNNER, "--multirun", "experiment=tutorial", f"optimizer.learning_rate={rates}", seeds]


def sweep(n_jobs: int, folder: Path) -> Spent:
    """Run a sweep, and make sure that it has done its jobs."""
    took = spent(sweep_command(n_jobs), folder)
    finished = _ask(
        folder,
        "SELECT count(*) FROM runs JOIN tags USING (run_uuid) "
        "WHERE status = 'FINISHED' AND key = 'runner.kind' AND value = 'run'",
    )
    assert finished == n_jobs, f"{finished} of {n_jobs} jobs are in the store"
    return took


def per_job_ms(template: Path, n_jobs: int) -> float:
    """Return a job's share of one whole sweep, on a store of its own."""
    with fresh_store(template) as folder:
        return 1e3 * sweep(n_jobs, folder).wall_s / n_jobs


def one_run(folder: Path) -> tuple[Sizes, Path]:
    """Return what a run of a sweep holds, and the folder of its files."""
    run_id = _ask(
        folder,
        "SELECT run_uuid FROM tags WHERE key = 'runner.kind' AND value = 'run' LIMIT 1",
    )
    n_metrics = _ask(folder, "SELECT count(*) FROM metrics WHERE run_uuid = ?", run_id)
    n_params = _ask(folder, "SELECT count(*) FROM params WHERE run_uuid = ?", run_id)
    where = _ask(folder, "SELECT artifact_uri FROM runs WHERE run_uuid = ?", run_id)
    files = Path(str(where).removeprefix("file://"))
    n_files = sum(path.is_file() for path in files.rglob("*"))
    return (int(n_metrics), int(n_params), n_files), files


def _ask(folder: Path, question: str, *values: object) -> object:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        (answer,) = connection.execute(question, values).fetchone()
    return answer


def floor_ms(folder: Path, sizes: Sizes, files: Path, n_runs: int, floors: Floors) -> None:
    """Add what recording takes by MLflow alone, with our metrics and with few, turn by turn."""
    store = open_store(store_uri(folder), "floor", "floor")
    few = (min(FEW_METRICS, sizes[0]), *sizes[1:])
    for turn in range(n_runs + _WARM_UP):
        for times, what in zip(floors, (sizes, few), strict=True):
            started = time.perf_counter()
            record_by_mlflow(store, what, files)
            if turn >= _WARM_UP:
                times.append(1e3 * (time.perf_counter() - started))


def measure(template: Path, n_jobs: int, n_rounds: int, n_floor: int) -> tuple[float, Floors]:
    """Return medians: milliseconds per job of whole sweeps, and the floors around them."""
    per_job: list[float] = []
    floors = Floors([], [])
    with fresh_store(template) as folder:
        sweep(N_RATES, folder)
        sizes, files = one_run(folder)
        print("A run of the sweep has {} metrics, {} params, {} files.\n".format(*sizes))
        for _ in range(n_rounds):
            with fresh_store(template) as store:
                floor_ms(store, sizes, files, n_floor // 2, floors)
                per_job.append(1e3 * sweep(n_jobs, store).wall_s / n_jobs)
                floor_ms(store, sizes, files, n_floor // 2, floors)
    return statistics.median(per_job), floors


def beside_the_floor(template: Path, n_jobs: int, n_rounds: int, n_floor: int) -> bool:
    """Print how whole sweeps compare with MLflow's floor, and tell whether the limit holds."""
    ours, floors = measure(template, n_jobs, n_rounds, n_floor)
    floor, few = (statistics.median(times) for times in floors)
    print(f"| {n_jobs:,} jobs of the tutorial | ms per job |\n|---|---:|")
    print(f"| `runner --multirun`, from Enter to exit | {ours:.2f} |")
    print(f"| MLflow's floor, as many metrics | {floor:.2f} |")
    print(f"| MLflow's floor, {FEW_METRICS} metrics | {few:.2f} |")
    judged()
    kept = [
        at_most("sweep / MLflow's floor, as many metrics", ours / floor, FLOOR_LIMIT),
        at_most(f"sweep / MLflow's floor, {FEW_METRICS} metrics", ours / few, FLOOR_LIMIT),
    ]
    return all(kept)


def growth(template: Path, sizes: list[int], n_rounds: int) -> bool:
    """Print what a job costs in sweeps of different sizes, beyond a sweep of one job."""
    rounds: dict[int, list[Spent]] = {n_jobs: [] for n_jobs in (1, *sizes)}
    for _ in range(n_rounds):
        for n_jobs, found in rounds.items():
            with fresh_store(template) as folder:
                found.append(sweep(n_jobs, folder))
            # Half an hour is long without a word.
            print(f"{n_jobs:,} jobs: {found[-1].wall_s:.2f} s", file=sys.stderr, flush=True)
    took = {n_jobs: median(found) for n_jobs, found in rounds.items()}
    alone = took.pop(1)
    costs = {n: 1e3 * (each.wall_s - alone.wall_s) / (n - 1) for n, each in took.items()}
    print(f"A sweep of one job takes {alone.wall_s:.2f} s, and {alone.peak_mib:.0f} MiB.\n")
    print("| jobs | s | ms per further job | of processors | peak, MiB | KiB per further job |")
    print("|---:|---:|---:|---:|---:|---:|")
    for n, each in took.items():
        kib = 1024 * (each.peak_mib - alone.peak_mib) / (n - 1)
        # The second does not depend on what else the machine does.
        cpu_ms = 1e3 * (each.cpu_s - alone.cpu_s) / (n - 1)
        times = f"{each.wall_s:.2f} | {costs[n]:.2f} | {cpu_ms:.2f}"
        print(f"| {n:,} | {times} | {each.peak_mib:.0f} | {kib:.1f} |")
    if COMPARED_WITH not in costs:
        return True
    judged()
    kept = [
        # A few jobs cost more each, since stacks of few runs do: no limit for them.
        at_most(
            f"{n:,} jobs / {COMPARED_WITH} jobs, per job",
            cost / costs[COMPARED_WITH],
            GROWTH_LIMIT if n > COMPARED_WITH else None,
        )
        for n, cost in costs.items()
        if n != COMPARED_WITH
    ]
    return all(kept)


def median(costs: Sequence[Spent]) -> Spent:
    return Spent(*(statistics.median(column) for column in zip(*costs, strict=True)))
