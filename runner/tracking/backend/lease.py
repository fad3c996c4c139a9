"""A name that one process at a time holds in a store, on whatever machine it is.

Tags have no compare-and-set, but the store itself keeps the names of registered models unique. The
holder writes itself into the model's description again and again; by the server's time of that,
others see that it lives. A database without a server has the time of whoever writes, so there it
counts since when they have seen no new sign.

A holder that was suspended may find another at its work, and so may its workers, whichever machine
they are on. So each of them asks again whenever it has not for some seconds, and whoever takes over
waits for longer than that before it looks at what is there.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, NamedTuple

from runner.system.errors import StoreError
from runner.tracking.backend.address import Address, request
from runner.tracking.backend.client import Ignoring, prepare, store_errors
from runner.tracking.backend.liveness import is_gone, process_name

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

# A holder that was not seen for so long has died, or is cut off; twelve of its signs are missing.
EXPIRES_AFTER_S = 60.0
_SIGN_EVERY_S = 5.0
_LOOK_EVERY_S = 1.0
_LET_GO_S = 1.0
# For so long an answer of the store counts for whoever works under the name.
_COUNTS_FOR_S = 10.0
# By then all have asked again that work for a holder that was given up.
_WAITED_FOR_S = 1.5 * _COUNTS_FOR_S

# A fork while a request is made would inherit the locks of libraries that nobody releases. One that
# has taken so long waits for the server, and holds none of them.
_MADE_WITHIN_S = 1.0


class _Forks:
    """Has forks and the making of requests take turns."""

    def __init__(self) -> None:
        self.requests = threading.Lock()
        self._is_held = False
        os.register_at_fork(
            before=self._wait, after_in_parent=self._go_on, after_in_child=self._begin
        )

    def _wait(self) -> None:
        self._is_held = self.requests.acquire(timeout=_MADE_WITHIN_S)

    def _go_on(self) -> None:
        if self._is_held:
            self.requests.release()

    def _begin(self) -> None:
        self.requests = threading.Lock()


_forks = _Forks()


class Turn(NamedTuple):
    """A name in a store and the process that holds it, as plain data for its workers."""

    name: str
    owner: str


# Calls a store, or raises `StoreError` at once where it has failed a moment ago.
Asking = Callable[[Callable[[], None]], None]


def _at_once(call: Callable[[], None]) -> None:
    call()


class Watch:
    """Tells whether a process still holds a name, as far as it can be told from here."""

    def __init__(self, address: Address, turn: Turn, asking: Asking = _at_once) -> None:
        prepare()
        from mlflow import MlflowClient

        self.turn, self._asking = turn, asking
        self._name, self._owner = turn
        self._address = address
        self._client = MlflowClient(address.uri, registry_uri=address.uri)
        self._is_lost = False
        # When it was held for sure, by the clock that goes on while a machine sleeps.
        self._held_s = 0.0

    def is_lost(self) -> bool:
        """Tell whether another process holds it by now; the store is asked now and then.

        Of one that does not answer it is not known, and nothing can be written into that either.
        """
        if not self._is_lost and abs(time.time() - self._held_s) > _COUNTS_FOR_S:
            with suppress(StoreError):
                self._asking(self._look)
        return self._is_lost

    def _look(self) -> None:
        asked_s = time.time()
        with store_errors(self._address.uri):
            is_held = self._is_ours(self._read(self._name))
        if is_held:
            self._held_s = asked_s
        else:
            self._is_lost = True

    def _is_ours(self, model: RegisteredModel | None) -> bool:
        return model is not None and model.description == self._owner

    def _read(self, name: str) -> RegisteredModel | None:
        with Ignoring("RESOURCE_DOES_NOT_EXIST"):
            return self._client.get_registered_model(name)
        return None


class Lease(Watch):
    """A name in a store, to be held by this process: what only one may do at a time."""

    def __init__(self, address: Address, name: str, asking: Asking = _at_once) -> None:
        super().__init__(address, Turn(f"runner-lock-{name}", process_name()), asking)
        self._given_up = threading.Event()
        self._has_taken_over = False
        # Since when the signs of others were seen.
        self._seen_s: dict[tuple[str, int], float] = {}

    @contextmanager
    def held(self, on_wait: Callable[[str], None]) -> Iterator[None]:
        """Hold the name, as soon as nobody else does: `on_wait` is called with who has it."""
        said = False
        while (holder := self.try_to_take()) is not None:
            if not said:
                on_wait(holder)
            said = True
            time.sleep(_LOOK_EVERY_S)
        signs = threading.Thread(target=self._give_signs, name="runner lease", daemon=True)
        signs.start()
        try:
            if self._has_taken_over:
                time.sleep(_WAITED_FOR_S)
            self.require()
            yield
        finally:
            self._given_up.set()
            signs.join(_LET_GO_S)  # a server that hangs holds up nobody
            # Where the store is what failed, the name expires.
            with suppress(StoreError), store_errors(self._address.uri):
                if self._is_ours(self._read(self._name)):
                    self._delete(self._name)

    def require(self) -> None:
        """Raise `StoreError` if the name is not held any more."""
        if self.is_lost():
            raise StoreError(
                f"{self._address.shown}: this process was out of reach for so long that another "
                "runs this sweep now. The same command waits for it, and goes on."
            )

    def try_to_take(self) -> str | None:
        """Take the name if it is free; else return the process that has it."""
        with store_errors(self._address.uri):
            if self._create(self._name):
                return None
            model = self._read(self._name)
            if model is None:
                return self.try_to_take()
            if self._is_ours(model) or (self._is_expired(model) and self._take_over(model)):
                return None
            return model.description or "unknown"

    def _take_over(self, model: RegisteredModel) -> bool:
        """Take the name of a holder that is dead; of several that try, one does."""
        digest = hashlib.sha256((model.description or "").encode()).hexdigest()[:16]
        marker = f"{self._name}-after-{digest}"
        if not self._create(marker):
            other = self._read(marker)
            if other is not None and self._is_expired(other):
                self._delete(marker)  # whoever made it died before it could take the name
            return False
        try:
            now = self._read(self._name)
            if now is None or now.description != model.description or not self._is_expired(now):
                return False
            self._client.update_registered_model(self._name, self._owner)
            # What a process of this machine had at work has heard of its death.
            self._has_taken_over = not is_gone(model.description or "")
            return self._is_ours(self._read(self._name))
        finally:
            self._delete(marker)

    def _give_signs(self) -> None:
        """Show that this process lives, until it gives the name up or has lost it."""
        while not (self._given_up.wait(_SIGN_EVERY_S) or self._is_lost):
            began_s = time.time()
            with suppress(StoreError), _forks.requests, store_errors(self._address.uri):
                self._look()
                if not self._is_lost:
                    self._client.update_registered_model(self._name, self._owner)
                    # Suspended between the two, it may have taken the name from another again.
                    self._is_lost = time.time() - began_s > EXPIRES_AFTER_S

    def _is_expired(self, model: RegisteredModel) -> bool:
        return self._age_s(model) > EXPIRES_AFTER_S or is_gone(model.description or "")

    def _age_s(self, model: RegisteredModel) -> float:
        """Return how old the last sign of a holder is."""
        if self._address.is_server:
            with (
                suppress(OSError, HTTPException, TypeError, ValueError),
                request(self._address.uri, "/health") as answer,
            ):
                now = parsedate_to_datetime(getattr(answer, "headers", {})["Date"]).timestamp()
                return now - float(model.last_updated_timestamp) / 1000
        sign = model.name, model.last_updated_timestamp
        return time.monotonic() - self._seen_s.setdefault(sign, time.monotonic())

    def _create(self, name: str) -> bool:
        """Make the name; False where it is there."""
        with Ignoring("RESOURCE_ALREADY_EXISTS"):
            self._client.create_registered_model(name, {"runner.kind": "lock"}, self._owner)
            return True
        return False

    def _delete(self, name: str) -> None:
        with Ignoring("RESOURCE_DOES_NOT_EXIST"):
            self._client.delete_registered_model(name)
