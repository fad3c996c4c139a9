"""Predictions with what somebody else has recorded: numbers of any size, words of any kind."""

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

from runner.cli.main import carry_out
from runner.system.errors import CommandError, RunnerError
from runner.training.run_files import MODEL, WEIGHTS, weights_sha256
from tests.runner.tracking.records.conftest import edited, honest
from tests.runner.tracking.records.edited_folder import EditedFolder

__all__ = ["edited", "honest"]  # pytest finds fixtures by their names here

ESCAPE = "\x1b[2J\x1b]0;owned\x07"


@pytest.fixture
def rows(tmp_path: Path, edited: EditedFolder) -> Path:
    names = json.loads((edited.path / MODEL).read_bytes())["preprocessing"]["feature_names"]
    path = tmp_path / "rows.csv"
    path.write_text(",".join(names) + "\n1,2\n-1e300,1e300\n")
    return path


def rename_classes(edited: EditedFolder, *names: str) -> None:
    model = json.loads((edited.path / MODEL).read_bytes())
    edited.write(MODEL, json.dumps(model | {"class_names": names}).encode())


def predicted(
    edited: EditedFolder, rows: Path, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, str]]:
    carry_out(["predict", str(edited.path), str(rows)])
    printed = capsys.readouterr()
    # Two lines on the file, in one of which the second row is out of the training range.
    assert len(printed.err.splitlines()) == 2
    assert printed.err.replace("\n", "").isprintable()
    assert all(line.isprintable() for line in printed.out.splitlines())
    return list(csv.DictReader(io.StringIO(printed.out)))


@pytest.mark.parametrize("first", ["=", "+", "-", "@"])
def test_a_class_that_begins_like_a_formula_is_a_text(
    first: str, edited: EditedFolder, rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{first}cmd|'/c calc'!A1"
    rename_classes(edited, name, name * 2)
    for row in predicted(edited, rows, capsys):
        assert set(row) == {"class", f"'{name}", f"'{name * 2}"}
        assert row["class"].startswith(f"'{first}")
    out = tmp_path / "out.csv"
    carry_out(["predict", str(edited.path), str(rows), "--out", str(out)])
    assert out.read_text().splitlines()[1].startswith(f"'{first}")


def test_escapes_in_class_names_are_printed_as_text(
    edited: EditedFolder, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rename_classes(edited, ESCAPE, f"class\n{ESCAPE}")
    for row in predicted(edited, rows, capsys):
        assert "\\x1b[2J" in row["class"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308, 5e-324])
def test_weights_of_any_size_give_rows_without_a_warning(
    value: float, edited: EditedFolder, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.load(edited.path / WEIGHTS) as archive:
        arrays = {name: np.full_like(archive[name], value) for name in archive.files}
    np.savez(edited.path / "w.npz", allow_pickle=False, **arrays)
    edited.write(WEIGHTS, (edited.path / "w.npz").read_bytes())
    edited.tag(weights_sha256=weights_sha256(arrays))
    assert len(predicted(edited, rows, capsys)) == 2


@pytest.mark.parametrize("scale", [5e-324, 1e308])
def test_a_scale_of_any_size_gives_rows_without_a_warning(
    scale: float, edited: EditedFolder, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = json.loads((edited.path / MODEL).read_bytes())
    model["preprocessing"] |= {"scale": [scale, scale], "shift": [-1e308, 1e308]}
    edited.write(MODEL, json.dumps(model).encode())
    assert len(predicted(edited, rows, capsys)) == 2


def test_weights_that_the_run_did_not_leave_predict_nothing(
    edited: EditedFolder, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (edited.path / WEIGHTS).read_bytes()
    (edited.path / WEIGHTS).write_bytes(content.replace(b"PK\x05\x06", b"PK\x05\x06", 1)[:-1])
    with pytest.raises(RunnerError, match=r"weights\.npz"):
        carry_out(["predict", str(edited.path), str(rows)])
    assert capsys.readouterr().out == ""


def test_a_column_by_a_hostile_name_is_asked_for_in_one_line(
    edited: EditedFolder, rows: Path
) -> None:
    model = json.loads((edited.path / MODEL).read_bytes())
    model["preprocessing"]["feature_names"] = [f"{ESCAPE}\n\n\n", "x" * 10_000]
    edited.write(MODEL, json.dumps(model).encode())
    with pytest.raises(RunnerError) as caught:
        carry_out(["predict", str(edited.path), str(rows)])
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def out_of(edited: EditedFolder, rows: Path, out: Path) -> None:
    carry_out(["predict", str(edited.path), str(rows), "--out", str(out)])


def test_a_link_stays_and_the_file_behind_it_is_written(
    edited: EditedFolder, rows: Path, tmp_path: Path
) -> None:
    for name, content in (("there.csv", "old"), ("new.csv", None)):
        (tmp_path / "link.csv").unlink(missing_ok=True)
        (tmp_path / "link.csv").symlink_to(name)
        if content is not None:
            (tmp_path / name).write_text(content)
        out_of(edited, rows, tmp_path / "link.csv")
        assert (tmp_path / "link.csv").is_symlink()
        assert (tmp_path / name).read_text().startswith("class,")


def test_what_is_no_file_or_in_no_folder_is_not_written(
    edited: EditedFolder, rows: Path, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "circle.csv").symlink_to("circle.csv")
    (tmp_path / "rows_again.csv").symlink_to(rows)
    before = sorted(tmp_path.rglob("*"))
    for out, says in (
        ("pipe.csv", "--out: must be a file, got a device or pipe"),
        ("folder.csv", "--out: must be a file, got a folder"),
        ("circle.csv", "--out: must be a file, got "),
        ("rows_again.csv", "--out: must be another file than FILE"),
        ("gone/out.csv", "--out: must be in a folder that is there"),
    ):
        with pytest.raises(CommandError) as refused:
            out_of(edited, rows, tmp_path / out)
        assert str(refused.value).startswith(says)
    assert sorted(tmp_path.rglob("*")) == before
