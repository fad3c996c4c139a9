"""Writes a file and loads it, as tests of every kind of file do."""

from pathlib import Path

from runner.config.data import FileData
from runner.training.data import Dataset, load


def read(folder: Path, name: str, content: str | bytes, **settings: object) -> Dataset:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    given = {"name": "file", "path": str(path), "target": "label"} | settings
    return load(FileData.model_validate(given))
