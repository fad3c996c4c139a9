"""The key of a run: what is in it, and that it stays what it was."""

from typing import Any

import pytest

import runner.config.fingerprint as module
from runner.config.fingerprint import fingerprint_of, job_key, read_recorded
from runner.config.plain import to_plain
from runner.config.schema import Experiment
from tests.runner.config.tutorial import PLAIN, experiment

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
    assert job_key(experiment(**settings), DIGEST) == job_key(experiment(), DIGEST)


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
    assert job_key(experiment(**settings), DIGEST) != job_key(experiment(), DIGEST)


def test_key_depends_on_the_data_and_not_on_their_path():
    def of_file(path: str) -> Experiment:
        return experiment(data={"name": "file", "path": path, "target": "y"})

    assert job_key(of_file("a.csv"), DIGEST) == job_key(of_file("/b/c.csv"), DIGEST)
    assert job_key(experiment(), DIGEST) != job_key(experiment(), "1" * 64)


DIGITS = {
    "name": "digits",
    "seed": 3,
    "dtype": "float32",
    "data": {"name": "digits", "scaling": "standardize"},
    "split": {"name": "stratified", "train": 0.6, "val": 0.2, "test": 0.2},
    "model": {"hidden_layer_sizes": [64]},
    "optimizer": {
        "name": "sgd",
        "learning_rate": 0.01,
        "momentum": 0.9,
        "weight_decay": 0.001,
    },
    "schedule": {"name": "cosine"},
    "training": {
        "epochs": 60,
        "batch_size": 32,
        "early_stopping": {"metric": "val/loss", "patience": 20, "min_delta": 0.0},
    },
}


# The schema after today's, in which tests add a setting.
NEXT = module.SCHEMA + 1


@pytest.mark.parametrize(
    ("plain", "key"),
    [
        (PLAIN, "80a86717a6f2a26a5b32013c9dd463b70a3569df0e3b5e24f423a4ae18fafe56"),
        (DIGITS, "59e0dab239708c036b35cd8187dd38aded83e20015df5a65dd063ecfe45244c8"),
    ],
)
def test_key_stays_what_it_was(plain: dict[str, Any], key: str):
    # A key is stored with its run: these may change only where results change with them.
    assert job_key(Experiment.from_dict(plain), DIGEST) == key


@pytest.mark.parametrize(
    ("setting", "before", "now"),
    [
        ("model.momentum", 0.0, 0.5),
        ("seed_of_dropout", None, 0),
        ("regularization", {"dropout": 0.0, "of": [1]}, {"dropout": 0.0, "of": [2]}),
        ("optimizer[sgd].dampening", False, 0),
    ],
)
def test_added_setting_is_in_a_key_where_it_is_not_what_was_before(
    setting: str, before: object, now: object, monkeypatch: pytest.MonkeyPatch
):
    old = to_plain(experiment())
    key = fingerprint_of(old, DIGEST)
    monkeypatch.setattr(module, "SCHEMA", NEXT)
    monkeypatch.setitem(module.ADDED, NEXT, {setting: before})
    read = read_recorded(old, 1)
    section, _, name = setting.rpartition(".")
    place = read[section.partition("[")[0]] if section else read
    assert place[name] == before
    assert fingerprint_of(old, DIGEST) == fingerprint_of(read, DIGEST) == key
    place[name] = now
    assert read_recorded(read, 1) == read
    assert fingerprint_of(read, DIGEST) != key


@pytest.mark.parametrize("setting", ["optimizer[adam].dampening", "data.file.x", "none.there"])
def test_setting_is_added_only_where_the_schema_has_its_section(
    setting: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "SCHEMA", NEXT)
    monkeypatch.setitem(module.ADDED, NEXT, {setting: 1})
    plain = to_plain(experiment())
    assert read_recorded(plain, 1) == plain
    assert fingerprint_of(plain, DIGEST) == job_key(experiment(), DIGEST)


def test_record_of_todays_schema_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "SCHEMA", NEXT)
    monkeypatch.setitem(module.ADDED, NEXT, {"model.momentum": 0.0})
    assert read_recorded({"model": {}}, NEXT) == {"model": {}}


def test_key_of_recorded_values_is_that_of_the_run_and_knows_no_schema() -> None:
    recorded = to_plain(experiment())
    assert fingerprint_of(recorded, DIGEST) == job_key(experiment(), DIGEST)
    other = fingerprint_of({**recorded, "of_another_version": 1}, DIGEST)
    assert other != job_key(experiment(), DIGEST)
    assert fingerprint_of({"data": "nonsense"}, DIGEST)
