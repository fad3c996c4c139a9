"""How a file was read, as a person reads it, before training and without."""

from pathlib import Path

import numpy as np
import pytest

from runner.report.data import reading_lines
from runner.training.prepare import prepare, settled
from tests.runner.conftest import Command
from tests.runner.jobs.planned import experiment

TABLE = """PassengerId;age;sex;born;town;rent;label
1;30,5;male;2001-01-05;None;1.200,5;no
2;;female;2002-02-05;Bonn;900;yes
3;20,0;female;;;800;yes
4;20,0;None;2004-01-07;Bonn;700;
5;70,5;male;2004-01-07;Bonn;600;no
"""


def test_four_lines_say_what_was_done(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    data = {"name": "file", "path": str(tmp_path / "t.csv"), "target": "label"}
    split = {"name": "contiguous", "train": 3, "val": 1, "test": 0}
    asked = experiment(data=data, split=split)
    prepared = prepare(asked)
    assert reading_lines(settled(asked, prepared), prepared) == [
        "t.csv: 4 rows; 2 numbers, 2 columns of words, 1 date; left out: PassengerId (identifier)",
        (
            "missing: 1 in age, 1 in born, 1 in town of 4; "
            "the median and a feature that says so stand for numbers and '(missing)' "
            "stands for words"
        ),
        "2 classes: no (50 %), yes (50 %); 1 row without a target left out",
        (
            "commas are decimal marks; sex, town: None is a word; if it is missing: "
            "data.missing_values=[None]; rent: separators between thousands were left out"
        ),
    ]


def test_missing_cells_are_filled_as_in_the_run_that_is_gone_on_from(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    data = {"name": "file", "path": str(tmp_path / "t.csv"), "target": "label"}
    split = {"name": "contiguous", "train": 3, "val": 1, "test": 0}
    asked = experiment(data=data, split=split, training__init_from="ab")
    _, missing, *_ = reading_lines(asked, prepare(asked))
    assert missing.endswith("of 4; filled as in the run whose weights are gone on from")


@pytest.mark.slow
def test_the_command_shows_columns_and_the_settings_that_pin_them(command: Command) -> None:
    (command.folder / "t.csv").write_text(TABLE)
    parts = ("split=contiguous", "split.train=3", "split.val=1", "split.test=0")
    shown = command("data", "t.csv", "data.target=label", *parts)
    table, _, pinned = shown.stdout.partition("data:\n")
    rows = {line.split()[0]: line for line in table.splitlines()[2:9]}
    assert "  left out: identifier  " in rows["PassengerId"]
    assert rows["age"].split()[1:4] == ["number", "1", "3"]
    assert "  days, month, weekday, hour  " in rows["born"]
    assert "  the target  " in rows["label"]
    assert "number: [age, rent]" in pinned
    assert "words: [label, sex, town]" in pinned
    assert "formats: {}" in pinned
    assert "delimiter: ;" in pinned
    assert "2 classes: no (50 %), yes (50 %); 1 row without a target left out" in table
    (command.folder / "b.csv").write_text("a,empty,y\n1:00,,True\n2:00,,False\n3:00,,\n")
    shown = command("data", "b.csv", "data.target=y")
    rows = {line.split()[0]: line.split()[1:] for line in shown.stdout.splitlines()[2:5]}
    assert rows["a"] == ["date", "0", "3", "hour", "01:00:00,", "…"]
    assert rows["empty"] == ["words", "3", "0", "left", "out:", "empty"]
    assert rows["y"] == ["true", "or", "false", "1", "2", "the", "target", "True,", "False"]
    shown = command("data", "b.csv", "data.target=empty")
    assert "must hold the target, got 3 rows without one" in shown.stdout
    given = ("data.weight=age", "data.drop=[born]", "data.missing_values=[None]")
    shown = command("data", "t.csv", "data.target=-1", *given)
    for said in ("the weight of each row", "left out: data.drop", "drop: [born]", "weight: age",
                 "missing_values: [None]"):  # fmt: skip
        assert said in shown.stdout
    # Of three training rows all are in Bonn.
    (command.folder / "b.csv").write_text("a,town,y\n1,Bonn,x\n2,Bonn,y\n3,Bonn,y\n4,Ulm,x\n")
    shown = command("data", "b.csv", "data.target=y", *parts)
    assert "out: [town]" in shown.stdout
    refused = command("data", "t.csv", "data.target=lable")
    assert refused.returncode == 2
    assert "Did you mean 'label'?" in refused.stderr


@pytest.mark.slow
def test_rows_of_other_files_and_arrays_are_counted_apart(command: Command) -> None:
    rows = [f"{row * row % 17},{['no', 'yes'][row % 2]}\n" for row in range(40)]
    for name, some in (("tr.csv", rows[:30]), ("te.csv", rows[30:])):
        (command.folder / name).write_text("".join(["a,y\n", *some]))
    X, y = np.arange(80.0).reshape(40, 2) ** 0.5, np.arange(40) % 2
    np.savez(command.folder / "k.npz", x_train=X[:30], y_train=y[:30], x_test=X[30:], y_test=y[30:])
    small = ["training.epochs=1", "tracking.model=false", "tracking.figures=false"]
    # The labels of the arrays are their target without being named.
    for words in (["tr.csv", "data.target=y", "data.test_path=te.csv"], ["k.npz"]):
        path, *given = words
        ended = command("experiment=own", f"data.path={path}", *given, *small)
        assert f"{path}: 30 rows + 10 test rows; " in ended.stderr
    shown = command("data", "k.npz").stdout
    assert shown.startswith("k.npz: 30 rows + 10 test rows, 3 columns\n")
    assert "  the target  " in shown
    assert "2 classes: 0 (50 %), 1 (50 %)" in shown


def test_a_table_that_teaches_nothing_is_described_and_says_why(command: Command) -> None:
    (command.folder / "t.csv").write_text("a,y\n1,x\n2,x\n3,x\n")
    lines = command("data", "t.csv", "data.target=y").stdout.splitlines()
    assert lines[4].endswith("must hold at least 2 classes, got only 'x' in all 3 rows.")
    assert lines[5] == "data.target names another column."
    refused = command("experiment=own", "data.path=t.csv")
    assert "data.target: must be given, the column of 't.csv' to predict." in refused.stderr
    assert "Its columns are 'a', 'y'." in refused.stderr
