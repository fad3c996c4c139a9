"""What a step of training costs each run in a stack, beside JAX, PyTorch and scikit-learn.

    python -m benchmarks.sweeps.training [--rounds 15] [--only 4-2]

All sides take turns on one core of one process, in the same type; medians are printed. The
machine decides the microseconds: the limits are ratios within the same run.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np

from benchmarks.step import N_STEPS, step_s, training
from benchmarks.sweeps.peers import Steps, Task, is_installed, jax_steps, sklearn_steps, torch_steps
from benchmarks.sweeps.processes import at_least, at_most, judged
from runner.jobs.stacks import runs_per_stack
from softnet import Examples, StackSettings, Training, mlp

JAX_LIMIT = 0.9
LOOP_LIMIT = 5.0
# Of large networks nearly all the time is that of their matrix products.
PRODUCTS_LIMIT = 1.11
# Layer sizes, batch size, training rows, dtype. The rows are shuffled, as they usually are.
NETWORKS: list[tuple[tuple[int, ...], int, int, str]] = [
    ((4, 2), 4, 8, "float64"),
    ((4, 16, 3), 16, 120, "float64"),
    ((13, 32, 3), 32, 140, "float32"),
    ((30, 64, 2), 32, 398, "float64"),
    ((30, 64, 64, 2), 64, 398, "float32"),
    ((64, 64, 10), 32, 1400, "float32"),
    ((64, 64, 32, 10), 32, 1400, "float32"),
    ((100, 256, 128, 10), 128, 2000, "float32"),
    ((784, 256, 128, 10), 128, 2000, "float32"),
    ((784, 1024, 1024, 10), 256, 2000, "float32"),
]
# Those that stay beside libraries which train one run at a time.
_BESIDE_LOOPS = ("4-2", "64-64-32-10")
# JAX may choose its own number of runs among these.
JAX_STACKS = (1, 4, 16, 64, 256, 1024)
# Stacks with more fill every cache, and take their time.
_MOST_PARAMETERS = 500_000
_LARGE = 50_000
# Roughly so many additions and multiplications are timed at a time.
_OPERATIONS = 4e9
_PEERS = {"jax": "JAX", "torch": "PyTorch", "sklearn": "scikit-learn"}


def tasks() -> Iterator[Task]:
    """Give what is trained."""
    rng = np.random.default_rng(0)
    for sizes, batch_size, n_rows, dtype in NETWORKS:
        X = rng.standard_normal((n_rows, sizes[0])).astype(dtype)
        y = rng.integers(sizes[-1], size=n_rows)
        yield Task("-".join(map(str, sizes)), sizes, batch_size, 0.04, X, y)


def steps_of(task: Task) -> int:
    """Return how many steps are timed at a time: enough to forget how a training begins and ends.

    An evaluation of all rows takes as long as several steps of a large network.
    """
    work = 6 * mlp(task.layer_sizes).n_parameters * task.batch_size
    return int(min(max(_OPERATIONS // work, 100), N_STEPS))


def our_steps(task: Task, n_runs: int, n_steps: int) -> Steps:
    """Return what times a training of ours, with the one evaluation that ends it."""

    def steps() -> float:
        return step_s(our_training(task, n_runs, n_steps))

    return steps


def our_training(task: Task, n_runs: int, n_steps: int) -> Training:
    """Make a stack of ours that has not begun."""
    settings = StackSettings(
        mlp(task.layer_sizes), n_steps, task.batch_size, n_steps, dtype=str(task.X.dtype)
    )
    return training(settings, n_runs, Examples(task.X, task.y))


def product_steps(task: Task, n_runs: int, n_steps: int) -> Steps:
    """Return what times nothing but a step's matrix products, into arrays that are there."""
    rng = np.random.default_rng(0)
    arrays = [
        [rng.standard_normal((n_runs, *shape)).astype(task.X.dtype) for shape in shapes]
        for n_in, n_out in pairwise(task.layer_sizes)
        for shapes in [((task.batch_size, n_in), (n_in, n_out), (task.batch_size, n_out))]
    ]

    def steps() -> float:
        started = time.perf_counter()
        for _ in range(n_steps):
            for X, weight, output in arrays:
                np.matmul(X, weight, out=output)
            for number, (X, weight, output) in reversed(list(enumerate(arrays))):
                np.matmul(X.swapaxes(-1, -2), output, out=weight)
                if number > 0:
                    np.matmul(output, weight.swapaxes(-1, -2), out=X)
        return (time.perf_counter() - started) / n_steps / n_runs

    return steps


def best_jax_stack(task: Task) -> int:
    """Return the number of runs at which a step costs JAX the least."""
    most = max(_MOST_PARAMETERS // mlp(task.layer_sizes).n_parameters, 1)
    sides = {n: jax_steps(task, n, steps_of(task)) for n in JAX_STACKS if n <= most}
    best = dict.fromkeys(sides, math.inf)
    for _ in range(8):  # in turns, so that a busy moment does not choose
        for n_runs, side in sides.items():
            best[n_runs] = min(best[n_runs], side())
    return min(best, key=best.__getitem__)


def sides_of(task: Task) -> dict[str, Steps]:
    """Return all sides that are installed, by the names under which they are printed."""
    n_steps = steps_of(task)
    n_ours = runs_per_stack(our_training(task, 1, 1).settings)
    sides = {f"softnet, stack of {n_ours:,}": our_steps(task, n_ours, n_steps)}
    if mlp(task.layer_sizes).n_parameters > _LARGE:
        return sides | {"products alone": product_steps(task, n_ours, n_steps)}
    if is_installed("jax"):
        n_runs = best_jax_stack(task)
        sides[f"JAX, stack of {n_runs:,}"] = jax_steps(task, n_runs, n_steps)
    if task.name in _BESIDE_LOOPS:
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


def limited(network: str, side: str, ratio: float) -> bool:
    """Judge our time divided by that of a side."""
    if "products" in side:
        return at_most(f"{network}: softnet / its products", ratio, PRODUCTS_LIMIT)
    if "JAX" in side:
        return at_most(f"{network}: softnet / {side}", ratio, JAX_LIMIT)
    return at_least(f"{network}: {side} / softnet", 1 / ratio, LOOP_LIMIT)


def compare(n_rounds: int, only: str) -> bool:
    """Print the table and the ratios, and tell whether all limits are known to hold."""
    missing = [name for library, name in _PEERS.items() if not is_installed(library)]
    for name in missing:
        print(f"{name} is missing: its lines are left out, and its limits are unproven.\n")
    print("| training alone, one core | | μs per run and step |\n|---|---|---:|")
    ratios: dict[tuple[str, str], float] = {}
    for task in tasks():
        if not task.name.startswith(only):
            continue
        times = measure(sides_of(task), n_rounds)
        ours, *_ = times.values()
        for name, found in times.items():
            network = f"{task.name}, batch {task.batch_size}, {task.X.dtype}"
            print(f"| {network} | {name} | {statistics.median(found):.2f} |", flush=True)
            if found is not ours:
                pairs = zip(ours, found, strict=True)
                ratios[task.name, name] = statistics.median(us / them for us, them in pairs)
    judged()
    kept = [limited(network, side, ratio) for (network, side), ratio in ratios.items()]
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
    parser.add_argument("--only", default="", help="the beginning of a network's name")
    arguments = parser.parse_args()
    on_one_core()
    sys.exit(not compare(arguments.rounds, arguments.only))
