"""What a cell of text stands for: a number, a truth value, or a date.

Copied into every recorded model, which reads a cell as training did; it needs the standard library
alone.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass

# Cells that stand for no number; among words only an empty cell does.
NO_NUMBER = frozenset(
    ("", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "none", "?",
     "NaT")
)  # fmt: skip
TRUTH = {"true": 1.0, "false": 0.0}
# From here on neighbouring whole numbers are one and the same float64.
LARGEST_WHOLE = 2**53
ISO = "ISO 8601"
# Times of day alone.
CLOCKS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# A number grouped in thousands by commas, or as in India: 12,34,567.
GROUPED = re.compile(r"[+-]?([1-9]\d{0,2}(,\d{3})+|[1-9]\d?(,\d{2})+,\d{3})(\.\d*)?", re.ASCII)
# What stands between thousands in many languages: a blank of some width, or an apostrophe.
_SPACED = re.compile(r"[+-]?[1-9]\d{0,2}([ \u00a0\u202f'\u2019]\d{3})+([.,]\d*)?", re.ASCII)
_SPACES = re.compile("[ \u00a0\u202f'\u2019]")
# A sign that others begin with comes after them.
_UNITS = (
    *("US$", "A$", "C$", "R$", "$", "€", "£", "¥", "₹", "₽", "₩", "₺", "kr", "zł", "Kč"),
    *("USD", "EUR", "GBP", "CHF", "JPY", "CNY", "INR", "AUD", "CAD", "SEK", "NOK", "DKK", "PLN"),
)
_MINUS = "\u2212"
_NEGATIVE = re.compile(r"\(\s*([^+-].*?)\s*\)")
# Of a year of two digits, as spreadsheets read it: 30 is 1930.
_LAST_SHORT_YEAR = 2029
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  (dates have no zone)


@dataclass(frozen=True)
class CellFormat:
    """How the cells of a file are written."""

    decimal: str = "."  # the decimal mark, a point or a comma
    missing_values: tuple[str, ...] = ()  # further texts that stand for no value
    # The percent or currency sign that the numbers of a column have, by its name; None in records
    # of before.
    units: Mapping[str, str] | None = None

    @property
    def missing_numbers(self) -> list[float]:
        """The numbers that stand for no value."""
        numbers = (number_of(text, ".") for text in self.missing_values)
        return [number for number in numbers if number is not None]

    def number(self, text: str, column: str) -> float | None:
        """Read a number or a truth value; NaN is a missing one, None what is neither."""
        text = text.strip()
        if text in NO_NUMBER or text in self.missing_values:
            return float("nan")
        if text.lower() in TRUTH:
            return TRUTH[text.lower()]
        return number_of(bare(text, (self.units or {}).get(column)), self.decimal)

    def text(self, number: float) -> str:
        """Write a number with its decimal mark."""
        return repr(number).removesuffix(".0").replace(".", self.decimal)


def number_of(text: str, decimal: str) -> float | None:
    """Read a number with its decimal mark, and with the other mark between thousands."""
    if decimal == ",":
        text = text.translate({ord(","): ".", ord("."): ","})
    if "," in text:
        if not GROUPED.fullmatch(text):
            return None
        text = text.replace(",", "")
    if NUMBER.fullmatch(text) or text.lower() in ("inf", "-inf", "+inf", "infinity", "-infinity"):
        return float(text)
    return None


def unit_of(text: str) -> str | None:
    """Return the percent or currency sign of a number, None where it has none."""
    text = text.lstrip("+-(" + _MINUS).rstrip(")")
    units = (unit for unit in _UNITS if text.startswith(unit) or text.endswith(unit))
    return "%" if text.endswith("%") else next(units, None)


def bare(text: str, unit: str | None) -> str:
    """Take away a unit before or after a number, and what stands between thousands beside a mark.

    A number in brackets is negative, as accountants write it.
    """
    if unit is not None:
        sign = re.escape(unit)
        text = re.sub(rf"^([-+({_MINUS}]*){sign}\s*|\s*{sign}(?=\)*$)", r"\1", text, count=1)
    text = _NEGATIVE.sub(r"-\1", text.replace(_MINUS, "-"))
    return _SPACES.sub("", text) if _SPACED.fullmatch(text) else text


def days_of(text: str, form: str) -> float:
    """Read a date, or a time of some day, as days since 1970.

    Raises `ValueError` if it is not written in this form.
    """
    parse = dt.datetime.strptime  # dates have no zone
    moment = dt.datetime.fromisoformat(text) if form == ISO else parse(text, form)
    if "%y" in form and moment.year > _LAST_SHORT_YEAR:  # where Python sees the future
        moment = moment.replace(year=moment.year - 100)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return (moment - _EPOCH) / dt.timedelta(days=1)


def date_text(days: float, form: str) -> str:
    """Write a date, given in days since 1970."""
    moment = _EPOCH + dt.timedelta(seconds=round(days * 86_400))
    if form != ISO:
        return moment.strftime(form)
    return moment.isoformat() if days % 1 else moment.date().isoformat()
