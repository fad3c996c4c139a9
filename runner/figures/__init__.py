"""Figures of a run as PNG files: how it learned, what it mistakes, what it has learned.

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

# What one step of a scaled feature is.
_STEPS = {"none": "unit", "standardize": "standard deviation", "minmax": "range"}


def draw(
    prepared: Prepared,
    result: Result,
    predict_proba: Callable[[NDArray[np.floating]], NDArray[np.floating]],
    folder: Path,
    title: str = "",
) -> list[Path]:
    """Draw every figure that suits a run.

    Parameters
    ----------
    prepared : Prepared
        The data it learned from.
    result : Result
        What it left.
    predict_proba : callable
        Its network: encoded and scaled rows (n, n_features) to class probabilities
        (n, n_classes).
    folder : Path
        Where the files go; made if it is not there.
    title : str
        The name of the run, for the headings.

    Returns
    -------
    list of Path
        ``learning_curve.png``, ``confusion_matrix.png``; ``decision_regions.png`` for two columns
        of numbers; ``weights.png`` for a linear model.
    """
    from runner.figures.curves import draw_learning_curve
    from runner.figures.matrices import draw_confusion_matrix, draw_weights
    from runner.figures.scales import LARGEST, SPLITS

    folder.mkdir(parents=True, exist_ok=True)
    dataset, preprocessing = prepared.dataset, prepared.preprocessing
    curve, matrix = folder / "learning_curve.png", folder / "confusion_matrix.png"
    drawn = [curve, matrix]
    draw_learning_curve(result.history, result.best_step, curve, title)
    part = prepared.parts[-1]  # test, or else the nearest to it
    shown = prepared.examples(part)
    y_pred = np.asarray(predict_proba(shown.X)).argmax(axis=1)
    draw_confusion_matrix(shown.y, y_pred, dataset.class_names, matrix, title, SPLITS[part])

    n_features, largest = dataset.X.shape[1], np.abs(dataset.X).max()
    if n_features == 2 and not dataset.categories and largest < LARGEST:
        from runner.figures.regions import draw_decision_regions

        drawn.append(folder / "decision_regions.png")
        draw_decision_regions(
            lambda X: predict_proba(preprocessing.transform(X)), dataset.X, dataset.y,
            {part: getattr(prepared.split, part) for part in prepared.parts},
            dataset.feature_names, dataset.class_names, drawn[-1], title,
        )  # fmt: skip

    matrices = [array for array in result.weights.values() if array.ndim == 2]
    if len(matrices) == 1:
        drawn.append(folder / "weights.png")
        draw_weights(
            matrices[0], preprocessing.encoded_feature_names, dataset.class_names, drawn[-1],
            title, _STEPS[preprocessing.scaling],
        )  # fmt: skip
    return drawn
