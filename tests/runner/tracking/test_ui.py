"""MLflow's pages: on the right store, for this machine alone, gone when they should be."""

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from runner.system.errors import CommandError
from runner.tracking import Store, open_store
from runner.tracking.ui import server_command, ui
from tests.runner.processes import descendants, left_of, living
from tests.runner.tracking.conftest import Start, read_line
from tests.runner.tracking.hostile_server import HostileServer

SERVE = """
import sys
from runner.cli.main import main
uri, port = sys.argv[1:]
sys.argv = ["runner", "ui", "--uri", uri, "--port", port]
main()
"""
# Sends itself a signal when the server has been started and nobody has been told yet.
AT_THE_FORK = """
import os, signal, subprocess, sys
def watch(frame, event, argument):
    if event == "return" and frame.f_code is subprocess.Popen._execute_child.__code__:
        command = frame.f_locals["args"]
        if "server" in command:
            print(frame.f_locals["self"].pid, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
sys.setprofile(watch)
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


def test_a_signal_leaves_no_server_that_has_just_been_started(
    database: Path, free_port: Callable[[], int], start: Start
) -> None:
    process = start(AT_THE_FORK + SERVE, f"sqlite:///{database}", free_port())
    server = int(read_line(process))
    _, complaint = process.communicate()
    assert left_of([server]) == []
    assert (process.returncode, complaint) == (143, "")


def test_a_password_is_no_word_of_a_command_which_everybody_may_read() -> None:
    command, environment = server_command("postgresql://ada:secret@example.org/runs", 5000)
    assert "secret" not in " ".join(command)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://ada:secret@example.org/runs"


def test_an_address_with_a_password_and_no_port_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with HostileServer(body=b"[]") as other:
        monkeypatch.setenv("http_proxy", other.address)  # stands for port 80 of that host
        monkeypatch.delenv("no_proxy", raising=False)
        ui("http://ada:secret@mlflow.invalid", 5000, print)
    assert capsys.readouterr() == ("MLflow is served at http://ada@mlflow.invalid\n", "")
    assert [path.partition("/api")[0] for path in other.asked] == [
        "http://mlflow.invalid/health",
        "http://mlflow.invalid",
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'{"experiments": null}',
        b'{"experiments": ["a"]}',
        b'{"experiments": [{"id": 1}]}',
        b'{"experiments": [{"experiment_id": "1"}], "runs": [{"info": {}}]}',
    ],
)
def test_a_server_of_another_kind_is_shown_by_its_address(
    body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with HostileServer(body=body) as other:
        ui(other.address, 5000, print)
    assert capsys.readouterr() == (f"MLflow is served at {other.address}\n", "")


@pytest.mark.parametrize("port", [None, 70000], ids=["taken", "impossible"])
def test_a_port_that_cannot_be_used_is_named(port: int | None, database: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = port or other.getsockname()[1]
        with pytest.raises(CommandError, match=f"port {port} of 127.0.0.1 cannot be used: "):
            ui(f"sqlite:///{database}", port, print)


@pytest.mark.parametrize("password", ["", "ada:secret@"])
def test_a_server_that_runs_already_is_pointed_at_without_its_password(
    password: str,
    server: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = open_store(server, None, "pointed at")
    store.start_run("x", {}, {}).finish()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.replace("http://", f"http://{password}"))
    ui(None, 5000, print)
    shown = store.where.replace("http://", f"http://{password.replace(':secret', '')}")
    assert capsys.readouterr().out.splitlines()[0] == f"MLflow is served at {shown}"


def test_the_newest_sweep_has_a_link_with_its_search_and_columns(
    server: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(server, None, "swept")
    sweep = store.start_run("rates", {}, {"runner.kind": "sweep", "runner.metric": "val/accuracy"})
    varied = {"optimizer.learning_rate": "0.1", "of a plugin": "1", "seed": "0"}
    tags = {"runner.kind": "run", "runner.sweep": sweep.run_id, "runner.varied": json.dumps(varied)}
    config = {"optimizer": {"learning_rate": 0.1}, "seed": 0}
    job = store.start_run("a", config, tags, sweep.run_id)
    # Early stopping has kept weights that were better than those of the last evaluation.
    values = {"val/loss": 1.0, "val/accuracy": 0.5, "test/accuracy": 0.4, "best/val/accuracy": 0.6}
    job.log_metrics(0, values)
    job.finish()
    sweep.finish()
    search = f"tags.`runner.sweep` = '{sweep.run_id}' and tags.`runner.kind` = 'run'"
    ui(server, 5000, print)  # a store that is named may be another person's
    assert capsys.readouterr().out.splitlines()[1] == (
        f"The runs of rates: {store.where}&searchFilter={quote(search)}"
    )
    written = store.client.get_experiment(store.experiment_id).tags
    assert not any(name.startswith("mlflow.sharedViewState") for name in written)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    for _ in range(2):
        ui(None, 5000, print)
        *_, line = capsys.readouterr().out.splitlines()
        front, _, key = line.partition("&viewStateShareKey=")
        assert front == f"The runs of rates: {store.where}"
        tags = store.client.get_experiment(store.experiment_id).tags
        shared = {n: v for n, v in tags.items() if n.startswith("mlflow.sharedViewState.")}
        assert list(shared) == [f"mlflow.sharedViewState.{key}"]
        view = json.loads(shared.popitem()[1])
        charts = view.pop("compareRunCharts")
        assert {chart["metricSectionId"] for chart in charts} == {
            section["uuid"] for section in view.pop("compareRunSections")
        }
        coordinates, *curves = charts
        assert coordinates["selectedParams"] == ["optimizer.learning_rate"]
        assert coordinates["selectedMetrics"] == ["best/val/accuracy"]
        shown = [curve["metricKey"] for curve in curves]
        assert shown == ["val/accuracy", "val/loss", "test/accuracy"]
        assert view == {
            "isAccordionReordered": True,
            "searchFilter": search,
            "orderByKey": "metrics.`best/val/accuracy`",
            "orderByAsc": False,
            "selectedColumns": [
                "metrics.`best/val/accuracy`",
                "metrics.`test/accuracy`",
                "params.`optimizer.learning_rate`",
                "params.`seed`",
            ],
        }
