"""The state of a training as one file: numbers as JSON, arrays beside them, never a pickle.

It knows nested plain data, not what a state means; the file is whole or absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.system.errors import StoreError
from runner.system.files import read_arrays, write_arrays

_TREE = "tree"
_ARRAY = "array #"


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write nested dicts and lists of numbers, text and arrays, atomically.

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written.
    TypeError
        If something in it is neither plain data nor an array.
    """
    arrays: dict[str, NDArray[Any]] = {}

    def take_out(value: object) -> str:
        if not isinstance(value, np.ndarray):
            raise TypeError(f"a {type(value).__name__} is no plain data")
        name = f"{_ARRAY}{len(arrays)}"
        arrays[name] = value
        return name

    tree = json.dumps(state, default=take_out)
    write_arrays(path, {_TREE: np.frombuffer(tree.encode(), np.uint8), **arrays})


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote.

    Raises
    ------
    StoreError
        If the file is missing, torn or damaged.
    """
    arrays = read_arrays(path)

    def put_back(value: Any) -> Any:  # noqa: ANN401  (whatever JSON holds)
        if isinstance(value, dict):
            return {key: put_back(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [put_back(inner) for inner in value]
        return arrays[value] if isinstance(value, str) and value.startswith(_ARRAY) else value

    try:
        return dict(put_back(json.loads(arrays.pop(_TREE).tobytes())))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: holds no saved training") from error
