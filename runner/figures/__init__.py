"""Figures of a run, as PNG files.

matplotlib takes half a second to import, so the modules that draw are imported when first needed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from runner.training.prepare import Prepared
    from runner.training.train import Result

__all__ = ["draw"]

# The unit of a scaled feature, in words.
_STEPS = {"none": "unit", "standardize": "standard deviation", "minmax": "range"}


def draw(
    prepared: Prepared,
    result: Result,
    predict_proba: Callable[[NDArray[np.floating]], NDArray[np.floating]],
    folder: Path,
    title: str = "",
) -> None:
    """Draw every figure that suits a run.

    ``learning_curve.png``, ``confusion_matrix.png``; ``decision_regions.png`` for two columns of
    numbers; ``weights.png`` for a linear model.

    Parameters
    ----------
    prepared : Prepared
        The data that the run was trained on.
    result : Result
        The run's history and weights.
    predict_proba : callable
        The trained network: encoded and scaled rows (n, n_features) to class probabilities
        (n, n_classes).
    folder : Path
        Where the files go; made if it is not there.
    title : str
        The name of the run, for the headings.
    """
    from runner.figures.curves import draw_learning_curve
    from runner.figures.matrices import confusion_counts, draw_confusion_matrix, draw_weights
    from runner.figures.scales import LARGEST, SPLITS

    folder.mkdir(parents=True, exist_ok=True)
    dataset, preprocessing = prepared.dataset, prepared.preprocessing
    draw_learning_curve(result.history, result.best_step, folder / "learning_curve.png", title)
    part = prepared.parts[-1]  # test, or else the nearest to it
    shown, names = prepared.examples(part), dataset.class_names
    y_pred = np.asarray(predict_proba(shown.X)).argmax(axis=1)
    counts = confusion_counts(shown.y, y_pred, len(names))
    path = folder / "confusion_matrix.png"
    draw_confusion_matrix(counts, names, path, title, SPLITS[part])

    n_features, largest = dataset.X.shape[1], np.abs(dataset.X).max()
    if n_features == 2 and not dataset.categories and largest < LARGEST:
        from runner.figures.regions import draw_decision_regions

        split = {part: getattr(prepared.split, part) for part in prepared.parts}
        path = folder / "decision_regions.png"

        def predict_raw(X: NDArray[np.float64]) -> NDArray[np.floating]:
            return predict_proba(preprocessing.transform(X))

        draw_decision_regions(predict_raw, dataset, split, path, title)

    matrices = [array for array in result.weights.values() if array.ndim == 2]
    if len(matrices) == 1:
        features, path = preprocessing.encoded_feature_names, folder / "weights.png"
        draw_weights(matrices[0], features, names, path, title, _STEPS[preprocessing.scaling])
