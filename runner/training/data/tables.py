"""A table's columns to a Dataset: which column is the target, which are features.

The same for every kind of file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.config.data import is_form_of_dates
from runner.system.errors import ConfigError, DataError, nearest, shorten
from runner.system.text import elide
from runner.training.cells import CellFormat
from runner.training.data.columns import (
    Column,
    Origin,
    Rules,
    decimal_mark,
    notes_of,
    text_column,
)
from runner.training.data.dataset import (
    Dataset,
    FloatArray,
    IntArray,
    Reading,
)
from runner.training.outcome import PARTS
from runner.training.preprocessing import date_columns, date_parts
from runner.training.tasks import TASKS, label_words, task_of

if TYPE_CHECKING:
    from runner.config.data import FileData
    from runner.training.data.arrow import Cells

COMMAS = "commas are decimal marks"
_LISTED = 12
# Those that are found out; the earlier ones go before.
DELIMITERS = (",", ";", "\t", "|", " ")


@dataclass(frozen=True)
class RawTable:
    """A file that has been opened: the names of its columns, and how to read some of them."""

    file: str  # the file, as messages name it
    names: Sequence[str]  # all its columns
    # From positions of columns and `Rules` to the `Column` of each.
    read: Callable[[Sequence[int], Rules], list[Column]]
    header: str = ""  # where the names stand in the file, such as ``, line 1``
    # The column that is the target, where the kind of file has one of its own.
    target: str | None = None
    # The settings of the `data` group that were left open, as they turned out.
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what a person might not expect
    n_test: int = 0  # how many of its rows, the last ones, are test rows by the file's own word


def cells_table(
    file: str,
    names: Sequence[str],
    cells: Sequence[Cells],
    row_name: Callable[[int], str],
    config: FileData,
    *,
    header: str = "",
    settings: Mapping[str, Any] = {},
    notes: tuple[str, ...] = (),
) -> RawTable:
    """Make a table of cells of text; its decimal mark is one for all columns."""
    mark: str = config.decimal
    if mark == "auto":
        mark = decimal_mark(file, dict(zip(names, cells, strict=True)))
        notes += (COMMAS,) if mark == "," else ()

    def read(positions: Sequence[int], rules: Rules) -> list[Column]:
        chosen = [cells[position] for position in positions]
        return columns_of(file, names, positions, chosen, row_name, replace(rules, decimal=mark))

    return RawTable(file, names, read, header, settings={**settings, "decimal": mark}, notes=notes)


def columns_of(
    file: str,
    names: Sequence[str],
    positions: Sequence[int],
    cells: Sequence[Cells],
    row_name: Callable[[int], str],
    rules: Rules,
) -> list[Column]:
    """Find out what some columns of text hold."""
    return [
        text_column(
            names[p], column, Origin(file, f"column {shorten(names[p], 60)}", row_name), rules
        )
        for p, column in zip(positions, cells, strict=True)
    ]


def listed(names: Sequence[str]) -> str:
    """Write names in one line, the first dozen of many."""
    shown = ", ".join(shorten(name, 30) for name in names[:_LISTED])
    return shown + (f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else "")


def rules_of(config: FileData) -> Rules:
    """Return what the settings say of the cells of a file."""
    kinds: dict[str, str] = {
        name: "date" if is_form_of_dates(form) else "number"
        for name, form in (config.formats or {}).items()
    }
    kinds |= {n: kind for kind, names in (config.columns or {}).items() for n in names}
    kinds |= dict.fromkeys(config.categories, "words")
    return Rules(
        decimal="." if config.decimal == "auto" else config.decimal,
        missing_values=frozenset(config.missing_values),
        refuses_missing=config.missing == "refuse",
        day_first=config.day_first,
        formats=config.formats,
        kinds={name: kind for name, kind in kinds.items() if kind != "out"},
    )


def chosen_columns(config: FileData, names: Iterable[str]) -> set[str]:
    """Return those columns of a file that are features because somebody, or a record, says so."""
    # No column at all in a record of before they were written down.
    if config.features is not None or config.columns == {}:
        return set(names)
    return {name for of_kind in (config.columns or {}).values() for name in of_kind}


def unread_formats(config: FileData, names: Collection[str]) -> tuple[str, ...]:
    """Return the note on columns that have a format and are not among those that are read."""
    unread = [name for name in config.formats or () if name not in names]
    those = elide(", ".join(unread), 80)
    return (f"{those}: data.formats is not used, since it is left out",) * bool(unread)


def header_hint(settings: Mapping[str, Any], config: FileData) -> str:
    """Return what helps where a header was taken for data; nothing where none was."""
    was_guessed = config.header is None and settings.get("header") is False
    return " If the first line names the columns: data.header=true." if was_guessed else ""


def of_another_file(config: FileData) -> FileData:
    """Return settings for a file with the same columns, that another program may have written.

    A delimiter that is found out nowhere is its own as well.
    """
    auto = {"delimiter": "auto"} if config.delimiter in DELIMITERS else {}
    return config.model_copy(update={**auto, "encoding": None})


def load_table(
    table: RawTable,
    name: str,
    source: str,
    config: FileData,
    task: str = "auto",
    further: Sequence[tuple[str, Callable[[FileData], RawTable]]] = (),
    *,
    learns: bool = True,
) -> Dataset:
    """Read the features and the target of a table, and what its columns say of its rows.

    Rows without a target are left out. Each `further` file comes with its part, ``val`` or
    ``test``, and a function that opens it; it is read as the first one was. A table from which
    nothing is learned needs no target, and all its rows are of one class.
    """
    targets = targets_of(table, config, may_lack=not learns)
    roles = roles_of(table, config)
    # When a row was taken is a feature too.
    of_rows = {position for role, position in roles.items() if role != "time"}
    features = features_of(table, {*targets, *of_rows}, config)
    used = list(dict.fromkeys([*features, *targets, *roles.values()]))
    rules = rules_of(config)
    kinds = {"part": "words", "weight": "number"}
    of_roles = {table.names[p]: kinds[role] for role, p in roles.items() if role in kinds}
    feature_names = {table.names[position] for position in features}
    is_open = not feature_names <= chosen_columns(config, table.names)
    read = table.read(used, replace(rules, kinds={**rules.kinds, **of_roles}))
    parts = np.full(len(read[0].values), np.nan)
    parts[len(parts) - table.n_test :] = PARTS.index("test")
    notes = table.notes + unread_formats(config, [column.name for column in read])
    for part, opens in further:
        other = opens(of_another_file(config.model_copy(update=dict(table.settings))))
        notes += tuple(f"{other.file}: {note}" for note in other.notes if note not in table.notes)
        columns = _read_alike(other, table, read, config, is_open=is_open)
        read = [one.followed_by(two) for one, two in zip(read, columns, strict=True)]
        n_rows = len(columns[0].values)
        parts = np.concatenate([parts, np.full(n_rows, float(PARTS.index(part)))])
    by_position = dict(zip(used, read, strict=True))
    labels = [by_position[position] for position in targets]
    learned = encode_targets(labels, config, task) if learns else _nothing(len(parts))
    kept, n_without = learned.rows, learned.n_without
    if n_without:
        by_position = {position: column.take(kept) for position, column in by_position.items()}
    is_multilabel = learned.task == "multilabel"
    columns = [by_position[position] for position in features]
    targets_by_name = tuple(column.name for column in labels)
    reading = Reading(
        {**table.settings, "target": _as_given(config.target, targets_by_name)},
        {column.name: column.kind for column in columns},
        {c.name: c.kind for position, c in by_position.items() if position not in features},
        {c.name: c.format for c in by_position.values() if c.format},
        {c.name: n for c in columns if (n := int(c.is_missing.sum()))},
        n_without,
        (*notes, *notes_of((*columns, *labels))),
        tuple(column.name for column in columns if column.is_truth),
        tuple(column.name for column in columns if column.is_text),
        CellFormat(
            table.settings.get("decimal", rules.decimal),
            config.missing_values,
            {column.name: column.unit for column in columns if column.unit},
        ),
        tuple(label_words(by_position[position]) for position in targets) * is_multilabel,
    )
    values = {role: _role(role, by_position[p]) for role, p in roles.items() if learns}
    if not np.isnan(parts).all():
        values["part"] = parts[kept]
    features_by_name = dict(part for column in columns for part in parts_of(column))
    return Dataset(
        name=name,
        feature_names=tuple(features_by_name),
        X=_stacked(list(features_by_name.values())),
        y=learned.y,
        class_names=learned.names,
        source=source,
        categories={column.name: column.words for column in columns if column.kind == "words"},
        dates={column.name: column.form for column in columns if column.kind == "date"},
        reading=reading,
        task=learned.task,
        targets=targets_by_name,
        rows=kept if n_without else None,
        roles=values,
    )


@dataclass(frozen=True)
class EncodedTargets:
    """Target columns as a loss takes them."""

    task: str
    y: NDArray[Any]  # of shape (n_samples,) or (n_samples, n_labels)
    names: tuple[str, ...]  # what the outputs stand for
    rows: IntArray  # of shape (n_samples,): the rows that have a target
    n_without: int  # how many have none


def _nothing(n_rows: int) -> EncodedTargets:
    """Return targets from which nothing is learned: all rows are of one class."""
    y = np.zeros(n_rows, np.intp)
    return EncodedTargets("classification", y, ("",), np.arange(n_rows), 0)


def encode_targets(labels: Sequence[Column], config: FileData, task: str) -> EncodedTargets:
    """Turn target columns into what a loss takes, without the rows that have none."""
    file = labels[0].origin.file
    has_target = ~np.any([column.is_missing for column in labels], axis=0)
    kept = np.flatnonzero(has_target)
    if not len(kept) and len(has_target):
        raise DataError(
            f"{file}, {labels[0].origin.column}: must hold the target, got {len(has_target):,} "
            "rows without one. data.target names another column."
        )
    if len(kept) < 2:
        raise DataError(f"{file}: must have at least 2 rows of data, got {len(kept)}.")
    if not has_target.all():
        labels = [column.take(kept) for column in labels]
    task = task_of(labels) if task == "auto" else task
    if (len(labels) > 1) != (task == "multilabel"):
        rule = f"{'a list of columns' if task == 'multilabel' else 'one column'} for task={task}"
        raise ConfigError("data.target", rule, config.target)
    y, names = TASKS[task].encode(labels, config.positive)
    return EncodedTargets(task, y, names, kept, len(has_target) - len(kept))


def _as_given(
    target: str | tuple[str, ...] | None, names: tuple[str, ...]
) -> str | tuple[str, ...] | None:
    """Return the names of the targets in the form of the setting, which may have numbers."""
    return target and (names if isinstance(target, tuple) else names[0])


def roles_of(table: RawTable, config: FileData) -> dict[str, int]:
    """Return the columns that say something of rows: their part, group, time and weight."""
    named = {
        "part": ("data.split_column", config.split_column),
        "group": ("data.group", config.group),
        "time": ("data.time", config.time),
        "weight": ("data.weight", config.weight),
    }
    rule = f"a column of {shorten(table.file)}"
    roles = {
        role: only(table, _position_of(table, name, key, rule))
        for role, (key, name) in named.items()
        if name is not None
    }
    if "part" in roles and (config.test_path or config.val_path or table.n_test):
        rule = "null, since files or arrays of their own say which rows validate and test"
        raise ConfigError("data.split_column", rule, config.split_column)
    return roles


# How people call the parts in a column.
_PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def _role(role: str, column: Column) -> FloatArray:
    """Return what a column says of each row, checked."""
    values, origin = column.values, column.origin
    rules = {
        "part": ("train, val or test", "data.split_column"),
        "group": ("a group", "data.group"),
        "time": ("a date or a number", "data.time"),
        "weight": ("a number of at least 0", "data.weight"),
    }
    bad = column.is_missing
    if role == "time" and column.kind == "words":
        bad = np.ones(len(values), bool)
    elif role == "weight":
        bad |= ~(values >= 0)
    elif role == "part":
        parts = [_PART_NAMES.get(word.lower()) for word in column.words]
        codes = np.array([np.nan if part is None else PARTS.index(part) for part in parts])
        values = codes[values.astype(np.intp)]
        bad |= np.isnan(values)
    if bad.any():
        row = int(np.argmax(bad))
        rule, key = rules[role]
        got = "" if column.is_missing[row] else column.raw_values()[row : row + 1].tolist()[0]
        hint = f"\nEvery row needs one; {key}=null does without."
        raise origin.error(row, rule, got, hint)
    return np.unique(values, return_inverse=True)[1].astype(float) if role == "group" else values


def _read_alike(
    other: RawTable,
    table: RawTable,
    columns: Sequence[Column],
    config: FileData,
    *,
    is_open: bool,
) -> list[Column]:
    """Read columns of a further file as those of the first one were read.

    It must have no others where it `is_open` which columns are features.
    """
    missing = [column.name for column in columns if column.name not in other.names]
    added = [n for n in other.names if n not in table.names and n not in config.drop and is_open]
    if missing or added:
        lacks = f" It lacks {listed(missing)}." if missing else ""
        has = f" It has {listed(added)}, which that lacks." if added else ""
        raise DataError(
            f"{other.file}{other.header}: must have the columns of {table.file}.{lacks}{has}\n"
            "data.drop leaves columns out; data.features names those that count."
        )
    rules = replace(
        rules_of(config),
        kinds={column.name: column.kind for column in columns},
        formats={column.name: column.format for column in columns},
        first_file=table.file,
    )
    positions = [only(other, list(other.names).index(column.name)) for column in columns]
    return other.read(positions, rules)


def _stacked(columns: Sequence[FloatArray]) -> FloatArray:
    """Do as `numpy.column_stack`, in a tenth of its time for a large table.

    A block of rows stays in the processor's cache while one column after the other is put there.
    """
    X = np.empty((len(columns[0]), len(columns)))
    for start in range(0, len(X), 2048):
        block = slice(start, start + 2048)
        for column, values in enumerate(columns):
            X[block, column] = values[block]
    return X


def parts_of(column: Column) -> list[tuple[str, FloatArray]]:
    """Return the columns of numbers that a column becomes: of a date, its `date_parts`."""
    if column.kind != "date":
        return [(column.name, column.values)]
    return list(zip(date_columns(column.name), date_parts(column.values), strict=True))


def targets_of(table: RawTable, config: FileData, *, may_lack: bool = False) -> list[int]:
    """Return the positions of the columns that are predicted; none if it `may_lack` them."""
    names = config.target if isinstance(config.target, tuple) else (config.target or table.target,)
    if names == (None,) and may_lack:
        return []
    positions = [_target_of(table, name) for name in names]
    if len(set(positions)) < len(positions) or not positions:
        rule = "the name of the column that is predicted, or a list of different ones"
        raise ConfigError("data.target", rule, list(names))
    return positions


def _target_of(table: RawTable, name: str | None) -> int:
    columns = f"Its columns are {listed(table.names)}."
    if len(table.names) == 1:
        columns += " Does another data.delimiter separate them?"
    if name is None:
        raise ConfigError.plain(
            f"data.target: must be given, the column of {shorten(table.file)} to predict. {columns}"
        )
    position = _position(table.names, name)
    if position is None:
        hint = f"{nearest(name, table.names)} {columns}".lstrip()
        raise ConfigError("data.target", f"a column of {shorten(table.file)}", name, hint)
    return only(table, position)


def features_of(table: RawTable, targets: Collection[int], config: FileData) -> list[int]:
    """Find the feature columns: those that are named, or all but the target and `data.drop`."""
    dropped = {_position_of(table, name, "data.drop") for name in config.drop}
    of_kinds = config.columns or {}
    dropped |= {_position_of(table, name, "data.columns") for name in config.left_out}
    named = {
        "data.columns": [n for kind, names in of_kinds.items() if kind != "out" for n in names],
        "data.categories": config.categories,
        "data.formats": config.formats or (),
    }
    for key, names in named.items():
        for name in names:
            if name not in table.names:
                raise _unknown(table, name, key)
    if config.features is None:
        chosen = [p for p in range(len(table.names)) if p not in targets and p not in dropped]
        if not chosen:
            raise DataError(
                f"{table.file}: must have at least one feature column beside the target, "
                f"got {listed(table.names)}."
            )
        return [only(table, position) for position in chosen]
    rule = f"a list of columns of {shorten(table.file)} without the target"
    if not config.features:
        raise ConfigError("data.features", rule, [])
    positions: list[int] = []
    for name in config.features:
        position = _position_of(table, name, "data.features", rule)
        if position in targets:
            hint = "It is the target, or tells of rows (data.target, .group, .weight, ...)."
            raise ConfigError("data.features", rule, name, hint)
        if position in positions:
            raise ConfigError("data.features", rule, name, "It is there twice.")
        positions.append(only(table, position))
    return [position for position in positions if position not in dropped]


def _position_of(table: RawTable, name: str, key: str, rule: str | None = None) -> int:
    """Return the position of a column that a setting names."""
    position = _position(table.names, name)
    if position is None:
        raise _unknown(table, name, key, rule)
    return position


def _unknown(table: RawTable, name: str, key: str, rule: str | None = None) -> ConfigError:
    rule = rule or f"the names of columns of {shorten(table.file)}"
    hint = f"{nearest(name, table.names)} Its columns are {listed(table.names)}.".lstrip()
    return ConfigError(key, rule, name, hint)


def _position(names: Sequence[str], name: str) -> int | None:
    """Find a column by its name or, where none has this name, by its number from 0 or from -1."""
    if name in names:
        return names.index(name)
    if re.fullmatch(r"-?\d{1,9}", name) and -len(names) <= int(name) < len(names):
        return int(name) % len(names)
    return None


def only(table: RawTable, position: int) -> int:
    """Return the position of a column that is used, if no other one has its name."""
    name = table.names[position]
    others = [other for other, same in enumerate(table.names) if same == name]
    if len(others) > 1:
        raise DataError(
            f"{table.file}{table.header}, columns {others[0] + 1} and {others[1] + 1}: must have "
            f"names of their own, got {shorten(name, 60)} for both. data.features names others."
        )
    return position
