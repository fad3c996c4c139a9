"""Sweeps as they stand in a store: found by what they run, and read back as outcomes.

Everything comes from MLflow, so that a sweep can be continued and shown wherever its store is.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray

from runner.checkpoint import read_arrays
from runner.outcome import Outcome, Status
from runner.tracking import library
from runner.tracking.processes import is_gone
from runner.tracking.runs import FAILURE, close_unclosed

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_A_PAGE = 1000
# The tag of a sweep that has all its results; it is written last of all.
SUMMED_UP = "runner.summed_up"


@dataclass(frozen=True)
class RecordedSweep:
    """A sweep in a store.

    Parameters
    ----------
    run_id, name : str
        Of its parent run.
    identity : str
        By which the same sweep is known again.
    status : str
        As MLflow has it: RUNNING, FINISHED, FAILED or KILLED.
    experiment_id : str
        Where it is.
    metric : str
        By which its jobs are ranked.
    n_jobs : int
        Jobs of its plan.
    started_s : float
        When it was begun, in seconds since 1970.
    duration_s : float
        Seconds that commands have spent on it.
    n_finished, n_failed : int or None
        Jobs by their ends; None of a sweep that has not been summed up.
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


@dataclass(frozen=True)
class RecordedJob:
    """A job of a sweep in a store: its key, and what became of it."""

    key: str
    outcome: Outcome


class Sweeps:
    """The sweeps of a store.

    Parameters
    ----------
    client : MlflowClient
        Connected to the store.
    place : str
        The store, as error messages name it.
    """

    def __init__(self, client: MlflowClient, place: str) -> None:
        self._client = client
        self._place = place

    def all(self, experiment_ids: Sequence[str] | None = None) -> list[RecordedSweep]:
        """Return the sweeps of some experiments, or of all of them; the newest first.

        Raises
        ------
        StoreError
            If the store fails.
        """
        with library.in_words(self._place):
            ids = experiment_ids or [e.experiment_id for e in self._client.search_experiments()]
        return [_sweep(run) for run in self._search(ids, "tags.`runner.kind` = 'sweep'")]

    def newest_of(self, experiment_id: str, identity: str) -> RecordedSweep | None:
        """Return the latest sweep of an identity, if there is one.

        Raises
        ------
        StoreError
            If the store fails.
        """
        wanted = f"tags.`runner.kind` = 'sweep' and tags.`runner.plan` = '{identity}'"
        return next((_sweep(run) for run in self._search([experiment_id], wanted)), None)

    def jobs_of(self, sweep: RecordedSweep) -> list[RecordedJob]:
        """Return the jobs of a sweep that have a run; of those that ran twice the later one.

        A run that ended well stands whatever came after it.

        Raises
        ------
        StoreError
            If the store fails.
        """
        wanted = f"tags.`runner.kind` = 'run' and tags.`runner.sweep` = '{sweep.run_id}'"
        found: dict[str, RecordedJob] = {}
        for run in self._search([sweep.experiment_id], wanted):
            key = run.data.tags.get("runner.key", run.info.run_id)
            known = found.get(key)
            if known is None or (
                known.outcome.status != "FINISHED" and run.info.status == "FINISHED"
            ):
                found[key] = RecordedJob(key, _outcome(run))
        return list(found.values())[::-1]

    def groups_of(self, sweep: RecordedSweep, *, unfinished: bool = False) -> dict[str, str]:
        """Return the ids of a sweep's group runs by their keys.

        Parameters
        ----------
        sweep : RecordedSweep
            Whose they are.
        unfinished : bool
            Whether to leave out those that are FINISHED.

        Raises
        ------
        StoreError
            If the store fails.
        """
        wanted = f"tags.`runner.kind` = 'group' and tags.`runner.sweep` = '{sweep.run_id}'"
        if unfinished:
            wanted += " and attributes.status != 'FINISHED'"
        runs = self._search([sweep.experiment_id], wanted)
        return {run.data.tags.get("runner.key", ""): run.info.run_id for run in runs}

    def close_running(self, sweep: RecordedSweep) -> None:
        """Mark KILLED what dead processes of this machine left RUNNING of a sweep.

        Raises
        ------
        StoreError
            If the store fails.
        """
        wanted = f"attributes.status = 'RUNNING' and tags.`runner.sweep` = '{sweep.run_id}'"
        for run in list(self._search([sweep.experiment_id], wanted)):
            if not is_gone(run.data.tags.get("runner.process", "")):
                continue
            with library.in_words(self._place):
                close_unclosed(self._client, run.info.run_id)

    def rename(self, run_id: str, name: str, varied: Mapping[str, str]) -> None:
        """Say of a run of an earlier command what the present one says of its job.

        Raises
        ------
        StoreError
            If the store fails.
        """
        with library.in_words(self._place):
            self._client.update_run(run_id, name=name)
            self._client.set_tag(run_id, "runner.varied", json.dumps(dict(varied)))

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """Return the values of a metric by step.

        Raises
        ------
        StoreError
            If the store fails.
        """
        with library.in_words(self._place):
            found = self._client.get_metric_history(run_id, metric)
        return sorted({entry.step: float(entry.value) for entry in found}.items())

    def weights(self, run_id: str) -> dict[str, NDArray[Any]]:
        """Return the parameters that a run left.

        Raises
        ------
        StoreError
            If the store fails, or the file is damaged.
        """
        with tempfile.TemporaryDirectory(prefix="runner-") as scratch:
            with library.in_words(self._place):
                file = self._client.download_artifacts(run_id, "weights.npz", scratch)
            return read_arrays(Path(file))

    def _search(self, experiment_ids: Sequence[str], wanted: str) -> Iterator[Run]:
        """Go through the runs that match, the newest first."""
        token: str | None = None
        while True:
            with library.in_words(self._place):
                page = self._client.search_runs(
                    list(experiment_ids),
                    wanted,
                    max_results=_A_PAGE,
                    order_by=["attributes.start_time DESC"],
                    page_token=token,
                )
            yield from page
            token = page.token
            if not token:
                return


