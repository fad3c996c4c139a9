"""How long a person waits, beside `import mlflow`; and what one run costs, part by part.

    python benchmarks/startup.py [--rounds 9] [--jobs 1000]

Commands are new processes, taken turn by turn so that a busy machine slows them all; medians are
printed. Figures and the MLflow model are timed inside the very runs that are measured: lines of
their own, which are taken off the run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, ParamSpec, TypeVar

HELP_LIMIT = 1.15
BARE = ("tracking.figures=false", "tracking.model=false")
# What a person waits for, and how long at most, in units of `python -c "import mlflow"`.
WAITS = {
    "runner, to its table": 0.45,
    "runner experiment=iris, to its table": 0.6,
    "runner experiment=iris without figures and model": 0.7,
    "runner show": 0.4,
    "runner sweeps": 0.4,
}
RUNNER = str(Path(sys.executable).with_name("runner"))
EMPTY_APP = """\
import hydra


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config):
    pass


main()
"""
PARTS = (
    "bare Hydra app, an empty job",
    "import mlflow",
    "first connection to the store",
    "floor of recording",
    "training",
)
ASIDE = ("figures", "MLflow model")
PHASES = (
    *("start", "compose", "plan", "open the store", "begin the record", "train", "evaluate"),
    *("record", "report", *ASIDE),
)
COMPARED = (
    "bare Python",
    "bare Hydra app, --help",
    "runner --help",
    "bare Hydra app, --cfg job",
    "runner --cfg job",
    "floor of recording, once more",
)

P = ParamSpec("P")
R = TypeVar("R")


class Cost(NamedTuple):
    """Seconds on the clock, and of processor time, which other programs disturb less."""

    wall_s: float
    cpu_s: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)


Costs = dict[str, Cost]


def now(whose: Literal[0, -1] = resource.RUSAGE_SELF) -> Cost:
    usage = resource.getrusage(whose)
    return Cost(time.perf_counter(), usage.ru_utime + usage.ru_stime)


@contextmanager
def timing(costs: Costs, name: str) -> Iterator[None]:
    """Note what a block costs in this process."""
    start = now()
    try:
        yield
    finally:
        costs[name] = now() - start


def timed(costs: Costs, name: str, function: Callable[P, R]) -> Callable[P, R]:
    """Return the function, which then notes what a call costs."""

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with timing(costs, name):
            return function(*args, **kwargs)

    return call


def inner_parts(uri: str) -> Costs:
    """Measure the parts that need MLflow loaded, in a process that does nothing else."""
    costs: Costs = {}
    from runner.tracking.backend import client as library

    library.prepare()
    import mlflow

    with timing(costs, "first connection to the store"):
        client = mlflow.MlflowClient(uri)
        assert client.get_experiment_by_name("tutorial") is not None

    from benchmarks.tracking import SIZES, record_by_mlflow, write_files
    from runner.config.compose import compose
    from runner.config.schema import Experiment
    from runner.tracking import open_store
    from runner.training.prepare import prepare
    from runner.training.train import train

    store = open_store(uri, None, "tutorial")
    with tempfile.TemporaryDirectory() as name:
        left = write_files(Path(name, "left"), SIZES[1][2])
        # The first one in a process loads what the later ones find loaded; so does a run.
        for floor in ("floor of recording", "floor of recording, once more"):
            with timing(costs, floor):
                record_by_mlflow(store, SIZES[1], left)

    jobs = compose([], help_template="")
    assert jobs is not None
    experiment = Experiment.from_dict(jobs[0].config)
    prepared = prepare(experiment)
    train(prepared, [experiment])
    with timing(costs, "training"):
        train(prepared, [experiment])
    return costs


def timed_steps(
    costs: Costs, name: str, function: Callable[P, Iterator[R]]
) -> Callable[P, Iterator[R]]:
    """Return a generator function, which then notes what it costs, and not what its caller does."""

    def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
        steps, costs[name] = function(*args, **kwargs), Cost(0.0, 0.0)
        while True:
            start = now()
            step = next(steps, None)
            costs[name] = total([costs[name], now() - start])
            if step is None:
                return
            yield step

    return call


def watched_run() -> Costs:
    """Carry out `runner`, and note what its parts take."""
    costs: Costs = {}
    import runner.figures
    from runner.cli import main, run
    from runner.config import compose
    from runner.jobs.worker import stack_run
    from runner.report import console
    from runner.tracking import Store
    from runner.training.train import StackTraining

    started_s = float(os.environ["STARTED_S"])
    costs["start"] = Cost(time.time() - started_s, now().cpu_s)
    compose.compose = timed(costs, "compose", compose.compose)
    run.make_plan = timed(costs, "plan", run.make_plan)
    run.open_store = timed(costs, "open the store", run.open_store)
    stack_run.begin_run = timed(costs, "begin the record", stack_run.begin_run)
    StackTraining.until = timed_steps(costs, "train", StackTraining.until)
    StackTraining.results = timed(costs, "evaluate", StackTraining.results)
    stack_run.end_run = timed_steps(costs, "record", stack_run.end_run)
    console.print_metrics = timed(costs, "report", console.print_metrics)
    runner.figures.draw = timed(costs, "figures", runner.figures.draw)
    Store.log_model = timed(costs, "MLflow model", Store.log_model)
    sys.argv = ["runner"]
    try:
        main.main()
    except SystemExit as end:
        if end.code:
            raise
    costs["record"] -= total([costs[name] for name in ASIDE])
    return costs


def spent(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> tuple[Cost, str]:
    """Return what a command costs, from its start to its end, and what it printed."""
    start = now(resource.RUSAGE_CHILDREN)
    environment = {**environment, "STARTED_S": str(time.time())}
    output = subprocess.run(
        command, env=environment, cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return now(resource.RUSAGE_CHILDREN) - start, output


def until_table(
    command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> tuple[Cost, Cost]:
    """Return what a run costs until its table has come through a pipe, and until its end."""
    start = now(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("test "):
                break
        table_s = time.perf_counter() - start.wall_s
        process.stdout.read()
    assert process.returncode == 0
    # The system tells what a process has taken when it is over.
    return Cost(table_s, math.nan), now(resource.RUSAGE_CHILDREN) - start


def one_round(folder: Path, environment: Mapping[str, str]) -> Costs:
    """Measure everything once, each in a new process."""
    python, app, this = sys.executable, str(folder / "app.py"), str(Path(__file__).resolve())
    commands = {
        "bare Python": [python, "-c", "pass"],
        "bare Hydra app, an empty job": [python, app],
        "import mlflow": [python, "-c", "import mlflow"],
        "inside: parts": [python, this, "--inside", "parts"],
        "runner": [RUNNER],
        "inside: run": [python, this, "--inside", "run"],
        "bare Hydra app, --help": [python, app, "--help"],
        "runner --help": [RUNNER, "--help"],
        "bare Hydra app, --cfg job": [python, app, "--cfg", "job"],
        "runner --cfg job": [RUNNER, "--cfg", "job"],
    }
    costs: Costs = {}
    for name, command in commands.items():
        costs[name], output = spent(command, environment, folder)
        if name.startswith("inside"):
            inside = json.loads(output.splitlines()[-1])
            costs |= {part: Cost(*cost) for part, cost in inside.items()}
    costs['python -c "import mlflow"'] = costs["import mlflow"]
    costs["import mlflow"] -= costs["bare Python"]
    iris = "runner experiment=iris"
    for name, words in (("runner", []), (iris, ["experiment=iris"])):
        costs[f"{name}, to its table"], _ = until_table([RUNNER, *words], environment, folder)
    _, costs[f"{iris} without figures and model"] = until_table(
        [RUNNER, "experiment=iris", *BARE], environment, folder
    )
    for name in ("show", "sweeps"):
        costs[f"runner {name}"], _ = spent([RUNNER, name], environment, folder)
    return costs


def measure(n_rounds: int, n_jobs: int) -> Costs:
    """Return the medians over several rounds, on a store that exists before the first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "app.py").write_text(EMPTY_APP, encoding="utf-8")
        # In a folder of its own: `--help` reads all that lies beside a config.
        (folder / "conf").mkdir()
        (folder / "conf" / "config.yaml").write_text("name: empty\nseed: 0\n", encoding="utf-8")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        environment["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        environment["MLFLOW_DISABLE_TELEMETRY"] = "true"
        spent([RUNNER], environment, folder)
        spent([RUNNER, "experiment=iris", *BARE], environment, folder)
        spent([RUNNER, "-m", f"seed=range({n_jobs})"], environment, folder)
        # The first round meets cold files.
        rounds = [one_round(folder, environment) for _ in range(n_rounds + 1)][1:]
    return {part: median([costs[part] for costs in rounds]) for part in rounds[0]}


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(*(statistics.median(column) for column in zip(*costs, strict=True)))


def total(costs: Sequence[Cost]) -> Cost:
    return Cost(*(sum(column) for column in zip(*costs, strict=True)))


def row(name: str, cost: Cost) -> str:
    return f"| {name} | {cost.wall_s:.3f} | {cost.cpu_s:.3f} |"


def report(costs: Costs) -> bool:
    """Print the tables, and tell whether the limits hold."""
    parts = total([costs[name] for name in PARTS])
    aside = total([costs[name] for name in ASIDE])
    print("| one run of the tutorial, `runner` | s | s of processor |\n|---|---:|---:|")
    for name in PARTS:
        print(row(name, costs[name]))
    print(row("**sum of these parts**", parts))
    print(row("`runner`, from Enter to exit", costs["runner"]))
    for name in ASIDE:
        print(row(f"of it, {name}", costs[name]))
    print(row("**`runner` without these two**", costs["runner"] - aside))
    print("\n| what it is spent on | s | s of processor |\n|---|---:|---:|")
    for name in PHASES:
        print(row(name, costs[name]))
    print("\n| to be compared | s | s of processor |\n|---|---:|---:|")
    for name in COMPARED:
        print(row(name, costs[name]))
    print()
    hold("run without figures and model / parts", costs["runner"] - aside, parts, None)
    kept = True
    for name, limit in WAITS.items():
        kept &= hold(
            f'{name} / python -c "import mlflow"', costs[name], costs['python -c "import mlflow"'],
            limit,
        )  # fmt: skip
    for flags, limit in (("--help", HELP_LIMIT), ("--cfg job", None)):
        ours, bare = costs[f"runner {flags}"], costs[f"bare Hydra app, {flags}"]
        kept &= hold(f"runner {flags} / bare Hydra app", ours, bare, limit)
    return kept


def hold(name: str, ours: Cost, floor: Cost, limit: float | None) -> bool:
    """Print a ratio, and tell whether it keeps its limit."""
    wall, cpu = ours.wall_s / floor.wall_s, ours.cpu_s / floor.cpu_s
    asked = "" if limit is None else f"; at most {limit}"
    taken = "" if math.isnan(cpu) else f", {cpu:.2f} of processor time"
    print(f"{name}: {wall:.2f} on the clock{taken}{asked}")
    return limit is None or wall <= limit


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--inside", choices=["parts", "run"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside == "parts":
        print(json.dumps(inner_parts(os.environ["MLFLOW_TRACKING_URI"])))
    elif arguments.inside == "run":
        print(json.dumps(watched_run()))
    else:
        sys.exit(not report(measure(arguments.rounds, arguments.jobs)))
