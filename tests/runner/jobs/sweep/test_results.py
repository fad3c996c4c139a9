"""What a sweep leaves on its parent run: tables, the best configuration, its model, figures."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from mlflow.entities import Run
from pyarrow import parquet

from runner.config.schema import Experiment
from runner.jobs.events import Event, Notice
from runner.jobs.plan import Plan
from runner.jobs.sweep import results
from runner.jobs.sweep.candidates import candidates_of
from runner.jobs.sweep.results import of_each_rung, store_results
from runner.tracking import RunWriter, Store, open_store
from runner.training.outcome import Outcome
from runner.training.prepare import prepare, require_fit
from softnet import Network
from tests.runner.jobs.planned import outcomes, plan, weights_of, work

# The last one diverges at once; the first learns next to nothing.
RATES = (0.001, 0.5, 1e200)
SPLIT = {"name": "shuffled", "train": 10, "val": 5, "test": 5}


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(f"sqlite:///{store}", None, "test")


def trained(store: Store, made: Plan) -> tuple[RunWriter, dict[int, Outcome]]:
    parent = store.start_run("sweep", {}, {"runner.kind": "sweep"})
    everyone = tuple(range(len(made.jobs)))
    return parent, outcomes(work(store, made, everyone, sweep_id=parent.run_id))


def left_by(store: Store, parent: RunWriter, folder: Path) -> tuple[Run, Path]:
    """Return the parent as it is stored, and the folder that its artifacts are copied to."""
    parent.finish()
    store.client.download_artifacts(parent.run_id, "", str(folder))
    return store.client.get_run(parent.run_id), folder


def test_a_sweep_leaves_all_that_sums_it_up(
    opened: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    made = plan(*({"optimizer__learning_rate": r, "seed": s} for r in RATES for s in (1, 2)))
    parent, found = trained(opened, made)
    store_results(parent, opened, made, found, [].append)
    run, folder = left_by(opened, parent, tmp_path)

    counts = {name: run.data.tags[f"runner.{name}"] for name in ("n_finished", "n_failed")}
    assert counts == {"n_finished": "4", "n_failed": "2"}
    assert not [name for name in run.data.metrics if "/" not in name]  # would open every chart
    candidates = [found[p] for p in (2, 3)]
    best = min(candidates, key=lambda one: one.metrics["val/loss"])
    assert run.data.tags["runner.best_run"] == best.run_id
    assert run.data.tags["runner.best"] == best.name
    assert run.data.metrics["val/loss"] == best.metrics["val/loss"]

    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == [found[p].run_id for p in range(6)]
    assert [row["status"] for row in rows] == ["FINISHED"] * 4 + ["FAILED"] * 2
    assert [row["seed"] for row in rows] == ["1", "2"] * 3
    assert float(rows[2]["val/loss"]) == found[2].metrics["val/loss"]
    table = parquet.read_table(folder / "results.parquet").to_pylist()
    assert [row["run_id"] for row in table] == [row["run_id"] for row in rows]
    losses = [found[p].metrics["val/loss"] for p in range(4)]
    assert [row["val/loss"] for row in table[:4]] == losses
    assert table[5]["failure"] == found[5].failure
    assert table[0]["optimizer.learning_rate"] == 0.001  # a number, so that it sorts
    assert table[0]["seed"] == 1

    again = Experiment.from_dict(yaml.safe_load((folder / "best.yaml").read_text("utf-8")))
    assert again.optimizer.settings().learning_rate == 0.5
    assert f"seed={again.seed}" in best.name
    pictures = {path.name for path in (folder / "figures").iterdir()}
    assert pictures
    assert all((folder / "figures" / name).stat().st_size > 1000 for name in pictures)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", opened.address.uri)
    model = mlflow.pyfunc.load_model(f"runs:/{parent.run_id}/test", suppress_warnings=True)
    prepared = prepare(again)
    raw = dict(zip(prepared.dataset.feature_names, prepared.dataset.X.T, strict=True))
    own = Network.from_weights(
        weights_of(opened, best.run_id), require_fit(again, prepared).network
    ).predict(prepared.X)
    assert model.predict(raw).to_numpy().tobytes() == own[0].tobytes()


def test_the_runs_of_a_sweep_are_read_once(opened: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(*({"optimizer__learning_rate": rate} for rate in (0.001, 0.01, 0.5)))
    parent, found = trained(opened, made)
    read: list[int] = []

    def counted(store: Store, of: Plan, runs: dict[int, Outcome], sweep_id: str) -> object:
        read.append(len(runs))
        return candidates_of(store, of, runs, sweep_id)

    monkeypatch.setattr(results, "candidates_of", counted)
    assert store_results(parent, opened, made, found, [].append).expected is not None
    assert read == [3]


def test_where_nothing_finished_there_is_no_best(opened: Store, tmp_path: Path) -> None:
    made = plan(*({"optimizer__learning_rate": 1e200, "seed": seed} for seed in (1, 2)))
    parent, found = trained(opened, made)
    store_results(parent, opened, made, found, [].append)
    run, folder = left_by(opened, parent, tmp_path)
    assert run.data.metrics == {}
    assert run.data.tags["runner.n_failed"] == "2"
    assert "runner.best_run" not in run.data.tags
    assert {path.name for path in folder.glob("results.*")} == {"results.csv", "results.parquet"}
    assert not (folder / "best.yaml").exists()


@pytest.mark.parametrize("content", ["x,y\n" + "1,0\n2,1\n" * 10, "x,y\n1,0\noops,1\n", None])
def test_data_that_changed_by_the_end_cost_the_model_alone(
    content: str | None, opened: Store, tmp_path: Path
) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(20)))
    data = {"name": "file", "path": str(table), "target": "y"}
    made = plan({"data": data, "split": SPLIT, "seed": 1})
    parent, found = trained(opened, made)
    if content is None:
        table.unlink()
    else:
        table.write_text(content)
    store_results(parent, opened, made, found, [].append)
    run, folder = left_by(opened, parent, tmp_path / "left")
    assert run.data.tags["runner.best_run"] == found[0].run_id
    assert (folder / "results.csv").exists()
    assert run.outputs is None or not run.outputs.model_outputs


def test_weights_that_were_swapped_are_no_model_of_the_sweep(opened: Store, tmp_path: Path) -> None:
    events: list[Event] = []
    made = plan({"seed": 1})
    parent, found = trained(opened, made)
    run_id = found[0].run_id
    swapped = {name: array + 1 for name, array in weights_of(opened, run_id).items()}
    np.savez(tmp_path / "weights.npz", **swapped)
    opened.client.log_artifact(run_id, str(tmp_path / "weights.npz"))
    store_results(parent, opened, made, found, events.append)
    run, _ = left_by(opened, parent, tmp_path / "left")
    assert run.outputs is None or not run.outputs.model_outputs
    (note,) = events
    assert isinstance(note, Notice)
    assert note.text == (
        f"The sweep's run has no model of the best job: run {run_id}: weights: was edited since it "
        "was recorded."
    )


def test_a_best_job_of_an_earlier_version_gives_the_sweep_its_model(opened: Store) -> None:
    made = plan({"seed": 1})
    parent, found = trained(opened, made)
    for tag in ("runner.schema", "runner.record"):
        opened.client.delete_tag(found[0].run_id, tag)
    events: list[Event] = []
    store_results(parent, opened, made, found, events.append)
    assert events == []
    assert opened.client.get_run(parent.run_id).outputs.model_outputs


def test_the_data_of_an_earlier_job_are_read_from_allowed_folders_alone(
    opened: Store, tmp_path: Path
) -> None:
    events: list[Event] = []
    table = tmp_path / "rows.csv"
    table.write_text("x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(20)))
    data = {"name": "file", "path": str(table), "target": "y"}
    made = plan({"data": data, "split": SPLIT, "seed": 1}, {"seed": 1})
    parent, found = trained(opened, replace(made, jobs=made.jobs[:1]))
    store_results(parent, opened, replace(made, earlier=frozenset({0})), found, events.append)
    run, _ = left_by(opened, parent, tmp_path / "left")
    assert run.outputs is None or not run.outputs.model_outputs
    (note,) = events
    assert isinstance(note, Notice)
    assert "data.path: must lead into" in note.text


def test_settings_are_numbers_in_the_table_where_all_of_them_are(
    opened: Store, tmp_path: Path
) -> None:
    stopping = {"metric": "val/loss", "min_delta": 0.0}
    made = plan(*({"training__early_stopping": {**stopping, "patience": p}} for p in (5, 10**20)))
    texts = [{"a": a, "b": b, "c": c} for a, b, c in (("5", "1_0", "3"), (f"{10**20}", "2", "-4"))]
    parent, found = trained(opened, made)
    found = {p: replace(found[p], varied=texts[p]) for p in found}
    store_results(parent, opened, made, found, [].append)
    _, folder = left_by(opened, parent, tmp_path)
    table = parquet.read_table(folder / "results.parquet").to_pylist()
    rows = {row["c"]: (row["a"], row["b"]) for row in table}
    assert rows == {3: (5.0, "1_0"), -4: (1e20, "2")}


def test_numbers_that_are_not_finite_reach_the_tables(opened: Store, tmp_path: Path) -> None:
    made = plan({"seed": 1}, {"seed": 2})
    parent, found = trained(opened, made)
    odd = {**found[1].metrics, "val/loss": float("nan"), "train/loss": float("inf")}
    found[1] = replace(found[1], metrics=odd)
    store_results(parent, opened, made, found, [].append)
    run, folder = left_by(opened, parent, tmp_path)
    assert run.data.tags["runner.best_run"] == found[0].run_id
    last = parquet.read_table(folder / "results.parquet").to_pylist()[1]
    assert np.isnan(last["val/loss"])
    assert np.isposinf(last["train/loss"])


def test_the_figure_of_rungs_shows_runs_of_each_of_them() -> None:
    """The first rung alone stops more runs than can be told apart."""
    steps = [*[10] * 66, *[30] * 22, *[None] * 12]
    runs = [
        Outcome("", str(n), "PRUNED", {}, {}, None, 0, pruned_at_step=s)
        for n, s in enumerate(steps)
    ]
    shown = [run.pruned_at_step for run in of_each_rung(runs, 30)]
    assert [shown.count(step) for step in (10, 30, None)] == [10, 8, 6]
    assert of_each_rung(runs, 1000) == runs
