"""Changes to the record of a run, behind everybody's back, and what a rerun has to say of each."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.run_files import sha256, weights_sha256
from tests.runner.cli.rerunning import artifacts, execute
from tests.runner.cli.sweeping import Recorded
from tests.runner.conftest import Command

WAS_CHANGED = "was changed after the run (its digest differs from the recorded one)"


@dataclass(frozen=True)
class Job:
    """A job whose record is changed."""

    store: Command
    run: Recorded

    def file(self, name: str) -> Path:
        return artifacts(self.store, self.run) / name

    def replace(self, name: str, old: str, new: str) -> None:
        text = self.file(name).read_text(encoding="utf-8")
        assert old in text
        self.file(name).write_text(text.replace(old, new), encoding="utf-8")

    def set(self, table: str, key: str, value: object, step: int | None = None) -> None:
        at = "" if step is None else f" AND step = {step}"
        statement = f"UPDATE {table} SET value = ? WHERE run_uuid = ? AND key = ?{at}"  # noqa: S608  (our own words)
        assert execute(self.store, statement, value, self.run.run_id, key) == 1

    def match_digests(self, *names: str) -> None:
        """Let the recorded digests be those of the changed files."""
        digests = json.loads(self.run.tags["runner.files_sha256"])
        digests |= {name: sha256(self.file(name).read_bytes()) for name in names}
        self.set("tags", "runner.files_sha256", json.dumps(digests))


Phrases = list[str]
CHANGES: dict[str, tuple[int, Callable[[Job], Phrases]]] = {}


def change(exit_code: int) -> Callable[[Callable[[Job], Phrases]], Callable[[Job], Phrases]]:
    """Add a change, which returns what the command has to say, to the table."""

    def add(function: Callable[[Job], Phrases]) -> Callable[[Job], Phrases]:
        CHANGES[function.__name__.replace("_", " ")] = exit_code, function
        return function

    return add


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


@change(2)
def the_config(job: Job) -> Phrases:
    job.replace("config.yaml", "learning_rate: 0.04", "learning_rate: 0.05")
    said = "optimizer.learning_rate is '0.05', and the run's params say '0.04'"
    return [f"config.yaml: was edited after the run: {said}"]


@change(2)
def the_config_and_its_digest(job: Job) -> Phrases:
    phrases = the_config(job)
    job.match_digests("config.yaml")
    return phrases


@change(2)
def the_config_its_digest_and_the_param(job: Job) -> Phrases:
    the_config_and_its_digest(job)
    job.set("params", "optimizer.learning_rate", "0.05")
    return ["runner.key: must be that of config.yaml and runner.data_digest"]


@change(5)
def the_environment(job: Job) -> Phrases:
    job.replace("environment.json", '"threads": 1', '"threads": 2')
    return [f"environment.json: {WAS_CHANGED}", "BLAS threads"]


@change(5)
def the_environment_and_its_digest(job: Job) -> Phrases:
    the_environment(job)
    job.match_digests("environment.json")
    return ["environment.json: is not the environment that the run's tags name", "BLAS threads"]


def _swap_classes(job: Job) -> None:
    settings = json.loads(job.file("model.json").read_text(encoding="utf-8"))
    settings["class_names"].reverse()
    job.file("model.json").write_text(json.dumps(settings), encoding="utf-8")


@change(5)
def the_class_names(job: Job) -> Phrases:
    _swap_classes(job)
    return [f"model.json: {WAS_CHANGED}"]


@change(5)
def the_class_names_and_their_digest(job: Job) -> Phrases:
    _swap_classes(job)
    job.match_digests("model.json")
    return ["model.json: is not what the same data and settings give"]


@change(5)
def the_tag_of_the_environment(job: Job) -> Phrases:
    job.set("tags", "runner.environment", "0" * 16)
    return ["environment.json: is not the environment that the run's tags name"]


@change(5)
def the_tag_of_the_weights(job: Job) -> Phrases:
    job.set("tags", "runner.weights_sha256", "0" * 64)
    return ["weights.npz: are not the weights that the tag runner.weights_sha256 names"]


@change(2)
def the_tag_of_the_data(job: Job) -> Phrases:
    job.set("tags", "runner.data_digest", "0" * 64)
    return ["runner.key: must be that of config.yaml and runner.data_digest"]


@change(5)
def the_tag_of_the_split(job: Job) -> Phrases:
    job.set("tags", "runner.split_digest", "0" * 64)
    return ["CLOSE", "split digest", "0" * 16]


@change(5)
def the_end(job: Job) -> Phrases:
    statement = "UPDATE runs SET status = 'FAILED' WHERE run_uuid = ?"
    assert execute(job.store, statement, job.run.run_id) == 1
    return ["the end was changed after the run", "and is 'FINISHED'"]
