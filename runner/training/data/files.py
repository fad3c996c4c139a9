"""A person's own file: checks that it is what its name says, then calls the reader for its kind.

A file is hostile until it is read: nothing is unpickled, and nothing is allocated on its word.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from runner.config.data import FileData
from runner.system.errors import ConfigError, DataError, nearest, shorten
from runner.system.files import DAMAGED
from runner.system.paths import expanded
from runner.system.text import printable
from runner.training.data.columns import Column, Distinct, Origin, Rules, decimal_mark, text_column
from runner.training.data.dataset import Dataset, memory_bytes
from runner.training.data.delimited import Text, read_delimited
from runner.training.data.tables import (
    RawTable,
    dataset_of,
    listed,
    load_table,
    only,
    rules_of,
    target_of,
)
from runner.training.data.uninformative import uninformative

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from runner.config.data import DataConfig
    from runner.training.preprocessing import Preprocessing

_TEXT, _PARQUET, _NPZ, _NPY = "delimited text", "a Parquet file", "an NPZ archive", "an NPY array"
_KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".data", ".dat"), _TEXT),
    ".parquet": _PARQUET,
    ".npz": _NPZ,
    ".npy": _NPY,
}
_PACKED = (".gz", ".xz", ".bz2", ".zip")
_FIRST_BYTES = {
    b"PAR1": _PARQUET,
    b"PK": _NPZ,  # or another zip, which has no arrays in it
    b"\x93NUMPY": _NPY,
    b"\x80\x04": "a pickle (never loaded)",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\xd0\xcf\x11\xe0": "an old Office file",
    b"%PDF": "a PDF file",
}
_BLOCK = 1 << 22


def load_file(config: FileData) -> Dataset:
    """Read a person's own table."""
    path = expanded(config.path)
    table = open_table(path, printable(config.path), config)
    name = Path(path.stem).stem if path.suffix.lower() in _PACKED else path.stem
    return load_table(table, name, str(path.absolute()), config)


@dataclass(frozen=True)
class Described:
    """What reading a file finds out, without training on it.

    Parameters
    ----------
    columns : sequence of Column
    left_out : mapping of str to str
        The columns that say nothing, each with the reason; decided on all rows.
    settings : FileData
        The settings, in which nothing is left open.
    notes : sequence of str
        What a person might not expect.
    """

    columns: Sequence[Column]
    left_out: Mapping[str, str]
    settings: FileData
    notes: Sequence[str]

    @property
    def n_rows(self) -> int:
        """How many rows the file has."""
        return len(self.columns[0].values)


def describe_file(config: FileData) -> Described:
    """Read all columns of a person's table, its target too where one is named."""
    path = expanded(config.path)
    table = open_table(path, printable(config.path), config)
    target = None if config.target is None else target_of(table, config)
    columns = table.read(
        [only(table, position) for position in range(len(table.names))], rules_of(config)
    )
    features = [column for position, column in enumerate(columns) if position != target]
    chosen = dataset_of(path.stem, str(path), features)
    named = config.features is not None or config.columns is not None
    left_out = uninformative(chosen, np.arange(len(chosen.y)), are_chosen=named)
    out = {*left_out, *config.drop, *(config.columns or {}).get("out", ())}
    kinds = {column.name: "out" if column.name in out else column.kind for column in features}
    found = {
        kind: tuple(name for name in kinds if kinds[name] == kind)
        for kind in sorted({*kinds.values()})
    }
    settings = config.model_copy(update={**table.settings, "columns": found})
    notes = (*table.notes, *(note for column in columns for note in column.notes))
    return Described(
        columns, left_out | dict.fromkeys(out - {*left_out}, "data.drop"), settings, notes
    )


def load_rows(
    path: Path, preprocessing: Preprocessing, config: DataConfig
) -> dict[str, NDArray[Any]]:
    """Read the raw rows of a person's own table, without any target.

    Parameters
    ----------
    path : Path
        Of one of the kinds that `load_file` takes.
    preprocessing : Preprocessing
        What its rows are for: the columns, and what each of them is.
    config : DataConfig
        The data of the run; what it says of a file's cells holds for these too.

    Returns
    -------
    dict of str to ndarray of shape (n_rows,)
        Numbers, words or dates by raw column.

    Raises
    ------
    DataError
        If the file is of no use; the text names the line and the column.
    """
    file, wanted = printable(path), preprocessing.raw_names
    if not isinstance(config, FileData):
        config = FileData(name="file", path=str(path))
    found_out = {"delimiter": "auto", "encoding": None}
    table = open_table(path, file, config.model_copy(update=found_out), has_target=False)
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
    rules = replace(
        rules_of(config),
        kinds=kinds,
        refuses_missing=not preprocessing.fill,
        date_forms=preprocessing.dates,
    )
    columns = table.read([only(table, names.index(name)) for name in wanted], rules)
    if not len(columns[0].values):
        raise DataError(f"{file}: must hold at least one row, got none.")
    return {name: column.raw_values() for name, column in zip(wanted, columns, strict=True)}


