"""Where arrays come from: `load` turns the `data` group of an experiment into a Dataset.

Each kind of data has a module of its own, imported when it is asked for: the tutorial's table
costs NumPy alone. Nothing here knows of splits, scaling, networks or MLflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.training.data.dataset import Dataset

if TYPE_CHECKING:
    from runner.config import DataConfig

__all__ = ["Dataset", "load"]


def load(config: DataConfig) -> Dataset:
    """Read or make the data that an experiment names.

    Parameters
    ----------
    config : DataConfig
        The `data` group of the experiment.

    Returns
    -------
    Dataset
        All rows, in the order of their source; text features as indices of their categories.

    Raises
    ------
    DataError
        If the data cannot be used; the text names the file, the line and the column.
    ConfigError
        If a setting does not fit the data, such as a label column that does not exist.
    """
    match config.name:
        case "tutorial":
            from runner.training.data.builtin import tutorial_table

            return tutorial_table()
        case "file":
            from runner.training.data.files import load_file

            return load_file(config)
        case "blobs" | "moons" | "spirals":
            from runner.training.data.builtin import generate

            return generate(config)
        case _:
            from runner.training.data.builtin import load_bundled

            return load_bundled(config.name)
