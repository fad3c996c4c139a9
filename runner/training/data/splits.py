"""Which rows train, which validate, which test: row indices from a seed of the split's own.

Decided by the number of rows and their classes alone. Rows are dealt as scikit-learn's KFold,
StratifiedKFold and StratifiedShuffleSplit deal them, whose import takes more than a second.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import ConfigError, DataError, shorten
from runner.training.data.dataset import FloatArray
from runner.training.outcome import PARTS

if TYPE_CHECKING:
    from runner.config.data import KFoldSplit, OrderedSplit, SplitConfig

IntArray = NDArray[np.intp]
_SHOWN = 6
# What helps when training does not see a class.
_HINTS = {
    "contiguous": "split.name=shuffled and split.name=stratified mix the rows first.",
    "time": "split.train takes more rows.",
    "shuffled": "split.name=stratified gives each part its share of every class.",
    "kfold": "split.stratified=true gives each fold its share of every class.",
}


@dataclass(frozen=True, eq=False)
class Split:
    """Row indices of the three parts, ascending and disjoint.

    Examples
    --------
    >>> split = Split(train=np.array([2, 0]), val=np.array([1]), test=np.array([3]))
    >>> split.train
    array([0, 2])
    """

    # Of shape (n_rows,). `val` and `test` may be empty.
    train: IntArray
    val: IntArray
    test: IntArray
    digest: str = field(init=False)  # SHA-256 over the three

    def __post_init__(self) -> None:
        digest = hashlib.sha256()
        for part in PARTS:
            rows = np.sort(getattr(self, part))
            rows.flags.writeable = False
            object.__setattr__(self, part, rows)
            digest.update(len(rows).to_bytes(8, "little"))
            digest.update(rows.astype("<i8").data)
        object.__setattr__(self, "digest", digest.hexdigest())


def split_rows(
    config: SplitConfig,
    y: NDArray[Any],
    class_names: Sequence[str],
    roles: Mapping[str, FloatArray] = {},
) -> Split:
    """Divide the rows as the `split` group of an experiment says.

    `y` is of shape (n_samples,); the names of its classes are for the messages, and empty where it
    holds none. `roles` is what `Dataset.roles` says of the rows: their part, group and time. Raises
    `ConfigError` if the sizes do not fit the number of rows. Raises `DataError` if a class is too
    rare to be divided, or training would never see a class.

    Notes
    -----
    Shares are laid end to end and each border rounded to the nearest row, so that shares that
    sum to 1 use every row.
    """
    rows = np.arange(len(y))
    given = dict.fromkeys(PARTS, rows[:0])
    if "part" in roles:
        part = roles["part"]
        given = {name: np.flatnonzero(part == code) for code, name in enumerate(PARTS)}
        rows = np.flatnonzero(np.isnan(part))
        if not len(rows) and not len(given["val"]):  # the split takes its share of these
            rows, given["train"] = given["train"], rows
    drawn = dict.fromkeys(PARTS, rows[:0])
    if len(rows):
        of_rows = {role: values[rows] for role, values in roles.items()}
        fixed = [name for name in ("val", "test") if len(given[name])]
        if "part" in roles and not len(given["test"]) and not np.isnan(roles["part"]).any():
            fixed.append("test")  # a column that names no test rows
        divided = _divide(config, y[rows], class_names, of_rows, fixed)
        drawn = {name: rows[getattr(divided, name)] for name in PARTS}
    parts = {name: np.concatenate([given[name], drawn[name]]) for name in PARTS}
    for name in {"val": ("val",), "all": ("val", "test")}.get(config.train_too or "", ()):
        parts["train"] = np.concatenate([parts["train"], parts[name]])
        parts[name] = rows[:0]
    split = Split(**parts)
    if not len(split.train):
        raise DataError("split: must have training rows, got none.")
    if class_names:
        _check_classes(split, y, class_names, _HINTS.get(config.name))
    return split


def _divide(
    config: SplitConfig,
    y: NDArray[Any],
    class_names: Sequence[str],
    roles: Mapping[str, FloatArray],
    fixed: Collection[str],
) -> Split:
    """Divide rows into the parts that have no rows of their own."""
    name, groups = config.name, roles.get("group")
    if name == "time" and "time" not in roles:
        rule = "the column by which split=time orders the rows"
        raise ConfigError("data.time", rule, None)
    if name != "time" and "time" in roles:
        raise ConfigError("split.name", "time where data.time is given", name, "Say split=time.")
    if groups is not None and name in {"contiguous", "time"}:
        rule = "shuffled, stratified or kfold where data.group is given"
        raise ConfigError("split.name", rule, name)
    if config.name == "kfold":
        if fixed:
            rule = "another kind where validation or test rows are given"
            raise ConfigError("split.name", rule, name, "Say split=stratified.")
        return _kfold(config, y, class_names, groups)
    sizes = _sizes(config, len(y), fixed)
    if groups is not None:
        classes = y if name == "stratified" else np.zeros(len(y), np.intp)
        part = _deal_groups(groups, classes, sizes, _generator(config.seed))
        return Split(*(np.flatnonzero(part == code) for code in range(3)))
    if name == "stratified":
        return _stratified(sizes, y, class_names, config.seed)
    order = np.arange(len(y))
    if name == "shuffled":
        order = _generator(config.seed).permutation(len(y))
    elif name == "time":
        order = np.argsort(roles["time"], kind="stable")
    train, val, test, _ = np.split(order, np.cumsum(sizes))
    return Split(train, val, test)


def _deal_groups(
    groups: FloatArray, y: IntArray, sizes: Sequence[int], rng: np.random.Generator
) -> IntArray:
    """Return the part of each row, where rows of one group stay together.

    Group after group, in random order, goes to the part that lacks most rows of its classes.
    """
    codes, n_groups = np.unique(groups, return_inverse=True)[1], len(np.unique(groups))
    counts = np.zeros((n_groups, int(y.max()) + 1))
    np.add.at(counts, (codes, y), 1.0)
    totals = counts.sum(axis=0)
    lacking = np.outer(sizes, totals / len(y))
    part_of_group = np.zeros(n_groups, np.intp)
    for group in rng.permutation(n_groups).tolist():
        part = int(np.argmax(lacking @ (counts[group] / np.maximum(totals, 1.0))))
        lacking[part] -= counts[group]
        part_of_group[group] = part
    for part in np.flatnonzero(sizes).tolist():
        if part not in part_of_group:
            name = PARTS[part] if len(sizes) == 3 else f"fold {part}"
            raise DataError(
                f"split: {name} must get at least one of the {n_groups:,} groups of data.group, "
                "got none: they are too few or too large for its share."
                f"\n{'split.val=0' if len(sizes) == 3 else 'A smaller split.n_folds'} needs fewer."
            )
    return part_of_group[codes]


def _generator(seed: int, *spawn_key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=spawn_key))


def _random_state(seed: int, *spawn_key: int) -> np.random.RandomState:
    """Return the generator that scikit-learn uses, which takes 32 bits of a seed of any size."""
    state = np.random.SeedSequence(seed, spawn_key=spawn_key).generate_state(1)[0]
    return np.random.RandomState(state)


def _sizes(
    config: OrderedSplit, n_samples: int, fixed: Collection[str] = ()
) -> tuple[int, int, int]:
    """Turn shares into counts, and hold counts against the rows there are.

    Parts that are fixed have rows of their own, and leave their shares to the others.
    """
    wanted = tuple(0 if name in fixed else getattr(config, name) for name in PARTS)
    if all(isinstance(size, int) for size in wanted) and isinstance(config.train, int):
        sizes = tuple(int(size) for size in wanted)
    else:
        # A float's shortest text is what the person wrote: 0.7 + 0.2 + 0.1 is then exactly 1.
        shares = [Fraction(str(size)) for size in wanted]
        if fixed:
            every = sum(Fraction(str(getattr(config, name))) for name in PARTS)
            shares = [share * every / sum(shares) for share in shares]
        borders = [round(sum(shares[:count]) * n_samples) for count in range(4)]
        sizes = tuple(end - start for start, end in pairwise(borders))
    if sum(sizes) > n_samples:
        total = " + ".join(str(size) for size in sizes)
        raise ConfigError.plain(
            f"split: train + val + test must be at most the {n_samples:,} rows there are, "
            f"got {total} = {sum(sizes)}."
        )
    for part, size, asked in zip(PARTS, sizes, wanted, strict=True):
        if asked and not size:
            rule = (
                "at least 1 row" if part == "train" else f"at least 1 row, or 0 for no {part} rows"
            )
            raise ConfigError.plain(
                f"split.{part}: must be {rule}, got none: {asked} of {n_samples:,} rows is 0 rows."
            )
    return sizes[0], sizes[1], sizes[2]


def _stratified(
    sizes: tuple[int, int, int], y: IntArray, class_names: Sequence[str], seed: int
) -> Split:
    """Draw test, then val, then train from what is left, each with the classes in proportion."""
    n_parts = sum(size > 0 for size in sizes)
    classes = _Classes(y, class_names)
    classes.check_members(np.arange(len(y)), n_parts, f"each of its {n_parts} parts")
    test, rest = classes.draw("test", sizes[2], np.arange(len(y)), _random_state(seed, 2))
    val, rest = classes.draw("val", sizes[1], rest, _random_state(seed, 1))
    train, _ = classes.draw("train", sizes[0], rest, _random_state(seed, 0))
    return Split(train, val, test)


def _kfold(
    config: KFoldSplit, y: IntArray, class_names: Sequence[str], groups: FloatArray | None
) -> Split:
    """Take one fold as test, and a share of the other rows as val."""
    if config.n_folds > len(y):
        raise ConfigError("split.n_folds", f"at most {len(y)}, the number of rows", config.n_folds)
    classes = _Classes(y, class_names)
    dealt = y if config.stratified else np.zeros(len(y), np.intp)
    if groups is not None:
        sizes = [1 + len(y) // config.n_folds] * config.n_folds
        is_test = _deal_groups(groups, dealt, sizes, _generator(config.seed)) == config.fold
        rest, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        n_val = _n_val(config, len(rest))
        sizes = [len(rest) - n_val, n_val, 0]
        rng = _generator(config.seed, config.fold)
        part = _deal_groups(groups[rest], dealt[rest], sizes, rng)
        return Split(rest[part == 0], rest[part == 1], test)
    if config.stratified:
        why = f"each of split.n_folds={config.n_folds}"
        classes.check_members(np.arange(len(y)), config.n_folds, why)
    deal = stratified_folds if config.stratified else plain_folds
    is_test = deal(y, config.n_folds, _random_state(config.seed)) == config.fold
    rest, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    n_val = _n_val(config, len(rest))
    if config.stratified:
        val, train = classes.draw("val", n_val, rest, _random_state(config.seed, 1))
    else:
        order = _generator(config.seed, config.fold).permutation(rest)
        val, train = order[:n_val], order[n_val:]
    return Split(train, val, test)


def _n_val(config: KFoldSplit, n_rows: int) -> int:
    """Return how many of the rows outside the test fold validate."""
    n_val = round(Fraction(str(config.val)) * n_rows)
    if config.val and not 0 < n_val < n_rows:
        raise ConfigError.plain(
            f"split.val: must leave at least 1 row to val and 1 to train, or be 0 for no val rows, "
            f"got {n_val} rows: {config.val} of {n_rows:,} rows is {n_val} rows."
        )
    return n_val


def plain_folds(y: IntArray, n_folds: int, rng: np.random.RandomState) -> IntArray:
    """Return the fold of each row, whatever its class; sizes differ by at most one."""
    order = np.arange(len(y))
    rng.shuffle(order)
    folds = np.empty_like(order)
    folds[order] = np.sort(np.arange(len(y)) % n_folds)
    return folds


def stratified_folds(y: IntArray, n_folds: int, rng: np.random.RandomState) -> IntArray:
    """Return the fold of each row, such that each fold has its share of every class."""
    classes, first_rows, counts = np.unique(y, return_index=True, return_counts=True)
    folds = np.empty(len(y), np.intp)
    start = 0
    # In their order of appearance, a class goes on dealing where the one before it has stopped.
    for index in np.argsort(first_rows):
        of_class = np.sort(np.arange(start, start + counts[index]) % n_folds)
        rng.shuffle(of_class)
        folds[y == classes[index]] = of_class
        start += counts[index]
    return folds


def stratified_halves(
    y: IntArray, n_drawn: int, rng: np.random.RandomState
) -> tuple[IntArray, IntArray]:
    """Draw rows with their classes in proportion; return these and the others, in random order.

    At least one row of each class must be left, and one drawn.
    """
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    n_others = _in_proportion(counts, len(y) - n_drawn, rng)
    # It is all that is left, and draws numbers that those below come after.
    n_taken = _in_proportion(counts - n_others, n_drawn, rng)
    others, drawn = [], []
    for rows, kept, taken in zip(
        np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1]),
        n_others,
        n_taken,
        strict=True,
    ):
        shuffled = rows[rng.permutation(len(rows))]
        others.append(shuffled[:kept])
        drawn.append(shuffled[kept : kept + taken])
    left = rng.permutation(np.concatenate(others))
    return rng.permutation(np.concatenate(drawn)), left


def _in_proportion(counts: IntArray, n_draws: int, rng: np.random.RandomState) -> IntArray:
    """Return how many of each class to draw: its share, rounded so that the sum is right.

    What is missing after rounding down goes to the largest remainders, among equals by chance.
    """
    shares = counts / counts.sum() * n_draws
    draws: IntArray = np.floor(shares).astype(np.intp)
    remainders = shares - draws
    missing = int(n_draws - draws.sum())
    for remainder in np.unique(remainders)[::-1]:
        if missing == 0:
            break
        equals = np.flatnonzero(remainders == remainder)
        chosen = rng.choice(equals, size=min(len(equals), missing), replace=False)
        draws[chosen] += 1
        missing -= len(chosen)
    return draws


@dataclass(frozen=True)
class _Classes:
    """The class of each row, to be drawn from in proportion."""

    y: IntArray
    names: Sequence[str]

    def draw(
        self, part: str, size: int, rows: IntArray, rng: np.random.RandomState
    ) -> tuple[IntArray, IntArray]:
        """Draw `size` of some rows with their classes in proportion; give these and the others."""
        if size == 0:
            return rows[:0], rows
        if size == len(rows):
            return rows, rows[:0]
        n_classes = len(np.unique(self.y[rows]))
        if not n_classes <= size <= len(rows) - n_classes:
            raise ConfigError.plain(
                f"split.{part}: must be at least {n_classes} rows and leave {n_classes} to the "
                f"other parts, one for each class,\ngot {size} of {len(rows):,} rows."
            )
        self.check_members(rows, 2, f"{part} and for the other parts")
        drawn, others = stratified_halves(self.y[rows], size, rng)
        return rows[drawn], rows[others]

    def check_members(self, rows: IntArray, n_needed: int, why: str) -> None:
        """Refuse to stratify a class that has too few of some rows, and name it."""
        present, counts = np.unique(self.y[rows], return_counts=True)
        is_rare = counts < n_needed
        if is_rare.any():
            rare = [self.names[label] for label in present[is_rare]]
            got = [
                f"{n} of class {shorten(name, 40)}"
                for name, n in zip(rare, counts[is_rare], strict=True)
            ]
            raise DataError(
                f"split: a stratified split must have at least {n_needed} rows of every class, one "
                f"for {why},\ngot {_several(got)}.\n{_rare_hint(rare)}"
            )


def _several(texts: Sequence[str]) -> str:
    """Join texts, the first of many."""
    more = f" and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
    return f"{', '.join(texts[:_SHOWN])}{more}"


def _rare_hint(classes: Sequence[str]) -> str:
    """Return what helps where some classes have too few rows."""
    if all(re.fullmatch(r"-?\d+", name) for name in classes):
        return "task=regression takes whole numbers as quantities; else take these rows out."
    return (
        "Take their rows out of the file, or give them another class; data.missing_values leaves "
        "out what stands for no class."
    )


def _check_classes(split: Split, y: IntArray, class_names: Sequence[str], hint: str | None) -> None:
    """Refuse a split whose training rows cannot teach what the other rows ask."""
    # np.unique would import numpy.ma, which takes as long as training.
    n_rows = np.bincount(y[split.train], minlength=len(class_names))
    trained = np.flatnonzero(n_rows)
    for part in ("test", "val"):
        n_here = np.bincount(y[getattr(split, part)], minlength=len(class_names))
        labels = np.flatnonzero((n_here > 0) & (n_rows == 0)).tolist()
        if labels:
            names = [class_names[label] for label in labels]
            raise DataError(
                f"split: the {len(split.train):,} training rows must hold every class of the "
                f"{part} rows,\ngot class {_several([shorten(name, 40) for name in names])} in "
                f"{part} alone.\n{hint or _rare_hint(names)}"
            )
    if len(trained) < 2:
        raise DataError(
            f"split: the training rows must hold at least 2 classes, got only "
            f"{shorten(class_names[trained[0]], 60)} in all {len(split.train):,} rows."
            f"\n{hint or 'data.path must lead to rows of further classes.'}"
        )