def open_table(path: Path, file: str, config: FileData, *, has_target: bool = True) -> RawTable:
    """Open a file with the reader for its kind; rows that are to be predicted have no target.

    Raises
    ------
    DataError
        If it is not what its name says, damaged, or larger than this machine's memory.
    ConfigError
        If there is no such file, or a setting does not fit it.
    """
    head = _head(path, file)
    packed = path.suffix.lower() if path.suffix.lower() in _PACKED else ""
    ending = Path(path.stem if packed else path.name).suffix.lower()
    kind = _KINDS.get(ending, _TEXT if packed == ".zip" and not ending else None)
    if kind is None or (packed and kind != _TEXT):
        text = ", ".join(ending for ending, kind in _KINDS.items() if kind == _TEXT)
        raise DataError(
            f"{file}: must end in {', '.join(_KINDS)}; text ({text}) may be packed as "
            f"{', '.join(_PACKED)}; got {shorten(path.suffix or path.name)}."
        )
    if not head:
        raise DataError(f"{file}: must hold {kind}, got an empty file.")
    try:
        if kind == _TEXT:
            content = _unpacked(path, file, packed)
            _check_kind(content[:4_096], kind, file)
            return _text_table(read_delimited(content, file, config), file, config)
        _check_kind(head, kind, file)
        if kind == _PARQUET:
            from runner.training.data.parquet import open_parquet

            return open_parquet(path, file)
        from runner.training.data import arrays

        return (arrays.open_npz if kind == _NPZ else arrays.open_npy)(
            path, file, config, has_target=has_target
        )
    except OSError as error:
        raise DataError(f"{file}: must be readable, got {error.strerror or error}.") from error


def _text_table(text: Text, file: str, config: FileData) -> RawTable:
    """Make a table of the cells of a text file; its decimal mark is one for all columns."""
    mark: str = config.decimal
    if mark == "auto":
        cells = dict(zip(text.names, text.cells, strict=True))
        mark = _decimal_mark(file, cells) if text.has_commas else "."

    def read(positions: Sequence[int], rules: Rules) -> list[Column]:
        rules = replace(rules, decimal=mark)
        origins = [Origin(file, f"column {shorten(n, 60)}", text.row_name) for n in text.names]
        return [text_column(text.names[p], text.cells[p], origins[p], rules) for p in positions]

    settings = {
        "delimiter": text.delimiter,
        "encoding": text.encoding,
        "header": text.has_header,
        "decimal": mark,
    }
    notes = text.notes
    if (config.decimal, mark) == ("auto", ","):
        notes += ("commas are decimal marks",)
    return RawTable(file, text.names, read, text.header, settings=settings, notes=notes)


def _decimal_mark(file: str, cells: dict[str, pa.ChunkedArray | pa.Array]) -> str:
    """Decide by all columns; without a comma between digits there is nothing to decide."""
    import pyarrow.compute as pc

    numeral = r"^\s*\W?\s*[+-]?[\d.]*\d,\d"
    if not any(pc.any(pc.match_substring_regex(c, numeral)).as_py() for c in cells.values()):
        return "."
    return decimal_mark(file, {name: Distinct.of(column) for name, column in cells.items()})


def _unpacked(path: Path, file: str, packed: str) -> bytes:
    """Read a file, out of the archive it is in; no further than memory allows."""
    if not packed:
        return path.read_bytes()
    limit = memory_bytes() // 4
    try:
        if packed == ".zip":
            with zipfile.ZipFile(path) as archive:
                members = [m for m in archive.infolist() if not m.is_dir()]
                if len(members) != 1:
                    raise DataError(f"{file}: must hold one file, got {len(members):,} in the zip.")
                with archive.open(members[0]) as stream:
                    return _bounded(stream, file, limit)
        openers: dict[str, Callable[[Path], Any]] = {
            ".gz": gzip.GzipFile,
            ".xz": lzma.LZMAFile,
            ".bz2": bz2.BZ2File,
        }
        with openers[packed](path) as stream:
            return _bounded(stream, file, limit)
    except (*DAMAGED, lzma.LZMAError) as error:
        raise DataError(f"{file}: must be whole, got a damaged archive ({error}).") from error


def _bounded(stream: IO[bytes], file: str, limit: int) -> bytes:
    content = io.BytesIO()
    while block := stream.read(_BLOCK):
        content.write(block)
        if content.tell() > limit:
            raise DataError(
                f"{file}: must unpack to at most a quarter of this machine's memory, "
                f"{limit / 2**30:,.1f} GiB, got more."
            )
    return content.getvalue()


def _head(path: Path, file: str) -> bytes:
    """Read the first bytes of a file that must be there."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # reading a pipe would wait for ever
            what = "a folder" if stat.S_ISDIR(mode) else "a device or pipe"
            raise DataError(f"{file}: must be a file, got {what}.")
        with path.open("rb") as stream:
            return stream.read(4_096)
    except FileNotFoundError:
        folder = path.absolute().parent
        hint = f"There is no folder {folder}."
        if folder.is_dir():
            names = (entry.name for entry in folder.iterdir())
            hint = nearest(path.name, names) or f"There is no such file in {folder}."
        raise ConfigError("data.path", "a file", str(path), hint) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise ConfigError("data.path", "a file that can be read", str(path), f"{reason}.") from None


def _check_kind(head: bytes, kind: str, file: str) -> None:
    content = next((k for first, k in _FIRST_BYTES.items() if head.startswith(first)), None)
    if content is None:
        is_text = b"\0" not in head or head.startswith((b"\xff\xfe", b"\xfe\xff"))
        content = _TEXT if is_text else "a binary file"
    if content != kind:
        raise DataError(f"{file}: must be {kind}, as its name says, got {content}.")
