"""Texts and arrays from a record that anybody may have written, turned into plain values.

A config is data here: no reference, no tag, no alias, nothing that names a Python object. What is
larger or deeper than a record of ours could be is refused before it is built.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from runner.system.errors import DataError, RecordError, shorten
from runner.system.files import DAMAGED
from runner.system.text import elide
from runner.training.data.arrays import array_of, read_header

# Bytes that the text files of a run may have; a thousand columns of a thousand words fit.
TEXT_LIMIT = 64 << 20
CONFIG_LIMIT = 1 << 20
_DEEPEST = 16
# Letters of a word without quotes: YAML takes numbers from them, and time that grows as a square.
_LONGEST_WORD = 8192
# Settings are whole numbers of up to 63 bits, as stores and JSON keep them.
_MOST_BITS = 64
# What a member of an archive needs beside its array: headers of the zip and of the array.
_MEMBER_OVERHEAD = 1024


def parse_config(content: bytes, name: str) -> dict[str, Any]:
    """Read YAML that holds nothing but plain values.

    Parameters
    ----------
    content : bytes
        UTF-8 text.
    name : str
        The file, as messages name it.

    Raises
    ------
    RecordError
        If it is no such text; the message has line and column.
    """
    try:
        text = content.decode()
        _require_characters(text, name)
        _check_events(text, name)
        values = yaml.load(text, _Loader)  # noqa: S506  (a loader that builds plain values alone)
    except UnicodeDecodeError as error:
        raise RecordError(f"{name}, byte {error.start + 1}: must be UTF-8 text.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise RecordError(f"{_at(name, mark)}: must be YAML, got {error.problem}.") from None
    # Digits beyond what Python converts, dates that are none, numbers to the base 60.
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        raise RecordError(f"{name}: must be YAML, got {shorten(str(error))}.") from None
    if not isinstance(values, dict):
        raise RecordError(f"{name}: must hold settings (key: value), got {shorten(values)}.")
    _require_plain(values, name, "")
    return values


def _require_characters(text: str, name: str) -> None:
    """Refuse what YAML has no place for, by its line."""
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise RecordError(
            f"{name}, line {line:,}: must be YAML, got the control character {found[0]!r}."
        )


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # chosen here
    """YAML's safe loader, which refuses a key that is there already."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(None, None, "a key that is no text", key.start_mark)
            if key.value in seen:
                problem = f"the key {shorten(key.value, 60)} again"
                raise yaml.MarkedYAMLError(None, None, problem, key.start_mark)
            seen.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def _check_events(text: str, name: str) -> None:
    """Go through the text once, building nothing, and refuse what no config of ours has."""
    depth = n_documents = 0
    for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        where = _at(name, event.start_mark)
        if isinstance(event, yaml.AliasEvent) or anchor is not None:
            raise RecordError(
                f"{where}: must be plain YAML, got the anchor or alias {shorten(anchor)}."
            )
        if tag is not None:
            raise RecordError(f"{where}: must be plain YAML, got the tag {shorten(tag)}.")
        if isinstance(event, yaml.ScalarEvent) and not event.style:
            _require_word(event.value, where)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        n_documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > _DEEPEST or n_documents > 1:
            what = "documents" if n_documents > 1 else f"more than {_DEEPEST} levels"
            raise RecordError(f"{where}: must be one group of settings, got {what}.")


def _require_word(text: str, where: str) -> None:
    if len(text) > _LONGEST_WORD:
        raise RecordError(
            f"{where}: must be a word of at most {_LONGEST_WORD:,} letters, or in quotes, "
            f"got {len(text):,} letters."
        )


def _at(name: str, mark: Any) -> str:  # noqa: ANN401  (PyYAML has two kinds of mark)
    return f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name


def _require_plain(value: object, name: str, key: str) -> None:
    match value:
        case dict():
            for inner, held in value.items():
                _require_plain(held, name, f"{key}.{inner}".lstrip("."))
        case list():
            for number, held in enumerate(value):
                _require_plain(held, name, f"{key}[{number}]")
        case str() if "${" not in value and _is_unicode(value):
            return
        case bool() | float() | None:
            return
        case int() if value.bit_length() <= _MOST_BITS:
            return
        case _:
            where = f"{name}: {elide(key, 60)}"
            raise RecordError(f"{where}: must be a plain value, got {shorten(value)}.")


