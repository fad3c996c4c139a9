"""A tracking server that fails at any call: every result is recorded once, now or at a later start.

The real server of MLflow stands behind a proxy of our own on loopback.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest

from runner.tracking.backend.rows import RunChange
from runner.tracking.backend.unrecorded import folder_of, keep
from tests.faults.conftest import Survive
from tests.faults.proxy import FAULTS, FaultyProxy
from tests.runner.cli.conftest import checkout
from tests.runner.cli.sweeping import BARE
from tests.runner.conftest import Command

__all__ = ["checkout"]

# The calls of recording; one fault of each alone, and the server dead from each on.
CALLS = ["runs/create", "runs/log-batch", "runs/update", "runs/log-inputs", "artifacts/config.json"]
TRAIN = ["training.steps=20", "training.evaluate_every=10", *BARE]
ONE = ["seed=0", *TRAIN]
SWEEP = ["-m", "seed=0,1", "optimizer.learning_rate=0.1,0.2", "sweep.n_workers=1", *TRAIN]
GROWING = [*SWEEP, "sweep.name=growing"]
QUICK = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}
# To a server that fails for good nobody goes on listening.
FAULTY = QUICK | {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "1"}
# Whether a fault lasts; one 503 or redirect alone is as one 500.
CASES = [(fault, True) for fault in FAULTS]
CASES += [(fault, False) for fault in FAULTS if fault not in {"503", "redirect"}]


def finished_once(server: str, name: str) -> list[str]:
    """Return the keys of the jobs of an experiment that are FINISHED; nothing else is left open."""
    client = mlflow.MlflowClient(server)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}
    jobs = [run for run in runs if run.data.tags.get("runner.kind") == "run"]
    done = [run for run in jobs if run.info.status == "FINISHED"]
    assert all("val/loss" in run.data.metrics for run in done)
    return sorted(run.data.tags["runner.key"] for run in done)


@pytest.mark.parametrize(("fault", "lasts"), CASES)
def test_a_fault_of_the_server_loses_and_doubles_nothing(
    fault: str, lasts: bool, command: Command, checkout: Path, server: str, survive: Survive
) -> None:
    survive("server faults", len(CALLS))
    patience = FAULTY if lasts or fault == "slow" else QUICK
    for number, call in enumerate(CALLS):
        kind, words = ("sweep", SWEEP) if number % 2 else ("run", ONE)
        after = int(kind == "sweep")  # it is begun before there are any jobs
        asked = f"name={fault}-{lasts}-{number}"

        def is_faulty(name: str, count: int, call: str = call, after: int = after) -> bool:
            return name == call and (count > after if lasts else count == after + 1)

        with FaultyProxy(server, fault, is_faulty) as proxy:
            ended = command(*words, asked, MLFLOW_TRACKING_URI=proxy.address, **patience)
            assert ended.returncode in {0, 2, 4}, ended.stderr
            assert "Traceback" not in ended.stderr
            kept = list(checkout.glob("outputs/unrecorded/*/*.npz"))
            assert (ended.returncode == 4) == bool(kept), ended.stderr
            if kept:
                assert "could not be recorded at http" in ended.stderr
            proxy.is_open = False
            again = command("sync", "--uri", proxy.address, **QUICK)
            assert again.returncode == 0, again.stderr
            assert not list(checkout.glob("outputs/unrecorded/*/*.npz"))
            if ended.returncode == 2 or kind == "sweep":
                again = command(*words, asked, MLFLOW_TRACKING_URI=proxy.address, **QUICK)
                assert again.returncode == 0, again.stderr
            keys = finished_once(server, asked.partition("=")[2])
            assert len(keys) == len(set(keys)) == (4 if kind == "sweep" else 1), ended.stderr


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (ONE, "runs/create"),
        (SWEEP, "runs/create"),
        (SWEEP, "mlflow-artifacts/artifacts"),
        (GROWING, "runs/log-batch"),
    ],
    ids=["run", "sweep", "states", "sweep with earlier jobs"],
)
def test_a_server_that_is_lost_before_the_first_job_has_nothing_trained(
    words: list[str], call: str, command: Command, checkout: Path, server: str, survive: Survive
) -> None:
    survive("server faults")
    name = f"lost-{len(words)}-{call.replace('/', '-')}"
    with FaultyProxy(server, "500", lambda asked, _: asked == call) as proxy:
        environment = {"MLFLOW_TRACKING_URI": proxy.address, **FAULTY}
        if words is GROWING:
            proxy.is_open = False
            assert command(*words, "seed=0", f"name={name}", **environment).returncode == 0
            proxy.is_open = True
        ended = command(*words, f"name={name}", **environment)
        assert ended.returncode == 2
        assert ended.stderr.splitlines()[-1] == (
            f"{proxy.address}: the server does not answer: {call.removeprefix('mlflow-artifacts/')}"
            " (500). Nothing was trained."
        )
        assert not list(checkout.glob("outputs/unrecorded/*/*.npz"))
        proxy.is_open = False
        again = command(*words, f"name={name}", **environment)
        assert again.returncode == 0, again.stderr
        assert len(finished_once(server, name)) == (1 if words is ONE else 4)


def test_a_server_that_does_not_take_a_kept_run_is_named_with_it_and_nothing_is_trained(
    command: Command, checkout: Path, server: str, survive: Survive
) -> None:
    survive("server faults")
    with FaultyProxy(server, "500", lambda asked, _: asked == "runs/log-batch") as proxy:
        run_id = kept_run(server, proxy.address, "untaken", "FINISHED")
        (file,) = checkout.glob("outputs/unrecorded/*/*.npz")
        environment = {"MLFLOW_TRACKING_URI": proxy.address, **FAULTY}
        for words in (ONE, SWEEP):
            ended = command(*words, "name=untaken", **environment)
            assert ended.returncode == 2
            assert ended.stderr == (
                f"MLFLOW_TRACKING_URI: {proxy.address}: the server does not answer: "
                f"runs/log-batch (500)\nrun {run_id} waits in {file}.\n"
            )
        assert command("sweeps", **environment).returncode == 0


def kept_run(server: str, uri: str, name: str, status: str) -> str:
    """Make a run on a server whose end is kept on disk, under another spelling of its address."""
    client = mlflow.MlflowClient(server)
    found = client.get_experiment_by_name(name)
    experiment = client.create_experiment(name) if found is None else found.experiment_id
    run_id = str(client.create_run(experiment).info.run_id)
    keep(uri, RunChange(run_id, tags={"runner.failure": "kept"}, status=status, ended_ms=1))
    return run_id


def status(server: str, run_id: str) -> str:
    return str(mlflow.MlflowClient(server).get_run(run_id).info.status)


@pytest.mark.parametrize("kept", ["FINISHED", "FAILED", "KILLED"])
@pytest.mark.parametrize("there", ["RUNNING", "FINISHED", "FAILED", "KILLED"])
def test_a_kept_end_is_recorded_unless_the_run_is_finished(
    there: str, kept: str, command: Command, checkout: Path, server: str
) -> None:
    uri = server.replace("http://127.0.0.1", "http://ada:secret@localhost") + "/"
    run_id = kept_run(server, uri, "ends", kept)
    if there != "RUNNING":
        mlflow.MlflowClient(server).set_terminated(run_id, there)
    said = command("sync", "--uri", server, **QUICK)
    assert said.returncode == 0, said.stderr
    assert status(server, run_id) == ("FINISHED" if there == "FINISHED" else kept)
    assert [path.name for path in checkout.glob("outputs/unrecorded/*/*")] == ["lock"]


def delete_run(server: str, run_id: str) -> None:
    mlflow.MlflowClient(server).delete_run(run_id)


def delete_experiment(server: str, run_id: str) -> None:
    client = mlflow.MlflowClient(server)
    client.delete_experiment(client.get_run(run_id).info.experiment_id)


@pytest.mark.parametrize("delete", [delete_run, delete_experiment])
def test_a_kept_run_that_was_deleted_is_named_until_it_is_restored(
    delete: Callable[[str, str], None],
    command: Command,
    checkout: Path,
    server: str,
    survive: Survive,
) -> None:
    survive("deletions")
    run_id = kept_run(server, server, delete.__name__, "FINISHED")
    delete(server, run_id)
    file = next(checkout.glob("outputs/unrecorded/*/*.npz"))
    for _ in range(2):
        said = command("sync", "--uri", server, **QUICK)
        assert said.returncode == 4
        assert said.stderr == f"run {run_id}: was deleted from the server; kept in {file}.\n"
    if delete is delete_run:
        mlflow.MlflowClient(server).restore_run(run_id)
        said = command("sync", "--uri", server, **QUICK)
        assert (said.returncode, said.stderr) == (0, "1 run that waited on disk is recorded now.\n")


DAMAGED: dict[str, Callable[[Path], object]] = {
    "pickle": lambda path: path.write_bytes(pickle.dumps({"status": "FINISHED"})),
    "text": lambda path: path.write_text("text"),
    "empty": Path.touch,
    "folder": Path.mkdir,
    "link": lambda path: path.symlink_to("/nowhere"),
    "pipe": os.mkfifo,
}


def test_what_is_damaged_among_kept_runs_stays_and_the_rest_is_recorded(
    command: Command, checkout: Path, server: str, survive: Survive
) -> None:
    survive("server faults", len(DAMAGED))
    run_id = kept_run(server, server, "damaged", "FINISHED")
    for name, make in DAMAGED.items():
        make(folder_of(server) / f"{name}-FINISHED.npz")
    (folder_of(server) / "lock").unlink(missing_ok=True)
    os.mkfifo(folder_of(server) / "lock")
    assert command("sweeps", "--uri", server, **QUICK).returncode == 0
    assert status(server, run_id) == "FINISHED"
    said = command("sync", "--uri", server, **QUICK)
    assert said.returncode == 4
    assert len(said.stderr.splitlines()) == len(DAMAGED)
    assert all(f"{name}-FINISHED.npz: " in said.stderr for name in DAMAGED)
    assert "pickle" not in said.stderr.replace("/pickle-FINISHED", "")
    trained = command(*ONE, "name=beside", MLFLOW_TRACKING_URI=server, **QUICK)
    assert trained.returncode == 0, trained.stderr


def test_a_folder_of_kept_runs_on_a_disk_that_is_away_is_named(
    command: Command, checkout: Path, server: str, survive: Survive
) -> None:
    survive("server faults")
    folder = folder_of(server)
    folder.parent.mkdir(parents=True)
    folder.symlink_to("/nowhere/zz")
    said = command("sync", "--uri", server, **QUICK)
    assert said.returncode == 3
    assert said.stderr == f"{folder}: is a link to /nowhere/zz, which is away\n"
