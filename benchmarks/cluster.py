"""What a sweep costs on a Dask cluster beside the processes of one machine, in one run.

    python benchmarks/cluster.py [--jobs 1000] [--rounds 1]

Both record through the same tracking server, on PostgreSQL where it can be started, with two
workers. CPU seconds are those of the driver, the scheduler and the workers, which have run a few
jobs before; what server and database take is the same for both and stands beside.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
from benchmarks.sweeps.cluster import Cluster, free_port, missing_for_postgres, served
from benchmarks.sweeps.processes import RUNNER, Spent, at_most, judged, spent

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(cluster: Cluster) -> float:
    """Return the CPU seconds of a cluster's processes up to now."""
    fields = [
        Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        for process in cluster.processes.values()
    ]
    return sum(int(each[11]) + int(each[12]) for each in fields) / _TICKS


def sweep(name: str, n_jobs: int, server: str, *words: str) -> Spent:
    """Run a sweep of the tutorial's network."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        points = ["-m", "experiment=tutorial", f"seed=range(0,{n_jobs})", f"name={name}"]
        return spent([RUNNER, *points, f"tracking.uri={server}", *words], Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    print(missing_for_postgres() or "The tracking server is on PostgreSQL.")
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        cluster = Cluster(folder, free_port())
        cluster.start_scheduler()
        cluster.start_worker("one")
        cluster.start_worker("two")
        dask = ["executor=dask", f"executor.address={cluster.address}"]
        dask += ["executor.n_workers=2", "executor.wait_s=60"]
        try:
            with served(folder, free_port()) as (server, *_):
                sweep("before", 20, server, *dask)
                cpu: list[float] = []
                wall: list[float] = []
                for number in range(options.rounds):
                    here = sweep(f"here-{number}", options.jobs, server, "sweep.n_workers=2")
                    before_s = cpu_s(cluster)
                    there = sweep(f"there-{number}", options.jobs, server, *dask)
                    parts = there.cpu_s, cpu_s(cluster) - before_s
                    print(
                        f"here: {here.cpu_s:.1f} s of CPU, {here.wall_s:.1f} s; on the cluster: "
                        f"driver {parts[0]:.1f} s, scheduler and workers {parts[1]:.1f} s of CPU, "
                        f"{there.wall_s:.1f} s"
                    )
                    cpu.append(sum(parts) / here.cpu_s)
                    wall.append(there.wall_s / here.wall_s)
        finally:
            cluster.end()
    judged()
    kept = at_most("CPU of a sweep on Dask / on this machine", statistics.median(cpu), 1.1)
    kept &= at_most("time of a sweep on Dask / on this machine", statistics.median(wall), 1.25)
    raise SystemExit(not kept)


if __name__ == "__main__":
    main()
