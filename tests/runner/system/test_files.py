"""Files are whole or absent, whatever interrupts the writing; states come back to the last bit."""

import json
import math
import pickle
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.system.errors import StoreError
from runner.system.files import atomic_file, read_state, write_state, write_text

Inject = Callable[..., subprocess.CompletedProcess[str]]
REWRITE = """
import sys
from pathlib import Path
import numpy as np
from runner.system.files import write_state
write_state(Path(sys.argv[1]), {"weight": np.full((400, 50), 2.0)})
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "states" / "state.npz"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_the_finished_file_is_left(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "config.yaml", "seed: 0\n")
    write_text(tmp_path / "new" / "config.yaml", "name: Zürich\n")
    assert names(tmp_path / "new") == ["config.yaml"]
    assert (tmp_path / "new" / "config.yaml").read_text(encoding="utf-8") == "name: Zürich\n"


def test_an_exception_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "state", "old")

    def interrupted() -> None:
        with atomic_file(tmp_path / "state") as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "state").read_text() == "old"
    assert names(tmp_path) == ["state"]


def test_the_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match=r"file/weights.npz: cannot be written: \w"):
        write_text(tmp_path / "file" / "weights.npz", "")


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
@pytest.mark.parametrize("fault", ["error", "signal=KILL"])
def test_a_fault_or_a_kill_at_any_call_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, inject: Inject, call: str, fault: str
) -> None:
    path = tmp_path / "weights.npz"
    write_state(path, {"weight": np.ones(3)})
    kind = {"write": "error=ENOSPC", "fsync": "error=EIO", "rename": "error=EROFS"}[call]
    for count in range(1, 30):
        run = inject(f"{call}:{kind if fault == 'error' else fault}:when={count}", REWRITE, path)
        if run.returncode == 0:
            break
        if fault == "error":
            assert "StoreError" in run.stderr
            assert "weights.npz: cannot be written" in run.stderr
            assert names(tmp_path) == ["weights.npz"]
        else:
            assert run.returncode == -signal.SIGKILL
        assert read_state(path)["weight"].shape in {(3,), (400, 50)}
    assert 1 < count < 30, "no call failed, or all did"
    assert read_state(path)["weight"].shape == (400, 50)


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
    for read in (deep[0]["array"], deep[1]):
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        assert read.tobytes() == array.tobytes()


def test_equal_states_give_equal_files(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_state(tmp_path / name, {"weight": np.arange(6.0).reshape(2, 3), "step": 1})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


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
    *read, last = read_state(file)["values"]
    assert [value.hex() for value in read] == [value.hex() for value in values]
    assert math.isnan(last)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (object(), TypeError, "is not plain data"),
        ({1, 2}, TypeError, "is not plain data"),
        (b"bytes", TypeError, "is not plain data"),
        (1j, TypeError, "is not plain data"),
        (np.array([object()]), ValueError, "Object arrays cannot be saved"),
    ],
)
def test_what_cannot_be_kept_is_refused_and_leaves_no_file(
    value: object, error: type[Exception], message: str, file: Path
) -> None:
    with pytest.raises(error, match=message):
        write_state(file, {"deep": [value]})
    assert not file.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
        lambda whole: whole[128:-102],
        lambda whole: whole[:150] + bytes([whole[150] ^ 1]) + whole[151:],
        lambda _: b"",
        lambda _: b"a text",
        lambda _: pickle.dumps({"keys": []}),
    ],
    ids=["torn", "a byte short", "no archive", "one bit flipped", "empty", "text", "a pickle"],
)
def test_a_damaged_file_is_named(file: Path, damage: Callable[[bytes], bytes]) -> None:
    write_state(file, {"keys": ["a"], "array": np.arange(9.0)})
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(StoreError, match=r"state\.npz: cannot be read as arrays"):
        read_state(file)


def test_a_missing_file_is_named(file: Path) -> None:
    with pytest.raises(StoreError, match=r"state\.npz.*No such file"):
        read_state(file)


def test_no_byte_of_a_file_brings_down_the_reader(file: Path) -> None:
    write_state(file, {"weight": np.arange(3.0)})
    whole = file.read_bytes()
    n_refused = 0
    for position in range(len(whole)):
        for byte in {0, 255, whole[position] ^ 1, whole[position] ^ 128} - {whole[position]}:
            try:
                read_state(file, whole[:position] + bytes([byte]) + whole[position + 1 :])
            except StoreError:
                n_refused += 1
    assert n_refused > len(whole)


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
