"""From raw columns to what the network sees: text one-hot encoded, numbers scaled.

Copied into every recorded model, so it needs no more than NumPy, `runner.system.errors` and
`runner.training.cells`, and is plain data that JSON can hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runner.system.errors import DataError, nearest, shorten
from runner.training.cells import ISO, NO_NUMBER, CellFormat, date_text, days_of

if TYPE_CHECKING:
    from runner.training.data import Dataset

FloatArray = NDArray[np.float64]
Scaling = Literal["none", "standardize", "minmax", "robust", "quantile"]
# In the place of the code of a word: one that is in no row of the dataset, and none at all.
_UNSEEN, _MISSING = -1.0, -2.0
# The most quantiles of a column that are kept.
_MOST_QUANTILES = 500


@dataclass(frozen=True)
class Preprocessing:
    """What turns raw columns into features.

    Notes
    -----
    standardize takes the mean and the standard deviation of the training rows (over n, not
    n - 1), minmax their minimum and range. A column that is constant in the training rows is
    shifted by its value and not scaled, so it becomes exactly 0 there.

    robust takes the median and the distance between the quartiles, or half the range where that is
    0, and then ``x / sqrt(1 + (x / 3)**2)``, which stays within -3 and 3 (Holzmueller et al. 2024).
    quantile puts the normal distribution's quantile in the place of the column's.

    Examples
    --------
    >>> from runner.training.data.builtin import tutorial_table
    >>> table = tutorial_table()
    >>> fitted = Preprocessing.fit(table, np.arange(8), "minmax")
    >>> fitted.transform(table.X[:1])
    array([[1., 1., 0., 1.]])
    """

    feature_names: tuple[str, ...]  # the raw columns, in order
    # The values of each text column, in the order of their codes.
    categories: Mapping[str, tuple[str, ...]]
    # The codes of each text column that the training rows have: each is a one-hot feature.
    fitted: Mapping[str, tuple[int, ...]]
    scaling: Scaling  # ``none``, ``standardize``, ``minmax``, ``robust`` or ``quantile``
    # A column of numbers becomes ``(x - shift) / scale``. One of each per raw column; text columns
    # have 0 and 1, for a one-hot feature stays 0 or 1.
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    # What a missing number of each column becomes; empty where none may be missing.
    fill: tuple[float, ...] = ()
    # The columns that have a further feature, 1 where the number is missing.
    flagged: tuple[str, ...] = ()
    # The text columns with a further feature, 1 for a word that has none of its own.
    pooled: tuple[str, ...] = ()
    # How the dates of a raw column are written, by its name: a `datetime.strptime` format, or ISO
    # 8601. In X each is a column of days since 1970, month, weekday and hour, as far as
    # `feature_names` has them.
    dates: Mapping[str, str] = field(default_factory=dict)
    # Of each column of numbers, where the scaling is by quantiles: some of its values, rising, and
    # what they become. Between them it is a straight line, beyond them the last one's.
    quantiles: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = field(
        default_factory=dict
    )
    # They change no feature, and say nothing against a record that lacks them.
    # The range of each raw column in the training rows; empty in records of before.
    lowest: tuple[float, ...] = field(default=(), compare=False)
    highest: tuple[float, ...] = field(default=(), compare=False)
    # How the cells of the file are written.
    cells: CellFormat = field(default=CellFormat(), compare=False)

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        rows: NDArray[np.intp],
        scaling: Scaling = "none",
        max_categories: int | None = None,
        *,
        fills: bool = False,
    ) -> Preprocessing:
        """Learn categories, medians, shift and scale from the training rows alone.

        A column of text becomes at most `max_categories` features: its rarer words share one. Where
        it `fills`, numbers may be missing; the median of the others then stands for them.
        """
        X = dataset.X[rows]
        missing = np.isnan(X)
        fill = np.zeros(X.shape[1])
        if fills:
            for column, numbers in enumerate(_columns_of(X)):
                if dataset.feature_names[column] not in dataset.categories:
                    present = numbers[~np.isnan(numbers)]
                    fill[column] = np.median(present) if present.size else 0.0
        flagged = tuple(np.array(dataset.feature_names)[missing.any(axis=0)].tolist())
        if flagged:
            X = np.where(missing, fill, X)
        shift, scale = _shift_and_scale(X, scaling)
        fitted: dict[str, tuple[int, ...]] = {}
        quantiles = {}
        pooled = []
        for column, name in enumerate(dataset.feature_names):
            if name in dataset.categories:
                codes, counts = np.unique(X[:, column], return_counts=True)
                if max_categories is not None and len(codes) > max_categories:
                    common = np.argsort(-counts, kind="stable")[: max_categories - 1]
                    codes = codes[np.sort(common)]
                    pooled.append(name)
                fitted[name] = tuple(int(code) for code in codes)
                shift[column], scale[column] = 0.0, 1.0
            elif not (np.isfinite(shift[column]) and np.isfinite(scale[column])):
                largest = float(np.abs(X[:, column]).max())
                raise DataError(
                    f"column {shorten(name, 60)}: must hold smaller numbers for data.scaling="
                    f"{scaling}, got {largest}."
                )
            elif scaling == "quantile":
                quantiles[name] = _quantiles(X[:, column])
        return cls(
            feature_names=tuple(dataset.feature_names),
            categories=dict(dataset.categories),
            fitted=fitted,
            scaling=scaling,
            shift=tuple(shift.tolist()),
            scale=tuple(scale.tolist()),
            fill=tuple(fill.tolist()) if fills else (),
            flagged=flagged,
            pooled=tuple(pooled),
            dates={
                name: form
                for name, form in dataset.dates.items()
                if any(part in dataset.feature_names for part in date_columns(name))
            },
            quantiles=quantiles,
            lowest=tuple(X.min(axis=0).tolist()),
            highest=tuple(X.max(axis=0).tolist()),
            cells=CellFormat() if dataset.reading is None else dataset.reading.cells,
        )

    def with_fit_of(self, other: Preprocessing) -> Preprocessing:
        """Return this preprocessing with what another has learned of the same columns.

        Rows keep the codes of their words; a word that the other has not learned has no feature.
        """
        categories, fitted = dict(self.categories), {}
        for name, codes in other.fitted.items():
            words = [other.categories[name][code] for code in codes]
            known = list(dict.fromkeys([*self.categories[name], *words]))
            categories[name], fitted[name] = tuple(known), tuple(map(known.index, words))
        return replace(
            other,
            categories=categories,
            fitted=fitted,
            dates=self.dates,
            lowest=self.lowest,
            highest=self.highest,
            cells=self.cells,
        )

    @property
    def raw_names(self) -> tuple[str, ...]:
        """The columns of a person's table that are read, a date as one."""
        parts = {part: name for name in self.dates for part in date_columns(name)}
        return tuple(dict.fromkeys(parts.get(name, name) for name in self.feature_names))

    @property
    def encoded_feature_names(self) -> tuple[str, ...]:
        """The features that the network sees: ``petal``, ``colour=red``, ``colour=blue``."""
        return (
            *(
                name if code is None else f"{name}={self.categories[name][code] or '(missing)'}"
                for name in self.feature_names
                for code in self.fitted.get(name, (None,))
            ),
            *(f"{name} is missing" for name in self.flagged),
            *(f"{name}=(other)" for name in self.pooled),
        )

    def transform(self, X: FloatArray) -> FloatArray:
        """Encode and scale raw columns, of shape (n_samples, n_columns).

        Text comes as codes, a missing number as NaN. The result is in float64, of shape (n_samples,
        n_features), with a column per name in `encoded_feature_names`. A code that the training
        rows did not have gives zeros, or the feature of the rarer words.
        """
        sources = self._sources()
        columns = [column for column, _ in sources]
        names = list(self.feature_names)
        extra = [np.isnan(X[:, names.index(name)]) for name in self.flagged]
        extra += [~np.isin(X[:, names.index(name)], self.fitted[name]) for name in self.pooled]
        # A copy, which is made once: of a large table each takes as long as scaling it.
        features: FloatArray = np.where(np.isnan(X), self.fill, X) if self.fill else X.copy()
        if self.categories:
            X = features
            features = X[:, columns]
        # A row far outside the training rows may overflow: the network then says so by its loss.
        with np.errstate(over="ignore"):
            features -= np.array(self.shift)[columns]
            features /= np.array(self.scale)[columns]
            if self.scaling == "robust":
                features /= np.sqrt(1 + np.square(features / 3))
        for column, name in enumerate(self.feature_names):
            if name in self.quantiles:  # whose shift is 0 and whose scale is 1
                feature = columns.index(column)
                features[:, feature] = np.interp(features[:, feature], *self.quantiles[name])
        for feature, (column, code) in enumerate(sources):
            if code is not None:
                features[:, feature] = X[:, column] == code
        return np.column_stack([features, *extra]) if extra else features

    @property
    def number_features(self) -> tuple[int, ...]:
        """The encoded features that are numbers."""
        return tuple(n for n, (_, code) in enumerate(self._sources()) if code is None)

    @property
    def word_features(self) -> tuple[tuple[int, int], ...]:
        """First and last encoded feature of each text column, the last one excluded."""
        columns = [column for column, _ in self._sources()]
        words = {column for column, code in self._sources() if code is not None}
        firsts = ((columns.index(column), columns.count(column)) for column in sorted(words))
        return tuple((first, first + n) for first, n in firsts)

    def _sources(self) -> list[tuple[int, int | None]]:
        """Give the raw column of each feature and, if it is one-hot, the code it stands for."""
        return [
            (column, code)
            for column, name in enumerate(self.feature_names)
            for code in self.fitted.get(name, (None,))
        ]

    def encode_rows(self, columns: Mapping[str, ArrayLike]) -> FloatArray:
        """Turn raw columns, each of `raw_names`, into the matrix that `transform` takes.

        A pandas DataFrame serves; other columns are not looked at. Numbers stay as they are, NaN
        where one is missing; text becomes codes, -1 for a word that was in no row of the dataset,
        -2 for a missing one where none was missing there. Raises `DataError` if a column is
        missing, has another length, or holds something else than numbers.
        """
        for name in self.raw_names:
            if name not in columns:
                hint = nearest(name, [str(other) for other in columns])
                raise DataError(
                    f"column {shorten(name, 60)}: must be there, got none. {hint}".rstrip()
                )
        encoded: dict[str, FloatArray] = {}
        n_rows = np.size(columns[self.raw_names[0]])
        for name in self.raw_names:
            cells = np.asarray(columns[name])
            if cells.shape != (n_rows,):
                raise DataError(
                    f"column {shorten(name, 60)}: must have {n_rows} values as the first column "
                    f"has, got the shape {cells.shape}."
                )
            if name in self.categories:
                encoded[name] = self._codes(cells, name)
            elif name in self.dates:
                days = self._days(cells, name)
                encoded |= zip(date_columns(name), date_parts(days), strict=True)
            else:
                encoded[name] = self._numbers(cells, name)
        return np.column_stack([encoded[name] for name in self.feature_names])

    def decode_rows(self, X: FloatArray) -> dict[str, list[Any]]:
        """Turn rows of the matrix that `encode_rows` makes back into raw columns.

        A missing number or date is None, a missing word ''.
        """
        raw: dict[str, list[Any]] = {}
        by_name = dict(zip(self.feature_names, X.T, strict=True))
        for name in self.raw_names:
            if name in self.categories:
                raw[name] = [self.categories[name][int(code)] for code in by_name[name]]
            elif name in self.dates:
                days, _, _, hours = (
                    by_name.get(part, np.zeros(len(X))) for part in date_columns(name)
                )
                raw[name] = [
                    None if np.isnan(d) else date_text(d, self.dates[name])
                    for d in days + hours / 24
                ]
            else:
                raw[name] = [None if np.isnan(value) else float(value) for value in by_name[name]]
        return raw

    def to_dict(self) -> dict[str, Any]:
        """Give what JSON can hold; its floats keep every bit."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Preprocessing:
        """Rebuild what `to_dict` gave, also after a way through JSON."""
        values: dict[str, Any] = {k: content[k] for k in cls.__dataclass_fields__ if k in content}
        for key, value in values.items():
            if isinstance(value, list):
                values[key] = tuple(value)
            elif key in ("categories", "fitted"):
                values[key] = {name: tuple(items) for name, items in value.items()}
            elif key == "cells":
                missing_values = tuple(value["missing_values"])
                values[key] = CellFormat(**{**value, "missing_values": missing_values})
            elif key == "quantiles":
                values[key] = {name: tuple(map(tuple, pair)) for name, pair in value.items()}
        return cls(**values)

    def remarks(self, encoded: FloatArray) -> tuple[str, str]:
        """Say of new rows which cells are missing, and which are none that training has seen.

        `encoded` is what `encode_rows` returns, (n_samples, n_columns).
        """
        raw = {part: name for name in self.dates for part in date_columns(name)}
        bounds = zip(self.lowest, self.highest, strict=True) if self.lowest else ()
        ranges = dict(zip(self.feature_names, bounds, strict=bool(self.lowest)))
        missing, outside, unseen = (
            {name: np.zeros(len(encoded), bool) for name in self.raw_names} for _ in range(3)
        )
        for feature, values in zip(self.feature_names, encoded.T, strict=True):
            name = raw.get(feature, feature)
            if name in self.categories:
                empty = [code for code, word in enumerate(self.categories[name]) if not word]
                missing[name] |= np.isin(values, [*empty, _MISSING])
                unseen[name] |= values == _UNSEEN
            else:
                low, high = ranges.get(feature, (-np.inf, np.inf))
                missing[name] |= np.isnan(values)
                outside[name] |= (values < low) | (values > high)
        cells, numbers, words = map(_counts, (missing, outside, unseen))
        new = f"out of the training range: {numbers}; words that training has not seen: {words}"
        return f"missing cells: {cells}", new

    def _numbers(self, cells: NDArray[Any], name: str) -> FloatArray:
        """Read numbers; NaN for a missing one."""
        if cells.dtype.kind in "biuf":
            numbers = cells.astype(np.float64)
        else:
            numbers = np.array([self._number(cell, name) for cell in cells], np.float64)
        if missing := self.cells.missing_numbers:
            numbers[np.isin(numbers, missing)] = np.nan
        is_bad = np.isinf(numbers) if self.fill else ~np.isfinite(numbers)
        if is_bad.any():
            mark = "" if self.cells.decimal == "." else " with a comma as its decimal mark"
            unit = (self.cells.units or {}).get(name)
            sign = f", such as '{self.cells.text(1.5)} {unit}'" if unit else ""
            raise _bad_cell(cells, int(np.argmax(is_bad)), name, f"a finite number{mark}{sign}")
        return numbers

    def _number(self, cell: object, name: str) -> float:
        """Read a cell, as inf where it is no number."""
        if _is_missing(cell):
            return np.nan
        try:
            number = self.cells.number(cell, name) if isinstance(cell, str) else float(cell)  # type: ignore[arg-type]  # what float() refuses is the question
        except (TypeError, ValueError):
            number = None
        return np.inf if number is None else number

    def _codes(self, cells: NDArray[Any], name: str) -> FloatArray:
        """Return the codes of words."""
        code = {word: float(position) for position, word in enumerate(self.categories[name])}
        # pandas reads the word NA as NaN: where no empty cell has a category, it is that word.
        no_text = next((word for word in ("", "NA", "N/A", "None", "null") if word in code), "")

        def code_of(cell: object) -> float:
            word = no_text if _is_missing(cell) and cell != "" else str(cell).strip()
            if not word or word in self.cells.missing_values:
                return code.get("", _MISSING)
            return code.get(word, _UNSEEN)

        return np.array([code_of(cell) for cell in cells])

    def _days(self, cells: NDArray[Any], name: str) -> FloatArray:
        """Read dates as days since 1970; NaN for a missing one."""
        if cells.dtype.kind == "M":
            microseconds = cells.astype("datetime64[us]").astype(np.float64)
            return np.where(np.isnat(cells), np.nan, microseconds / 86_400e6)
        form, no_date = self.dates[name], NO_NUMBER.union(self.cells.missing_values)
        days = np.full(len(cells), np.nan)
        for row, cell in enumerate(cells):
            text = str(cell).strip()
            try:
                if not _is_missing(cell) and text not in no_date:
                    days[row] = days_of(text, form)
            except ValueError:
                rule = "a date in ISO 8601" if form == ISO else f"a date written as {form}"
                raise _bad_cell(cells, row, name, rule) from None
        return days


def _counts(rows: Mapping[str, NDArray[np.bool_]]) -> str:
    """Say how many rows of each column are meant."""
    counts = {name: int(of.sum()) for name, of in rows.items()}
    shown = [f"{n:,} in {shorten(name, 40)}" for name, n in counts.items() if n]
    return ", ".join(shown) or "none"


def _columns_of(X: FloatArray) -> Iterator[FloatArray]:
    """Iterate over the columns, a third quicker to go through where the numbers stand together."""
    for first in range(0, X.shape[1], 4):  # of a large table all at once are much memory
        yield from np.ascontiguousarray(X[:, first : first + 4].T)


def _shift_and_scale(X: FloatArray, scaling: Scaling) -> tuple[FloatArray, FloatArray]:
    n_columns = X.shape[1]
    if scaling in ("none", "quantile"):
        return np.zeros(n_columns), np.ones(n_columns)
    lowest, highest = X.min(axis=0), X.max(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):  # `fit` names the column that overflows
        if scaling == "standardize":
            shift, scale = X.mean(axis=0), X.std(axis=0)
        elif scaling == "robust":
            low, shift, high = np.quantile(X, (0.25, 0.5, 0.75), axis=0)
            scale = np.where(high > low, high - low, (highest - lowest) / 2)
        else:
            shift, scale = lowest, highest - lowest
    # The mean of equal numbers can be off by one unit in the last place, their deviation above 0.
    constant = lowest == highest
    shift = np.where(constant, lowest, shift)
    # Numbers so close that their squares vanish have no deviation either.
    scale = np.where(constant | (scale == 0.0), 1.0, scale)
    return shift, scale


def _quantiles(x: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return some values of a column, rising, and the normal distribution's of the same rank."""
    n = min(len(x), _MOST_QUANTILES)
    ranks = (np.arange(n) + 0.5) / n
    quantiles = np.quantile(x, ranks, method="hazen")
    values, first, counts = np.unique(quantiles, return_index=True, return_counts=True)
    normal = np.array([NormalDist().inv_cdf(rank) for rank in ranks.tolist()])
    normal = (normal - normal[::-1]) / 2  # symmetric to the last bit
    # Equal values become what lies halfway between the first and the last of them.
    means = (normal[first] + normal[first + counts - 1]) / 2
    return tuple(values.tolist()), tuple(means.tolist())


