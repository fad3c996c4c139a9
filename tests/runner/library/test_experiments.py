"""Experiments from Python, recorded as those of the command."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

import runner
from runner import Experiment, run, sweep
from runner.library.experiments import RunResult, SweepResult
from runner.system.errors import CommandError, ConfigError
from runner.training.outcome import Status
from tests.runner.conftest import run_here

SHORT = ("tracking.figures=false", "tracking.model=false", "training.epochs=2")
PLAIN = {
    "name": "flowers",
    "data": {"name": "iris", "scaling": "standardize"},
    "split": {"name": "stratified", "train": 0.6, "val": 0.2, "test": 0.2},
    "model": {"hidden_layer_sizes": [8]},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "schedule": {"name": "cosine"},
    "training": {"epochs": 2, "batch_size": 32},
    "tracking": {"figures": False, "model": False},
}


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'pandas', 'pydantic', 'hydra', 'sklearn', 'mlflow', 'softnet'}"
    code = f"import runner, sys; print({heavy} & set(sys.modules))"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "set()"
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        _ = runner.runs


def test_a_run_has_the_metrics_weights_and_predictions_of_the_command(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(PLAIN, quiet=True)
    assert capsys.readouterr() == ("", "")
    assert result.status == "FINISHED"
    assert result.history.index.tolist() == [3, 6]
    assert result.history["val/loss"].iloc[-1] == result.metrics["val/loss"]
    predictions = result.predictions.query("part == 'test'")
    right = (predictions["target"] == predictions["class"]).mean()
    assert right == result.metrics["test/accuracy"]
    raw = {"sepal length (cm)": [5.1], "sepal width (cm)": [3.5]}
    raw |= {"petal length (cm)": [1.4], "petal width (cm)": [0.2]}
    row = result.predict(raw).iloc[0]
    first = result.predictions.query("row == 0").iloc[0]
    # BLAS may sum the product of one row in another order than that of many.
    np.testing.assert_allclose(row["setosa"], first["setosa"], rtol=1e-12)
    checked = run_here(["rerun", result.run_id, "--check"], store.parent, dict(os.environ))
    assert "IDENTICAL" in checked.stdout


@pytest.mark.slow
def test_dicts_hydras_compose_and_words_are_the_same_sweep(store: Path) -> None:
    words = ["experiment=iris", *SHORT]
    first = sweep([*words, "optimizer.learning_rate=0.1,0.01", "seed=range(0,2)"], quiet=True)
    with initialize_config_dir(str(runner.config_folder()), version_base="1.3"):
        config = compose("config", words)
    over = {"optimizer.learning_rate": [0.1, 0.01], "seed": np.arange(2)}
    second = sweep(config, over, quiet=True)
    assert second.run_id == first.run_id
    assert set(second.table.index) == {one.run_id for one in first.runs}
    table = first.table
    assert table["seed"].tolist() == [0, 1, 0, 1]
    assert first.best.run_id == table["val/loss"].idxmin()
    third = sweep([one.experiment for one in first.runs], quiet=True)
    assert third.run_id == first.run_id
    for name, weight in third.best.weights.items():
        assert weight.tobytes() == first.best.weights[name].tobytes()


def test_the_best_is_of_the_configuration_that_is_best_on_average() -> None:
    iris = Experiment.from_dict(PLAIN)

    def outcome(rate: str, seed: str, loss: float, status: Status = "FINISHED") -> RunResult:
        varied, metrics = {"optimizer.learning_rate": rate, "seed": seed}, {"val/loss": loss}
        about: dict[str, Any] = {"experiment": iris, "data_digest": "", "failure": None}
        named = f"{rate} {seed}", f"{rate} {seed}", status, varied, metrics
        return RunResult(*named, duration_s=0.0, **about)

    lucky = outcome("0.1", "0", 0.1), outcome("0.1", "1", 0.9)
    better = outcome("0.2", "0", 0.3), outcome("0.2", "1", 0.2)
    assert SweepResult("s", "", "val/loss", (*lucky, *better)).best is better[1]
    with pytest.raises(CommandError, match=r"^s: no run of it has finished\.$"):
        _ = SweepResult("s", "", "val/loss", (outcome("9", "0", np.nan, "FAILED"),)).best


def test_a_named_table_is_not_called_the_example(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    penguins = runner.config_folder() / "data" / "penguins.csv"
    run(["experiment=own", f"data.path={penguins}", "data.target=species", *SHORT])
    assert "comes along" not in capsys.readouterr().err


def test_what_is_wrong_is_raised_in_words(store: Path) -> None:
    with pytest.raises(ConfigError, match=r"^data: must be given"):
        run({"name": "x"})
    with pytest.raises(CommandError, match=r'a list: \["experiment=iris", \.\.\.\]'):
        run({"experiment": "iris"})
    with pytest.raises(
        CommandError, match=r"^run: must be one experiment, got 2; sweep takes many"
    ):
        run(["experiment=iris", "--multirun", "seed=1,2"])
    with (
        initialize_config_dir(str(runner.config_folder()), version_base="1.3"),
        pytest.raises(ConfigError, match=r"^data\.path: must be given"),
    ):
        run(compose("config", ["data=file"]))
    with pytest.raises(ConfigError, match=r"^sweep\.metric: must be a metric"):
        sweep(Experiment.from_dict(PLAIN), {"sweep.metric": ["val/los"]})
    with pytest.raises(CommandError, match=r"^sweep: must be one experiment or more, got none"):
        sweep([])
    with pytest.raises(CommandError, match=r"got experiment=iris --cfg job\.$"):
        sweep(["experiment=iris", "--cfg", "job"])
    with pytest.raises(CommandError, match=r"^over: must have a list for seed: \['3'\], got '3'"):
        sweep(PLAIN, {"seed": "3"})
    with pytest.raises(CommandError, match=r"^over: must have a list for seed: \[3\], got 3\."):
        sweep(PLAIN, {"seed": 3})  # type: ignore[dict-item]  # what is refused
    for take in (run, sweep):
        with pytest.raises(CommandError, match=r"a list of words, got 'experiment=iris'\.$"):
            take("experiment=iris")
