"""What a sweep costs, beside all that it promises to be faster than: every limit in one run.

    python benchmarks/sweep.py [--only floor] [--jobs 1000] [--sizes 10 100 1000 5000] [--rounds 3]

Whole sweeps are processes from Enter to exit, each on a fresh copy of a migrated SQLite store. The
parts are in `benchmarks/sweeps/`; it all takes half an hour, the launchers and the growth the most.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
from benchmarks.sweeps.launchers import beside_launchers
from benchmarks.sweeps.planning import planning
from benchmarks.sweeps.processes import migrated
from benchmarks.sweeps.whole import beside_the_floor, growth


def training(n_rounds: int) -> bool:
    """Compare training alone, in a process that stays on one core."""
    command = [sys.executable, "-m", "benchmarks.sweeps.training", "--rounds", str(n_rounds)]
    return subprocess.run(command, check=False).returncode == 0


def measure(options: argparse.Namespace, template: Path) -> bool:
    """Carry out the parts that are asked for, and tell whether all limits hold."""
    rounds = options.rounds
    parts: dict[str, Callable[[], bool]] = {
        "floor": lambda: beside_the_floor(template, options.jobs, rounds, options.floor_runs),
        "launchers": lambda: beside_launchers(
            template, options.jobs, options.basic_jobs, options.joblib_jobs, rounds
        ),
        "growth": lambda: growth(template, options.sizes, rounds),
        "planning": lambda: planning(options.planned_jobs),
        "training": lambda: training(5 * rounds),
    }
    kept = True
    for name in options.only or parts:
        print(f"\n### {name}\n", flush=True)
        kept &= parts[name]()
    return kept


def main() -> None:
    """Read what is asked for, measure it, and refuse a sweep that is too slow."""
    parser = argparse.ArgumentParser(description="Measure what sweeps cost.")
    names = ("floor", "launchers", "growth", "planning", "training")
    parser.add_argument("--only", nargs="+", choices=names)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--floor-runs", type=int, default=60)
    parser.add_argument("--basic-jobs", type=int, default=8)
    parser.add_argument("--joblib-jobs", type=int, default=24)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 5000])
    parser.add_argument("--planned-jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with migrated() as template:
        kept = measure(options, template)
    if not kept:
        sys.exit("A limit is missed, or could not be measured.")


if __name__ == "__main__":
    main()
