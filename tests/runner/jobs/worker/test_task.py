"""Tasks: plain data from which a worker anywhere does the same work."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from runner.jobs.worker.task import make_task
from runner.tracking import Store, open_store
from tests.runner.jobs.planned import outcomes, plan, task, work

CHECKOUT = Path(__file__).resolve().parents[4]
ELSEWHERE = """
import pickle, sys
from runner.jobs.worker.stack_run import run_stack
from runner.tracking import leave_stores

events = list(run_stack(pickle.load(sys.stdin.buffer)))
leave_stores()
pickle.dump(events, sys.stdout.buffer)
"""


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(f"sqlite:///{store}", None, "test")


def test_a_worker_that_shares_nothing_with_us_does_the_same_work(opened: Store) -> None:
    made = plan({"seed": 1}, {"seed": 2, "optimizer__learning_rate": 0.1})
    told = pickle.dumps(task(opened, made))
    ended = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=told, cwd=CHECKOUT, capture_output=True, check=True
    )
    elsewhere = outcomes(pickle.loads(ended.stdout))  # noqa: S301  (written by ourselves)
    here = outcomes(work(opened, made))
    for position in (0, 1):
        runs = [opened.client.get_run(found[position].run_id) for found in (elsewhere, here)]
        assert runs[0].info.status == "FINISHED"
        digests = [run.data.tags["runner.weights_sha256"] for run in runs]
        assert digests[0] == digests[1]
        assert elsewhere[position].metrics == here[position].metrics


def test_a_task_is_small_and_gives_the_jobs_back(opened: Store) -> None:
    made = plan(*({"seed": seed, "sweep__name": "mine"} for seed in range(300)))
    told = task(opened, made)
    # A job of a large sweep travels in a few hundred bytes.
    assert len(pickle.dumps(told)) < 600 * len(made.jobs)
    arrived = pickle.loads(pickle.dumps(told))  # noqa: S301  (our own bytes)
    assert [job.planned for job in arrived.jobs] == [replace(j, shape=None) for j in made.jobs]
    assert [job.position for job in told.only({7, 2}).jobs] == [2, 7]


def test_the_password_of_a_store_is_not_in_a_task() -> None:
    made = plan({"tracking__uri": "http://me:secret@127.0.0.1:9"})
    assert b"secret" not in pickle.dumps(make_task(made, [0], store=None))
