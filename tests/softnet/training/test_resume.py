"""A training saved and restored goes on with the same bits."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from softnet import (
    NORMALIZATIONS,
    OPTIMIZERS,
    SAMPLINGS,
    SGD,
    Adam,
    AdamW,
    Constant,
    Cosine,
    EarlyStopping,
    Examples,
    NetworkSettings,
    OptimizerSettings,
    Record,
    RMSProp,
    RunSettings,
    StackSettings,
    Training,
    mlp,
)

if TYPE_CHECKING:
    from tests.softnet.conftest import Story

Learnable = Callable[..., Examples]
Tell = Callable[[Training, Iterable[Record]], "list[Story]"]

SIZES = (4, 5, 3)
SETTINGS: dict[str, list[OptimizerSettings]] = {
    "sgd": [
        SGD.Settings(0.3, momentum=0.9),
        SGD.Settings(1e200),
        SGD.Settings(0.2, momentum=0.5, nesterov=True),
        SGD.Settings(0.3, weight_decay=0.01, clip_norm=0.5),
    ],
    "adam": [
        Adam.Settings(0.05),
        Adam.Settings(1e200),
        Adam.Settings(0.02, beta1=0.5),
        Adam.Settings(0.05, weight_decay=0.01, clip_norm=0.5),
    ],
    "adamw": [
        AdamW.Settings(0.05),
        AdamW.Settings(1e200),
        AdamW.Settings(0.02, weight_decay=0.0),
        AdamW.Settings(0.05, weight_decay=0.5, clip_norm=0.5),
    ],
    "rmsprop": [
        RMSProp.Settings(0.02),
        RMSProp.Settings(1e200),
        RMSProp.Settings(0.02, momentum=0.5),
        RMSProp.Settings(0.01, weight_decay=0.01, clip_norm=0.5),
    ],
}


def training(
    learnable: Learnable,
    optimizer: str = "sgd",
    sampling: str = "shuffled",
    dtype: str = "float64",
    n_steps: int = 42,
    evaluate_every: int = 4,
    network: NetworkSettings | None = None,
    averaging: float | None = None,
) -> Training:
    """Make four runs, of which one diverges at once, one stops early, and two go on."""
    # 11 rows in batches of 4: three steps an epoch, so states are taken at all its places.
    settings = StackSettings(
        network or mlp(SIZES),
        n_steps,
        batch_size=4,
        evaluate_every=evaluate_every,
        optimizer=optimizer,
        sampling=sampling,
        dtype=dtype,
        averaging=averaging,
    )
    rules = [EarlyStopping("train/accuracy", patience=2), None, None, EarlyStopping(patience=50)]
    schedules = [Constant(), Constant(), Cosine(warmup_steps=9), Constant(warmup_steps=5)]
    runs = [
        RunSettings(seed, own, schedule, early_stopping=rule)
        for seed, (own, schedule, rule) in enumerate(
            zip(SETTINGS[optimizer], schedules, rules, strict=True)
        )
    ]
    examples = {"train": learnable(SIZES, 11), "val": learnable(SIZES, 9, seed=1)}
    return Training(settings, runs, examples)


def written_and_read(state: dict[str, Any]) -> dict[str, Any]:
    """Send a state through the two plain formats: arrays through npz, all else through JSON."""
    arrays: dict[str, np.ndarray] = {}

    def taken_out(value: object) -> object:
        if isinstance(value, np.ndarray):
            arrays[f"array{len(arrays)}"] = value
            return {"array": f"array{len(arrays) - 1}"}
        if isinstance(value, dict):
            return {key: taken_out(inner) for key, inner in value.items()}
        return [taken_out(inner) for inner in value] if isinstance(value, list) else value

    text = json.dumps(taken_out(state))
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        loaded = dict(stored)
    return json.loads(
        text, object_hook=lambda value: loaded[value["array"]] if "array" in value else value
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_resumed_at_any_record_equals_uninterrupted(
    optimizer: str, sampling: str, dtype: str, learnable: Learnable, stories: Tell
) -> None:
    require_resumable(lambda: training(learnable, optimizer, sampling, dtype), stories)


def require_resumable(make: Callable[[], Training], stories: Tell) -> None:
    """Resume a training from each of its records, at its end too, and compare all that it left."""
    whole = make()
    states, records = [whole.state()], []
    for record in whole:
        records.append(record)
        states.append(whole.state())
    expected = stories(whole, records)
    for n_before, state in enumerate(states):
        resumed = make()
        resumed.restore(written_and_read(state))
        later = list(resumed)
        assert len(later) == len(records) - n_before
        assert stories(resumed, [*records[:n_before], *later]) == expected
        assert resumed.statistics.tobytes() == whole.statistics.tobytes()


@pytest.mark.parametrize("averaging", [None, 0.9])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_resumed_with_chance_statistics_and_averages_equals_uninterrupted(
    dropout: float,
    normalization: str,
    averaging: float | None,
    learnable: Learnable,
    stories: Tell,
) -> None:
    network = mlp((4, 5, 5, 3), dropout=dropout, normalization=normalization, residual=True)
    require_resumable(
        lambda: training(learnable, network=network, averaging=averaging, evaluate_every=9),
        stories,
    )


def test_the_training_that_is_resumed_has_runs_that_are_gone(learnable: Learnable) -> None:
    whole = training(learnable)
    present = {record.step: record.runs.tolist() for record in whole}
    assert whole.failures == [None, "loss is not finite at step 4", None, None]
    assert whole.stopped_early.tolist() == [True, False, False, False]
    assert present[4] == [0, 1, 2, 3]
    assert present[8] == [0, 2, 3]
    assert present[40] == [2, 3]


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_state_survives_json_and_npz(
    optimizer: str, sampling: str, learnable: Learnable, stories: Tell
) -> None:
    whole = training(learnable, optimizer, sampling, "float32")
    records = iter(whole)
    before = [next(records) for _ in range(5)]
    state = written_and_read(whole.state())
    expected = stories(whole, [*before, *records])
    resumed = training(learnable, optimizer, sampling, "float32")
    resumed.restore(state)
    assert stories(resumed, [*before, *resumed]) == expected


def test_a_state_between_two_evaluations_can_be_resumed(
    learnable: Learnable, stories: Tell
) -> None:
    # More steps than fit between two records: those in between carry no metrics, but a state.
    whole = training(learnable, n_steps=700, evaluate_every=600)
    records = iter(whole)
    first = next(records)
    assert first.metrics == {}
    state = whole.state()
    expected = stories(whole, [first, *records])
    resumed = training(learnable, n_steps=700, evaluate_every=600)
    resumed.restore(state)
    assert stories(resumed, [first, *resumed]) == expected


def test_a_state_does_not_change_while_the_training_goes_on(learnable: Learnable) -> None:
    whole = training(learnable)
    records = iter(whole)
    next(records)
    state = whole.state()
    before = json.dumps(state, default=np.ndarray.tolist)
    list(records)
    assert json.dumps(state, default=np.ndarray.tolist) == before


def test_resuming_does_not_change_the_state(learnable: Learnable) -> None:
    whole = training(learnable)
    next(iter(whole))
    state = whole.state()
    before = json.dumps(state, default=np.ndarray.tolist)
    resumed = training(learnable)
    resumed.restore(state)
    list(resumed)
    assert json.dumps(state, default=np.ndarray.tolist) == before


def test_resuming_twice_in_a_row_equals_uninterrupted(learnable: Learnable, stories: Tell) -> None:
    whole = training(learnable, "adam", "with_replacement")
    records = list(whole)
    expected = stories(whole, records)
    current = training(learnable, "adam", "with_replacement")
    seen: list[Record] = []
    for _ in records:
        seen.append(next(iter(current)))
        resumed = training(learnable, "adam", "with_replacement")
        resumed.restore(current.state())
        current = resumed
    assert stories(current, seen) == expected


def test_a_state_of_runs_that_the_training_lacks_is_refused(learnable: Learnable) -> None:
    state = training(learnable).state()
    state["active"] = np.append(state["active"], 4)
    with pytest.raises(
        ValueError, match=r"the state is of the runs \[0 1 2 3 4\], not of \[0 1 2 3\]"
    ):
        training(learnable).restore(state)


def test_a_state_of_another_shape_is_refused(learnable: Learnable) -> None:
    state = training(learnable).state()
    state["parameters"] = state["parameters"][:, 1:]
    with pytest.raises(ValueError, match="broadcast"):
        training(learnable).restore(state)