def _is_unicode(text: str) -> bool:
    """Tell whether a text can be written: halves of characters and nulls are in no file's name."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def parse_json(content: bytes, name: str) -> Any:  # noqa: ANN401  (whatever JSON holds)
    """Read JSON.

    Raises
    ------
    RecordError
        If it is none, or nested deeper than any of ours.
    """
    try:
        values = json.loads(content)
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError as error:
        raise RecordError(f"{name}: must be JSON, got {shorten(str(error))}.") from None
    level, depth = [values], 0
    # Whatever is done with it later may recurse.
    while level := [held for value in level for held in _held(value)]:
        depth += 1
        if depth > _DEEPEST:
            raise _too_deep(name)
    return values


def _too_deep(name: str) -> RecordError:
    return RecordError(f"{name}: must have at most {_DEEPEST} levels, got more.")


def _held(value: object) -> Iterable[object]:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def weights_limit(shapes: Mapping[str, tuple[int, ...]], itemsize: int) -> int:
    """Return how many bytes an archive of arrays of these shapes can have."""
    count = sum(prod(shape) for shape in shapes.values())
    return count * itemsize + (len(shapes) + 1) * _MEMBER_OVERHEAD


def parse_weights(
    content: bytes, shapes: Mapping[str, tuple[int, ...]], dtype: str, name: str
) -> dict[str, NDArray[Any]]:
    """Read an archive of arrays whose names, shapes and type are known beforehand.

    Parameters
    ----------
    content : bytes
        The archive, as `numpy.savez` writes it: nothing in it is compressed.
    shapes : mapping of str to tuple of int
        What has to be in it, and nothing else.
    dtype : str
        ``float32`` or ``float64``.
    name : str
        The file, as messages name it.

    Raises
    ------
    RecordError
        If anything else is in it; the message names it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            _check_members(members, shapes, dtype, name)
            arrays = {m.filename.removesuffix(".npy"): archive.read(m) for m in members}
    except DAMAGED as error:
        raise RecordError(
            f"{name}: must be a whole archive of arrays, got a damaged one ({error})."
        ) from None
    return {key: _array(arrays[key], shapes[key], dtype, f"{name}, {key}") for key in shapes}


def _check_members(
    members: list[zipfile.ZipInfo],
    shapes: Mapping[str, tuple[int, ...]],
    dtype: str,
    name: str,
) -> None:
    """Refuse an archive by its list of contents, before any of them is read."""
    expected = [f"{key}.npy" for key in shapes]
    found = [member.filename for member in members]
    if sorted(found) != sorted(expected):
        raise RecordError(
            f"{name}: must hold {', '.join(expected)}, got {shorten(', '.join(found[:20]))}."
        )
    itemsize = np.dtype(dtype).itemsize
    for member in members:
        n_bytes = prod(shapes[member.filename.removesuffix(".npy")]) * itemsize
        # Stored as they are: what is not compressed cannot inflate.
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise RecordError(
                f"{name}, {member.filename}: must be stored as it is, got compressed or encrypted."
            )
        if not n_bytes < member.file_size <= n_bytes + _MEMBER_OVERHEAD:
            raise RecordError(
                f"{name}, {member.filename}: must have {n_bytes:,} bytes and a header, "
                f"got {member.file_size:,}."
            )


def _array(content: bytes, shape: tuple[int, ...], dtype: str, where: str) -> NDArray[Any]:
    try:
        header = read_header(io.BytesIO(content), len(content), where, ("f", "numbers"))
    except DataError as error:
        raise RecordError(str(error)) from None
    if (header.shape, header.dtype, header.fortran_order) != (shape, np.dtype(dtype), False):
        raise RecordError(
            f"{where}: must be {dtype} of shape {shape}, got {header.dtype} of {header.shape}."
        )
    return array_of(content, header)
