"""A tracking server that fails at any call: every result is recorded once, now or at a later start.

The real server of MLflow stands behind a proxy of our own on loopback.
"""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest

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
            assert ended.returncode in {0, 3, 4}, ended.stderr
            assert "Traceback" not in ended.stderr
            kept = list(checkout.glob("outputs/unrecorded/*/*.npz"))
            assert (ended.returncode == 4) == bool(kept), ended.stderr
            if kept:
                assert "could not be recorded at http" in ended.stderr
            proxy.is_open = False
            again = command("sync", "--uri", proxy.address, **QUICK)
            assert again.returncode == 0, again.stderr
            assert not list(checkout.glob("outputs/unrecorded/*/*.npz"))
            if ended.returncode == 3 or kind == "sweep":
                again = command(*words, asked, MLFLOW_TRACKING_URI=proxy.address, **QUICK)
                assert again.returncode == 0, again.stderr
            keys = finished_once(server, asked.partition("=")[2])
            assert len(keys) == len(set(keys)) == (4 if kind == "sweep" else 1), ended.stderr
