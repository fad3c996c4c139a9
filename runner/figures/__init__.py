"""Figures of a run, as PNG files.

matplotlib takes half a second to import, so the modules that draw are imported when first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from runner.training.prepare import Prepared
    from runner.training.train import Result

__all__ = ["draw"]

# The unit of a scaled feature, in words.
_STEPS = {
    "none": "unit",
    "standardize": "standard deviation",
    "minmax": "range",
    "robust": "distance of quartiles",
    "quantile": "unit of the normal scores",
}


def draw(
    prepared: Prepared,
    result: Result,
    predict: Callable[[NDArray[np.floating]], NDArray[np.floating]],
    folder: Path,
    title: str = "",
) -> None:
    """Draw every figure that suits a run into a folder, which is made if it is not there.

    ``learning_curve.png`` and ``predictions.png``; ``confusion_matrix.png`` of classes;
    ``decision_regions.png`` of classes by two columns of numbers; ``weights.png`` of a linear
    model. `predict` takes encoded and scaled rows of shape (n, n_features) and returns predictions
    of shape (n, n_outputs).
    """
    from runner.figures.curves import draw_learning_curve
    from runner.figures.matrices import draw_weights

    folder.mkdir(parents=True, exist_ok=True)
    dataset, preprocessing = prepared.dataset, prepared.preprocessing
    draw_learning_curve(result.history, result.best_step, folder / "learning_curve.png", title)
    part = prepared.parts[-1]  # test rows, or validation or training rows where there are none
    shown, names = prepared.examples(part), dataset.class_names
    predicted = np.asarray(predict(shown.X), np.float64)
    if np.isfinite(predicted).all():
        _draw_predictions(dataset.task, predicted, shown.y, names, part, folder, title)
    if dataset.task == "classification":
        _draw_regions(prepared, predict, folder, title)

    matrices = [array for array in result.weights.values() if array.ndim == 2]
    if len(matrices) == 1:
        features, path = preprocessing.encoded_feature_names, folder / "weights.png"
        draw_weights(matrices[0], features, names, path, title, _STEPS[preprocessing.scaling])


def _draw_predictions(
    task: str,
    predicted: NDArray[np.float64],
    y: NDArray[Any],
    names: Sequence[str],
    part: str,
    folder: Path,
    title: str,
) -> None:
    from runner.figures.matrices import confusion_counts, draw_confusion_matrix
    from runner.figures.predictions import draw_probabilities, draw_quantities
    from runner.figures.scales import SPLITS

    path = folder / "predictions.png"
    if task == "regression":
        draw_quantities(y, predicted[:, 0], names[0], path, title, SPLITS[part])
        return
    truth = y > 0
    if task == "classification":
        truth = y[:, None] == np.arange(len(names))
        counts = confusion_counts(y, predicted.argmax(axis=1), len(names))
        draw_confusion_matrix(counts, names, folder / "confusion_matrix.png", title, SPLITS[part])
    draw_probabilities(truth, predicted, names, path, title, SPLITS[part])


def _draw_regions(
    prepared: Prepared,
    predict: Callable[[NDArray[np.floating]], NDArray[np.floating]],
    folder: Path,
    title: str,
) -> None:
    """Draw which class is predicted where, if there are two columns of numbers."""
    from runner.figures.scales import LARGEST

    dataset, preprocessing = prepared.dataset, prepared.preprocessing
    n_features, largest = dataset.X.shape[1], np.abs(dataset.X).max()
    if n_features == 2 and not dataset.categories and largest < LARGEST:
        from runner.figures.regions import draw_decision_regions

        split = {part: getattr(prepared.split, part) for part in prepared.parts}
        path = folder / "decision_regions.png"

        def predict_raw(X: NDArray[np.float64]) -> NDArray[np.floating]:
            return predict(preprocessing.transform(X))

        draw_decision_regions(predict_raw, dataset, split, path, title)
