"""Records in a store that were edited after the run: each edit is named, and decides the exit code.

Every job of one sweep is edited in a way of its own, and repeated by its id.
"""
# ruff: noqa: S608  (statements of our own words)

import json
import math
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import connect

import numpy as np
import pytest

from runner.cli.main import carry_out
from runner.system.errors import RunnerError
from runner.training.run_files import RECORD, record_digests, sha256
from tests.runner.cli.rerunning import artifacts, execute, sweep
from tests.runner.cli.sweeping import Recorded
from tests.runner.conftest import Command

Says = tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """A job whose record is edited behind the store's back."""

    command: Command
    run: Recorded

    def file(self, name: str) -> Path:
        return artifacts(self.command, self.run) / name

    def sql(self, statement: str, *values: object) -> None:
        """Change one row; the last `?` of the statement is the run's id."""
        assert execute(self.command, statement, *values, self.run.run_id) == 1

    def set(self, table: str, key: str, value: object, more: str = "") -> None:
        statement = f"UPDATE {table} SET value = ? WHERE key = '{key}'{more} AND run_uuid = ?"
        self.sql(statement, value)

    def match(self) -> None:
        """Let the digests on record be those of what is there now."""
        with closing(connect(self.command.store / "mlflow.db")) as store:

            def rows(columns: str, table: str) -> list[tuple[str, ...]]:
                query = f"SELECT {columns} FROM {table} WHERE run_uuid = ?"
                return store.execute(query, (self.run.run_id,)).fetchall()

            tags = dict(rows("key, value", "tags"))
            metrics = {
                (key, step): (value,) for key, step, value in rows("key, step, value", "metrics")
            }
            ((status,),) = rows("status", "runs")
        files = {path.name: sha256(path.read_bytes()) for path in self.file("").iterdir()}
        failure = tags.get("runner.failure") if status == "FAILED" else None
        self.set("tags", RECORD, record_digests(files | tags, metrics, failure))


Edit = Callable[[Job], Says]


def edited(part: str) -> str:
    return f"{part}: was edited since it was recorded"


def text(name: str, old: str, new: str, *says: str) -> Edit:
    """Replace text in a file."""

    def edit(job: Job) -> Says:
        content = job.file(name).read_text(encoding="utf-8")
        assert old in content
        job.file(name).write_text(content.replace(old, new), encoding="utf-8")
        return says

    return edit


def row(table: str, key: str, value: object, *says: str, more: str = "") -> Edit:
    """Replace a value in a table of the store."""

    def edit(job: Job) -> Says:
        job.set(table, key, value, more)
        return says

    return edit


def sql(statement: str, *says: str) -> Edit:
    def edit(job: Job) -> Says:
        job.sql(f"{statement} run_uuid = ?")
        return says

    return edit


def missing(name: str, *says: str) -> Edit:
    def edit(job: Job) -> Says:
        job.file(name).unlink()
        return says

    return edit


def both(first: Edit, second: Edit) -> Edit:
    return lambda job: (*first(job), *second(job))


def matched(first: Edit, *says: str) -> Edit:
    """Edit, and let the digests fit again."""

    def edit(job: Job) -> Says:
        phrases = first(job)
        job.match()
        return *phrases, *says

    return edit


def weights(change: Callable[[np.ndarray], np.ndarray], *says: str) -> Edit:
    """Replace the weights of the last layer."""

    def edit(job: Job) -> Says:
        with np.load(job.file("weights.npz")) as content:
            arrays = dict(content)
        arrays["layers.2.weight"] = change(arrays["layers.2.weight"])
        np.savez(job.file("weights.npz"), allow_pickle=False, **arrays)
        return says

    return edit


def one_unit(job: Job) -> Says:
    """Change a weight by one unit in the last place."""
    values: list[float] = []

    def step(array: np.ndarray) -> np.ndarray:
        values.append(float(array[2, 1]))
        array[2, 1] = np.nextafter(array[2, 1], math.inf)
        values.append(float(array[2, 1]))
        return array

    weights(step)(job)
    return f"layers.2.weight[2, 1]  {values[1]!r}", repr(values[0]), "1 unit in the last"


def weights_of_another_run(job: Job) -> Says:
    paths = sorted(job.command.store.rglob("weights.npz"))
    other = next(path for path in paths if path != job.file("weights.npz"))
    shutil.copyfile(other, job.file("weights.npz"))
    return edited("weights"), "layers.0.weight["


def metric(table: str, step: int) -> Edit:
    def edit(job: Job) -> Says:
        was = job.run.metrics["val/loss", step]
        value = math.nextafter(was, math.inf)
        job.set(table, "val/loss", value, f" AND step = {step}")
        return f"val/loss at step {step}", repr(value), repr(was), edited("metrics")

    return edit


