"""A cluster on this machine: PostgreSQL, an MLflow server before it, a Dask scheduler and workers.

    python -m benchmarks.sweeps.cluster [--workers 2]     keeps it until Ctrl-C

Each part is a process of its own, on loopback; what they write is in one folder.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from runner.tracking.ui import server_command

CHECKOUT = Path(__file__).resolve().parents[2]
_WITHIN_S = 120
# Else Dask's processes watch themselves, for a fiftieth of a core each; see docs/cluster.md.
FRUGAL = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "500ms",
    "DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL": "1s",
}
# PostgreSQL refuses to be run by root; Debian's packages make this user for it.
_USER = "postgres"
_PROGRAMS = [Path(folder) for folder in ("/usr/lib/postgresql", "/usr/local/lib/postgresql")]


def free_port() -> int:
    """Find a port that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def missing_for_postgres() -> str:
    """Say why PostgreSQL cannot be started here; nothing where it can."""
    if _program("initdb") is None or _program("postgres") is None:
        return "PostgreSQL is not installed (on Debian: apt-get install postgresql)"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam(_USER)
        except KeyError:
            return f"root may not run PostgreSQL, and there is no user {_USER!r}"
    return ""


def _program(name: str) -> str | None:
    found = shutil.which(name)
    beside = [path for folder in _PROGRAMS for path in sorted(folder.glob(f"*/bin/{name}"))]
    return found or next((str(path) for path in reversed(beside)), None)


@contextmanager
def postgres(log_file: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a PostgreSQL of its own, and give its URI and its process."""
    # Not below a folder that somebody closes to other users, as pytest closes its own.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        yield from _postgres_in(Path(folder), log_file)


def _postgres_in(folder: Path, log_file: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port, data = free_port(), folder / "data"
    as_user: dict[str, object] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam(_USER)
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    initdb, server = _program("initdb"), _program("postgres")
    words = [initdb, "-D", data, "-A", "trust", "-U", "runner", "--no-sync"]
    with log_file.open("ab") as log:
        subprocess.run(words, cwd="/", stdout=log, stderr=log, check=True, **as_user)  # type: ignore[call-overload]  # a dict of options
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        process = subprocess.Popen(  # type: ignore[call-overload]  # a dict of options
            [server, "-D", data, "-p", str(port), *options],
            cwd="/", stdout=log, stderr=log, start_new_session=True, **as_user,
        )  # fmt: skip
    try:
        _wait_for_port(port, process)
        yield f"postgresql://runner@127.0.0.1:{port}/postgres", process
    finally:
        process.send_signal(signal.SIGINT)  # to PostgreSQL: end at once, and in order
        process.wait(_WITHIN_S)


@contextmanager
def tracking_server(
    store: str, folder: Path, port: int
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run an MLflow server on a store, which keeps artifacts itself; give its address."""
    command, environment = server_command(store, port)
    with (folder / "mlflow.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, "--artifacts-destination", str(folder / "artifacts")],
            env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for_server(port, process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        end_group(process)


def _wait_for_server(port: int, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + _WITHIN_S
    while time.monotonic() < until_s and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
            return
        time.sleep(0.1)
    raise SystemExit("the MLflow server does not answer; see mlflow.log")


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + _WITHIN_S
    while time.monotonic() < until_s and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit("PostgreSQL does not answer; see postgres.log")


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that heads a group of its own, and whatever it started."""
    for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        if number != signal.SIGCONT:
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
                return


@dataclass
class Cluster:
    """A Dask scheduler and its workers; what each says is in ``<name>.log``."""

    folder: Path
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """What `executor.address` is to be."""
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self, *options: str) -> None:
        """Start the scheduler, without its dashboard unless options say otherwise."""
        words = (f"--port={self.port}", "--host=127.0.0.1", *(options or ("--no-dashboard",)))
        self._start("scheduler", self._command("scheduler", *words), self.folder, {})

    def start_worker(
        self,
        name: str,
        *options: str,
        within: Sequence[str] = (),
        folder: Path | None = None,
        **variables: str,
    ) -> None:
        """Start a worker; without a nanny, so that its death is its end."""
        words = ("--nthreads=1", "--no-nanny", "--no-dashboard", f"--name={name}", *options)
        command = self._command("worker", self.address, *words, f"--local-directory={self.folder}")
        self._start(name, [*within, *command], folder or self.folder, variables)

    @staticmethod
    def _command(program: str, *words: str) -> list[str]:
        return [sys.executable, "-m", f"distributed.cli.dask_{program}", *words]

    def _start(
        self, name: str, command: list[str], folder: Path, variables: Mapping[str, str]
    ) -> None:
        environment = {
            **os.environ,
            **FRUGAL,
            **self.settings,
            "PYTHONPATH": str(CHECKOUT),
            **variables,
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def log(self, name: str) -> str:
        """Return what a process of it has said."""
        return (self.folder / f"{name}.log").read_text("utf-8", "replace")

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process of it."""
        os.kill(self.processes[name].pid, number)

    def mend(self) -> None:
        """Have the scheduler and two workers run, and nothing else; start what is missing."""
        for name, process in list(self.processes.items()):
            if name not in ("scheduler", "one", "two") or process.poll() is not None:
                self._end(name)
        if "scheduler" not in self.processes:
            self.end()
            self.start_scheduler("--dashboard-address=127.0.0.1:0")
        for name in ("one", "two"):
            if name not in self.processes:
                self.start_worker(name)

    def end(self) -> None:
        """End all processes of it."""
        for name in list(self.processes):
            self._end(name)

    def _end(self, name: str) -> None:
        end_group(self.processes.pop(name))


class Serving(NamedTuple):
    """A tracking server: its address and process, the URI of its database, and that's process."""

    address: str
    process: subprocess.Popen[bytes]
    database: str
    database_process: subprocess.Popen[bytes] | None


@contextmanager
def served(folder: Path, port: int) -> Iterator[Serving]:
    """Run a tracking server on PostgreSQL, or on SQLite where there is none."""
    with ExitStack() as stack:
        store, process = f"sqlite:///{folder}/mlflow.db", None
        if not missing_for_postgres():
            store, process = stack.enter_context(postgres(folder / "postgres.log"))
        yield Serving(*stack.enter_context(tracking_server(store, folder, port)), store, process)


def main() -> None:
    """Keep a whole cluster until Ctrl-C, and say how to use it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        folder = Path(name)
        print(missing_for_postgres() or "PostgreSQL keeps the runs.")
        cluster = Cluster(folder, free_port())
        try:
            cluster.start_scheduler("--dashboard-address=127.0.0.1:0")
            for number in range(options.workers):
                cluster.start_worker(f"worker-{number}")
            with served(folder, free_port()) as (server, *_):
                print(
                    f"Runs are shown at {server}. Try, in another terminal:\n"
                    f"  runner -m executor=dask executor.address={cluster.address} "
                    f"tracking.uri={server} experiment=digits 'seed=range(0,20)'\nCtrl-C ends it.",
                    flush=True,
                )
                signal.sigwait({signal.SIGINT, signal.SIGTERM})
        finally:
            cluster.end()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
