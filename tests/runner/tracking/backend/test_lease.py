"""A name in a store: one process at a time has it, whoever dies."""

import os
import signal
import socket
import time
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient

from runner.system.errors import StoreError
from runner.tracking.backend import lease
from runner.tracking.backend.address import Address, resolve
from runner.tracking.backend.lease import Lease, Turn, Watch
from tests.runner.processes import WITHIN_S
from tests.runner.tracking.conftest import Start

# Takes the name again and again; says so in a file, and dies with it now and then.
CONTENDER = """
import os, signal, sys
from runner.tracking.backend import lease
from runner.tracking.backend.address import resolve
lease._LOOK_EVERY_S = 0.05
address, file, times, deaths = resolve(sys.argv[1]), *sys.argv[2:]
log = os.open(file, os.O_WRONLY | os.O_APPEND)
for number in range(int(times)):
    with lease.Lease(address, "race").held(lambda process: None):
        os.write(log, b"+")
        if number == int(times) - 1 and deaths == "dies":
            os.write(log, b"x")
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(log, b"-")
"""


@pytest.fixture
def address(server: str) -> Address:
    return resolve(server)


def test_of_several_that_want_it_one_has_it_also_after_a_death(
    server: str, start: Start, tmp_path: Path
) -> None:
    file = tmp_path / "log"
    file.touch()
    contenders = [start(CONTENDER, server, file, 4, end) for end in ("dies", "dies", "lives")]
    for process in contenders:
        _, said = process.communicate(timeout=120)
        assert process.returncode in {0, -signal.SIGKILL}, said
    text = file.read_text()
    # Whoever enters finds it left, or its holder dead.
    assert text.replace("+-", "").replace("+x", "") == ""
    assert Counter(text) == {"+": 12, "-": 10, "x": 2}


def test_one_that_holds_it_is_named_to_those_that_wait(address: Address) -> None:
    first, second = (Lease(address, "named") for _ in range(2))
    with first.held(lambda _: None):
        holder = second.try_to_take()
        assert holder is not None
        assert f"-{os.getpid()}-" in holder
    assert second.try_to_take() is None


def test_a_holder_on_another_machine_is_waited_for_until_it_expires(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "process_name", lambda: "elsewhere-1-1")
    assert Lease(address, "far").try_to_take() is None
    monkeypatch.undo()
    here = Lease(address, "far")
    assert here.try_to_take() == "elsewhere-1-1"
    monkeypatch.setattr(lease, "EXPIRES_AFTER_S", -5.0)  # its last sign is older than that
    assert here.try_to_take() is None


def test_who_has_lost_it_is_told(address: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_SIGN_EVERY_S", 0.05)
    held = Lease(address, "lost")
    with held.held(lambda _: None):
        held.require()
        until = time.monotonic() + WITHIN_S
        while not held._is_lost:  # a sign of its own may come between
            assert time.monotonic() < until
            held._client.update_registered_model(held._name, "elsewhere-1-1")
        with pytest.raises(StoreError, match="another runs this sweep now"):
            held.require()
    assert Lease(address, "lost").try_to_take() == "elsewhere-1-1"


def test_who_was_suspended_asks_before_anything_else(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Lease(address, "suspended")
    with held.held(lambda _: None):
        workers = Watch(address, held.turn)
        assert not workers.is_lost()
        held._client.update_registered_model(held._name, "elsewhere-1-1")
        held.require()  # what was heard of it counts for some seconds
        assert not workers.is_lost()
        woken_s = time.time() + 2 * lease._COUNTS_FOR_S
        monkeypatch.setattr(time, "time", lambda: woken_s)
        assert workers.is_lost()
        with pytest.raises(StoreError, match="another runs this sweep now"):
            held.require()


@pytest.mark.usefixtures("few_tries")
def test_a_server_that_was_away_for_long_has_its_holder_still(address: Address) -> None:
    held = Lease(address, "away")
    with held.held(lambda _: None):
        client, uri = held._client, "http://127.0.0.1:9"
        held._client = MlflowClient(uri, registry_uri=uri)
        held._held_s = long_ago_s = time.time() - 10 * lease.EXPIRES_AFTER_S
        held.require()  # nothing can be written there either
        assert held._held_s == long_ago_s
        held._client = client
        held.require()
        assert held._held_s > long_ago_s


def test_who_takes_over_waits_until_the_workers_of_the_other_have_asked(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(lease, "process_name", lambda: "elsewhere-1-1")
        assert Lease(address, "busy").try_to_take() is None
        workers = Watch(address, Turn("runner-lock-busy", "elsewhere-1-1"))
        assert not workers.is_lost()
    monkeypatch.setattr(lease, "EXPIRES_AFTER_S", -5.0)
    monkeypatch.setattr(lease, "_COUNTS_FOR_S", 0.1)
    monkeypatch.setattr(lease, "_WAITED_FOR_S", 0.2)
    began_s = time.monotonic()
    with Lease(address, "busy").held(lambda _: None):
        assert time.monotonic() - began_s >= lease._WAITED_FOR_S > lease._COUNTS_FOR_S
        assert workers.is_lost()


@pytest.mark.usefixtures("few_tries")
def test_a_server_that_hangs_holds_up_no_fork(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_SIGN_EVERY_S", 0.05)
    held = Lease(address, "hanging")
    client = held._client
    with socket.create_server(("127.0.0.1", 0)) as silent, held.held(lambda _: None):
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        held._client = MlflowClient(uri, registry_uri=uri)
        with silent.accept()[0] as request:
            request.recv(1)  # that of a sign has come, and gets no answer
            before_s = time.monotonic()
            if (child := os.fork()) == 0:
                os._exit(0)
            os.waitpid(child, 0)
            # It waits for one second; MLflow would wait for thirty.
            assert time.monotonic() - before_s < 10
            held._client = client
