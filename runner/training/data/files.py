"""A person's own file to a dataset, to rows that are to be predicted, or to a description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.data import FileData
from runner.config.plugins import READERS
from runner.system.errors import DataError, nearest, shorten
from runner.system.paths import expanded
from runner.system.text import printable
from runner.training.data import sources
from runner.training.data.columns import Column, notes_of
from runner.training.data.dataset import Dataset
from runner.training.data.tables import (
    RawTable,
    header_hint,
    listed,
    load_table,
    of_another_file,
    only,
    roles_of,
    rules_of,
    targets_of,
    unread_formats,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from runner.config.data import DataConfig
    from runner.training.preprocessing import Preprocessing


def load_file(config: FileData, task: str = "auto", *, learns: bool = True) -> Dataset:
    """Read a person's own table, with the files of its validation and test rows.

    To describe features from which nothing is learned, those of the first file are enough.
    """
    path = expanded(config.path)
    table = open_table(path, printable(config.path), config)
    further = [
        (part, partial(open_table, expanded(other), printable(other), key=f"data.{part}_path"))
        for part, other in (("val", config.val_path), ("test", config.test_path))
        if other is not None and learns
    ]
    name, source = sources.stem_of(path), str(path.absolute())
    try:
        return load_table(table, name, source, config, task, further, learns=learns)
    except DataError as error:
        raise DataError(f"{error}{header_hint(table.settings, config)}") from None


def files_of(config: FileData) -> list[Path]:
    """Return all files that are read, those of labels included."""
    given = (config.path, config.val_path, config.test_path)
    paths = [expanded(path) for path in given if path is not None]
    return [*paths, *filter(None, map(sources.labels_beside, paths))]


@dataclass(frozen=True)
class Described:
    """What reading a file finds out, without training on it."""

    columns: Sequence[Column]
    # What the columns are for that are no features: ``the target``, ``left out: constant``.
    uses: Mapping[str, str]
    settings: FileData  # the settings, in which nothing is left open
    notes: Sequence[str]  # what a person might not expect
    n_test: int  # how many of its rows, the last ones, are test rows by the file's own word
    # What the target is, in a line; why it cannot be learned, if so; '' without a target.
    learned: str = ""

    @property
    def n_rows(self) -> int:
        """How many rows the file has."""
        return len(self.columns[0].values)


def describe_file(
    config: FileData, settings: FileData, left_out: Mapping[str, str], learned: str = ""
) -> Described:
    """Read all columns of a person's table, given what `runner.training.prepare` made of them.

    These are the settings in which nothing is left open, the columns that say nothing, each with
    the reason, and what is learned.
    """
    table = open_table(expanded(config.path), printable(config.path), config)
    columns = table.read(
        [only(table, position) for position in range(len(table.names))], rules_of(config)
    )
    targets = targets_of(table, config, may_lack=True)
    kinds = settings.columns or {}
    features = {name for kind, names in kinds.items() if kind != "out" for name in names}
    uses = {
        name: f"left out: {left_out.get(name, 'data.drop')}"
        for name in table.names
        if name not in features
    }
    for role, position in roles_of(table, config).items():
        if role != "time":
            uses[table.names[position]] = f"the {role} of each row"
    uses |= dict.fromkeys((table.names[position] for position in targets), "the target")
    read = [name for name in table.names if uses.get(name) != "left out: data.drop"]
    unread = unread_formats(config, read)
    notes = (*table.notes, *unread, *notes_of(columns))
    return Described(columns, uses, settings, notes, table.n_test, learned)


def load_rows(
    path: Path, preprocessing: Preprocessing, config: DataConfig, targets: Sequence[str] = ()
) -> tuple[dict[str, NDArray[Any]], list[Column]]:
    """Read the raw rows of a person's own table, and its targets where it has them.

    The preprocessing knows the columns, and what each of them is; what the data of the run say of a
    file's cells holds for these too. Returns numbers, words or dates by raw column, each of shape
    (n_rows,), and the columns of the `targets`: none where one of them is not there. Raises
    `DataError` if the file is of no use; the text names the line and the column.
    """
    file, wanted = printable(path), preprocessing.raw_names
    if not isinstance(config, FileData):
        config = FileData(name="file", path=str(path))
    table = open_table(path, file, of_another_file(config), has_target=False)
    names = list(table.names)
    if not set(wanted) <= set(names):
        missing = next(name for name in wanted if name not in names)
        if table.header or len(names) != len(wanted):
            near = nearest(missing, names)
            raise DataError(
                f"{file}{table.header}: must have the column {shorten(missing, 60)}, which the "
                f"network was trained on.{f' {near}' if near else ''} Its columns are "
                f"{listed(names)}."
            )
        names = list(wanted)  # of a table without names, the columns in their order
    kinds = {name: "words" if name in preprocessing.categories else "number" for name in wanted}
    kinds |= dict.fromkeys(preprocessing.dates, "date")
    units = preprocessing.cells.units
    signs = {name: None if units is None else units.get(name, "") for name in wanted}
    rules = replace(
        rules_of(config),
        kinds=kinds,
        refuses_missing=not preprocessing.fill,
        formats={**signs, **preprocessing.dates},
        is_prediction=True,
    )
    columns = table.read([only(table, names.index(name)) for name in wanted], rules)
    if not len(columns[0].values):
        raise DataError(f"{file}: must hold at least one row, got none.")
    raw = {name: column.raw_values() for name, column in zip(wanted, columns, strict=True)}
    if not targets or not set(targets) <= set(table.names):
        return raw, []
    positions = [only(table, names.index(name)) for name in targets]
    rules = rules_of(config)
    # Rows whose target is yet to be found out may have anything there.
    words = {name: kind for name, kind in rules.kinds.items() if kind == "words"}
    return raw, table.read(positions, replace(rules, kinds=words, refuses_missing=False))


def open_table(
    path: Path, file: str, config: FileData, *, has_target: bool = True, key: str = "data.path"
) -> RawTable:
    """Open a file with the reader for its kind; rows that are to be predicted have no target.

    `key` is the setting that names the file. Raises `DataError` if it is not what its name says,
    damaged, or larger than this machine's memory. Raises `ConfigError` if there is no such file, or
    a setting does not fit it.
    """
    kind, content = sources.read_source(path, file, key)
    if kind == sources.TEXT:
        from runner.training.data.delimited import open_text

        return open_text(content, file, config)
    if kind in {sources.LINES, sources.EXCEL, *READERS}:
        from runner.training.data import sheets

        opens = sheets.open_lines if kind == sources.LINES else sheets.open_excel
        if kind in READERS:
            opens = partial(sheets.open_by_plugin, READERS[kind])
        return opens(content, file, config)
    if kind in {sources.PARQUET, sources.FEATHER}:
        from runner.training.data.parquet import open_arrow

        return open_arrow(content, path, file, kind, config)
    from runner.training.data import arrays

    if kind == sources.IDX:
        return arrays.open_idx(content, file, sources.labels_beside(path) if has_target else None)
    if kind == sources.NPY:
        return arrays.open_npy(content, file)
    return arrays.open_npz(content, file, config, has_target=has_target)
