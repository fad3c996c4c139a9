"""Group runs: a configuration over its seeds and splits, so that MLflow's table sorts by them.

A group stands between its sweep and its jobs. It is made when the first of them ends, so that ten
thousand of them hold up no job, and ends when the last of them has.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from runner.config.fingerprint import configuration_key
from runner.config.plain import to_plain
from runner.jobs.plan import Plan, PlannedJob, run_name
from runner.jobs.worker.task import Task
from runner.system.errors import StoreError
from runner.system.signals import deferred_signals
from runner.tracking import RecordedGroup, count_tags
from runner.tracking.notes import NOTE, group_note
from runner.training.outcome import Outcome
from runner.training.statistics import (
    REPLICATES,
    SEED,
    SPLITS,
    Configuration,
    settings_of,
    without_replicates,
)

if TYPE_CHECKING:
    from runner.tracking import RunWriter, Store

# A person who presses Ctrl-C waits two seconds at most.
_CLOSED_WITHIN_S = 0.5
# So many jobs at a time are moved to the group that they were recorded before.
_LISTED_AT_ONCE = 64


class Groups:
    """The group runs of a sweep; a context manager that ends those that are open.

    Jobs of the plan that share all but seed and split make a group. Those that are recorded before
    it has a run are listed under the sweep, and moved when it has. Of earlier commands, `recorded`
    has the groups by their keys, and `parents` the runs that jobs are listed under, by position.
    Where `require_turn` raises `StoreError`, another process may have them open by now.
    """

    def __init__(
        self,
        store: Store,
        plan: Plan,
        sweep_id: str,
        recorded: Mapping[str, RecordedGroup],
        parents: Mapping[int, str],
        require_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._sweep_id, self._require_turn = store, sweep_id, require_turn
        self._recorded = dict(recorded)
        self._open: dict[str, RunWriter] = {}
        # The jobs of each that are still to end.
        self._awaited: dict[str, set[int]] = {}
        self._parents = dict(parents)
        # Runs that are to be moved, with their groups.
        self._moving: dict[str, str] = {}
        self.extend(plan)

    def extend(self, plan: Plan) -> None:
        """Go on with a plan that has further jobs."""
        self._plan = plan
        # Folds of a file may find other columns of use: they are told by what a person has set.
        members: dict[object, list[int]] = {}
        for position, job in enumerate(plan.jobs):
            if not job.varied.keys().isdisjoint(REPLICATES):
                settings = settings_of(job.varied), job.data_digest
                members.setdefault(settings, []).append(position)
        # A configuration with one run is its own summary.
        self._members = {self._key(jobs[0]): jobs for jobs in members.values() if len(jobs) > 1}
        self._key_of = {p: key for key, jobs in self._members.items() for p in jobs}
        self._awaited = {key: set() for key in self._members} | self._awaited

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        """End the groups that wait for jobs which will not end now."""
        in_a_hurry = kind is not None and not issubclass(kind, Exception)
        until = time.monotonic() + (_CLOSED_WITHIN_S if in_a_hurry else math.inf)
        with suppress(StoreError):
            self._require_turn()
            for group in self._open.values():
                # Of the others it is the next start that says so.
                if time.monotonic() < until:
                    with suppress(StoreError):
                        group.kill()
            if not in_a_hurry:  # it moves runs, too
                self._move(at_least=1)

    def begin(self, positions: Iterable[int], outcomes: Mapping[int, Outcome]) -> None:
        """Wait for the jobs that are to be run, and put right what earlier commands left undone."""
        for position in positions:
            if position in self._key_of:
                self._awaited[self._key_of[position]].add(position)
        self.restore(outcomes)
        for key in self._recorded.keys() & self._members.keys():
            self._claim(key, self._members[key], outcomes)
        self._move(at_least=1)

    def listed(self, task: Task) -> Task:
        """Return a task whose jobs are listed under their groups, as far as those have runs."""
        groups = [self._recorded.get(self._key_of.get(job.position, "")) for job in task.jobs]
        parents = [self._sweep_id if group is None else group.run_id for group in groups]
        self._parents |= {j.position: p for j, p in zip(task.jobs, parents, strict=True)}
        pairs = zip(task.jobs, parents, strict=True)
        return replace(task, jobs=tuple(replace(j, parent_run_id=p) for j, p in pairs))

    def take(self, position: int, outcomes: Mapping[int, Outcome]) -> None:
        """Make the group of a job that has just ended, or sum it up if that was its last one.

        What an earlier command began and nobody asks for now is not waited for.
        """
        key = self._key_of.get(position)
        if key is None or position not in self._awaited[key]:
            return
        self._awaited[key].discard(position)
        with self._forgiven():
            if key not in self._open:
                self._begin_group(key, outcomes)
            self._claim(key, [position], outcomes)
            if not self._awaited[key]:
                self._sum_up(key, outcomes)
        self._move(at_least=_LISTED_AT_ONCE)

    def restore(self, outcomes: Mapping[int, Outcome]) -> None:
        """Make or sum up the groups that the store lacks, though their jobs have all ended."""
        with self._forgiven():
            for key in self.lacking(outcomes):
                self._begin_group(key, outcomes)
                self._sum_up(key, outcomes)

    def _forgiven(self) -> suppress:
        """Have work go on while a server does not answer: `restore` makes up for it."""
        return suppress(*([StoreError] if self._store.backend.keeps else []))

    def lacking(self, outcomes: Mapping[int, Outcome]) -> list[str]:
        """Return the keys of groups whose jobs have all ended, and whose sum the store lacks.

        An earlier command was interrupted, or somebody has deleted them.
        """
        return [
            key
            for key, members in self._members.items()
            if key not in self._open
            and all(member in outcomes for member in members)
            and (
                key not in self._recorded
                or self._recorded[key].counts != _counts([outcomes[m] for m in members])
            )
        ]

    def _begin_group(self, key: str, outcomes: Mapping[int, Outcome]) -> None:
        """Create the run of a group, or reopen it, and have its jobs listed there."""
        with deferred_signals():  # a run that nobody knows of could not be closed
            if key in self._recorded:
                self._open[key] = self._store.reopen_run(self._recorded[key].run_id)
            else:
                self._open[key] = self._create(key)
                self._recorded[key] = RecordedGroup(self._open[key].run_id)
        self._claim(key, self._members[key], outcomes)

    def _claim(self, key: str, members: Iterable[int], outcomes: Mapping[int, Outcome]) -> None:
        """Note which jobs have ended that the store lists elsewhere than under their group."""
        group_id = self._recorded[key].run_id
        for member in members:
            if member in outcomes and self._parents.get(member, group_id) != group_id:
                self._parents[member] = group_id
                self._moving[outcomes[member].run_id] = group_id

    def _move(self, *, at_least: int) -> None:
        """List runs under their groups; the next start does what a server does not take."""
        if len(self._moving) >= at_least and not self._store.n_unrecorded:
            moving, self._moving = self._moving, {}
            with suppress(StoreError):
                self._store.list_under(moving)

    def _key(self, position: int) -> str:
        job = self._plan.jobs[position]
        return configuration_key(job.experiment, job.data_digest, _varied_of_split(job))

    def _create(self, key: str) -> RunWriter:
        job = self._plan.jobs[self._members[key][0]]
        params, common = to_plain(job.experiment), without_replicates(job.varied)
        del params[SEED]
        for name in _varied_of_split(job):
            del params["split"][name]
        tags = {
            "runner.kind": "group",
            "runner.key": key,
            "runner.sweep": self._sweep_id,
            "runner.varied": json.dumps(common),
        }
        name = run_name(job.experiment, common)
        return self._store.start_run(name, params, tags, self._sweep_id)

    def _sum_up(self, key: str, outcomes: Mapping[int, Outcome]) -> None:
        group = self._open[key]
        ended = [outcomes[member] for member in self._members[key] if member in outcomes]
        finished = tuple(outcome for outcome in ended if outcome.status == "FINISHED")
        n_finished, n_failed = counts = _counts(ended)
        n_pruned = sum(outcome.status == "PRUNED" for outcome in ended)
        of_search = {"n_pruned": n_pruned} if n_pruned else {}
        tags = count_tags({"n_finished": n_finished, "n_failed": n_failed, **of_search})
        first = self._plan.jobs[self._members[key][0]]
        note = group_note(first.experiment.name, self._plan.first.ranking_metric, ended)
        group.set_tags({**tags, NOTE: note})
        group.log_metrics(0, _summary(finished))
        group.finish()
        self._recorded[key] = RecordedGroup(group.run_id, counts)
        del self._open[key]  # not before: what is interrupted has to be killed


def _varied_of_split(job: PlannedJob) -> list[str]:
    return [key.removeprefix("split.") for key in SPLITS if key in job.varied]


def _counts(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """Return how many have finished, with those pruned, and failed, as a group's tags say it."""
    statuses = [outcome.status for outcome in outcomes]
    n_finished = statuses.count("FINISHED") + statuses.count("PRUNED")
    return n_finished, statuses.count("FAILED")


def _summary(finished: tuple[Outcome, ...]) -> dict[str, float]:
    """Return mean, standard deviation, n and 95 % confidence interval of each final metric."""
    configuration = Configuration({}, finished, ())
    numbers: dict[str, float] = {}
    for name in dict.fromkeys(name for outcome in finished for name in outcome.metrics):
        summary = configuration.summary(name)
        if summary is None:
            continue
        values = {"mean": summary.mean, "std": summary.std, "n": float(summary.n)}
        if name != "best/step":  # it is at an end of its range as often as within
            values |= {"ci95_low": summary.low, "ci95_high": summary.high}
        numbers |= {f"{name}/{kind}": v for kind, v in values.items() if not math.isnan(v)}
    return numbers
