"""Loading by the name of the data; what is imported for it, and what is not."""

import subprocess
import sys

import numpy as np
import pytest
from pydantic import TypeAdapter

from runner.config.data import DataConfig
from runner.training.data import Dataset, load

SETTINGS = [
    {"name": "tutorial"},
    {"name": "iris"},
    {"name": "wine"},
    {"name": "breast_cancer"},
    {"name": "digits"},
    {"name": "blobs", "n_samples": 50, "n_features": 3, "n_classes": 4, "noise": 1.0},
    {"name": "moons", "n_samples": 50, "noise": 0.1},
    {"name": "spirals", "n_samples": 50, "n_classes": 3, "noise": 0.1},
]


def loaded(settings: dict[str, object]) -> Dataset:
    return load(TypeAdapter(DataConfig).validate_python(settings))


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings["name"])
def test_each_kind_of_data_has_the_same_form(settings: dict[str, object]) -> None:
    dataset = loaded(settings)
    assert dataset.name == settings["name"]
    assert dataset.X.shape == (len(dataset.y), len(dataset.feature_names))
    assert dataset.X.dtype == np.float64
    assert dataset.X.flags.c_contiguous
    assert dataset.y.dtype == np.intp
    assert np.array_equal(np.unique(dataset.y), np.arange(len(dataset.class_names)))
    assert not dataset.categories
    assert loaded(settings).digest == dataset.digest


@pytest.mark.parametrize(
    "data",
    ["TutorialData(name='tutorial')", "FileData(**FILE)", "BundledData(name='digits')"],
)
def test_data_and_splits_need_no_large_library(data: str) -> None:
    code = f"""
import sys, tempfile, pathlib
from runner.config.data import BundledData, FileData, KFoldSplit, OrderedSplit, TutorialData
from runner.training.data import load
from runner.training.preprocessing import Preprocessing
from runner.training.data.splits import split_rows
path = pathlib.Path(tempfile.mkdtemp()) / "t.csv"
path.write_text("a,label\\n" + "red,0\\nblue,1\\n" * 8)
FILE = dict(name="file", path=str(path), target="label")
dataset = load({data})
for split in (
    KFoldSplit(name="kfold", n_folds=2, fold=0, val=0.5, stratified=True),
    OrderedSplit(name="stratified", train=0.5, val=0.25, test=0.25),
):
    rows = split_rows(split, dataset.y, dataset.class_names)
Preprocessing.fit(dataset, rows.train, "standardize").transform(dataset.X)
print(sorted({{"pandas", "sklearn", "scipy", "mlflow"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