def swap_classes(job: Job) -> Says:
    settings = json.loads(job.file("model.json").read_text(encoding="utf-8"))
    settings["class_names"].reverse()
    job.file("model.json").write_text(json.dumps(settings), encoding="utf-8")
    return ()


LOSS_AT_20 = "key = 'val/loss' AND step = 20 AND"
MORE = "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) SELECT {}, 0.125, {}, "
MORE += f"run_uuid, step, is_nan FROM metrics WHERE {LOSS_AT_20}"
FAILED = sql("UPDATE runs SET status = 'FAILED' WHERE")
REASON = sql(
    "INSERT INTO tags (key, value, run_uuid) SELECT 'runner.failure', 'no room', run_uuid "
    "FROM runs WHERE"
)
RATE = ('"learning_rate": 0.04', '"learning_rate": 0.05')

# By what is edited: how the command ends, and the edit, which returns what the command must say.
EDITS: dict[str, tuple[int, Edit]] = {
    "config": (2, text("config.json", *RATE, edited("config"))),
    "config to no JSON": (2, text("config.json", "{", "[", edited("config"))),
    "config for people": (2, text("config.yaml", "rate: 0.04", "rate: 0.05", edited("config"))),
    "config and digests": (5, matched(text("config.json", *RATE, edited("params")))),
    "config missing": (2, missing("config.json", "config.json: is missing")),
    "key": (2, row("tags", "runner.key", "0" * 64, edited("config"))),
    "schema": (2, row("tags", "runner.schema", "7", "another version of this program recorded")),
    "param": (5, row("params", "optimizer.learning_rate", "0.05", edited("params"))),
    "param deleted": (
        5,
        sql("DELETE FROM params WHERE key = 'optimizer.momentum' AND", edited("params")),
    ),
    "data digest": (2, row("tags", "runner.data_digest", "0" * 64, edited("data"))),
    "split digest": (2, row("tags", "runner.split_digest", "0" * 64, edited("data"))),
    "split digest deleted": (
        2,
        sql("DELETE FROM tags WHERE key = 'runner.split_digest' AND", edited("data")),
    ),
    "split digest and digests": (
        5,
        matched(row("tags", "runner.split_digest", "0" * 64), f"split digest  {'0' * 16}"),
    ),
    "digests": (2, row("tags", RECORD, "{}", edited(RECORD))),
    "digests deleted": (2, sql(f"DELETE FROM tags WHERE key = '{RECORD}' AND", edited(RECORD))),
    "weight": (5, lambda job: (*one_unit(job), edited("weights"))),
    "weight and digests": (5, matched(one_unit, "Nothing that decides the bits is known")),
    "weights of another run": (5, weights_of_another_run),
    "weights missing": (2, missing("weights.npz", "weights.npz: is missing")),
    "weights of another shape": (
        2,
        weights(lambda array: array.T.copy(), "layers.2.weight: must be float64 of shape (6, 2)"),
    ),
    "digest of the weights": (
        5,
        row("tags", "runner.weights_sha256", "0" * 64, edited("weights")),
    ),
    "metric": (5, metric("metrics", 20)),
    "metric as tables show it": (5, metric("latest_metrics", 40)),
    "metric deleted at one step": (
        5,
        sql(f"DELETE FROM metrics WHERE {LOSS_AT_20}", "step 20  nothing", edited("metrics")),
    ),
    "metric with a second value": (
        5,
        sql(MORE.format("key", "timestamp - 1"), " and ", "0.125", edited("metrics")),
    ),
    "metric that no table shows": (
        5,
        sql(MORE.format("'val/more'", "timestamp"), "val/more at step 20", edited("metrics")),
    ),
    "metric to bytes": (
        2,
        row("metrics", "val/loss", b"\0\x11", "must be a number, got b'\\x00\\x11'",
            more=" AND step = 20"),
    ),
    "step to a word": (
        2,
        sql(f"UPDATE metrics SET step = 'x' WHERE {LOSS_AT_20}", "whole numbers, got 'x'"),
    ),
    "class names": (5, lambda job: (*swap_classes(job), edited("model"))),
    "class names and digests": (5, matched(swap_classes, "is not what the same data and settings")),
    "model missing": (5, missing("model.json", "model.json: is missing")),
    "environment": (
        5,
        text("environment.json", '"threads": 1', '"threads": 2', edited("environment"),
             "BLAS threads"),
    ),
    "environment missing": (
        5,
        missing("environment.json", "environment.json: is missing", "environment   not on record"),
    ),
    "digest of the environment": (
        5,
        row("tags", "runner.environment", "0" * 16, edited("environment")),
    ),
    "digest of the code": (5, row("tags", "runner.code", "0" * 16, edited("environment"))),
    "end": (5, both(FAILED, lambda _: (edited("ending"),))),
    "end to none of ours": (
        5,
        sql("UPDATE runs SET status = 'SCHEDULED' WHERE", edited("ending")),
    ),
    "reason of a run that finished": (5, both(REASON, lambda _: (edited("ending"),))),
    "end, reason and digests": (
        5,
        matched(both(FAILED, REASON), "ending: is FAILED ('no room') on record, and FINISHED here"),
    ),
    "tag to bytes": (2, row("tags", "runner.key", b"\xfe\0", "runner.key: must be text, got b'")),
}  # fmt: skip
SWEEP = [
    *("data=moons", "split=shuffled", "model.hidden_layer_sizes=[6]", "training.steps=40"),
    *("training.evaluate_every=20", "optimizer.learning_rate=0.04", "sweep.n_workers=1"),
]