def _bad_cell(cells: NDArray[Any], row: int, name: str, rule: str) -> DataError:
    cell = cells[row]
    # Out of NumPy's type, so that a message shows 3 and not np.int64(3).
    plain = cell.item() if isinstance(cell, np.generic) else cell
    return DataError(
        f"row {row} (the first is 0), column {shorten(name, 60)}: must be {rule}, "
        f"got {shorten(plain, 60)}."
    )


def _is_missing(cell: object) -> bool:
    """Tell whether a cell of a data frame holds nothing: None, NaN, NaT or no text."""
    return cell is None or cell != cell or cell == ""  # noqa: PLR0124  (NaN differs from itself)


def date_columns(name: str) -> tuple[str, ...]:
    """Return what the columns of a date are called."""
    return tuple(f"{name}.{part}" for part in ("days", "month", "weekday", "hour"))


def date_parts(days: FloatArray) -> list[FloatArray]:
    """Return whole days since 1970, month (1 to 12), weekday (Monday is 0) and hour of dates."""
    whole = np.floor(days)
    months = np.nan_to_num(whole).astype("datetime64[D]").astype("datetime64[M]").astype(int)
    month = np.where(np.isnan(days), np.nan, months % 12 + 1.0)
    return [whole, month, (whole + 3) % 7, (days - whole) * 24]
