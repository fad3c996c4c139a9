"""Test accuracy of the shipped experiments beside scikit-learn's MLPClassifier.

    python benchmarks/accuracy.py [experiment ...] [--first-split 0] [--splits 5] [--seeds 4]

Both sides get the same training rows, scaled alike; the network gets no look at the validation
rows either, for no experiment stops early. MLPClassifier comes twice: with its defaults, and with
the experiment's hidden layers and as many epochs as it asks for. The table stands in the README.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)
from runner.config.compose import compose
from runner.config.schema import Experiment
from runner.training.prepare import Prepared, prepare
from runner.training.train import train

EXPERIMENTS = ("digits", "breast_cancer", "wine", "iris", "own_csv")
# More than any of them needs: MLPClassifier stops when its training loss no longer falls.
ENOUGH_EPOCHS = 10_000

Scores = list[float]


@dataclass(frozen=True)
class Sides:
    """Test accuracies, one per split and seed, in the same order on each side."""

    ours: Scores
    default: Scores
    same_size: Scores


def compare(config: Mapping[str, Any], split_seed: int, seeds: Sequence[int]) -> Sides:
    """Train all sides on one split: ours as one stack, MLPClassifier seed by seed."""
    split = config["split"] | {"seed": split_seed}
    experiments = [Experiment.from_dict({**config, "split": split, "seed": seed}) for seed in seeds]
    assert experiments[0].split.name == "stratified"
    assert experiments[0].training.early_stopping is None
    prepared = prepare(experiments[0])
    results = train(prepared, experiments)
    assert not any(result.failure for result in results)
    hidden = experiments[0].model.hidden_layer_sizes
    return Sides(
        ours=[result.final["test/accuracy"] for result in results],
        default=[peer(prepared, seed) for seed in seeds],
        same_size=[peer(prepared, seed, hidden) for seed in seeds],
    )


def peer(prepared: Prepared, seed: int, hidden: tuple[int, ...] | None = None) -> float:
    """Return the test accuracy of MLPClassifier: its defaults, or these layers to convergence."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    settings = {} if hidden is None else {"hidden_layer_sizes": hidden, "max_iter": ENOUGH_EPOCHS}
    rows, test = prepared.examples("train"), prepared.examples("test")
    with warnings.catch_warnings():
        # By default it ends at 200 epochs, converged or not.
        warnings.simplefilter("error" if settings else "ignore", ConvergenceWarning)
        network = MLPClassifier(random_state=seed, **settings).fit(rows.X, rows.y)
    return float(network.score(test.X, test.y))


def measure(
    name: str, splits: Sequence[int], seeds: Sequence[int], pool: ProcessPoolExecutor
) -> Sides:
    """Compare on each split."""
    jobs = compose([f"experiment={name}"], help_template="")
    assert jobs is not None
    (job,) = jobs
    parts = list(pool.map(compare, [job.config] * len(splits), splits, [seeds] * len(splits)))
    return Sides(
        ours=[score for part in parts for score in part.ours],
        default=[score for part in parts for score in part.default],
        same_size=[score for part in parts for score in part.same_size],
    )


def difference(ours: Scores, theirs: Scores) -> tuple[float, float]:
    """Return the mean of the paired differences and its standard error."""
    import numpy as np

    pairs = np.subtract(ours, theirs)
    return float(pairs.mean()), float(pairs.std(ddof=1) / np.sqrt(len(pairs)))


def holds(sides: Sides) -> bool:
    """Tell whether ours is at least each of theirs, less one standard error."""
    compared = (difference(sides.ours, theirs) for theirs in (sides.default, sides.same_size))
    return all(mean >= -error for mean, error in compared)


def table(measured: Mapping[str, Sides]) -> Iterator[str]:
    """Yield the lines of the table; all numbers are percent or percentage points."""
    yield (
        "| `experiment=` | ours | MLPClassifier | difference "
        "| same layers, converged | difference | at least as good |"
    )
    yield "|---|---:|---:|---:|---:|---:|---|"
    for name, sides in measured.items():
        cells = [f"`{name}`", percent(sides.ours)]
        for theirs in (sides.default, sides.same_size):
            mean, error = difference(sides.ours, theirs)
            cells += [percent(theirs), f"{100 * mean:+.2f} ± {100 * error:.2f}"]
        yield f"| {' | '.join([*cells, 'yes' if holds(sides) else 'no'])} |"


def percent(scores: Scores) -> str:
    return f"{100 * sum(scores) / len(scores):.2f}"


def main(arguments: argparse.Namespace) -> int:
    """Measure, print, and tell by the exit code whether every experiment holds."""
    splits = range(arguments.first_split, arguments.first_split + arguments.splits)
    # Forked children would share locks that the libraries' threads may hold.
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        measured = {
            name: measure(name, splits, range(arguments.seeds), pool)
            for name in arguments.experiments
        }
    print("\n".join(["<!-- accuracy:begin -->", *table(measured), "<!-- accuracy:end -->"]))
    print(
        f"\nMean test accuracy in percent over split seeds {splits[0]} to {splits[-1]} x "
        f"{arguments.seeds} seeds, and the paired difference in percentage points with its "
        "standard error."
    )
    return int(not all(holds(sides) for sides in measured.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", nargs="*", default=EXPERIMENTS, metavar="experiment")
    parser.add_argument("--first-split", type=int, default=0)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=4)
    sys.exit(main(parser.parse_args()))
