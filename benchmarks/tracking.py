"""What recording a run costs, against the fewest calls that MLflow itself would need.

    python benchmarks/tracking.py [--runs 40] [--server]

Both sides use the same store, turn by turn in one process; medians are printed. `--server` starts
an MLflow server on loopback and records through that too.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np

from runner.system.errors import ConfigError
from runner.tracking import RunWriter, Store, open_store, write_together
from runner.tracking.backend.address import Address, check_answers
from runner.tracking.ui import server_command
from runner.training.data.builtin import tutorial_table
from runner.training.data.splits import Split
from runner.training.environment import environment
from runner.training.prepare import Prepared, Trained
from runner.training.preprocessing import Preprocessing
from softnet import mlp

LIMIT = 1.25
# Of a run in a stack, by processor time.
STACK, STACK_LIMIT = 50, 0.12
Sizes = tuple[int, int, int]
# Metrics, params, files: what the limit speaks of, and what a run of the tutorial leaves.
SIZES: tuple[Sizes, ...] = ((82, 20, 2), (162, 35, 3))
NAMES = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
WEIGHTS = {"layers.0.weight": np.ones((4, 2)), "layers.0.bias": np.zeros(2)}
WARM_UP = 3


def record_by_mlflow(store: Store, sizes: Sizes, folder: Path) -> None:
    """Record a run in the fewest calls of MLflow's client: the floor."""
    from mlflow.entities import Metric, Param

    now_ms = time.time_ns() // 1_000_000
    run_id = store.client.create_run(store.experiment_id, run_name="floor").info.run_id
    store.client.log_batch(
        run_id,
        metrics=[Metric(name, value, now_ms, step) for step, name, value in numbers(sizes[0])],
        params=[Param(name, value) for name, value in settings(sizes[1]).items()],
    )
    store.client.log_artifacts(run_id, str(folder))
    store.client.set_terminated(run_id)


def begin_by_runner(
    store: Store, sizes: Sizes, prepared: Prepared, *, is_shown: bool = True
) -> RunWriter:
    """Log the same run as `runner` does, which adds datasets, tags and who made it."""
    tags = {f"runner.tag_{number}": "0123456789abcdef" for number in range(7)}
    run = store.start_run("ours", settings(sizes[1]), tags, is_shown=is_shown)
    for step, name, value in numbers(sizes[0]):
        run.log_metrics(step, {name: value})
    run.set_tags({"runner.weights_sha256": "0" * 64})
    run.log_datasets(prepared.dataset, prepared.split)
    return run


def record_by_runner(store: Store, sizes: Sizes, folder: Path, prepared: Prepared) -> None:
    run = begin_by_runner(store, sizes, prepared)
    run.log_folder(folder)
    run.finish()


def record_stack(store: Store, sizes: Sizes, folder: Path, prepared: Prepared) -> None:
    """Record the runs of a stack, which are written together."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    runs = [begin_by_runner(store, sizes, prepared, is_shown=False) for _ in range(STACK)]
    for run in runs:
        run.log_files(files)
        run.set_end()
    write_together(runs)


def numbers(n_metrics: int) -> Iterator[tuple[int, str, float]]:
    for count in range(n_metrics):
        yield 100 * (count // 4), NAMES[count % 4], 1 / (count + 1)


def settings(n_params: int) -> dict[str, str]:
    return {f"group.setting_{number}": str(number) for number in range(n_params)}


def write_files(folder: Path, n_files: int) -> Path:
    folder.mkdir()
    (folder / "config.yaml").write_text("setting: 0.1\n" * 40)
    (folder / "environment.json").write_text(json.dumps(environment(), indent=2))
    if n_files > 2:
        np.savez(folder / "weights.npz", allow_pickle=False, **WEIGHTS)
    return folder


def tutorial() -> Prepared:
    dataset = tutorial_table()
    split = Split(np.arange(8), np.arange(8, 12), np.arange(12, 16))
    preprocessing = Preprocessing.fit(dataset, split.train)
    return Prepared(dataset, split, preprocessing, preprocessing.transform(dataset.X))


def medians_ms(
    n_runs: int, *sides: Callable[[], None], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Time the sides turn by turn."""
    times: list[list[float]] = [[] for _ in sides]
    for turn in range(n_runs + WARM_UP):
        # First one, then the other, so that neither always meets the warmer cache.
        order = list(range(len(sides)))[:: 1 if turn % 2 else -1]
        for number in order:
            started = clock()
            sides[number]()
            times[number].append(1e3 * (clock() - started))
    return [statistics.median(side[WARM_UP:]) for side in times]


