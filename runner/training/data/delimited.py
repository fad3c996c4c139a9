"""Delimited text to cells: encoding, delimiter, header and comments, each fault by its line.

pyarrow reads what has no quotes; the rest goes through Python's own reader, which is stricter with
quotes than any other.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, pairwise
from typing import TYPE_CHECKING

import numpy as np

from runner.system.errors import ConfigError, DataError, shorten
from runner.training.cells import LARGEST_WHOLE, NO_NUMBER
from runner.training.data.arrow import floats, strings
from runner.training.data.columns import Column, Rules, look_alike, no_plain_number
from runner.training.data.sources import utf_16_of
from runner.training.data.tables import DELIMITERS, RawTable, cells_table, columns_of

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.config.data import FileData
    from runner.training.data.arrow import Cells

_SAMPLE = 50
_BLOCK = 1 << 18
# With fewer letters beyond ASCII, the encoding cannot be guessed.
_ENOUGH_LETTERS = 50
_COMMENT = re.compile(rb"(?m)^[ \t]*[#%][^\r\n]*")
# What Excel reads, and writes nowhere else.
_SEPARATOR = re.compile(rb'(?i)"?sep=([^\r\n])"?(?=[\r\n])')
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_CODECS = {"utf_8": "utf-8", "utf_16": "utf-16", "cp1252": "windows-1252", "latin_1": "latin-1"}


def open_text(content: bytes, file: str, config: FileData) -> RawTable:
    """Open delimited text.

    Raises `DataError` if a line has more or fewer cells than the others, a quote is left open, or
    the text has no encoding that is known.
    """
    content, encoding = _as_utf8(content, file, config.encoding)
    notes: tuple[str, ...] = ()
    if encoding not in ("utf-8", config.encoding):
        notes = (f"read as {encoding} (if letters are wrong: data.encoding)",)
    content, delimiter, remarks = _without_remarks(content, file, config.delimiter)
    notes += remarks
    sample = list(islice(_records(content, file, delimiter), _SAMPLE))
    if not sample:
        raise DataError(f"{file}: must hold rows, got an empty file.")
    line, first = sample[0]
    has_header, header_notes = find_header([record for _, record in sample], config)
    notes += header_notes
    names = [name.strip() for name in first] if has_header else [str(n) for n in range(len(first))]
    if has_header and len(sample) > 1 and all(len(r) == len(first) + 1 for _, r in sample[1:]):
        names = ["", *names]  # as R writes a table: the names of its rows have no header
    if has_header and config.header is None:
        _check_names(line, names, file)
        refuse_title(sample, config, f"{file}, line", ", or begin them with #")
    text = _Text(content, file, delimiter, len(names), has_header)
    text.check_header()
    names = [name or f"Unnamed: {position}" for position, name in enumerate(names)]
    settings = {"delimiter": delimiter, "encoding": encoding, "header": has_header}
    header = f", line {line}" if has_header else ""
    everything = range(len(names))
    # A comma in a cell may be a decimal mark.
    if b"," in content if delimiter != "," else text.has_quotes:
        cells, row_name = text.read(everything)
        return cells_table(
            file, names, cells, row_name, config, header=header, settings=settings, notes=notes
        )
    rows = [record for _, record in sample[int(has_header) :]]
    columns = zip(*rows, strict=True) if {len(names)} == {*map(len, rows)} else ()
    numbers = {position for position, cells in enumerate(columns) if _are_numbers(cells)}
    if config.decimal == "," or _has_codes(content, delimiter):
        numbers = set()

    mark = "." if config.decimal == "auto" else config.decimal

    def read(positions: Sequence[int], rules: Rules) -> list[Column]:
        rules = replace(rules, decimal=mark)
        may_be = {p for p in numbers if rules.kinds.get(names[p], "number") == "number"}
        cells, row_name = text.read(positions, may_be, rules.missing_values)
        return columns_of(file, names, positions, cells, row_name, rules)

    return RawTable(file, names, read, header, settings=settings | {"decimal": mark}, notes=notes)


def _check_names(line: int, names: Sequence[str], file: str) -> None:
    """Refuse a first record that is taken for the header, and is none."""
    numbers = [name for name in names if _is_fraction(name)]
    if numbers:
        raise DataError(
            f"{file}, line {line}: must name the columns, got the number {numbers[0]}. Without a "
            f"header, data.header=false and data.target=-1 take the last column as the target."
        )


def refuse_title(
    records: Sequence[tuple[int, Sequence[str]]], config: FileData, row: str, remedy: str = ""
) -> None:
    """Refuse a first record that is a title: one cell above several, or without the target.

    The target then stands in a record below that has more cells. Each record is behind its number.
    """
    (number, first), *others = records
    targets = {config.target} if isinstance(config.target, str) else {*(config.target or ())}
    names = {name for name in targets if not re.fullmatch(r"-?\d+", name)}
    n_first = sum(map(bool, first))
    header = next((n for n, r in others if names & {*r} and sum(map(bool, r)) > n_first), None)
    widths = {len(record) for _, record in others}
    is_alone = n_first == 1 and bool(first[0]) and len(widths) == 1 and widths != {1}
    if not names & {*first} and (is_alone or header is not None):
        raise DataError(
            f"{row} {number}: must name the columns, got {shorten(first[0], 60)}. If that is a "
            f"title, take out the lines above the names{remedy}."
        )


def find_header(records: Sequence[Sequence[str]], config: FileData) -> tuple[bool, tuple[str, ...]]:
    """Tell whether the first of some records names the columns, and note it where it is a guess.

    It does, unless it looks like data and the target is found by its position.
    """
    if config.header is not None:
        return config.header, ()
    first, target = records[0], config.target if isinstance(config.target, str) else ""
    if not re.fullmatch(r"-?\d+", target) or target in first or not _looks_like_data(first):
        return True, ()
    if _differs_from_data(records):
        return True, ("the first line names the columns (else data.header=false)",)
    return False, ("no header, as the first line looks like data (else data.header=true)",)


def _differs_from_data(records: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first record is a header, though it has numbers: years, or 0, 1, 2, ...

    It has a word above numbers; or all its numbers are whole and stand above fractions; or three
    of them or years count up, and none occurs in its column.
    """
    first, *others = ([cell.strip() for cell in record] for record in records)
    if any(map(_is_fraction, first)):
        return False
    columns = [
        (name, [cell for cell in cells if cell not in NO_NUMBER])
        for name, *cells in zip(first, *others, strict=False)
    ]
    columns = [(name, cells) for name, cells in columns if cells and name not in NO_NUMBER]
    numbers = [(name, cells) for name, cells in columns if _WHOLE.fullmatch(name)]
    if any(_are_numbers(cells) and not _NUMBER.fullmatch(name) for name, cells in columns):
        return True
    if not numbers or any(name in cells for name, cells in numbers):
        return False
    count_up = {int(b) - int(a) for (a, _), (b, _) in pairwise(numbers)} == {1}
    are_years = all(re.fullmatch(r"(19|20)\d\d", name) for name, _ in numbers)
    are_fractions = all(_are_numbers(c) and not any(map(_WHOLE.fullmatch, c)) for _, c in numbers)
    return are_fractions or (count_up and (are_years or len(numbers) > 2))


