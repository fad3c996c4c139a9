"""Rows of the database that hold what they never should, and what a rerun has to say of each."""

from tests.runner.cli.rerunning import execute
from tests.runner.cli.tampered_results import METRICS_WERE_CHANGED
from tests.runner.cli.tampering import Changes, Job, Phrases, adding_to

ODD_ROWS: Changes = {}
change = adding_to(ODD_ROWS)


@change(2)
def a_metric_that_is_a_word(job: Job) -> Phrases:
    job.set("metrics", "val/loss", "abc", 20)
    return ["metrics, 'val/loss' at step 20: must be a number, got 'abc'."]


@change(2)
def a_metric_that_is_bytes(job: Job) -> Phrases:
    job.set("metrics", "val/loss", b"\0\x11", 20)
    return ["metrics, 'val/loss' at step 20: must be a number, got b'\\x00\\x11'"]


def _move_step(job: Job, to: object) -> Phrases:
    statement = "UPDATE metrics SET step = ? WHERE run_uuid = ? AND key = 'val/loss' AND step = 20"
    assert execute(job.store, statement, to, job.run.run_id) == 1
    return [f"metrics, 'val/loss': must have steps that are whole numbers, got {to!r}"]


@change(2)
def a_step_that_is_a_word(job: Job) -> Phrases:
    return _move_step(job, "x")


@change(2)
def a_step_that_is_a_fraction(job: Job) -> Phrases:
    return _move_step(job, 20.5)


@change(5)
def a_metric_that_no_table_shows(job: Job) -> Phrases:
    statement = (
        "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) SELECT 'val/more', "
        "0.125, timestamp, run_uuid, step, is_nan FROM metrics "
        "WHERE run_uuid = ? AND key = 'val/loss' AND step = 20"
    )
    assert execute(job.store, statement, job.run.run_id) == 1
    return ["val/more at step 20", METRICS_WERE_CHANGED]


@change(2)
def a_tag_that_is_nothing(job: Job) -> Phrases:
    job.set("tags", "runner.varied", None)
    return ["runner.varied: must be text, got None."]


@change(2)
def a_tag_that_is_bytes(job: Job) -> Phrases:
    job.set("tags", "runner.data_digest", b"\xfe\0")
    return ["runner.data_digest: must be text, got b'\\xfe\\x00'."]


@change(2)
def a_tag_with_half_a_character(job: Job) -> Phrases:
    job.set("tags", "runner.varied", '{"training.steps": "\\ud800"}')
    return ["runner.varied: must be text that can be written, got"]
