"""Optuna's HyperbandPruner over a PyTorch training loop, as its own users write it.

Two processes share a study in a journal file. The trials are those of the search that it is
measured beside: digits, one hidden layer, AdamW, a cosine over the whole budget, batches of 32.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np

if TYPE_CHECKING:
    import optuna

_EPOCHS, _BATCH = 60, 32


def cpu_per_trial(n_trials: int) -> float:
    """Return the seconds of processors that a further trial takes, their start left out."""
    few = 2
    return (_cpu(n_trials) - _cpu(few)) / (n_trials - few)


def _cpu(n_trials: int, n_processes: int = 2) -> float:
    with tempfile.TemporaryDirectory() as folder:
        journal = str(Path(folder, "journal.log"))
        command = [sys.executable, "-m", "benchmarks.sweeps.hyperband", journal, str(n_trials)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        processes = [subprocess.Popen(command) for _ in range(n_processes)]
        if any(process.wait() for process in processes):
            raise SystemExit("Optuna's processes failed.")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def study(journal: str) -> optuna.Study:
    """Make the study, or join it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    backend = optuna.storages.journal.JournalFileBackend(journal)
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name="search",
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
        pruner=optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=_EPOCHS, reduction_factor=3
        ),
    )


def work(journal: str, n_trials: int) -> None:
    """Run trials until all processes together have begun so many."""
    import optuna
    import torch

    from runner.config.compose import compose
    from runner.jobs.plan import make_plan
    from runner.training.prepare import prepare_cached

    torch.set_num_threads(1)
    jobs = compose(["experiment=digits"], "")
    assert jobs is not None
    data = prepare_cached(make_plan(jobs).first)
    of = {part: data.examples(part) for part in ("train", "val")}
    X, y, X_val, y_val = (
        torch.from_numpy(np.ascontiguousarray(array, dtype))
        for part in of.values()
        for array, dtype in ((part.X, np.float32), (part.y, np.int64))
    )

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
        decay = trial.suggest_categorical("weight_decay", [0.0, 0.001, 0.01])
        network = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
        )
        optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay)
        n_steps = _EPOCHS * -(-len(X) // _BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
        value = float("nan")
        for epoch in range(_EPOCHS):
            for rows in torch.randperm(len(X)).split(_BATCH):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(network(X[rows]), y[rows]).backward()
                optimizer.step()
                schedule.step()
            with torch.no_grad():
                value = float(torch.nn.functional.cross_entropy(network(X_val), y_val))
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    joined = study(journal)
    limit = optuna.study.MaxTrialsCallback(n_trials, states=None)
    joined.optimize(objective, callbacks=[limit])


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
