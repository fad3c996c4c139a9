"""What a training step costs: the tutorial's network beside the tutorial's loop, and a wider one.

    python benchmarks/step.py [--rounds 60]

All sides take turns in one process, round by round; medians are printed. The limit is the ratio
to the printed loop, since microseconds differ from machine to machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks import printed_tutorial as printed
from runner.system.process import verify_blas_pin
from softnet import SGD, Examples, RunSettings, StackSettings, Training, mlp

# At most 30 microseconds where the printed loop takes 66.
LIMIT = 30 / 66
# Long enough to forget how a training begins, short enough to fit between two interruptions.
N_STEPS = 400


def printed_step_s() -> float:
    """Time one step of the loop as printed, without the accuracy that it prints now and then."""
    X, y = printed.table()
    X = X.astype(int)  # the tutorial's table holds whole numbers
    rng = np.random.RandomState(0)
    weight, bias = rng.randn(4, 2), np.zeros(2)
    started = time.perf_counter()
    for _ in range(N_STEPS):
        rows = rng.choice(8, printed.BATCH_SIZE)
        printed.step(weight, bias, X[rows], y[rows])
    return (time.perf_counter() - started) / N_STEPS


def tutorial_training(n_runs: int, n_steps: int) -> Training:
    """Make runs of the tutorial's network, on its table and with its way to draw a batch."""
    X, y = printed.table()
    settings = StackSettings(mlp([4, 2]), n_steps, 4, n_steps, sampling="with_replacement")
    return training(settings, n_runs, Examples(X[:8], y[:8, 0]))


def wide_training(n_runs: int, n_steps: int) -> Training:
    """Make runs of a network whose products outweigh the calls that start them."""
    rng = np.random.default_rng(0)
    rows = Examples(rng.standard_normal((500, 64)), rng.integers(10, size=500))
    settings = StackSettings(mlp([64, 64, 32, 10]), n_steps, 32, n_steps, dtype="float32")
    return training(settings, n_runs, rows)


def training(settings: StackSettings, n_runs: int, rows: Examples) -> Training:
    runs = [RunSettings(seed, SGD.Settings(learning_rate=0.04)) for seed in range(n_runs)]
    return Training(settings, runs, {"train": rows})


def step_s(training: Training) -> float:
    """Time one step of one run, with the one evaluation that ends a training."""
    started = time.perf_counter()
    for _ in training:
        pass
    return (time.perf_counter() - started) / training.settings.n_steps / len(training.runs)


def main() -> None:
    """Measure, print, and refuse a step that is too slow."""
    parser = argparse.ArgumentParser(description="Measure the cost of a training step.")
    parser.add_argument("--rounds", type=int, default=60)
    rounds = parser.parse_args().rounds
    verify_blas_pin()
    sides: dict[str, Callable[[], float]] = {
        "4-2, batch 4: the printed loop": printed_step_s,
        "4-2, batch 4: alone": lambda: step_s(tutorial_training(1, N_STEPS)),
        "4-2, batch 4: stack of 64": lambda: step_s(tutorial_training(64, 100)),
        "4-2, batch 4: stack of 1000": lambda: step_s(tutorial_training(1000, 25)),
        "64-64-32-10, batch 32, float32: alone": lambda: step_s(wide_training(1, 100)),
        "64-64-32-10, batch 32, float32: stack of 16": lambda: step_s(wide_training(16, 20)),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            times[name].append(side())
    print("microseconds per run and step, medians:")
    for name, measured in times.items():
        print(f"{1e6 * statistics.median(measured):8.2f}  {name}")
    theirs, alone = list(times.values())[:2]
    ratio = statistics.median(ours / peer for ours, peer in zip(alone, theirs, strict=True))
    print(f"alone takes {ratio:.3f} of the printed loop; the limit is {LIMIT:.3f}")
    if ratio > LIMIT:
        sys.exit("A step is too slow.")


if __name__ == "__main__":
    main()
