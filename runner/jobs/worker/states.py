"""Saved states of long trainings: in a folder of this machine, or in a store that machines share.

Whoever goes on with a sweep finds them there. Each is two files: arrays, and the keys of the jobs.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.jobs.worker.recording import scratch_folder
from runner.system.errors import RunnerError, StoreError
from runner.system.files import read_state, write_state, write_text
from runner.tracking.backend.rows import is_run_id

if TYPE_CHECKING:
    from runner.tracking import Store
    from runner.tracking.records import StoredRun

# Among the artifacts of a sweep's run.
_FOLDER = "states"
_NAME = re.compile(r"[0-9a-f]{16}-(\d{1,15})")
# No network that one machine trains is as large.
_KEYS_LIMIT, _STATE_LIMIT = 1 << 26, 1 << 36


class SavedStack(NamedTuple):
    """A stack whose training was saved: by which name, at which step, and the keys of its jobs."""

    name: str
    step: int
    keys: tuple[str, ...]


class States(ABC):
    """The saved states of a sweep, or of a run of its own; see `open_states`."""

    place: str

    def save(self, keys: Sequence[str], step: int, state: Mapping[str, Any]) -> str:
        """Save the training of some jobs at a step, and return its name."""
        digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()
        name = f"{digest[:16]}-{step}"
        with self._writing() as folder:
            write_text(folder / f"{name}.json", json.dumps(keys))
            write_state(folder / f"{name}.npz", state)
        return name

    def load(self, name: str) -> dict[str, Any]:
        """Read a state; a `RunnerError` says that it is missing or damaged."""
        file = f"{name}.npz"
        return read_state(Path(self.place, file), self._read(file, _STATE_LIMIT))

    def saved(self) -> list[SavedStack]:
        """Return what was saved; what makes no sense is left out."""
        files, found = set(self._files()), []
        for name in sorted(file.removesuffix(".npz") for file in files if file.endswith(".npz")):
            match = _NAME.fullmatch(name)
            if match is None or f"{name}.json" not in files:
                continue
            try:
                keys = json.loads(self._read(f"{name}.json", _KEYS_LIMIT))
            except (RunnerError, ValueError, RecursionError):
                continue
            if isinstance(keys, list) and all(isinstance(key, str) for key in keys):
                found.append(SavedStack(name, int(match[1]), tuple(keys)))
        return found

    def forget(self, name: str) -> None:
        """Remove a state, if it is there; one that cannot be removed harms nobody."""
        with suppress(StoreError):
            self._remove([f"{name}.npz", f"{name}.json"])

    def forget_others(self, names: Collection[str] = ()) -> None:
        """Remove all states but some, as `forget` does."""
        with suppress(StoreError):
            self._remove([f for f in self._files() if f.rpartition(".")[0] not in names])

    @abstractmethod
    def _writing(self) -> AbstractContextManager[Path]:
        """Give a folder whose files are saved when it is left."""

    @abstractmethod
    def _files(self) -> list[str]: ...

    @abstractmethod
    def _read(self, file: str, limit: int) -> bytes: ...

    @abstractmethod
    def _remove(self, files: Sequence[str]) -> None: ...


class _Folder(States):
    """States in a folder of this machine, which is made when there is one."""

    def __init__(self, path: Path) -> None:
        self.place, self._path = str(path), path

    def _writing(self) -> AbstractContextManager[Path]:
        return nullcontext(self._path)

    def _files(self) -> list[str]:
        return [file.name for file in self._path.glob("[!.]*")]

    def _read(self, file: str, limit: int) -> bytes:  # noqa: ARG002  (it is our own)
        try:
            return (self._path / file).read_bytes()
        except OSError as error:
            raise StoreError(f"{self._path / file}: cannot be read: {error.strerror}") from error

    def _remove(self, files: Sequence[str]) -> None:
        for file in files:
            (self._path / file).unlink(missing_ok=True)


class _Artifacts(States):
    """States among the artifacts of a sweep's run."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.place, self._store = run_id, store

    @cached_property
    def _run(self) -> StoredRun:
        from runner.tracking.records.mlflow_record import stored_run

        return stored_run(self._store, self.place)

    @contextmanager
    def _writing(self) -> Iterator[Path]:
        with scratch_folder() as folder:
            yield folder
            self._store.send_folder(self._run.run, folder, _FOLDER)

    def _files(self) -> list[str]:
        return [PurePosixPath(path).name for path in self._run.files(_FOLDER)]

    def _read(self, file: str, limit: int) -> bytes:
        return self._run.read(f"{_FOLDER}/{file}", limit)

    def _remove(self, files: Sequence[str]) -> None:
        self._store.remove_files(self._run.run, [f"{_FOLDER}/{file}" for file in files])


def open_states(place: str | None, store: Store | None) -> States | None:
    """Return the states at a place: a folder, or the run of a sweep; None where none are saved."""
    if place is None:
        return None
    if store is not None and is_run_id(place):
        return _Artifacts(store, place)
    return _Folder(Path(place))
