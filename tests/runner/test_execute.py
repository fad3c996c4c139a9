"""From an experiment to results, alone and together."""

from typing import Any

import numpy as np
import pytest

from runner.config import Experiment
from runner.errors import ConfigError
from runner.execute import Result, train
from runner.prepared import prepare

CONFIG: dict[str, Any] = {
    "name": "test",
    "seed": 0,
    "data": {"name": "moons", "n_samples": 60, "noise": 0.1, "seed": 0, "scaling": "standardize"},
    "split": {"name": "shuffled", "train": 40, "val": 10, "test": 10, "seed": 0},
    "model": {"hidden_layer_sizes": [5], "activation": "tanh"},
    "optimizer": {"name": "sgd", "learning_rate": 0.5, "momentum": 0.5},
    "schedule": {"name": "constant"},
    "training": {"steps": 60, "batch_size": 7, "evaluate_every": 5},
}


def experiment(**changes: object) -> Experiment:
    config = {key: dict(v) if isinstance(v, dict) else v for key, v in CONFIG.items()}
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            config[section][name] = value
        else:
            config[section] = value
    return Experiment.from_dict(config)


def told(result: Result) -> tuple[object, ...]:
    """All of a result that must not depend on its stack, floats by their bits."""
    history = [(step, {k: v.hex() for k, v in values.items()}) for step, values in result.history]
    final = {name: value.hex() for name, value in result.final.items()}
    return history, final, result.weights_sha256, result.n_steps, result.best_step, result.failure


def test_results_alone_equal_those_in_a_stack() -> None:
    stopping = {"metric": "val/loss", "patience": 2, "min_delta": 0.0}
    experiments = [
        experiment(seed=1),
        experiment(seed=2, training__early_stopping=stopping),
        experiment(seed=1, optimizer__learning_rate=1e200),
        experiment(seed=3, optimizer__weight_decay=0.01, optimizer__clip_norm=0.1),
        experiment(seed=4, model__initializer="xavier", schedule={"name": "cosine"}),
    ]
    prepared = prepare(experiments[0])
    stacked = train(prepared, experiments)
    assert [told(r) for r in stacked] == [told(train(prepared, [e])[0]) for e in experiments]
    assert stacked[2].failure is not None
    assert stacked[1].final["best/step"] == stacked[1].best_step


def test_final_metrics_are_those_of_the_weights_that_were_kept() -> None:
    stopping = {"metric": "val/loss", "patience": 3, "min_delta": 0.0}
    stopped = experiment(training__early_stopping=stopping, training__steps=2000)
    (result,) = train(prepare(stopped), [stopped])
    best = min(values["val/loss"] for _, values in result.history)
    assert result.stopped_early
    assert result.final["val/loss"] == result.final["best/val/loss"] == best
    assert dict(result.history)[result.best_step or 0]["val/loss"] == best


def test_experiments_of_different_shapes_are_no_stack() -> None:
    experiments = [experiment(), experiment(model__activation="relu")]
    with pytest.raises(ValueError, match="too many values"):
        train(prepare(experiments[0]), experiments)


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    large = experiment(training__batch_size=41)
    with pytest.raises(ConfigError, match="at most 40, the number of training rows, got 41"):
        train(prepare(large), [large])


def test_a_network_that_cannot_fit_is_refused_before_it_is_made() -> None:
    huge = experiment(model__hidden_layer_sizes=[10**9])
    with pytest.raises(ConfigError, match=r"5,000,000,002 parameters need about 400\.0 GB"):
        train(prepare(huge), [huge])


def test_the_digest_of_weights_sees_one_bit() -> None:
    one = experiment()
    (result,) = train(prepare(one), [one])
    before = result.weights_sha256
    weight = result.weights["layers.0.weight"]
    weight[0, 0] = np.nextafter(weight[0, 0], 1)
    assert result.weights_sha256 != before
