"""Ensembles: the average of a sweep's best runs, as a run that does what any other does."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.runner.cli.rerunning import sweep
from tests.runner.cli.sweeping import Recorded, recorded
from tests.runner.conftest import Command

# 45 rows validate: too few for a greedy choice. The last rate has a hidden layer of another size.
JOBS = (
    "experiment=iris",
    "split.train=0.4",
    "split.val=0.3",
    "split.test=0.3",
    "training.epochs=5",
)


@pytest.fixture(scope="module")
def parent(shared: Command) -> tuple[Recorded, list[Recorded]]:
    rates = (
        "optimizer.learning_rate=0.1,0.03,0.01",
        "model.hidden_layer_sizes=[8],[4]",
        "seed=0,1",
    )
    return sweep(shared, *JOBS, *rates, "sweep.name=rates")


@pytest.fixture(scope="module")
def ensemble(shared: Command, parent: tuple[Recorded, list[Recorded]]) -> Recorded:
    ended = shared("ensemble", "rates", "--top", "3")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("3 members of 12 runs, the best by val/loss; val is measured on")
    assert re.search(
        r"test/loss .* of the best single run .*: (better|worse|not distingu).* on these test",
        ended.stdout,
    )
    (run,) = [run for run in recorded(shared) if run.kind == "ensemble"]
    assert f"run {run.run_id}\n" in ended.stdout
    return run


def test_the_members_are_the_best_of_one_shape(
    parent: tuple[Recorded, list[Recorded]], ensemble: Recorded
) -> None:
    jobs = sorted(
        parent[1],
        key=lambda job: max((s, v) for (n, s), v in job.metrics.items() if n == "val/loss")[1],
    )
    shape = "[8]" if "[8]" in jobs[0].name else "[4]"
    expected = [job.run_id for job in jobs if shape in job.name][:3]
    assert json.loads(ensemble.tags["runner.members"]) == expected
    assert ensemble.tags["mlflow.parentRunId"] == parent[0].run_id
    assert "rows that chose" in ensemble.tags["mlflow.note.content"]


def test_it_says_the_average_of_what_its_members_say(
    shared: Command, ensemble: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(run_id: str) -> pd.DataFrame:
        ended = shared("predict", run_id, "--part", "test", "--out", "said.csv")
        assert ended.returncode == 0, ended.stderr
        return pd.read_csv(shared.folder / "said.csv").iloc[:, -3:]

    members = [said(run_id) for run_id in json.loads(ensemble.tags["runner.members"])]
    together = said(ensemble.run_id)
    # A logarithm and back.
    np.testing.assert_allclose(together, np.mean(members, axis=0), rtol=1e-12)
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared.environment["MLFLOW_TRACKING_URI"])
    model = mlflow.pyfunc.load_model(f"runs:/{ensemble.run_id}/iris")
    from sklearn.datasets import load_iris

    X = pd.DataFrame(load_iris().data, columns=model.metadata.get_input_schema().input_names())
    rows = pd.read_csv(shared.folder / "said.csv")["row"]
    np.testing.assert_array_equal(model.predict(X.iloc[rows]), together)


def test_it_is_shown_and_compared_by_its_own_metrics(shared: Command, ensemble: Recorded) -> None:
    loss = f"{max((s, v) for (n, s), v in ensemble.metrics.items() if n == 'test/loss')[1]:.4g}"
    ended = shared("show", ensemble.run_id)
    assert (ended.returncode, loss in ended.stdout) == (0, True), ended.stderr + ended.stdout
    member = json.loads(ensemble.tags["runner.members"])[0]
    ended = shared("compare", ensemble.run_id, member)
    assert ended.returncode == 0, ended.stderr
    assert re.search(rf"test/loss +{re.escape(loss)}", ended.stdout), ended.stdout


def test_a_rerun_repeats_every_member(shared: Command, ensemble: Recorded, tmp_path: Path) -> None:
    ended = shared("rerun", ensemble.run_id, "--check")
    assert (ended.returncode, "3 of 3 identical" in ended.stdout) == (0, True), ended.stdout
    assert shared("export", ensemble.run_id, str(tmp_path / "out")).returncode == 0
    ended = shared("rerun", str(tmp_path / "out"))
    assert (ended.returncode, "3 of 3 identical" in ended.stdout) == (0, True), ended.stderr
    # Weights that are no member's are found, though they fit their own digests.
    one, other, *_ = sorted((tmp_path / "out" / "members").iterdir())
    facts = json.loads((one / "run.json").read_text("utf-8"))
    facts["tags"]["runner.weights_sha256"] = json.loads((other / "run.json").read_text("utf-8"))[
        "tags"
    ]["runner.weights_sha256"]
    (one / "run.json").write_text(json.dumps(facts), "utf-8")
    ended = shared("rerun", str(tmp_path / "out"))
    assert ended.returncode == 2
    assert "weights: are not those of its members" in ended.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rates", "--greedy"], "--greedy: must have at least 100 validation rows, got 45"),
        (["rates", "--greedy", "--top", "3"], "not allowed with"),
        (["none"], "RUN: must be a run or a sweep of the store"),
        (["rates", "--top", "1"], "--top: must be 2 or above, since one run makes no ensemble"),
        (["rates", "--top", "0"], "must be a whole number, 1 or above, got '0'"),
    ],
)
@pytest.mark.usefixtures("parent")
def test_what_makes_no_ensemble_is_said_in_a_line(
    shared: Command, words: list[str], says: str
) -> None:
    ended = shared("ensemble", *words)
    assert ended.returncode == 2
    assert says in ended.stderr


def test_runs_of_several_splits_make_none(sweeper: Command) -> None:
    sweep(sweeper, *JOBS, "split.seed=0,1")
    (parent,) = [run for run in recorded(sweeper) if run.kind == "sweep"]
    ended = sweeper("ensemble", parent.run_id)
    assert ended.returncode == 2
    assert ended.stderr.startswith("SWEEP: must have finished runs on one split")


def test_a_greedy_choice_is_recorded_with_members_that_come_again(sweeper: Command) -> None:
    values = ("training.epochs=2", "seed=0,1", "model.dropout=0.0,0.2")
    sweep(sweeper, "experiment=digits", *values, "sweep.name=few")
    ended = sweeper("ensemble", "few", "--greedy")
    assert ended.returncode == 0, ended.stderr
    (run,) = [run for run in recorded(sweeper) if run.kind == "ensemble"]
    members = json.loads(run.tags["runner.members"])
    jobs = {job.run_id for job in recorded(sweeper) if job.is_job}
    assert set(members) <= jobs
    assert 1 < len(set(members)) < len(members)
    assert "4 runs, chosen greedily by val/loss;" in ended.stdout.splitlines()[0]


def test_a_greedy_choice_of_one_run_alone_records_nothing(sweeper: Command) -> None:
    # Beside a run that was trained, one that was not makes every average worse.
    split = ("split.train=40", "split.val=100", "split.test=10")
    values = ("training.epochs=20", "optimizer.learning_rate=1e-9,0.1")
    _, runs = sweep(sweeper, *JOBS[:1], *split, *values, "sweep.name=two")
    ended = sweeper("ensemble", "two", "--greedy")
    assert (ended.returncode, ended.stdout) == (2, "")
    best = next(run.run_id for run in runs if "0.1" in run.name)
    assert ended.stderr.startswith(f"--greedy: no average is better than one run alone, {best}")
    assert len(recorded(sweeper)) == 3


def test_pruned_runs_are_left_out_and_counted(sweeper: Command) -> None:
    search = ("search=halving", "search.n_trials=4", "search.reduction=2", "search.min_share=0.2")
    rates = "optimizer.learning_rate=0.1,0.2,0.3,0.4"
    sweep(sweeper, *JOBS, *search, rates, "seed=0,1", "sweep.name=halved")
    ended = sweeper("ensemble", "halved")
    assert ended.returncode == 0, ended.stderr
    first, second, *_ = ended.stdout.splitlines()
    assert first.startswith("2 members of 2 runs, the best by val/loss")
    assert second == "6 runs pruned: left out"


def test_members_may_differ_in_what_does_nothing_when_predicting(sweeper: Command) -> None:
    searched = ("model.dropout=0,0.2,0.4", "model.normalization=batch", "sweep.name=rates")
    sweep(sweeper, *JOBS, *searched, "model.hidden_layer_sizes=[8]")
    ended = sweeper("ensemble", "rates")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("3 members of 3 runs, ")
    assert "left out" not in ended.stdout
    (run,) = [run for run in recorded(sweeper) if run.kind == "ensemble"]
    ended = sweeper("rerun", run.run_id, "--check")
    assert (ended.returncode, "3 of 3 identical" in ended.stdout) == (0, True), ended.stdout


def test_members_that_share_weights_are_each_a_network_of_its_own_in_it(sweeper: Command) -> None:
    shared_weights = ("model.n_members=3", "model.share=tabm", "model.number_embedding=periodic")
    sweep(sweeper, *JOBS, *shared_weights, "model.dropout=0,0.2", "sweep.name=shared")
    ended = sweeper("ensemble", "shared")
    assert ended.returncode == 0, ended.stderr
    (run,) = [run for run in recorded(sweeper) if run.kind == "ensemble"]

    def predicted(run_id: str) -> pd.DataFrame:
        sweeper("predict", run_id, "--part", "test", "--out", "said.csv")
        return pd.read_csv(sweeper.folder / "said.csv").iloc[:, -3:]

    members = [predicted(run_id) for run_id in json.loads(run.tags["runner.members"])]
    # A logarithm and back, and scales that were multiplied in.
    np.testing.assert_allclose(predicted(run.run_id), np.mean(members, axis=0), rtol=1e-11)
    ended = sweeper("rerun", run.run_id, "--check")
    assert (ended.returncode, "2 of 2 identical" in ended.stdout) == (0, True), ended.stdout


def test_members_that_share_weights_and_add_no_input_where_networks_do_are_refused(
    sweeper: Command,
) -> None:
    blocks = ("model.n_members=3", "model.share=tabm", "model.residual=true", "seed=0,1")
    sweep(sweeper, *JOBS, *blocks, "model.hidden_layer_sizes=[4,4]", "sweep.name=blocks")
    ended = sweeper("ensemble", "blocks")
    assert ended.returncode == 2
    assert "with another first size in model.hidden_layer_sizes" in ended.stderr
    sweep(sweeper, *JOBS, *blocks, "model.hidden_layer_sizes=[8,8]", "sweep.name=wider")
    ended = sweeper("ensemble", "wider")
    assert ended.returncode == 0, ended.stderr


def test_one_run_alone_makes_none(sweeper: Command) -> None:
    sweep(sweeper, *JOBS, "model.hidden_layer_sizes=[8],[4]", "sweep.name=sizes")
    ended = sweeper("ensemble", "sizes")
    assert ended.returncode == 2
    assert ended.stderr.startswith("SWEEP: must have two runs that are alike in layers and scal")
