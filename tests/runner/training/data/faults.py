"""What can be wrong with a person's file: each Fault is one bad file and what must be said of it.

The tables live in faults_of_*.py; the loader is put through all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.config.data import FileData


@dataclass(frozen=True)
class Fault:
    """A bad file; `says` holds pieces of the message: where, what was got, what is allowed."""

    name: str
    file: str
    content: bytes | str | Callable[[], bytes] | None
    says: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=lambda: {"target": "label"})

    def write(self, folder: Path) -> Path:
        """Write the file into a folder; a content of None leaves it missing."""
        path = folder / self.file
        content = self.content() if callable(self.content) else self.content
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def config(self, folder: Path) -> FileData:
        """Give the settings that load it."""
        path = str(self.write(folder))
        return FileData.model_validate({"name": "file", "path": path, **self.settings})
