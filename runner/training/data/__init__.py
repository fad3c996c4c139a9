"""Reads or makes the data that an experiment names, as arrays.

Each kind of data has a module of its own, imported when it is asked for: the tutorial's table
costs NumPy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.training.data.dataset import Dataset

if TYPE_CHECKING:
    from runner.config.data import DataConfig

__all__ = ["Dataset", "load"]


def load(config: DataConfig, task: str = "auto") -> Dataset:
    """Read or make the data that the `data` group of an experiment describes, for its task.

    Rows are in the order of their source, text features indices of their categories. Raises
    `DataError` if the data cannot be used; the text names the file, the line and the column. Raises
    `ConfigError` if a setting does not fit the data, such as a label column that does not exist.
    """
    if config.name == "file":
        from runner.training.data.files import load_file

        return load_file(config, task)
    from runner.training.data import builtin

    match config.name:
        case "tutorial":
            return builtin.tutorial_table()
        case "blobs" | "moons" | "spirals":
            return builtin.generate(config)
        case _:
            return builtin.load_bundled(config.name)
