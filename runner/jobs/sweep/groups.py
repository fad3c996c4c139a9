"""Group runs: a configuration over its seeds and splits, so that MLflow's table sorts by them.

A group stands between its sweep and its jobs, and ends when the last of them has.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from runner.config.fingerprint import configuration_key
from runner.config.plain import to_plain
from runner.jobs.plan import Plan, PlannedJob, run_name
from runner.system.errors import StoreError
from runner.system.signals import deferred_signals
from runner.training.outcome import Outcome
from runner.training.statistics import (
    REPLICATES,
    SEED,
    SPLITS,
    Configuration,
    without_replicates,
)

if TYPE_CHECKING:
    from runner.tracking import RunWriter, Store

# A person who presses Ctrl-C waits two seconds at most.
_CLOSED_WITHIN_S = 0.5


class Groups:
    """The group runs of a sweep; a context manager that ends those that are open.

    Jobs of the plan that share all but seed and split make a group. `recorded` are the groups of
    earlier commands: run ids by their keys.
    """

    def __init__(
        self, store: Store, plan: Plan, sweep_id: str, recorded: Mapping[str, str]
    ) -> None:
        self._store = store
        self._sweep_id = sweep_id
        self._recorded = dict(recorded)
        self._open: dict[str, RunWriter] = {}
        # The jobs of each that are still to end.
        self._awaited: dict[str, set[int]] = {}
        self.extend(plan)

    def extend(self, plan: Plan) -> None:
        """Go on with a plan that has further jobs."""
        self._plan = plan
        # Folds of a file may find other columns of use: they are told by what a person has set.
        members: dict[object, list[int]] = {}
        for position, job in enumerate(plan.jobs):
            if not job.varied.keys().isdisjoint(REPLICATES):
                settings = frozenset(without_replicates(job.varied).items()), job.data_digest
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
        for group in self._open.values():
            # Of the others it is the next start that says so.
            if time.monotonic() < until:
                with suppress(StoreError):
                    group.kill()

    def begin(self, positions: Sequence[int]) -> dict[int, str]:
        """Create or reopen the groups of the jobs that are to be run, given by their positions.

        Return the group's run for each job that has one, by position in the plan.
        """
        for position in positions:
            if position in self._key_of:
                self._awaited[self._key_of[position]].add(position)
        for key in dict.fromkeys(self._key_of[p] for p in positions if p in self._key_of):
            self._begin(key)
        return {p: self._recorded[key] for p, key in self._key_of.items() if key in self._recorded}

    def restore(self, outcomes: Mapping[int, Outcome]) -> None:
        """Make the groups again that somebody has deleted, and whose jobs have all ended."""
        for key in self.lacking(outcomes):
            self._begin(key)
            self._sum_up(key, outcomes)

    def lacking(self, outcomes: Mapping[int, Outcome]) -> list[str]:
        """Return the keys of groups that the store lacks, though their jobs have ended."""
        return [
            key
            for key, members in self._members.items()
            if key not in self._recorded and all(member in outcomes for member in members)
        ]

    def _key(self, position: int) -> str:
        job = self._plan.jobs[position]
        return configuration_key(job.experiment, job.data_digest, _varied_of_split(job))

    def _begin(self, key: str) -> None:
        """Create the run of a group, or reopen it."""
        with deferred_signals():  # a run that nobody knows of could not be closed
            if key in self._recorded:
                self._open[key] = self._store.reopen_run(self._recorded[key])
            else:
                self._open[key] = self._create(key)
                self._recorded[key] = self._open[key].run_id

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

    def complete(self, position: int, outcomes: Mapping[int, Outcome]) -> None:
        """Sum up the group of a job that has just ended, if it was the last that is run of it."""
        key = self._key_of.get(position)
        if key is None or key not in self._open:
            return
        # What an earlier command began and nobody asks for now is not waited for.
        self._awaited[key].discard(position)
        if not self._awaited[key]:
            self._sum_up(key, outcomes)

    def complete_interrupted(
        self, unfinished: Iterable[str], outcomes: Mapping[int, Outcome]
    ) -> None:
        """Sum up the groups whose jobs had all ended when an earlier command was interrupted.

        Groups come by their keys, outcomes by their positions in the plan.
        """
        for key in unfinished:
            members = self._members.get(key, [])
            if members and key not in self._open and all(m in outcomes for m in members):
                self._begin(key)
                self._sum_up(key, outcomes)

    def _sum_up(self, key: str, outcomes: Mapping[int, Outcome]) -> None:
        group = self._open[key]
        ended = [outcomes[member] for member in self._members[key] if member in outcomes]
        group.log_metrics(0, _summary(ended))
        group.finish()
        del self._open[key]  # not before: what is interrupted has to be killed


def _varied_of_split(job: PlannedJob) -> list[str]:
    return [key.removeprefix("split.") for key in SPLITS if key in job.varied]


def _summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return mean, standard deviation, n and 95 % confidence interval of each final metric."""
    finished = tuple(outcome for outcome in outcomes if outcome.status == "FINISHED")
    configuration = Configuration({}, finished, ())
    numbers: dict[str, float] = {
        "n_finished": len(finished),
        "n_failed": sum(outcome.status == "FAILED" for outcome in outcomes),
    }
    for name in dict.fromkeys(name for outcome in finished for name in outcome.metrics):
        summary = configuration.summary(name)
        if summary is None:
            continue
        values = {
            "mean": summary.mean,
            "std": summary.std,
            "n": float(summary.n),
            "ci95_low": summary.low,
            "ci95_high": summary.high,
        }
        numbers |= {f"{name}/{kind}": v for kind, v in values.items() if not math.isnan(v)}
    return numbers
