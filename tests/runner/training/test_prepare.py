"""Data made ready: the rows of each part, what does not fit them, and when they are read again."""

import os
from pathlib import Path

import numpy as np
import pytest

from runner.config.data import FileData
from runner.config.schema import Experiment
from runner.system.errors import ConfigError, DataError
from runner.training.prepare import (
    describe,
    prepare,
    prepare_cached,
    prepared_unchanged,
    require_fit,
    settled,
)
from softnet import mlp
from tests.runner.jobs.planned import experiment


def test_parts_are_the_splits_that_have_rows() -> None:
    data = prepare(experiment())
    assert data.parts == ("train", "val", "test")
    assert [len(data.examples(part).y) for part in data.parts] == [40, 10, 10]
    without = prepare(experiment(split__val=0, split__test=0))
    assert without.parts == ("train",)


def test_scaling_is_fitted_on_the_training_rows_alone() -> None:
    data = prepare(experiment())
    # The mean of 40 rows rounds; 1e-12 is far above that and far below any other fit.
    assert np.abs(data.examples("train").X.mean(axis=0)).max() < 1e-12
    assert np.abs(data.X.mean(axis=0)).max() > 1e-3


def test_what_fits_is_returned_in_numbers() -> None:
    settings = require_fit(one := experiment(), prepare(one))
    assert settings.network == mlp([2, 5, 2], "tanh")
    assert (settings.n_steps, settings.batch_size, settings.evaluate_every) == (60, 7, 5)


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    large = experiment(training__batch_size=41)
    with pytest.raises(ConfigError, match="at most 40, the number of training rows, got 41"):
        require_fit(large, prepare(large))
    require_fit(fitting := experiment(training__batch_size=40), prepare(fitting))


def test_a_warm_up_without_end_is_refused() -> None:
    endless = experiment(schedule={"name": "cosine", "warmup_steps": 60})
    with pytest.raises(ConfigError, match=r"schedule\.warmup_steps: must be below 60, the number"):
        require_fit(endless, prepare(endless))


def test_a_network_that_cannot_fit_is_refused_before_it_is_made() -> None:
    huge = experiment(model__hidden_layer_sizes=[10**9])
    with pytest.raises(ConfigError, match=r"5,000,000,002 parameters need about 400\.0 GB"):
        require_fit(huge, prepare(huge))


SPLIT = {"name": "shuffled", "train": 10, "val": 5, "test": 5}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{row},{row % 2}\n" for row in range(20)))
    return path


def reading(table: Path, **settings: object) -> Experiment:
    data = {"name": "file", "path": str(table), "target": "y"}
    return experiment(**({"data": data, "split": SPLIT} | settings))


def test_data_are_read_once_for_those_in_a_row_that_share_them(table: Path) -> None:
    first = prepare_cached(reading(table, seed=1))
    assert prepare_cached(reading(table, seed=2)) is first
    other = prepare_cached(reading(table, split={**SPLIT, "seed": 7}))
    assert other is not first
    assert other.dataset.digest == first.dataset.digest
    assert other.split.digest != first.split.digest


