"""Data made ready: the rows of each part, what does not fit them, and when they are read again."""

import os
from pathlib import Path

import numpy as np
import pytest

from runner.config import Experiment
from runner.system.errors import ConfigError, DataError
from runner.training.prepare import prepare, prepared, prepared_unchanged, require_fit
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
    first = prepared(reading(table, seed=1))
    assert prepared(reading(table, seed=2)) is first
    other = prepared(reading(table, split={**SPLIT, "seed": 7}))
    assert other is not first
    assert other.dataset.digest == first.dataset.digest
    assert other.split.digest != first.split.digest


def test_a_file_that_was_written_to_is_read_again(table: Path) -> None:
    before = prepared(reading(table))
    # Of the same size, and within the same tick of a coarse clock.
    stamp = table.stat()
    new = table.with_name("new.csv")
    new.write_text(table.read_text().replace("7,1", "6,1"))
    os.utime(new, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    new.replace(table)
    assert prepared(reading(table)).dataset.digest != before.dataset.digest
    table.unlink()
    with pytest.raises(ConfigError, match=r"rows\.csv"):
        prepared(reading(table))


def test_data_that_changed_since_they_were_planned_are_refused(table: Path) -> None:
    planned = prepared(reading(table))
    digest = planned.dataset.digest
    assert prepared_unchanged(reading(table), digest) is planned
    table.write_text(table.read_text().replace("5,1", "6,1"))
    with pytest.raises(DataError, match=r"rows\.csv: has changed since the sweep was planned"):
        prepared_unchanged(reading(table), digest)
