"""Overrides put single values into a config that is there, in Hydra's grammar, and do no more."""

from typing import Any

import pytest

from runner.config.compose.changes import changed
from runner.system.errors import RunnerError

CONFIG: dict[str, Any] = {
    "seed": 0,
    "model": {"hidden_layer_sizes": [8], "activation": "relu"},
    "training": {"early_stopping": None},
}


@pytest.mark.parametrize(
    ("override", "section", "expected"),
    [
        ("seed=7", "seed", 7),
        ("seed=1e3", "seed", 1000.0),
        ("model.hidden_layer_sizes=[64,32]", "model", {"hidden_layer_sizes": [64, 32]}),
        ("model.activation=tanh", "model", {"activation": "tanh"}),
        (
            "training.early_stopping={metric: val/loss, patience: 3}",
            "training",
            {"early_stopping": {"metric": "val/loss", "patience": 3}},
        ),
        ("training.early_stopping.patience=3", "training", {"early_stopping": {"patience": 3}}),
        ("model.unknown=1", "model", {"unknown": 1}),  # the schema's to refuse, by name
    ],
)
def test_a_value_is_put_in_its_place(override: str, section: str, expected: object) -> None:
    result = changed(CONFIG, [override])
    if isinstance(expected, dict):
        expected = {**CONFIG.get(section, {}), **expected}
    assert result == {**CONFIG, section: expected}


def test_the_config_itself_stays_as_it_is() -> None:
    changed(CONFIG, ["model.activation=tanh", "seed=3"])
    assert CONFIG["model"] == {"hidden_layer_sizes": [8], "activation": "relu"}
    assert CONFIG["seed"] == 0


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed=1,2", "seed=1,2: must be one value; runner --multirun sweeps over several."),
        ("seed=range(0,3)", "must be one value"),
        ("~seed", "must put a plain value in a place (key=value)"),
        ("+seed=1", "must put a plain value"),
        ("seed=${oc.env:HOME}", "must put a plain value"),
        ("seed=???", "must put a plain value"),
        ("hydra.job.name=x", "must put a plain value"),
        ("seed=[1", "seed=[1"),
        ("model=mlp", "must be single settings (model.activation=...) or a whole group ('model={"),
        ("model=mlp", "no file of conf/ is composed into what is on record"),
        ("experiment=digits", "must change a setting (seed, model, training)"),
        ("experiment.seed=1", "must change a setting (seed, model, training)"),
        ("sed=1", "Did you mean 'seed'?"),
    ],
)
def test_what_is_more_than_a_value_is_refused(override: str, expected: str) -> None:
    with pytest.raises(RunnerError) as refused:
        changed(CONFIG, [override])
    assert expected in str(refused.value)
    assert refused.value.exit_code == 2
    assert len(str(refused.value).splitlines()) <= 3
