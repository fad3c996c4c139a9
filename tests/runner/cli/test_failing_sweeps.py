"""Jobs that fail cost themselves alone; the others finish, and each failure is reported."""

import pytest

from tests.runner.cli.instants import ENDED_UNHEARD, ONE_AT_A_TIME, workers_stand_still
from tests.runner.cli.sweeping import BARE, Recorded, end, jobs, of_kind, recorded, start, table
from tests.runner.conftest import Command, Ended

ROWS = "a,b,label\n" + "".join(f"{row},{row % 7},{'xy'[row % 2]}\n" for row in range(120))
BROKEN = ROWS.replace("\n5,5,", "\n5,five,")
MINE = ["experiment=own_csv", "data.target=label", "training.epochs=3"]
# Of these four jobs one is sound, one diverges, and two have data of no use.
POINTS = ["data.path=good.csv,broken.csv", "optimizer.learning_rate=0.01,1e200"]
SWEEP = ["-m", *MINE, *POINTS, "sweep.name=mixed"]

Sweep = tuple[Ended, list[Recorded]]


@pytest.fixture(scope="module")
def mixed(shared: Command) -> Sweep:
    (shared.folder / "good.csv").write_text(ROWS)
    (shared.folder / "broken.csv").write_text(BROKEN)
    ended = shared(*SWEEP)
    assert list(shared.scratch.iterdir()) == []
    return ended, recorded(shared)


@pytest.fixture(scope="module")
def repaired(mixed: Sweep, shared: Command) -> Sweep:
    """The same command, when the file has been put right."""
    left_alone = shared(*SWEEP, "sweep.retry_failed=false")
    assert left_alone.returncode == 1  # what has failed has not become well
    assert of_kind("run", recorded(shared)) == of_kind("run", mixed[1])
    (shared.folder / "broken.csv").write_text(BROKEN.replace("five", "4"))
    return shared(*SWEEP), recorded(shared)


def test_others_finish_and_each_failure_is_recorded_and_reported_with_its_reason(mixed: Sweep):
    ended, runs = mixed
    assert ended.returncode == 1
    found = {run.name: (run.status, run.tags.get("runner.failure")) for run in of_kind("run", runs)}
    assert found.pop("path=good.csv learning_rate=0.01") == ("FINISHED", None)
    assert [status for status, _ in found.values()] == ["FAILED"] * 3
    assert "not finite at step" in str(found["path=good.csv learning_rate=1e+200"])
    for rate in ("0.01", "1e+200"):
        _, reason = found[f"path=broken.csv learning_rate={rate}"]
        assert "broken.csv" in str(reason)
        assert "'five'" in str(reason)
    printed = " ".join(ended.stdout.split())
    for piece in [*found, "not finite", "'five'"]:
        assert piece in printed
    (parent,) = of_kind("sweep", runs)
    assert (parent.name, parent.status) == ("mixed", "FAILED")
    assert parent.tags["runner.failure"] == "3 of 4 jobs failed"


def test_same_name_goes_on_with_what_failed(mixed: Sweep, repaired: Sweep):
    ended, runs = repaired
    assert ended.returncode == 1  # 1e200 is what it was
    before = {run.run_id for run in mixed[1]}
    new = [run for run in of_kind("run", runs) if run.run_id not in before]
    assert sorted((run.name, run.status) for run in new) == [
        ("path=broken.csv learning_rate=0.01", "FINISHED"),
        ("path=broken.csv learning_rate=1e+200", "FAILED"),
        ("path=good.csv learning_rate=1e+200", "FAILED"),
    ]
    assert len(of_kind("sweep", runs)) == 1
    assert "mixed: 4 jobs, 1 done, 3 to run." in ended.stderr


def test_repaired_sweep_counts_and_shows_its_jobs_once(repaired: Sweep, shared: Command):
    (parent,) = of_kind("sweep", repaired[1])
    assert parent.tags["runner.failure"] == "2 of 4 jobs failed"
    assert table(shared("show", "mixed")) == table(repaired[0])


def test_fail_fast_stops_at_the_first_failure(sweeper: Command):
    (sweeper.folder / "good.csv").write_text(ROWS)
    (sweeper.folder / "broken.csv").write_text(BROKEN)
    ended = sweeper("-m", *MINE, "data.path=broken.csv,good.csv", "sweep.fail_fast=true")
    assert ended.returncode == 1
    assert [run.name for run in jobs(sweeper)] == ["path=broken.csv"]
    assert "RUNNING" not in {run.status for run in recorded(sweeper)}
    assert "Stopped by sweep.fail_fast." in ended.stdout
    assert "1 of 2 jobs has no result yet" in ended.stdout


def test_what_workers_had_recorded_at_the_stop_is_counted(sweeper: Command):
    points = ["optimizer.learning_rate=0.01,1e200", "seed=range(0,40)", "training.steps=200"]
    # However late the first failure is heard of: each worker goes as far as its second one.
    before = ONE_AT_A_TIME + workers_stand_still(2, "FAILED") + ENDED_UNHEARD
    sweep = ["-m", *points, "sweep.fail_fast=true", "sweep.n_workers=2", *BARE]
    ended = end(start(sweeper, *sweep, before=before))
    assert ended.returncode == 1, ended.stderr
    done = [run for run in jobs(sweeper) if run.status in {"FINISHED", "FAILED"}]
    assert f"{80 - len(done)} of 80 jobs have no result yet" in ended.stdout
    (parent,) = of_kind("sweep", recorded(sweeper))
    n_finished = sum(run.status == "FINISHED" for run in done)
    assert parent.tags["runner.n_finished"] == str(n_finished)
    n_failed = sum(run.status == "FAILED" for run in done)
    assert 2 <= n_failed <= 4
    assert parent.tags["runner.n_failed"] == str(n_failed)
    printed = [line for line in table(ended) if line != "Stopped by sweep.fail_fast."]
    assert table(sweeper("show")) == printed


def test_fail_fast_of_the_last_job_stops_nothing(sweeper: Command):
    ended = sweeper("-m", "optimizer.learning_rate=1e200", "sweep.fail_fast=true", "seed=1")
    assert ended.returncode == 1
    assert "Stopped" not in ended.stdout