def _sweep(run: Run) -> RecordedSweep:
    tags, metrics = run.data.tags, run.data.metrics
    has_ended = tags.get(SUMMED_UP) == "true"
    return RecordedSweep(
        run_id=run.info.run_id,
        name=run.info.run_name or "",
        identity=tags.get("runner.plan", ""),
        status=run.info.status,
        experiment_id=run.info.experiment_id,
        metric=tags.get("runner.metric", "val/loss"),
        n_jobs=int(_number(tags.get("runner.n_jobs"))),
        started_s=run.info.start_time / 1000,
        duration_s=_number(tags.get("runner.duration_s")),
        n_finished=int(_number(metrics.get("n_finished"))) if has_ended else None,
        n_failed=int(_number(metrics.get("n_failed"))) if has_ended else None,
    )


def _number(value: object) -> float:
    """Read a number that anybody may have edited; 0 for what is none."""
    try:
        number = float(str(value))
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _outcome(run: Run) -> Outcome:
    ended_ms = run.info.end_time or run.info.start_time
    status = run.info.status
    return Outcome(
        name=run.info.run_name or "",
        run_id=run.info.run_id,
        # A run that is still RUNNING has no outcome yet, and may never have one.
        status=cast("Status", status) if status in {"FINISHED", "FAILED"} else "KILLED",
        varied=_varied(run.data.tags),
        metrics=_final(run.data.metrics),
        failure=run.data.tags.get(FAILURE),
        duration_s=(ended_ms - run.info.start_time) / 1000,
    )


def _varied(tags: Mapping[str, str]) -> dict[str, str]:
    try:
        varied = json.loads(tags.get("runner.varied", "{}"))
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in varied.items()} if isinstance(varied, dict) else {}


def _final(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of the weights that were kept: with early stopping the best ones."""
    final = dict(metrics)
    for name, value in metrics.items():
        if name.startswith("best/") and name != "best/step":
            final[name.removeprefix("best/")] = value
    return final
