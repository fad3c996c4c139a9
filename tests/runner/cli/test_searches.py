"""Searches as a person types them: what is drawn, what is refused, what is printed and recorded."""

import json
import re
import signal
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from runner.jobs.plan import Plan, read_lines
from runner.jobs.sweep.state_folder import SweepFolder
from tests.runner.cli.instants import at_call
from tests.runner.cli.rerunning import artifacts, moved, sweep, verdict
from tests.runner.cli.sweeping import BARE, Recorded, count, end, jobs, of_kind, recorded, start
from tests.runner.conftest import Command

RATE = "optimizer.learning_rate"
LOG_RATE = f"{RATE}=tag(log, interval(1e-3, 1e-1))"
RANDOM = ("-m", "search=random", "search.n_trials=2")
HALVING = f"search=halving {RATE}=0.1,0.2"
SHORT = ("experiment=iris", "training.epochs=4")

# Arguments beside -m and a random search of two trials; the line that is printed.
REFUSED = [
    (f"{RATE}=interval(0.1,0.1)", f"{RATE}: must be an interval from a number to a larger one"),
    (f"{RATE}=interval(0,inf)", f"{RATE}: must be an interval from a number to a larger one"),
    (f"{RATE}=tag(log,interval(0,1))", f"{RATE}: must be above 0 from end to end for a log scale"),
    ("seed=range(0,5)", "search.n_trials: must be beside a range or choices to draw from, got 2."),
    (f"{RATE}=1e-3,", f"{RATE}=1e-3,: must be key=value in Hydra's grammar"),
    ("model.activation=interval(0,1)", "model.activation: must be choices, got an interval"),
    ("optimizer=interval(0,1)", "optimizer: must be choices, got an interval"),
    ("seed=interval(0,1)", "seed: must be choices or range(), for each of which every trial"),
    (f"search.n_trials=3 {RATE}=0.1,0.10,1e-1,0.2", "search.n_trials: must be at most 2, the"),
    (f"search.n_trials=4 {RATE}=interval(1,1.0000000000000004)", "search.n_trials: must be at m"),
    ("search.n_trials=9 model=mlp,linear seed=0 training.epochs=int(interval(1,4))", "at most 8, "),
    (f"search.n_trials=0 {RATE}=0.1,0.2", "search.n_trials: must be a whole number, 1 or above"),
    (f"search.n_trial=1 {RATE}=0.1,0.2", "search.n_trial: must be"),
    (f"{RATE}=0.1,0.2 sweep.metric=val/rmse", "sweep.metric: must be val/ and a metric of task=cl"),
    (f"search=halve {RATE}=0.1,0.2", "search: must be one of grid, "),
    (f"{HALVING} search.min_share=0", "search.min_share: must be a share above 0 and below 1, got"),
    (
        f"{HALVING} search.min_share=0.5",
        "search.min_share: must be at most 1/3, the share",
    ),
    (f"{HALVING} training.epochs=9", "search.min_share: must be at least 0.112, the share of the"),
    (
        "training.label_smoothing=interval(0.01,0.2),0.5",
        "training.label_smoothing: must be choices",
    ),
    ("model.activation=glob(*)", "model.activation: must have at least one choice, got a glob"),
    (
        "training.epochs=interval(1,5)",
        "training.epochs: must be of whole numbers, int(interval(1,5)), got interval(1,5).",
    ),
    ("search=random,sobol", "search: must be one value for the whole sweep, got random,sobol."),
    (f"search.n_trials=3,4 {RATE}=0.1,0.2", "search.n_trials: must be one value for the whole"),
    # Between these ends most numbers would do.
    (
        "search=optuna model.dropout=interval(0.3,1.0001)",
        "model.dropout: must be a number from 0 up",
    ),
    (
        "search=optuna model.dropout=0.1,0.2,1.5",
        "model.dropout: must be a number from 0 up to, but",
    ),
    (f"{HALVING} split.val=0", "sweep.metric: must be a metric of validation rows, by which sear"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("words", "line"), REFUSED)
def test_what_cannot_be_searched_is_said_before_anything_runs(
    words: str, line: str, command: Command
):
    ended = command(*RANDOM, "experiment=iris", *words.split())
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(line) or line in ended.stderr.splitlines()[0]
    assert command.left() == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((LOG_RATE,), "; to search it, add --multirun search=random search.n_trials=20."),
        (("search=random", "search.n_trials=2"), "search: must come with --multirun, which makes"),
    ],
)
def test_a_search_without_multirun_is_refused(words: tuple[str, ...], line: str, command: Command):
    ended = command(*SHORT, *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert line in ended.stderr
    assert command.left() == []


def test_optuna_that_is_not_installed_is_said_before_anything_runs(
    command: Command, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "optuna", None)
    ended = command(*OPTUNA)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(
        "search: must be beside optuna, which pip install 'softnet-runner[search]' installs, got"
    )
    assert command.left() == []


def test_each_trial_is_run_for_all_seeds_and_folds_and_its_values_are_recorded_whole(
    sweeper: Command,
):
    folds = ("split=kfold", "split.n_folds=3", "split.fold=0,2", "seed=range(0,2)")
    ended = sweeper(*RANDOM, *SHORT, *folds, LOG_RATE, "sweep.n_workers=1")
    assert ended.returncode == 0, ended.stderr
    assert "8 jobs to run" in ended.stderr
    plans = list(sweeper.store.rglob("plan.jsonl"))
    first, others, *_ = [json.loads(line) for line in plans[0].read_text().splitlines()]
    rates = {first["config"]["optimizer"]["learning_rate"]}
    rates |= {v for at, values in others["varies"] for v in values if at[-1] == "learning_rate"}
    assert len(rates) == 2
    assert all(len(repr(rate)) > 12 for rate in rates)
    assert "search" not in first["config"]
    shown = {f"{rate:.3g}" for rate in rates}
    assert all(f" {rate} " in ended.stdout for rate in shown)


@pytest.mark.slow
def test_the_same_seed_draws_the_same_trials_and_another_one_others(command: Command):
    def plan(*words: str) -> str:
        searched = (LOG_RATE, "model.activation=relu,tanh")
        return command(*RANDOM, *SHORT, *searched, *words, "--dry-run").stdout

    assert plan() == plan()
    assert plan() != plan("search.seed=1")
    assert plan() != plan("search=sobol")


@pytest.mark.parametrize("interval", ["interval(0,0.5)", "interval(0.0,0.5)", "interval(0,1)"])
def test_an_interval_from_0_is_of_numbers_between(interval: str, command: Command):
    words = (*RANDOM, *SHORT, f"model.dropout={interval}", "search.n_trials=3")
    ended = command(*words, "--dry-run")
    (drawn,) = re.findall(r"model\.dropout +3 values: (.*)", ended.stdout)
    assert all(0 < float(value) < 1 for value in drawn.split(", "))


SEARCH = ("-m", "experiment=iris", "search=halving", "search.n_trials=9", LOG_RATE)
SEARCH += ("training.epochs=18", "seed=range(0,2)", *BARE)


def test_dry_run_says_how_many_trials_come_how_far(command: Command):
    ended = command(*SEARCH, "search.n_trials=81", "training.epochs=54", "seed=0", "--dry-run")
    line = "81 trials: 81 to epoch 6, 27 to 18, 9 to 54: 1,134 epochs instead of 4,374"
    assert line in ended.stdout.splitlines()
    ended = command(*SEARCH, "--dry-run")
    line = "9 trials of 2 runs: 9 to epoch 2, 3 to 6, 1 to 18: 84 epochs instead of 324"
    assert line in ended.stdout.splitlines()
    ended = command(*SEARCH, "training.epochs=18,27", "--dry-run")
    assert "9 trials: 9 to 1/9 of their budget, 3 to 1/3, 1 to the end; budgets" in ended.stdout


def test_dry_run_of_optuna_says_whether_more_trials_will_be_proposed(command: Command):
    more = "the first of 12 trials; their results propose the others"
    assert more in command(*OPTUNA, "--dry-run").stdout.splitlines()
    ended = command(*OPTUNA, "search.batch=12", "--dry-run")
    assert (ended.returncode, "the first of" in ended.stdout) == (0, False), ended.stderr


OPTUNA = ("-m", "experiment=iris", "search=optuna", "search.n_trials=12", "search.batch=5")
OPTUNA += (LOG_RATE, "optimizer=adam,sgd", "training.epochs=2", *BARE)


class Searched(NamedTuple):
    """A search that nobody interrupted: its command, its run and those of its jobs."""

    command: Command
    parent: Recorded
    jobs: list[Recorded]


@pytest.fixture(scope="module")
def searched(shared: Command) -> dict[str, Searched]:
    found = {}
    for name, words in (("halving", SEARCH), ("optuna", OPTUNA)):
        parent, runs = sweep(shared, *words, "sweep.n_workers=1")
        found[name] = Searched(shared, parent, runs)
    return found


def bits(runs: list[Recorded]) -> list[tuple[str, object]]:
    return sorted((run.key, run.bits) for run in runs)


def test_the_page_of_a_search_says_how_many_were_pruned_at_which_rung(
    searched: dict[str, Searched],
):
    command, parent, _ = searched["halving"]
    assert command("report", parent.run_id, "--out", "page.html").returncode == 0
    page = (command.folder / "page.html").read_text("utf-8")
    assert "18 of 18 runs finished" in page
    assert "<p>16 runs pruned: 12 at epoch 2, 4 at epoch 6</p>" in page


def test_search_killed_in_each_rung_goes_on_to_the_bits_of_one_that_was_not(
    sweeper: Command, searched: dict[str, Searched]
):
    decided = "runner.jobs.search.Halving.decide"
    for rung in (1, 2):  # those before it are decided again
        prepared = at_call(decided, rung, signal.SIGKILL)
        killed = end(start(sweeper, *SEARCH, "sweep.n_workers=2", before=prepared))
        assert killed.returncode == -signal.SIGKILL
    ended = sweeper(*SEARCH, "sweep.n_workers=2")
    assert ended.returncode == 0, ended.stderr
    assert "16 runs pruned: 12 at epoch 2, 4 at epoch 6" in ended.stdout
    assert "2 runs of 1 configuration by val/loss" in ended.stdout
    interrupted = jobs(sweeper, "FINISHED")
    assert len(interrupted) == 18
    pruned = [run for run in interrupted if run.tags.get("runner.pruned") == "true"]
    assert sorted({run.tags["runner.pruned_at_step"] for run in pruned}) == ["12", "36"]
    for run in interrupted:
        is_measured = any(name.startswith("test/") for name, _ in run.metrics)
        assert is_measured == (run not in pruned)
    assert bits(interrupted) == bits(searched["halving"].jobs)
    # Groups of pruned runs have no means, and what is complete is left alone.
    assert count(sweeper, "FINISHED", "group") == 9
    again = sweeper(*SEARCH, "sweep.n_workers=2")
    assert "is complete: 18 jobs" in again.stderr
    assert "16 runs pruned: 12 at epoch 2, 4 at epoch 6" in sweeper("show").stdout
    ended = sweeper("rerun", pruned[0].run_id, "--check")
    assert (verdict(ended), ended.returncode) == ("IDENTICAL", 0)
    ended = sweeper("rerun", of_kind("sweep", recorded(sweeper))[0].run_id, "--check")
    assert ended.returncode == 0, ended.stdout
    assert "18 of 18 identical, all 2 rungs identical, the same trials chosen" in ended.stdout


def test_killed_optuna_search_goes_on_with_the_same_proposals_and_is_repeated(
    sweeper: Command, searched: dict[str, Searched]
):
    for batch in (1, 2):
        prepared = at_call("runner.jobs.search.Proposals.tell", batch, signal.SIGKILL)
        killed = end(start(sweeper, *OPTUNA, "sweep.n_workers=2", before=prepared))
        assert killed.returncode == -signal.SIGKILL
    assert "2 of 12 jobs have no result yet" in sweeper("show").stdout
    assert " interrupted " in sweeper("sweeps").stdout
    (parent,) = of_kind("sweep", recorded(sweeper))
    ended = sweeper("rerun", parent.run_id, "--check")
    assert "10 of 10 identical, the same trials chosen" in ended.stdout
    ended = sweeper(*OPTUNA)
    assert ended.returncode == 0, ended.stderr
    assert "12 runs by val/loss" in ended.stdout
    interrupted = jobs(sweeper, "FINISHED")
    assert len(interrupted) == 12
    assert bits(interrupted) == bits(searched["optuna"].jobs)
    # More of them go on from there.
    assert sweeper(*OPTUNA, "search.n_trials=15").returncode == 0
    assert len(jobs(sweeper, "FINISHED")) == 15
    (parent,) = of_kind("sweep", recorded(sweeper))
    ended = sweeper("rerun", parent.run_id, "--check")
    assert ended.returncode == 0, ended.stdout
    assert "15 of 15 identical, the same trials chosen" in ended.stdout


def test_dry_run_of_an_optuna_search_counts_all_that_is_recorded(searched: dict[str, Searched]):
    command = searched["optuna"].command
    assert "12 done, 0 to run" in command(*OPTUNA, "--dry-run").stdout.splitlines()
    more = command(*OPTUNA, "search.n_trials=14", "--dry-run").stdout.splitlines()
    assert "12 done, 2 to run" in more


def test_points_that_optuna_proposes_again_are_said(sweeper: Command):
    few = "optimizer.learning_rate=0.1,0.2"
    words = ("-m", "experiment=iris", "search=optuna", "search.batch=1", "search.n_trials=2")
    words += ("training.epochs=2", "search.seed=3", "sweep.n_workers=1", *BARE)
    ended = sweeper(*words, few)
    assert "1 run by val/loss" in ended.stdout, ended.stdout
    assert "1 point is proposed again, and run once." in ended.stdout
    assert " complete " in sweeper("sweeps").stdout


def test_optuna_search_of_less_than_a_batch_goes_on_when_more_trials_are_asked_for(
    sweeper: Command, searched: dict[str, Searched], monkeypatch: pytest.MonkeyPatch
):
    stored: list[int] = []
    write = SweepFolder.write_plan

    def written(folder: SweepFolder, plan: Plan) -> Path:
        stored.append(len(plan.jobs))
        return write(folder, plan)

    monkeypatch.setattr(SweepFolder, "write_plan", written)
    for n_trials in (3, 12):
        ended = sweeper(*OPTUNA, f"search.n_trials={n_trials}", "sweep.n_workers=1")
        assert ended.returncode == 0, ended.stderr
    assert bits(of_kind("run", recorded(sweeper))) == bits(searched["optuna"].jobs)
    assert len(of_kind("sweep", recorded(sweeper))) == 1
    # Once at the start of each command, and with each batch that has something to be run.
    assert stored == [3, 5, 10, 12]
    # One that is complete is asked for again.
    assert sweeper(*OPTUNA, "sweep.n_workers=1").returncode == 0
    assert stored[4:] == [5, 12]
    (parent,) = of_kind("sweep", recorded(sweeper))
    plan = artifacts(sweeper, parent) / "plan" / "plan.jsonl"
    assert len(list(read_lines(plan.read_text("utf-8")))) == 12
    for words in (("training.epochs=3",), (f"{RATE}=tag(log, interval(1e-3, 2e-1))",)):
        assert sweeper(*OPTUNA, *words, "search.n_trials=1").returncode == 0
    assert len(of_kind("sweep", recorded(sweeper))) == 3


@pytest.mark.parametrize(
    ("name", "changed", "says"),
    [
        ("halving", ("reduction", 2), " of 3 rungs identical, the same trials chosen"),
        ("halving", ("seed", 1), "18 of 18 identical, all 2 rungs identical, OTHER trials chosen"),
        ("optuna", ("seed", 1), "12 of 12 identical, OTHER trials chosen"),
    ],
)
def test_a_rerun_that_decides_otherwise_ends_with_5(
    name: str, changed: tuple[str, int], says: str, searched: dict[str, Searched], tmp_path: Path
):
    """As if the search had been another: what it is repeated by is a file that anyone may edit."""
    parent = searched[name].parent
    command = moved(searched[name].command, tmp_path)
    file = artifacts(command, parent) / "plan" / "search.json"
    record = json.loads(file.read_text("utf-8"))
    record["search"][changed[0]] = changed[1]
    file.write_text(json.dumps(record), "utf-8")
    ended = command("rerun", parent.run_id, "--check")
    assert says in ended.stdout
    assert ended.returncode == 5
