"""Targets become what a loss takes, and predictions become answers in a person's own words."""

import json

import numpy as np
import pyarrow as pa
import pytest

from runner.system.errors import ConfigError, DataError
from runner.training.data.columns import Column, Origin, Rules, numeric_column, text_column
from runner.training.prepare import network_settings
from runner.training.preprocessing import Preprocessing
from runner.training.tasks import (
    TASKS,
    Target,
    best_threshold,
    class_number,
    measured_at,
    task_of,
)
from softnet import (
    Embedding,
    Huber,
    MemberLinear,
    Periodic,
    Scale,
    SharedLinear,
    SoftmaxCrossEntropy,
    SquaredError,
)
from tests.runner.jobs.planned import experiment

ORIGIN = Origin("t.csv", "column 'label'", lambda row: f"line {row + 2}")


def column(values: list[str] | list[float] | np.ndarray, name: str = "label") -> Column:
    if isinstance(values, list) and isinstance(values[0], str):
        return text_column(name, pa.array(values), ORIGIN, Rules())
    return numeric_column(name, np.array(values), ORIGIN)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["y", "x", "y"], "classification"),
        (["true", "false"], "classification"),
        ([0.5, 1.5, 0.5], "classification"),
        ([0.5, 1.5, 2.0], "regression"),
        (np.arange(20.0), "classification"),
        (np.arange(21.0), "regression"),
    ],
)
def test_the_target_tells_the_task(values: list[str], task: str) -> None:
    assert task_of([column(values)]) == task


@pytest.mark.parametrize(
    ("values", "are_quantities"),
    [(["1", "2"], True), ([-1.5, 2.0], True), (["00", "01"], False), (["+", "-"], False)],
)
def test_classes_that_are_numbers_may_be_quantities(
    values: list[str], are_quantities: bool
) -> None:
    y, names = TASKS["classification"].encode([column(values)])
    said = TASKS["classification"].describe(y, names)
    assert said.endswith("task=regression takes them as quantities") == are_quantities


def test_several_targets_are_labels() -> None:
    assert task_of([column([0.0, 1.0]), column([1.0, 0.0])]) == "multilabel"


@pytest.mark.parametrize(
    ("values", "y", "names"),
    [
        (["y", "x", "y"], [1, 0, 1], ("x", "y")),
        (["True", "False"], [1, 0], ("False", "True")),
        (["true", "true", "FALSE"], [1, 1, 0], ("FALSE", "true")),
        ([0.0, 2.0, 0.0], [0, 1, 0], ("0", "2")),
        ([0.5, 2.0, 0.5], [0, 1, 0], ("0.5", "2")),
        ([10.0, 9.0, -1.0], [2, 1, 0], ("-1", "9", "10")),
        ([-0.0, 0.0, 1.0], [0, 0, 1], ("0", "1")),
        ([2.0**53 - 1, 0.0], [1, 0], ("0", "9007199254740991")),
    ],
)
def test_classes_are_numbered_in_order(
    values: list[str] | list[float], y: list[int], names: tuple[str, ...]
) -> None:
    codes, found = TASKS["classification"].encode([column(values)])
    assert codes.tolist() == y
    assert found == names


def test_the_positive_class_comes_last() -> None:
    y, names = TASKS["classification"].encode([column(["no", "yes", "no"])], "no")
    assert (y.tolist(), names) == ([1, 0, 1], ("yes", "no"))


@pytest.mark.parametrize(
    ("name", "names", "number"),
    [
        ("b", "a b", 1),
        ("true", "No Yes", 1),
        ("false", "No Yes", 0),
        ("true", "true yes", 0),
        ("true", "on yes", None),
        ("yes", "a b", None),
    ],
)
def test_a_class_is_found_by_its_name_or_by_what_yaml_makes_of_it(
    name: str, names: str, number: int | None
) -> None:
    assert class_number(name, names.split()) == number


