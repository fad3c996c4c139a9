"""NPZ and NPY files that are fine as they are, and that nothing in them is unpickled."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.system.errors import DataError
from tests.runner.training.data.faults_of_arrays import TABLE, X, Y, npy, npz, zipped
from tests.runner.training.data.reading import read

Array = NDArray[np.generic]
WORDS = np.array(["ä", "b", "ä", "b"])


@pytest.mark.parametrize(
    "same",
    [X.astype(">f8"), np.asfortranarray(X), X[::-1][::-1], X.astype(">i2"), X.astype(np.float16)],
    ids=["big-endian", "Fortran", "strided", "short", "half"],
)
def test_the_layout_of_the_numbers_does_not_matter(tmp_path: Path, same: Array) -> None:
    dataset = read(tmp_path, "t.npz", npz(X=same, y=Y), target=None)
    assert dataset.X.tolist() == X.tolist()
    assert dataset.digest == read(tmp_path, "t.npz", npz(X=X, y=Y), target=None).digest


def test_booleans_are_numbers(tmp_path: Path) -> None:
    dataset = read(tmp_path, "t.npz", npz(X=X > 2, y=Y), target=None)
    assert dataset.X.tolist() == (X > 2).astype(float).tolist()


@pytest.mark.parametrize(
    ("y", "class_names"),
    [
        (Y * 2, ("0", "2")),
        (Y.astype(">f4"), ("0", "1")),
        (Y.astype(np.uint8), ("0", "1")),
        (Y.astype(bool), ("False", "True")),
        (WORDS, ("b", "ä")),
        (WORDS.astype(">U7"), ("b", "ä")),
        (np.array(["10", "9", "10", "9"]), ("9", "10")),
    ],
    ids=["gaps", "floats", "bytes", "booleans", "text", "big-endian text", "numbers as text"],
)
def test_labels_may_be_numbers_or_text(
    tmp_path: Path, y: Array, class_names: tuple[str, ...]
) -> None:
    dataset = read(tmp_path, "t.npz", npz(X=X, y=y), target=None)
    assert dataset.class_names == class_names
    assert len(set(dataset.y.tolist())) == 2


def test_an_archive_may_be_packed_and_hold_other_arrays(tmp_path: Path) -> None:
    names = np.array(["a", 1], object)
    np.savez_compressed(tmp_path / "t.npz", X=X, labels=Y, names=names)
    dataset = read(tmp_path, "t.npz", (tmp_path / "t.npz").read_bytes(), target="labels")
    assert dataset.X.tolist() == X.tolist()
    assert dataset.y.tolist() == Y.tolist()


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
    contents = {
        "t.npy": npy(trap),
        "t.npz": npz(X=trap, y=Y),
        "member.npz": zipped(X=pickle.dumps(trap), y=npy(Y)),
    }
    with pytest.raises(DataError):
        read(tmp_path, name, contents[name], target="-1" if name == "t.npy" else None)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Trap(mark)))  # noqa: S301 - our own: the trap works
    assert mark.exists()
