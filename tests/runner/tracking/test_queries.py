"""Sweeps and jobs are read from a store as they were recorded, whatever was edited since."""

import math
from collections.abc import Callable
from contextlib import closing
from functools import partial
from sqlite3 import connect

import pytest

from runner.tracking import RecordedGroup, RecordedSweep, RunWriter, Store, open_store
from runner.tracking.backend import client_store

Begin = Callable[..., RunWriter]


@pytest.fixture
def begin(embedded: Store) -> Begin:
    """Begin a sweep of an identity, at a second since 1970."""

    def begin(identity: str = "abc", at_s: float = 1e9, **tags: str) -> RunWriter:
        tags = {"runner.kind": "sweep", "runner.plan": identity, **tags}
        return embedded.start_run(f"sweep of {identity}", {}, tags, None, at_s)

    return begin


def job(store: Store, sweep: RunWriter, key: str, at_s: float = 1e9, **tags: str) -> RunWriter:
    tags = {"runner.kind": "run", "runner.sweep": sweep.run_id, "runner.key": key, **tags}
    return store.start_run(f"job {key}", {}, tags, sweep.run_id, at_s)


def read(store: Store, sweep: RunWriter) -> RecordedSweep:
    (only,) = (each for each in store.sweeps.all() if each.run_id == sweep.run_id)
    return only


