"""What stands above the jobs of a rerun: a run of its own, where it repeats those of a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from runner.jobs.events import Ended
from runner.jobs.plan import Plan
from runner.jobs.rerun.comparison import Verdict
from runner.jobs.rerun.request import RerunRequest
from runner.jobs.rerun.verify import links_to
from runner.jobs.sweep.parent_runs import Parent, end, recorded
from runner.system.errors import StoreLost
from runner.system.signals import deferred_signals
from runner.tracking import count_tags
from runner.tracking.records.mlflow_record import StoredRun, restore_weights, stored_run
from runner.training.run_files import WEIGHTS

if TYPE_CHECKING:
    from runner.tracking import Store

# The tag of an original for each of its reruns ends in the rerun's id, and holds the verdict: no
# two reruns at once write to the same place.
_RERUN = "runner.rerun."


class Rerun(Parent):
    """A rerun, of one run or of the jobs of a sweep: nothing is done beforehand."""

    def __init__(self, store: Store | None, plan: Plan, asked: RerunRequest) -> None:
        super().__init__(plan)
        self._store, self._asked = store, asked

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have the run of a repeated sweep open while its jobs are run."""
        store, original = self._store, self._asked.parent
        if store is None or not isinstance(original, StoredRun):
            yield
            return
        origin = original.store.address.shown if self._asked.is_elsewhere else ""
        tags = links_to(original.run_id, store.experiment_id, origin) | {"runner.kind": "rerun"}
        with recorded(store, lambda: store.start_run(original.name, {}, tags), dict) as run:
            self.run_id = run.run_id
            yield
            run.set_tags(count_tags(self._counts()))
            # One that diverged as its original did has not failed to repeat it.
            n_failed = sum(
                outcome.status in ("FAILED", "KILLED") and position not in self.comparisons
                for position, outcome in self.outcomes.items()
            )
            end(store, run, n_failed, self._n_jobs)
            if not self._asked.is_elsewhere:
                store.set_tags(original.run_id, {f"{_RERUN}{run.run_id}": self._summary()})

    def take(self, event: Ended) -> None:
        """Take note of a job that has ended, and let its original name it."""
        with deferred_signals():  # what is reported has its link, and the other way round
            super().take(event)
            outcome, comparison = event.outcome, event.comparison
            if self._store is None or outcome is None or not outcome.run_id:
                return
            if self._asked.is_elsewhere:
                return
            broke_off = "broke off" if self._asked.compares else "with other settings"
            verdict = str(comparison.verdict) if comparison else broke_off
            original_id = self._asked.originals[event.position].source.run_id
            with suppress(StoreLost):
                self._store.set_tags(original_id, {f"{_RERUN}{outcome.run_id}": verdict})
            original = self._asked.originals[event.position]
            if original.is_cleaned and comparison and comparison.verdict is Verdict.IDENTICAL:
                content = stored_run(self._store, outcome.run_id).read(WEIGHTS)
                restore_weights(stored_run(self._store, original.run_id), content)

    def _counts(self) -> dict[str, int]:
        """Return how many jobs have each verdict."""
        verdicts = [comparison.verdict for comparison in self.comparisons.values()]
        verdicts += [Verdict.CANNOT_COMPARE] * len(self._asked.unfit)
        return {f"n_{v.name.lower()}": verdicts.count(v) for v in Verdict}

    @property
    def _n_jobs(self) -> int:
        """How many jobs were to be repeated."""
        return len(self.plan.jobs) + len(self._asked.unfit)

    def _summary(self) -> str:
        """Say in a few words what came of it, as a tag of the original."""
        if not self._asked.compares:
            return "with other settings"
        return f"{self._counts()['n_identical']:,} of {self._n_jobs:,} identical"
