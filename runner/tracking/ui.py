"""Serves MLflow's web pages on a store, to this machine alone.

MLflow's server runs as a program of its own, and is ended with all that it started.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, Any

from runner.system.errors import CommandError, StoreError
from runner.system.signals import deferred_signals, raise_pending_sigterm
from runner.system.text import printable, without_passwords_of
from runner.tracking.backend.address import check_answers, experiment_link, request, resolve
from runner.tracking.backend.client import prepare
from runner.tracking.backend.sqlite import ensure
from runner.training.outcome import further_metrics
from runner.training.statistics import REPLICATES
from softnet import higher_is_better

_HOST = "127.0.0.1"
_STARTS_WITHIN_S = 90.0
_STOPS_WITHIN_S = 5.0
# Of a view that is shared; MLflow keeps 5,000 characters of it.
_MOST_COLUMNS, _MOST_CHARTS = 20, 4


def ui(uri: str | None, port: int, announce: Callable[[str], None]) -> None:
    """Serve the runs of a store on loopback until Ctrl-C, and announce the address.

    If the store is a tracking server, its address is announced and nothing is started. A store that
    is named may be another person's: nothing is written into it.
    """
    address, is_own = resolve(uri), uri is None
    if address.is_server:
        check_answers(address)
        announce(_links(address.shown, is_own=is_own))
        return
    if address.database is not None and address.artifacts is not None:
        ensure(address.database, address.artifacts)
    raise_pending_sigterm()
    _check_free(port)
    base = f"http://{_HOST}:{port}"
    command, environment = server_command(address.uri, port)
    server: subprocess.Popen[bytes] | None = None
    with tempfile.TemporaryFile() as output:
        try:
            with (
                deferred_signals()
            ):  # else a signal could come between the start and the assignment
                # In a session of its own: Ctrl-C reaches this process alone, and one signal to the
                # group reaches all that the server started.
                server = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            announce(f"Starting the MLflow UI on {address.shown} ...")
            _wait_for(server, output, base, address.uri)
            announce(f"{_links(base, is_own=is_own)}\nCtrl-C ends it.")
            server.wait()
            raise StoreError(f"MLflow's server ended by itself: {_last_line(output, address.uri)}")
        finally:
            if server is not None:
                _stop(server)


def server_command(uri: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command, and the environment for it, that serves a store on loopback."""
    prepare()
    command = [sys.executable, "-m", "mlflow", "server"]
    command += ["--host", _HOST, "--port", str(port), "--workers", "1"]
    return command, os.environ | {
        # Anybody on this machine can read a command line, and this may hold a password.
        "MLFLOW_BACKEND_STORE_URI": uri,
        # Without its job workers it starts in half the time and takes a quarter of the memory.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        # As the server binds it: a connection that is still closing does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"port {port} of {_HOST} cannot be used: {error}. Choose another with --port."
            ) from error


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End the server and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(server.pid, number)
            server.wait(_STOPS_WITHIN_S)


def _wait_for(server: subprocess.Popen[bytes], output: IO[bytes], base: str, uri: str) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise StoreError(f"MLflow's server did not start: {_last_line(output, uri)}")
        try:
            with request(base, "/health"):
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
    raise StoreError(f"MLflow's server did not answer within {_STARTS_WITHIN_S:.0f} s")


def _links(base: str, *, is_own: bool) -> str:
    """Say where the experiment is that was used last, and the runs of the last sweep."""
    front, of_sweep = base, ""
    # A server that wants a password, or is no MLflow, is shown by what it tells, or its address.
    with suppress(OSError, http.client.HTTPException, LookupError, TypeError, ValueError):
        found = _api(base, "experiments/search", {"max_results": 1000})
        ids = [experiment["experiment_id"] for experiment in found.get("experiments", [])]
        if newest := _newest(base, ids, ""):
            front = experiment_link(base, newest["info"]["experiment_id"])
        if sweep := _newest(base, ids, "tags.`runner.kind` = 'sweep'"):
            view = _view_of_sweep if is_own else _search_of_sweep
            link = view(base, sweep["info"]["experiment_id"], sweep["info"]["run_id"])
            of_sweep = f"\nThe runs of {printable(sweep['info']['run_name'])}: {link}"
    return f"MLflow is served at {front}{of_sweep}"


def _newest(base: str, experiment_ids: Sequence[str], search: str) -> dict[str, Any] | None:
    if not experiment_ids:
        return None
    query = {"experiment_ids": experiment_ids, "filter": search, "max_results": 1}
    found = _api(base, "runs/search", {**query, "order_by": ["start_time DESC"]})
    return next(iter(found.get("runs", [])), None)


