"""Runs that start from another run's weights, and ensembles, as commands see them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from runner.system.formatting import number
from tests.runner.cli.rerunning import artifacts, execute, export, moved, record, sweep, verdict
from tests.runner.cli.sweeping import Recorded
from tests.runner.conftest import Command

# Two hidden layers, each with what is kept with the weights and not optimized.
IRIS = [
    *("experiment=iris", "training.epochs=4", "model=mlp", "model.hidden_layer_sizes=[8,8]"),
    *("model.normalization=batch", "model.dropout=0.1", "tracking.figures=false"),
]
# Steps so small that no weight moves by its last bit.
STILL = ["optimizer=sgd", "optimizer.learning_rate=1e-300"]


@pytest.fixture(scope="module")
def origin(shared: Command) -> Recorded:
    return record(shared, *IRIS)


def weights(command: Command, run: Recorded) -> dict[str, np.ndarray]:
    with np.load(artifacts(command, run) / "weights.npz") as arrays:
        return dict(arrays)


def parameters(command: Command, run: Recorded) -> dict[str, bytes]:
    return {n: a.tobytes() for n, a in weights(command, run).items()
            if n.endswith(("weight", "bias"))}  # fmt: skip


def test_a_run_starts_from_the_weights_of_another_and_is_repeated(
    shared: Command, origin: Recorded, tmp_path: Path
):
    still = record(shared, *IRIS, *STILL, f"training.init_from={origin.run_id}")
    assert still.status == "FINISHED"
    assert parameters(shared, still) == parameters(shared, origin)
    config = json.loads((artifacts(shared, still) / "config.json").read_text("utf-8"))
    assert config["training"]["init_sha256"] == origin.tags["runner.weights_sha256"]
    on = record(shared, *IRIS, f"training.init_from={origin.run_id}")
    assert on.key not in {origin.key, still.key}
    assert parameters(shared, on) != parameters(shared, origin)
    assert verdict(shared("rerun", on.run_id, "--check")) == "IDENTICAL"
    # A folder with the same weights makes the same run, and each run of a stack has its own.
    folder = export(shared, origin, tmp_path / "origin")
    _, jobs = sweep(shared, *IRIS, f"training.init_from=null,{folder}", "seed=0,1")
    assert {on.key, origin.key} < {job.key for job in jobs}
    assert next(job for job in jobs if job.key == on.key).bits == on.bits
    # Without its origin a run is not repeated, and what is missing is said.
    elsewhere = moved(shared, tmp_path / "moved")
    execute(elsewhere, "DELETE FROM runs WHERE run_uuid = ?", origin.run_id)
    ended = elsewhere("rerun", on.run_id, "--check")
    assert ended.returncode == 2
    assert "training.init_from: must be a run that left its weights" in ended.stderr
    assert origin.run_id in ended.stderr


def test_rows_that_the_first_run_may_have_seen_are_warned_of(shared: Command, origin: Recorded):
    going_on = [*IRIS, f"training.init_from={origin.run_id}"]
    warning = "Warning: the run that training.init_from names was trained on another split"
    for split, is_warned in (("split.seed=0", False), ("split.seed=7", True)):
        ended = shared(*going_on, split)
        assert ended.returncode == 0
        assert (warning in ended.stdout + ended.stderr) is is_warned, split


def test_other_classes_get_a_new_last_layer(shared: Command, tmp_path: Path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=60), "b": rng.normal(size=60)})
    own = ["experiment=own", "training.epochs=3", "model.hidden_layer_sizes=[5]"]
    own += ["optimizer.weight_decay=0"]
    runs = []
    for name, classes in (("two", ["no", "yes"]), ("three", ["x", "y", "z"])):
        labels = [classes[n % len(classes)] for n in range(60)]
        table.assign(label=labels).to_csv(tmp_path / f"{name}.csv", index=False)
        data = [f"data.path={tmp_path}/{name}.csv", "data.target=label"]
        start = [f"training.init_from={run.run_id}" for run in runs]
        runs.append(record(shared, *own, *data, *start, *(STILL if start else [])))
    two, three = (weights(shared, run) for run in runs)
    last = max(name.split(".")[1] for name in two)
    for name in two:
        if name.split(".")[1] == last:
            assert three[name].shape[-1] == 3
        else:
            assert three[name].tobytes() == two[name].tobytes()


def test_new_rows_are_encoded_and_scaled_as_those_of_the_first_run(shared: Command, tmp_path: Path):
    rng = np.random.default_rng(0)

    def write(name: str, colours: list[str], shift: float, *, misses: bool) -> Path:
        a = rng.normal(shift, 1, 60)
        table = pd.DataFrame({"a": a, "colour": rng.choice(colours, 60)})
        table["y"] = 100 + 3 * a + (table["colour"] == "red")
        if misses:
            table.loc[:3, "a"] = np.nan
        table.to_csv(shared.folder / name, index=False)
        return shared.folder / name

    first = write("first.csv", ["blue", "red", "green"], 0, misses=True)
    # A new word, which sorts first, one that is gone, no missing cell, and another range.
    second = write("second.csv", ["amber", "red", "blue"], 5, misses=False)
    own = ["experiment=own", "training.epochs=3", "data.target=y", "model.hidden_layer_sizes=[5]"]
    origin = record(shared, *own, f"data.path={first}")
    on = [*own, f"data.path={second}", f"training.init_from={origin.run_id}"]
    still = record(shared, *on, *STILL)
    assert still.status == "FINISHED"
    # The same network says the same of the same rows, of words of neither too.
    rows = pd.DataFrame({"a": [0.1, 5.0, None], "colour": ["red", "blue", "green"]})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    said = [shared("predict", run.run_id, str(tmp_path / "rows.csv")) for run in (origin, still)]
    assert said[0].stdout == said[1].stdout != ""
    # A rerun, a part of its own rows and a sweep see its data as the run did.
    went = record(shared, *on)
    assert verdict(shared("rerun", went.run_id, "--check")) == "IDENTICAL"
    test = shared("predict", went.run_id, "--part", "test")
    (rmse,) = [value for (name, _), value in went.metrics.items() if name == "test/rmse"]
    assert f"rmse {number('rmse', rmse)}" in test.stderr
    _, jobs = sweep(shared, *on, "seed=0,1", "sweep.metric=val/rmse", "sweep.name=on")
    assert next(job for job in jobs if job.key == went.key).bits == went.bits
    mean = shared("ensemble", "on", "--top", "2")
    assert mean.returncode == 0, mean.stderr


def test_dropout_and_activation_may_be_others(shared: Command, origin: Recorded):
    others = ["model.dropout=0", "model.activation=tanh"]
    plain = record(shared, *IRIS, *STILL, *others, f"training.init_from={origin.run_id}")
    before, after = (weights(shared, run) for run in (origin, plain))
    assert [a.tobytes() for a in before.values() if a.ndim > 1] == [
        a.tobytes() for a in after.values() if a.ndim > 1
    ]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (["training.init_from=abc"], "must be a run that left its weights"),
        (["model.hidden_layer_sizes=[8]"], "must be a run whose network has the same layers"),
        (["model.residual=true"], "must be a run whose network has the same layers"),
        (["experiment=wine"], "must be a run on the same columns, got "),
        (["data.scaling=minmax"], "must be a run with data.scaling=minmax, got 'standardize'. "),
        (["training.init_sha256=00"], "must be the run whose weights have the digest 00, got "),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(
    settings: list[str], problem: str, shared: Command, origin: Recorded
):
    start = [] if "init_from" in settings[0] else [f"training.init_from={origin.run_id}"]
    arguments = [s.replace("training.init_sha256", "+training.init_sha256") for s in settings]
    ended = shared(*IRIS, *start, *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"training.init_from: {problem}")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("share", ["none", "tabm"])
def test_an_ensemble_is_trained_predicted_and_repeated_as_one_run(
    share: str, shared: Command, tmp_path: Path
):
    run = record(shared, *IRIS, "model.n_members=3", f"model.share={share}")
    rows = pd.DataFrame(np.random.default_rng(0).normal(4, 2, (20, 4)))
    names = [n for n in pd.read_csv(_iris(tmp_path)).columns if n != "class"]
    rows.set_axis(names, axis=1).to_csv(tmp_path / "rows.csv", index=False)
    printed = shared("predict", run.run_id, str(tmp_path / "rows.csv"))
    assert printed.returncode == 0, printed.stderr
    assert len(printed.stdout.splitlines()) == 21
    assert verdict(shared("rerun", run.run_id, "--check")) == "IDENTICAL"
    sizes = {a.shape[0] for n, a in weights(shared, run).items() if share == "none"}
    assert sizes <= {3}


def _iris(folder: Path) -> Path:
    from sklearn.datasets import load_iris

    path = folder / "iris.csv"
    load_iris(as_frame=True).frame.rename(columns={"target": "class"}).to_csv(path, index=False)
    return path
