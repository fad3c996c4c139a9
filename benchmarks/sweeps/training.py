"""What a step of training costs each run in a stack, beside JAX, PyTorch and scikit-learn.

    python -m benchmarks.sweeps.training [--rounds 15]

All sides take turns on one core of one process, in the same type; medians are printed. The
machine decides the microseconds: the limits are ratios within the same run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Callable, Iterator

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np

from benchmarks.step import step_s, tutorial_training, wide_training
from benchmarks.sweeps.peers import Steps, Task, is_installed, jax_steps, sklearn_steps, torch_steps
from benchmarks.sweeps.processes import at_least, at_most, judged
from runner.data.tutorial import tutorial_table
from runner.stack import runs_per_stack
from softnet import Training

JAX_LIMIT = 1.0
LOOP_LIMIT = 5.0
# JAX may choose its own number of runs among these.
JAX_STACKS = (1, 4, 16, 64, 256, 1024)
# A measurement: long enough to forget how it begins, short enough to fit between interruptions.
_N_RUN_STEPS = {"4-2": 25_000, "64-64-32-10": 800}
_FEWEST_STEPS, _MOST_STEPS = 20, 2_000
_PARTS = {"jax": "JAX", "torch": "PyTorch", "sklearn": "scikit-learn"}


def tasks() -> Iterator[tuple[Task, Callable[[int, int], Training]]]:
    """Give what is trained, and how ours is made of a number of runs and of steps."""
    table, rng = tutorial_table(), np.random.default_rng(0)
    yield Task("4-2", (4, 2), 4, 0.04, table.X[:8].copy(), table.y[:8].copy()), tutorial_training
    X = rng.standard_normal((500, 64)).astype(np.float32)
    y = rng.integers(10, size=500)
    yield Task("64-64-32-10", (64, 64, 32, 10), 32, 0.04, X, y), wide_training


def n_steps(task: Task, n_runs: int) -> int:
    return min(max(_N_RUN_STEPS[task.name] // n_runs, _FEWEST_STEPS), _MOST_STEPS)


def softnet_steps(task: Task, make: Callable[[int, int], Training], n_runs: int) -> Steps:
    steps = n_steps(task, n_runs)
    return lambda: step_s(make(n_runs, steps))


def best_jax_stack(task: Task) -> int:
    """Return the number of runs at which a step costs JAX the least."""
    costs = {}
    for n_runs in JAX_STACKS:
        side = jax_steps(task, n_runs, n_steps(task, n_runs))
        costs[n_runs] = min(side() for _ in range(4))
    return min(costs, key=costs.__getitem__)


def sides_of(task: Task, make: Callable[[int, int], Training]) -> dict[str, Steps]:
    """Return all sides that are installed, by the names under which they are printed."""
    n_ours = runs_per_stack(make(1, 1).settings)
    sides = {f"softnet, stack of {n_ours:,}": softnet_steps(task, make, n_ours)}
    if is_installed("jax"):
        for n_runs in dict.fromkeys((n_ours, best_jax_stack(task))):
            best = "" if n_runs == n_ours else ", where it is fastest"
            side = jax_steps(task, n_runs, n_steps(task, n_runs))
            sides[f"JAX, stack of {n_runs:,}{best}"] = side
    if is_installed("torch"):
        sides["PyTorch, one run"] = torch_steps(task, n_steps(task, 100))
    sides["scikit-learn, one run"] = sklearn_steps(task, n_steps(task, 100))
    return sides


def compare(n_rounds: int) -> bool:
    """Print the table and the ratios, and tell whether the limits hold."""
    for library in sorted(name for name in _PARTS if not is_installed(name)):
        print(f"{_PARTS[library]} is missing: its lines are left out, and its limits unproven.\n")
    print("| training alone, one core | | μs per run and step |\n|---|---|---:|")
    ratios: list[tuple[str, float]] = []
    for task, make in tasks():
        sides = sides_of(task, make)
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(n_rounds + 1):
            for name, side in sides.items():
                times[name].append(1e6 * side())
        ours, *theirs = ({name: t[1:]} for name, t in times.items())  # the first round warms up
        network = f"{task.name}, batch {task.batch_size}, {task.X.dtype}"
        for name, found in (ours | {k: v for side in theirs for k, v in side.items()}).items():
            print(f"| {network} | {name} | {statistics.median(found):.2f} |", flush=True)
        (ours_us,) = ours.values()
        for side in theirs:
            for name, found in side.items():
                each = [a / b for a, b in zip(ours_us, found, strict=True)]
                ratios.append((f"{task.name}: softnet / {name}", statistics.median(each)))
    judged()
    kept = [
        at_most(name, ratio, JAX_LIMIT)
        if "JAX" in name
        else at_least(name.replace("softnet / ", "") + " / softnet", 1 / ratio, LOOP_LIMIT)
        for name, ratio in ratios
    ]
    return all(kept)


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