@dataclass(frozen=True)
class Tampered:
    """A sweep whose jobs were edited, but for the last two."""

    command: Command
    parent: Recorded
    jobs: dict[str, Recorded]
    phrases: dict[str, Says]


@pytest.fixture(scope="module")
def tampered(shared: Command) -> Tampered:
    parent, jobs = sweep(shared, *SWEEP, f"seed=range(0,{len(EDITS) + 2})")
    by_name = dict(zip([*EDITS, "nothing", "nothing else"], jobs, strict=True))
    phrases = {name: edit(Job(shared, by_name[name])) for name, (_, edit) in EDITS.items()}
    return Tampered(shared, parent, by_name, phrases)


@pytest.fixture
def rerun(
    tampered: Tampered, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Repeat a job; return the exit code, and what was said."""
    monkeypatch.setenv("COLUMNS", "250")
    uri = f"sqlite:///{tampered.command.store}/mlflow.db"

    def repeat(name: str, *arguments: str) -> tuple[int, str]:
        words = ["rerun", tampered.jobs[name].run_id, "--check", "--uri", uri, *arguments]
        try:
            return carry_out(words), capsys.readouterr().out
        except RunnerError as error:
            return error.exit_code, str(error)

    return repeat


Rerun = Callable[..., tuple[int, str]]


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_named(name: str, tampered: Tampered, rerun: Rerun):
    exit_code, said = rerun(name)
    assert exit_code == EDITS[name][0], said
    assert "  IDENTICAL\n" not in said
    for phrase in tampered.phrases[name]:
        assert phrase in said


def test_what_nobody_edited_is_identical(rerun: Rerun):
    exit_code, said = rerun("nothing")
    assert (exit_code, "IDENTICAL" in said) == (0, True)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *(("param", "params"), ("weight", "weights"), ("end", "ending"), ("class names", "model")),
        *(("metric", "metrics"), ("metric as tables show it", "metrics")),
        *(("environment", "environment"), ("digest of the code", "environment")),
        *(("config", "config"), ("data digest", "data")),
    ],
)
def test_nothing_is_predicted_from_an_edited_record(name: str, part: str, tampered: Tampered):
    (tampered.command.folder / "rows.csv").write_text("feature_1,feature_2\n0.5,0.5\n")
    run_id = tampered.jobs[name].run_id
    ended = tampered.command("predict", run_id, "rows.csv")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"run {run_id}: {edited(part)}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["weight", "metric", "metric deleted at one step", "end"])
def test_no_tolerance_admits_an_edited_record(name: str, rerun: Rerun):
    exit_code, said = rerun(name, "--tolerance", "1e9")
    assert (exit_code, "DIFFERENT" in said) == (5, True)


def test_tolerance_admits_what_may_have_come_out_so(rerun: Rerun):
    """One unit in the last place, with no digest that speaks against it."""
    exit_code, said = rerun("weight and digests", "--tolerance", "1e-9")
    assert (exit_code, "DIFFERENT" in said) == (0, True)


def test_rerun_of_the_sweep_tells_them_apart(tampered: Tampered):
    ended = tampered.command("rerun", tampered.parent.run_id, "--check", COLUMNS="250")
    assert ended.returncode == 5, ended.stderr
    codes = [exit_code for exit_code, _ in EDITS.values()]
    summary = f"2 of {len(tampered.jobs)} identical, "
    assert summary in ended.stdout
    assert f"{codes.count(2)} not comparable" in ended.stdout
    # Environments that are not those of their tags are looked at too.
    assert "environment   not on record" in ended.stdout
    assert "BLAS threads  2 " in ended.stdout
