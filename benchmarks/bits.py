"""Whether this checkout gives the bits that another one gives: for one who changes how it computes.

    python benchmarks/bits.py OTHER_CHECKOUT
    python benchmarks/bits.py --commit REVISION    (HEAD, where nothing is said)

The same command lines run in both checkouts, each with a new store. Runs of the same settings must
have the same end, the same weights by their SHA-256 and the same history of every metric, to the
last bit; what seeds were summed up to must be the same too. The stores are read as SQLite alone, so
that neither checkout has to read what the other one wrote. The exit code is 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parents[1]
COMPARED = ("conf", "hydra_plugins", "runner", "softnet")
SHOWN = 5  # differences of one command
SHARES = "split.train=0.6 split.val=0.2 split.test=0.2"
SGD = "experiment=iris optimizer=sgd optimizer.learning_rate=0.05"
TAGS = "SELECT key, value FROM tags WHERE run_uuid = ?"
PARAMS = "SELECT key, value FROM params WHERE run_uuid = ?"
METRICS = (
    "SELECT key, step, value, is_nan FROM metrics WHERE run_uuid = ? ORDER BY key, step, value"
)

# What they train, and the command line; {rows} is a file of arrays.
COMMANDS = {
    "tutorial, one run": "experiment=tutorial",
    "tutorial": "-m experiment=tutorial seed=range(0,5) dtype=float32,float64",
    "iris, one run": "experiment=iris training.epochs=20",
    "iris, wine, breast_cancer": "-m experiment=iris,wine,breast_cancer training.epochs=15"
    " seed=0,1 dtype=float32,float64",
    "digits, own_csv": "-m experiment=digits,own_csv training.epochs=4 seed=0,1"
    " dtype=float32,float64",
    "own_csv, columns": "-m experiment=own_csv data.target=sex"
    " data.features=null,[species,body_mass_g,bill_depth_mm] training.epochs=5 seed=0,1",
    "NPZ file": "-m experiment=own_csv data.path={rows} data.target=y training.epochs=5"
    " data.scaling=none,standardize,minmax seed=0,1",
    "activations, layers": "-m experiment=iris model.activation=identity,relu,sigmoid,tanh"
    " model.hidden_layer_sizes=[],[8],[64,32] dtype=float32,float64 training.epochs=5 seed=0,1",
    "small networks": "-m experiment=iris model.hidden_layer_sizes=[],[4],[4,3]"
    " model.activation=identity,relu,sigmoid,tanh optimizer=sgd,adam training.batch_size=4,5"
    " dtype=float32,float64 training.epochs=3",
    "initializers": "-m experiment=iris model.initializer=zeros,normal,xavier,he"
    " model.initializer_scale=1.0,0.3 model.hidden_layer_sizes=[],[8],[64,32] training.epochs=3",
    "SGD": f"-m {SGD} optimizer.momentum=0,0.9 optimizer.weight_decay=0,0.01"
    " optimizer.clip_norm=null,0.5 model.hidden_layer_sizes=[],[8],[64,32] dtype=float32,float64"
    " training.epochs=5",
    "Nesterov": f"-m {SGD} optimizer.momentum=0.5,0.9 optimizer.nesterov=true,false"
    " optimizer.weight_decay=0,0.01 optimizer.clip_norm=null,0.5 dtype=float32,float64"
    " training.epochs=5",
    "Adam": "-m experiment=iris optimizer.beta1=0,0.9 optimizer.beta2=0.99,0.999"
    " optimizer.epsilon=1e-8,1e-3 optimizer.weight_decay=0,0.01 optimizer.clip_norm=null,0.5"
    " dtype=float32,float64 training.epochs=5",
    "schedules": "-m experiment=iris optimizer=sgd,adam schedule=constant,cosine,step"
    " schedule.warmup_steps=0,7 dtype=float32,float64 training.epochs=6",
    "cosine to a share": "-m experiment=iris schedule=cosine schedule.final_factor=0,0.1"
    " schedule.warmup_steps=0,5 training.epochs=6 seed=0,1",
    "rates that drop": "-m experiment=iris schedule=step schedule.every=1,7,20"
    " schedule.factor=0.5,0.1 schedule.warmup_steps=0,5 training.epochs=6",
    "samplings, in epochs": "-m experiment=wine training.sampling=shuffled,with_replacement"
    " training.batch_size=1,7,32,107 training.evaluate_every=1,2 training.epochs=5"
    " dtype=float32,float64",
    "samplings, in steps": "-m experiment=wine training.sampling=shuffled,with_replacement"
    " training.batch_size=1,7,32,107 training.epochs=null training.steps=50"
    " training.evaluate_every=7 dtype=float32,float64",
    "early stopping": "-m experiment=iris training=early_stopping training.epochs=60"
    " training.early_stopping.metric=val/loss,val/accuracy,train/loss,train/accuracy"
    " training.early_stopping.patience=1,5 training.early_stopping.min_delta=0,0.01"
    " optimizer.learning_rate=0.1 seed=0,1 dtype=float32,float64",
    "generators, splits": "-m data=moons,blobs,spirals split=contiguous,shuffled,stratified"
    f" {SHARES} model=mlp optimizer=adam optimizer.learning_rate=0.01 training=epochs"
    " training.epochs=5 seed=0,1",
    "generators, folds": "-m data=moons,blobs,spirals split=kfold split.fold=range(0,5)"
    " split.stratified=true,false model=mlp optimizer=adam training=epochs training.epochs=5",
    "no val, no test rows": "-m data=blobs data.n_features=5 split=shuffled split.train=0.6"
    " split.val=0,0.2 split.test=0,0.2 split.seed=0,1 training=epochs training.epochs=5"
    " data.scaling=none,standardize,minmax",
    "rates, some too large": "-m experiment=iris optimizer=sgd,adam training.epochs=5"
    " optimizer.learning_rate=0.001,1,1e5,1e200 dtype=float32,float64",
    "seeds": "-m experiment=iris seed=range(0,40) training.epochs=3 split.seed=0,1",
}

Settings = tuple[tuple[str, str], ...]


class Run(NamedTuple):
    """How a run ended, and all that it computed."""

    name: str
    status: str
    weights: str | None
    metrics: tuple[tuple[object, ...], ...]


class Count(NamedTuple):
    """Of the runs of a command, those that are equal, and a line for each that is not."""

    n_equal: int
    n_values: int
    differences: list[str]


def git(*arguments: str) -> str:
    """Run git in this checkout, and return what it prints."""
    command = [shutil.which("git") or "git", "-C", str(HERE), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def checkout_of(revision: str) -> Iterator[Path]:
    """Lay out a commit in a temporary git worktree."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder, "checkout")
        git("worktree", "add", "--quiet", "--detach", str(checkout), revision)
        try:
            yield checkout
        finally:
            git("worktree", "remove", "--force", str(checkout))


