"""What is done with raw rows comes back as it was recorded; anything else is refused by name."""

import json
from typing import Any

import pytest

from runner.system.errors import RecordError
from runner.tracking.records import RecordedModel
from runner.training.preprocessing import Preprocessing
from runner.training.tasks import Target
from softnet import mlp
from tests.runner.jobs.planned import experiment

SOUND: dict[str, Any] = {
    "activation": "tanh",
    "class_names": ["cat", "dog", "=1+1"],
    "preprocessing": {
        "feature_names": ["size", "colour"],
        "categories": {"colour": ["blue", "red"]},
        "fitted": {"colour": [0, 1]},
        "scaling": "standardize",
        "shift": [0.1, 0.0],
        "scale": [2.5, 1.0],
    },
}
PARTS = ("feature_names", "categories", "fitted", "scaling", "shift", "scale")


def spoiled(**changes: object) -> bytes:
    values = json.loads(json.dumps(SOUND))
    for name, value in changes.items():
        (values["preprocessing"] if name in PARTS else values)[name] = value
    return json.dumps(values).encode()


def refusal(content: bytes) -> str:
    with pytest.raises(RecordError) as caught:
        RecordedModel.parse(content, "model.json")
    told = str(caught.value)
    assert told.startswith("model.json: ")
    assert len(told) < 300
    assert told.isprintable()
    return told


def test_a_model_is_what_was_recorded() -> None:
    model = RecordedModel.parse(json.dumps(SOUND).encode(), "model.json")
    target = Target("classification", ("cat", "dog", "=1+1"))
    assert (model.activation, model.target) == ("tanh", target)
    assert model.preprocessing == Preprocessing.from_dict(SOUND["preprocessing"])
    own = experiment(model__hidden_layer_sizes=[7, 5], model__activation="relu")
    assert model.network(own) == mlp([3, 7, 5, 3], "relu")


FAULTS: list[tuple[dict[str, object], str]] = [
    ({"activation": "os.system"}, "activation must be one of"),
    ({"activation": None}, "activation"),
    ({"class_names": ["one"]}, "class_names"),
    ({"class_names": ["same", "same"]}, "class_names must differ"),
    ({"class_names": "ab"}, "class_names"),
    ({"class_names": [0, 1]}, "class_names.0"),
    ({"class_names": {"a": 1}}, "class_names"),
    ({"task": "os.system"}, "task must be one of"),
    ({"scale": 0.0}, "scale"),
    ({"_target_": "os.system"}, "_target_"),
    ({"\x1b[2J\nwell": 1}, "\\x1b[2J\\n"),
    ({"k" * 10_000: 1}, "kkk"),
    ({"preprocessing": []}, "preprocessing"),
    ({"feature_names": []}, "feature_names"),
    ({"feature_names": ["size"]}, "a number for each feature name"),
    ({"feature_names": ["size", "size"]}, "each feature name"),
    ({"shift": [0.0]}, "shift and scale must have a number"),
    ({"scale": [1.0, 1.0, 1.0]}, "shift and scale must have a number"),
    ({"scale": [0.0, 1.0]}, "scale must not hold 0"),
    ({"scale": [-0.0, 1.0]}, "scale must not hold 0"),
    ({"scale": [float("nan"), 1.0]}, "scale"),
    ({"shift": [float("inf"), 1.0]}, "shift"),
    ({"shift": ["0", 1.0]}, "shift.0"),
    ({"shift": [True, 1.0]}, "shift.0"),
    ({"shift": [10**400, 1.0]}, "shift.0"),
    ({"scaling": "pickle"}, "scaling"),
    ({"categories": {}}, "of the same feature names"),
    ({"categories": {"other": ["a"]}, "fitted": {"other": [0]}}, "of the same feature names"),
    ({"categories": {"colour": [1]}}, "categories.colour.0"),
    ({"fitted": {"colour": []}}, "places in categories"),
    ({"fitted": {"colour": [2]}}, "places in categories"),
    ({"fitted": {"colour": [0, 0]}}, "each once"),
    ({"categories": {"colour": ["red", "red"]}}, "categories must differ"),
    ({"fitted": {"colour": [-1]}}, "places in categories"),
    ({"fitted": {"colour": [10**30]}}, "places in categories"),
    ({"fitted": {"colour": [0.0]}}, "fitted.colour.0"),
]


@pytest.mark.parametrize(("changes", "says"), FAULTS)
def test_any_other_model_is_refused(changes: dict[str, object], says: str) -> None:
    assert says in refusal(spoiled(**changes))


TEXTS = [
    b"",
    b"null",
    b"[]",
    b"\xff\xfe",
    b"\x80\x04N.",
    b'{"activation": "\\ud800"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"class_names": ' + b"9" * 10_000 + b"}",
    b'{"preprocessing": {"shift": [1e999]}}',
]


@pytest.mark.parametrize("content", TEXTS, ids=range(len(TEXTS)))
def test_what_is_no_such_json_is_refused(content: bytes) -> None:
    refusal(content)
