"""Turns texts and arrays that anybody may have written into plain values.

What is larger or deeper than a record of ours could be is refused before it is built.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, NoReturn

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
# Of a config in YAML, which takes a thousand times as long to read.
YAML_LIMIT = 1 << 16
_MAX_DEPTH = 16
# Settings are whole numbers of up to 63 bits, as stores and JSON keep them.
_MAX_BITS = 64
# Hydra would follow a reference, and no file's name has null characters or halves of others.
_NOT_PLAIN = re.compile(r"\$\{|[\0\ud800-\udfff]")
# What a member of an archive needs beside its array: headers of the zip and of the array.
_MEMBER_OVERHEAD = 1024


def parse_config(content: bytes, name: str) -> dict[str, Any]:
    """Read a config from JSON: settings with plain values, and nothing else."""
    return _settings(parse_json(content, name), name)


def parse_yaml_config(content: bytes, name: str) -> dict[str, Any]:
    """Read a config of a version that recorded YAML alone; see `parse_config`."""
    try:
        values = yaml.load(content.decode(), _Loader)  # noqa: S506  (builds plain values alone)
    # Digits beyond what Python converts, dates that are none, numbers to the base 60.
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        raise RecordError(f"{name}: must be YAML, got {shorten(str(error))}.") from None
    return _settings(values, name)


class _Loader(yaml.SafeLoader):
    """YAML's safe loader without aliases, with which a few lines can stand for a billion values."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _settings(values: object, name: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise RecordError(f"{name}: must hold settings (key: value), got {shorten(values)}.")
    _require_plain(values, name, "")
    return values


def _require_plain(value: object, name: str, key: str) -> None:
    if isinstance(value, dict):
        for inner, held in value.items():
            _require_plain(held, name, f"{key}.{inner}".lstrip("."))
    elif isinstance(value, list):
        for number, held in enumerate(value):
            _require_plain(held, name, f"{key}[{number}]")
    elif not _is_plain(value):
        raise RecordError(f"{name}: {elide(key, 60)}: must be a plain value, got {shorten(value)}.")


def _is_plain(value: object) -> bool:
    match value:
        case str():
            return _NOT_PLAIN.search(value) is None
        case float():
            return math.isfinite(value)
        case int():
            return value.bit_length() <= _MAX_BITS
        case _:
            return value is None


def parse_json(content: bytes, name: str) -> Any:  # noqa: ANN401  (whatever JSON holds)
    """Read JSON of at most 16 levels, in which no key comes twice and no number is NaN."""
    try:
        values = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise _too_deep(name) from None
    except ValueError as error:
        raise RecordError(f"{name}: must be JSON, got {shorten(str(error))}.") from None
    level = [values]
    for _ in range(_MAX_DEPTH + 1):
        if not (level := [held for value in level for held in _held(value)]):
            return values
    raise _too_deep(name)  # for whatever is done with it later may recurse


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key {shorten(key, 60)} again")
        values[key] = value
    return values


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"the number {constant}")


def _too_deep(name: str) -> RecordError:
    return RecordError(f"{name}: must have at most {_MAX_DEPTH} levels, got more.")


def _held(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def weights_limit(shapes: Mapping[str, tuple[int, ...]], itemsize: int) -> int:
    """Return how many bytes an archive of arrays of these shapes can have."""
    count = sum(prod(shape) for shape in shapes.values())
    return count * itemsize + (len(shapes) + 1) * _MEMBER_OVERHEAD


def parse_weights(
    content: bytes, shapes: Mapping[str, tuple[int, ...]], dtype: str, name: str
) -> dict[str, NDArray[Any]]:
    """Read an archive as `numpy.savez` writes it, of arrays of these names, shapes and type.

    A `RecordError` names the file, and whatever else is in it; `dtype` is ``float32`` or
    ``float64``.
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
    names = [member.filename for member in members]
    if sorted(names) != sorted(expected):
        raise RecordError(
            f"{name}: must hold {', '.join(expected)}, got {shorten(', '.join(names[:20]))}."
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


def _array(content: bytes, shape: tuple[int, ...], dtype: str, label: str) -> NDArray[Any]:
    try:
        header = read_header(io.BytesIO(content), len(content), label, ("f", "numbers"))
    except DataError as error:
        raise RecordError(str(error)) from None
    if (header.shape, header.dtype, header.fortran_order) != (shape, np.dtype(dtype), False):
        raise RecordError(
            f"{label}: must be {dtype} of shape {shape}, got {header.dtype} of {header.shape}."
        )
    return array_of(content, header)
