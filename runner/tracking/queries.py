"""Sweeps and jobs as a store has them, so that a sweep can go on and be shown from any machine.

Anybody may have edited a store: a value that makes no sense is taken as missing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar, cast

from runner.system.errors import CommandError, RecordError, nearest, shorten
from runner.system.text import elide, printable
from runner.tracking.backend import rows
from runner.tracking.backend.liveness import is_gone
from runner.tracking.backend.rows import Backend, Run, RunQuery, numbers_of, texts_of
from runner.tracking.run_writer import FAILURE, close_unclosed
from runner.training.outcome import Outcome, Status, epoch_at

# No time in ms, and no number of jobs, is as large.
_LARGEST, _MOST_JOBS = 1e15, 1e9
# The tag of a run that a search has stopped early: at which step of its budget.
PRUNED_AT = "runner.pruned_at_step"
# The tag of a sweep that has all its results; it is written last of all.
SUMMED_UP = "runner.summed_up"
# The tag of a sweep whose run has the model of its best: the name of that.
MODEL = "runner.model"
# The tags of a sweep that name the run in which its best was trained once more, and describe it.
REFIT, REFIT_NOTE = "runner.refit", "runner.refit_note"
# The tag of such a run that names the sweep.
REFIT_OF = "runner.refit_of"
# The tag of a sweep that names how it chose its jobs.
SEARCH_NAME = "runner.search"
# The tag that says how many rows a run was trained and measured on.
ROWS = "runner.rows"
# The tag of an ensemble that names the runs of its members, each as often as it is one.
MEMBERS = "runner.members"


@dataclass(frozen=True)
class SweepSummary:
    """What sums a sweep up beside its jobs, as far as there is any.

    Its best is `expected` to be worth so much on new rows, within two bounds; the sweep's run has a
    `model` of that name, or none; the run `refit` has trained it once more, as the `note` says. A
    `search` of that name chose what was tried.
    """

    expected: tuple[float, ...] | None = None
    model: str = ""
    refit: str = ""
    note: str = ""
    search: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the sweep's run that tell of it."""
        return {MODEL: self.model, REFIT: self.refit, REFIT_NOTE: self.note}


@dataclass(frozen=True)
class RecordedSweep:
    """A sweep in a store, as its parent run describes it.

    Two commands that mean the same sweep have the same `identity`. `metric` ranks the jobs,
    `started_s` counts from 1970, `duration_s` is the time that commands have spent on it, and the
    counts are None until it has been summed up. `trained_on` describes its data in a line.
    """

    run_id: str
    name: str
    identity: str
    status: str
    experiment_id: str
    metric: str
    n_jobs: int
    started_s: float
    duration_s: float
    n_finished: int | None
    n_failed: int | None
    summary: SweepSummary = field(default_factory=SweepSummary)
    trained_on: str = ""


@dataclass(frozen=True)
class RecordedJob:
    """A job of a sweep in a store.

    `parent` is the id of the run that it is listed under, `params` its config as MLflow has it, by
    dotted key, and `choices` the option of each config group; runs of earlier versions have none.
    """

    key: str
    outcome: Outcome
    parent: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordedGroup:
    """A group of jobs in a store: its run, and how many have finished and failed, once it has."""

    run_id: str
    counts: tuple[int, int] | None = None


