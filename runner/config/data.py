"""The `data` and `split` groups: the rows, and what each of them is for."""

from __future__ import annotations

import datetime as dt
import re
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, model_validator

from runner.config.rules import Count, Section, Seed, holds
from softnet import SettingError

AtLeastTwo = Annotated[int, Field(ge=2)]


class _Data(Section):
    """The settings that all data have."""

    name: str
    scaling: Literal["none", "standardize", "minmax", "robust", "quantile"] = "none"


class TutorialData(_Data):
    """The tutorial's 16 rows."""

    name: Literal["tutorial"]


class BundledData(_Data):
    """A data set that ships with scikit-learn."""

    name: Literal["iris", "wine", "breast_cancer", "digits"]


def _as_text(value: object) -> object:
    """Take a number for the column that is named by it, as YAML writes ``1`` for ``"1"``."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Column = Annotated[str, BeforeValidator(_as_text), Field(description="the name of a column")]


def class_text(value: object) -> object:
    """Take a truth value for the class that is written so, as YAML has ``yes``."""
    return str(value).lower() if isinstance(value, bool) else _as_text(value)


def _as_tab(value: object) -> object:
    """Take a backslash and a t for a tab, as a shell and Hydra's grammar hand it over."""
    return "\t" if value == "\\t" else value


def _texts(values: object) -> object:
    """Take numbers for the cells that are written so, as YAML has ``-999``."""
    if not isinstance(values, list | tuple):
        return values
    is_number = [isinstance(v, int | float) and not isinstance(v, bool) for v in values]
    return tuple(str(v) if number else v for v, number in zip(values, is_number, strict=True))


# Not strict: a list, which is what YAML has, becomes a tuple.
Columns = Annotated[tuple[Column, ...], Field(strict=False, description="a list of columns")]


def is_form_of_dates(text: str) -> bool:
    """Tell the form of dates from the sign of numbers, such as ``%``."""
    return text == "ISO 8601" or bool(re.search(r"%[A-Za-z]", text))


def _tells(form: str) -> bool:
    """Tell whether texts in the form of dates have the month of a year, or an hour and no date."""
    moments = [
        dt.datetime(2021, month, day, 23, tzinfo=dt.UTC) for month, day in ((1, 30), (12, 31))
    ]
    if form == "ISO 8601":
        return True
    try:
        read = [dt.datetime.strptime(moment.strftime(form), form) for moment in moments]  # noqa: DTZ007  (the zone is the form's)
    except ValueError:  # a code that Python does not know
        return False
    if read[0] == read[1]:  # a time of day
        return read[0].hour == moments[0].hour
    return all((r.year, r.month) == (m.year, m.month) for r, m in zip(read, moments, strict=True))


def _formats(values: object) -> object:
    """Refuse what says nothing of the cells of a column."""
    for name, form in values.items() if isinstance(values, dict) else ():
        is_date = isinstance(form, str) and is_form_of_dates(form)
        # A sign that could be part of a number would change it.
        is_sign = isinstance(form, str) and re.search(r"[^\d\s.,+()'\u2019\u2212-]", form)
        if is_date and not _tells(form):
            rule = (
                "the form of whole dates or of times of day, in codes of Python's strptime "
                "(%Y %y %m %b %B %d %j %H %I %p %M %S %f %z and others), such as %d.%m.%Y"
            )
        elif is_date or (is_sign and not re.search(r"\d", form)):
            continue
        else:
            rule = "the form of dates, such as %d.%m.%Y, or a sign without digits, such as €"
        raise SettingError(str(name), rule, form)
    return values


# A further file with the columns of the first.
OtherFile = Annotated[
    str | None,
    holds(lambda path: path is None or bool(path.strip())),
    Field(description="the path of a file, or null"),
]
ColumnOrNull = Annotated[Column | None, Field(description="the name of a column, or null")]


