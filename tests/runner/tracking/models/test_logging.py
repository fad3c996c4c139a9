"""The model of a run: found by MLflow, loaded anywhere, and made of nothing that runs by itself."""

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.tracking import Store, open_store
from runner.training.data.builtin import load_bundled
from runner.training.data.splits import Split
from runner.training.prepare import Prepared, Trained
from runner.training.preprocessing import Preprocessing
from softnet import Network, mlp
from tests.runner.tracking.conftest import Start

Weights = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def iris() -> Prepared:
    dataset = load_bundled("iris")
    rows = np.arange(150)
    split = Split(rows[::3], rows[1::3], rows[2::3])
    preprocessing = Preprocessing.fit(dataset, split.train, "standardize")
    return Prepared(dataset, split, preprocessing, preprocessing.transform(dataset.X))


@pytest.fixture(scope="module")
def weights() -> Weights:
    rng = np.random.default_rng(0)
    return {
        "layers.0.weight": rng.normal(size=(4, 8)),
        "layers.0.bias": rng.normal(size=8),
        "layers.2.weight": rng.normal(size=(8, 3)),
        "layers.2.bias": rng.normal(size=3),
    }


def log(store: Store, prepared: Prepared, weights: Weights) -> tuple[str, str]:
    run = store.start_run("x", {}, {})
    store.log_model(run, Trained(prepared, weights, mlp([4, 8, 3], "tanh")))
    run.finish()
    (output,) = store.client.get_run(run.run_id).outputs.model_outputs
    return run.run_id, f"models:/{output.model_id}"


def probabilities(weights: Weights, X: NDArray[Any]) -> NDArray[Any]:
    return Network.from_weights(weights, mlp([4, 8, 3], "tanh")).predict(X)[0]


@pytest.fixture
def saved(embedded: Store, iris: Prepared, weights: Weights, tmp_path: Path) -> Path:
    """The folder of a logged model."""
    log(embedded, iris, weights)
    (marker,) = (tmp_path / "artifacts").rglob("MLmodel")
    return marker.parent


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["models:/...", "runs:/.../model"])
def test_a_loaded_model_gives_the_networks_own_probabilities(
    embedded: Store,
    iris: Prepared,
    weights: Weights,
    monkeypatch: pytest.MonkeyPatch,
    dtype: type[np.floating[Any]],
    form: str,
) -> None:
    import mlflow

    weights = {name: array.astype(dtype) for name, array in weights.items()}
    run_id, uri = log(embedded, iris, weights)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", embedded.address.uri)
    model = mlflow.pyfunc.load_model(
        uri if form.startswith("models") else f"runs:/{run_id}/model", suppress_warnings=True
    )
    rows = dict(zip(iris.dataset.feature_names, iris.dataset.X.T, strict=True))
    found = model.predict(rows)
    own = probabilities(weights, iris.X)
    assert list(found.columns) == ["setosa", "versicolor", "virginica"]
    assert found.to_numpy().dtype == dtype
    assert model.metadata.get_output_schema().numpy_types() == [dtype] * 3
    assert found.to_numpy().tobytes() == own.tobytes()


def test_the_run_shows_its_model(embedded: Store, iris: Prepared, weights: Weights) -> None:
    run_id, uri = log(embedded, iris, weights)
    model = embedded.client.get_logged_model(uri.removeprefix("models:/"))
    assert (model.name, model.status, model.source_run_id) == ("model", "READY", run_id)


def test_the_signature_names_raw_columns_and_classes(saved: Path) -> None:
    from mlflow.models import Model

    model = Model.load(str(saved))
    assert model.signature.inputs.input_names() == list(load_bundled("iris").feature_names)
    assert model.signature.outputs.input_names() == ["setosa", "versicolor", "virginica"]
    example = model.load_input_example(str(saved))
    assert example.to_numpy().tolist() == load_bundled("iris").X[:3].tolist()
    serving = json.loads((saved / "serving_input_example.json").read_text())
    assert serving["dataframe_split"]["data"] == example.to_numpy().tolist()


def test_what_it_needs_is_pinned(saved: Path) -> None:
    import mlflow

    needs = (saved / "requirements.txt").read_text().split()
    assert needs[1] == f"numpy=={np.__version__}"
    names = [need.partition("==")[0] for need in needs]
    assert names == ["mlflow", "numpy", "pandas", "threadpoolctl"]
    found = mlflow.pyfunc.get_model_dependencies(str(saved))
    assert Path(found).read_text().split() == needs


def test_there_is_no_pickle_in_it(saved: Path) -> None:
    files = [path for path in saved.rglob("*") if path.is_file()]
    suffixes = {path.suffix for path in files}
    assert suffixes == {"", ".json", ".npz", ".py", ".txt", ".yaml"}
    for path in files:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                members = {member.filename for member in archive.infolist()}
            with np.load(path, allow_pickle=False) as arrays:
                assert members == {f"{name}.npy" for name in arrays.files}
                assert all(arrays[name].dtype.kind == "f" for name in arrays.files)
        else:
            assert path.read_text(encoding="utf-8").isprintable() or "\n" in path.read_text()


ELSEWHERE = """
import json, sys
from pathlib import Path
# Neither a checkout nor an installed copy is left to be found.
sys.path = [path for path in sys.path if not Path(path, "runner", "__init__.py").exists()]
try:
    import runner.system.errors
except ImportError:
    pass
else:
    sys.exit("runner can still be imported")
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1], suppress_warnings=True)
found = model.predict(model.input_example)
assert "softnet" not in sys.modules
print(json.dumps(found.to_numpy().tolist()))
"""


def test_it_loads_where_nothing_of_ours_is_installed(
    saved: Path, iris: Prepared, weights: Weights, start: Start, tmp_path: Path
) -> None:
    moved = saved.rename(tmp_path / "moved")
    process = start(ELSEWHERE, moved, isolated=True)
    said, complaint = process.communicate()
    assert process.returncode == 0, complaint
    assert json.loads(said) == probabilities(weights, iris.X[:3]).tolist()


def test_models_of_two_versions_load_in_one_process(
    saved: Path, iris: Prepared, weights: Weights, tmp_path: Path
) -> None:
    import mlflow

    # A later version has another softnet, and so another name for the package.
    (package,) = (path.name for path in (saved / "code").iterdir())
    later = Path(shutil.copytree(saved, tmp_path / "later"))
    (later / "code" / package).rename(later / "code" / "model_later")
    for file in later.rglob("*.py"):
        text = file.read_text().replace(package, "model_later")
        file.write_text(re.sub(r"\bpredict\((?=self, X|X\))", "probabilities_of(", text))
    own = Network.from_weights(weights, mlp([4, 8, 3], "tanh")).predict(iris.X[:3])[0]
    for folder in (saved, later, saved):
        model = mlflow.pyfunc.load_model(str(folder), suppress_warnings=True)
        assert model.predict(model.input_example).to_numpy().tobytes() == own.tobytes()
    loaded = [sys.modules[f"{name}.softnet"].Network for name in (package, "model_later")]
    assert [hasattr(network, "predict") for network in loaded] == [True, False]


def test_a_server_keeps_models_too(
    server: str, iris: Prepared, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    store = open_store(server, None, "models")
    _, uri = log(store, iris, weights)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    model = mlflow.pyfunc.load_model(uri, suppress_warnings=True)
    found = model.predict(model.input_example).to_numpy()
    assert found.tobytes() == probabilities(weights, iris.X[:3]).tobytes()
