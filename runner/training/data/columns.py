"""Cells to columns: numbers, words or dates, with what is missing.

What a column holds is a decision about all of its cells, made on the distinct ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import ConfigError, DataError, shorten
from runner.system.text import elide
from runner.training.cells import (
    CLOCKS,
    GROUPED,
    ISO,
    LARGEST_WHOLE,
    NO_NUMBER,
    NUMBER,
    TRUTH,
    CellFormat,
    bare,
    date_text,
    days_of,
    number_of,
    unit_of,
)
from runner.training.data.arrow import floats, strings
from runner.training.data.dataset import FloatArray, IntArray

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.training.data.arrow import Cells

# A number as it is written with a comma: as a decimal, or as that or thousands.
_COMMAS = re.compile(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+([eE][+-]?\d+)?", re.ASCII)
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_POINT = re.compile(r"[+-]?(\d*\.\d{1,2}|\d*\.\d{4,}|0?\.\d{3}|\d+\.\d+[eE][+-]?\d+)", re.ASCII)
# A digit, what stands between thousands beside a decimal mark, and a digit.
_THOUSANDS = {".": r"\d[^\d.eE]\d", ",": r"\d[^\d,eE]\d"}
_CODE = r"^[+-]?0\d+$"
# Dates that are not ISO 8601, each with or without a time of day.
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DATE = re.compile(r"(?=.*\d)\w[\w ,./-]{4,18}\w( \d{1,2}:\d\d(:\d\d)?( [AaPp][Mm]| \d{4})?)?")
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[AaPp][Mm])?")
_DATES = (
    "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y",
    "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%b-%d-%Y", "%Y-%m",
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_FORMS = [
    ISO,
    *(date + time for date in _DATES for time in _TIMES),
    "%a %b %d %H:%M:%S %Y",
    *CLOCKS,
]
# A time with the offset of its zone from UTC.
_ZONE = r"\d\d:\d\d.*[+-](?!00)\d\d(:?\d\d)?$"
IN_UTC = "times with a zone are taken in UTC"
_MISSING_TO_PANDAS = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None")
_SHOWN, _SAMPLE = 3, 50
_SOME_DAY = 18_992.0  # 31 December 2021
_STAND_FOR_NOTHING = (
    "If they stand for nothing, name them in data.missing_values; if all are words, name the "
    "column in data.categories."
)
_MARK = "data.decimal is the decimal mark of data.path, and of the files beside it."
_LONGEST_NAMES = 80


@dataclass(frozen=True)
class Origin:
    """How a person finds a column and its rows."""

    file: str  # the file, as it was given
    column: str  # ``column 'petal'``, ``array 'y'``
    # From the index of a row to its name in the file, such as ``line 3``.
    row_name: Callable[[int], str] = lambda row: f"row {row} (the first is 0)"

    def error(self, row: int, rule: str, got: object, hint: str = "") -> DataError:
        """Make the error for one cell."""
        cell = f"{self.file}, {self.row_name(row)}, {self.column}"
        return DataError(f"{cell}: must be {rule}, got {shorten(got, 60)}.{hint}")


@dataclass(frozen=True)
class Column:
    """A column whose cells are all of one kind."""

    name: str
    kind: str  # ``number``, ``words`` or ``date``
    # Of shape (n_rows,). Numbers; days since 1970; or the index of each word. What is missing is
    # NaN, or the word ''.
    values: FloatArray
    origin: Origin
    words: tuple[str, ...] = ()  # the sorted distinct words; of truth values, how they are written
    form: str = ""  # how its dates are written: `ISO`, or a format of `datetime.strptime`
    notes: tuple[str, ...] = ()  # what a person might not expect of it; see `notes_of`
    unit: str = ""  # the percent or currency sign that all its numbers have
    # Whether its numbers are written as no plain ones, such as ``1.234,50 €`` or ``?``.
    is_text: bool = False

    @property
    def format(self) -> str:
        """How its cells are written: the sign of numbers, the form of dates; '' plainly."""
        return self.unit or (self.form if self.form != ISO else "")

    @property
    def is_missing(self) -> NDArray[np.bool_]:
        """Which rows have no value, of shape (n_rows,)."""
        if self.kind != "words":
            return np.isnan(self.values)
        missing: NDArray[np.bool_] = self.values == (0 if self.words[:1] == ("",) else -1)
        return missing

    @property
    def is_truth(self) -> bool:
        """Whether its numbers, 1 and 0, stand for true and false."""
        return self.kind == "number" and bool(self.words)

    def take(self, rows: IntArray) -> Column:
        """Return some of the rows, which keep their names."""
        row_name = self.origin.row_name
        origin = replace(self.origin, row_name=lambda row: row_name(int(rows[row])))
        return replace(self, values=self.values[rows], origin=origin)

    def followed_by(self, other: Column) -> Column:
        """Return a column of the same kind with the rows of another file after its own."""
        first, second, words = self.values, other.values, self.words
        if self.kind == "words":
            words = tuple(sorted({*self.words, *other.words}))
            code = {word: float(position) for position, word in enumerate(words)}
            first, second = (
                np.array([code[word] for word in column.words])[column.values.astype(np.intp)]
                for column in (self, other)
            )
        mine, others = self.origin, other.origin

        def row_name(row: int) -> str:
            n_mine = len(first)
            if row < n_mine:
                return mine.row_name(row)
            return f"{others.file}, {others.row_name(row - n_mine)}"

        origin = replace(mine, row_name=row_name)
        return replace(self, values=np.concatenate([first, second]), origin=origin, words=words)

    def raw_values(self) -> NDArray[Any]:
        """Return the values as a data frame would hold them: numbers, words or dates."""
        if self.kind == "words":
            return np.array(self.words, object)[self.values.astype(np.intp)]
        if self.kind == "date":
            microseconds = np.round(np.nan_to_num(self.values) * 86_400e6)
            dates = microseconds.astype(np.int64).astype("datetime64[us]")
            dates[np.isnan(self.values)] = np.datetime64("NaT")
            return dates
        return self.values


def notes_of(columns: Iterable[Column]) -> list[str]:
    """Return the notes on columns, each once behind the names of the columns that it is on."""
    names: dict[str, list[str]] = {}
    for column in columns:
        for note in column.notes:
            names.setdefault(note, []).append(column.name)
    return [f"{elide(', '.join(of), _LONGEST_NAMES)}: {note}" for note, of in names.items()]


@dataclass(frozen=True)
class Rules:
    """What is known of the cells of a file before they are looked at."""

    decimal: str = "."  # the decimal mark, a point or a comma
    missing_values: frozenset[str] = frozenset()  # further texts that stand for no value
    refuses_missing: bool = False  # whether a cell without a value is an error
    # Whether a date such as 3/4/2020 is in April; None where the dates must tell.
    day_first: bool | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)  # the kind of some columns, by name
    # How the cells of some columns are written, by name: the form of dates, the sign of numbers,
    # None where they must tell. Others whose kind is known are ISO 8601 or without a sign; if there
    # is no mapping, all cells must tell.
    formats: Mapping[str, str | None] | None = None
    # Whether the rows are for a network that was trained, so that no setting can change them.
    is_prediction: bool = False
    first_file: str = ""  # the file that was read before, if this is a further one, read alike

    def format_of(self, name: str) -> str | None:
        """Return how the cells of a column are written, '' plainly; None where they must tell."""
        if self.formats is None or name not in {*self.formats, *self.kinds}:
            return None
        return self.formats.get(name, "")

    def hint(self, settings: str) -> str:
        """Return the end of a message on cells that cannot be read: the settings that help."""
        if self.is_prediction:
            settings = "Cells are read as in the file of the run, and must be written as there."
        return f"\n{settings}"


def numeric_column(
    name: str, values: NDArray[np.generic], origin: Origin, rules: Rules = Rules()
) -> Column:
    """Take an array of numbers; NaN is a missing one."""
    with np.errstate(over="ignore"):  # a wider float that overflows is reported below, as inf
        numbers = values.astype(np.float64, copy=False)
    column = Column(name, "number", numbers, origin, notes=without_format(name, rules))
    return _finite(column, rules)


def without_format(name: str, rules: Rules) -> tuple[str, ...]:
    """Return the note on a column whose cells are no text, where it has a format all the same."""
    form = rules.format_of(name)
    return (f"data.formats, {form}, is of text, and these are numbers or dates",) * bool(form)


def text_column(name: str, cells: Cells, origin: Origin, rules: Rules) -> Column:
    """Find out what a column of text holds; null and empty cells are missing.

    Raises `DataError` if most cells are numbers and some are not, or one of them is not finite.
    Raises `ConfigError` if its dates may be day or month first.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    unit = rules.format_of(name) or ""
    without_sign = (f"no cell has the sign {unit}",) * bool(unit)
    if cells.type == pa.float64():
        column = numeric_column(name, floats(cells), origin, rules)
        return replace(column, unit=unit, notes=without_sign)
    cells = cells.cast(pa.large_string())
    if isinstance(cells, pa.ChunkedArray):
        cells = cells.combine_chunks()
    cells = pc.utf8_trim_whitespace(cells.fill_null("") if cells.null_count else cells)
    kind = rules.kinds.get(name)
    if kind in (None, "number") and rules.decimal == ".":
        # The quick way, for what the parser of pyarrow takes: it gives the bits of Python's.
        no_number = strings(sorted(NO_NUMBER | rules.missing_values))
        missing = pc.is_in(cells, no_number)
        try:
            numbers = floats(
                pc.cast(pc.if_else(missing, pa.nulls(len(cells), cells.type), cells), pa.float64())
            )
        except pa.ArrowInvalid:
            pass
        else:
            are_words = _are_codes(cells, numbers) or look_alike(numbers, cells)
            if kind == "number" or not (pc.all(missing).as_py() or are_words):
                no_plain = strings(sorted(no_plain_number(rules.missing_values)))
                is_text = bool(pc.any(pc.is_in(cells, no_plain)).as_py())
                column = Column(
                    *(name, "number", numbers, origin),
                    notes=without_sign,
                    unit=unit,
                    is_text=is_text,
                )
                return _finite(column, rules, cells)
    return Distinct.of(cells).column(name, kind, origin, rules)


