"""Sweeps as they stand in a store: found by what they run, and read back as they were."""

import math
from collections.abc import Callable
from contextlib import closing
from sqlite3 import connect

import pytest

from runner.system.errors import RecordError
from runner.tracking import RecordedRun, RecordedSweep, Store, open_store, queries
from tests.runner.jobs.planned import STOPPING, outcomes, plan, work

Begin = Callable[..., RecordedRun]


@pytest.fixture
def begin(embedded: Store) -> Begin:
    """Begin a sweep of an identity, at a second since 1970."""

    def begin(identity: str, at_s: float = 1e9, **tags: str) -> RecordedRun:
        told = {"runner.kind": "sweep", "runner.plan": identity, **tags}
        return embedded.start_run(f"sweep of {identity}", {}, told, None, at_s)

    return begin


def job(store: Store, sweep: RecordedRun, key: str, at_s: float = 1e9, **tags: str) -> RecordedRun:
    told = {"runner.kind": "run", "runner.sweep": sweep.run_id, "runner.key": key, **tags}
    return store.start_run(f"job {key}", {}, told, sweep.run_id, at_s)


def found(store: Store, sweep: RecordedRun) -> RecordedSweep:
    (it,) = (each for each in store.sweeps.all() if each.run_id == sweep.run_id)
    return it


