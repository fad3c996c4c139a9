"""From raw columns to what the network sees: text one-hot encoded, numbers scaled.

Copied into every recorded model, so it needs no more than NumPy and `runner.system.errors`, and is
plain data that JSON can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runner.system.errors import DataError, nearest, shorten

if TYPE_CHECKING:
    from runner.training.data import Dataset

FloatArray = NDArray[np.float64]
Scaling = Literal["none", "standardize", "minmax"]


@dataclass(frozen=True)
class Preprocessing:
    """What turns raw columns into features.

    Parameters
    ----------
    feature_names : tuple of str
        The raw columns, in order.
    categories : mapping of str to tuple of str
        The values of each text column, in the order of their codes.
    fitted : mapping of str to tuple of int
        The codes of each text column that the training rows have: each is a one-hot feature.
    scaling : str
        ``none``, ``standardize`` or ``minmax``.
    shift, scale : tuple of float
        A column of numbers becomes ``(x - shift) / scale``. One of each per raw column; text
        columns have 0 and 1, for a one-hot feature stays 0 or 1.

    Notes
    -----
    standardize takes the mean and the standard deviation of the training rows (over n, not
    n - 1), minmax their minimum and range. A column that is constant in the training rows is
    shifted by its value and not scaled, so it becomes exactly 0 there.

    Examples
    --------
    >>> from runner.training.data.builtin import tutorial_table
    >>> table = tutorial_table()
    >>> fitted = Preprocessing.fit(table, np.arange(8), "minmax")
    >>> fitted.transform(table.X[:1])
    array([[1., 1., 0., 1.]])
    """

    feature_names: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    fitted: Mapping[str, tuple[int, ...]]
    scaling: Scaling
    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @classmethod
    def fit(
        cls, dataset: Dataset, rows: NDArray[np.intp], scaling: Scaling = "none"
    ) -> Preprocessing:
        """Learn categories, shift and scale from the training rows; no other row is looked at.

        Parameters
        ----------
        dataset : Dataset
        rows : ndarray of shape (n_rows,)
            Indices of the training rows.
        scaling : str
            ``none``, ``standardize`` or ``minmax``.
        """
        X = dataset.X[rows]
        shift, scale = _shift_and_scale(X, scaling)
        fitted: dict[str, tuple[int, ...]] = {}
        for column, name in enumerate(dataset.feature_names):
            if name in dataset.categories:
                fitted[name] = tuple(int(code) for code in np.unique(X[:, column]))
                shift[column], scale[column] = 0.0, 1.0
            elif not (np.isfinite(shift[column]) and np.isfinite(scale[column])):
                largest = float(np.abs(X[:, column]).max())
                raise DataError(
                    f"column {shorten(name, 60)}: must hold smaller numbers for data.scaling="
                    f"{scaling}, got {largest}."
                )
        return cls(
            feature_names=tuple(dataset.feature_names),
            categories=dict(dataset.categories),
            fitted=fitted,
            scaling=scaling,
            shift=tuple(shift.tolist()),
            scale=tuple(scale.tolist()),
        )

    @property
    def encoded_feature_names(self) -> tuple[str, ...]:
        """The features that the network sees: ``petal``, ``colour=red``, ``colour=blue``."""
        return tuple(
            name if code is None else f"{name}={self.categories[name][code]}"
            for name in self.feature_names
            for code in self.fitted.get(name, (None,))
        )

    def transform(self, X: FloatArray) -> FloatArray:
        """Encode and scale rows.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_columns)
            Raw columns, text as codes. A code that the training rows did not have gives zeros.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            float64, one column per name in `encoded_feature_names`.
        """
        sources = self._sources()
        columns = [column for column, _ in sources]
        features: FloatArray = X[:, columns] if self.categories else X.copy()
        # A row far outside the training rows may overflow: the network then says so by its loss.
        with np.errstate(over="ignore"):
            features -= np.array(self.shift)[columns]
            features /= np.array(self.scale)[columns]
        for feature, (column, code) in enumerate(sources):
            if code is not None:
                features[:, feature] = X[:, column] == code
        return features

    def _sources(self) -> list[tuple[int, int | None]]:
        """Give the raw column of each feature and, if it is one-hot, the code it stands for."""
        return [
            (column, code)
            for column, name in enumerate(self.feature_names)
            for code in self.fitted.get(name, (None,))
        ]

    def encode_rows(self, columns: Mapping[str, ArrayLike]) -> FloatArray:
        """Turn raw columns into the matrix that `transform` takes.

        Parameters
        ----------
        columns : mapping of str to array_like of shape (n_samples,)
            Each raw column by its name; a pandas DataFrame serves. Others are not looked at.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            Numbers as they are, text as codes, -1 for text that was in no row of the dataset.

        Raises
        ------
        DataError
            If a column is missing, has another length, or holds something else than numbers.
        """
        encoded: list[FloatArray] = []
        for name in self.feature_names:
            if name not in columns:
                hint = nearest(name, [str(other) for other in columns])
                raise DataError(
                    f"column {shorten(name, 60)}: must be there, got none. {hint}".rstrip()
                )
        for name in self.feature_names:
            cells = np.asarray(columns[name])
            if name in self.categories:
                values = _codes(cells, self.categories[name])
            else:
                values = _numbers(cells, name)
            encoded.append(values)
            if values.shape != encoded[0].shape or values.ndim != 1:
                raise DataError(
                    f"column {shorten(name, 60)}: must have {encoded[0].size} values as the first "
                    f"column has, got the shape {values.shape}."
                )
        return np.column_stack(encoded)

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold; its floats keep every bit."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Preprocessing:
        """Rebuild what `to_dict` gave, also after a way through JSON."""
        return cls(
            feature_names=tuple(content["feature_names"]),
            categories={name: tuple(words) for name, words in content["categories"].items()},
            fitted={name: tuple(codes) for name, codes in content["fitted"].items()},
            scaling=content["scaling"],
            shift=tuple(content["shift"]),
            scale=tuple(content["scale"]),
        )


def _shift_and_scale(X: FloatArray, scaling: Scaling) -> tuple[FloatArray, FloatArray]:
    n_columns = X.shape[1]
    if scaling == "none":
        return np.zeros(n_columns), np.ones(n_columns)
    lowest, highest = X.min(axis=0), X.max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):  # `fit` names the column that overflows
        if scaling == "standardize":
            shift, scale = X.mean(axis=0), X.std(axis=0)
        else:
            shift, scale = lowest, highest - lowest
    # The mean of equal numbers can be off by one unit in the last place, their deviation above 0.
    constant = lowest == highest
    shift = np.where(constant, lowest, shift)
    # Numbers so close that their squares vanish have no deviation either.
    scale = np.where(constant | (scale == 0.0), 1.0, scale)
    return shift, scale


def _numbers(cells: NDArray[Any], name: str) -> FloatArray:
    try:
        numbers = cells.astype(np.float64)
    except (TypeError, ValueError):
        numbers = np.array([_number(cell) for cell in cells.flat])
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        cell = cells.flat[row]
        # Out of NumPy's type, so that a message shows 3 and not np.int64(3).
        plain = cell.item() if isinstance(cell, np.generic) else cell
        raise DataError(
            f"row {row} (the first is 0), column {shorten(name, 60)}: must be a finite number, "
            f"got {shorten(plain, 60)}."
        )
    return numbers


def _number(cell: object) -> float:
    """Give a cell as a float, nan for what is no number."""
    try:
        return float(cell)  # type: ignore[arg-type]  # what float() refuses is the question
    except (TypeError, ValueError):
        return float("nan")


def _codes(cells: NDArray[Any], words: Sequence[str]) -> FloatArray:
    code = {word: float(position) for position, word in enumerate(words)}
    return np.array([code.get(str(cell), -1.0) for cell in cells])
