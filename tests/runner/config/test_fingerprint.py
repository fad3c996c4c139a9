"""What identifies an experiment, and what it looks like to machines."""

from typing import Any

import pytest
import yaml

from runner.config import Experiment, fingerprint, fingerprint_of, to_yaml
from tests.runner.config.tutorial import experiment

DIGEST = "0" * 64


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "other"},
        {"tracking__uri": "http://127.0.0.1:5000"},
        {"sweep__metric": "test/loss"},
        {"split__val": 4},
        {"optimizer__momentum": 0},
    ],
)
def test_key_does_not_depend_on_names_and_places(settings: dict[str, Any]):
    assert fingerprint(experiment(**settings), DIGEST) == fingerprint(experiment(), DIGEST)


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": 1},
        {"dtype": "float32"},
        {"data__scaling": "minmax"},
        {"split__seed": 1},
        {"optimizer__learning_rate": 0.040000000000000001 + 1e-17},
        {"training__evaluate_every": 99},
        {"model__initializer_scale": 2.0},
    ],
)
def test_key_depends_on_what_decides_the_result(settings: dict[str, Any]):
    assert fingerprint(experiment(**settings), DIGEST) != fingerprint(experiment(), DIGEST)


def test_key_depends_on_the_data_and_not_on_their_path():
    def of_file(path: str) -> Experiment:
        return experiment(data={"name": "file", "path": path, "target": "y"})

    assert fingerprint(of_file("a.csv"), DIGEST) == fingerprint(of_file("/b/c.csv"), DIGEST)
    assert fingerprint(experiment(), DIGEST) != fingerprint(experiment(), "1" * 64)


def test_key_stays_what_it_was():
    # A key is stored with its run: this one may change only where results change with it.
    assert fingerprint(experiment(), DIGEST) == (
        "80a86717a6f2a26a5b32013c9dd463b70a3569df0e3b5e24f423a4ae18fafe56"
    )


def test_key_of_recorded_values_is_that_of_the_run_and_knows_no_schema() -> None:
    recorded = yaml.safe_load(to_yaml(experiment()))
    assert fingerprint_of(recorded, DIGEST) == fingerprint(experiment(), DIGEST)
    other = fingerprint_of({**recorded, "of_another_version": 1}, DIGEST)
    assert other != fingerprint(experiment(), DIGEST)
    assert fingerprint_of({"data": "nonsense"}, DIGEST)
