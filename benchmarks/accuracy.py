"""Errors on real tables and bundled sets, beside scikit-learn's models with their defaults.

    python benchmarks/accuracy.py held-out [--splits 3] [--seeds 2] [--tables wine Boston]
                                           [--set optimizer.learning_rate=0.003]

`experiment=table` and `experiment=own`, each with the same settings for all tables, and
scikit-learn's models in its pipelines get the same rows to train with and the same to test with; of
its rows our networks take a fifth to find out when to stop. The error is the share of wrong
classes, or the root mean squared error. Settings may be chosen by the half `tuning` alone. The
tables are in docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

os.environ["OMP_NUM_THREADS"] = "1"  # of gradient boosting, too

import numpy as np
from table_source import Table, pipelines, tables

from runner.config.compose import compose
from runner.config.schema import Experiment
from runner.training.prepare import prepare, settled
from runner.training.train import train

BUNDLED = ("digits", "breast_cancer", "wine", "iris", "diabetes")
OURS = {"own": ("experiment=own",), "table": ("experiment=table",)}
# What is known without the features is left in the middle of all: (error - best) / (it - best).
CONSTANT = "constant"

Errors = dict[str, float]


@dataclass(frozen=True)
class Bundled(Table):
    """A data set that ships with scikit-learn, as a table with a column ``target``."""

    @property
    def content(self) -> bytes:
        """The set as a CSV file, classes by their names."""
        from sklearn import datasets

        loaded = getattr(datasets, f"load_{self.name}")(as_frame=True)
        names = getattr(loaded, "target_names", None)
        frame = loaded.frame
        if names is not None:
            frame["target"] = [str(names[number]) for number in frame["target"]]
        return frame.to_csv(index=False).encode()


def measure(table: Table, split: int, seeds: Sequence[int], ours: dict[str, Sequence[str]],
            *, peers: bool) -> Errors:  # fmt: skip
    """Return the test error of each model on one split, as a mean over the seeds."""
    errors: Errors = {}
    with TemporaryDirectory() as name:
        paths = table.split(Path(name), split)
        for model, overrides in ours.items():
            errors[model] = own(table, paths, seeds, overrides)
        if peers:
            errors |= scikit_learn(table, paths, seeds)
    print(table.name, split, {k: round(v, 4) for k, v in errors.items()}, file=sys.stderr)
    return errors


def own(
    table: Table, paths: tuple[Path, Path], seeds: Sequence[int], overrides: Sequence[str]
) -> float:
    """Train an experiment on the rows of the first file, all seeds as one stack."""
    data = [f"data.path={paths[0]}", f"data.test_path={paths[1]}", f"data.target='{table.target}'"]
    split = ["split.train=0.8", "split.val=0.2", "split.test=0"]
    jobs = compose([*overrides, *data, *split], help_template="")
    assert jobs is not None
    experiment = Experiment.from_dict(jobs[0].config)
    prepared = prepare(experiment)
    of_seeds = [settled(experiment.model_copy(update={"seed": s}), prepared) for s in seeds]
    results = train(prepared, of_seeds)
    assert not any(result.failure for result in results)
    finals = [result.final for result in results]
    if prepared.dataset.task == "classification":
        return 1 - float(np.mean([final["test/accuracy"] for final in finals]))
    return float(np.mean([final["test/rmse"] for final in finals]))


def scikit_learn(table: Table, paths: tuple[Path, Path], seeds: Sequence[int]) -> Errors:
    """Fit scikit-learn's models, and what always says the most frequent class or the mean."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.pipeline import make_pipeline

    X, X_test, y, y_test = table.frames(paths)
    has_classes = y.dtype.kind not in "if" or y.nunique() <= 20
    found: dict[str, list[float]] = {}

    def note(name: str, answers: object) -> None:
        wrong = np.asarray(answers) != y_test if has_classes else (answers - y_test) ** 2
        error = float(np.mean(wrong))
        found.setdefault(name, []).append(error if has_classes else error**0.5)

    note(CONSTANT, y.mode()[0] if has_classes else y.mean())
    for seed in seeds:
        models = list(pipelines(X, has_classes=has_classes, seed=seed))
        forest = (RandomForestClassifier if has_classes else RandomForestRegressor)(
            random_state=seed
        )
        models.append(("RandomForest", make_pipeline(models[0][1][0], forest)))
        for name, model in models:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # MLP ends at 200 epochs, converged or not
                note(
                    {"Ridge": "LogisticRegression"}.get(name, name), model.fit(X, y).predict(X_test)
                )
    return {name: float(np.mean(errors)) for name, errors in found.items()}


