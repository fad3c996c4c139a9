"""A cross-validated sweep: one model, one prediction for each row, and a refit on all rows."""

import io
import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.runner.cli.instants import at_call
from tests.runner.cli.rerunning import artifacts, verdict
from tests.runner.cli.sweeping import BARE, Recorded, end, jobs, of_kind, recorded, start
from tests.runner.conftest import CHECKOUT, Command, Ended

PENGUINS = CHECKOUT / "conf" / "data" / "penguins.csv"
# Folds of a table with words, missing cells and scaling: each has a preprocessing of its own.
FOLDS = ("split=kfold", "split.n_folds=3", "split.fold=range(0,3)")
OWN = ("experiment=own", "data.path=mine.csv", "data.target=species", "training.epochs=4")
OWN += ("dtype=float64",)  # as doubles their mean has no other rounding
RATES = "optimizer.learning_rate=0.001,0.03"
STOPPING = "training.early_stopping={metric: val/loss, patience: 1, min_delta: 0.0}"
WORDS = ("-m", *OWN, *FOLDS, RATES, "seed=0,1", STOPPING, "tracking.figures=false")


@pytest.fixture(scope="module")
def swept(shared: Command) -> tuple[Command, Ended, Recorded]:
    """Two rates in three folds of two seeds, with a refit of the better one."""
    shutil.copyfile(PENGUINS, shared.folder / "mine.csv")
    assert shared(*WORDS, "sweep.name=cv").returncode == 0
    ended = shared(*WORDS, "sweep.name=cv", "search.refit=true")
    assert ended.returncode == 0, ended.stderr
    (parent,) = of_kind("sweep", recorded(shared))
    return shared, ended, parent


def members(command: Command, parent: Recorded) -> list[Recorded]:
    ids = parent.tags["runner.best_run"].split(",")
    runs = {run.run_id: run for run in jobs(command) if "runner.sweep" in run.tags}
    return [runs[run_id] for run_id in ids]


def group_of(command: Command, parent: Recorded) -> str:
    return members(command, parent)[0].parent


def said(command: Command, *words: str) -> pd.DataFrame:
    ended = command("predict", *words, "--out", "said.csv")
    assert ended.returncode == 0, ended.stderr
    return pd.read_csv(command.folder / "said.csv")


