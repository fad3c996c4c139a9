"""Whole sweeps of the tutorial from Enter to exit, beside the fewest calls MLflow needs for them.

The floor is taken on the sweep's own store, before it and after it, with as many metrics and
params as one of its runs has and with the very files.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import time
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

FLOOR_LIMIT = 1.25
# What two equal sweeps may differ by on a machine that does other things too.
GROWTH_LIMIT = 1.1
N_JOBS = 1000
# 40 evaluations of two metrics on the training rows, 8 of them on the validation rows.
FEW_METRICS = 96
N_RATES = 10
_WARM_UP = 3


class Floors(NamedTuple):
    """Milliseconds for a run with our metrics, and with few."""

    ours_ms: float
    few_ms: float


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


def floor_ms(folder: Path, sizes: Sizes, files: Path, n_runs: int) -> tuple[list[float], ...]:
    """Time recording by MLflow alone, with our metrics and with few, turn by turn."""
    store = open_store(store_uri(folder), "floor", "floor")
    few = (min(FEW_METRICS, sizes[0]), *sizes[1:])
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(n_runs + _WARM_UP):
        for side, what in zip(times, (sizes, few), strict=True):
            started = time.perf_counter()
            record_by_mlflow(store, what, files)
            if turn >= _WARM_UP:
                side.append(1e3 * (time.perf_counter() - started))
    return times


def measure(template: Path, n_jobs: int, n_rounds: int, n_floor: int) -> tuple[float, Floors]:
    """Return medians: milliseconds per job of whole sweeps, and the floors around them."""
    walls: list[float] = []
    floors: tuple[list[float], list[float]] = ([], [])
    with fresh_store(template) as folder:
        sweep(N_RATES, folder)
        sizes, files = one_run(folder)
        kept = shutil.copytree(files, folder / "files of a run")
        print(
            f"A run of the sweep has {sizes[0]} metrics, {sizes[1]} params, {sizes[2]} files.\n"
        )
        for _ in range(n_rounds):
            with fresh_store(template) as store:
                for turn in (0, 1):
                    for all_times, times in zip(
                        floors, floor_ms(store, sizes, kept, n_floor // 2), strict=True
                    ):
                        all_times += times
                    if turn:
                        break
                    walls.append(1e3 * sweep(n_jobs, store).wall_s / n_jobs)
    return statistics.median(walls), Floors(*map(statistics.median, floors))


def beside_the_floor(template: Path, n_jobs: int, n_rounds: int, n_floor: int) -> tuple[bool, float]:
    """Print how whole sweeps compare with MLflow's floor; give a job's milliseconds too."""
    ours, floors = measure(template, n_jobs, n_rounds, n_floor)
    print(f"| {n_jobs:,} jobs of the tutorial | ms per job |\n|---|---:|")
    print(f"| `runner --multirun`, from Enter to exit | {ours:.2f} |")
    print(f"| MLflow's floor, as many metrics | {floors.ours_ms:.2f} |")
    print(f"| MLflow's floor, {FEW_METRICS} metrics | {floors.few_ms:.2f} |")
    judged()
    kept = at_most("sweep / MLflow's floor", ours / floors.ours_ms, FLOOR_LIMIT)
    at_most(f"sweep / floor with {FEW_METRICS} metrics", ours / floors.few_ms, None)
    return kept, ours


def growth(template: Path, sizes: list[int], n_rounds: int) -> bool:
    """Print what a job costs in sweeps of different sizes, beyond a sweep of one job."""
    took: dict[int, list[Spent]] = {n_jobs: [] for n_jobs in (1, *sizes)}
    for _ in range(n_rounds):
        for n_jobs, found in took.items():
            with fresh_store(template) as folder:
                found.append(sweep(n_jobs, folder))
    alone, *others = (
        Spent(*(statistics.median(column) for column in zip(*found, strict=True)))
        for found in took.values()
    )
    costs = {
        n_jobs: 1e3 * (spent.wall_s - alone.wall_s) / (n_jobs - 1)
        for n_jobs, spent in zip(sizes, others, strict=True)
    }
    print(f"A sweep of one job takes {alone.wall_s:.2f} s, and {alone.peak_mib:.0f} MiB.\n")
    print("| jobs | s | ms per further job | peak, MiB | KiB per further job |")
    print("|---:|---:|---:|---:|---:|")
    for n_jobs, spent_ in zip(sizes, others, strict=True):
        memory = 1024 * (spent_.peak_mib - alone.peak_mib) / (n_jobs - 1)
        print(
            f"| {n_jobs:,} | {spent_.wall_s:.2f} | {costs[n_jobs]:.2f} "
            f"| {spent_.peak_mib:.0f} | {memory:.1f} |"
        )
    if 100 not in costs:
        return True
    judged()
    larger = [n_jobs for n_jobs in sizes if n_jobs > 100]
    kept = [
        at_most(f"{n:,} jobs / 100 jobs, per job", costs[n] / costs[100], GROWTH_LIMIT)
        for n in larger
    ]
    return all(kept)
