"""Errors on real tables and bundled sets, beside other models with their defaults and tuned ones.

    python benchmarks/accuracy.py held-out [--splits 3] [--seeds 2] [--tables wine Boston]
        [--tuned 50] [--without TabM-D] [--kept errors.jsonl] [--set optimizer.learning_rate=0.003]

`experiment=own`, with the same settings for all tables, and the other models get the same rows to
train with and the same to test with; of its rows our networks take a fifth to find out when to
stop. The error is the share of wrong classes, or the root mean squared error. Settings may be
chosen by the half `tuning` alone. With `--tuned` each model of scikit-learn is there once more,
with the best of so many random settings on a fifth of its rows. XGBoost, RealMLP-TD and TabM-D are
there where they are installed (`pip install xgboost pytabkit`) and not left out by `--without`.
What `--kept` holds of the same settings is not measured again. The tables are in docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

os.environ["OMP_NUM_THREADS"] = "1"  # of gradient boosting, too

import numpy as np
from table_source import Table, pipelines, tables

from runner.config.compose import compose
from runner.config.schema import Experiment
from runner.training.prepare import prepare, settled
from runner.training.train import train

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.compose import ColumnTransformer

BUNDLED = ("digits", "breast_cancer", "wine", "iris", "diabetes")
OURS = {
    "own": ("experiment=own",),
    "own, 16 members": ("experiment=own", "model.n_members=16"),
}
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
            n_tuned: int, without: Sequence[str]) -> Errors:  # fmt: skip
    """Return the test error of each model on one split, as a mean over the seeds."""
    errors: Errors = {}
    with TemporaryDirectory() as name:
        paths = table.split(Path(name), split)
        for model, overrides in ours.items():
            errors[model] = own(table, paths, seeds, overrides)
        errors |= others(table, paths, seeds, n_tuned, without)
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


def others(
    table: Table, paths: tuple[Path, Path], seeds: Sequence[int], n_tuned: int,
    without: Sequence[str],
) -> Errors:  # fmt: skip
    """Fit the other models, and what always says the most frequent class or the mean."""
    X, X_test, y, y_test = table.frames(paths)
    has_classes = y.dtype.kind not in "if" or y.nunique() <= 20
    if has_classes:  # as numbers from 0 on, which XGBoost wants; each part has all of them
        y, y_test = (part.map({c: n for n, c in enumerate(sorted(set(y)))}) for part in (y, y_test))
    found: dict[str, list[float]] = {}

    def note(name: str, answers: object) -> None:
        wrong = np.asarray(answers) != y_test if has_classes else (answers - y_test) ** 2
        error = float(np.mean(wrong))
        found.setdefault(name, []).append(error if has_classes else error**0.5)

    note(CONSTANT, y.mode()[0] if has_classes else y.mean())
    for seed in seeds:
        for name, model in models(X, has_classes=has_classes, seed=seed, n_tuned=n_tuned):
            if name in without:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # MLP ends at 200 epochs, converged or not
                note(name, model.fit(X, y).predict(X_test))
    return {name: float(np.mean(errors)) for name, errors in found.items()}


def models(
    X: pd.DataFrame, *, has_classes: bool, seed: int, n_tuned: int
) -> Iterator[tuple[str, Any]]:
    """Yield models of scikit-learn, some of them tuned, and those of the packages that are here."""
    from scipy.stats import loguniform, randint, uniform
    from sklearn.base import clone
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
    from sklearn.model_selection import RandomizedSearchCV, ShuffleSplit
    from sklearn.pipeline import make_pipeline

    forest = (RandomForestClassifier if has_classes else RandomForestRegressor)(random_state=seed)
    those = list(pipelines(X, has_classes=has_classes, seed=seed))
    preparation = those[0][1][0]
    those.append(("RandomForest", make_pipeline(clone(preparation), forest)))
    layers = [(32,), (64,), (128,), (64, 64), (128, 128)]
    tuning = {
        "LogisticRegression": {"C": loguniform(1e-4, 1e3)},
        "Ridge": {"alpha": loguniform(1e-3, 1e4)},
        "MLP": {"hidden_layer_sizes": layers, "alpha": loguniform(1e-6, 1.0),
                "learning_rate_init": loguniform(1e-4, 1e-2)},
        "HistGradientBoosting": {"learning_rate": loguniform(0.01, 0.3),
                                 "max_leaf_nodes": randint(4, 64),
                                 "min_samples_leaf": randint(2, 60),
                                 "l2_regularization": loguniform(1e-6, 1e2)},
        "RandomForest": {"max_features": uniform(0.1, 0.9), "min_samples_leaf": randint(1, 20)},
    }  # fmt: skip
    for name, model in those:
        said = {"Ridge": "LogisticRegression"}.get(name, name)
        yield said, model
        if n_tuned:
            last = model.steps[-1][0]
            inner = "regressor__" if last == "transformedtargetregressor" else ""
            values = {f"{last}__{inner}{key}": drawn for key, drawn in tuning[name].items()}
            fifth = ShuffleSplit(1, test_size=0.2, random_state=seed)
            yield (
                f"{said}, tuned",
                RandomizedSearchCV(
                    clone(model), values, n_iter=n_tuned, cv=fifth, random_state=seed
                ),
            )
    if find_spec("xgboost"):
        import xgboost

        boosted = xgboost.XGBClassifier if has_classes else xgboost.XGBRegressor
        model = boosted(random_state=seed, n_jobs=1)
        yield "XGBoost", make_pipeline(clone(preparation), model)
    if find_spec("pytabkit"):
        import pytabkit

        kind = "Classifier" if has_classes else "Regressor"
        for name in ("RealMLP_TD", "TabM_D"):
            model = getattr(pytabkit, f"{name}_{kind}")(
                device="cpu", random_state=seed, n_threads=1, verbosity=0
            )
            yield name.replace("_", "-"), make_pipeline(_filled(X), model)


def _filled(X: pd.DataFrame) -> ColumnTransformer:
    """Return what fills the missing numbers of a data frame, and leaves its words as categories."""
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.impute import SimpleImputer

    numbers = SimpleImputer(strategy="median", add_indicator=True)
    words = SimpleImputer(strategy="constant", fill_value="(missing)")
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")(X)),
        (words, make_column_selector(dtype_exclude="number")(X)),
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")


def summary(of_tables: dict[str, list[Errors]]) -> Iterator[str]:
    """Yield two tables: each model over all tables, and its errors on each."""
    models = [name for name in next(iter(of_tables.values()))[0] if name != CONSTANT]
    ranks, gaps = [], []
    for splits in of_tables.values():
        # Rounded, since two ways to count the same wrong answers differ in the last bits.
        E = np.array([[errors[name] for name in models] for errors in splits]).round(12)
        constant = np.array([[errors[CONSTANT]] for errors in splits])
        best = E.min(axis=1, keepdims=True)
        # Equal errors share the mean of their ranks.
        below, equal = (E[:, None] < E[:, :, None]), (E[:, None] == E[:, :, None])
        ranks.append((below.sum(-1) + (equal.sum(-1) + 1) / 2).mean(axis=0))
        room = np.maximum(constant - best, 1e-12)
        gaps.append(np.clip((E - best) / room, 0, 1).mean(axis=0))
    R, G = np.array(ranks), np.array(gaps)
    yield "| model | mean rank | behind `own` in rank | wins | median gap | mean gap |"
    yield "|---|---:|---:|---:|---:|---:|"
    for n in np.argsort(R.mean(axis=0)):
        behind = R[:, n] - R[:, models.index("own")]
        half = 1.96 * behind.std(ddof=1) / len(R) ** 0.5
        wins = int((R[:, n] == R.min(axis=1)).sum())
        yield (
            f"| {models[n]} | {R[:, n].mean():.2f} | {behind.mean():+.2f} ± {half:.2f} | {wins} "
            f"| {np.median(G[:, n]):.3f} | {G[:, n].mean():.3f} |"
        )
    yield f"\n| table | {' | '.join([*models, CONSTANT])} |\n|---|{'---:|' * (len(models) + 1)}"
    for name, splits in of_tables.items():
        of_models = [[errors[model] for errors in splits] for model in [*models, CONSTANT]]
        means = np.mean(of_models, axis=1).round(12)
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
    kept = Path(arguments.kept) if arguments.kept else None
    lines = kept.read_text("utf-8").splitlines() if kept and kept.exists() else ()
    settings = [arguments.seeds, arguments.tuned, sorted(arguments.without), arguments.set]

    def key(table: Table, split: int) -> str:
        return json.dumps([table.name, split, *settings])

    known = {json.dumps(of): errors for *of, errors in map(json.loads, lines)}
    places = product(range(arguments.splits), chosen)
    work = [(t, n) for n, t in places if key(t, n) not in known]
    with ProcessPoolExecutor(arguments.workers, get_context("spawn")) as pool:
        told = {
            pool.submit(
                measure, *it, range(arguments.seeds), ours, arguments.tuned, arguments.without
            ): it
            for it in work
        }
        for future in as_completed(told):
            table, split = told[future]
            line = json.dumps([table.name, split, *settings, future.result()])
            print(line, file=sys.stderr, flush=True)
            known[key(table, split)] = future.result()
            if kept:
                with kept.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
    of_tables: dict[str, list[Errors]] = {}
    for table, split in product(chosen, range(arguments.splits)):
        of_tables.setdefault(table.name.rpartition("/")[2], []).append(known[key(table, split)])
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
    parser.add_argument("--tuned", type=int, default=0, help="random settings of each model")
    parser.add_argument("--without", nargs="*", default=(), help="other models to leave out")
    parser.add_argument("--kept", help="a file of errors that goes on from what it holds")
    parser.add_argument("--set", nargs="*", default=())
    main(parser.parse_args())
