"""Changes to what a run left, and to how it ended, and what a rerun has to say of each."""

import math
import shutil
from collections.abc import Callable

import numpy as np

from runner.training.run_files import weights_sha256
from tests.runner.cli.rerunning import execute
from tests.runner.cli.tampering import WAS_CHANGED, Changes, Job, Phrases, adding_to

RESULTS: Changes = {}
change = adding_to(RESULTS)


def _step_weight(job: Job) -> Phrases:
    with np.load(job.file("weights.npz")) as content:
        arrays = dict(content)
    weight = arrays["layers.2.weight"]
    was, weight[2, 1] = float(weight[2, 1]), np.nextafter(weight[2, 1], math.inf)
    np.savez(job.file("weights.npz"), allow_pickle=False, **arrays)
    return [f"layers.2.weight[2, 1]  {float(weight[2, 1])!r}", repr(was), "1 unit in the last"]


@change(5)
def a_weight_by_one_unit_in_the_last_place(job: Job) -> Phrases:
    return [*_step_weight(job), f"weights.npz: {WAS_CHANGED}"]


@change(5)
def a_weight_and_the_digest_of_its_file(job: Job) -> Phrases:
    phrases = _step_weight(job)
    job.match_digests("weights.npz")
    return [*phrases, "are not the weights that the tag runner.weights_sha256 names"]


@change(5)
def a_weight_and_every_digest(job: Job) -> Phrases:
    phrases = _step_weight(job)
    job.match_digests("weights.npz")
    with np.load(job.file("weights.npz")) as arrays:
        job.set("tags", "runner.weights_sha256", weights_sha256(arrays))
    return [*phrases, "Nothing that decides the bits is known to differ here."]


@change(5)
def weights_of_another_run(job: Job) -> Phrases:
    others = [path for path in job.store.store.rglob("weights.npz") if path != job.file(path.name)]
    shutil.copyfile(others[0], job.file("weights.npz"))
    return [f"weights.npz: {WAS_CHANGED}", "layers.0.weight["]


@change(2)
def weights_missing(job: Job) -> Phrases:
    job.file("weights.npz").unlink()
    return ["weights.npz: is missing"]


def _with_weights(job: Job, change_one: Callable[[np.ndarray], np.ndarray]) -> None:
    with np.load(job.file("weights.npz")) as content:
        arrays = dict(content)
    arrays["layers.2.weight"] = change_one(arrays["layers.2.weight"])
    np.savez(job.file("weights.npz"), allow_pickle=False, **arrays)
    job.match_digests("weights.npz")


@change(2)
def weights_of_another_shape(job: Job) -> Phrases:
    _with_weights(job, lambda array: np.ascontiguousarray(array.T))
    return ["weights.npz, layers.2.weight: must be float64 of shape (6, 2)", "(2, 6)"]


@change(2)
def weights_of_another_type(job: Job) -> Phrases:
    _with_weights(job, lambda array: array.astype("float32"))
    return ["weights.npz, layers.2.weight"]


def _step_metric(job: Job, table: str, name: str, step: int) -> Phrases:
    was = job.run.metrics[name, step]
    value = math.nextafter(was, math.inf)
    job.set(table, name, value, step)
    return [f"{name} at step {step}", repr(value), repr(was)]


METRICS_WERE_CHANGED = (
    "the metrics: were changed after the run (their digest differs from the recorded one)"
)


@change(5)
def a_metric(job: Job) -> Phrases:
    return [*_step_metric(job, "metrics", "val/loss", 20), METRICS_WERE_CHANGED]


@change(5)
def a_metric_as_tables_show_it(job: Job) -> Phrases:
    _, value, *_ = _step_metric(job, "latest_metrics", "val/loss", 40)
    return ["DIFFERENT", f"val/loss: tables show {value}", "is not its last value"]


@change(5)
def a_metric_deleted_at_one_step(job: Job) -> Phrases:
    statement = "DELETE FROM metrics WHERE run_uuid = ? AND key = 'val/loss' AND step = 20"
    assert execute(job.store, statement, job.run.run_id) == 1
    return ["val/loss at step 20  nothing", METRICS_WERE_CHANGED]


@change(5)
def a_metric_deleted(job: Job) -> Phrases:
    for table in ("metrics", "latest_metrics"):
        statement = f"DELETE FROM {table} WHERE run_uuid = ? AND key = 'test/loss'"  # noqa: S608  (our own words)
        assert execute(job.store, statement, job.run.run_id) == 1
    return ["test/loss at step 40  nothing", METRICS_WERE_CHANGED]


@change(5)
def a_second_value_of_a_metric(job: Job) -> Phrases:
    statement = (
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) SELECT key, "
        "0.125, timestamp - 1, run_uuid, step, is_nan FROM metrics "
        "WHERE run_uuid = ? AND key = 'val/loss' AND step = 20"
    )
    assert execute(job.store, statement, job.run.run_id) == 1
    return ["val/loss at step 20", " and ", "0.125", METRICS_WERE_CHANGED]


def _end(job: Job, status: str) -> None:
    statement = "UPDATE runs SET status = ? WHERE run_uuid = ?"
    assert execute(job.store, statement, status, job.run.run_id) == 1


@change(5)
def the_end(job: Job) -> Phrases:
    _end(job, "FAILED")
    return ["the end was changed after the run: no run ends FAILED with no reason\n"]


@change(5)
def the_end_and_its_reason(job: Job) -> Phrases:
    _end(job, "FAILED")
    _give_a_reason(job)
    return ["it is on record as FAILED ('no room'), and is FINISHED\n"]


@change(5)
def the_end_to_none_of_ours(job: Job) -> Phrases:
    _end(job, "SCHEDULED")
    return ["the end was changed after the run: no run ends SCHEDULED\n"]


def _give_a_reason(job: Job) -> None:
    statement = "INSERT INTO tags (key, value, run_uuid) VALUES ('runner.failure', 'no room', ?)"
    assert execute(job.store, statement, job.run.run_id) == 1


@change(5)
def the_reason_of_a_run_that_finished(job: Job) -> Phrases:
    _give_a_reason(job)
    return ["the end was changed after the run: no run ends FINISHED ('no room')\n"]
