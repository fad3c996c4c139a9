"""The estimators, as scikit-learn itself checks those of others."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris, make_regression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import parametrize_with_checks

from runner import Classifier, Regressor
from runner.config.data import FileData
from runner.training.prepare import prepare, settled
from runner.training.train import train


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*array_api:UserWarning")
@parametrize_with_checks([Classifier(epochs=30), Regressor(epochs=30)])
def test_scikit_learn_finds_nothing_to_object_to(
    estimator: object, check: Callable[[object], None]
) -> None:
    check(estimator)


def _flowers() -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    iris = load_iris()
    return iris.data, iris.target_names[iris.target]


def test_a_grid_search_chooses_among_settings_and_cross_validates() -> None:
    X, y = _flowers()
    search = GridSearchCV(
        Classifier(epochs=10),
        {"learning_rate": np.array([0.0001, 0.02]), "hidden_layer_sizes": [(4,), (16,)]},
        cv=3,
        error_score="raise",
    ).fit(X, y)
    assert search.best_params_["learning_rate"] == 0.02
    scores = cross_validate(search.best_estimator_, X, y, cv=3, scoring="roc_auc_ovr")
    assert scores["test_score"].mean() > 0.95


def test_a_pipeline_encodes_words_and_missing_numbers_are_filled() -> None:
    X, y = _flowers()
    table = X.astype(object)
    table[::7, 0] = np.nan
    table[:, 3] = np.where(X[:, 3] < 1, "narrow", "wide")
    encoded = make_column_transformer((OneHotEncoder(), [3]), remainder="passthrough")
    model = make_pipeline(encoded, Classifier(epochs=40)).fit(table, y)
    assert model.score(table, y) > 0.9
    again = pickle.loads(pickle.dumps(model))  # noqa: S301  (made in this line)
    np.testing.assert_array_equal(again.predict_proba(table), model.predict_proba(table))


@pytest.mark.parametrize("kind", [Classifier, Regressor])
def test_an_estimator_has_the_bits_of_a_run_on_the_same_rows(
    kind: type[Classifier | Regressor], tmp_path: Path
) -> None:
    X, y = _flowers() if kind is Classifier else make_regression(80, 3, random_state=0)
    model = kind(epochs=5, random_state=7).fit(X, y)
    names = [f"x{n}" for n in range(X.shape[1])]
    lines = [
        ",".join([*map(repr, row), str(label)]) for row, label in zip(X.tolist(), y, strict=True)
    ]
    file = tmp_path / "rows.csv"
    file.write_text("\n".join([",".join([*names, "y"]), *lines]), "utf-8")
    data = FileData(name="file", path=str(file), target="y", scaling="robust")
    asked = model.experiment_.model_copy(update={"data": data})
    prepared = prepare(asked)
    (result,) = train(prepared, [settled(asked, prepared)])
    assert {k: w.tobytes() for k, w in result.weights.items()} == {
        k: w.tobytes() for k, w in model.weights_.items()
    }
    assert result.final == model.metrics_


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "rel"}, r"model\.activation: must be one of .*, got 'rel'\. Did you mean"),
        ({"settings": {"training.los": 1}}, r"training\.los: must be a setting of training"),
        (
            {"settings": {"training.init_from": "ab"}},
            r"training\.init_from: must be null for an estimator, got 'ab'\.",
        ),
        ({"learning_rate": 1e300}, "loss"),
    ],
)
def test_a_wrong_setting_is_a_value_error(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Classifier(epochs=2, **settings).fit(*_flowers())  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{"hidden_layer_sizes": []}, {"n_members": 1}])
def test_weights_are_shared_only_by_members_with_hidden_layers(settings: dict[str, object]) -> None:
    model = Classifier(epochs=1, **settings).fit(*_flowers())  # type: ignore[arg-type]
    assert not any("scale_in" in name for name in model.weights_)


def test_the_defaults_are_those_of_a_table_of_ones_own() -> None:
    from runner.cli.help import HELP
    from runner.config.compose import compose

    (job,) = compose(["experiment=own"], HELP) or []
    own, settings = job.config, Classifier().get_params()
    assert own["model"]["hidden_layer_sizes"] == list(settings["hidden_layer_sizes"])
    for section, names in {
        "model": ["activation", "dropout", "number_embedding", "n_members"],
        "optimizer": ["learning_rate", "weight_decay"],
        "training": ["epochs", "batch_size"],
        "data": ["scaling"],
    }.items():
        assert {n: own[section][n] for n in names} == {n: settings[n] for n in names}
    assert own["training"]["early_stopping"]["patience"] == settings["patience"]
    trained = Classifier(epochs=1).fit(*_flowers()).experiment_
    assert own["model"]["share"] == trained.model.share
    assert own["training"]["evaluate_every"] == trained.training.evaluate_every
    assert own["optimizer"]["name"] == settings["optimizer"]