def test_the_model_of_the_best_is_the_average_of_its_folds(
    swept: tuple[Command, Ended, Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, _, parent = swept
    runs = members(command, parent)
    assert len(runs) == 6
    assert {run.name.split()[1] for run in runs} == {"learning_rate=0.03"}
    group = group_of(command, parent)
    each = [said(command, run.run_id, "mine.csv").iloc[:, 1:] for run in runs]
    together = said(command, group, "mine.csv").iloc[:, 1:]
    np.testing.assert_array_equal(together, np.mean(each, axis=0))


def test_every_row_is_predicted_by_the_runs_that_it_tests(
    swept: tuple[Command, Ended, Recorded],
) -> None:
    command, _, parent = swept
    table = pd.read_parquet(artifacts(command, parent) / "out_of_fold.parquet")
    assert sorted(table["row"]) == list(range(333))
    expected = pd.concat(
        said(command, run.run_id, "--part", "test") for run in members(command, parent)
    )
    means = expected.groupby("row")[list(table.columns[4:])].mean()
    pd.testing.assert_frame_equal(
        table.set_index("row")[list(means.columns)], means, check_exact=False, rtol=1e-12
    )
    by_command = said(command, group_of(command, parent), "--part", "test")
    pd.testing.assert_frame_equal(by_command, table, check_dtype=False)
    for run in members(command, parent)[::2]:  # of each fold one seed
        parts = [
            set(said(command, run.run_id, "--part", p)["row"]) for p in ("train", "val", "test")
        ]
        assert sum(map(len, parts)) == len(set.union(*parts)) == 333
    refused = command("predict", group_of(command, parent), "--part", "val")
    assert refused.returncode == 2
    assert "\n--part: must be test for the average of several splits, " in refused.stderr


def test_an_average_is_exported_repeated_and_predicted_with(
    swept: tuple[Command, Ended, Recorded], tmp_path: Path
) -> None:
    command, _, parent = swept
    group, folder = group_of(command, parent), str(tmp_path / "average")
    assert command("export", group, folder).returncode == 0
    ended = command("rerun", folder, "--data", "mine.csv")
    assert (ended.returncode, "6 of 6 identical" in ended.stdout) == (0, True), ended.stderr
    ended = command("rerun", group, "--check")
    assert (ended.returncode, "6 of 6 identical" in ended.stdout) == (0, True), ended.stderr
    shutil.copyfile(command.folder / "mine.csv", tmp_path / "mine.csv")
    pd.testing.assert_frame_equal(
        said(command, folder, "mine.csv"), said(command, group, "mine.csv")
    )


def test_clean_keeps_all_runs_of_an_average_and_says_so(
    swept: tuple[Command, Ended, Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    command, _, _ = swept
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    asked = command("clean", "cv", "--keep", "1")
    assert "cv: the model of its best configuration is the average of 6 runs" in asked.stderr
    assert "cv: the weights of 6 runs, " in asked.stderr


def test_a_refit_trains_on_all_rows_for_the_median_best_step(
    swept: tuple[Command, Ended, Recorded],
) -> None:
    command, ended, parent = swept
    (refit,) = [run for run in jobs(command) if "runner.refit_of" in run.tags]
    assert parent.tags["runner.refit"] == refit.run_id
    assert refit.parent == parent.run_id
    assert "There are no runs of their own yet" in command("runs").stdout
    config = json.loads((artifacts(command, refit) / "config.json").read_text("utf-8"))
    steps = [
        run.metrics[k]
        for run in members(command, parent)
        for k in run.metrics
        if k[0] == "best/step"
    ]
    assert config["training"]["steps"] == round(np.median(steps))
    assert config["training"]["early_stopping"] is None
    assert json.loads(refit.tags["runner.rows"]) == {"train": 333}
    assert not any(name.startswith(("val/", "test/")) for name, _ in refit.metrics)
    line = rf"refit  run {refit.run_id}  on all 333 rows for {config['training']['steps']} steps; "
    line += r"its estimate is that of the folds, test/loss [\d.]+ \[-?[\d.]+, [\d.]+\]"
    assert re.search(line, ended.stdout)
    assert re.search(line, command("show", "cv").stdout)
    assert "best  learning_rate=0.03, the average of its 6 runs" in ended.stdout
    assert "estimate is that of the folds" in refit.tags["mlflow.note.content"]
    again = command("rerun", refit.run_id, "--check")
    assert (verdict(again), again.returncode) == ("IDENTICAL", 0)
    again = command("rerun", "cv", "--check")
    assert "12 of 12 identical" in again.stdout
    assert f"is not repeated: runner rerun {refit.run_id}" in again.stderr


def test_a_sweep_with_a_refit_predicts_with_it_and_serves_it(
    swept: tuple[Command, Ended, Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    command, _, parent = swept
    refit = parent.tags["runner.refit"]
    by_refit = said(command, refit, "mine.csv")
    pd.testing.assert_frame_equal(said(command, "cv", "mine.csv"), by_refit)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", command.environment["MLFLOW_TRACKING_URI"])
    model = mlflow.pyfunc.load_model(f"runs:/{parent.run_id}/own")
    rows = pd.read_csv(PENGUINS).astype(dict.fromkeys(("flipper_length_mm", "body_mass_g"), float))
    served = model.predict(rows[model.metadata.get_input_schema().input_names()])
    np.testing.assert_array_equal(served, by_refit.iloc[:, 1:])


def test_the_model_of_folds_is_served_without_pickle_with_columns_of_all(
    sweeper: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    # In the first two folds of unmixed rows the column `rare` says nothing of what trains.
    rows = [f"{n % 7},{int(n == 0)},{'ab'[n * 5 % 7 > 2]}" for n in range(60)]
    (sweeper.folder / "mine.csv").write_text("\n".join(["x,rare,y", *rows]), "utf-8")
    own = ("experiment=own", "data.path=mine.csv", "data.target=y", "training.epochs=2")
    ended = sweeper("-m", *own, *FOLDS, "tracking.figures=false", "sweep.name=cv")
    assert ended.returncode == 0, ended.stderr
    (parent,) = of_kind("sweep", recorded(sweeper))
    left = [len(run.tags["runner.data_digest"]) for run in members(sweeper, parent)]
    assert len(left) == 3
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sweeper.environment["MLFLOW_TRACKING_URI"])
    model = mlflow.pyfunc.load_model(f"runs:/{parent.run_id}/own")
    assert model.metadata.get_input_schema().input_names() == ["x", "rare"]
    table = pd.read_csv(sweeper.folder / "mine.csv")
    np.testing.assert_array_equal(
        model.predict(table[["x", "rare"]].astype(float)),
        said(sweeper, "cv", "mine.csv").iloc[:, 1:],
    )
    assert not list(sweeper.store.rglob("*.pkl"))


def test_on_one_split_a_refit_trains_on_what_trained_and_validated(sweeper: Command) -> None:
    words = ("-m", "experiment=iris", "training.epochs=3", RATES, "seed=0,1", *BARE)
    killed = end(
        start(
            sweeper,
            *words,
            "search.refit=true",
            before=at_call("runner.jobs.sweep.refit._note", 1, signal.SIGKILL),
        )
    )
    assert killed.returncode == -signal.SIGKILL
    ended = sweeper(*words, "search.refit=true")
    assert ended.returncode == 0, ended.stderr
    (parent,) = of_kind("sweep", recorded(sweeper))
    # The run whose end was not told any more is the refit.
    (refit,) = [run for run in jobs(sweeper) if "runner.sweep" not in run.tags]
    assert refit.run_id == parent.tags["runner.refit"]
    assert json.loads(refit.tags["runner.rows"]) == {"train": 120, "test": 30}
    assert re.search(
        r"on the 120 rows that train and validate for 18 steps; test/loss [\d.]+ on the 30 test",
        ended.stdout,
    )
    test_rows = {
        run.run_id: said(sweeper, run.run_id, "--part", "test")["row"].tolist()
        for run in (refit, next(r for r in jobs(sweeper) if "runner.sweep" in r.tags))
    }
    first, second = test_rows.values()
    assert first == second
    again = sweeper(*words, "search.refit=true")
    assert "is complete: 4 jobs" in again.stderr
    assert refit.run_id in again.stdout
