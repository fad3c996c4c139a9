"""scikit-learn estimators, trained as the command trains: the same preparation, loop and bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from runner.config.plain import with_settings
from runner.config.schema import Experiment
from runner.system.errors import ConfigError, RunnerError
from runner.training.data.dataset import Dataset
from runner.training.prepare import prepare_dataset, require_fit, settled
from runner.training.train import train
from softnet import Network

# What scikit-learn's check of rows is told; a missing number is NaN.
_ROWS: dict[str, Any] = {"dtype": np.float64, "ensure_all_finite": "allow-nan"}


class _Estimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """What both kinds have: settings in, a network trained on the rows, predictions out."""

    _task: ClassVar[str]

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        *,
        activation: str = "relu",
        dropout: float = 0.1,
        number_embedding: str = "piecewise_linear",
        n_members: int = 8,
        optimizer: str = "adamw",
        learning_rate: float = 0.003,
        weight_decay: float = 0.02,
        schedule: str = "cosine",
        epochs: int = 60,
        batch_size: int | str = "auto",
        validation_fraction: float = 0.2,
        patience: int | None = 10,
        scaling: str = "robust",
        random_state: int | np.random.RandomState | None = 0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.number_embedding = number_embedding
        self.n_members = n_members
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.scaling = scaling
        self.random_state = random_state
        self.settings = settings

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401  (scikit-learn ships no types)
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _experiment(self, names: Sequence[str], n_rows: int) -> Experiment:
        """Return the settings as an experiment; what is wrong is a ConfigError."""
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(2**31)
        n_val = round(self.validation_fraction * n_rows)
        stopping = {"metric": "val/loss", "patience": self.patience, "min_delta": 0.0}
        values = {
            "name": type(self).__name__,
            "seed": seed,
            "task": self._task,
            "data.name": "file",
            "data.path": "arrays",
            "data.features": list(names),
            "data.scaling": self.scaling,
            "split.name": "stratified",
            "split.train": n_rows - n_val,
            "split.val": n_val,
            "split.test": 0,
            "model.hidden_layer_sizes": list(self.hidden_layer_sizes),
            "model.activation": self.activation,
            "model.dropout": self.dropout,
            "model.number_embedding": self.number_embedding,
            "model.n_members": self.n_members,
            "model.share": "tabm",
            "optimizer.name": self.optimizer,
            "optimizer.learning_rate": self.learning_rate,
            "optimizer.weight_decay": self.weight_decay,
            "schedule.name": self.schedule,
            "training.epochs": self.epochs,
            "training.batch_size": self.batch_size,
            "training.evaluate_every": 2,
            "training.early_stopping": stopping if n_val and self.patience is not None else None,
        }
        return Experiment.from_dict(with_settings({}, values | dict(self.settings or {})))

    def _fit(self, X: NDArray[np.float64], y: NDArray[Any], classes: Sequence[str]) -> Self:
        names = getattr(self, "feature_names_in_", [f"x{n}" for n in range(X.shape[1])])
        try:
            experiment = self._experiment(list(names), len(y))
            if experiment.training.init_from is not None:
                got, hint = experiment.training.init_from, "runner.run goes on from a run."
                raise ConfigError("training.init_from", "null for an estimator", got, hint)
            dataset = Dataset(
                name="arrays",
                feature_names=tuple(names),
                X=X,
                y=y,
                class_names=tuple(classes),
                source="arrays",
                task=self._task,
            )
            prepared = prepare_dataset(experiment, dataset)
            experiment = settled(experiment, prepared)
            (result,) = train(prepared, [experiment])
        except RunnerError as error:
            raise ValueError(str(error)) from error
        if result.failure:
            raise ValueError(f"{type(self).__name__}: {result.failure}")
        self.experiment_, self.metrics_ = experiment, dict(result.final)
        self.weights_, self.n_steps_ = dict(result.weights), result.n_steps
        self._preprocessing = prepared.preprocessing
        self._network = require_fit(experiment, prepared).network
        return self

    def _predict(self, X: ArrayLike) -> NDArray[Any]:
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, **_ROWS)
        network = Network.from_weights(self.weights_, self._network)
        predictions: NDArray[Any] = network.predict(self._preprocessing.transform(rows))[0]
        return predictions

    def _examples(
        self, X: ArrayLike, y: ArrayLike, **more: bool
    ) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Check rows and targets as scikit-learn's own estimators do."""
        # From two on: a row alone neither has two classes nor quantities that differ.
        rows, targets = validate_data(self, X, y, **_ROWS, ensure_min_samples=2, **more)
        return rows, column_or_1d(targets, warn=True)


class Classifier(ClassifierMixin, _Estimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A classifier for scikit-learn: pipelines, `cross_validate` and `GridSearchCV` take it.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int
        Units of each hidden layer.
    activation, number_embedding, optimizer, schedule, scaling : str
        Names, as the config has them.
    n_members : int
        Networks that share their weights and whose predictions are averaged.
    dropout, learning_rate, weight_decay : float
    epochs, batch_size : int
        ``auto`` is 32, or all training rows where there are fewer.
    validation_fraction : float
        Share of the rows that choose the weights that are kept; 0 keeps the last ones.
    patience : int or None
        Evaluations, one in two epochs, without improvement after which training stops; None never
        stops.
    random_state : int, RandomState or None
        The seed: equal ones give equal bits. None draws one.
    settings : mapping or None
        Any other setting by its dotted key: ``{"training.label_smoothing": 0.1}``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    metrics_ : dict of str to float
        Final values, such as ``val/accuracy``.
    weights_ : dict of str to ndarray
    n_steps_ : int
        Updates taken.
    experiment_ : Experiment
        The settings as they were trained.

    Examples
    --------
    >>> X, y = [[0.0], [1.0], [0.1], [0.9], [0.2], [0.8]], ["no", "yes"] * 3
    >>> Classifier(validation_fraction=0).fit(X, y).predict([[0.05], [0.95]])
    array(['no', 'yes'], dtype='<U3')
    """

    _task = "classification"

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on numbers of shape (n_samples, n_features), NaN where one is missing."""
        rows, labels = self._examples(X, y)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y: must hold at least 2 classes, got 1 class: {self.classes_[0]!r}.")
        return self._fit(rows, codes, [str(name) for name in self.classes_])

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the probability of each class, (n_samples, n_classes)."""
        return self._predict(X)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most probable class of each row."""
        predicted = self._predict(X)
        classes: NDArray[Any] = self.classes_[np.argmax(predicted, axis=1)]
        return classes


class Regressor(RegressorMixin, _Estimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A regressor for scikit-learn; its parameters are those of `Classifier`.

    Examples
    --------
    >>> X = [[x / 10] for x in range(20)]
    >>> model = Regressor(epochs=100, validation_fraction=0).fit(X, [3 * x for x, in X])
    >>> bool(abs(model.predict([[0.5]])[0] - 1.5) < 0.1)
    True
    """

    _task = "regression"

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train on numbers of shape (n_samples, n_features), NaN where one is missing."""
        rows, quantities = self._examples(X, y, y_numeric=True)
        return self._fit(rows, quantities.astype(np.float64), ["y"])

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the quantity of each row, in the target's units."""
        return self._predict(X)[:, 0]