@dataclass(frozen=True)
class _Text:
    """The cells of delimited text in UTF-8."""

    content: bytes
    file: str
    delimiter: str
    n_columns: int
    has_header: bool

    @cached_property
    def n_header_bytes(self) -> int:
        """Where the first line ends that is not blank, if it is the header."""
        found = re.match(rb"[\r\n]*[^\r\n]*(\r\n|\r|\n|\Z)", self.content)
        return found.end() if found and self.has_header else 0

    def check_header(self) -> None:
        """Refuse a header that stands again below, as in files that were joined."""
        header, start = self.content[: self.n_header_bytes].strip(), self.n_header_bytes
        if self.n_columns < 2 or not header:
            return
        while (start := self.content.find(header, start)) >= 0:
            before, end = self.content[start - 1 : start], start + len(header)
            if before in b"\r\n" and self.content[end : end + 1] in (b"", b"\r", b"\n"):
                line = len(re.findall(rb"\r\n|\r|\n", self.content[:start])) + 1
                raise DataError(
                    f"{self.file}, line {line}: must be a row, got the header again. Take it out; "
                    "or data.header=false, if the first line is a row too."
                )
            start = end

    @property
    def has_quotes(self) -> bool:
        """Whether there are quotes below the header, where they say nothing."""
        return self.content.find(b'"', self.n_header_bytes) >= 0

    def read(
        self,
        positions: Sequence[int],
        numbers: Collection[int] = (),
        missing_values: Collection[str] = (),
    ) -> tuple[list[Cells], Callable[[int], str]]:
        """Return some columns, and the function that names the line of a row.

        Of the `numbers`, those whose cells are all finite numbers or missing come as doubles, null
        where they are missing: pyarrow parses the bits that Python does. The others are text. Of
        further texts that stand for no number there are `missing_values`.
        """
        import pyarrow as pa
        from pyarrow import csv as pa_csv

        names = [f"f{position}" for position in range(self.n_columns)]
        types = {name: pa.string() for name in names}
        types |= {names[position]: pa.float64() for position in numbers}
        if not self.has_quotes and self.delimiter != " " and self.n_columns > 1:
            skipped = self.n_header_bytes
            try:
                table = pa_csv.read_csv(
                    pa.BufferReader(memoryview(self.content)[skipped:]),
                    pa_csv.ReadOptions(use_threads=False, column_names=names),
                    pa_csv.ParseOptions(delimiter=self.delimiter, quote_char=False),
                    pa_csv.ConvertOptions(
                        include_columns=list(dict.fromkeys(names[p] for p in positions)),
                        column_types=types,
                        strings_can_be_null=False,
                        null_values=sorted(
                            {*NO_NUMBER, *missing_values} - no_plain_number(missing_values)
                        ),
                    ),
                )
            except (pa.ArrowInvalid, pa.ArrowKeyError):  # the reader below names the line
                table = None
            if table is not None and not any(map(_must_be_text, table.columns)):
                columns = [table.column(names[position]) for position in positions]
                return columns, self._line_name
            if numbers:
                return self.read(positions)
        lines: list[int] = []
        rows: list[list[str]] = []
        records = _records(self.content, self.file, self.delimiter)
        for line, record in islice(records, int(self.has_header), None):
            if len(record) != self.n_columns:
                raise DataError(
                    f"{self.file}, line {line}: must have {self.n_columns} columns as the first "
                    f"line has, got {len(record)}.\nA cell that holds the delimiter is "
                    "quoted; data.delimiter names another."
                )
            lines.append(line)
            rows.append(record)
        every = list(zip(*rows, strict=True)) if rows else [()] * self.n_columns
        return [
            strings(every[position]) for position in positions
        ], lambda row: f"line {lines[row]}"

    def _line_name(self, row: int) -> str:
        return f"line {_line_of(self.content, row + self.has_header)}"