def summary(of_tables: dict[str, list[Errors]]) -> Iterator[str]:
    """Yield two tables: each model over all tables, and its errors on each."""
    models = [name for name in next(iter(of_tables.values()))[0] if name != CONSTANT]
    ranks, gaps = [], []
    for splits in of_tables.values():
        E = np.array([[errors[name] for name in models] for errors in splits])
        constant = np.array([[errors[CONSTANT]] for errors in splits])
        best = E.min(axis=1, keepdims=True)
        # Equal errors share the mean of their ranks.
        below, equal = (E[:, None] < E[:, :, None]), (E[:, None] == E[:, :, None])
        ranks.append((below.sum(-1) + (equal.sum(-1) + 1) / 2).mean(axis=0))
        room = np.maximum(constant - best, 1e-12)
        gaps.append(np.clip((E - best) / room, 0, 1).mean(axis=0))
    R, G = np.array(ranks), np.array(gaps)
    yield "| model | mean rank | behind `table` in rank | wins | median gap | mean gap |"
    yield "|---|---:|---:|---:|---:|---:|"
    for n in np.argsort(R.mean(axis=0)):
        behind = R[:, n] - R[:, models.index("table")]
        half = 1.96 * behind.std(ddof=1) / len(R) ** 0.5
        wins = int((R[:, n] == R.min(axis=1)).sum())
        yield (
            f"| {models[n]} | {R[:, n].mean():.2f} | {behind.mean():+.2f} ± {half:.2f} | {wins} "
            f"| {np.median(G[:, n]):.3f} | {G[:, n].mean():.3f} |"
        )
    yield f"\n| table | {' | '.join([*models, CONSTANT])} |\n|---|{'---:|' * (len(models) + 1)}"
    for name, splits in of_tables.items():
        means = [np.mean([errors[model] for errors in splits]) for model in [*models, CONSTANT]]
        least = min(means)
        cells = [f"**{m:.4g}**" if m == least else f"{m:.4g}" for m in means]
        yield f"| {name} | {' | '.join(cells)} |"


def main(arguments: argparse.Namespace) -> None:
    """Measure and print."""
    chosen = (
        [Bundled("tuning", "scikit-learn", name, "target") for name in BUNDLED]
        if arguments.half == "bundled"
        else tables(arguments.half)
    )
    names = arguments.tables
    chosen = [t for t in chosen if not names or t.name.rpartition("/")[2] in names]
    ours = {name: (*settings, *arguments.set) for name, settings in OURS.items()}
    work = list(product(chosen, range(arguments.splits)))
    call = partial(measure, seeds=range(arguments.seeds), ours=ours, peers=True)
    with ProcessPoolExecutor(arguments.workers, get_context("spawn")) as pool:
        errors = list(pool.map(call, *zip(*work, strict=True)))
    of_tables: dict[str, list[Errors]] = {}
    for (table, _), of_split in zip(work, errors, strict=True):
        of_tables.setdefault(table.name.rpartition("/")[2], []).append(of_split)
    print("\n".join(summary(of_tables)))
    print(f"\n{arguments.splits} splits x {arguments.seeds} seeds.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("half", nargs="?", default="bundled",
                        choices=("tuning", "held-out", "bundled"))  # fmt: skip
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--tables", nargs="*", default=())
    parser.add_argument("--set", nargs="*", default=())
    main(parser.parse_args())