def _runs_of(sweep_id: str) -> str:
    return f"tags.`runner.sweep` = '{sweep_id}' and tags.`runner.kind` = 'run'"


def _search_of_sweep(base: str, experiment_id: str, sweep_id: str) -> str:
    """Return the page of a sweep's runs as MLflow shows them by itself."""
    search = urllib.parse.quote(_runs_of(sweep_id))
    return f"{experiment_link(base, experiment_id)}&searchFilter={search}"


def _view_of_sweep(base: str, experiment_id: str, sweep_id: str) -> str:
    """Return the page of a sweep's runs, the best first, with columns of what differs in them.

    The pages find search and columns in a tag of the experiment, as where a person shares a view.
    A sweep has one such tag, however often it is looked at.
    """
    search = _runs_of(sweep_id)
    finished = _newest(base, [experiment_id], f"{search} and attributes.status = 'FINISHED'")
    if finished is None:
        return _search_of_sweep(base, experiment_id, sweep_id)
    data = finished["data"]
    sweep = _api(base, f"runs/get?run_id={sweep_id}")["run"]["data"]
    tags = {tag["key"]: tag["value"] for tag in (*sweep["tags"], *data["tags"])}
    metric = tags.get("runner.metric", "val/loss")
    varied = json.loads(tags.get("runner.varied", "{}"))
    params, metrics = ({one["key"] for one in data[kind]} for kind in ("params", "metrics"))
    shown_params = [key for key in varied if key in params]
    configured = [key for key in shown_params if key not in REPLICATES] or shown_params
    shown_metrics = [metric, *further_metrics(metrics, metric)]
    # MLflow puts metrics before params: two leave room for what varies.
    test = f"test/{metric.rpartition('/')[2]}"
    # Where early stopping has kept weights, the metric itself goes on to the last evaluation.
    ranking = f"best/{metric}" if f"best/{metric}" in metrics else metric
    columns = [f"metrics.`{name}`" for name in dict.fromkeys((ranking, test)) if name in metrics]
    columns += [f"params.`{key}`" for key in shown_params]
    state = {
        "searchFilter": search,
        "orderByKey": f"metrics.`{ranking}`",
        "orderByAsc": not higher_is_better(metric),
        "selectedColumns": columns[:_MOST_COLUMNS],
        **_charts(configured[:_MOST_COLUMNS], ranking, shown_metrics[:_MOST_CHARTS]),
    }
    view = json.dumps(state)
    key = hashlib.sha256(sweep_id.encode()).hexdigest()
    tag = {"experiment_id": experiment_id, "key": f"mlflow.sharedViewState.{key}", "value": view}
    _api(base, "experiments/set-experiment-tag", tag)
    return f"{experiment_link(base, experiment_id)}&viewStateShareKey={key}"


def _charts(params: Sequence[str], ranking: str, metrics: Sequence[str]) -> dict[str, Any]:
    """Return what a view's page of charts begins with; MLflow adds a chart of every other metric.

    It is parallel coordinates of the params and the metric that ranks, and a chart of each metric
    over steps; those on test rows have one step.
    """
    section = {"uuid": "sweep", "name": "sweep", "display": True, "isReordered": True}
    charts: list[dict[str, Any]] = [
        {
            "type": "PARALLEL",
            "selectedParams": params,
            "selectedMetrics": [ranking],
            "showAllRuns": True,  # and not the ten alone whose curves are drawn
        }
    ]
    charts += [
        {
            "type": "BAR" if name.startswith("test/") else "LINE",
            "metricKey": name,
            "displayName": name,
        }
        for name in metrics
    ]
    common = {"metricSectionId": "sweep", "runsCountToCompare": 10, "deleted": False}
    return {
        "isAccordionReordered": True,  # else MLflow sorts the sections by name
        "compareRunSections": [section],
        "compareRunCharts": [
            {"uuid": f"sweep-{number}", "isGenerated": False, **common, **chart}
            for number, chart in enumerate(charts)
        ],
    }


def _api(base: str, call: str, query: dict[str, Any] | None = None) -> dict[str, Any]:
    content_sent = None if query is None else json.dumps(query).encode()
    with request(base, f"/api/2.0/mlflow/{call}", content_sent) as answer:
        content = json.load(answer)
    if not isinstance(content, dict):
        raise ValueError("MLflow answers with an object")  # noqa: TRY004  (of another kind of server)
    return content


def _last_line(output: IO[bytes], uri: str) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").strip().splitlines()
    return without_passwords_of(uri, lines[-1]) if lines else "it said nothing"