class Sweeps:
    """The sweeps of a store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def all(self, experiment_ids: Sequence[str] | None = None) -> list[RecordedSweep]:
        """Return the sweeps of some experiments, or of all of them; the newest first."""
        ids = experiment_ids or [e.experiment_id for e in self._backend.experiments()]
        return [
            sweep_of(run) for run in self._backend.runs(RunQuery(ids, {"runner.kind": "sweep"}))
        ]

    def newest_of(self, experiment_id: str, identity: str) -> RecordedSweep | None:
        """Return the latest sweep of an identity, if there is one."""
        tags = {"runner.kind": "sweep", "runner.plan": identity}
        return next(map(sweep_of, self._backend.runs(RunQuery([experiment_id], tags))), None)

    def jobs_of(self, sweep: RecordedSweep, *, has_settings: bool = True) -> list[RecordedJob]:
        """Return the jobs of a sweep that have a run, in the order of their start.

        Without settings, which are most of a job, they take little memory.
        """
        return self.jobs_and_doubles_of(sweep, has_settings=has_settings)[0]

    def jobs_and_doubles_of(
        self, sweep: RecordedSweep, *, has_settings: bool = False
    ) -> tuple[list[RecordedJob], list[str]]:
        """Return the jobs of a sweep, and the ids of runs that FINISHED beside one that counts.

        Of two workers that had the same job, one may have been stopped as it ended its run, and
        have died before it saw that the job had been given to the other.
        """
        runs = self._members(sweep, {"runner.kind": "run"}, newest_first=False)
        jobs = (job_of(run) for run in runs)
        if not has_settings:
            jobs = (replace(job, params={}, choices={}) for job in jobs)
        entries = [(job.key, job.outcome.status in {"FINISHED", "PRUNED"}, job) for job in jobs]
        counting = _those_that_count(entries)
        doubles = [
            job.outcome.run_id
            for key, has_finished, job in entries
            if has_finished and counting[key].outcome.run_id != job.outcome.run_id
        ]
        return [*counting.values()], doubles

    def groups_of(self, sweep: RecordedSweep) -> dict[str, RecordedGroup]:
        """Return the groups of a sweep, by their keys."""
        groups = {}
        for run in self._members(sweep, {"runner.kind": "group"}):
            counts = _counts_of(run) if run.status == "FINISHED" else None
            key = texts_of(run.tags).get("runner.key", "")
            groups[key] = RecordedGroup(run.run_id, counts)
        return groups

    def settle_stack(
        self,
        experiment_id: str,
        sweep_id: str | None,
        stack: str,
        keys: Collection[str],
        counts_failed: Callable[[str], bool] = lambda _: False,
        unfinished: Collection[str] = (),
        known: Collection[str] = (),
    ) -> dict[str, Outcome]:
        """Mark KILLED what is RUNNING of a stack's jobs, and return those that have FINISHED.

        Those that have FAILED too, where `counts_failed` says so of their run's id. The keys
        `unfinished` are of jobs whose FINISHED runs are marked KILLED as well. Of two FINISHED runs
        of one job, one is `known` by its id or the later; the other is marked KILLED. Whoever calls
        it knows that no worker is at these jobs, or has taken them over. Other jobs of the same
        stack may be another worker's, and are left alone.
        """
        tags = {"runner.stack": stack, "runner.sweep": str(sweep_id)}
        by_key = [
            (key, run)
            for run in self._backend.runs(RunQuery([experiment_id], tags, newest_first=False))
            if (key := texts_of(run.tags).get("runner.key", "")) in keys
        ]
        by_key.sort(key=lambda entry: entry[1].run_id in known)
        finished = {key: run for key, run in by_key if run.status == "FINISHED"}
        done = {key: run for key, run in finished.items() if key not in unfinished}
        counting = {run.run_id for run in done.values()}
        unclosed = [
            run.run_id
            for _, run in by_key
            if run.status in {"RUNNING", "FINISHED"} and run.run_id not in counting
        ]
        close_unclosed(self._backend, unclosed)
        failed = {
            key: run for key, run in by_key if run.status == "FAILED" and counts_failed(run.run_id)
        }
        return {key: job_of(run).outcome for key, run in (failed | done).items()}

    def close_running(self, sweep: RecordedSweep, *, everywhere: bool) -> None:
        """Mark KILLED what dead processes left RUNNING of a sweep.

        They are those of this machine, or `everywhere`: all, where no other command can be at it.
        """
        running = list(self._members(sweep, {}, status="RUNNING"))
        refits = RunQuery([sweep.experiment_id], {REFIT_OF: sweep.run_id}, status="RUNNING")
        running += self._backend.runs(refits)
        self.close([run.run_id for run in (running if everywhere else left_by_the_dead(running))])

    def close(self, run_ids: Sequence[str]) -> None:
        """Mark runs KILLED that nobody works on, or that are there twice."""
        close_unclosed(self._backend, run_ids)

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """Return the values of a metric by step; rows that hold no number are left out."""
        values: dict[int, float] = {}
        for row in self._backend.metric_values(run_id, metric):
            with suppress(RecordError):
                _, number, checked = rows.metric_of(*row)
                values[number] = checked
        return sorted(values.items())

    def _members(
        self,
        sweep: RecordedSweep,
        tags: Mapping[str, str],
        status: str | None = None,
        *,
        newest_first: bool = True,
    ) -> Iterator[Run]:
        of_sweep = {**tags, "runner.sweep": sweep.run_id}
        return self._backend.runs(
            RunQuery([sweep.experiment_id], of_sweep, status=status, newest_first=newest_first)
        )


def left_by_the_dead(running: Iterable[Run]) -> list[Run]:
    """Return the runs whose process ran on this machine and has ended."""
    return [run for run in running if is_gone(texts_of(run.tags).get("runner.process", ""))]


def run_id_of(backend: Backend, text: str, store: str) -> str:
    """Return the id of the run that a person means: by its id, a sweep's name, or how one begins.

    Of several sweeps with one name the newest is meant. A `CommandError` says that the `store` has
    no such run, or several.
    """
    if rows.is_run_id(text):
        return text
    sweeps = {sweep.name: sweep.run_id for sweep in reversed(Sweeps(backend).all())}
    if text in sweeps:
        return sweeps[text]
    begun = {run_id: name for name, run_id in sweeps.items() if name.startswith(text)}
    if re.fullmatch("[0-9a-f]{4,31}", text):
        ids = [experiment.experiment_id for experiment in backend.experiments()]
        begun |= {run.run_id: run.run_id for run in backend.runs(RunQuery(ids, {}, id_begins=text))}
    if len(begun) == 1:
        return next(iter(begun))
    if begun:
        several = f"{', '.join([*begun.values()][:5])}{', ...' if len(begun) > 5 else ''}"
        raise CommandError(
            f"RUN: must be one run, got {shorten(text)}, with which {len(begun):,} begin "
            f"({printable(several)})."
        )
    hint, newest = nearest(text, sweeps), [*sweeps][:-6:-1]
    known = (
        f" ({', '.join(elide(name, 40) for name in newest)}{', ...' if len(sweeps) > 5 else ''})"
        if sweeps
        else ""
    )
    raise CommandError(
        f"RUN: must be a run or a sweep of the store {store}{known}, got "
        f"{shorten(text)}.{' ' + hint if hint else ''} runner sweeps and runner runs list them; "
        "--uri names another store."
    )


def runs_of_jobs(runs: Iterable[Run]) -> dict[str, Run]:
    """Return the run of each job that counts, by the job's key, given all from the oldest on."""
    return _those_that_count(
        (texts_of(run.tags).get("runner.key", run.run_id), run.status == "FINISHED", run)
        for run in runs
    )