def no_plain_number(missing_values: Collection[str]) -> set[str]:
    """Return the texts that stand for no number, and that pandas does not take for a missing one.

    A column that has them is text to pandas and to MLflow.
    """
    others = NO_NUMBER.difference(_MISSING_TO_PANDAS).union(missing_values)
    return {text for text in others if not NUMBER.fullmatch(text)}


def _are_codes(cells: pa.Array, numbers: FloatArray) -> bool:
    """Tell whether numbers are codes, such as 00501, which lose their zeros as quantities."""
    import pyarrow.compute as pc

    with np.errstate(invalid="ignore"):
        some_are_whole = bool((np.floor(numbers) == numbers).any())
    return some_are_whole and bool(pc.any(pc.match_substring_regex(cells, _CODE)).as_py())


def look_alike(numbers: FloatArray, cells: Cells | None = None) -> bool:
    """Tell whether most different whole numbers, beyond 2**53, are the same double.

    Such as the numbers of messages. Without the cells each row is taken for a different one.
    """
    import pyarrow.compute as pc

    with np.errstate(invalid="ignore"):
        is_large = np.abs(numbers) >= LARGEST_WHOLE
    if not is_large.any():
        return False
    n = int(is_large.sum())
    if cells is not None:
        n = pc.count_distinct(cells.filter(is_large)).as_py()
    return 2 * len(np.unique(numbers[is_large])) < n


