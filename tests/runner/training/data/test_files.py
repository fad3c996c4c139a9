"""Every fault of a file is an error of one to three lines that says where, what and what else."""

import gzip
import os
import tracemalloc
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from runner.config.data import FileData
from runner.system.errors import RunnerError
from runner.training.data import load
from tests.runner.training.data import faults_of_arrays, faults_of_parquet, faults_of_text
from tests.runner.training.data.faults import Fault
from tests.runner.training.data.reading import read
from tests.runner.training.data.test_sheets import arrow, workbook

FAULTS = [*faults_of_text.FAULTS, *faults_of_arrays.FAULTS, *faults_of_parquet.FAULTS]


def named(fault: Fault) -> str:
    return f"{Path(fault.file).suffix[:9] or 'path'}-{fault.name}"


def check_manners(error: RunnerError) -> None:
    text = str(error)
    assert error.exit_code == 2
    assert len(text.splitlines()) <= 3
    assert text == text.strip()
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_a_fault_is_told_with_its_place(fault: Fault, tmp_path: Path) -> None:
    config = fault.config(tmp_path)
    with pytest.raises(RunnerError) as caught:
        load(config)
    check_manners(caught.value)
    for piece in fault.says:
        assert piece in str(caught.value)


@pytest.mark.parametrize("fault", faults_of_arrays.FAULTS, ids=named)
def test_nothing_is_allocated_on_the_word_of_a_header(fault: Fault, tmp_path: Path) -> None:
    config = fault.config(tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(RunnerError):
            load(config)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6  # zipfile and the parsers of headers; the smallest claim is 3 GB


def whole(name: str) -> bytes:
    contents = {
        "t.csv": b'a,b,label\r\n1,"x\ny",p\r\n2,z,q\r\n',
        "t.npz": faults_of_arrays.npz(X=faults_of_arrays.X, y=faults_of_arrays.Y.astype(str)),
        "t.npy": faults_of_arrays.npy(faults_of_arrays.TABLE),
        "t.parquet": faults_of_parquet.parquet(**faults_of_parquet.GOOD),
        "t.feather": arrow(),
        "t.jsonl": b'{"a": 1.5, "label": "x"}\n{"a": null, "label": "y"}\n',
    }
    return contents[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t.csv", "t.npz", "t.npy", "t.parquet", "t.feather", "t.jsonl"])
@hypothesis.settings(max_examples=150)
@hypothesis.given(
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4))),
    length=st.floats(0.5, 1.5),
)
def test_scribbled_files_are_read_or_refused_and_never_crash(
    name: str,
    places: list[tuple[float, bytes]],
    length: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = whole(name)
    for place, scribble in places:
        start = int(place * len(content))
        content = content[:start] + scribble + content[start + len(scribble) :]
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content[: int(length * len(content))])
    target = {"t.npz": None, "t.npy": "-1"}.get(name, "label")
    try:
        load(FileData(name="file", path=str(path), target=target))
    except RunnerError as error:
        check_manners(error)


def test_a_missing_file_names_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "iris.csv").write_text("")
    config = FileData(name="file", path=str(tmp_path / "irsi.csv"), target="label")
    with pytest.raises(RunnerError, match=r"Did you mean 'iris\.csv'"):
        load(config)


def test_an_address_is_shown_as_it_is_given() -> None:
    config = FileData(name="file", path="http://example.org/t.csv", target="label")
    with pytest.raises(RunnerError, match=r"got 'http://example\.org/t\.csv'.* download it"):
        load(config)


@pytest.mark.timeout(20)
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(RunnerError, match="must be a file, got a device or pipe"):
        load(FileData(name="file", path=str(pipe), target="label"))