_Entry = TypeVar("_Entry")


def _those_that_count(entries: Iterable[tuple[str, bool, _Entry]]) -> dict[str, _Entry]:
    """Return of each key the latest entry that has finished, else the latest."""
    latest: dict[str, _Entry] = {}
    finished: set[str] = set()
    for key, has_finished, entry in entries:
        if has_finished or key not in finished:
            latest[key] = entry
        if has_finished:
            finished.add(key)
    return latest


def final_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of the weights that were kept: with early stopping the best ones."""
    final = dict(metrics)
    for name, value in metrics.items():
        if name.startswith("best/") and name != "best/step":
            final[name.removeprefix("best/")] = value
    return final


def varied_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the settings by which a run differed from others; none from a tag that was edited."""
    return _texts_in(tags, "runner.varied")


def choices_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the option that a run had of each config group; none from a tag that was edited."""
    return _texts_in(tags, "runner.choices")


def _texts_in(tags: Mapping[str, str], tag: str) -> dict[str, str]:
    """Read texts by name from a tag; none from anything else that somebody put there."""
    return _texts_of_json(tags.get(tag, "{}"))


@lru_cache(maxsize=1024)  # jobs of a sweep share their choices
def _texts_of_json(content: str) -> dict[str, str]:
    try:
        texts = json.loads(content)
        json.dumps(texts, ensure_ascii=False).encode()  # fails for half a surrogate pair
    except (ValueError, RecursionError):
        return {}
    is_sound = isinstance(texts, dict) and all(isinstance(v, str) for v in texts.values())
    return texts if is_sound else {}


def sweep_of(run: Run) -> RecordedSweep:
    """Return the sweep that a run in the store stands for."""
    tags, metrics = texts_of(run.tags), numbers_of(run.metrics)
    is_summed_up = tags.get(SUMMED_UP) == "true"
    n_finished, n_failed = _counts_of(run) if is_summed_up else (None, None)
    search = tags.get(SEARCH_NAME, "")
    return RecordedSweep(
        run_id=run.run_id,
        name=run.name,
        identity=tags.get("runner.plan", ""),
        status=run.status,
        experiment_id=run.experiment_id,
        metric=tags.get("runner.metric", "val/loss"),
        n_jobs=_count(tags.get("runner.n_jobs")),
        started_s=_number(run.started_ms) / 1000,
        duration_s=_number(tags.get("runner.duration_s")),
        n_finished=n_finished,
        n_failed=n_failed,
        summary=_summary_of(metrics, tags) if is_summed_up else SweepSummary(search=search),
        trained_on=tags.get("runner.trained_on", ""),
    )


def expected_names(metric: str) -> tuple[str, str, str]:
    """Return the metrics of what a sweep's best is expected to be worth on new rows, and bounds."""
    name = f"expected/{metric}"
    return name, f"{name}/ci95_low", f"{name}/ci95_high"


