"""Warn of data leaks: test rows that also train, and columns that alone tell the target.

Warnings change nothing, since a table may have good reasons for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.system.text import elide
from runner.training.data.tables import listed
from runner.training.outcome import PARTS

if TYPE_CHECKING:
    from runner.training.data import Dataset
    from runner.training.prepare import Prepared

# Below this many rows a column may seem to tell the target by chance.
_FEWEST_ROWS = 50
# An area under the ROC curve, or a share of variance, above which a column tells the target.
_ALMOST_SURE = 0.99


def leaks(prepared: Prepared) -> list[str]:
    """Return a sentence for each sign: test rows that also train, columns that tell the target."""
    dataset, split = prepared.dataset, prepared.split
    sentences: list[str] = []
    hashes = _hashes(dataset)
    n_repeated = int(np.isin(hashes[split.test], hashes[split.train]).sum())
    if n_repeated:
        sentence = f"{n_repeated:,} of {len(split.test):,} test rows also stand in train"
        helps = "; data.group keeps rows that belong together in one part"
        can_help = dataset.roles.keys().isdisjoint({"part", "group"})
        sentences.append(f"{sentence}, target included{helps if can_help else ''}")
    if "group" in dataset.roles:
        groups = dataset.roles["group"]
        of_parts = [np.unique(groups[getattr(split, part)]) for part in PARTS]
        counts = np.unique(np.concatenate(of_parts), return_counts=True)[1]
        if n_torn := int((counts > 1).sum()):
            sentences.append(
                f"{n_torn:,} of {len(counts):,} groups of data.group stand in several parts, as a "
                "column or files of their own say which rows test or validate"
            )
    if len(split.train) >= _FEWEST_ROWS:
        tell = [
            name
            for position, name in enumerate(dataset.feature_names)
            if _tells_target(dataset, position, split.train)
        ]
        if tell:
            sentences.append(
                f"{elide(listed(tell), 100)}{', each' if len(tell) > 1 else ''} alone tells "
                f"{'a label' if dataset.task == 'multilabel' else 'the target'} almost surely; "
                "what new rows will not have is left out by data.drop"
            )
    return sentences


def _hashes(dataset: Dataset) -> NDArray[np.uint64]:
    """Return a number for each row, equal where features and target are; shape (n_samples,)."""
    table = np.column_stack([dataset.X, dataset.y.astype(float)])
    # One bit pattern for -0 and 0, and one for every NaN.
    bits = np.where(np.isnan(table), np.nan, table + 0.0).view(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, bits.shape[1], np.uint64) | np.uint64(1)
    mixed = (bits ^ (bits >> np.uint64(29))) * factors
    hashes: NDArray[np.uint64] = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1, dtype=np.uint64)
    return hashes


def _tells_target(dataset: Dataset, position: int, rows: NDArray[Any]) -> bool:
    """Tell whether one column ranks the classes, or follows the quantities, almost surely.

    Of several labels it is enough that it tells one of them.
    """
    x, y = dataset.X[rows, position], dataset.y[rows]
    present = ~np.isnan(x)
    x, y = x[present], y[present]
    if len(x) < _FEWEST_ROWS or len(np.unique(x)) < 2:
        return False
    is_words = dataset.feature_names[position] in dataset.categories
    categories, of_row, counts = np.unique(x, return_inverse=True, return_counts=True)
    if is_words and len(categories) * 5 > len(x):
        return False  # means of few rows each follow anything
    if dataset.task == "regression":
        guess = (np.bincount(of_row, y) / counts)[of_row] if is_words else x
        with np.errstate(all="ignore"):  # targets that are all alike
            return bool(np.corrcoef(guess, y)[0, 1] ** 2 > _ALMOST_SURE)
    areas = []
    labels = y.T > 0 if y.ndim == 2 else y == np.arange(len(dataset.class_names))[:, None]
    for has_class in labels:
        n_with, n_without = int(has_class.sum()), int((~has_class).sum())
        if not n_with or not n_without:
            continue
        order = np.arange(len(counts))
        if is_words:
            order = np.argsort(np.argsort(np.bincount(of_row, has_class) / counts))
        score = order[of_row]
        sizes = np.bincount(score)
        ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[score]
        area = (ranks[has_class].sum() - n_with * (n_with + 1) / 2) / (n_with * n_without)
        areas.append(max(area, 1 - area))
    choose = max if dataset.task == "multilabel" else min
    return bool(choose(areas, default=0.0) > _ALMOST_SURE)
