"""What a loaded model takes and gives: raw rows as people have them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from runner.tracking import Store
from runner.training.data.dataset import Dataset, Reading
from runner.training.data.splits import Split
from runner.training.prepare import Prepared, Trained
from runner.training.preprocessing import Preprocessing
from softnet import Network, mlp

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

ROWS = pd.DataFrame(
    {"size": [1, 2, 3, 4], "colour": ["red", "blue", "red", "green"], "old": [True, False] * 2}
)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    dataset = Dataset(
        name="things",
        feature_names=("size", "colour", "old"),
        X=np.array([[1.0, 2, 1], [2, 0, 0], [3, 2, 1], [4, 1, 0]]),
        y=np.array([0, 1, 0, 1]),
        class_names=("-1", "no name"),
        source="here",
        categories={"colour": ("blue", "green", "red")},
        reading=Reading(truths=("old",)),
    )
    split = Split(np.arange(3), np.arange(3, 4), np.arange(0))
    preprocessing = Preprocessing.fit(dataset, split.train, "minmax")
    return Prepared(dataset, split, preprocessing, preprocessing.transform(dataset.X))


@pytest.fixture(scope="module")
def weights() -> dict[str, Any]:
    weight = np.random.default_rng(0).normal(size=(4, 2))
    return {"layers.0.weight": weight, "layers.0.bias": np.zeros(2)}


@pytest.fixture
def model(
    embedded: Store, prepared: Prepared, weights: dict[str, Any], tmp_path: Path
) -> PyFuncModel:
    import mlflow

    run = embedded.start_run("x", {}, {})
    embedded.log_model(run, Trained(prepared, weights, mlp([4, 2])))
    run.finish()
    (marker,) = (tmp_path / "artifacts").rglob("MLmodel")
    return mlflow.pyfunc.load_model(str(marker.parent), suppress_warnings=True)


def test_words_and_numbers_go_in_probabilities_come_out(
    model: PyFuncModel,
    prepared: Prepared,
    weights: dict[str, Any],
) -> None:
    found = model.predict(ROWS.set_index(pd.Index(list("abcd"))))
    own = Network.from_weights(weights, mlp([4, 2])).predict(prepared.X)[0]
    assert list(found.columns) == ["-1", "no name"]
    assert list(found.index) == list("abcd")
    assert found.to_numpy().tobytes() == own.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows",
    [
        ROWS.astype({"size": "int8"}),
        ROWS.astype({"colour": object}),
        ROWS[["old", "size", "colour"]],
        ROWS.assign(weight=[7, 8, 9, 10]),
        ROWS.to_dict("list"),
    ],
    ids=["int8", "object", "another order", "another column", "dict"],
)
def test_however_the_rows_are_written_the_answer_is_the_same(
    model: PyFuncModel, rows: object
) -> None:
    assert model.predict(rows).equals(model.predict(ROWS))


def test_the_example_holds_words(model: PyFuncModel) -> None:
    assert model.input_example["colour"].tolist() == ["red", "blue", "red"]
    assert model.predict(model.input_example).equals(model.predict(ROWS)[:3])


def test_a_word_that_training_never_saw_is_no_word_at_all(model: PyFuncModel) -> None:
    unknown, unseen = (
        model.predict(ROWS.assign(colour=word)).to_numpy() for word in ("purple", "green")
    )
    assert np.isfinite(unknown).all()
    assert np.array_equal(unknown, unseen)


def test_a_missing_column_is_named(model: PyFuncModel) -> None:
    with pytest.raises(Exception, match=r"Model is missing inputs \['old'\]"):
        model.predict(ROWS[["size", "colour"]])


def test_a_cell_that_is_no_number_is_named(model: PyFuncModel) -> None:
    with pytest.raises(Exception, match="Incompatible input types for column size"):
        model.predict(ROWS.assign(size=[1, "x", 3, 4]))


def test_types_are_those_of_the_cells(model: PyFuncModel) -> None:
    schema = model.metadata.get_input_schema()
    types = {column.name: (column.type.name, column.required) for column in schema.inputs}
    assert types == {"size": ("long", True), "colour": ("string", True), "old": ("boolean", True)}


@pytest.mark.parametrize("text", [object, "string", "str"])
def test_where_cells_may_be_missing_types_take_none(
    text: str, embedded: Store, prepared: Prepared, weights: dict[str, Any], tmp_path: Path
) -> None:
    import mlflow

    fills = replace(prepared, preprocessing=replace(prepared.preprocessing, fill=(2.0, 0.0, 1.0)))
    run = embedded.start_run("x", {}, {})
    embedded.log_model(run, Trained(fills, weights, mlp([4, 2])))
    run.finish()
    (marker,) = (tmp_path / "artifacts").rglob("MLmodel")
    model = mlflow.pyfunc.load_model(str(marker.parent), suppress_warnings=True)
    schema = model.metadata.get_input_schema()
    types = {column.name: (column.type.name, column.required) for column in schema.inputs}
    assert types == {
        "size": ("double", False),
        "colour": ("string", False),
        "old": ("string", False),
    }
    rows = pd.DataFrame({"size": [None, 2.0], "colour": ["red", None], "old": ["True", None]})
    found = model.predict(rows.astype({"size": float, "colour": text, "old": text}))
    whole = pd.DataFrame({"size": [2.0, 2.0], "colour": ["red", "none"], "old": ["True", "true"]})
    assert found.equals(model.predict(whole))


def test_models_of_before_find_what_they_import_by_its_earlier_name() -> None:
    ask = "from runner.preprocess import Preprocessing; print(Preprocessing.__module__)"
    ended = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert ended.stdout == "runner.training.preprocessing\n"
    # This process has today's softnet, which is not the one that they mean.
    with pytest.raises(ImportError, match=r"earlier version of runner.*`runner predict`"):
        import_module("runner.preprocess")
