"""A process that loads MLflow while another one trains, and logs its model at the end.

Loading takes two seconds, for which nobody should wait. Whatever goes wrong with the helper costs
no more than these: the model is logged without it then.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.tracking.backend.rows import ModelFacts

if TYPE_CHECKING:
    from runner.tracking.backend.address import Address
    from runner.training.prepare import Trained

_PR_SET_PDEATHSIG = 1


class ModelHelper:
    """Starts a helper for the models of an experiment in an embedded database.

    Raises `OSError` if it cannot be started.
    """

    def __init__(self, address: Address, experiment: str, *, is_trusted: bool) -> None:
        self._pid = os.getpid()
        # Neither the working folder nor this one is searched for what is imported.
        paths = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, str(self._pid)],
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is this process's affair
        )
        atexit.register(self.close)
        assert self._process.stdin is not None  # noqa: S101  (for mypy: it is a pipe)
        self._process.stdin.write(pickle.dumps((address, experiment, is_trusted)))
        self._process.stdin.flush()

    def log_model(
        self,
        experiment_id: str,
        run_id: str,
        members: Sequence[Trained],
        facts: ModelFacts = ModelFacts(),  # noqa: B008  (it cannot change)
    ) -> bool:
        """Have a run given its model; tell whether that was done. The helper then ends.

        What the store or the disk refuses is raised as by `runner.tracking.models.logging`.
        """
        few = [member.with_few_rows() for member in members]
        try:
            request = pickle.dumps((experiment_id, run_id, few, facts))
            answer, _ = self._process.communicate(request)
            error = pickle.loads(answer)  # noqa: S301  (from a process of ours)
        except (OSError, EOFError, TypeError, AttributeError, ValueError, pickle.PickleError):
            return False
        finally:
            self.close()
        if error is not None:
            raise error
        return True

    def close(self) -> None:
        """End the helper; a fork leaves it to the process that started it."""
        atexit.unregister(self.close)
        if self._pid == os.getpid():
            self._process.kill()
            self._process.communicate()


def _serve(parent: int) -> None:
    """Load MLflow, and log the one model that is asked for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()  # among a million objects that stay
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:  # Linux: when the parent dies, so does this process
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    from runner.config.plugins import plugins
    from runner.system.errors import RunnerError
    from runner.tracking.backend.artifacts import ArtifactGuard
    from runner.tracking.backend.client import prepare, store_errors
    from runner.tracking.backend.embedded import EmbeddedStore

    prepare()
    plugins()  # whose classes may be in what is asked for
    from runner.tracking.models.logging import log_model

    address, experiment, is_trusted = pickle.load(sys.stdin.buffer)  # noqa: S301  (as below)
    backend = EmbeddedStore(address.database, address.uri)
    error: RunnerError | None = None
    try:
        with store_errors(address.uri):
            guard = ArtifactGuard(backend, address, experiment, is_trusted=is_trusted)
            backend.client.get_experiment_by_name(experiment)  # which connects
            request = pickle.load(sys.stdin.buffer)  # noqa: S301  (from the process that started it)
            log_model(backend, guard, *request)
    except RunnerError as refused:
        error = refused
    backend.close()
    sys.stdout.buffer.write(pickle.dumps(error))
    sys.stdout.flush()
    os._exit(0)  # taking all that apart has no use


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
