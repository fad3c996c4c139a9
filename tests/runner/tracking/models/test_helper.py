"""The helper logs the model as this process would, and costs nothing but time where it fails."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runner.system.errors import RecordError
from runner.tracking import Store
from runner.tracking.models.helper import ModelHelper
from runner.training.data.builtin import load_bundled
from runner.training.data.splits import Split
from runner.training.prepare import Prepared, Trained
from runner.training.preprocessing import Preprocessing
from softnet import mlp
from tests.runner.processes import descendants, left_of
from tests.runner.tracking.conftest import Start, read_line

WEIGHTS = {"layers.0.weight": np.ones((4, 3)), "layers.0.bias": np.zeros(3)}


def model() -> Trained:
    return Trained(iris(), WEIGHTS, mlp([4, 3]))


def iris() -> Prepared:
    dataset, rows = load_bundled("iris"), np.arange(150)
    X = dataset.X.copy()
    X[:100] = np.floor(X[:100])  # that it is no column of whole numbers is seen late
    dataset = replace(dataset, X=X)
    split = Split(rows[::3], rows[1::3], rows[2::3])
    preprocessing = Preprocessing.fit(dataset, split.train, "standardize")
    return Prepared(dataset, split, preprocessing, preprocessing.transform(dataset.X))


def log(helper: ModelHelper, store: Store, run_id: str) -> bool:
    return helper.log_model(store.experiment_id, run_id, [model()])


def files(folder: Path) -> dict[str, int]:
    """The files of the only model below a folder, with their sizes; it names its run in one."""
    (marker,) = folder.rglob("MLmodel")
    found = {path.relative_to(marker.parent): path for path in marker.parent.rglob("*.*")}
    return {str(name): path.stat().st_size for name, path in found.items()}


@pytest.mark.slow
def test_its_model_is_the_one_that_is_logged_without_it(embedded: Store, tmp_path: Path) -> None:
    run, again = (embedded.start_run(name, {}, {}) for name in ("x", "y"))
    assert log(ModelHelper(embedded.address, "test", is_trusted=True), embedded, run.run_id)
    (output,) = embedded.client.get_run(run.run_id).outputs.model_outputs
    assert embedded.client.get_logged_model(output.model_id).status == "READY"
    by_helper = files(tmp_path / "artifacts")
    (tmp_path / "artifacts").rename(tmp_path / "first")
    embedded.log_model(again, model())
    assert files(tmp_path / "artifacts") == by_helper
    run.finish()
    again.finish()


def test_one_that_died_leaves_the_model_to_this_process(embedded: Store) -> None:
    helper = ModelHelper(embedded.address, "test", is_trusted=True)
    os.kill(helper._process.pid, signal.SIGKILL)
    assert not log(helper, embedded, "0" * 32)


@pytest.mark.slow
def test_it_refuses_what_this_process_would(embedded: Store) -> None:
    embedded.client.create_experiment("elsewhere", "s3://bucket/x")
    found = embedded.backend.experiment_named("elsewhere")
    assert found is not None
    run_id = embedded.client.create_run(found.experiment_id).info.run_id
    helper = ModelHelper(embedded.address, "elsewhere", is_trusted=False)
    with pytest.raises(RecordError, match="its artifacts must go below"):
        helper.log_model(found.experiment_id, run_id, [model()])


PREPARE = """
import sys
from runner.tracking import open_store
open_store(sys.argv[1], None, "test").prepare_model()
print("prepared", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("is_killed", [True, False])
def test_it_ends_with_the_process_that_started_it(
    is_killed: bool, database: Path, start: Start
) -> None:
    process = start(PREPARE, f"sqlite:///{database}")
    read_line(process)
    helpers = descendants(process.pid)
    assert len(helpers) == 1
    if is_killed:
        process.kill()
    process.communicate()
    assert left_of(helpers) == []


FAIL = """
import sys
import runner
words = ["optimizer.learning_rate=1e300", f"tracking.uri={sys.argv[1]}"]
print(runner.run(words, quiet=True).status, flush=True)
sys.stdin.read()
"""


def test_a_run_without_a_model_leaves_no_helper(database: Path, start: Start) -> None:
    process = start(FAIL, f"sqlite:///{database}")
    assert read_line(process) == "FAILED"
    assert not descendants(process.pid)
    process.communicate()
