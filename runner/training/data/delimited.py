"""Delimited text to cells: encoding, delimiter, header and comments, each fault by its line.

pyarrow reads what has no quotes; the rest goes through Python's own reader, which is stricter with
quotes than any other.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from runner.system.errors import ConfigError, DataError, shorten
from runner.training.data.columns import NO_NUMBER, strings

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.config.data import FileData

DELIMITERS = (",", ";", "\t", "|", " ")
_SAMPLE = 50
# Of fewer letters beyond ASCII no guess can be made.
_ENOUGH_LETTERS = 50
_COMMENT = re.compile(rb"(?m)^[ \t]*#[^\r\n]*")
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_CODECS = {"utf_8": "utf-8", "utf_16": "utf-16", "cp1252": "windows-1252", "latin_1": "latin-1"}


@dataclass(frozen=True)
class Text:
    """A file of delimited text as cells.

    Parameters
    ----------
    names : list of str
        The columns, as the header has them, or by their number.
    cells : list of pyarrow array of strings
        A column each.
    row_name : callable
        From the index of a row to the name of its line.
    header : str
        Where the names stand, such as ``, line 1``.
    delimiter, encoding : str
    has_header : bool
    has_commas : bool
        Whether cells may hold commas.
    notes : tuple of str
        What a person might not expect.
    """

    names: list[str]
    cells: list[pa.ChunkedArray | pa.Array]
    row_name: Callable[[int], str]
    header: str
    delimiter: str
    encoding: str
    has_header: bool
    has_commas: bool
    notes: tuple[str, ...]


def read_delimited(content: bytes, file: str, config: FileData) -> Text:
    """Read the cells of delimited text.

    Parameters
    ----------
    content : bytes
        The file, unpacked.
    file : str
        The file, as messages name it.
    config : FileData
        Its `delimiter`, `encoding` and `header`, where they are given.

    Raises
    ------
    DataError
        If a line has more or fewer cells than the others, a quote is left open, or the text has
        no encoding that is known.
    """
    content, encoding = _as_utf8(content, file, config.encoding)
    notes: tuple[str, ...] = ()
    if encoding not in ("utf-8", config.encoding):
        notes = (f"read as {encoding}",)
    delimiter = config.delimiter
    if delimiter == "auto":
        delimiter = _delimiter_of(content, file)
    content, n_comments = _without_comments(content, delimiter)
    if n_comments:
        notes += (f"{n_comments:,} lines that begin with # were left out",)
    sample = list(islice(_records(content, file, delimiter), _SAMPLE))
    if not sample:
        raise DataError(f"{file}: must hold rows, got an empty file.")
    line, first = sample[0]
    has_header = config.header
    if has_header is None:
        is_position = config.target is not None and re.fullmatch(r"-?\d+", config.target)
        has_header = not (is_position and config.target not in first and _looks_like_data(first))
    names = [name.strip() for name in first] if has_header else [str(n) for n in range(len(first))]
    if has_header and len(sample) > 1 and all(len(r) == len(first) + 1 for _, r in sample[1:]):
        names = ["", *names]  # as R writes a table: the names of its rows have no header
    if has_header and sum(map(_is_fraction, names)) > 0 and config.header is None:
        raise DataError(
            f"{file}, line {line}: must name the columns, got the number "
            f"{next(filter(_is_fraction, names))}. Without a header, data.header=false and "
            f"data.target=-1 take the last column as the target."
        )
    cells, row_name = _cells(content, file, delimiter, names, has_header=has_header)
    return Text(
        [name or f"Unnamed: {position}" for position, name in enumerate(names)],
        cells,
        row_name,
        f", line {line}" if has_header else "",
        delimiter,
        encoding,
        has_header,
        b"," in content if delimiter != "," else b'"' in content,
        notes,
    )


def _cells(
    content: bytes, file: str, delimiter: str, names: Sequence[str], *, has_header: bool
) -> tuple[list[pa.ChunkedArray | pa.Array], Callable[[int], str]]:
    """Return the cells of each column, and what names the line of a row."""
    import pyarrow as pa
    from pyarrow import csv as pa_csv

    places = [f"f{position}" for position in range(len(names))]
    if b'"' not in content and delimiter != " " and len(names) > 1:
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(memoryview(content)[_header_bytes(content) * has_header :]),
                pa_csv.ReadOptions(use_threads=False, column_names=places),
                pa_csv.ParseOptions(delimiter=delimiter, quote_char=False),
                pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(places, pa.large_string()),
                    strings_can_be_null=False,
                    null_values=[],
                ),
            )
        except pa.ArrowInvalid:
            pass  # the reader below names the line
        else:
            return table.columns, lambda row: f"line {_line_of(content, row + has_header)}"
    lines: list[int] = []
    rows: list[list[str]] = []
    records = _records(content, file, delimiter)
    for line, record in islice(records, int(has_header), None):
        if len(record) != len(names):
            raise DataError(
                f"{file}, line {line}: must have {len(names)} columns as the first line has, "
                f"got {len(record)}."
            )
        lines.append(line)
        rows.append(record)
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return [strings(column) for column in columns], lambda row: f"line {lines[row]}"


def _header_bytes(content: bytes) -> int:
    """Return where the first line that is not blank ends."""
    found = re.match(rb"[\r\n]*[^\r\n]*(\r\n|\r|\n|\Z)", content)
    return found.end() if found else 0


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
                f'pairs of ", got one that cannot be read ({error}).'
            ) from error
        if delimiter == " ":
            while record and not record[-1]:  # blanks at the end of a line
                del record[-1]
        if record and record != [""]:  # blank lines say nothing
            yield line, record


def _as_utf8(content: bytes, file: str, encoding: str | None) -> tuple[bytes, str]:
    """Return a file's text in UTF-8 without a byte order mark, and what it was encoded in."""
    if encoding is None:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            encoding = "utf-16"
        else:
            content = content.removeprefix(b"\xef\xbb\xbf")
            if content.isascii() or _is_utf8(content):
                return content, "utf-8"
            encoding = _guessed_encoding(content, file)
    try:
        text = content.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise ConfigError.plain(
            f"data.encoding: must be the encoding of {shorten(file)}, got {encoding!r} ({error})."
        ) from None
    return text.removeprefix("\ufeff").encode(), encoding


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _guessed_encoding(content: bytes, file: str) -> str:
    """Guess an encoding of one byte a letter; the one of western Windows where it is possible."""
    from charset_normalizer import from_bytes

    sample = content[: 1 << 18]
    if b"\0" not in content and sum(byte > 127 for byte in sample) < _ENOUGH_LETTERS:
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
    likeliest = min(codecs, key=lambda codec: codecs[codec])
    western = [c for c in ("cp1252", "latin_1") if codecs.get(c, 1.0) <= codecs[likeliest]]
    return _CODECS.get((western or [likeliest])[0], likeliest)


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


def _without_comments(content: bytes, delimiter: str) -> tuple[bytes, int]:
    """Blank the lines that begin with # and are no rows; the others keep their numbers."""
    if b"#" not in content or not re.search(rb"(?m)^[ \t]*#", content):
        return content, 0
    sign = delimiter.encode()
    others = [
        line for line in content.splitlines() if line.strip() and not line.lstrip().startswith(b"#")
    ]
    usual = others[0].count(sign) if others else 0
    n_blanked = 0

    def blank(found: re.Match[bytes]) -> bytes:
        nonlocal n_blanked
        if found[0].count(sign) == usual and usual:
            return found[0]
        n_blanked += 1
        return b""

    content = _COMMENT.sub(blank, content)
    # A header of its own kind: `# a, b` above rows of as many cells.
    return re.sub(rb"\A(\s*)#[ \t]*", rb"\1", content), n_blanked


def _looks_like_data(cells: Sequence[str]) -> bool:
    return any(_NUMBER.fullmatch(cell) or cell in NO_NUMBER for cell in cells)


def _is_fraction(name: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d*\.\d+", name))