@dataclass(frozen=True)
class Distinct:
    """The distinct cells of a column of text."""

    texts: list[str]
    codes: IntArray  # of shape (n_rows,): the index of each row's text
    counts: IntArray  # of shape (n_texts,): how many rows have each text

    @classmethod
    def of(cls, cells: Cells) -> Distinct:
        """Find the distinct cells of an array of strings without nulls."""
        import pyarrow as pa

        if isinstance(cells, pa.ChunkedArray):
            cells = cells.combine_chunks()
        encoded = cells.dictionary_encode()
        codes = np.frombuffer(encoded.indices.buffers()[1], np.int32)[: len(encoded)].astype(
            np.intp
        )
        texts = encoded.dictionary.to_pylist()
        return cls(texts, codes, np.bincount(codes, minlength=len(texts)))

    def column(self, name: str, kind: str | None, origin: Origin, rules: Rules) -> Column:
        """Decide what the cells are, where the kind is not given, and convert them."""
        missing = NO_NUMBER | rules.missing_values
        present = [text for text in self.texts if text not in missing]
        if kind in (None, "number"):
            column = self._numbers(name, present, origin, rules, must=kind == "number")
            if column is not None:
                return column
        if kind == "date" or (kind is None and present):
            column = self._dates(name, present, origin, rules, must=kind == "date")
            if column is not None:
                return column
        return self._words(name, origin, rules)

    def _numbers(
        self, name: str, present: list[str], origin: Origin, rules: Rules, *, must: bool
    ) -> Column | None:
        """Read numbers, where at least half of the cells that hold anything are numbers."""
        truth = {text.lower() for text in present}
        if truth and truth <= TRUTH.keys():
            truths = self._spread([TRUTH.get(text.lower(), np.nan) for text in self.texts])
            written = {0.0: "False", 1.0: "True"} | {TRUTH[t.lower()]: t for t in sorted(present)}
            words = tuple(written.values())
            return _finite(Column(name, "number", truths, origin, words=words), rules)
        if not must and any(re.match(_CODE, text) for text in present):
            return None
        known = rules.format_of(name)
        unit = _common_unit(present) if known is None else known or None
        plain = {text: bare(text, unit) for text in present}
        numbers = {text: number_of(each, rules.decimal) for text, each in plain.items()}
        if must:
            numbers |= {text: TRUTH[text.lower()] for text in present if text.lower() in TRUTH}
        n_numbers = self._n_rows(t for t, number in numbers.items() if number is not None)
        n_present = self._n_rows(present)
        if not must and (not n_present or 2 * n_numbers < n_present):
            return None
        if not must and look_alike(np.array([_or_nan(numbers[text]) for text in present])):
            return None
        others = [text for text, number in numbers.items() if number is None]
        if others:
            mark = "," if rules.decimal == "." else "."
            are_marked = any(number_of(plain[text], mark) is not None for text in others)
            rule = f"numbers{f' whose decimal mark is {rules.decimal!r}' if are_marked else ''}"
            example = next((text for text, number in numbers.items() if number is not None), None)
            if example is not None:
                rule += f", such as {shorten(example, 40)}"
            hint = rules.hint(_MARK if are_marked else _sign_hint(name, present, others, rules))
            raise self._others(rule, others, n_present, origin, hint)
        values = self._spread([_or_nan(numbers.get(text)) for text in self.texts])
        is_text = any(
            not NUMBER.fullmatch(text) or (rules.decimal == "," and "." in text) for text in present
        ) or not no_plain_number(rules.missing_values).isdisjoint(self.texts)
        column = Column(
            *(name, "number", values, origin),
            notes=_number_notes(present, unit, rules.decimal),
            unit=unit or "",
            is_text=is_text,
        )
        return _finite(column, rules)

    def _dates(
        self, name: str, present: list[str], origin: Origin, rules: Rules, *, must: bool
    ) -> Column | None:
        """Read dates, where at least half of the cells that hold anything are in one form."""
        known = rules.format_of(name)
        form: str | None
        if known is not None:
            form = known or ISO
            days = _days_of_dates(present, form)
            self._check_order(name, present, form, rules)
        else:
            form, days = self._date_form(present, origin, rules)
        if form is None and not must:
            return None
        others = [text for text in present if text not in days]
        if others:
            written = f" written as {form}" if known is not None else ""
            rule = f"dates{written}, such as {date_text(_SOME_DAY, form or ISO)}"
            hint = _STAND_FOR_NOTHING
            if known is not None or form is None:
                hint = (
                    f"data.formats={{{elide(name, 40)}: '%d.%m.%y'}} is a form of dates; "
                    "data.missing_values has the cells that stand for nothing."
                )
            if rules.first_file:
                hint = f"Those of {rules.first_file} are, and both files must have one form."
            hint = rules.hint(hint)
            raise self._others(rule, others, self._n_rows(present), origin, hint)
        values = self._spread([days.get(text, np.nan) for text in self.texts])
        short = form is not None and "%y" in form
        notes = ("years of two digits are 1930 to 2029",) * short
        notes += (IN_UTC,) * any(re.search(_ZONE, text) for text in present)
        column = Column(name, "date", values, origin, form=form or ISO, notes=notes)
        return _finite(column, rules)

    def _date_form(
        self, present: list[str], origin: Origin, rules: Rules
    ) -> tuple[str | None, dict[str, float]]:
        """Find the form in which most cells are dates, at least half, and the days of these."""
        common = sorted(present, key=lambda text: -self._count[text])[:_SAMPLE]
        days = {
            form: _days_of_dates(present, form)
            for form in _forms_of(common)
            if _days_of_dates(common, form)
        }
        n_dates = {form: self._n_rows(of) for form, of in days.items()}
        most = max([(self._n_rows(present) + 1) // 2, *n_dates.values()])
        likeliest = [form for form, n in n_dates.items() if n == most]
        orders = {form[:2]: form for form in reversed(likeliest)}
        if not {"%d", "%m"} <= orders.keys():
            return (likeliest[0], days[likeliest[0]]) if likeliest else (None, {})
        if rules.day_first is None:
            one, other = (days[orders[order]].keys() for order in ("%d", "%m"))
            if (firsts := one - other) and (seconds := other - one):
                rows = sorted(min(map(self._row, texts)) for texts in (firsts, seconds))
                cells = (f"{origin.row_name(r)} {self.texts[self.codes[r]]!r}" for r in rows)
                raise DataError(
                    f"{origin.file}, {origin.column}: must hold dates with the day first or the "
                    f"month first, got both: {', '.join(cells)}.\n{_STAND_FOR_NOTHING}"
                )
            raise ConfigError.plain(
                f"data.day_first: must be true or false: the dates in {origin.column} of "
                f"{shorten(origin.file)}, such as {shorten(common[0], 40)}, may be both."
            )
        form = orders["%d" if rules.day_first else "%m"]
        return form, days[form]

    def _check_order(self, name: str, present: list[str], form: str, rules: Rules) -> None:
        """Refuse `data.day_first` for dates that may be both, where their form says otherwise."""
        other = {"%d": "%m", "%m": "%d"}
        is_other = form[:2] == ("%m" if rules.day_first else "%d")
        if rules.day_first is None or not is_other or rules.is_prediction or rules.first_file:
            return
        swapped = re.sub("%[dm]", lambda found: other[found[0]], form)
        if len(_days_of_dates(present, swapped)) == len(present):
            key = f"data.formats.{elide(name, 40)}"
            rule = f"null or {str(not rules.day_first).lower()}, since {key} is {form} and decides"
            raise ConfigError("data.day_first", rule, rules.day_first)

    def _others(
        self, rule: str, others: Sequence[str], n_present: int, origin: Origin, hint: str
    ) -> DataError:
        """Make the error for cells that are not what most cells of their column are."""
        rows = sorted(self._row(text) for text in others)
        cells = ", ".join(
            f"{origin.row_name(row)} {shorten(self.texts[self.codes[row]], 40)}"
            for row in rows[:_SHOWN]
        )
        n_others = int(np.isin(self.codes, self.codes[rows]).sum())
        return DataError(
            f"{origin.file}, {origin.column}: must hold {rule}, got {n_others:,} of {n_present:,} "
            f"that are none: {cells}{' ...' if len(rows) > _SHOWN else ''}."
            f"{hint}"
        )

    def _words(self, name: str, origin: Origin, rules: Rules) -> Column:
        texts = ["" if text in rules.missing_values else text for text in self.texts]
        words = tuple(sorted(set(texts)))
        index = {word: position for position, word in enumerate(words)}
        values = self._spread([float(index[text]) for text in texts])
        notes = tuple(
            f"{word} is a word; if it is missing: data.missing_values=[{word}]"
            for word in words
            if word and word in NO_NUMBER
        )
        are_long = [re.fullmatch(r"-?[1-9]\d{15,}", word) for word in words if word]
        if name not in rules.kinds and are_long and all(are_long):
            notes += ("numbers of so many digits are words: most would be equal as numbers",)
        if form := rules.format_of(name):
            notes += (f"data.formats, {form}, is of numbers and dates, and these are words",)
        return _finite(Column(name, "words", values, origin, words=words, notes=notes), rules)

    def _spread(self, values: Sequence[float]) -> FloatArray:
        """Give each row the value of its text."""
        return np.array(values, np.float64)[self.codes]

    @cached_property
    def _count(self) -> dict[str, int]:
        return dict(zip(self.texts, self.counts.tolist(), strict=True))

    def _n_rows(self, texts: Iterable[str]) -> int:
        """Return how many rows have one of some texts."""
        return sum(self._count[text] for text in texts)

    def _row(self, text: str) -> int:
        return int(np.argmax(self.codes == self.texts.index(text)))


def _finite(column: Column, rules: Rules, cells: pa.Array | None = None) -> Column:
    """Take away the numbers that stand for nothing; refuse infinite ones and, if asked, missing."""
    if column.kind == "number" and rules.missing_values:
        codes = CellFormat(missing_values=tuple(rules.missing_values)).missing_numbers
        values = np.where(np.isin(column.values, codes), np.nan, column.values)
        column = replace(column, values=values)
    infinite = np.isinf(column.values)
    if infinite.any():
        row = int(np.argmax(infinite))
        got = float(column.values[row]) if cells is None else cells[row].as_py()
        hint = rules.hint("If it stands for nothing, name it in data.missing_values.")
        raise column.origin.error(row, "a finite number", got, hint)
    if rules.refuses_missing and (missing := column.is_missing).any():
        hint = rules.hint("data.missing=fill takes a table with missing cells.")
        what = "a word" if column.kind == "words" else f"a {column.kind}"
        raise column.origin.error(int(np.argmax(missing)), what, "", hint)
    return column


def _or_nan(number: float | None) -> float:
    return np.nan if number is None else number


def _common_unit(texts: Iterable[str]) -> str | None:
    """Return the percent or currency sign that all cells have."""
    units = {unit_of(text) for text in texts}
    return units.pop() if len(units) == 1 else None


def _number_notes(texts: Sequence[str], unit: str | None, decimal: str) -> tuple[str, ...]:
    """Say what of numbers was not taken as it is written."""
    notes = []
    if unit is not None:
        has_sign = any(bare(text, unit) != bare(text, None) for text in texts)
        notes = [f"the sign {unit} was left out" if has_sign else f"no cell has the sign {unit}"]
    if any(re.search(_THOUSANDS[decimal], text) for text in texts):
        notes.append("separators between thousands were left out")
    if any(text.endswith(")") for text in texts):
        notes.append("numbers in brackets are negative")
    return tuple(notes)


def _sign_hint(name: str, present: Iterable[str], others: Collection[str], rules: Rules) -> str:
    """Return the settings that help with cells that are no numbers."""
    sign, known = _common_unit(others), rules.format_of(name)
    signs = sorted({unit for text in present if (unit := unit_of(text))})
    if len(signs) > 1:
        return (
            f"A column may have one sign, and this has {', '.join(signs)}. data.categories takes "
            "it as words, data.drop leaves it out."
        )
    if sign and known and rules.first_file:
        return f"{rules.first_file} has the sign {known}, and the signs must be one."
    if sign:
        return f"data.formats={{{elide(name, 40)}: {sign}}} leaves the sign {sign} out."
    if known is None:
        return _STAND_FOR_NOTHING
    return (
        "data.formats has the sign before or after the numbers of a column; data.missing_values "
        "the cells that stand for nothing."
    )


def decimal_mark(file: str, columns: Mapping[str, Cells]) -> str:
    """Decide by the cells of a whole file whether commas are decimal marks.

    Raises `ConfigError` if they may stand between thousands as well, or some are one and some the
    other.
    """
    import pyarrow.compute as pc

    # Without a comma between digits there is nothing to decide.
    numeral = r"^\W*[A-Z]{0,3}\W*[\d.\x{a0}\x{202f}\x{2019}' ]*\d,\d"
    if not any(pc.any(pc.match_substring_regex(c, numeral)).as_py() for c in columns.values()):
        return "."
    comma = grouped = either = point = None
    for name, cells in columns.items():
        texts = [text for text in Distinct.of(cells).texts if text not in NO_NUMBER]
        unit = _common_unit(texts)
        texts = [bare(text, unit) for text in texts]
        with_comma = [t for t in texts if _COMMAS.fullmatch(t) or GROUPED.fullmatch(t)]
        if 2 * len(with_comma) + 2 * sum(bool(NUMBER.fullmatch(t)) for t in texts) < len(texts):
            continue
        for text in with_comma:
            cell = f"{text} in column {shorten(name, 40)}"
            if _EITHER.fullmatch(text):
                either = either or cell
            elif GROUPED.fullmatch(text):
                grouped = grouped or cell
            else:
                comma = comma or cell
        for text in texts:
            if _POINT.fullmatch(text):
                point = point or f"{text} in column {shorten(name, 40)}"
    proof = grouped or point
    if (comma and proof) or (either and not comma and not proof):
        cells = f"{comma} and {proof}" if comma else str(either)
        rule = "'.' or ',', since the file does not tell the decimal mark"
        raise ConfigError.plain(f"data.decimal: must be {rule}: {shorten(file)} has {cells}.")
    return "," if comma else "."


def _forms_of(texts: Sequence[str]) -> list[str]:
    """Return the forms of dates that have the marks and letters of one of some texts."""
    alike = [text for text in texts if _DATE.fullmatch(text) or _CLOCK.fullmatch(text)]
    shapes = set(map(_shape, alike))
    may_be_iso = bool(alike) or any(map(_ISO_DATE.match, texts))
    return [f for f in _FORMS if (may_be_iso if f == ISO else _SHAPES[f] in shapes)]


def _shape(text: str) -> tuple[frozenset[str], bool]:
    return frozenset(",./:-").intersection(text), any(map(str.isalpha, text))


_SHAPES = {
    form: _shape(re.sub(r"%([bBap])|%\w", lambda found: "a" if found[1] else "1", form))
    for form in _FORMS
}


def _days_of_dates(texts: Iterable[str], form: str) -> dict[str, float]:
    """Return the days since 1970 of those texts that are dates of a form."""
    days = {}
    for text in texts:
        with suppress(ValueError, OverflowError):
            days[text] = days_of(text, form)
    return days
