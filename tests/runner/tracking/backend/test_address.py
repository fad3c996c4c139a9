"""Which store is meant, and what is said when it cannot be."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.system.errors import ConfigError, StoreError
from runner.system.paths import outputs_folder
from runner.tracking.backend import address
from runner.tracking.backend.address import Address, check_answers, resolve
from tests.runner.tracking.hostile_server import HostileServer

BAD = {
    "foo://x": "must be sqlite:///FILE, http://HOST:PORT, https://HOST, databricks, or",
    "http://": "must be http://HOST:PORT or https://HOST, got 'http://'.",
    "http://host:port": "must be http://HOST:PORT or https://HOST, got 'http://host:port'.",
    "https:///path": "must be http://HOST:PORT or https://HOST, got 'https:///path'.",
    "sqlite://x.db": "with three slashes, got 'sqlite://x.db'. Did you mean 'sqlite:///x.db'?",
    "sqlite://": "with three slashes, got 'sqlite://'.",
    "sqlite:///": "with three slashes, got 'sqlite:///'.",
    "sqlite:///:memory:": "a file that stays, got 'sqlite:///:memory:'.",
    "sqlite:///x.db?mode=ro": "a file that stays, got 'sqlite:///x.db?mode=ro'.",
    "sqlite:////usr": "a file and not a folder, got '/usr'. Did you mean 'sqlite:////usr/mlflow.db'",
    "/usr": "got '/usr'. Did you mean 'sqlite:////usr/mlflow.db'?",
    "/data/my.db": "got '/data/my.db'. Did you mean 'sqlite:////data/my.db'?",
    "": "got ''.",
}


@pytest.mark.parametrize(("uri", "said"), BAD.items(), ids=BAD)
def test_a_bad_uri_is_refused_in_one_line(uri: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(uri)
    assert str(caught.value).startswith("tracking.uri: must be ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


UNDERSTOOD = ["http://127.0.0.1:5000", "https://mlflow.example.org/team", "databricks"]
UNDERSTOOD += ["postgresql://user@host/runs", "mysql+pymysql://user@host/runs", "databricks://me"]


@pytest.mark.parametrize("uri", UNDERSTOOD)
def test_what_mlflow_understands_is_passed_on(uri: str) -> None:
    assert resolve(uri) == Address(uri)


def test_null_means_the_variable_else_the_database_in_the_outputs_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = resolve(None)
    assert found.database == outputs_folder() / "mlflow.db"
    assert found.uri == f"sqlite:///{outputs_folder()}/mlflow.db"
    assert found.artifacts == outputs_folder() / "artifacts"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert resolve(None).uri == "http://127.0.0.1:5000"
    assert resolve("sqlite:////data/my.db").uri == "sqlite:////data/my.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "foo://x")
    with pytest.raises(ConfigError, match=r"^MLFLOW_TRACKING_URI: must be"):
        resolve(None)


def test_the_place_of_files_is_that_of_a_database_server_alone() -> None:
    database = "postgresql://ada@host/runs"
    assert resolve(database, "/srv/my files/").place == "file:///srv/my%20files"
    assert resolve(database, "s3://bucket/path").place == "s3://bucket/path"
    for uri in ("sqlite:////data/my.db", "http://127.0.0.1:5000"):
        with pytest.raises(ConfigError, match=r"^tracking\.artifacts: must be null where tracking"):
            resolve(uri, "/srv")


def test_a_relative_database_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve("sqlite:///my.db").database == tmp_path / "my.db"
    assert resolve("sqlite:///my.db").uri == f"sqlite:///{tmp_path}/my.db"


# No message of a host that answers well, or not at all, may depend on the speed of this machine.
PATIENCE_S = 120.0


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "ANSWER_WITHIN_S", PATIENCE_S)


def test_a_server_that_is_down_is_said_at_once(free_port: Callable[[], int], patient: None) -> None:
    down = Address(f"http://127.0.0.1:{free_port()}")
    started = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        check_answers(down)
    assert time.monotonic() - started < PATIENCE_S / 2
    assert str(caught.value) == (
        f"tracking.uri: no MLflow server answers at {down.uri}: connection refused."
    )


def test_a_host_that_does_not_exist_is_said(patient: None) -> None:
    # However long the resolver asks around.
    with pytest.raises(ConfigError, match=r"at http://no\.such\.host\.invalid:5000: no such host"):
        check_answers(Address("http://no.such.host.invalid:5000"))


@pytest.mark.parametrize("scheme", ["http://", "postgresql+psycopg://ada@"])
def test_a_server_that_never_answers_is_not_waited_for(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scheme.startswith("postgresql"):
        pytest.importorskip("psycopg", reason="softnet-runner[postgres] is not installed")
    assert address.ANSWER_WITHIN_S < 10
    monkeypatch.setattr(address, "ANSWER_WITHIN_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"{scheme}127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"no answer within 0\.3 s"):
            check_answers(Address(uri))


def test_a_server_that_wants_a_password_is_there(patient: None) -> None:
    with HostileServer(status=401) as server:
        check_answers(Address(server.address))


def test_a_server_of_another_protocol_is_none(patient: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(PATIENCE_S / 2)

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example.org ESMTP\r\n")

        with ThreadPoolExecutor(1) as pool:
            pool.submit(greet)
            uri = f"http://127.0.0.1:{listening.getsockname()[1]}"
            with pytest.raises(ConfigError, match=r"no MLflow server answers at .*: 220 mail"):
                check_answers(Address(uri))


@pytest.mark.parametrize("at", ["disk", "disk/deeper", "mlflow.db"])
def test_a_link_whose_target_is_away_is_named_and_nothing_is_made(at: str, tmp_path: Path) -> None:
    database = tmp_path / "disk" / "deeper" / "mlflow.db"
    link = tmp_path / at if at != "mlflow.db" else database
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "not mounted")
    with pytest.raises(StoreError, match=r"is a link to .*not mounted, which is away") as caught:
        resolve(f"sqlite:///{database}")
    assert str(caught.value).startswith(str(link))
    assert not (tmp_path / "not mounted").exists()
