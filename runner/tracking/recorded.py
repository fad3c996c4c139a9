"""What a run in MLflow says of a sweep or of a job, as outcomes and the like.

Anybody may have edited it: what makes no sense is taken as not there. It asks the store nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from runner.tracking.backend.row_checks import numbers_of, texts_of
from runner.tracking.run_writer import FAILURE
from runner.training.outcome import Outcome, Status

if TYPE_CHECKING:
    from mlflow.entities import Run

# The tag of a sweep that has all its results; it is written last of all.
SUMMED_UP = "runner.summed_up"
# The tag of a sweep of which some data could not be read: the digest of its settings, by which it
# is known again when they can be.
UNREAD = "runner.unread"
# The tag of a job's run that another one has taken the place of, with the data as they are now.
REPLACED = "runner.replaced"


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
    """A job of a sweep in a store: its key, what became of it, and what run it is listed under."""

    key: str
    outcome: Outcome
    parent: str = ""


def sweep_of(run: Run) -> RecordedSweep:
    """Read the run of a sweep."""
    tags, metrics = texts_of(run.data.tags), numbers_of(run.data.metrics)
    has_ended = tags.get(SUMMED_UP) == "true"
    return RecordedSweep(
        run_id=run.info.run_id,
        name=str(run.info.run_name or ""),
        identity=tags.get("runner.plan", ""),
        status=run.info.status,
        experiment_id=run.info.experiment_id,
        metric=tags.get("runner.metric", "val/loss"),
        n_jobs=int(_number(tags.get("runner.n_jobs"))),
        started_s=_number(run.info.start_time) / 1000,
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


def outcome_of(run: Run) -> Outcome:
    """Read the run of a job."""
    started_ms = _number(run.info.start_time)
    ended_ms = _number(run.info.end_time) or started_ms
    status, tags = run.info.status, texts_of(run.data.tags)
    return Outcome(
        name=str(run.info.run_name or ""),
        run_id=run.info.run_id,
        # A run that is still RUNNING has no outcome yet, and may never have one.
        status=cast("Status", status) if status in {"FINISHED", "FAILED"} else "KILLED",
        varied=varied_of(tags),
        metrics=final_metrics(numbers_of(run.data.metrics)),
        failure=tags.get(FAILURE),
        duration_s=(ended_ms - started_ms) / 1000,
    )


def varied_of(tags: Mapping[str, str]) -> dict[str, str]:
    """Read the overrides by which a run differed from others; none from what anybody scribbled."""
    try:
        varied = json.loads(tags.get("runner.varied", "{}"))
        json.dumps(varied, ensure_ascii=False).encode()  # halves of characters cannot be printed
    except (ValueError, RecursionError):
        varied = None
    is_sound = isinstance(varied, dict) and all(isinstance(v, str) for v in varied.values())
    return dict(varied) if is_sound else {}


def final_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics of the weights that were kept: with early stopping the best ones."""
    final = dict(metrics)
    for name, value in metrics.items():
        if name.startswith("best/") and name != "best/step":
            final[name.removeprefix("best/")] = value
    return final
