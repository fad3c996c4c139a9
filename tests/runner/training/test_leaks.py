"""What gives the test rows away is said, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest

from runner.training.leaks import leaks
from runner.training.prepare import prepare
from tests.runner.conftest import Command
from tests.runner.jobs.planned import experiment

N = 120
_RNG = np.random.default_rng(3)
NOISE = _RNG.normal(size=N).round(6)
CLASSES = np.where(_RNG.random(N) < 0.5, "no", "yes")
THIRDS = np.array(["a", "b", "c"])[_RNG.integers(0, 3, N)]
AMOUNT = _RNG.normal(size=N).round(6)


def said(folder: Path, columns: dict[str, object], label: object, **settings: object) -> list[str]:
    table = {"noise": NOISE} | columns | {"label": label}
    lines = [",".join(table)]
    lines += [",".join(map(str, row)) for row in zip(*table.values(), strict=True)]  # type: ignore[call-overload]
    (folder / "t.csv").write_text("\n".join(lines) + "\n", "utf-8")
    data = {"name": "file", "path": str(folder / "t.csv"), "target": "label"} | settings
    split = {"name": "shuffled", "train": 0.6, "val": 0.2, "test": 0.2}
    return leaks(prepare(experiment(data=data, split=split)))


@pytest.mark.parametrize(
    ("column", "label"),
    [
        (np.where(CLASSES == "yes", 1, -1) + NOISE / 10, CLASSES),
        (np.where(CLASSES == "yes", -1, 1) + NOISE / 10, CLASSES),
        (np.where(THIRDS == "a", "x", np.where(THIRDS == "b", "y", "z")), THIRDS),
        (3 * AMOUNT + 1, AMOUNT),
    ],
)
def test_a_column_that_tells_the_target_is_named(
    column: object, label: object, tmp_path: Path
) -> None:
    (sentence,) = said(tmp_path, {"hint": column}, label)
    assert sentence.startswith("'hint' alone tells the target almost surely")
    assert "data.drop" in sentence


def test_columns_that_tell_a_label_or_the_target_each_are_named_together(tmp_path: Path) -> None:
    tell = np.where(CLASSES == "yes", 1, 0)
    hints = {"hint": tell + NOISE / 10, "other": NOISE / 10 - tell}
    (sentence,) = said(tmp_path, hints, CLASSES)
    assert sentence.startswith("'hint', 'other', each alone tells the target almost surely")
    labels = {"hint": hints["hint"], "a": (AMOUNT > 0).astype(int), "b": tell}
    (sentence,) = said(tmp_path, labels, CLASSES, target=["a", "b"], drop=["label"])
    assert sentence.startswith("'hint' alone tells a label almost surely")


@pytest.mark.parametrize(
    ("column", "label"),
    [
        # One class apart from two others is no more than a good column.
        (np.where(THIRDS == "a", 5, 0) + NOISE, THIRDS),
        (np.where(CLASSES == "yes", 1, -1) + NOISE, CLASSES),
        (AMOUNT + NOISE, AMOUNT),
        # Words of few rows each follow anything.
        ([f"w{row // 3}" for row in range(N)], CLASSES),
    ],
)
def test_a_good_column_is_none(column: object, label: object, tmp_path: Path) -> None:
    assert said(tmp_path, {"hint": column}, label) == []


def test_test_rows_that_stand_in_train_are_counted(tmp_path: Path) -> None:
    few = {"noise": NOISE[np.arange(N) % 30], "amount": AMOUNT[np.arange(N) % 30]}
    label = CLASSES[np.arange(N) % 30]
    (sentence,) = said(tmp_path, few, label)
    found = prepare(
        experiment(
            data={"name": "file", "path": str(tmp_path / "t.csv"), "target": "label"},
            split={"name": "shuffled", "train": 0.6, "val": 0.2, "test": 0.2},
        )
    )
    known = {row % 30 for row in found.split.train.tolist()}
    n_known = sum(row % 30 in known for row in found.split.test.tolist())
    assert sentence.startswith(f"{n_known} of 24 test rows also stand in train")


def test_groups_that_a_column_of_parts_tears_are_counted(tmp_path: Path) -> None:
    part = ["train" if row % 4 else "test" for row in range(N)]
    who = [row // 2 if row < 8 else 3 + row % 2 for row in range(N)]
    columns: dict[str, object] = {"part": part, "who": who}
    (sentence,) = said(tmp_path, columns, CLASSES, split_column="part", group="who")
    # Rows 0 and 1, 4 and 5, and those of the even group; 2 and 3, 6 and 7 are in train alone.
    assert sentence.startswith("3 of 5 groups of data.group stand in several parts")
    assert said(tmp_path, {"who": who}, CLASSES, group="who") == []


def test_a_warning_stands_below_how_the_file_was_read(command: Command) -> None:
    rows = "".join(f"{row % 7},{'no' if row % 2 else 'yes'},{row % 2}\n" for row in range(100))
    (command.folder / "t.csv").write_text(f"a,label,hint\n{rows}", "utf-8")
    words = ["experiment=own", "data.path=t.csv", "data.target=label", "training.epochs=1"]
    ended = command(*words, "tracking.model=false", "tracking.figures=false")
    assert ended.returncode == 0, ended.stderr
    assert "Warning: 'hint' alone tells the target almost surely" in ended.stderr
