"""Runs that match, however many: page after page, from a store that is not believed to end.

Knows MLflow's search, not what is looked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from runner.tracking.backend.row_checks import in_record

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_A_PAGE = 1000


def matching_runs(
    client: MlflowClient,
    uri: str,
    experiment_ids: Sequence[str],
    wanted: str,
    *,
    order: str,
    place: str = "a run of the store",
) -> Iterator[Run]:
    """Go through the runs that match.

    Parameters
    ----------
    client : MlflowClient
        Connected to the store.
    uri : str
        The store, for messages.
    experiment_ids : sequence of str
        The experiments to look in.
    wanted : str
        MLflow's filter.
    order : "ASC" or "DESC"
        By their start.
    place : str
        Any of them, as messages name it.

    Raises
    ------
    RecordError
        If MLflow can make nothing of the row of one.
    StoreError
        If the store fails.
    """
    seen: set[str] = set()
    token: str | None = None
    while True:
        with in_record(place, uri):
            page = client.search_runs(
                list(experiment_ids),
                wanted,
                max_results=_A_PAGE,
                order_by=[f"attributes.start_time {order}"],
                page_token=token,
            )
        yield from page
        # A page with nothing new would be followed by others without an end.
        n_before = len(seen)
        seen.update(str(run.info.run_id) for run in page)
        token = page.token if len(seen) > n_before else None
        if not token:
            return
