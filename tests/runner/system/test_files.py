"""Atomic files: whole or absent, whatever interrupts the writing."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runner.system.errors import StoreError
from runner.system.files import atomic_file, read_arrays, write_arrays, write_text

Inject = Callable[..., subprocess.CompletedProcess[str]]

REWRITE = """
import sys
from pathlib import Path
import numpy as np
from runner.system.files import write_arrays
write_arrays(Path(sys.argv[1]), {"weight": np.full((400, 50), 2.0)})
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_arrays_come_back_byte_for_byte(tmp_path: Path) -> None:
    arrays = {
        "layers.0.weight": np.array([[0.1, -0.0], [np.pi, 1e-308]]),
        "layers.0.bias": np.array([1, 2], np.float32),
    }
    write_arrays(tmp_path / "weights.npz", arrays)
    found = read_arrays(tmp_path / "weights.npz")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()


def test_equal_arrays_give_equal_files(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        write_arrays(tmp_path / name, {"weight": np.arange(6.0).reshape(2, 3)})
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_only_the_finished_file_is_left(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "config.yaml", "seed: 0\n")
    write_text(tmp_path / "new" / "config.yaml", "name: Zürich\n")
    assert names(tmp_path / "new") == ["config.yaml"]
    assert (tmp_path / "new" / "config.yaml").read_text(encoding="utf-8") == "name: Zürich\n"


def test_an_exception_while_writing_keeps_the_old_file(tmp_path: Path) -> None:
    write_text(tmp_path / "state", "old")

    def interrupted():
        with atomic_file(tmp_path / "state") as file:
            file.write(b"half of the n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "state").read_text() == "old"
    assert names(tmp_path) == ["state"]


def test_python_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_arrays(tmp_path / "weights.npz", {"weight": np.array([object()])})
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda _: b"",
        lambda _: b"not an archive",
        lambda whole: whole[:-1],
        lambda whole: whole[128:-102],
        lambda whole: whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
    ],
    ids=["truncated", "empty", "text", "one byte short", "no archive around it", "one bit flipped"],
)
def test_a_damaged_file_is_named_not_read(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "weights.npz"
    write_arrays(path, {"weight": np.arange(100.0)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(StoreError, match=r"weights\.npz: cannot be read as arrays"):
        read_arrays(path)


def test_no_byte_of_a_file_brings_down_who_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    write_arrays(path, {"weight": np.arange(3.0)})
    whole = path.read_bytes()
    n_refused = 0
    for place in range(len(whole)):
        for byte in {0, 255, whole[place] ^ 1, whole[place] ^ 128} - {whole[place]}:
            path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            try:
                read_arrays(path)
            except StoreError:
                n_refused += 1
    assert n_refused > len(whole)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", weight=np.array([{"a": 1}]))
    with pytest.raises(StoreError, match="cannot be read as arrays"):
        read_arrays(tmp_path / "weights.npz")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match=r"file/weights.npz: cannot be written: .*bytes free"):
        write_text(tmp_path / "file" / "weights.npz", "")


@pytest.mark.parametrize("fault", ["write:error=ENOSPC", "fsync:error=EIO", "rename:error=EROFS"])
def test_a_disk_fault_at_any_call_keeps_the_old_file(
    tmp_path: Path, inject: Inject, fault: str
) -> None:
    path = tmp_path / "weights.npz"
    write_arrays(path, {"weight": np.ones(3)})
    for count in range(1, 30):
        run = inject(f"{fault}:when={count}", REWRITE, path)
        if run.returncode == 0:
            break
        assert "StoreError" in run.stderr
        assert "weights.npz: cannot be written" in run.stderr
        assert names(tmp_path) == ["weights.npz"]
    assert 1 < count < 30, "no call failed, or all did"
    assert read_arrays(path)["weight"].shape == (400, 50)


@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_a_kill_at_any_call_leaves_the_old_file_or_the_new_one(
    tmp_path: Path, inject: Inject, call: str
) -> None:
    path = tmp_path / "weights.npz"
    write_arrays(path, {"weight": np.ones(3)})
    for count in range(1, 30):
        run = inject(f"{call}:signal=KILL:when={count}", REWRITE, path)
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL
        assert read_arrays(path)["weight"].shape in {(3,), (400, 50)}
    assert 1 < count < 30, "no call was killed, or all were"
    assert read_arrays(path)["weight"].shape == (400, 50)