def test_a_sweep_is_read_as_it_was_begun(embedded: Store, begin: Begin) -> None:
    run = begin("abc", 1e9, **{"runner.metric": "test/loss", "runner.n_jobs": "7"})
    sweep = found(embedded, run)
    assert sweep == RecordedSweep(
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
    run.log_metrics(0, {"n_finished": 5, "n_failed": 2})
    run.finish()
    ended = found(embedded, run)
    assert (ended.status, ended.duration_s) == ("FINISHED", 2.5)
    assert (ended.n_finished, ended.n_failed) == (5, 2)


def test_the_newest_sweep_of_an_identity_is_found(embedded: Store, begin: Begin) -> None:
    for at_s in (1e9 + 5, 1e9 + 9, 1e9 + 7):
        begin("abc", at_s).finish()
    begin("other", 1e9 + 99).finish()
    newest = embedded.sweeps.newest_of(embedded.experiment_id, "abc")
    assert newest is not None
    assert newest.started_s == 1e9 + 9
    assert embedded.sweeps.newest_of(embedded.experiment_id, "none") is None


def test_an_identity_belongs_to_its_experiment(embedded: Store, begin: Begin) -> None:
    begin("abc").finish()
    other = open_store(embedded.address.uri, None, "another")
    assert other.sweeps.newest_of(other.experiment_id, "abc") is None
    assert [each.identity for each in other.sweeps.all()] == ["abc"]
    assert other.sweeps.all([other.experiment_id]) == []


def test_all_sweeps_come_the_newest_first(embedded: Store, begin: Begin) -> None:
    for at_s, identity in ((1e9 + 5, "b"), (1e9 + 9, "a"), (1e9 + 1, "c")):
        begin(identity, at_s).finish()
    embedded.start_run("no sweep", {}, {"runner.kind": "run"}).finish()
    assert [each.identity for each in embedded.sweeps.all()] == ["a", "b", "c"]


def test_outcomes_are_read_as_they_were_made(embedded: Store, begin: Begin) -> None:
    made = plan(
        {"seed": 1, "optimizer__learning_rate": 0.5},
        {"seed": 2, "training__early_stopping": STOPPING},
        {"seed": 1, "optimizer__learning_rate": 1e200},
    )
    sweep = begin("abc")
    expected = outcomes(work(embedded, made, (0, 1, 2), sweep_id=sweep.run_id))
    read = {j.key: j.outcome for j in embedded.sweeps.jobs_of(found(embedded, sweep))}
    assert set(read) == {planned.key for planned in made.jobs}
    for position, planned in enumerate(made.jobs):
        outcome, one = expected[position], read[planned.key]
        assert (one.name, one.run_id, one.status) == (outcome.name, outcome.run_id, outcome.status)
        assert (one.varied, one.failure) == (outcome.varied, outcome.failure)
        # To a millisecond, as MLflow stores times; either end may be cut.
        assert one.duration_s == pytest.approx(outcome.duration_s, abs=0.002)
        if outcome.status == "FINISHED":
            assert {k: v.hex() for k, v in one.metrics.items()} == {
                k: v.hex() for k, v in outcome.metrics.items()
            }


def test_of_a_job_that_ran_twice_the_later_run_counts(embedded: Store, begin: Begin) -> None:
    sweep = begin("abc")
    job(embedded, sweep, "k", 1e9 + 1).fail("first")
    job(embedded, sweep, "k", 1e9 + 2).fail("second")
    (one,) = embedded.sweeps.jobs_of(found(embedded, sweep))
    assert one.outcome.failure == "second"


@pytest.mark.parametrize("finished_first", [True, False])
def test_a_run_that_finished_stands_whatever_came_before_or_after(
    finished_first: bool, embedded: Store, begin: Begin
) -> None:
    sweep = begin("abc")
    for number, well in enumerate((finished_first, not finished_first)):
        run = job(embedded, sweep, "k", 1e9 + number)
        run.finish() if well else run.kill()
    (one,) = embedded.sweeps.jobs_of(found(embedded, sweep))
    assert one.outcome.status == "FINISHED"


def test_what_is_still_running_has_not_ended_well(embedded: Store, begin: Begin) -> None:
    sweep = begin("abc")
    run = job(embedded, sweep, "k")
    (one,) = embedded.sweeps.jobs_of(found(embedded, sweep))
    assert one.outcome.status == "KILLED"
    assert one.outcome.duration_s == 0
    run.finish()


def test_jobs_of_other_sweeps_and_deleted_ones_are_not_its_own(
    embedded: Store, begin: Begin
) -> None:
    sweep, other = begin("abc"), begin("other")
    job(embedded, sweep, "mine").finish()
    job(embedded, other, "theirs").finish()
    gone = job(embedded, sweep, "gone")
    gone.finish()
    embedded.client.delete_run(gone.run_id)
    assert [one.key for one in embedded.sweeps.jobs_of(found(embedded, sweep))] == ["mine"]


def test_more_jobs_than_a_page_are_all_read_once(
    embedded: Store, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "_PAGE", 3)
    sweep = begin("abc")
    # Jobs of a stack begin at the same instant.
    for number in range(10):
        job(embedded, sweep, str(number)).finish()
    keys = [one.key for one in embedded.sweeps.jobs_of(found(embedded, sweep))]
    assert sorted(keys) == [str(number) for number in range(10)]


@pytest.mark.parametrize("varied", ["", "no JSON", "[1]", "null"])
def test_a_tag_that_somebody_edited_is_no_reason_to_stop(
    varied: str, embedded: Store, begin: Begin
) -> None:
    sweep = begin("abc")
    job(embedded, sweep, "k", **{"runner.varied": varied}).finish()
    (one,) = embedded.sweeps.jobs_of(found(embedded, sweep))
    assert one.outcome.varied == {}


@pytest.mark.parametrize("text", ["many", "nan", "inf", ""])
def test_numbers_that_somebody_edited_are_no_reason_to_stop(
    text: str, embedded: Store, begin: Begin
) -> None:
    run = begin("abc", **{"runner.n_jobs": text, "runner.duration_s": text})
    run.log_metrics(0, {"n_finished": math.nan})
    run.set_tags({"runner.summed_up": "true"})
    run.finish()
    sweep = found(embedded, run)
    assert (sweep.n_jobs, sweep.duration_s, sweep.n_finished, sweep.n_failed) == (0, 0, 0, 0)


def test_a_history_is_told_by_step(embedded: Store, begin: Begin) -> None:
    run = begin("abc")
    for step, loss in ((20, 0.25), (10, 0.5), (30, math.nan)):
        run.log_metrics(step, {"val/loss": loss})
    run.finish()
    *history, (step, last) = embedded.sweeps.history(run.run_id, "val/loss")
    assert history == [(10, 0.5), (20, 0.25)]
    assert step == 30
    assert math.isnan(last)
    assert embedded.sweeps.history(run.run_id, "none") == []


def test_a_reopened_sweep_is_running_in_the_hands_of_this_process(
    embedded: Store, begin: Begin
) -> None:
    run = begin("abc")
    run.kill()
    again = embedded.reopen_run(run.run_id)
    sweep = found(embedded, run)
    assert (sweep.run_id, sweep.status, sweep.started_s) == (again.run_id, "RUNNING", 1e9)
    assert embedded.close_abandoned_runs() == []
    again.finish()
    assert found(embedded, run).status == "FINISHED"


def test_a_sweep_that_goes_on_has_no_failure_any_more(embedded: Store, begin: Begin) -> None:
    run = begin("abc")
    run.fail("1 of 2 jobs failed")
    embedded.reopen_run(run.run_id).finish()
    assert "runner.failure" not in embedded.client.get_run(run.run_id).data.tags


def test_groups_are_told_by_their_keys(embedded: Store, begin: Begin) -> None:
    sweep, common = begin("abc"), "0123abcd"
    tags = {"runner.kind": "group", "runner.sweep": sweep.run_id, "runner.key": common}
    group = embedded.start_run("group", {}, tags, sweep.run_id)
    assert embedded.sweeps.groups_of(found(embedded, sweep)) == {common: group.run_id}
    group.finish()


def test_what_makes_no_sense_in_a_row_is_taken_as_not_there(embedded: Store, begin: Begin) -> None:
    sweep = begin("abc", **{"runner.n_jobs": "2"})
    run = job(embedded, sweep, "first")
    run.log_metrics(1, {"val/loss": 0.5, "val/accuracy": 1.0})
    run.log_metrics(2, {"val/loss": 0.25})
    run.finish()
    assert embedded.address.database is not None
    with closing(connect(embedded.address.database)) as connection:
        for statement in (
            "UPDATE latest_metrics SET value = 'abc' WHERE key = 'val/loss'",
            "UPDATE metrics SET step = 'x' WHERE key = 'val/loss' AND step = 2",
            "UPDATE tags SET value = NULL WHERE key IN ('runner.varied', 'runner.n_jobs')",
            "UPDATE runs SET start_time = 'x', name = x'fe'",
        ):
            connection.execute(statement)
        connection.commit()
    read = found(embedded, sweep)
    assert (read.n_jobs, read.started_s, read.name) == (0, 0, "b'\\xfe'")
    ((outcome),) = (each.outcome for each in embedded.sweeps.jobs_of(read))
    assert outcome.metrics == {"val/accuracy": 1.0}
    assert outcome.varied == {}
    assert embedded.sweeps.history(run.run_id, "val/loss") == [(1, 0.5)]


def test_a_row_that_mlflow_cannot_read_is_a_bad_record(embedded: Store, begin: Begin) -> None:
    begin("abc").finish()
    assert embedded.address.database is not None
    with closing(connect(embedded.address.database)) as connection:
        connection.execute("UPDATE runs SET start_time = NULL")
        connection.commit()
    with pytest.raises(RecordError, match="is no sound record: start_time cannot be None"):
        embedded.sweeps.all()