class FileData(_Data):
    """A person's own file."""

    name: Literal["file"]
    path: Annotated[
        str, holds(lambda path: bool(path.strip())), Field(description="the path of a file")
    ]
    test_path: OtherFile = None
    val_path: OtherFile = None
    target: Annotated[
        Column | Columns | None,
        Field(description="the name of the column that is predicted, its number, a list, or null"),
    ] = None
    positive: Annotated[
        str | None, BeforeValidator(class_text), Field(description="one of two classes, or null")
    ] = None
    features: Annotated[
        tuple[Column, ...] | None,
        Field(strict=False, description="a list of columns, or null for all but the target"),
    ] = None
    drop: Columns = ()
    categories: Columns = ()
    max_categories: Annotated[int, Field(ge=2)] = 50
    columns: Annotated[
        dict[Literal["number", "words", "date", "out"], Columns] | None,
        Field(description="the columns that are number, words, date or out, or null to find out"),
    ] = None
    formats: Annotated[
        dict[Column, str] | None,
        BeforeValidator(_formats),
        Field(description="the format of some columns by their names, or null to find out"),
    ] = None
    split_column: ColumnOrNull = None
    group: ColumnOrNull = None
    time: ColumnOrNull = None
    weight: ColumnOrNull = None
    missing: Literal["fill", "refuse"] = "fill"
    missing_values: Annotated[
        tuple[str, ...],
        BeforeValidator(_texts),
        Field(strict=False, description="a list of cells that stand for no value"),
    ] = ()
    delimiter: Annotated[
        str,
        BeforeValidator(_as_tab),
        Field(
            pattern=r'^([^"\r\n]|auto)$',
            description="auto, or one character, such as ',' ';' '|' '\\t'",
        ),
    ] = "auto"
    decimal: Literal["auto", ".", ","] = "auto"
    header: Annotated[bool | None, Field(description="true, false, or null to find out")] = None
    encoding: Annotated[
        str | None, Field(description="an encoding, such as windows-1252, or null to find out")
    ] = None
    day_first: Annotated[bool | None, Field(description="true, false, or null to find out")] = None

    @property
    def left_out(self) -> tuple[str, ...]:
        """The columns that `columns` leaves out."""
        return (self.columns or {}).get("out", ())


class _Generated(_Data):
    """Points that are drawn at random."""

    n_samples: AtLeastTwo
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    seed: Seed = 0


class BlobsData(_Generated):
    """Round clouds, one a class."""

    name: Literal["blobs"]
    n_features: Count
    n_classes: AtLeastTwo


class MoonsData(_Generated):
    """Two half circles."""

    name: Literal["moons"]


class SpiralsData(_Generated):
    """Spiral arms, one a class."""

    name: Literal["spirals"]
    n_classes: AtLeastTwo


DataConfig = Annotated[
    TutorialData | BundledData | FileData | BlobsData | MoonsData | SpiralsData,
    Discriminator("name"),
]

Size = Annotated[
    Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, le=1)],
    Field(description="a share from 0 to 1 or a number of rows"),
]


TrainToo = Annotated[
    Literal["val", "all"] | None, Field(default=None, exclude_if=lambda rows: rows is None)
]


class OrderedSplit(Section):
    """Three parts, by shares or by counts; a part of 0 does not exist.

    Notes
    -----
    A 0 beside shares is made 0.0, and a 0.0 beside counts 0: the same split has one form, and so
    one key.
    """

    name: Literal["contiguous", "shuffled", "stratified", "time"]
    train: Size
    val: Size
    test: Size
    seed: Seed = 0
    # Not to be set: the rows that train too when the best of a sweep is trained once more.
    train_too: TrainToo

    @model_validator(mode="before")
    @classmethod
    def _write_zeros_alike(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        parts = {part: values[part] for part in ("train", "val", "test") if part in values}
        zero = 0.0 if any(isinstance(s, float) and s != 0 for s in parts.values()) else 0
        zeros = {part: zero for part, size in parts.items() if size == 0 and size is not False}
        return {**values, **zeros}

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        sizes = {"train": self.train, "val": self.val, "test": self.test}
        if not self.train:
            raise SettingError("train", "above 0: training needs rows", self.train)
        for part, size in sizes.items():
            if type(size) is not type(self.train):
                shares = isinstance(self.train, float)
                kind = "share (such as 0.6)" if shares else "count (such as 60)"
                raise SettingError(part, f"a {kind}, as train is, or 0", size)
        # By their shortest text, which is what was written: 0.7 + 0.2 + 0.1 is then 1.
        total = sum(Fraction(str(size)) for size in sizes.values())
        if isinstance(self.train, float) and total > 1:
            written = " + ".join(map(str, sizes.values()))
            raise ValueError(
                f"train + val + test must be at most 1, got {written} = {float(total)}."
            )
        return self


class KFoldSplit(Section):
    """One of several equal parts tests; of the others a share validates."""

    name: Literal["kfold"]
    n_folds: AtLeastTwo
    fold: Annotated[int, Field(ge=0)]
    val: Annotated[
        float,
        Field(
            ge=0,
            lt=1,
            description="a share of the rows outside the fold, from 0 up to, but not, 1",
        ),
    ]
    stratified: bool = True
    seed: Seed = 0
    # Not to be set: the rows that train too when the best of a sweep is trained once more.
    train_too: TrainToo

    @model_validator(mode="after")
    def _check_fold(self) -> Self:
        if self.fold >= self.n_folds:
            rule = f"below n_folds, from 0 to {self.n_folds - 1}"
            raise SettingError("fold", rule, self.fold)
        return self


SplitConfig = Annotated[OrderedSplit | KFoldSplit, Discriminator("name")]