def _must_be_text(column: pa.ChunkedArray) -> bool:
    """Tell whether numbers need their text: infinite ones to be named, long ones as codes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.type != pa.float64():
        return False
    bounds = pc.min_max(column).as_py()
    largest = max(abs(bounds["min"] or 0.0), abs(bounds["max"] or 0.0))
    return math.isinf(largest) or (largest >= LARGEST_WHOLE and look_alike(floats(column)))


def _are_numbers(cells: Sequence[str]) -> bool:
    present = [cell for cell in cells if cell not in NO_NUMBER]
    return bool(present) and all(_NUMBER.fullmatch(cell) for cell in present)


def _has_codes(content: bytes, delimiter: str) -> bool:
    """Tell whether a cell begins with a 0 and another digit, as codes do: 00501."""
    octets = np.frombuffer(b"\n\n" + content[:_BLOCK] + b"\n", np.uint8)
    for start in range(_BLOCK, len(content) + _BLOCK, _BLOCK):  # which the processor's cache holds
        before, zero, digit = octets[1:-2], octets[2:-1], octets[3:]
        may_begin = (before - np.uint8(9) <= 4) | (before - np.uint8(43) <= 2) | (before == 32)
        if delimiter != ",":
            may_begin |= before == ord(delimiter)
        codes = (zero == 48) & (digit - np.uint8(48) <= 9) & may_begin
        if codes.any():
            places = np.flatnonzero(codes) + 2
            signed = np.isin(octets[places - 1], (43, 45))
            first = np.where(signed, octets[places - 2], octets[places - 1])
            if np.isin(first, [*map(ord, ("\n", "\r", " ", delimiter))]).any():
                return True
        octets = np.frombuffer(content[start - 3 : start + _BLOCK] + b"\n", np.uint8)
    return False


def _line_of(content: bytes, row: int) -> int:
    """Return the line of a row; blank lines are none."""
    for line, text in enumerate(re.split(rb"\r\n|\r|\n", content), start=1):
        if text:
            if row == 0:
                return line
            row -= 1
    raise IndexError(row)


def _records(content: bytes, file: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the line it begins on; a quoted cell may go on over several."""
    stream = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")
    reader = csv.reader(stream, delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{file}, line {line}: must be cells separated by {delimiter!r}, quoted with "
                f'pairs of ", got one that cannot be read ({error}).\n'
                "A quote within a cell is doubled; data.delimiter names another delimiter."
            ) from error
        if delimiter == " ":
            while record and not record[-1]:  # blanks at the end of a line
                del record[-1]
        if record and record != [""]:  # blank lines say nothing
            yield line, record


def _as_utf8(content: bytes, file: str, encoding: str | None) -> tuple[bytes, str]:
    """Return a file's text in UTF-8 without a byte order mark, and what it was encoded in."""
    if encoding is None:
        encoding = utf_16_of(content)
        if encoding is None:
            content = content.removeprefix(b"\xef\xbb\xbf")
            if content.isascii() or _is_text(content, "utf-8"):
                return content, "utf-8"
            encoding = _guessed_encoding(content, file)
    try:
        text = content.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise ConfigError.plain(
            f"data.encoding: must be the encoding of {shorten(file)}, got {encoding!r} ({error})."
        ) from None
    return text.removeprefix("\ufeff").encode(), encoding


