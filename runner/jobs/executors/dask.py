"""Runs stacks on the workers of a Dask scheduler, which may be other machines.

Dask carries tasks and messages; which worker gets which task is decided here. So a task is tried
again only by the session, which counts the workers that it has cost: Dask itself would hand the
task of a dead worker to the next one.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import queue
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from runner.config.schema import Experiment
from runner.jobs.events import Crashed, Ended, Notice, Progress, WorkerEvent
from runner.jobs.executors.interface import DataFile, Events, Executor, Work
from runner.jobs.worker.stack_run import located, run_stack
from runner.jobs.worker.task import Task
from runner.system.errors import (
    ClusterError,
    ConfigError,
    DataError,
    RunnerError,
    StoreError,
    Terminated,
)
from runner.system.formatting import count
from runner.training.environment import environment

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

# A person who presses Ctrl-C waits two seconds at most.
_GRACE_S = 1.5
# How soon a lost scheduler is noticed.
_LOOK_EVERY_S = 0.2
# Progress is put together on its way.
_SEND_EVERY_S = 0.2
# A worker that has not asked for so long was busy, or stopped: it asks whether its task is still
# its own. Schedulers give a worker up after minutes.
_STOPPED_S = 1.0


@dataclass(frozen=True)
class _Done:
    """A worker is at the end of a task; `error` is that of the store, which ends the session."""

    error: str = ""


@dataclass(frozen=True)
class _Broken:
    """A task could not be carried out at all, or its worker was told to leave it."""

    reason: str


@dataclass(frozen=True)
class _Joined:
    """A worker has joined the scheduler."""

    address: str


@dataclass(frozen=True)
class _Left:
    """A worker has left the scheduler."""

    address: str


@dataclass(frozen=True)
class _Answered:
    """A worker that was asked has said what it is; the `answer` may be an error."""

    address: str
    answer: Any


_STOPPED = _Broken("the worker was told to stop")


@dataclass
class _Running:
    """A task at a worker; `future` is what keeps Dask at it."""

    task: Task
    worker: str
    future: Future[Any]


class DaskCluster(Executor):
    """Runs tasks on the workers of a scheduler, one at a time on each.

    The address is ``tcp://HOST:PORT``, ``tls://HOST:PORT``, or the path of a scheduler file. It
    waits `wait_s` seconds for `n_workers`, and uses no more; None takes all that there are. A job
    whose worker died is tried again `retries` times. In workers `work` is called with each task and
    with what tells it to stop, and gives a generator of events.
    """

    is_remote = True

    def __init__(
        self,
        address: str,
        n_workers: int | None = None,
        retries: int = 2,
        wait_s: float = 10.0,
        work: Work = run_stack,
    ) -> None:
        super().__init__(n_workers or 1, work)
        self.most_deaths = retries + 1
        self._address, self._n_workers, self._wait_s = address, n_workers, wait_s
        self._running: dict[int, _Running] = {}
        self._n_begun = 0
        self._topic = f"runner-{uuid.uuid4().hex}"
        # What the thread of Dask's client hands over: events, with the number of their task.
        self._inbox: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._client: Client | None = None
        self._files: Sequence[DataFile] = ()
        self._mark: tuple[Path, bytes] | None = None
        # Why each worker, by its address, cannot run jobs; None where it can.
        self._workers: dict[str, RunnerError | None] = {}
        # What there is to tell of them, once somebody listens.
        self._said: list[WorkerEvent | Crashed | Notice] = []
        # Those that have not said yet whether they can.
        self._asked: set[str] = set()

    def __enter__(self) -> Self:
        self._connected()
        return self

    def __exit__(self, *_: object) -> None:
        """Have workers leave what they are at, and wait until they have closed their runs."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            if self._running and client.status == "running":
                client.cancel([running.future for running in self._running.values()], force=True)
                self._receive_rest(time.monotonic() + _GRACE_S)
        finally:
            with suppress(Exception):  # whatever a lost scheduler makes it raise
                client.close(timeout=_GRACE_S)

    def require_workers(self, files: Sequence[DataFile] = (), mark: Path | None = None) -> None:
        """Raise `RunnerError` if a worker lacks a file, or would have other results."""
        self._files = files
        self._mark = None if mark is None else (mark, mark.read_bytes())
        client = self._connected()
        for address in client.scheduler_info()["workers"]:
            self._ask(client, address)
        until_s = time.monotonic() + max(self._wait_s, _LOOK_EVERY_S)
        while self._asked and time.monotonic() < until_s:
            try:
                number, event = self._inbox.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                self._require_scheduler(client)
            else:
                self._said += self._received(client, number, event)
        if not self._workers:
            raise ConfigError.plain(
                f"executor.address: no worker of {self._address} has said within "
                f"executor.wait_s={self._wait_s:g} seconds what it runs."
            )
        for problem in self._workers.values():
            if problem is not None:
                raise problem

    @property
    def capacity(self) -> int:
        """How many tasks run at the same time, as long as no worker joins or leaves."""
        n_usable = sum(problem is None for problem in self._workers.values())
        return max(min(n_usable, self._n_workers or n_usable), 1)

    def events(self) -> Events:
        """Go through what the tasks yield, as it comes, and through each `Crashed`.

        Raises `StoreError` if a worker met one. Raises `ClusterError` if the scheduler is lost, or
        its last worker does not come back.
        """
        client = self._connected()
        if not self._workers:
            self.require_workers()
        if client.dashboard_link:
            yield Notice(f"{count(self.capacity, 'worker')}; dashboard: {client.dashboard_link}")
        yield from self._said
        self._said.clear()
        for address in sorted(self._asked):
            yield Notice(
                f"The worker {address} has not said within {self._wait_s:g} s what it runs: it "
                "gets jobs when it has."
            )
        had_workers_s = time.monotonic()
        while self._waiting or self._running:
            self._distribute(client)
            if self._running:
                had_workers_s = time.monotonic()
            elif time.monotonic() - had_workers_s > max(self._wait_s, _LOOK_EVERY_S):
                raise ClusterError(
                    f"{self._address}: has no worker any more, and none came for "
                    f"{self._wait_s:g} s. Start workers; the same command goes on."
                )
            try:
                number, event = self._inbox.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                self._require_scheduler(client)
                continue
            yield from self._received(client, number, event)

    def _require_scheduler(self, client: Client) -> None:
        if client.status != "running":
            raise ClusterError(
                f"{self._address}: the scheduler is lost. What was recorded is kept; when a "
                "scheduler answers again, the same command goes on."
            )

    def _received(self, client: Client, number: int, event: Any) -> Events:  # noqa: ANN401  (unpickled)
        """Take a message of a worker or of the scheduler, and pass on what a session understands.

        A `StoreError` that a worker met is raised.
        """
        if isinstance(event, _Joined):
            if event.address not in self._workers:
                self._ask(client, event.address)
        elif isinstance(event, _Answered):
            yield from self._add_worker(event.address, event.answer)
        elif isinstance(event, _Left):
            yield from self._remove_worker(event.address)
        elif number not in self._running:
            return  # it was given up, and its task is another's
        elif isinstance(event, _Done | _Broken):
            running = self._running.pop(number)
            running.future.release()
            if isinstance(event, _Broken):
                yield Crashed(running.task, event.reason)
            elif event.error:
                raise StoreError(event.error)
        else:
            yield event

    def _add_worker(self, address: str, answer: Any) -> Events:  # noqa: ANN401  (unpickled)
        if address not in self._asked:
            return  # it has left meanwhile
        self._asked.discard(address)
        if isinstance(answer, OSError):  # it is about to leave, or the scheduler is lost
            yield Notice(f"The worker {address} gets no jobs: {answer}")
            return
        if isinstance(answer, Exception):  # such as what Python says of a package that is missing
            problem: RunnerError | None = ConfigError.plain(
                f"executor.address: the worker {address} cannot run jobs: "
                f"{type(answer).__name__}: {answer}. Install there what is installed here."
            )
        else:
            decisive, problem = answer
            problem = problem or _difference(address, decisive)
        self._workers[address] = problem
        if problem is not None:
            yield Notice(f"The worker {address} gets no jobs: {problem}")

    def _remove_worker(self, address: str) -> Events:
        self._workers.pop(address, None)
        self._asked.discard(address)
        for number, running in list(self._running.items()):
            if running.worker == address:
                del self._running[number]
                # Should it come back, or another take its address: its task is not its own.
                running.future.cancel(force=True)
                yield Crashed(running.task, f"the worker {address} died or was lost")

    def _distribute(self, client: Client) -> None:
        busy = {running.worker for running in self._running.values()}
        for address, problem in self._workers.items():
            if not self._waiting or len(self._running) >= (self._n_workers or len(self._workers)):
                return
            if address in busy or problem is not None:
                continue
            self._n_begun += 1
            task = self._next()
            given = self._work, pickle.dumps(task), self._n_begun, self._topic
            future = self._submit(client, address, f"task-{self._n_begun}", _carry_out, *given)
            self._running[self._n_begun] = _Running(task, address, future)

    def _ask(self, client: Client, address: str) -> None:
        """Have a worker say whether it can run jobs; that waits for no task that it is at."""

        async def answer() -> None:
            try:
                answers = await client.run(
                    *(_describe, list(self._files), self._mark),
                    workers=[address],
                    on_error="return",
                )
                said = answers[address]
            except Exception as error:  # noqa: BLE001  (whatever it is, it is the answer)
                said = error
            self._inbox.put((0, _Answered(address, said)))

        self._asked.add(address)
        loop: Any = client.loop
        asyncio.run_coroutine_threadsafe(answer(), loop.asyncio_loop)

    def _submit(
        self, client: Client, address: str, name: str, function: Callable[..., Any], *given: object
    ) -> Future[Any]:
        """Have one worker, and no other, call a function."""
        return client.submit(
            function,
            *given,
            key=f"{self._topic}-{name}",
            workers=[address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )

    def _connected(self) -> Client:
        if self._client is None:
            self._client = self._connect()
            self._client.subscribe_topic(self._topic, self._put_event)
            self._client.subscribe_topic("all", self._put_news)
            try:
                self._client.wait_for_workers(self._n_workers or 1, timeout=self._wait_s)
            except TimeoutError:
                n_workers = len(self._client.scheduler_info()["workers"])
                self._client.close()
                self._client = None
                raise ConfigError(
                    "executor.n_workers",
                    f"at most the workers that {self._address} has within {self._wait_s:g} s "
                    f"({n_workers})",
                    self._n_workers or 1,
                ) from None
        return self._client

    def _connect(self) -> Client:
        """Return a client of the scheduler.

        Raises `ConfigError` if there is no scheduler, or no dask.distributed to ask it with.
        """
        try:
            from distributed import Client
        except ModuleNotFoundError:
            raise ConfigError(
                "executor",
                "local where dask.distributed is not installed",
                "dask",
                "It comes with: pip install 'softnet-runner[cluster]'",
            ) from None
        # What goes wrong is said here, in a line. Dask gives some loggers a level of their own.
        own = ("distributed.client", "tornado.application")
        for name in ("distributed", "tornado", "asyncio", *own):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        where: dict[str, str] = {"address": self._address}
        if "://" not in self._address:
            if not Path(self._address).is_file():
                raise ConfigError(
                    "executor.address",
                    "tcp://HOST:PORT, tls://HOST:PORT or a scheduler file that exists",
                    self._address,
                )
            where = {"scheduler_file": self._address}
        try:
            return Client(**where, timeout=self._wait_s, set_as_default=False, name="runner")
        # No port or no scheduler file; a file without an address; no certificates for tls://.
        except (OSError, ValueError, AssertionError, TypeError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise ConfigError.plain(
                f"executor.address: no Dask scheduler answers at {self._address} within "
                f"executor.wait_s={self._wait_s:g} seconds: {reason}."
            ) from error

    def _put_event(self, event: tuple[float, Any]) -> None:
        number, content = event[1]
        self._inbox.put((number, pickle.loads(content)))  # noqa: S301  (from `_Sender`)

    def _put_news(self, event: tuple[float, Any]) -> None:
        match event[1]:
            case {"action": "add-worker", "worker": str(address)}:
                self._inbox.put((0, _Joined(address)))
            case {"action": "remove-worker", "worker": str(address)}:
                self._inbox.put((0, _Left(address)))

    def _receive_rest(self, until_s: float) -> None:
        """Keep what workers send until each is at the end of its task."""
        while self._running and (left_s := until_s - time.monotonic()) > 0:
            with suppress(queue.Empty):
                number, event = self._inbox.get(timeout=left_s)
                if isinstance(event, _Done | _Broken):
                    self._running.pop(number, None)
                elif number in self._running:
                    self.late.append(event)


# What must be the same for the same bits; the processor may be another, and its runs say so.
_DECISIVE = {
    "code": "code",
    "python": "Python",
    "numpy": "NumPy",
    "libc": "the C library",
    "blas": "BLAS",
}


def _difference(address: str, there: dict[str, Any]) -> ConfigError | None:
    """Return the first thing in which a worker's results would differ from those made here."""
    here = environment()["decisive"]
    for name, label in _DECISIVE.items():
        its, ours = (_without_processor(decisive.get(name)) for decisive in (there, here))
        if its != ours:
            return ConfigError.plain(
                f"executor.address: the worker {address} has other results: {label} is {its} "
                f"there, and {ours} here. Install the same softnet-runner and packages there."
            )
    return None


def _without_processor(fact: object) -> object:
    """Leave out which of its kernels a library chose for its processor."""
    if isinstance(fact, list):
        return ", ".join(f"{blas['library']} {blas['version']}" for blas in fact)
    return fact


async def _describe(
    files: Sequence[DataFile], mark: tuple[Path, bytes] | None, dask_worker: Worker
) -> tuple[dict[str, Any], RunnerError | None]:
    """Return what `_description` does, beside what the worker is at."""
    return await asyncio.to_thread(_description, dask_worker.address, files, mark)


def _description(
    address: str, files: Sequence[DataFile], mark: tuple[Path, bytes] | None
) -> tuple[dict[str, Any], RunnerError | None]:
    """Return what decides the bits in this worker, and what is wrong with a file here."""
    from runner.training.data import load

    decisive = environment()["decisive"]
    if mark is not None and (not mark[0].is_file() or mark[0].read_bytes() != mark[1]):
        return decisive, ConfigError.plain(
            f"tracking.artifacts: must be a folder that all machines share; {mark[0].parent} is "
            f"not the same on the worker {address}."
        )
    for file in files:
        try:
            experiment = located(Experiment.from_dict(file.config), file.folder)
            dataset = load(experiment.data, experiment.task)
        except RunnerError as error:
            return decisive, DataError(f"on the worker {address}: {error}")
        if dataset.digest != file.digest:
            return decisive, DataError(
                f"{dataset.source}: must have the content that it has on this machine, with the "
                f"digest {file.digest[:12]!r}, got {dataset.digest[:12]!r} on the worker "
                f"{address}."
            )
    return decisive, None


def _carry_out(work: Work, content: bytes, number: int, topic: str) -> None:
    """Carry a task out in a worker, and send its events to whoever has given it."""
    from distributed import get_worker

    worker: Any = get_worker()
    sender = _Sender(worker, topic, number)
    log = logging.getLogger("distributed.worker.runner")
    end: _Done | _Broken = _Done()
    try:
        task = pickle.loads(content)  # noqa: S301  (whoever reaches the scheduler can run anything)
        stop = _StopFlag(worker, worker.get_current_task())
        with closing(work(task, stop)) as events:
            for event in events:
                sender.send(event)
                if isinstance(event, Ended) and event.outcome is not None:
                    log.info("%s: %s", event.outcome.name, event.outcome.status)
                if stop():
                    end = _STOPPED
                    break
    except Terminated:
        end = _STOPPED
    except StoreError as error:
        end = _Done(str(error))
    except Exception as error:
        log.exception("A task failed")
        end = _Broken(f"{type(error).__name__}: {error}")
    finally:
        sender.send(end)


class _Sender:
    """Sends the events of a task to whoever has given it; progress is put together."""

    def __init__(self, worker: Worker, topic: str, number: int) -> None:
        self._worker, self._topic, self._number = worker, topic, number
        self._progress: Progress | None = None
        self._sent_s = 0.0

    def send(self, event: WorkerEvent | _Done | _Broken) -> None:
        """Send an event, after the progress that came before it."""
        events = [event]
        if isinstance(event, Progress):
            n = event.n + (self._progress.n if self._progress else 0.0)
            self._progress, events = Progress(n, event.loss), []
            if time.monotonic() - self._sent_s < _SEND_EVERY_S:
                return
        for one in [self._progress, *events] if self._progress else events:
            self._worker.log_event(self._topic, (self._number, pickle.dumps(one)))
        self._progress, self._sent_s = None, time.monotonic()


class _StopFlag:
    """Tells a task, which no signal reaches in its thread, whether it is still to be done.

    It is not when it was cancelled, when whoever gave it is gone, or when the scheduler is. A
    worker that was stopped for a while, and may have been given up meanwhile, asks the scheduler.
    """

    def __init__(self, worker: Any, key: object) -> None:  # noqa: ANN401  (Dask's state has no types)
        self._worker, self._key = worker, key
        self._asked_s = time.time()
        self._is_given_up = False

    def __call__(self) -> bool:
        state = self._worker.state.tasks.get(self._key)
        if self._worker.status.name != "running" or state is None or state.state != "executing":
            return True
        # By this clock, which goes on while a machine sleeps.
        was_stopped = time.time() - self._asked_s > _STOPPED_S
        self._is_given_up |= was_stopped and not self._is_ours()
        self._asked_s = time.time()
        return self._is_given_up

    def _is_ours(self) -> bool:
        """Ask the scheduler whether this worker is still at the task."""
        from distributed.utils import sync

        worker = self._worker
        try:
            answer = sync(worker.loop, worker.scheduler.processing, workers=[worker.address])
        except Exception:  # noqa: BLE001  (whatever it is, the scheduler did not say yes)
            return False
        return str(self._key) in map(str, answer.get(worker.address, ()))