def _summary_of(metrics: Mapping[str, float], tags: Mapping[str, str]) -> SweepSummary:
    names = expected_names(tags.get("runner.metric", ""))
    values = tuple(metrics.get(name, math.nan) for name in names)
    expected = values if all(map(math.isfinite, values)) else None
    refit = tags.get(REFIT, "")
    refit = refit if rows.is_run_id(refit) else ""
    # Earlier versions called every model the same.
    model = {"true": "model", "false": ""}.get(tags.get(MODEL, ""), tags.get(MODEL, ""))
    model = model if re.fullmatch(r"[\w-]+", model, re.ASCII) else ""
    return SweepSummary(expected, model, refit, tags.get(REFIT_NOTE, ""), tags.get(SEARCH_NAME, ""))


def _counts_of(run: Run) -> tuple[int, int]:
    """Return how many jobs of a sweep or group have finished and failed."""
    # Earlier versions counted in metrics.
    tags, metrics = texts_of(run.tags), numbers_of(run.metrics)
    names = ("n_finished", "n_failed")
    finished, failed = (_count(tags.get(f"runner.{n}", metrics.get(n))) for n in names)
    return finished, failed


def count_tags(counts: Mapping[str, int]) -> dict[str, str]:
    """Return counts as tags: among the metrics they would open every chart of the pages."""
    return {f"runner.{name}": str(n) for name, n in counts.items()}


def job_of(run: Run) -> RecordedJob:
    """Return a run of the store as the job that it records."""
    tags, params = texts_of(run.tags), texts_of(run.params)
    key = tags.get("runner.key", run.run_id)
    parent = tags.get("mlflow.parentRunId", "")
    return RecordedJob(key, _outcome_of(run, tags, params), parent, params, choices_of(tags))


def started_s(run: Run) -> float:
    """Return when a run began, in seconds since 1970."""
    return _number(run.started_ms) / 1000


def _outcome_of(run: Run, tags: Mapping[str, str], params: Mapping[str, str]) -> Outcome:
    started_ms = _number(run.started_ms)
    ended_ms = _number(run.ended_ms) or started_ms
    status = run.status
    rows, pruned_at_step = _rows_of(tags.get(ROWS, "{}")), _count(tags.get(PRUNED_AT)) or None
    batch_size, n_epochs = (_count(params.get(f"training.{n}")) for n in ("batch_size", "epochs"))
    if status == "FINISHED" and pruned_at_step:
        status = "PRUNED"
    return Outcome(
        name=run.name,
        run_id=run.run_id,
        # A run that is still RUNNING has no outcome yet, and may never have one.
        status=cast("Status", status) if status in {"FINISHED", "PRUNED", "FAILED"} else "KILLED",
        varied=varied_of(tags),
        metrics=final_metrics(numbers_of(run.metrics)),
        failure=tags.get(FAILURE),
        duration_s=(ended_ms - started_ms) / 1000,
        rows=rows,
        pruned_at_step=pruned_at_step,
        pruned_at_epoch=epoch_at(pruned_at_step, rows.get("train", 0), batch_size, n_epochs),
    )


@lru_cache(maxsize=1024)  # jobs of a sweep share them
def _rows_of(content: str) -> dict[str, int]:
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    counts = {part: _count(n) for part, n in rows.items()} if isinstance(rows, dict) else {}
    return counts if counts.get("train") else {}


def _number(value: object) -> float:
    """Read a number, 0 or above, that anybody may have edited; 0 for anything else."""
    try:
        number = float(str(value))
    except ValueError:
        return 0.0
    return number if 0 <= number < _LARGEST else 0.0


def _count(value: object) -> int:
    number = _number(value)
    return int(number) if number < _MOST_JOBS else 0
