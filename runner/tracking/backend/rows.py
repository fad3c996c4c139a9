"""Runs and metrics that anybody may have written: a bounded number of them, their types checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeGuard

from runner.system.errors import RecordError, shorten
from runner.system.text import elide
from runner.tracking.backend.client import store_errors, store_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Metric, Run

# A server can always say that there is one more page: this is for a million runs of a sweep, or
# 25 million values of a metric.
MAX_PAGES = 1000
_RUNS_PER_PAGE, _VALUES_PER_PAGE = 1000, 25_000


@contextmanager
def in_record(label: str, uri: str) -> Iterator[None]:
    """Turn what MLflow raises about a row that it cannot read into a `RecordError`.

    `label` names the run in the message; other failures of the store become a `StoreError`.
    """
    with store_errors(uri):
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            # INTERNAL_ERROR is MLflow's word for what fails after the database has answered.
            is_of_a_row = error.error_code == "INTERNAL_ERROR" or (
                "Could not decode to UTF-8" in str(error)
            )
            if uri.startswith("http") or not is_of_a_row:
                raise
            reason = str(error).strip().partition("\n")[0]
            raise RecordError(f"{label}: is no sound record: {elide(reason, 100)}.") from None


def _pages(fetch: Callable[[str | None], Any], what: str) -> Iterator[Any]:
    """Iterate over the pages that MLflow returns, given the token of each."""
    token: str | None = None
    for _ in range(MAX_PAGES):
        page = fetch(token)
        yield page
        token = page.token
        if not token:
            return
    raise RecordError(f"{what}: must come on at most {MAX_PAGES:,} pages, got more.")


def experiments_of(client: MlflowClient) -> list[Experiment]:
    """Return all experiments of a store that are not deleted; MLflow's call returns a page."""
    pages = _pages(lambda token: client.search_experiments(page_token=token), "experiments")
    return [experiment for page in pages for experiment in page]


def matching_runs(
    client: MlflowClient,
    uri: str,
    experiment_ids: Sequence[str],
    query: str,
    *,
    order: str = "DESC",
    label: str = "a run of the store",
) -> Iterator[Run]:
    """Iterate over the runs of some experiments that match a query of MLflow.

    They come by their start, the newest first or, with the order ``ASC``, last. `uri` and `label`
    name the store and any of the runs in messages.

    Raises
    ------
    RecordError
        If MLflow cannot read the row of one, or there are too many.
    """

    def fetch(token: str | None) -> Any:  # noqa: ANN401  (MLflow's list has no annotation)
        by_start = [f"attributes.start_time {order}"]
        with in_record(label, uri):
            return client.search_runs(
                list(experiment_ids), query, 1, _RUNS_PER_PAGE, by_start, token
            )

    for page in _pages(fetch, "runs"):
        yield from page


def metric_history(client: MlflowClient, run_id: str, metric: str) -> Iterator[Metric]:
    """Iterate over the values of a metric; MLflow's own call follows a server's pages forever."""
    store = store_of(client)
    for page in _pages(
        lambda token: store.get_metric_history(run_id, metric, _VALUES_PER_PAGE, token),
        f"metrics, {shorten(metric)}",
    ):
        yield from page


def metric_names(client: MlflowClient, run_id: str) -> list[str]:
    """Return the metrics of which a database has any value; none of a server, which tells less."""
    from mlflow.store.tracking.dbmodels.models import SqlMetric

    store = store_of(client)
    if not hasattr(store, "ManagedSessionMaker"):
        return []
    with store.ManagedSessionMaker() as session:
        rows = session.query(SqlMetric.key).filter_by(run_uuid=run_id).distinct()
        return [key for (key,) in rows]


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