BOMBS = {
    "t.csv.gz": lambda: gzip.compress(b"a,label\n" + b"1,x\n" * 1_000_000),
    "t.zip": lambda: faults_of_arrays.zipped(inside=b"a,label\n" + b"1,x\n" * 1_000_000),
    "t.npz": lambda: faults_of_arrays.npz(
        X=np.zeros((1_000_000, 2), np.int8), y=np.zeros(1_000_000)
    ),
    "t.xlsx": lambda: workbook([["a", "label"], *([n % 7, "x"] for n in range(20_000))]),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_fills_the_memory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("sources", "dataset"):
        monkeypatch.setattr(f"runner.training.data.{module}.memory_bytes", lambda: 4 << 20)
    target = None if name == "t.npz" else "label"
    with pytest.raises(RunnerError, match=r"must unpack to at most a quarter|must fit into"):
        read(tmp_path, name, BOMBS[name](), target=target)


def test_what_unpacks_to_a_hundred_times_its_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = gzip.compress(b"a,label\n" + b"1,x\n2,y\n" * 100_000)
    assert read(tmp_path, "t.csv.gz", content).y.size == 200_000
    monkeypatch.setattr("runner.training.data.sources._HARMLESS", 1 << 16)
    with pytest.raises(RunnerError, match=r"at most 100 times its .* bytes.*\n?.* data\.path"):
        read(tmp_path, "t.csv.gz", content)


IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)


def idx(values: np.ndarray, code: int) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes((0, 0, code, values.ndim)) + sizes + values.tobytes()


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize(("code", "dtype"), [(8, ">u1"), (11, ">i2"), (14, ">f8")])
def test_idx_images_have_their_labels_in_the_file_beside(
    ending: str, dot: str, code: int, dtype: str, tmp_path: Path
) -> None:
    pack = gzip.compress if ending else bytes
    labels = tmp_path / f"train-labels{dot}idx1-ubyte{ending}"
    labels.write_bytes(pack(idx(np.array([5, 0, 5, 4], np.uint8), 8)))
    name = f"train-images{dot}idx3-ubyte{ending}"
    dataset = read(tmp_path, name, pack(idx(IMAGES.astype(dtype), code)), target=None)
    assert dataset.X.tolist() == IMAGES.reshape(4, 6).tolist()
    assert [dataset.class_names[code] for code in dataset.y] == ["5", "0", "5", "4"]


IDX_FAULTS = [
    (b"\0\0\x08", "", "must begin with the header of an IDX file"),
    (idx(IMAGES, 8)[:-1], "", "must have 24 bytes.*got 23"),
    (idx(IMAGES, 8), "", "data.path: must be a file, got .*labels-idx1"),
    (idx(IMAGES, 8), idx(np.zeros(3, np.uint8), 8), "labels-idx1: must hold 4 labels"),
    (idx(IMAGES[:0], 8), "", "must have the shape"),
]


@pytest.mark.parametrize(("images", "labels", "says"), IDX_FAULTS)
def test_faults_of_idx_files_name_the_file(
    images: bytes, labels: bytes, says: str, tmp_path: Path
) -> None:
    if labels:
        (tmp_path / "labels-idx1").write_bytes(labels)
    with pytest.raises(RunnerError, match=says):
        read(tmp_path, "images-idx3", images, target=None)


def test_a_path_of_control_characters_stays_on_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a\n\x1b[31m.csv"
    path.write_text("a,label\n")
    with pytest.raises(RunnerError) as caught:
        load(FileData(name="file", path=str(path), target="label"))
    assert str(caught.value).isprintable()


def test_the_home_folder_may_be_written_as_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "t.csv").write_text(faults_of_text.GOOD)
    dataset = load(FileData(name="file", path="~/t.csv", target="label"))
    assert dataset.source == str(tmp_path / "t.csv")
    assert dataset.name == "t"


def test_the_kind_of_file_does_not_hang_on_capitals(tmp_path: Path) -> None:
    (tmp_path / "T.CSV").write_text(faults_of_text.GOOD)
    assert load(FileData(name="file", path=str(tmp_path / "T.CSV"), target="label")).y.size == 2
