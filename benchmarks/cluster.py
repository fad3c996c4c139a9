"""What sweeps cost past one machine, beside all that is promised of it: every limit in one run.

    python benchmarks/cluster.py [--only dask http large] [--jobs 1000] [--many 50000]

Dask and one machine record through the same tracking server, on PostgreSQL where it can be started,
with two workers. CPU seconds are those of the driver, the scheduler and the workers, which have run
a few jobs before; what server and database take stands beside. Many jobs go into a SQLite file. All
of it takes about half an hour.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from benchmarks.sweeps.cluster import Cluster, Serving, free_port, missing_for_postgres, served
from benchmarks.sweeps.processes import (
    RUNNER,
    Spent,
    at_most,
    environment,
    fresh_store,
    judged,
    migrated,
    spent,
)
from runner.jobs.events import Notice
from runner.jobs.executors.dask import DaskCluster

_TICKS = os.sysconf("SC_CLK_TCK")
_SLEEP_S = 0.05
# What the jobs of a thousand cores may take, in seconds of one of them.
_TRAININGS_S = (1.0, 10.0, 60.0)


class Costs(NamedTuple):
    """CPU seconds of a job, by who spends them."""

    driver: float
    scheduler: float
    worker: float
    server: float
    database: float


@dataclass(frozen=True)
class Machines:
    """A cluster, and the tracking server that it records through."""

    cluster: Cluster
    serving: Serving

    @property
    def server(self) -> str:
        """The address of the server."""
        return self.serving.address

    @property
    def words(self) -> list[str]:
        """What has a sweep run on it."""
        dask = ["executor=dask", f"executor.address={self.cluster.address}"]
        return [*dask, "executor.n_workers=2", "executor.wait_s=60"]

    def cpu_s(self) -> list[float]:
        """Return the CPU seconds of scheduler, workers, server and database up to now."""
        pids = {name: process.pid for name, process in self.cluster.processes.items()}
        parts = [[pids.pop("scheduler")], list(pids.values()), [self.serving.process.pid]]
        database = self.serving.database_process
        parts.append([] if database is None else [database.pid])
        return [_cpu_s(part) for part in parts]


def _cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU seconds of some processes, of their children, and of those that have ended."""
    rows = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        rows[int(stat.parent.name)] = int(fields[1]), sum(map(int, fields[11:15]))
    counted, new = set[int](), set(pids)
    while new:
        counted |= new
        new = {pid for pid, (parent, _) in rows.items() if parent in new}
    return sum(rows[pid][1] for pid in counted if pid in rows) / _TICKS


@contextmanager
def machines() -> Iterator[Machines]:
    """Start a scheduler, two workers and a tracking server."""
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        folder = Path(name)
        cluster = Cluster(folder, free_port())
        try:
            cluster.start_scheduler()
            cluster.start_worker("one")
            cluster.start_worker("two")
            with served(folder, free_port()) as serving:
                yield Machines(cluster, serving)
        finally:
            cluster.end()


