"""A person's file to bytes: what kind it is, unpacked, refused if it is a pipe, damaged or too big.

A file is hostile until it is read: nothing is unpickled, and nothing is allocated on its word.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from runner.config.plugins import READERS
from runner.system.errors import ConfigError, DataError, nearest, shorten
from runner.system.files import DAMAGED
from runner.system.paths import other_than_file, require_targets
from runner.system.text import printable
from runner.training.data.dataset import memory_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT, LINES, EXCEL = "delimited text", "lines of JSON", "an Excel workbook"
PARQUET, FEATHER = "a Parquet file", "a Feather file"
NPZ, NPY, IDX = "an NPZ archive", "an NPY array", "an IDX file"
_KINDS = {
    **dict.fromkeys((".csv", ".tsv", ".txt", ".data", ".dat"), TEXT),
    **dict.fromkeys((".jsonl", ".ndjson"), LINES),
    ".xlsx": EXCEL,
    ".parquet": PARQUET,
    ".feather": FEATHER,
    ".npz": NPZ,
    ".npy": NPY,
}
_SAVED_AS = {
    ".json": ".jsonl, with one object a line",
    **dict.fromkeys((".xls", ".xlsb", ".ods"), ".xlsx or .csv"),
    **dict.fromkeys((".dta", ".rds", ".rdata", ".pkl", ".h5"), ".csv or .parquet"),
}
_IDX = re.compile(r".*[-.]idx\d(-\w+)?")
_FIRST_BYTES = {
    b"PAR1": PARQUET,
    b"ARROW1": FEATHER,
    b"PK": "a zip archive",
    b"\x93NUMPY": NPY,
    b"\0\0": IDX,
    b"\x80\x04": "a pickle (never loaded)",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\xd0\xcf\x11\xe0": "an old Office file",
    b"%PDF": "a PDF file",
}
_BLOCK, _HEAD = 1 << 22, 4_096
# How much more than its packed bytes a table may be, where it is not small.
_MOST_TIMES, _HARMLESS = 100, 64 << 20


@contextmanager
def _only_member(path: Path) -> Iterator[IO[bytes]]:
    with zipfile.ZipFile(path) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        if len(members) != 1:
            n_files = f"{len(members):,} in the zip"
            hint = "Unpack it, and name one of them by data.path." if members else ""
            raise DataError(f"{printable(path)}: must hold one file, got {n_files}. {hint}".strip())
        with archive.open(members[0]) as stream:
            yield stream


_PACKED: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.GzipFile,
    ".xz": lzma.LZMAFile,
    ".bz2": bz2.BZ2File,
    ".zip": _only_member,
}


def stem_of(path: Path) -> str:
    """Return the name of a file without the endings for what it is and how it is packed."""
    return Path(path.stem).stem if path.suffix.lower() in _PACKED else path.stem


def read_source(path: Path, file: str, key: str = "data.path") -> tuple[str, bytes]:
    """Return what a file holds, such as `PARQUET`, and its content unpacked.

    The content of a Parquet or Feather file that is not packed is left empty: pyarrow reads those
    columns of it that are asked for. Raises `DataError` if it is no file, not what its name says,
    damaged, or unpacks to more than a quarter of this machine's memory. Raises `ConfigError` if
    there is no such file.
    """
    size = _size(path, file, key)
    packed = path.suffix.lower() if path.suffix.lower() in _PACKED else ""
    name = Path(path.stem if packed else path.name)
    ending = name.suffix.lower()
    kinds = _KINDS | {own: own for own in READERS}
    kind = IDX if _IDX.fullmatch(name.name) else kinds.get(ending)
    if kind is None and packed == ".zip" and not name.suffix:
        kind = TEXT
    if kind is None:
        hint = f"\nSave it as {_SAVED_AS[ending]}." if ending in _SAVED_AS else ""
        raise DataError(
            f"{file}: must end in {', '.join(kinds)} (or be an IDX file, such as "
            f"train-images-idx3-ubyte), and may be packed as {', '.join(_PACKED)}; "
            f"got {shorten(path.suffix or path.name)}.{hint}"
        )
    if not size:
        raise DataError(f"{file}: must hold {kind}, got an empty file.")
    try:
        with _PACKED.get(packed, open)(path, *(() if packed else ("rb",))) as stream:
            if kind in {PARQUET, FEATHER} and not packed:
                head, content = stream.read(_HEAD), b""
            else:
                content = _bounded(stream, file, size) if packed else stream.read()
                head = content[:_HEAD]
    except (*DAMAGED, lzma.LZMAError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise DataError(f"{file}: must be readable, got {error.strerror}.") from error
        raise DataError(f"{file}: must be whole, got a damaged archive ({error}).") from error
    got = _kind_by_content(head)
    alike = {TEXT: {LINES}, "a zip archive": {NPZ, EXCEL}}
    if got != kind and kind not in {*alike.get(got, ()), *READERS}:
        raise DataError(f"{file}: must be {kind}, as its name says, got {got}.")
    return kind, content


def _bounded(stream: IO[bytes], file: str, n_packed: int) -> bytes:
    """Unpack a file, unless it grows as no table does."""
    content = io.BytesIO()
    while block := stream.read(_BLOCK):
        content.write(block)
        check_unpacked(file, content.tell())
        if content.tell() > max(_HARMLESS, _MOST_TIMES * n_packed):
            raise DataError(
                f"{file}: must unpack to at most {_MOST_TIMES} times its {n_packed:,} bytes, got "
                "more. If that is what it should be, unpack it, and name that file by data.path."
            )
    return content.getvalue()


def check_unpacked(file: str, n_bytes: int) -> None:
    """Refuse an archive that unpacks to more than a quarter of this machine's memory."""
    limit = memory_bytes() // 4
    if n_bytes > limit:
        raise DataError(
            f"{file}: must unpack to at most a quarter of this machine's memory, "
            f"{limit / 2**30:,.1f} GiB, got more.\ndata.path takes Parquet files, which need less."
        )


def _size(path: Path, file: str, key: str) -> int:
    """Return the size of a file that must be there; a pipe is not opened, which would wait."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        require_targets(path)
        folder = path.absolute().parent
        hint = f"There is no folder {folder}."
        if folder.is_dir():
            names = (entry.name for entry in folder.iterdir())
            hint = nearest(path.name, names) or f"There is no such file in {folder}."
        if re.match(r"\w+:/", file):
            hint = "An address is not read: download it."
        raise ConfigError(key, "a file", file, hint) from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(key, "a file that can be read", str(path), f"{reason}.") from None
    if what := other_than_file(path):
        raise DataError(f"{file}: must be a file, got {what}.")
    return facts.st_size


def _kind_by_content(head: bytes) -> str:
    found = next((k for first, k in _FIRST_BYTES.items() if head.startswith(first)), None)
    is_text = b"\0" not in head or utf_16_of(head) is not None
    return found or (TEXT if is_text else "a binary file")


def utf_16_of(content: bytes) -> str | None:
    """Return which UTF-16 a text is in, by its mark or by the zeros of its Latin letters."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    head = content[: _HEAD // 2 * 2]
    high, low = head[::2].count(0), head[1::2].count(0)
    if min(high, low) or max(high, low) * 4 < len(head):
        return None
    return "utf-16-be" if high else "utf-16-le" if low else None


def labels_beside(images: Path) -> Path | None:
    """Return the IDX file of labels that belongs to one of images; None where none is named so."""
    name, n = re.subn(r"images([-.])idx3", r"labels\1idx1", images.name)
    return images.with_name(name) if n else None
