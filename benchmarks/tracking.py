"""What recording a run costs, against the fewest calls that MLflow itself would need.

    python benchmarks/tracking.py [--runs 40] [--server]

Both sides use the same store, turn by turn in one process; medians are printed. `--server` starts
an MLflow server on loopback and records through it.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np

from runner.checkpoint import write_arrays, write_text
from runner.data import Dataset
from runner.data.tutorial import tutorial_table
from runner.environment import environment
from runner.splits import Split
from runner.tracking import Store, open_store
from runner.tracking.address import Address, check_answers
from runner.tracking.ui import server_command

LIMIT = 1.25
Sizes = tuple[int, int, int]  # metrics, params, files


def floor(store: Store, sizes: Sizes, folder: Path) -> None:
    """Record a run in the fewest calls of MLflow's client."""
    from mlflow.entities import Metric, Param

    n_metrics, n_params, _ = sizes
    client, now_ms = store.client, int(time.time() * 1000)
    run_id = client.create_run(store.experiment_id, run_name="floor").info.run_id
    metrics = [Metric(*noted[:2], now_ms, noted[2]) for noted in numbers(n_metrics)]
    params = [Param(name, value) for name, value in settings(n_params).items()]
    client.log_batch(run_id, metrics=metrics, params=params)
    client.log_artifacts(run_id, str(folder))
    client.set_terminated(run_id)


def ours(store: Store, sizes: Sizes, folder: Path, data: tuple[Dataset, Split]) -> None:
    """Record the same run as the runner does, which adds datasets, tags and who did it."""
    n_metrics, n_params, _ = sizes
    tags = {f"runner.tag_{number}": "0123456789abcdef" for number in range(9)}
    run = store.start_run("ours", settings(n_params), tags)
    for name, value, step in numbers(n_metrics):
        run.log_metrics(step, {name: value})
    run.log_datasets(*data)
    run.log_folder(folder)
    run.set_tags({"runner.weights_sha256": "0" * 64})
    run.finish()


def numbers(n_metrics: int) -> Iterator[tuple[str, float, int]]:
    names = ("train/loss", "train/accuracy", "val/loss", "val/accuracy")
    for count in range(n_metrics):
        yield names[count % 4], 1 / (count + 1), 100 * (count // 4)


def settings(n_params: int) -> dict[str, str]:
    return {f"group.setting_{number}": str(number) for number in range(n_params)}


def files(folder: Path, n_files: int) -> Path:
    """Write what a run of the tutorial leaves: config, environment, weights."""
    write_text(folder / "config.yaml", "setting: 0.1\n" * 40)
    write_text(folder / "environment.json", str(environment()))
    if n_files > 2:
        write_arrays(folder / "weights.npz", {"layers.0.weight": np.ones((4, 2))})
    return folder


def example_data() -> tuple[Dataset, Split]:
    """Give the tutorial's rows and its split."""
    return tutorial_table(), Split(np.arange(8), np.arange(8, 12), np.arange(12, 16))


def medians(n_runs: int, *sides: Callable[[], None]) -> list[float]:
    """Time the sides turn by turn; milliseconds."""
    times: list[list[float]] = [[] for _ in sides]
    for turn in range(n_runs + 3):
        # First one, then the other, so that neither always meets the warmer cache.
        for number in range(len(sides)) if turn % 2 else reversed(range(len(sides))):
            start = time.perf_counter()
            sides[number]()
            if turn >= 3:
                times[number].append(1e3 * (time.perf_counter() - start))
    return [statistics.median(side) for side in times]


@contextmanager
def server(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = open_store(f"sqlite:///{folder}/server.db", None, "warm")
    command, environment_ = server_command(store.address.uri, port)
    process = subprocess.Popen(
        [*command, "--default-artifact-root", (folder / "served").as_uri()],
        env=environment_,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                check_answers(Address(uri))
                break
            except Exception:  # noqa: BLE001  (whatever it is, it is not up yet)
                time.sleep(0.2)
        yield uri
    finally:
        process.terminate()
        process.wait()


def main(arguments: argparse.Namespace) -> int:
    print("recording one run: milliseconds, median of", arguments.runs, "turns, one process")
    print(f"{'metrics':>8}{'params':>8}{'files':>7}{'floor':>9}{'ours':>9}{'ratio':>8}")
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        where = server(folder) if arguments.server else nullcontext(f"sqlite:///{folder}/m.db")
        with where as uri:
            store = open_store(uri, None, "benchmark")
            data = example_data()
            for sizes in ((82, 20, 2), (162, 35, 3)):
                left = files(folder / f"run{sizes[2]}", sizes[2])
                floor_ms, ours_ms = medians(
                    arguments.runs,
                    lambda: floor(store, sizes, left),  # noqa: B023  (called before it changes)
                    lambda: ours(store, sizes, left, data),  # noqa: B023
                )
                ratio = ours_ms / floor_ms
                worst = max(worst, ratio)
                counts = "{:8}{:8}{:7}".format(*sizes)
                print(f"{counts}{floor_ms:9.1f}{ours_ms:9.1f}{ratio:8.2f}")
    print(f"ours carries datasets and 13 tags besides; limit {LIMIT}")
    return int(worst > LIMIT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--server", action="store_true")
    sys.exit(main(parser.parse_args()))