def sweep(name: str, n_jobs: int, server: str, *words: str) -> Spent:
    """Run a sweep of the tutorial's network."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        points = ["-m", "experiment=tutorial", f"seed=range(0,{n_jobs})", f"name={name}"]
        return spent([RUNNER, *points, f"tracking.uri={server}", *words], Path(folder))


def _nap(task: Any, _stop: object) -> Iterator[Any]:  # noqa: ANN401  (a stand-in for a task)
    time.sleep(_SLEEP_S)
    yield task


def overhead_ms(there: Machines, n_tasks: int) -> float:
    """Return how much longer a worker takes for a task than the task."""
    with DaskCluster(there.cluster.address, 2, wait_s=60, work=_nap) as executor:
        executor.require_workers()
        executor.add([(number,) for number in range(n_tasks)])  # type: ignore[misc]  # as above
        started_s = time.perf_counter()
        ended = [event for event in executor.events() if not isinstance(event, Notice)]
        took_s = time.perf_counter() - started_s
    assert len(ended) == n_tasks
    return 1e3 * (took_s / n_tasks * 2 - _SLEEP_S)


def beside_one_machine(there: Machines, n_jobs: int, n_rounds: int) -> bool:
    """Compare sweeps on the cluster with those of this machine; say what a thousand cores need."""
    sweep("before", 20, there.server, *there.words)
    cpu, wall, costs = list[float](), list[float](), list[Costs]()
    for number in range(n_rounds):
        here = sweep(f"here-{number}", n_jobs, there.server, "sweep.n_workers=2")
        before = there.cpu_s()
        took = sweep(f"there-{number}", n_jobs, there.server, *there.words)
        parts = [took.cpu_s, *(b - a for a, b in zip(before, there.cpu_s(), strict=True))]
        names = ("driver", "scheduler", "workers", "server", "database")
        said = ", ".join(f"{name} {s:.1f} s" for name, s in zip(names, parts, strict=True))
        print(
            f"here: {here.cpu_s:.1f} s of CPU, {here.wall_s:.1f} s; on the cluster: {said} of CPU, "
            f"{took.wall_s:.1f} s",
            flush=True,
        )
        cpu.append(sum(parts[:3]) / here.cpu_s)
        wall.append(took.wall_s / here.wall_s)
        costs.append(Costs(*(part / n_jobs for part in parts)))
    overhead = overhead_ms(there, 200)
    thousand_cores(Costs(*map(statistics.median, zip(*costs, strict=True))))
    judged()
    kept = at_most("CPU of a sweep on Dask / on this machine", statistics.median(cpu), 1.1)
    kept &= at_most("time of a sweep on Dask / on this machine", statistics.median(wall), 1.25)
    return at_most(f"overhead of a task of {1e3 * _SLEEP_S:g} ms", overhead, None, " ms") and kept


def thousand_cores(costs: Costs) -> None:
    """Print what a thousand cores would need, by what a job costs each part."""
    print("\n| CPU of a job, ms | driver | scheduler | worker | server | database |")
    print("|---|---:|---:|---:|---:|---:|")
    print("| the tutorial | " + " | ".join(f"{1e3 * cost:.1f}" for cost in costs) + " |")
    print("\n| training of a job | jobs/s of 1,000 cores | cores: server | database | driver |")
    print("|---|---:|---:|---:|---:|")
    for training_s in _TRAININGS_S:
        rate = 1000 / (training_s + costs.worker)
        needed = (rate * cost for cost in (costs.server, costs.database, costs.driver))
        cores = " | ".join(f"{cores:,.1f}" for cores in needed)
        print(f"| {training_s:g} s | {rate:,.0f} | {cores} |")


def over_http(there: Machines, n_jobs: int, n_floor: int) -> bool:
    """Compare a job that is recorded over HTTP with the best public calls for the same record."""
    client, words = MlflowClient(there.server), ("sweep.n_workers=1", "tracking.model=false")
    words = (*words, "tracking.figures=false")
    one = sweep("http", 1, there.server, *words)
    experiment = client.get_experiment_by_name("http")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.`runner.kind` = 'run'")
    history = [
        Metric(name, point.value, point.timestamp, point.step)
        for name in run.data.metrics
        for point in client.get_metric_history(run.info.run_id, name)
    ]
    params = [Param(name, value) for name, value in run.data.params.items()]
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        client.download_artifacts(run.info.run_id, "", folder)

        def floor(count: int) -> None:
            for _ in range(count):
                started_s = time.perf_counter()
                made = client.create_run(experiment.experiment_id, tags=dict(run.data.tags))
                run_id = made.info.run_id
                client.log_batch(run_id, history, params)
                client.log_inputs(run_id, run.inputs.dataset_inputs)
                client.log_artifacts(run_id, folder)
                client.set_terminated(run_id)
                times.append(time.perf_counter() - started_s)

        floor(3)
        times.clear()
        floor(n_floor // 2)
        many = sweep("http-many", n_jobs, there.server, *words)
        floor(n_floor // 2)
    ours = 1e3 * (many.wall_s - one.wall_s) / (n_jobs - 1)
    best = 1e3 * statistics.median(times)
    print(f"\nA job over HTTP: {ours:.1f} ms; the best public calls: {best:.1f} ms.")
    judged()
    return at_most("a job over HTTP / the best public calls", ours / best, 0.9)


def many_jobs(n_jobs: int, n_few: int) -> bool:
    """Run many jobs into a SQLite file, whole and killed half-way, beside a thousand."""
    words = [RUNNER, "-m", "experiment=tutorial", "training.steps=100", "sweep.n_workers=2"]
    words += ["tracking.model=false", "tracking.figures=false"]

    def command(count: int) -> list[str]:
        return [*words, f"seed=range(0,{count})"]

    with migrated() as template:
        with fresh_store(template) as folder:
            one = spent(command(1), folder)
        with fresh_store(template) as folder:
            few = spent(command(n_few), folder)
        with fresh_store(template) as folder:
            many = spent(command(n_jobs), folder)
            assert _n_finished(folder) == n_jobs
        with fresh_store(template) as folder:
            killed_s = _killed_half_way(command(n_jobs), folder, n_jobs)
            left = n_jobs - _n_finished(folder)
            rest = spent(command(n_jobs), folder)
            assert _n_finished(folder) == n_jobs
    per_few, per_many = (
        1e3 * (took.wall_s - one.wall_s) / (count - 1)
        for took, count in ((few, n_few), (many, n_jobs))
    )
    print(
        f"\n{n_jobs:,} jobs: {many.wall_s:.0f} s, {per_many:.2f} ms a job; {n_few:,}: "
        f"{per_few:.2f} ms. Killed after {killed_s:.0f} s, with {left:,} left: {rest.wall_s:.0f} s."
    )
    judged()
    more_s = killed_s + rest.wall_s - many.wall_s
    kept = [
        at_most(f"a job of {n_jobs:,} / of {n_few:,}", per_many / per_few, 1.05),
        at_most(f"memory of the parent, {n_jobs:,} jobs", many.peak_mib, 1024, " MiB"),
        at_most("memory of the parent that goes on", rest.peak_mib, 1024, " MiB"),
        at_most("what SIGKILL half-way costs", more_s, 60, " s"),
    ]
    return all(kept)


def _n_finished(folder: Path) -> int:
    query = (
        "SELECT count(*) FROM tags JOIN runs USING (run_uuid)"
        " WHERE key = 'runner.kind' AND value = 'run' AND status = 'FINISHED'"
    )
    with closing(sqlite3.connect(folder / "mlflow.db", timeout=60)) as connection:
        return int(connection.execute(query).fetchone()[0])


def _killed_half_way(command: list[str], folder: Path, n_jobs: int) -> float:
    """Run a command until half of its jobs are recorded; return the seconds that it had."""
    started_s = time.perf_counter()
    with (folder / "killed.txt").open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment(folder), stdout=output, stderr=output
        )
        while process.poll() is None and _n_finished(folder) < n_jobs / 2:
            time.sleep(1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return time.perf_counter() - started_s


def main() -> None:
    """Read what is asked for, measure it, and refuse what is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = ("dask", "http", "large")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--many", type=int, default=50_000)
    parser.add_argument("--http-jobs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    kept = True
    if "dask" in options.only or "http" in options.only:
        print(missing_for_postgres() or "The tracking server is on PostgreSQL.", flush=True)
        with machines() as there:
            parts: dict[str, Callable[[], bool]] = {
                "dask": lambda: beside_one_machine(there, options.jobs, options.rounds),
                "http": lambda: over_http(there, options.http_jobs, 60),
            }
            for name in parts.keys() & set(options.only):
                kept &= parts[name]()
    if "large" in options.only:
        kept &= many_jobs(options.many, options.jobs)
    raise SystemExit(not kept)


if __name__ == "__main__":
    main()
