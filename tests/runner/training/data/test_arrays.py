"""NPZ and NPY files that are fine as they are, and that nothing in them is unpickled."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.config import FileData
from runner.system.errors import DataError
from runner.training.data import Dataset, load
from tests.runner.training.data.faults_of_arrays import TABLE, X, Y, npy, npz, zipped


def read(folder: Path, name: str, content: bytes, **settings: object) -> Dataset:
    path = folder / name
    path.write_bytes(content)
    return load(FileData.model_validate({"name": "file", "path": str(path)} | settings))


@pytest.mark.parametrize(
    "same",
    [X.astype(">f8"), np.asfortranarray(X), X[::-1][::-1], X.astype(">i2"), X.astype(np.float16)],
    ids=["big-endian", "Fortran", "strided", "short", "half"],
)
def test_the_layout_of_the_numbers_does_not_matter(
    tmp_path: Path, same: NDArray[np.generic]
) -> None:
    dataset = read(tmp_path, "t.npz", npz(X=same, y=Y))
    assert dataset.X.tolist() == X.tolist()
    assert dataset.digest == read(tmp_path, "t.npz", npz(X=X, y=Y)).digest


def test_booleans_are_numbers(tmp_path: Path) -> None:
    assert read(tmp_path, "t.npz", npz(X=X > 2, y=Y)).X.tolist() == (X > 2).astype(float).tolist()


@pytest.mark.parametrize(
    ("y", "class_names"),
    [
        (Y * 2, ("0", "2")),
        (Y.astype(">f4"), ("0", "1")),
        (Y.astype(np.uint8), ("0", "1")),
        (Y.astype(bool), ("False", "True")),
        (np.array(["ä", "b", "ä", "b"]), ("b", "ä")),
        (np.array(["ä", "b", "ä", "b"]).astype(">U7"), ("b", "ä")),
        (np.array(["10", "9", "10", "9"]), ("9", "10")),
    ],
    ids=["gaps", "floats", "bytes", "booleans", "text", "big-endian text", "numbers as text"],
)
def test_labels_may_be_numbers_or_text(
    tmp_path: Path, y: NDArray[np.generic], class_names: tuple[str, ...]
) -> None:
    dataset = read(tmp_path, "t.npz", npz(X=X, y=y))
    assert dataset.class_names == class_names
    assert len(set(dataset.y.tolist())) == 2


def test_packed_archives_are_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "t.npz", X=X, y=Y)
    dataset = load(FileData(name="file", path=str(tmp_path / "t.npz")))
    assert dataset.X.tolist() == X.tolist()


def test_labels_may_have_another_name(tmp_path: Path) -> None:
    assert read(tmp_path, "t.npz", npz(X=X, labels=Y), target="labels").y.tolist() == Y.tolist()


def test_other_arrays_are_not_looked_at(tmp_path: Path) -> None:
    content = npz(X=X, y=Y, names=np.array(["a", 1], object))
    assert read(tmp_path, "t.npz", content).X.tolist() == X.tolist()


@pytest.mark.parametrize(("target", "features"), [(2, [0, 1]), (-1, [0, 1]), (0, [1, 2])])
def test_a_column_of_a_table_may_be_the_label(
    tmp_path: Path, target: int, features: list[int]
) -> None:
    table = TABLE[:, [2, 0, 1]] if target == 0 else TABLE
    dataset = read(tmp_path, "t.npy", npy(table), target=target)
    assert dataset.y.tolist() == Y.tolist()
    assert dataset.X.tolist() == X.tolist()
    assert dataset.feature_names == tuple(f"feature_{column + 1}" for column in features)


class Trap:
    """What unpickling would do: make a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["t.npy", "t.npz", "member.npz"])
def test_nothing_is_unpickled(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "mark"
    trap = np.array([[Trap(mark)]], object)
    path = tmp_path / name
    contents = {
        "t.npy": npy(trap),
        "t.npz": npz(X=trap, y=Y),
        "member.npz": zipped(X=pickle.dumps(trap), y=npy(Y)),
    }
    path.write_bytes(contents[name])
    with pytest.raises(DataError):
        load(FileData(name="file", path=str(path), target="-1" if name == "t.npy" else None))
    assert not mark.exists()


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "mark")))  # noqa: S301 - our own, a line above
    assert (tmp_path / "mark").exists()