def _is_text(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _guessed_encoding(content: bytes, file: str) -> str:
    """Guess an encoding of one byte a letter; the one of western Windows where it is possible.

    In Latin letters accents and signs stand alone; in other scripts most letters beyond ASCII stand
    beside another one.
    """
    from charset_normalizer import from_bytes

    sample = content[: 1 << 18]
    n_beyond = sum(byte > 127 for byte in sample)
    n_beside = sum(len(letters) for letters in re.findall(rb"[\x80-\xff]{2,}", sample))
    is_latin = n_beyond < _ENOUGH_LETTERS or 2 * n_beside < n_beyond
    if is_latin and b"\0" not in content and _is_text(content, "cp1252"):
        return "windows-1252"
    codecs = {
        codec: guess.chaos
        for guess in from_bytes(sample)
        for codec in (guess.encoding, *guess.could_be_from_charset)
    }
    if not codecs or b"\0" in content:
        raise ConfigError.plain(
            f"data.encoding: must be given for {shorten(file)}: it is not UTF-8, and no other "
            "encoding fits. Is it text?"
        )
    # Among equally likely ones those of Windows, which spreadsheets write.
    usual = [c for c in ("cp1252", "latin_1", *codecs) if c.startswith(("cp125", "latin"))]
    lowest = min(codecs.values())
    likeliest = next(c for c in (*usual, *codecs) if codecs.get(c) == lowest)
    return _CODECS.get(likeliest, likeliest)


def _delimiter_of(content: bytes, file: str) -> str:
    """Return what gives the most cells, equally many in each of the first records."""
    best, most = ",", 1
    for delimiter in DELIMITERS:
        try:
            sample = list(
                islice(_records(_COMMENT.sub(b"", content[: 1 << 16]), file, delimiter), 20)
            )
        except DataError:
            continue
        if len(content) > 1 << 16:
            sample = sample[:-1]
        if delimiter == " " and any(
            cell[:1] in DELIMITERS or cell[-1:] in DELIMITERS
            for _, record in sample
            for cell in record
            if cell
        ):
            continue  # blanks around another delimiter
        counts = {len(record) for _, record in sample[1:]} or {len(r) for _, r in sample}
        first = len(sample[0][1]) if sample else 0
        n = max(counts, default=0)
        # A header may be one short, and a faulty line among many must not hide the delimiter.
        is_even = len(counts) == 1 and n - first in (0, 1)
        if first > 1 and (is_even or first in counts) and n > most:
            best, most = delimiter, n
            if delimiter in ";\t|" and is_even:
                break
    return best


def _without_remarks(
    content: bytes, file: str, delimiter: str
) -> tuple[bytes, str, tuple[str, ...]]:
    """Blank the lines that are no rows, and return the delimiter of the others, with notes."""
    notes: tuple[str, ...] = ()
    if found := _SEPARATOR.match(content):
        content = content[found.end() :]
        notes = (f"the line {found[0].decode()} was left out",)
        delimiter = found[1].decode() if delimiter == "auto" else delimiter
    if delimiter == "auto":
        delimiter = _delimiter_of(content, file)
    content, n_comments = _without_comments(content, delimiter)
    if n_comments:
        notes += (f"lines that begin with # or % were left out: {n_comments:,}",)
    return content, delimiter, notes


def _without_comments(content: bytes, delimiter: str) -> tuple[bytes, int]:
    """Blank the lines that begin with # or % and are no rows; the others keep their numbers."""
    # Finding a byte takes a hundredth of the time of searching lines.
    if (b"#" not in content and b"%" not in content) or not _COMMENT.search(content):
        return content, 0
    sign = delimiter.encode()
    others = [line for line in content.splitlines() if line.strip() and not _COMMENT.match(line)]
    usual = others[0].count(sign) if others else 0
    n_blanked = 0

    def blank(found: re.Match[bytes]) -> bytes:
        nonlocal n_blanked
        names = re.sub(rb"^[ \t]*[#%][ \t]*", b"", found[0])
        if usual and names.count(sign) == usual:
            return found[0]
        n_blanked += 1
        return b""

    content = _COMMENT.sub(blank, content)
    # A header of its own kind: `# a, b` above rows of as many cells.
    return re.sub(rb"\A(\s*)#[ \t]*", rb"\1", content), n_blanked


def _looks_like_data(cells: Sequence[str]) -> bool:
    return any(cell and (_NUMBER.fullmatch(cell) or cell in NO_NUMBER) for cell in cells)


def _is_fraction(name: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d*\.\d+", name))
