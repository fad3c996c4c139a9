"""MLflow is imported late, quietly, and without its telemetry; its errors become one line."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from mlflow.exceptions import MlflowException

from runner.system.errors import StoreError
from runner.tracking.backend.client import prepare, store_errors
from tests.runner.tracking.conftest import Start


def test_importing_the_room_imports_no_mlflow(start: Start) -> None:
    code = "import sys, runner.tracking, runner.tracking.ui; print('mlflow' in sys.modules)"
    assert start(code).communicate() == ("False\n", "")


TELEMETRY = """
import sys
sent = []
sys.addaudithook(lambda event, arguments: event == "socket.connect" and sent.append(arguments))
from runner.tracking import open_store
open_store(sys.argv[1], None, "x").start_run("x", {}, {}).finish()
from mlflow.telemetry.client import get_telemetry_client
print(get_telemetry_client(), sent)
"""


def test_nothing_is_sent_anywhere_and_nothing_said(tmp_path: Path, start: Start) -> None:
    process = start(TELEMETRY, f"sqlite:///{tmp_path}/mlflow.db")
    assert process.communicate() == ("None []\n", "")


def test_what_a_person_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    prepare()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_a_server_that_is_gone_is_said_in_few_words(
    free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(StoreError) as caught, store_errors(uri):
        MlflowClient(uri).get_run("0" * 32)
    assert str(caught.value) == f"{uri}: the server does not answer: connection refused"


DISK = "cannot be written: no space left on device ("
ERRORS = {
    "disk with a file": (
        OSError(28, "No space left on device", "/data/x"),
        f"/data/x: {DISK}",
        ")",
    ),
    "full disk": (OSError(28, "No space left on device"), f"/data/my.db: {DISK}", " bytes free)"),
    "connection": (ConnectionError("reset\nby peer"), "sqlite:////data/my.db: ", "reset"),
    "nothing said": (OSError(), "sqlite:////data/my.db: ", "OSError"),
}


@pytest.mark.parametrize(("error", "start", "end"), ERRORS.values(), ids=ERRORS)
def test_an_error_becomes_one_line_that_names_the_file_or_the_store(
    error: Exception, start: str, end: str
) -> None:
    with pytest.raises(StoreError) as caught, store_errors("sqlite:////data/my.db"):
        raise error
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith(end)
    assert len(str(caught.value).splitlines()) == 1


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), store_errors("sqlite:////data/my.db"):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("no way to http://ada:sec%21ret@host/api with sec!ret"),
        MlflowException("API request to http://ada:sec%21ret@host/api failed with sec!ret"),
        ImportError("no module for sec!ret", name="psycopg"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_password_is_said_neither_of_the_place_nor_by_the_error(error: Exception) -> None:
    with pytest.raises(StoreError) as caught, store_errors("http://ada:sec%21ret@host"):
        raise error
    assert str(caught.value).startswith("http://ada@host: ")
    assert "sec!ret" not in unquote(str(caught.value))