def model_ms(store: Store, prepared: Prepared, n_runs: int) -> list[float]:
    """Time the loadable model of several runs."""
    times = []
    for _ in range(n_runs):
        run = store.start_run("model", {}, {})
        started = time.perf_counter()
        store.log_model(run, Trained(prepared, WEIGHTS, mlp([4, 2])))
        times.append(1e3 * (time.perf_counter() - started))
        run.finish()
    return times


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Run an MLflow server on loopback; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir()
    store = open_store(f"sqlite:///{folder}/mlflow.db", None, "benchmark")
    command, variables = server_command(store.address.uri, port)
    command += ["--artifacts-destination", str(folder / "artifacts")]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=variables, stdout=quiet, stderr=quiet)
    try:
        address = Address(f"http://127.0.0.1:{port}")
        while process.poll() is None:
            try:
                check_answers(address)
                break
            except ConfigError:
                time.sleep(0.1)
        yield address.uri
    finally:
        process.terminate()
        process.wait()


def compare(where: str, uri: str, folder: Path, n_runs: int) -> float:
    """Print the lines of one store; give its worst ratio."""
    store = open_store(uri, "benchmark by both", "benchmark")
    prepared, worst = tutorial(), 0.0
    for sizes in SIZES:
        left = write_files(folder / f"{where}-{sizes[2]}", sizes[2])
        floor, ours = medians_ms(
            n_runs,
            lambda: record_by_mlflow(store, sizes, left),  # noqa: B023  (called at once)
            lambda: record_by_runner(store, sizes, left, prepared),  # noqa: B023  (as above)
        )
        worst = max(worst, ours / floor)
        counts = " | ".join(map(str, sizes))
        print(f"| {where} | {counts} | {floor:.1f} | {ours:.1f} | {ours / floor:.2f} |")
    first, *later = model_ms(store, prepared, n_runs)
    print(
        f"| {where}, model alone | | | | | {statistics.median(later):.1f} | ({first:.1f} first) |"
    )
    return worst


def compare_stack(uri: str, folder: Path, n_runs: int) -> float:
    """Print the line of a run of a stack, in processor time; give its ratio."""
    store, prepared, sizes = open_store(uri, "stacks", "stacks"), tutorial(), SIZES[-1]
    left = write_files(folder / "stack", sizes[2])
    floor, stack = medians_ms(
        n_runs,
        lambda: record_by_mlflow(store, sizes, left),
        lambda: record_stack(store, sizes, left, prepared),
        clock=time.process_time,
    )
    ours = stack / STACK
    counts = " | ".join(map(str, sizes))
    what = f"SQLite, of a stack of {STACK}, processor time"
    print(f"| {what} | {counts} | {floor:.1f} | {ours:.1f} | {ours / floor:.2f} |")
    return ours / floor


def main(n_runs: int, *, with_server: bool) -> int:
    print("| Recording a run | metrics | params | files | floor, ms | runner, ms | ratio |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        worst = compare("SQLite", f"sqlite:///{folder}/mlflow.db", folder, n_runs)
        of_a_stack = compare_stack(f"sqlite:///{folder}/mlflow.db", folder, n_runs)
        if with_server:
            with served(folder / "server") as uri:
                worst = max(worst, compare("HTTP", uri, folder, n_runs))
    print("\nThe runner also records three datasets and 13 tags.")
    print(f"Limits: {LIMIT}, and {STACK_LIMIT} in a stack.")
    return int(worst > LIMIT or of_a_stack > STACK_LIMIT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--server", action="store_true")
    options = parser.parse_args()
    sys.exit(main(options.runs, with_server=options.server))
