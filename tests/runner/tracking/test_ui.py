"""MLflow's pages: on the right store, for this machine alone, gone when they should be."""

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.errors import CommandError, ConfigError
from runner.tracking import Store, open_store
from runner.tracking.ui import ui
from tests.runner.processes import descendants, left_of, living
from tests.runner.tracking.conftest import Start, read_line

SERVE = """
import sys
from runner.tracking.ui import ui
try:
    ui(sys.argv[1], int(sys.argv[2]))
except KeyboardInterrupt:
    sys.exit(130)
"""


def end(process: subprocess.Popen[str], number: int) -> int:
    """Send a signal; give the exit code, once nothing is left of the process or its children."""
    children = descendants(process.pid)
    assert children
    process.send_signal(number)
    _, complaint = process.communicate()
    assert complaint == ""
    # What the server started meanwhile is in the group that it heads.
    members = {other.pid for other in living() if other.group in children}
    assert left_of(children | members) == []
    return int(process.returncode)


def test_the_pages_show_the_runs_until_ctrl_c_ends_them(
    embedded: Store, free_port: Callable[[], int], start: Start
) -> None:
    run = embedded.start_run("shown", {}, {})
    run.finish()
    port = free_port()
    process = start(SERVE, embedded.address.uri, port)

    assert read_line(process) == f"Starting the MLflow UI on {embedded.address.uri} ..."
    base = f"http://127.0.0.1:{port}"
    assert read_line(process) == (
        f"MLflow is served at {base}/#/experiments/{embedded.experiment_id}"
        "/runs?workflowType=machine_learning"
    )
    with urllib.request.urlopen(f"{base}/api/2.0/mlflow/runs/get?run_id={run.run_id}") as answer:
        assert json.load(answer)["run"]["info"]["run_name"] == "shown"
    # Every address of 127.0.0.0/8 is this machine's, but only one of them is listened on.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)

    assert end(process, signal.SIGINT) == 130


def test_a_signal_ends_a_server_that_is_still_starting(
    database: Path, free_port: Callable[[], int], start: Start
) -> None:
    process = start(SERVE, f"sqlite:///{database}", free_port())
    assert read_line(process).startswith("Starting ")
    assert end(process, signal.SIGTERM) == 143


def test_a_port_that_is_taken_is_named(database: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CommandError, match=f"port {port} of 127.0.0.1 cannot be used: .*in us"):
            ui(f"sqlite:///{database}", port)


def test_a_port_that_cannot_be_is_named(database: Path) -> None:
    with pytest.raises(CommandError, match=r"port 70000 of 127\.0\.0\.1 cannot be used"):
        ui(f"sqlite:///{database}", 70000)


def test_a_server_that_runs_already_is_pointed_at(
    server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(server, None, "pointed at")
    store.start_run("x", {}, {}).finish()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    ui(None)
    assert capsys.readouterr().out == f"MLflow is served at {store.where}\n"


def test_a_server_that_is_down_is_named(free_port: Callable[[], int]) -> None:
    with pytest.raises(ConfigError, match="connection refused"):
        ui(f"http://127.0.0.1:{free_port()}")
