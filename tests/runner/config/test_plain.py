"""An experiment as flat keys, JSON and YAML, each of which reads back as the same experiment."""

import json
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from runner.config.plain import SECTIONS, as_override_text, flatten, to_json, to_plain, to_yaml
from runner.config.schema import Experiment
from tests.runner.config.tutorial import experiment


def test_the_sections_are_the_fields_of_an_experiment():
    assert tuple(Experiment.model_fields) == SECTIONS


@given(
    name=st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20)
    | st.sampled_from(["1e-3", "010", "12:30", "on", "null", "~", "0x1F", ".inf", "1_000", "- a"]),
    rate=st.floats(min_value=5e-324, max_value=1e308, exclude_min=False),
    seed=st.integers(0, 2**63 - 1),
)
def test_yaml_and_json_read_back_as_the_same_experiment(name: str, rate: float, seed: int):
    assume("$" not in name)  # Hydra would take it for a reference
    original = experiment(name=name, optimizer__learning_rate=rate, seed=seed)
    text = to_yaml(original)
    by_hydra: Any = OmegaConf.to_container(OmegaConf.create(text))
    for plain in (yaml.safe_load(text), by_hydra, json.loads(to_json(original))):
        assert Experiment.from_dict(plain) == original


def test_password_of_the_store_is_in_no_plain_value():
    secret = experiment(tracking__uri="https://ada:secret@example.org")
    assert "secret" not in f"{to_plain(secret)} {to_json(secret)} {to_yaml(secret)}"


def test_settings_are_flat_in_the_order_of_the_config():
    stopping = {"metric": "val/loss", "patience": 3, "min_delta": 0.1}
    flat = flatten(to_plain(experiment(training__early_stopping=stopping)))
    assert list(flat)[:4] == ["name", "seed", "dtype", "task"]
    assert flat["model.hidden_layer_sizes"] == []
    assert flat["training.early_stopping.patience"] == 3
    assert flatten(to_plain(experiment()))["training.early_stopping"] is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1e-5, "1e-05"),
        (7, "7"),
        (None, "null"),
        (False, "false"),
        ([64, [None, True]], "[64,[null,true]]"),
        ({"a": 1, "b": []}, "{a:1,b:[]}"),
        ("two words", "two words"),
    ],
)
def test_values_are_written_as_on_the_command_line(value: object, text: str):
    assert as_override_text(value) == text
