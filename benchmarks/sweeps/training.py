"""What a step of training costs each run in a stack, beside JAX, PyTorch and scikit-learn.

    python -m benchmarks.sweeps.training [--rounds 15]

All sides take turns on one core of one process, in the same type; medians are printed. The
machine decides the microseconds: the limits are ratios within the same run.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterator

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np

from benchmarks.step import N_STEPS, step_s, tutorial_training, wide_training
from benchmarks.sweeps.peers import Steps, Task, is_installed, jax_steps, sklearn_steps, torch_steps
from benchmarks.sweeps.processes import at_least, at_most, judged
from runner.jobs.stacks import runs_per_stack
from runner.training.data.builtin import tutorial_table
from softnet import Training, mlp

JAX_LIMIT = 1.0
LOOP_LIMIT = 5.0
# JAX may choose its own number of runs among these.
JAX_STACKS = (1, 4, 16, 64, 256, 1024)
# Stacks with more fill every cache, and take their time.
_MOST_PARAMETERS = 500_000
_PEERS = {"jax": "JAX", "torch": "PyTorch", "sklearn": "scikit-learn"}


def tasks() -> Iterator[tuple[Task, Callable[[int, int], Training]]]:
    """Give what is trained, and how ours is made of a number of runs and of steps."""
    table, rng = tutorial_table(), np.random.default_rng(0)
    yield Task("4-2", (4, 2), 4, 0.04, table.X[:8].copy(), table.y[:8].copy()), tutorial_training
    X = rng.standard_normal((500, 64)).astype(np.float32)
    y = rng.integers(10, size=500)
    yield Task("64-64-32-10", (64, 64, 32, 10), 32, 0.04, X, y), wide_training


def best_jax_stack(task: Task) -> int:
    """Return the number of runs at which a step costs JAX the least."""
    most = _MOST_PARAMETERS // mlp(task.layer_sizes).n_parameters
    sides = {n: jax_steps(task, n, N_STEPS) for n in JAX_STACKS if n <= most}
    best = dict.fromkeys(sides, math.inf)
    for _ in range(8):  # in turns, so that a busy moment does not choose
        for n_runs, side in sides.items():
            best[n_runs] = min(best[n_runs], side())
    return min(best, key=best.__getitem__)


def sides_of(task: Task, make: Callable[[int, int], Training]) -> dict[str, Steps]:
    """Return all sides that are installed, by the names under which they are printed."""
    n_ours = runs_per_stack(make(1, 1).settings)
    # With the one evaluation that ends a training: the peers are spared it.
    sides = {f"softnet, stack of {n_ours:,}": lambda: step_s(make(n_ours, N_STEPS))}
    if is_installed("jax"):
        for n_runs in dict.fromkeys((n_ours, best_jax_stack(task))):
            best = "" if n_runs == n_ours else ", where it is fastest"
            side = jax_steps(task, n_runs, N_STEPS)
            sides[f"JAX, stack of {n_runs:,}{best}"] = side
    if is_installed("torch"):
        sides["PyTorch, one run"] = torch_steps(task, N_STEPS)
    sides["scikit-learn, one run"] = sklearn_steps(task, N_STEPS)
    return sides


def measure(sides: dict[str, Steps], n_rounds: int) -> dict[str, list[float]]:
    """Return microseconds per run and step of each side, round by round."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(n_rounds + 1):
        for name, side in sides.items():
            times[name].append(1e6 * side())
    return {name: found[1:] for name, found in times.items()}  # the first round warms up


def compare(n_rounds: int) -> bool:
    """Print the table and the ratios, and tell whether all limits are known to hold."""
    missing = [name for library, name in _PEERS.items() if not is_installed(library)]
    for name in missing:
        print(f"{name} is missing: its lines are left out, and its limits are unproven.\n")
    print("| training alone, one core | | μs per run and step |\n|---|---|---:|")
    theirs_by_ours: dict[tuple[str, str], float] = {}
    for task, make in tasks():
        times = measure(sides_of(task, make), n_rounds)
        ours, *_ = times.values()
        for name, found in times.items():
            network = f"{task.name}, batch {task.batch_size}, {task.X.dtype}"
            print(f"| {network} | {name} | {statistics.median(found):.2f} |", flush=True)
            ratios = [them / us for them, us in zip(found, ours, strict=True)]
            if found is not ours:
                theirs_by_ours[task.name, name] = statistics.median(ratios)
    judged()
    kept = [
        at_most(f"{network}: softnet / {name}", 1 / ratio, JAX_LIMIT)
        if "JAX" in name
        else at_least(f"{network}: {name} / softnet", ratio, LOOP_LIMIT)
        for (network, name), ratio in theirs_by_ours.items()
    ]
    return all(kept) and not missing


def on_one_core() -> None:
    """Keep this process, with whatever threads its libraries start, on one core."""
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = flags
    os.environ["JAX_PLATFORMS"] = "cpu"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    on_one_core()
    sys.exit(not compare(arguments.rounds))
