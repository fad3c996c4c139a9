"""Sweeps as they stand in a store: found by what they run, and read back as outcomes.

Everything comes from MLflow, so that a sweep can be continued and shown wherever its store is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from runner.system.errors import RecordError
from runner.tracking.backend import client as library
from runner.tracking.backend.liveness import is_gone
from runner.tracking.backend.row_checks import metric_of, texts_of
from runner.tracking.recorded import (
    REPLACED,
    UNREAD,
    RecordedJob,
    RecordedSweep,
    outcome_of,
    sweep_of,
)
from runner.tracking.run_writer import close_unclosed
from runner.tracking.searching import matching_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


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
        return [sweep_of(run) for run in self._search(ids, "tags.`runner.kind` = 'sweep'")]

    def newest_of(self, experiment_id: str, identity: str) -> RecordedSweep | None:
        """Return the latest sweep of an identity, if there is one.

        Raises
        ------
        StoreError
            If the store fails.
        """
        wanted = f"tags.`runner.kind` = 'sweep' and tags.`runner.plan` = '{identity}'"
        return next((sweep_of(run) for run in self._search([experiment_id], wanted)), None)

    def newest_unread(self, experiment_id: str, settings: str) -> RecordedSweep | None:
        """Return the latest sweep with these settings of which some data could not be read.

        Raises
        ------
        StoreError
            If the store fails.
        """
        wanted = f"tags.`runner.kind` = 'sweep' and tags.`{UNREAD}` = '{settings}'"
        return next((sweep_of(run) for run in self._search([experiment_id], wanted)), None)

    def jobs_of(self, sweep: RecordedSweep) -> list[RecordedJob]:
        """Return the jobs of a sweep that have a run; of those that ran twice the later one.

        A run that ended well stands whatever came after it; one whose data were others than those
        of the sweep are now is no job of it any more.

        Raises
        ------
        StoreError
            If the store fails.
        """
        wanted = f"tags.`runner.kind` = 'run' and tags.`runner.sweep` = '{sweep.run_id}'"
        found: dict[str, RecordedJob] = {}
        for run in self._search([sweep.experiment_id], wanted):
            if REPLACED in run.data.tags:
                continue
            tags = texts_of(run.data.tags)
            key = tags.get("runner.key", run.info.run_id)
            known = found.get(key)
            if known is None or (
                known.outcome.status != "FINISHED" and run.info.status == "FINISHED"
            ):
                found[key] = RecordedJob(key, outcome_of(run), tags.get("mlflow.parentRunId", ""))
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
        return {texts_of(run.data.tags).get("runner.key", ""): run.info.run_id for run in runs}

    def close_running(self, sweep: RecordedSweep) -> None:
        """Mark KILLED what dead processes of this machine left RUNNING of a sweep.

        Raises
        ------
        StoreError
            If the store fails.
        """
        wanted = f"attributes.status = 'RUNNING' and tags.`runner.sweep` = '{sweep.run_id}'"
        for run in list(self._search([sweep.experiment_id], wanted)):
            if not is_gone(texts_of(run.data.tags).get("runner.process", "")):
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

    def list_under(self, run_id: str, parent_run_id: str) -> None:
        """List a run under another one, such as a group that it has got since.

        Raises
        ------
        StoreError
            If the store fails.
        """
        with library.in_words(self._place):
            self._client.set_tag(run_id, "mlflow.parentRunId", parent_run_id)

    def mark_replaced(self, run_id: str) -> None:
        """Take a run out of its sweep, in which another one has its place.

        Raises
        ------
        StoreError
            If the store fails.
        """
        with library.in_words(self._place):
            self._client.set_tag(run_id, REPLACED, "true")

    def history(self, run_id: str, metric: str) -> list[tuple[int, float]]:
        """Return the values of a metric by step.

        Raises
        ------
        StoreError
            If the store fails.
        """
        with library.in_words(self._place):
            found = self._client.get_metric_history(run_id, metric)
        told: dict[int, float] = {}
        for entry in found:
            with suppress(RecordError):  # what is no number is not drawn
                _, step, value = metric_of(metric, entry.step, entry.value)
                told[step] = value
        return sorted(told.items())

    def _search(self, experiment_ids: Sequence[str], wanted: str) -> Iterator[Run]:
        """Go through the runs that match, the newest first.

        Raises
        ------
        RecordError
            If MLflow can make nothing of the row of one.
        StoreError
            If the store fails.
        """
        return matching_runs(self._client, self._place, experiment_ids, wanted, order="DESC")