def is_unchanged() -> bool:
    """Whether all that computes is as the last commit has it."""
    return not git("status", "--porcelain", "--", *COMPARED)


def start(checkout: Path, command: str, folder: Path) -> subprocess.Popen[str]:
    """Start a command line in a checkout, with a store in `folder`."""
    folder.mkdir(parents=True)
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "runner", *shlex.split(command)),
            f"tracking.uri=sqlite:///{folder / 'runs.db'}",
        ],
        cwd=folder,
        # One that is known by its folder alone, whatever is installed.
        env={**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_runs(database: Path, checkout: Path) -> dict[Settings, Run]:
    """Read the runs of a store, and the groups of their seeds, by kind and settings."""
    runs: dict[Settings, Run] = {}
    with closing(sqlite3.connect(database)) as store:
        for run_id, name, status in store.execute("SELECT run_uuid, name, status FROM runs"):
            tags, params = (dict(store.execute(query, (run_id,))) for query in (TAGS, PARAMS))
            decisive = {
                key: value.replace(str(checkout), "")
                for key, value in params.items()
                if not key.startswith(("tracking.", "sweep."))
            }
            # As hexadecimal digits: -0.0 is not 0.0, and all of a number counts.
            metrics = tuple(
                (key, step, bool(is_nan), float(value).hex())
                for key, step, value, is_nan in store.execute(METRICS, (run_id,))
            )
            kind = tags.get("runner.kind", "run")
            settings = (("kind", kind), *sorted(decisive.items()))
            runs[settings] = Run(name, status, tags.get("runner.weights_sha256"), metrics)
    return runs


def compare(ours: dict[Settings, Run], theirs: dict[Settings, Run]) -> Count:
    """Count the runs of both that are equal, and say how others differ."""
    ours, theirs = _by_common_settings(ours, theirs)
    differences = [
        f"{run.name}: is in {place} alone"
        for place, runs, others in (("this one", ours, theirs), ("the other one", theirs, ours))
        for settings, run in runs.items()
        if settings not in others
    ]
    n_equal = n_values = 0
    for settings in ours.keys() & theirs.keys():
        run, other = ours[settings], theirs[settings]
        parts = [part for part in Run._fields[1:] if getattr(run, part) != getattr(other, part)]
        n_equal += not parts
        n_values += len(run.metrics)
        if parts:
            changed = sorted({str(row[0]) for row in {*run.metrics} ^ {*other.metrics}})
            names = f" ({', '.join(changed)})" if changed else ""
            ends = f" {other.status} -> {run.status}" if "status" in parts else ""
            differences.append(f"{run.name}: {', '.join(parts)}{names}{ends}")
    return Count(n_equal, n_values, sorted(differences))


def _by_common_settings(*stores: dict[Settings, Run]) -> list[dict[Settings, Run]]:
    """Tell runs by the settings that all checkouts have: one of them may have added some."""
    common = set.intersection(
        *({key for settings in runs for key, _ in settings} for runs in stores)
    )
    return [
        {
            tuple(pair for pair in settings if pair[0] in common): run
            for settings, run in runs.items()
        }
        for runs in stores
    ]


def run_both(command: str, other: Path, folder: Path) -> Count:
    """Run a command in both checkouts at once, and compare what they stored."""
    checkouts = {"here": HERE, "other": other}
    started = {name: start(path, command, folder / name) for name, path in checkouts.items()}
    printed = {name: process.communicate()[0] for name, process in started.items()}
    stores = {name: folder / name / "runs.db" for name in checkouts}
    for name, process in started.items():
        if process.returncode not in (0, 1) or not stores[name].exists():
            return Count(0, 0, [f"{name}: exit code {process.returncode}: {printed[name][-500:]}"])
    ours, theirs = (read_runs(stores[name], path) for name, path in checkouts.items())
    count = compare(ours, theirs)
    if started["here"].returncode != started["other"].returncode:
        codes = f"{started['other'].returncode} -> {started['here'].returncode}"
        count.differences.append(f"exit code {codes}")
    return count


def compare_checkouts(other: Path, only: str) -> bool:
    """Run commands in this checkout and in `other`, print, and say whether all is equal."""
    began = time.perf_counter()
    n_runs = n_values = n_different = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rng = np.random.default_rng(0)
        np.savez(folder / "rows.npz", X=rng.normal(size=(90, 5)), y=np.arange(90) % 3)
        for number, (what, line) in enumerate(COMMANDS.items()):
            if only not in what:
                continue
            started = time.perf_counter()
            command = line.replace("{rows}", str(folder / "rows.npz"))
            count = run_both(command, other, folder / str(number))
            n_all = count.n_equal + len(count.differences)
            n_runs += count.n_equal
            n_values += count.n_values
            n_different += len(count.differences)
            took = f"{time.perf_counter() - started:5.1f} s"
            print(f"{count.n_equal:4} of {n_all:4} equal  {took}  {what}", flush=True)
            for difference in count.differences[:SHOWN]:
                print(f"       {difference}", flush=True)
    print(
        f"{n_runs:,} runs and groups are equal, with {n_values:,} values of metrics; "
        f"{n_different:,} differ; took {time.perf_counter() - began:.0f} s"
    )
    return n_runs > 0 and not n_different


def main() -> None:
    """Compare, print, and refuse a difference."""
    parser = argparse.ArgumentParser(description="Compare the bits of two checkouts.")
    parser.add_argument("checkout", nargs="?", type=Path, help="the folder of the other one")
    parser.add_argument("--commit", help="a commit of this repository to compare with instead")
    parser.add_argument("--only", default="", help="a part of what is printed of a command line")
    arguments = parser.parse_args()
    if arguments.checkout and arguments.commit:
        parser.error("a checkout or a commit, not both")
    if arguments.checkout:
        other = arguments.checkout.resolve()
        if not (other / "runner").is_dir():
            parser.error(f"{other} is no checkout of this project")
        sys.exit(not compare_checkouts(other, arguments.only))
    if not arguments.commit and is_unchanged():
        print("Nothing that computes has changed since the last commit.")
        return
    with checkout_of(arguments.commit or "HEAD") as other:
        sys.exit(not compare_checkouts(other, arguments.only))


if __name__ == "__main__":
    main()
