"""A hundred reruns, each in a process of its own and under other conditions: all are IDENTICAL."""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.runner.cli.rerunning import differing, export, sweep, verdict
from tests.runner.cli.sweeping import Recorded
from tests.runner.conftest import CHECKOUT, Command

# Both types, both optimizers; own data with words in a fold, stopped early.
WIDE = [
    *("data=moons", "split=shuffled", "model.hidden_layer_sizes=[24,16]", "training.steps=40"),
    *("dtype=float32,float64", "optimizer=sgd,adam"),
]
OWN = [
    *("experiment=own_csv", "split=kfold", "split.fold=3", "seed=0,1", "training.epochs=4"),
    "training.early_stopping={metric: val/loss, patience: 1, min_delta: 0.0}",
]
POINTS = ["training.steps=100", "optimizer.learning_rate=0.01,0.04", "seed=0,1,2"]
OTHER_ORDER = ["training.steps=100", "seed=2,0,1", "optimizer.learning_rate=0.04,0.01"]
N_OF_FOLDERS, N_OF_JOBS, N_OF_SWEEPS = 84, 10, 6
BURN = "while True: sum(range(1000))"


@dataclass
class Condition:
    """What a rerun is asked for, and where."""

    arguments: list[str]
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    stack_kb: int = 8192


@pytest.fixture(scope="module")
def targets(shared: Command, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Make what is repeated: folders, single runs, and sweeps in two orders."""
    place = tmp_path_factory.mktemp("exported")
    (_, wide), (_, own) = sweep(shared, *WIDE), sweep(shared, *OWN)
    folders = [str(export(shared, run, place / run.run_id)) for run in [*wide, own[0]]]
    one, its_jobs = sweep(shared, *POINTS, "sweep.n_workers=2")
    other, more_jobs = sweep(shared, *OTHER_ORDER, "sweep.n_workers=1", "sweep.restart=true")
    alone = [wide[0], wide[3], its_jobs[0], its_jobs[-1], more_jobs[2]]
    return {"folders": folders, "runs": _ids(alone), "sweeps": _ids([one, other])}


def _ids(runs: list[Recorded]) -> list[str]:
    return [run.run_id for run in runs]


def conditions(targets: dict[str, list[str]], place: Path) -> list[Condition]:
    """Draw a hundred conditions, the same ones each time."""
    rng = random.Random(0)
    penguins = str(CHECKOUT / "conf" / "data" / "penguins.csv")
    folders = [place / name for name in ("a", "b c", "d/e/f", "größe")]
    for folder in folders:
        folder.mkdir(parents=True)

    def condition(arguments: list[str]) -> Condition:
        return Condition(
            arguments,
            rng.choice(folders),
            {
                "HOME": str(rng.choice(folders)),
                rng.choice(["LANG", "LC_ALL"]): rng.choice(
                    ["C", "POSIX", "C.UTF-8", "de_DE.UTF-8", "tr_TR.ISO-8859-9", "ja_JP.eucJP"]
                ),
                "TZ": rng.choice(["UTC", "Asia/Kathmandu", "America/St_Johns", "XYZ-13:59"]),
                "PYTHONHASHSEED": rng.choice(["0", "1", "4294967295", "random"]),
                # What memory holds before it is written to.
                "MALLOC_PERTURB_": rng.choice(["0", "0", "0", "165"]),
                "OPENBLAS_NUM_THREADS": rng.choice(["1", "2", "4"]),
                "COLUMNS": rng.choice(["100", "160"]),
            },
            stack_kb=rng.choice([1024, 2048, 8192, 65536]),
        )

    def workers() -> list[str]:
        return rng.choice([[], ["sweep.n_workers=1"], ["sweep.n_workers=2"], ["sweep.n_workers=3"]])

    found = []
    for number in range(N_OF_FOLDERS):
        folder = targets["folders"][number % len(targets["folders"])]
        data = ["--data", penguins] if folder == targets["folders"][-1] else []
        found.append(condition(["rerun", folder, *workers(), *data]))
    for number in range(N_OF_JOBS):
        check = [] if number % 2 else ["--check"]
        found.append(condition(["rerun", targets["runs"][number % 5], *check]))
    for number in range(N_OF_SWEEPS):
        arguments = ["rerun", targets["sweeps"][number % 2], f"sweep.n_workers={1 + number // 2}"]
        found.append(condition(arguments))
    rng.shuffle(found)
    return found


@contextmanager
def load() -> Iterator[None]:
    """Keep a core busy."""
    with subprocess.Popen([sys.executable, "-c", BURN]) as burning:
        try:
            yield
        finally:
            burning.kill()


@pytest.mark.timeout(1800)  # minutes where both cores are free
def test_a_hundred_reruns_under_a_hundred_conditions_are_identical(
    targets: dict[str, list[str]], shared: Command, tmp_path: Path
):
    drawn = conditions(targets, tmp_path)
    assert len(drawn) == 100

    def carry_out(condition: Condition) -> str:
        shell = ["sh", "-c", f'ulimit -s {condition.stack_kb}; exec "$@"', "sh"]
        ended = subprocess.run(
            [*shell, sys.executable, "-m", "runner", *condition.arguments],
            cwd=condition.folder,
            env=shared.environment | condition.variables,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=120,
            check=False,
        )
        of_sweep = "6 of 6 identical\n" in ended.stdout
        said = "IDENTICAL" if of_sweep else verdict(ended)
        if (said, ended.returncode, differing(ended)) == ("IDENTICAL", 0, []):
            return "IDENTICAL"
        return f"{condition}: exit code {ended.returncode}\n{ended.stdout}{ended.stderr}"

    with ThreadPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        came = list(pool.map(carry_out, drawn[:70]))
        with load():
            came += pool.map(carry_out, drawn[70:])
    assert Counter(came) == {"IDENTICAL": 100}