def test_a_file_that_was_written_to_is_read_again(table: Path) -> None:
    before = prepare_cached(reading(table))
    # Of the same size, and within the same tick of a coarse clock.
    stamp = table.stat()
    new = table.with_name("new.csv")
    new.write_text(table.read_text().replace("7,1", "6,1"))
    os.utime(new, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    new.replace(table)
    assert prepare_cached(reading(table)).dataset.digest != before.dataset.digest
    table.unlink()
    with pytest.raises(ConfigError, match=r"rows\.csv"):
        prepare_cached(reading(table))


def test_data_that_changed_since_they_were_planned_are_refused(table: Path) -> None:
    planned = prepare_cached(reading(table))
    digest = planned.dataset.digest
    assert prepared_unchanged(reading(table), digest, lambda: planned) is planned
    table.write_text(table.read_text().replace("5,1", "6,1"))
    with pytest.raises(DataError, match=r"rows\.csv: must hold the data of the run"):
        prepared_unchanged(reading(table), digest, lambda: planned)


def test_data_are_encoded_once_for_each_of_several_origins() -> None:
    data, *origins = (prepare(experiment(split__seed=seed)) for seed in range(3))
    first, second = map(data.encoded_by, origins)
    assert data.encoded_by(origins[0]) is first
    assert data.encoded_by(origins[1]) is second
    assert second.preprocessing == origins[1].preprocessing
    assert second.X.tobytes() == origins[1].X.tobytes() != data.X.tobytes()
    assert data.encoded_by(data) is data


ROWS = """id,age,colour,when,weight,label
1,30,red,2020-01-01,1,x
2,,blue,2020-02-02,1,y
3,50,,2021-03-03,1,x
4,40,red,2022-04-04,1,y
5,20,green,2023-05-05,1,x
6,10,red,,1,y
"""


def of_rows(folder: Path, **settings: object) -> Experiment:
    (folder / "t.csv").write_text(ROWS)
    data = {"name": "file", "path": str(folder / "t.csv"), "target": "label", **settings}
    split = {"name": "contiguous", "train": 4, "val": 1, "test": 1}
    return experiment(data=data, split=split, training__batch_size=4)


def test_what_is_missing_is_filled_by_what_the_training_rows_have(tmp_path: Path) -> None:
    data = prepare(of_rows(tmp_path))
    assert data.left_out == {"id": "identifier", "weight": "constant", "when.hour": "constant"}
    names = data.preprocessing.encoded_feature_names
    X = dict(zip(names, data.X.T.tolist(), strict=True))
    assert list(X) == [
        *("age", "colour=(missing)", "colour=blue", "colour=red"),
        *("when.days", "when.month", "when.weekday", "age is missing"),
    ]
    # The median of 30, 50 and 40 stands for the missing age; a date beyond the training rows is
    # missing without a feature that says so, and green is no word of theirs.
    assert X["age"] == [30, 40, 50, 40, 20, 10]
    assert X["age is missing"] == [0, 1, 0, 0, 0, 0]
    assert X["colour=(missing)"] == [0, 0, 1, 0, 0, 0]
    assert X["colour=red"] == [1, 0, 0, 1, 0, 1]
    assert X["when.month"] == [1, 2, 3, 4, 5, 2.5]


def test_the_kind_of_a_column_decides_nothing_of_others(tmp_path: Path) -> None:
    data = prepare(of_rows(tmp_path, columns={"words": ["age"]}))
    assert data.left_out == {"id": "identifier", "weight": "constant", "when.hour": "constant"}
    kept = prepare(of_rows(tmp_path, columns={"number": ["weight"], "out": ["when"]}))
    assert kept.left_out == {"id": "identifier"}
    assert kept.dataset.feature_names == ("age", "colour", "weight")


def test_a_format_that_is_not_used_is_said(tmp_path: Path) -> None:
    formats = {"age": "€", "colour": "%", "when": "%Y-%m-%d"}
    given = of_rows(tmp_path, formats=formats, drop=["when"], columns={"words": ["colour"]})
    reading = prepare(given).dataset.reading
    assert reading is not None
    said = [
        "when: data.formats is not used, since it is left out",
        "age: no cell has the sign €",
        "colour: data.formats, %, is of numbers and dates, and these are words",
    ]
    assert list(reading.notes) == said
    assert set(said) <= set(describe(given).notes)


def test_reading_by_what_was_found_out_guesses_nothing_and_finds_the_same(tmp_path: Path) -> None:
    found = prepare(one := of_rows(tmp_path))
    assert isinstance(found.data, FileData)
    assert found.data.columns == {
        "date": ("when",),
        "number": ("age",),
        "out": ("id", "weight"),
        "words": ("label", "colour"),
    }
    assert found.data.formats == {}
    again = prepare(one.model_copy(update={"data": found.data}))
    assert again.data == found.data
    assert again.dataset.digest == found.dataset.digest
    assert again.X.tobytes() == found.X.tobytes()


def test_the_forms_that_cells_had_are_recorded_and_read_by(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"

    def of_file(content: str, **settings: object) -> Experiment:
        table.write_text(f"when,price,label\n{content}")
        data = {"name": "file", "path": str(table), "target": "label", **settings}
        return experiment(data=data, split={"name": "contiguous", "train": 2, "val": 0, "test": 0},
                          training__batch_size=2)  # fmt: skip

    found = prepare(of_file("31/01/2020,5 €,x\n01/02/2020,6 €,y\n")).data
    assert isinstance(found, FileData)
    assert found.formats == {"when": "%d/%m/%Y", "price": "€"}
    # These might as well be months first, and no cell has the sign.
    pinned = {"columns": found.columns, "formats": found.formats}
    again = prepare(of_file("05/01/2020,7,x\n06/02/2020,8,y\n", **pinned))
    assert again.data == found
    assert again.dataset.X[:, 1].tolist() == [1, 2]
    with pytest.raises(DataError, match=r"(?s)dates written as %d/%m/%Y.*2020-01-05.*formats"):
        prepare(of_file("2020-01-05,7,x\n2020-02-06,8,y\n", **pinned))


def test_rarer_words_and_new_ones_share_a_feature(tmp_path: Path) -> None:
    data = prepare(of_rows(tmp_path, max_categories=2, features=["colour"]))
    assert data.preprocessing.encoded_feature_names == ("colour=red", "colour=(other)")
    assert data.X.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0], [0, 1], [1, 0]]