def edit(store: Store, *statements: str) -> None:
    """Change the database of a store behind MLflow's back."""
    assert store.address.database is not None
    with closing(connect(store.address.database)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_sweep_is_read_as_it_was_recorded(embedded: Store, begin: Begin) -> None:
    run = begin(**{"runner.metric": "test/loss", "runner.n_jobs": "7"})
    assert read(embedded, run) == RecordedSweep(
        run_id=run.run_id,
        name="sweep of abc",
        identity="abc",
        status="RUNNING",
        experiment_id=embedded.experiment_id,
        metric="test/loss",
        n_jobs=7,
        started_s=1e9,
        duration_s=0,
        n_finished=None,
        n_failed=None,
    )
    run.set_tags({"runner.duration_s": "2.5", "runner.summed_up": "true"})
    run.log_metrics(0, {"n_finished": 4, "n_failed": 2})  # as earlier versions counted
    run.set_tags({"runner.n_finished": "5"})
    run.finish()
    ended = read(embedded, run)
    assert (ended.status, ended.duration_s) == ("FINISHED", 2.5)
    assert (ended.n_finished, ended.n_failed) == (5, 2)


def test_sweeps_come_the_newest_first(embedded: Store, begin: Begin) -> None:
    for at_s, identity in ((1e9 + 5, "b"), (1e9 + 9, "a"), (1e9 + 1, "a")):
        begin(identity, at_s).finish()
    embedded.start_run("no sweep", {}, {"runner.kind": "run"}).finish()
    assert [each.identity for each in embedded.sweeps.all()] == ["a", "b", "a"]
    newest = embedded.sweeps.newest_of(embedded.experiment_id, "a")
    assert newest is not None
    assert newest.started_s == 1e9 + 9
    assert embedded.sweeps.newest_of(embedded.experiment_id, "none") is None
    other = open_store(embedded.address.uri, None, "another")
    assert other.sweeps.newest_of(other.experiment_id, "a") is None
    assert other.sweeps.all([other.experiment_id]) == []


def test_an_outcome_is_read_as_it_was_recorded(embedded: Store, begin: Begin) -> None:
    sweep = begin()
    run = job(embedded, sweep, "k", **{"runner.varied": '{"seed": "3"}'})
    run.log_metrics(1, {"val/loss": 0.1, "best/val/loss": 1 / 3, "best/step": 1.0})
    run.fail("loss is not finite", ended_s=1e9 + 2.5)
    (one,) = embedded.sweeps.jobs_of(read(embedded, sweep))
    outcome = one.outcome
    assert (one.key, one.parent) == ("k", sweep.run_id)
    assert (outcome.name, outcome.run_id, outcome.status) == ("job k", run.run_id, "FAILED")
    assert (outcome.failure, outcome.duration_s) == ("loss is not finite", 2.5)
    assert outcome.varied == {"seed": "3"}
    assert outcome.metrics == {"val/loss": 1 / 3, "best/val/loss": 1 / 3, "best/step": 1.0}


@pytest.mark.parametrize(
    ("ends", "counts"),
    [
        (("FAILED", "KILLED"), 1),
        (("KILLED", "FAILED"), 1),
        (("FINISHED", "KILLED"), 0),
        (("FAILED", "FINISHED"), 1),
    ],
)
def test_of_a_job_that_ran_twice_the_finished_or_later_run_counts(
    ends: tuple[str, str], counts: int, embedded: Store, begin: Begin
) -> None:
    sweep = begin()
    runs = [job(embedded, sweep, "k", 1e9 + number) for number in range(2)]
    for run, end in zip(runs, ends, strict=True):
        end_run = {"FINISHED": run.finish, "KILLED": run.kill, "FAILED": partial(run.fail, "bad")}
        end_run[end]()
    (one,) = embedded.sweeps.jobs_of(read(embedded, sweep))
    assert (one.outcome.run_id, one.outcome.status) == (runs[counts].run_id, ends[counts])


def test_of_two_finished_runs_of_a_job_the_earlier_is_named_and_closed(
    embedded: Store, begin: Begin
) -> None:
    sweep = begin()
    runs = [
        job(embedded, sweep, key, 1e9 + number, **{"runner.stack": "s"})
        for number, key in enumerate(("twice", "once", "twice"))
    ]
    for run in runs:
        run.finish()
    _, doubles = embedded.sweeps.jobs_and_doubles_of(read(embedded, sweep))
    assert doubles == [runs[0].run_id]
    keys = ["twice", "once"]
    ended = embedded.sweeps.settle_stack(embedded.experiment_id, sweep.run_id, "s", keys)
    assert {key: outcome.run_id for key, outcome in ended.items()} == {
        "twice": runs[2].run_id,
        "once": runs[1].run_id,
    }
    status = [embedded.client.get_run(run.run_id).info.status for run in runs]
    assert status == ["KILLED", "FINISHED", "FINISHED"]
    assert embedded.sweeps.jobs_and_doubles_of(read(embedded, sweep))[1] == []


def test_jobs_of_other_sweeps_and_deleted_ones_are_left_out(embedded: Store, begin: Begin) -> None:
    sweep, other = begin(), begin("other")
    still_running = job(embedded, sweep, "mine")
    job(embedded, other, "theirs").finish()
    deleted = job(embedded, sweep, "deleted")
    deleted.finish()
    embedded.client.delete_run(deleted.run_id)
    (one,) = embedded.sweeps.jobs_of(read(embedded, sweep))
    assert (one.key, one.outcome.status, one.outcome.duration_s) == ("mine", "KILLED", 0)
    still_running.finish()


def test_more_jobs_than_a_page_are_all_read_once(
    embedded: Store, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_store, "_RUNS_PER_PAGE", 3)
    sweep = begin()
    for number in range(10):  # jobs of a stack start at the same instant
        job(embedded, sweep, str(number)).finish()
    keys = [one.key for one in embedded.sweeps.jobs_of(read(embedded, sweep))]
    assert sorted(keys) == [str(number) for number in range(10)]


def test_groups_are_read_by_their_keys(embedded: Store, begin: Begin) -> None:
    sweep = begin()
    tags = {"runner.kind": "group", "runner.sweep": sweep.run_id, "runner.key": "0123abcd"}
    group = embedded.start_run("group", {}, tags, sweep.run_id)
    group.log_metrics(0, {"n_finished": 3, "n_failed": 1})
    group.flush()
    unfinished = {"0123abcd": RecordedGroup(group.run_id)}
    assert embedded.sweeps.groups_of(read(embedded, sweep)) == unfinished
    group.finish()
    finished = {"0123abcd": RecordedGroup(group.run_id, (3, 1))}
    assert embedded.sweeps.groups_of(read(embedded, sweep)) == finished


@pytest.mark.parametrize("varied", ["", "no JSON", "[1]", "null", '{"a": "\\ud800"}'])
def test_an_edited_tag_is_taken_as_missing(varied: str, embedded: Store, begin: Begin) -> None:
    sweep = begin()
    job(embedded, sweep, "k", **{"runner.varied": varied}).finish()
    (one,) = embedded.sweeps.jobs_of(read(embedded, sweep))
    assert one.outcome.varied == {}


@pytest.mark.parametrize("text", ["many", "nan", "inf", ""])
def test_an_edited_number_is_taken_as_zero(text: str, embedded: Store, begin: Begin) -> None:
    run = begin(**{"runner.n_jobs": text, "runner.duration_s": text})
    run.log_metrics(0, {"n_finished": math.nan})
    run.set_tags({"runner.summed_up": "true"})
    run.finish()
    sweep = read(embedded, run)
    assert (sweep.n_jobs, sweep.duration_s, sweep.n_finished, sweep.n_failed) == (0, 0, 0, 0)


def test_values_of_another_type_are_taken_as_missing(embedded: Store, begin: Begin) -> None:
    run = begin(**{"runner.n_jobs": "2"})
    one = job(embedded, run, "first")
    one.log_metrics(1, {"val/loss": 0.5, "val/accuracy": 1.0})
    one.log_metrics(2, {"val/loss": 0.25})
    one.finish()
    edit(
        embedded,
        "UPDATE latest_metrics SET value = 'abc' WHERE key = 'val/loss'",
        "UPDATE metrics SET step = 'x' WHERE key = 'val/loss' AND step = 2",
        "UPDATE tags SET value = NULL WHERE key IN ('runner.varied', 'runner.n_jobs')",
        "UPDATE runs SET start_time = 'x', name = x'fe'",
    )
    sweep = read(embedded, run)
    assert (sweep.n_jobs, sweep.started_s, sweep.name) == (0, 0, "b'\\xfe'")
    (outcome,) = (each.outcome for each in embedded.sweeps.jobs_of(sweep))
    assert (outcome.metrics, outcome.varied) == ({"val/accuracy": 1.0}, {})
    assert embedded.sweeps.history(one.run_id, "val/loss") == [(1, 0.5)]


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("start_time", "NULL", "is no sound record: start_time cannot be None"),
        ("start_time", "-1", "start_time must be between 1970 and 9999"),
        ("start_time", "253402300800000", "start_time must be between 1970 and 9999"),
        ("status", "'DONE'", "status must be one of"),
        ("run_uuid", "'a''b'", "its id must be 32 hexadecimal digits"),
    ],
)
def test_a_row_that_makes_no_sense_is_named_and_left_out(
    column: str, value: str, reason: str, embedded: Store, begin: Begin
) -> None:
    begin("bad").finish()
    begin("good").finish()
    (ended,) = (run.run_id for run in embedded.sweeps.all() if run.identity == "bad")
    if column == "run_uuid":
        change = f"UPDATE tags SET run_uuid = {value} WHERE run_uuid = '{ended}'"  # noqa: S608  (of ours)
        edit(embedded, change)
    change = f"UPDATE runs SET {column} = {value} WHERE name = 'sweep of bad'"  # noqa: S608  (of ours)
    edit(embedded, "PRAGMA ignore_check_constraints = ON", change)
    assert [run.identity for run in embedded.sweeps.all()] == ["good"]
    (said,) = embedded.backend.unfit.values()
    assert reason in said


def test_a_history_is_sorted_by_step(embedded: Store, begin: Begin) -> None:
    run = begin()
    for step, loss in ((20, 0.25), (10, 0.5), (30, math.nan)):
        run.log_metrics(step, {"val/loss": loss})
    run.finish()
    *history, (step, last) = embedded.sweeps.history(run.run_id, "val/loss")
    assert (history, step) == ([(10, 0.5), (20, 0.25)], 30)
    assert math.isnan(last)
    assert embedded.sweeps.history(run.run_id, "none") == []
