"""Saved states: what was written comes back, and nothing else is taken for it."""

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.system.errors import StoreError
from runner.system.files import read_state, write_state


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "states" / "state.npz"


def test_nested_plain_data_come_back(file: Path) -> None:
    state = {
        "empty": {},
        "list": [1, [2.5, None, True], {"text": "Größe \x1b \n", "none": []}],
        "0": False,
    }
    write_state(file, state)
    assert read_state(file) == state


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0.1, -0.0], [np.nan, -np.inf]]),
        np.array([1.5, 5e-324], np.float32),
        np.array([], np.int8),
        np.array(7, np.uint64),
        np.array([True, False]),
        np.array([2**63 - 1, -(2**63)]),
        np.array(["a", "Größe"]),
        np.arange(6.0).reshape(2, 3).T,
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_arrays_come_back_byte_for_byte(array: NDArray[np.generic], file: Path) -> None:
    write_state(file, {"deep": [{"array": array}, array]})
    deep = read_state(file)["deep"]
    for found in (deep[0]["array"], deep[1]):
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert found.tobytes() == array.tobytes()


def test_a_generator_goes_on_with_the_same_numbers(file: Path) -> None:
    rng = np.random.default_rng(1)
    rng.random(5)
    state = rng.bit_generator.state
    assert state["state"]["state"] > 2**64
    write_state(file, state)
    resumed = np.random.default_rng()
    resumed.bit_generator.state = read_state(file)
    assert resumed.random(9).tobytes() == rng.random(9).tobytes()


def test_floats_keep_every_bit(file: Path) -> None:
    values = [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, 1 / 3]
    write_state(file, {"values": [*values, math.nan]})
    *found, last = read_state(file)["values"]
    assert [value.hex() for value in found] == [value.hex() for value in values]
    assert math.isnan(last)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", np.float64(1).dtype, 1j])
def test_what_is_no_plain_data_is_refused_and_leaves_no_file(value: object, file: Path) -> None:
    with pytest.raises(TypeError, match="is not plain data"):
        write_state(file, {"deep": [value]})
    assert not file.exists()


def test_an_array_of_objects_is_refused_and_leaves_no_file(file: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_state(file, {"array": np.array([object()])})
    assert not file.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda _: b"",
        lambda _: b"a text",
        lambda whole: whole[:150] + bytes([whole[150] ^ 1]) + whole[151:],
        lambda _: pickle.dumps({"keys": []}),
    ],
    ids=["torn", "one byte short", "empty", "text", "one bit flipped", "a pickle"],
)
def test_a_damaged_file_is_named(file: Path, damage: Callable[[bytes], bytes]) -> None:
    write_state(file, {"keys": ["a"], "array": np.arange(9.0)})
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(StoreError, match=r"state\.npz"):
        read_state(file)


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(StoreError, match=r"state\.npz.*No such file"):
        read_state(file)


def tree(plain: object) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(plain).encode(), np.uint8)


@pytest.mark.parametrize(
    "arrays",
    [
        {"weight": np.ones(3)},
        {"tree": np.frombuffer(b"no JSON", np.uint8)},
        {"tree": np.frombuffer(b"\xff\xfe", np.uint8)},
        {"tree": tree({"array": "array #0"})},
        {"tree": tree(["a list"])},
    ],
    ids=["arrays alone", "no JSON", "no text", "an array is missing", "a list"],
)
def test_an_archive_of_something_else_holds_no_saved_training(
    arrays: dict[str, NDArray[np.generic]], file: Path
) -> None:
    file.parent.mkdir()
    np.savez(file, allow_pickle=False, **arrays)
    with pytest.raises(StoreError, match=r"state\.npz: holds no saved training"):
        read_state(file)


def test_a_pickle_inside_is_never_loaded(file: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "exploded",)

    file.parent.mkdir()
    np.savez(file, tree=np.array([Bomb()]))
    with pytest.raises(StoreError, match="cannot be read as arrays"):
        read_state(file)
    assert not (tmp_path / "exploded").exists()