def test_a_table_of_which_nothing_can_be_learned_says_why(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'id' \(identifier\), 'weight' \(constant\)"):
        prepare(of_rows(tmp_path, drop=["age", "colour", "when"]))


def of_classes(folder: Path, **settings: object) -> Experiment:
    rows = [f"{row},{'yes' if row % 4 == 0 else 'no'},{row * 1.5}" for row in range(40)]
    (folder / "t.csv").write_text("\n".join(["x,label,size", *rows]))
    data = {"name": "file", "path": str(folder / "t.csv"), "target": "label"}
    split = {"name": "stratified", "train": 0.6, "val": 0.2, "test": 0.2}
    return experiment(**({"data": data, "split": split} | settings))


@pytest.mark.parametrize(
    ("class_weight", "of_yes", "of_no"),
    # Of 24 training rows 6 are yes: 24 / (2 * 6) and 24 / (2 * 18); 3 and 1 by their mean of 1.5.
    [("balanced", 2.0, 2 / 3), ({"yes": 3.0}, 2.0, 2 / 3), ({True: 3.0, "no": 3.0}, 1.0, 1.0)],
)
def test_class_weights_are_those_of_scikit_learn_with_a_mean_of_one(
    class_weight: object, of_yes: float, of_no: float, tmp_path: Path
) -> None:
    asked = of_classes(tmp_path, training__class_weight=class_weight)
    data = prepare(asked)
    rows = data.examples("train", asked.training.class_weight)
    assert rows.weights is not None
    assert rows.weights[rows.y == 1] == pytest.approx(of_yes)
    assert rows.weights[rows.y == 0] == pytest.approx(of_no)
    assert "objective" in require_fit(asked, data).metrics


def test_what_the_data_decide_stands_in_the_settings(tmp_path: Path) -> None:
    asked = of_classes(tmp_path, training__batch_size="auto")
    found = settled(asked, prepare(asked))
    assert (found.task, found.training.batch_size, found.training.loss) == (
        "classification",
        24,
        None,
    )
    data = {"name": "file", "path": str(tmp_path / "t.csv"), "target": "size"}
    asked = of_classes(tmp_path, data=data)
    found = settled(asked, prepare_cached(asked))
    assert (found.task, found.split.name, found.training.loss) == (
        "regression",
        "shuffled",
        "squared",
    )
    again = prepare_cached(found)
    assert again is prepare_cached(asked)
    assert prepare(found).split.digest == again.split.digest
    assert settled(found, again) == found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sweep__metric": "val/rmse"}, r"sweep\.metric: must be val/ and a metric of task=class"),
        ({"training__loss": "huber"}, r"training\.loss: must be null for task=classification"),
        ({"training__class_weight": {"yess": 2.0}}, "got 'yess'. Did you mean 'yes'?"),
    ],
)
def test_what_does_not_fit_the_task_is_refused(
    settings: dict[str, object], message: str, tmp_path: Path
) -> None:
    asked = of_classes(tmp_path, **settings)
    with pytest.raises(ConfigError, match=message):
        require_fit(asked, prepare(asked))
