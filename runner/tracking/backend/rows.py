"""What a store has of experiments and runs, and what is written of a run: plain values.

Anybody may have written what is read, so a value is of any type until it was checked.
"""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeGuard
from weakref import WeakSet

from runner.system.errors import RecordError, shorten
from runner.system.text import elide

if TYPE_CHECKING:
    from mlflow import MlflowClient

# The tag in which MLflow keeps the name of a run.
RUN_NAME = "mlflow.runName"
_ID = re.compile(r"[0-9a-f]{32}")
_STATUSES = {"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"}
# The end of the year 9999, in milliseconds since 1970, a day early for every time zone.
_LATEST_MS = 253_402_214_400_000


@dataclass(frozen=True)
class Experiment:
    """An experiment of a store."""

    experiment_id: str
    name: str
    artifact_location: str
    is_deleted: bool = False


@dataclass(frozen=True)
class Run:
    """A run of a store; times are in milliseconds since 1970.

    Of tags, params and metrics, those of another type than text and numbers are among them.
    """

    run_id: str
    experiment_id: str
    name: str
    status: str
    started_ms: object
    ended_ms: object
    artifact_uri: str
    is_deleted: bool = False
    tags: Mapping[Any, Any] = field(default_factory=dict)
    params: Mapping[Any, Any] = field(default_factory=dict)
    metrics: Mapping[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunQuery:
    """Which runs of some experiments to find."""

    experiment_ids: Sequence[str]
    tags: Mapping[str, str]  # tags that they all have
    _: KW_ONLY
    status: str | None = None  # their status; None for any
    newest_first: bool = True  # the order of their start
    id_begins: str = ""  # hexadecimal digits with which their ids begin
    without: str | None = None  # a tag that none of them has
    has_settings: bool = True  # whether params and metrics are asked for; they may come unasked
    label: str = "a run of the store"  # names any of them in messages


class LoggedMetric(NamedTuple):
    """One value of a metric; its name is one that MLflow takes."""

    name: str
    value: float
    at_ms: int
    step: int


class DatasetPart(NamedTuple):
    """A part of a data set that a run was given: what MLflow lists as a dataset."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None
    profile: str
    context: str


class ModelFacts(NamedTuple):
    """What the page of a model shows of it: its name, and params and metrics of its run.

    Each metric comes with the name and digest of the data set that it is of, or without.
    """

    name: str = "model"
    params: Sequence[tuple[str, str]] = ()
    metrics: Sequence[tuple[LoggedMetric, str | None, str | None]] = ()


@dataclass
class RunChange:
    """What is to be written of a run; all of it or nothing, in a database."""

    run_id: str
    artifact_uri: str = ""  # where its files go
    # The run itself, while the store does not have it; it has neither tags nor params of its own.
    new: Run | None = None
    # As MLflow takes them.
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[LoggedMetric] = field(default_factory=list)  # in the order of their measurement
    datasets: Sequence[DatasetPart] = ()
    files: dict[str, bytes] = field(default_factory=dict)  # its artifacts, written before all else
    removed_tag: str | None = None  # a tag that it does not have any more
    status: str | None = None  # what it becomes; None for what it is
    ended_ms: int | None = None  # when it ended
    # Whether a server was asked to create it, and may have, though no answer came.
    was_sent: bool = False


class Backend(Protocol):
    """Where a store keeps experiments and runs.

    Every call raises a `StoreError` where the store or the disk fails, and one that reads a
    `RecordError` where a row makes no sense.
    """

    uri: str
    runs_at_once: int  # how many are best written together
    remark: str | None  # what a person who records in it should know
    unfit: dict[str, str]  # of each run that a list left out, by its id, what it is and why
    keeps: bool  # whether the ends of runs are kept on disk while a server does not answer
    left: dict[Path, str]  # of each kept file that cannot be recorded, why
    is_durable: bool  # whether files in folders of this machine are flushed to the disk

    @property
    def client(self) -> MlflowClient:
        """MLflow's client of the store, for what nothing else can do."""

    @property
    def default_artifacts(self) -> str:
        """Where the artifacts of an experiment go that names no location."""

    def experiments(self) -> list[Experiment]:
        """Return all experiments that are not deleted."""

    def experiment(self, experiment_id: str) -> Experiment | None:
        """Return an experiment by its id."""

    def experiment_named(self, name: str) -> Experiment | None:
        """Return an experiment by its name, be it deleted."""

    def create_experiment(self, name: str, location: str | None) -> Experiment:
        """Make an experiment, or return the one that another process has just made."""

    def begin(
        self,
        experiment_id: str,
        name: str,
        tags: Mapping[str, str],
        started_ms: int,
        *,
        may_wait: bool = False,
    ) -> RunChange:
        """Begin a run, which the store has when the change is written.

        A server has it at once, unless it `may_wait`.
        """

    def write(self, changes: Sequence[RunChange]) -> None:
        """Write what is to be written of some runs; in a database in one transaction."""

    def asking(self, call: Callable[[], None]) -> None:
        """Make a call; where it asks a server that has just failed, raise `StoreLost` at once."""

    def record_kept(self) -> int:
        """Record what is kept on disk for a server, and return how many runs that were.

        What cannot be recorded is noted in `left`.
        """

    def run(self, run_id: str) -> Run | None:
        """Return a run by its id, be it deleted."""

    def runs(self, query: RunQuery) -> Iterator[Run]:
        """Iterate over the runs that a query finds, by their start.

        A run that makes no sense is left out, and noted in `unfit`.
        """

    def metric_values(
        self, run_id: str, metric: str | None = None
    ) -> Iterator[tuple[object, object, object]]:
        """Iterate over name, step and value of one metric, or of all that a run has."""

    def close(self) -> None:
        """Close the connections; a later call opens them again."""


_backends: WeakSet[Any] = WeakSet()


def close_before_forks(backend: Backend) -> None:
    """Have a backend closed before each fork, and at the exit.

    A process must not use, or even close, a connection that it inherited; and the last connection
    to close puts SQLite's log back into the database, which is a single file again.
    """
    _backends.add(backend)


def _close_all() -> None:
    for backend in list(_backends):
        backend.close()


os.register_at_fork(before=_close_all)
atexit.register(_close_all)


def is_run_id(text: str) -> bool:
    """Tell whether a text can be the id of an MLflow run."""
    return _ID.fullmatch(text) is not None


def sound_runs(runs: Iterable[Run], unfit: dict[str, str]) -> Iterator[Run]:
    """Iterate over the runs that make sense; say of each other one in `unfit` why it does not."""
    for run in runs:
        if not is_run_id(run.run_id):
            name, rule, got = "its id", "32 hexadecimal digits", run.run_id
        elif run.status not in _STATUSES:
            name, rule, got = "status", f"one of {', '.join(sorted(_STATUSES))}", run.status
        elif _is_number(run.started_ms) and not 0 <= run.started_ms < _LATEST_MS:
            name, rule, got = "start_time", "between 1970 and 9999, in ms", str(run.started_ms)
        else:
            yield run
            continue
        label = f"run {elide(run.run_id, 40)} ({elide(run.name, 40)})"
        unfit[run.run_id] = f"{label}: is left out: {name} must be {rule}, got {shorten(got, 40)}."


def tags_of(tags: Mapping[Any, Any]) -> dict[str, str]:
    """Return the tags of a run, or raise `RecordError` if one of ours is not text."""
    texts = texts_of(tags)
    for name in tags.keys() - texts.keys():
        if isinstance(name, str) and name.startswith("runner."):
            raise RecordError(f"{elide(name, 60)}: must be text, got {shorten(tags[name])}.")
    return texts


def texts_of(values: Mapping[Any, Any]) -> dict[str, str]:
    """Return the values that are text."""
    return {k: v for k, v in values.items() if isinstance(k, str) and isinstance(v, str)}


def numbers_of(values: Mapping[Any, Any]) -> dict[str, float]:
    """Return the values that are numbers."""
    return {k: float(v) for k, v in values.items() if isinstance(k, str) and _is_number(v)}


def metric_of(name: object, step: object, value: object) -> tuple[str, int, float]:
    """Return the name, step and value of a metric, or raise `RecordError`."""
    if not isinstance(name, str):
        raise RecordError(f"metrics: must have names that are text, got {shorten(name)}.")
    label = f"metrics, {shorten(name)}"
    if not _is_number(step) or isinstance(step, float):
        raise RecordError(f"{label}: must have steps that are whole numbers, got {shorten(step)}.")
    if not _is_number(value):
        raise RecordError(f"{label} at step {step:,}: must be a number, got {shorten(value)}.")
    return name, step, float(value)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
