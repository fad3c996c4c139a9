"""The `data` and `split` groups: which rows there are, and what each of them is for."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, model_validator

from runner.config.rules import Rule, Section, Seed, not_negative, one_of, whole
from softnet import SettingError

_SCALINGS = ("none", "standardize", "minmax")


class _Data(Section):
    """What all data have in common."""

    name: str
    scaling: Annotated[Literal["none", "standardize", "minmax"], one_of(_SCALINGS)] = "none"


class TutorialData(_Data):
    """The tutorial's 16 rows."""

    name: Literal["tutorial"]


class BundledData(_Data):
    """A data set that scikit-learn brings along."""

    name: Literal["iris", "wine", "breast_cancer", "digits"]


def _as_text(value: object) -> object:
    """Take a number for the column that is named by it, as YAML writes ``1`` for ``"1"``."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Column = Annotated[str, BeforeValidator(_as_text), Rule("the name of a column")]


def _as_tuple(value: object) -> object:
    """Take a list, which is what YAML has, for a tuple, which cannot be changed."""
    return tuple(value) if isinstance(value, list) else value


def _as_tab(value: object) -> object:
    """Take a backslash and a t for a tab, as a shell and Hydra's grammar hand it over."""
    return "\t" if value == "\\t" else value


class FileData(_Data):
    """A person's own file."""

    name: Literal["file"]
    path: Annotated[str, Rule("the path of a file", lambda path: bool(path.strip()))]
    target: Annotated[Column | None, Rule("the name of the label column, or null")] = None
    features: Annotated[
        tuple[Column, ...] | None,
        BeforeValidator(_as_tuple),
        Rule("a list of columns, or null for all but the label"),
    ] = None
    delimiter: Annotated[
        str,
        BeforeValidator(_as_tab),
        Rule(
            "one character, such as ',' ';' '|' '\\t'", lambda d: len(d) == 1 and d not in '"\r\n'
        ),
    ] = ","


class _Generated(_Data):
    """Points that are drawn at random."""

    n_samples: Annotated[int, whole(2)]
    noise: Annotated[float, not_negative()]
    seed: Seed = 0


class BlobsData(_Generated):
    """Round clouds, one a class."""

    name: Literal["blobs"]
    n_features: Annotated[int, whole(1)]
    n_classes: Annotated[int, whole(2)]


class MoonsData(_Generated):
    """Two half circles."""

    name: Literal["moons"]


class SpiralsData(_Generated):
    """Spiral arms, one a class."""

    name: Literal["spirals"]
    n_classes: Annotated[int, whole(2)]


DataConfig = Annotated[
    TutorialData | BundledData | FileData | BlobsData | MoonsData | SpiralsData,
    Discriminator("name"),
]

Size = Annotated[
    int | float,
    Rule(
        "a share from 0 to 1 or a number of rows",
        lambda size: size >= 0 and (isinstance(size, int) or size <= 1),
    ),
]


class OrderedSplit(Section):
    """Three parts, by shares or by counts; a part of 0 does not exist.

    Notes
    -----
    A 0 beside shares is made 0.0, and a 0.0 beside counts is made 0: the same split is written
    in one way, so that it has one key.
    """

    name: Literal["contiguous", "shuffled", "stratified"]
    train: Size
    val: Size
    test: Size
    seed: Seed = 0

    @model_validator(mode="before")
    @classmethod
    def _write_nothing_in_one_way(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        parts = {part: values[part] for part in ("train", "val", "test") if part in values}
        shares = any(isinstance(size, float) and size != 0 for size in parts.values())
        zeros = {
            part: 0.0 if shares else 0
            for part, size in parts.items()
            if isinstance(size, int | float) and not isinstance(size, bool) and size == 0
        }
        return {**values, **zeros}

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        sizes = {"train": self.train, "val": self.val, "test": self.test}
        if not self.train:
            raise SettingError("train", "above 0: training needs rows", self.train)
        kinds = {type(size) for size in sizes.values()}
        if len(kinds) > 1:
            part = next(part for part in sizes if type(sizes[part]) is not type(self.train))
            kind = "share (such as 0.6)" if isinstance(self.train, float) else "count (such as 60)"
            raise SettingError(part, f"a {kind}, as train is, or 0", sizes[part])
        if isinstance(self.train, float):
            # By their shortest text, which is what was written: 0.7 + 0.2 + 0.1 is then 1.
            total = sum(Fraction(str(size)) for size in sizes.values())
            if total > 1:
                written = " + ".join(str(size) for size in sizes.values())
                raise ValueError(
                    f"train + val + test must be at most 1, got {written} = {float(total)}."
                )
        return self


class KFoldSplit(Section):
    """One of several equal parts tests; of the others a share validates."""

    name: Literal["kfold"]
    n_folds: Annotated[int, whole(2)]
    fold: Annotated[int, whole(0)]
    val: Annotated[
        float,
        Rule(
            "a share of the rows outside the fold, from 0 up to, but not, 1", lambda v: 0 <= v < 1
        ),
    ]
    stratified: Annotated[bool, Rule("true or false")] = True
    seed: Seed = 0

    @model_validator(mode="after")
    def _check_fold(self) -> Self:
        if self.fold >= self.n_folds:
            rule = f"below n_folds, from 0 to {self.n_folds - 1}"
            raise SettingError("fold", rule, self.fold)
        return self


SplitConfig = Annotated[OrderedSplit | KFoldSplit, Discriminator("name")]