def test_a_quantity_is_standardized_by_the_training_rows() -> None:
    y, names = TASKS["regression"].encode([column([1.0, 3.0, 50.0], "price")])
    assert (y.tolist(), names) == ([1.0, 3.0, 50.0], ("price",))
    target = TASKS["regression"].target(y[:2], names)
    assert target == Target("regression", ("price",), shift=2.0, scale=1.0)
    assert target.loss() == SquaredError.Settings(shift=2.0, scale=1.0)
    assert target.loss("huber") == Huber.Settings(shift=2.0, scale=1.0)
    assert TASKS["regression"].target(y[:1], names).scale == 1.0


def test_labels_are_columns_of_two_values() -> None:
    columns = [column([0.0, 1.0, 1.0], "a"), column(["yes", "no", "yes"], "b")]
    y, names = TASKS["multilabel"].encode(columns)
    assert (y.tolist(), names) == ([[0, 1], [1, 0], [1, 1]], ("a", "b"))


@pytest.mark.parametrize(
    ("task", "values", "positive", "message"),
    [
        ("classification", [1.0, 2.0, 0.5], None, "line 4.*0.5.\ntask=regression learns"),
        ("classification", [1.0, 2.0], "3", r"data\.positive: must be one of the classes"),
        ("classification", ["a", "b", "c"], "a", r"data\.positive: must be null for 3 classes"),
        ("regression", ["a", "b"], None, "line 2.*a number.*'a'.\ntask=classification learns"),
        ("regression", [2.0, 2.0], None, "at least 2 different numbers, got only 2.0"),
        ("multilabel", [0.0, 1.0, 2.0], None, "line 4.*0 or 1, got 2.0"),
    ],
)
def test_a_target_that_does_not_fit_the_task_is_refused(
    task: str, values: list[float], positive: str | None, message: str
) -> None:
    with pytest.raises((DataError, ConfigError), match=message):
        TASKS[task].encode([column(values)], positive)


def preprocessing() -> Preprocessing:
    """Two numbers and, between them, a word of nine and one of two."""
    return Preprocessing(
        feature_names=("x", "many", "few", "y"),
        categories={"many": tuple("abcdefghi"), "few": ("no", "yes")},
        fitted={"many": tuple(range(9)), "few": (0, 1)},
        scaling="none",
        shift=(0.0,) * 4,
        scale=(1.0,) * 4,
    )


def test_inputs_are_embedded_and_members_share_as_the_model_says() -> None:
    chosen = experiment(
        model__number_embedding="periodic",
        model__word_embedding=3,
        model__input_scale=True,
        model__n_members=4,
        model__share="tabm",
    )
    network = network_settings(chosen, preprocessing(), Target("classification", ("a", "b")))
    numbers, words, scale, hidden, _, head = network.layers
    assert numbers == Periodic.Settings((0, 12))
    assert words == Embedding.Settings(((1, 10),), size=3)
    assert scale == Scale.Settings()
    assert hidden == SharedLinear.Settings(5, 4, is_first=True)
    assert (head, network.n_members) == (MemberLinear.Settings(2, 4), 4)


def test_a_network_has_an_output_for_each_name() -> None:
    target = Target("classification", ("a", "b", "c"))
    network = network_settings(experiment(), preprocessing(), target)
    assert network.weight_shapes["layers.2.weight"] == (5, 3)
    assert network.loss == SoftmaxCrossEntropy.Settings()


def answers(task: str, predictions: list[list[float]], names: str, **more: float) -> dict:
    table = TASKS[task].table(np.array(predictions), names.split(), **more)
    return {name: values.tolist() for name, values in table.items()}


