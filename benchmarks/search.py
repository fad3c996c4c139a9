"""What successive halving saves and what it costs, beside all trials, Optuna and random points.

    python benchmarks/search.py [--only shares ends hyperband tpe] [--small] [--seeds 5]

shares: every trial of a search is trained to its end, as stacks and without a store. From the
validation loss at each evaluation it follows what a search that stops some of them would have
chosen, for any share: halving gives the trials it stops the bits that they have here. So one
training of all serves every row of the table. The default of `search.min_share` is what its last
line says: the smallest whose test loss is within one standard error of the full search's on all
tables. ends: the commands themselves, from Enter to exit. hyperband: Optuna's HyperbandPruner over
PyTorch loops in two processes. tpe: Optuna's TPE beside random points, at equal trials.

A search that is timed has 1,000 trials of 60 epochs, one that is followed for `shares` has 300: of
five seeds on six tables a quarter of an hour of one core. `--small` is for a busy machine: 200 are
timed, and 100 of 27 epochs followed, in minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks.sweeps.hyperband import cpu_per_trial
from benchmarks.sweeps.processes import RUNNER, Spent, fresh_store, migrated, spent
from runner.config.compose import compose
from runner.config.plain import with_settings
from runner.config.search import Dimension, HalvingSearch, OptunaSearch, SampledSearch
from runner.jobs.plan import GivenJob, Plan, make_plan, plan_each
from runner.jobs.search import Proposals, draw, rung_steps
from runner.jobs.stacks import stacks
from runner.training.prepare import prepare_cached
from runner.training.train import StackTraining

Array = NDArray[np.float64]

RATE = "optimizer.learning_rate=tag(log, interval(1e-4, 1e-1))"
DECAY = "optimizer.weight_decay=0.0,0.001,0.01"
SIZES = "model.hidden_layer_sizes=[32],[64],[64,32]"
BASE = ("experiment=digits", RATE, DECAY, SIZES)
# A table of 5,000 rows; the others are the bundled ones, all with a cosine of the whole budget.
TABLES = {
    "penguins": ("data=file", "data.path=conf/data/penguins.csv", "data.target=species"),
    "iris": ("data=iris", "training.batch_size=16"),
    "wine": ("data=wine", "training.batch_size=16"),
    "breast_cancer": ("data=breast_cancer",),
    "digits": (),
    "moons_5000": ("data=moons", "data.n_samples=5000", "data.noise=0.3"),
}
SHARES = (1 / 27, 1 / 9, 1 / 3)
# Of which whole commands are timed.
LARGER = ("digits", "breast_cancer", "moons_5000")


@dataclass(frozen=True)
class Trained:
    """All trials of a search, each trained to its end.

    Parameters
    ----------
    values : ndarray of shape (n_trials, n_evaluations)
        Validation loss.
    test : ndarray of shape (n_trials,)
        Test loss of the last weights.
    """

    values: Array
    test: Array
    seconds: float


def train_all(plan: Plan) -> Trained:
    """Train the jobs of a plan to their ends."""
    started = time.monotonic()
    values: dict[int, list[float]] = {}
    test: dict[int, float] = {}
    for stack in stacks(plan, range(len(plan.jobs)), 1):
        experiments = [plan.jobs[position].experiment for position in stack]
        training = StackTraining(prepare_cached(experiments[0]), experiments)
        for _ in training:
            pass
        for position, result in zip(stack, training.results(), strict=True):
            curve = [metrics["val/loss"] for _, metrics in result.history]
            values[position], test[position] = curve, result.final["test/loss"]
    n = max(map(len, values.values()))
    rows = [values[p] + [np.inf] * (n - len(values[p])) for p in sorted(values)]  # it diverged
    losses = np.array([test[position] for position in sorted(test)])
    return Trained(np.array(rows), losses, time.monotonic() - started)


def searched(words: Sequence[str], n_trials: int, seed: int) -> Plan:
    """Plan a random search."""
    search = ("search=random", f"search.n_trials={n_trials}", f"search.seed={seed}")
    jobs = compose(["-m", *words, *search], "", draw=draw)
    assert jobs is not None
    return make_plan(jobs)


def halved(plan: Plan, trained: Trained, share: float) -> tuple[int, float]:
    """Return what successive halving would choose, and its steps as a share of all."""
    search = HalvingSearch(name="halving", n_trials=len(plan.jobs), min_share=share - 1e-6)
    shape = plan.jobs[0].shape
    assert shape is not None
    every, n_steps = shape.settings.evaluate_every, shape.settings.n_steps
    alive = np.arange(len(plan.jobs))
    taken, before = 0, 0
    for step in [*rung_steps(plan.jobs[0], search), n_steps]:
        taken += len(alive) * (step - before)
        before, column = step, trained.values[alive, -(-step // every) - 1]
        n_staying = -(-len(alive) // search.reduction) if step < n_steps else 1
        alive = np.sort(alive[np.argsort(column, kind="stable")[:n_staying]])
    return int(alive[0]), taken / (n_steps * len(plan.jobs))


def shares(
    name: str, n_trials: int, n_seeds: int, more: Sequence[str]
) -> Iterator[tuple[float, bool]]:
    """Print the rows of a table, what each share costs and saves; yield whether it will do."""
    words = (*BASE, *TABLES[name], *more)
    plans = [searched(words, n_trials, seed) for seed in range(n_seeds)]
    every = [train_all(plan) for plan in plans]
    best = [int(np.argmin(trained.values[:, -1])) for trained in every]
    full = np.array([t.test[b] for t, b in zip(every, best, strict=True)])
    error = full.std(ddof=1) / np.sqrt(n_seeds) if n_seeds > 1 else np.nan
    for share in SHARES:
        found = [halved(plan, t, share) for plan, t in zip(plans, every, strict=True)]
        pairs = [(t, choice) for t, (choice, _) in zip(every, found, strict=True)]
        difference = float((np.array([t.test[choice] for t, choice in pairs]) - full).mean())
        val = np.mean([t.values[c, -1] - t.values[:, -1].min() for t, c in pairs])
        same = sum(choice == b for (_, choice), b in zip(pairs, best, strict=True))
        is_within = bool(difference <= error)
        print(
            f"| {name} | 1/{round(1 / share)} | {found[0][1]:.3f} | {same} of {n_seeds} "
            f"| {val:+.4f} | {full.mean():.4f} ± {error:.4f} | {difference:+.4f} "
            f"| {'yes' if is_within else 'no'} |",
            flush=True,
        )
        yield share, is_within


def choose_share(
    tables: Sequence[str], n_trials: int, n_seeds: int, more: Sequence[str] = ()
) -> None:
    """Print all shares on all tables, and the smallest that will do on each of them."""
    print(
        "| table | min_share | steps | same choice | val loss | test loss, full search "
        "| halving | within |\n|---|---:|---:|---:|---:|---:|---:|---|"
    )
    fitting = set(SHARES)
    for name in tables:
        fitting -= {share for share, fits in shares(name, n_trials, n_seeds, more) if not fits}
    smallest = f"1/{round(1 / min(fitting))}" if fitting else "none of them"
    print(f"\nThe smallest share that is within one standard error on all tables: {smallest}.")


def ends(name: str, n_trials: int) -> float:
    """Print what two commands take for all trials and for a search.

    Each in a store of its own, with all that a sweep records. Return the seconds of processors that
    a further trial of the search takes.
    """
    took: dict[tuple[str, int], Spent] = {}
    few = n_trials // 10
    with migrated() as template:
        for search, n in (("random", n_trials), ("halving", n_trials), ("halving", few)):
            words = ("-m", *BASE, *TABLES[name], f"search={search}", f"search.n_trials={n}")
            with fresh_store(template) as folder:
                took[search, n] = spent([RUNNER, *words, "sweep.n_workers=2"], folder)
    full, halving = took["random", n_trials], took["halving", n_trials]
    ratio = halving.wall_s / full.wall_s
    print(f"| {name} | {full.wall_s:.1f} | {halving.wall_s:.1f} | {ratio:.2f} |", flush=True)
    return (halving.cpu_s - took["halving", few].cpu_s) / (n_trials - few)


def tpe_beside_random(n_trials: int, n_seeds: int) -> str:
    """Compare the best validation loss of TPE and of random points, at equal trials."""
    words = ("experiment=iris", "training.epochs=30", "training.batch_size=32")
    space = [
        Dimension("optimizer.learning_rate", low=1e-4, high=1e-1, is_log=True),
        Dimension("optimizer.weight_decay", low=1e-6, high=1e-1, is_log=True),
        Dimension("model.hidden_layer_sizes", ("[4]", "[16]", "[32,16]")),
    ]

    made = compose(words, "")
    assert made is not None

    def losses(points: Sequence[dict[str, str]]) -> list[float]:
        settings = [{key: yaml.safe_load(text) for key, text in p.items()} for p in points]
        plan = plan_each([GivenJob(with_settings(made[0].config, each)) for each in settings])
        return [float(value) for value in train_all(plan).values[:, -1]]

    pairs = []
    for seed in range(n_seeds):
        search = OptunaSearch(name="optuna", n_trials=n_trials, seed=seed)
        proposals, best = Proposals(space, search, "val/loss"), np.inf
        while points := proposals.ask():
            values = losses(points)
            proposals.tell(values)
            best = min(best, *values)
        drawn = draw(space, SampledSearch(name="random", n_trials=n_trials, seed=seed))
        pairs.append((best, min(losses(drawn))))
    tpe, at_random = np.median(np.array(pairs), axis=0)
    wins = sum(a < b for a, b in pairs)
    return (
        f"Best of {n_trials} trials, median of {n_seeds} search seeds: TPE {tpe:.4f}, random "
        f"{at_random:.4f}; TPE is better in {wins}."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parts = ("shares", "ends", "hyperband", "tpe")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--small", action="store_true", help="fewer and shorter trials")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tables", nargs="*", default=list(TABLES), choices=TABLES)
    parser.add_argument("--tpe-trials", type=int, default=48)
    options = parser.parse_args()
    n_trials, n_followed = (200, 100) if options.small else (1000, 300)
    if "shares" in options.only:
        shorter = ("training.epochs=27",) if options.small else ()
        choose_share(options.tables, n_followed, options.seeds, shorter)
    if "ends" in options.only:
        print(
            f"\n| {n_trials:,} trials, s | all to the end | halving | ratio |\n|---|---:|---:|---:|"
        )
        for name in [name for name in LARGER if name in options.tables]:
            per_trial = ends(name, n_trials)
            if name == "digits" and "hyperband" in options.only:
                peer = cpu_per_trial(max(n_trials // 20, 30))
                print(
                    f"\nA further trial on digits, two processes, of processors: halving "
                    f"{1e3 * per_trial:.0f} ms, Optuna's HyperbandPruner over PyTorch "
                    f"{1e3 * peer:.0f} ms, {peer / per_trial:.1f} times as much (at least 20).\n",
                    flush=True,
                )
    if "tpe" in options.only:
        print(tpe_beside_random(options.tpe_trials, 4 * options.seeds))


if __name__ == "__main__":
    main()
