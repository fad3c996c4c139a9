"""Cells to columns: all numbers or all words, never a mixture, and nothing missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import DataError, shorten
from runner.training.data.dataset import FloatArray, IntArray


@dataclass(frozen=True)
class Origin:
    """How a person finds a column and its rows.

    Parameters
    ----------
    file : str
        The file, as it was given.
    column : str
        ``column 'petal'``, ``array 'y'``.
    row_name : callable
        From the index of a row to its name in the file, such as ``line 3``.
    """

    file: str
    column: str
    row_name: Callable[[int], str] = lambda row: f"row {row} (the first is 0)"

    def error(self, row: int, rule: str, got: object, hint: str = "") -> DataError:
        """Make the error for one cell."""
        cell = f"{self.file}, {self.row_name(row)}, {self.column}"
        return DataError(f"{cell}: must be {rule}, got {shorten(got, 60)}.{hint}")


@dataclass(frozen=True)
class Column:
    """A column that has been checked: finite numbers (float64), or words."""

    name: str
    values: FloatArray | list[str]
    origin: Origin

    def indexed_words(self) -> tuple[IntArray, tuple[str, ...]]:
        """Give the index of each word of a column of words, and the sorted distinct ones."""
        return index_words(cast("list[str]", self.values))


def numeric_column(name: str, values: NDArray[np.generic], origin: Origin) -> Column:
    """Take an array as it is, if every value is finite."""
    with np.errstate(over="ignore"):  # a wider float that overflows is reported below, as inf
        numbers = values.astype(np.float64)
    finite = np.isfinite(numbers)
    if not finite.all():
        row = int(np.argmin(finite))
        raise origin.error(row, "a finite number", float(numbers[row]))
    return Column(name, numbers, origin)


class ColumnBuilder:
    """Make a column of text cells, block by block, so that a large file is never held as text.

    Examples
    --------
    >>> builder = ColumnBuilder("a", Origin("t.csv", "column 'a'", lambda row: f"line {row + 2}"))
    >>> builder.extend(["1", "2.5"])
    >>> builder.finish().values
    array([1. , 2.5])
    """

    def __init__(self, name: str, origin: Origin) -> None:
        self._name = name
        self._origin = origin
        self._n_rows = 0
        self._blocks: list[FloatArray] = []
        self._words: list[str] = []
        self._seen: set[str] = set()
        self._example: str | None = None  # a number of this column, for the message
        self._first_word: tuple[int, str] | None = None

    def extend(self, cells: Sequence[str]) -> None:
        """Add cells that follow those seen so far."""
        if not cells:
            return
        start = self._n_rows
        self._n_rows += len(cells)
        try:
            if "_" in "".join(cells):
                raise ValueError("_")  # noqa: TRY301 - the same as a cell that float() refuses
            numbers = np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            self._add_words(cells, start)
            return
        finite = np.isfinite(numbers)
        if not finite.all():
            row = int(np.argmin(finite))
            raise self._origin.error(start + row, "a finite number", cells[row])
        self._add_example(cells[0])
        self._blocks.append(numbers)

    def _add_words(self, cells: Sequence[str], start: int) -> None:
        self._words.extend(cells)
        for row, cell in enumerate(cells, start):
            if cell in self._seen:
                continue
            self._seen.add(cell)
            if not cell.strip():
                raise self._origin.error(row, "a number or a word", cell, " The cell is empty.")
            if not is_utf8(cell):
                raw = cell.encode("utf-8", "surrogateescape")
                raise self._origin.error(row, "UTF-8 text", raw)
            if not _is_number(cell):
                self._first_word = self._first_word or (row, cell)
                self._check_mixture()
            elif np.isfinite(float(cell)):
                self._add_example(cell)
            else:
                raise self._origin.error(row, "a finite number or a word", cell)

    def _add_example(self, cell: str) -> None:
        self._example = self._example or cell
        self._check_mixture()

    def _check_mixture(self) -> None:
        if self._first_word is None or self._example is None:
            return
        row, word = self._first_word
        number = shorten(self._example, 40)
        hint = f"\nThis column has numbers, such as {number}; a column of words has none."
        if "," in word and _is_number(word.replace(",", ".")):
            hint = "\nDecimals are written with a point."
        raise self._origin.error(row, "a number", word, hint)

    def finish(self) -> Column:
        """Give the column, once all cells are in."""
        if self._words:
            _check_spaces(self._words, self._origin)
            return Column(self._name, self._words, self._origin)
        numbers = np.concatenate(self._blocks) if self._blocks else np.empty(0)
        return Column(self._name, numbers, self._origin)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000 as a thousand, no other program does


def is_utf8(cell: str) -> bool:
    """Tell whether text that was read with surrogateescape has only bytes of UTF-8."""
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_spaces(words: list[str], origin: Origin) -> None:
    """Refuse ``'setosa'`` beside ``'setosa '``: one name that would become two."""
    seen: dict[str, str] = {}
    for word in dict.fromkeys(words):
        other = seen.setdefault(word.strip(), word)
        if other != word:
            rule = f"written as {shorten(other, 40)} is elsewhere (they differ only in spaces)"
            raise origin.error(words.index(word), rule, word)


def index_words(words: Sequence[str]) -> tuple[IntArray, tuple[str, ...]]:
    """Give the index of each word among the sorted distinct ones, and these."""
    names = tuple(sorted(set(words)))
    index = {name: position for position, name in enumerate(names)}
    codes = np.fromiter(map(index.__getitem__, words), np.intp, len(words))
    return codes, names