def test_predictions_are_answers_in_a_persons_own_words() -> None:
    of_two = [[0.7, 0.3], [0.4, 0.6]]
    table = answers("classification", of_two, "no yes")
    assert table == {"class": ["no", "yes"], "no": [0.7, 0.4], "yes": [0.3, 0.6]}
    assert answers("classification", of_two, "no yes", threshold=0.2)["class"] == ["yes", "yes"]
    assert answers("classification", of_two, "class b")["class_"] == ["class", "b"]
    assert answers("regression", [[1.5], [2.5]], "price") == {"prediction": [1.5, 2.5]}
    assert answers("multilabel", [[0.7, 0.6], [0.4, 0.6]], "a b")["labels"] == ["a b", "b"]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (("yes", "no"), ("yes", "no")),
        (("a/b", "a b"), ("a_b_0", "a_b_1")),
        (("ä",), ("_",)),
        (tuple(map(str, range(51))), ()),
    ],
)
def test_labels_in_names_of_metrics_are_plain_and_differ(
    names: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    assert Target("classification", names).labels == labels


def test_targets_of_other_rows_take_the_numbers_of_training() -> None:
    classes = TASKS["classification"]
    y, known = classes.recode([column(["b", "new", "a"])], Target("classification", ("a", "b")))
    assert (y.tolist(), known.tolist()) == ([1, -1, 0], [True, False, True])
    y, known = classes.recode([column([2.0, np.nan])], Target("classification", ("0", "2")))
    assert (y.tolist(), known.tolist()) == ([1, -1], [True, False])
    price = Target("regression", ("price",))
    y, known = TASKS["regression"].recode([column([2.5, np.nan])], price)
    assert (y[0], known.tolist()) == (2.5, [True, False])


@pytest.mark.parametrize(
    ("words", "cells", "expected"),
    [
        ((), [0.0, 1.0, 2.0, np.nan], [0, 1, None, None]),
        ((), ["True", "True"], [1, 1]),
        (("0", "1"), ["True", "maybe", "false"], [1, None, 0]),
        (("no", "yes"), ["no", "maybe", "yes", ""], [0, None, 1, None]),
        (("no", "yes"), ["yes"], [1]),
        (("no",), ["yes", "no"], [None, 0]),
        # An earlier version recorded no words.
        ((), ["no", "yes"], [None, None]),
    ],
)
def test_labels_of_other_rows_are_read_by_the_words_of_training(
    words: tuple[str, ...], cells: list[str] | list[float], expected: list[int | None]
) -> None:
    target = Target("multilabel", ("a",), words=(words,) if words else ())
    target = Target.from_dict(json.loads(json.dumps(target.to_dict())))
    y, known = TASKS["multilabel"].recode([column(cells)], target)
    assert known.tolist() == [value is not None for value in expected]
    assert y[known, 0].tolist() == [value for value in expected if value is not None]


TWO = Target("classification", ("no", "yes"))
# Of the five rows the labels are 0, 1, 0, 1, 1, in rising order of the score.
SCORES = np.array([0.05, 0.1, 0.2, 0.3, 0.9])
PREDICTED, KNOWN = np.stack([1 - SCORES, SCORES], axis=1), np.array([0, 1, 0, 1, 1])


@pytest.mark.parametrize(
    ("metric", "threshold", "value"),
    # From 0.25 on two of three are found and none is wrong; from 0.075 on all, and one is wrong.
    [("precision_yes", 0.5, 1.0), ("accuracy", 0.25, 0.8), ("recall_yes", 0.075, 1.0)],
)
def test_a_threshold_makes_a_metric_largest(metric: str, threshold: float, value: float) -> None:
    found = best_threshold(metric, PREDICTED, KNOWN, TWO)
    assert found == (pytest.approx(threshold), pytest.approx(value))


def test_answers_are_measured_at_the_threshold_that_gave_them() -> None:
    measured = measured_at(np.array([0.25, 0.5]), PREDICTED, KNOWN, TWO)
    assert measured["recall_yes"].tolist() == [2 / 3, 1 / 3]
    assert measured["accuracy"].tolist() == [0.8, 0.6]
