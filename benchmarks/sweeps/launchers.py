"""A job of ours beside one of Hydra's own launchers, with MLflow's fluent API inside the job.

What theirs costs is the difference between two sweeps, so that neither the start of the process
nor its imports count; ours is a whole sweep from Enter to exit, divided by its jobs.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from pathlib import Path

from mlflow import MlflowClient

from benchmarks.sweeps import whole
from benchmarks.sweeps.peers import is_installed
from benchmarks.sweeps.processes import at_least, fresh_store, judged, spent, store_uri

BASIC_LIMIT = 100
JOBLIB_LIMIT = 10
_APP = Path(__file__).with_name("naive_app.py")
# The tutorial's settings, as in `experiment=tutorial`.
_CONFIG = """\
learning_rate: 0.04
seed: 0
steps: 4000
batch_size: 4
evaluate_every: 100
sampling: with_replacement
initializer: normal
"""
_N_WORKERS = 2
_JOBLIB = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={_N_WORKERS}"]


def sweep_s(template: Path, n_jobs: int, launcher: list[str]) -> float:
    """Return what a sweep of the naive app takes, on a store of its own."""
    with fresh_store(template) as folder:
        shutil.copyfile(_APP, folder / "app.py")
        (folder / "conf").mkdir()
        (folder / "conf" / "config.yaml").write_text(_CONFIG, encoding="utf-8")
        # Two workers that create it at once may lose a job.
        MlflowClient(store_uri(folder)).create_experiment("naive", str(folder / "mlruns" / "1"))
        seeds = f"seed=range(0,{n_jobs})"
        took = spent([sys.executable, "app.py", "--multirun", *launcher, seeds], folder).wall_s
        recorded = list((folder / "mlruns").rglob("weights.npz"))
        assert len(recorded) == n_jobs, f"{len(recorded)} of {n_jobs} jobs left weights"
    return took


def per_job_ms(template: Path, n_jobs: int, launcher: list[str], n_first: int) -> float:
    """Return what each job beyond the first ones takes: those that start whatever there is."""
    first, all_of_them = (
        sweep_s(template, number, launcher) for number in (n_first, n_first + n_jobs)
    )
    return 1e3 * (all_of_them - first) / n_jobs


def beside_launchers(
    template: Path, n_jobs: int, n_basic: int, n_joblib: int, n_rounds: int
) -> bool:
    """Print how a job compares with Hydra's launchers, all sides turn by turn.

    A launcher that is missing is said to be, and counts as a limit that is not kept.
    """
    theirs = {
        "basic launcher": (n_basic, [], 1, BASIC_LIMIT),
        "joblib launcher, 2 workers": (n_joblib, _JOBLIB, _N_WORKERS, JOBLIB_LIMIT),
    }
    missing = not is_installed("hydra_plugins.hydra_joblib_launcher")
    if missing:
        print("The joblib launcher is missing: hydra-joblib-launcher is not installed.\n")
        del theirs["joblib launcher, 2 workers"]
    costs: dict[str, list[float]] = {name: [] for name in theirs}
    ours: list[float] = []
    for _ in range(n_rounds):
        # A sweep of ours before each of theirs and after the last: what else the machine does
        # meanwhile falls upon both.
        for name, (n_more, launcher, n_first, _) in theirs.items():
            ours.append(whole.per_job_ms(template, n_jobs))
            costs[name].append(per_job_ms(template, n_more, launcher, n_first))
        ours.append(whole.per_job_ms(template, n_jobs))
    ours_ms = statistics.median(ours)
    medians = {name: statistics.median(found) for name, found in costs.items()}
    print("| a job of the tutorial | ms per job |\n|---|---:|")
    print(f"| `runner --multirun`, its share of {n_jobs:,} from Enter to exit | {ours_ms:.2f} |")
    for name, cost in medians.items():
        print(f"| Hydra's {name}, MLflow's fluent API | {cost:.0f} |", flush=True)
    judged()
    kept = [
        at_least(f"{name} / sweep, per job", cost / ours_ms, theirs[name][3])
        for name, cost in medians.items()
    ]
    return all(kept) and not missing
