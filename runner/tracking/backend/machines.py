"""Where a process runs: which machine, since which start of it, in which container.

Numbers of processes mean something there alone, and names of hosts are not unique. Knows what Linux
says of itself; elsewhere there is nothing to know.
"""

from __future__ import annotations

import hashlib
import platform
import re
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Origin:
    """Where a process runs; what the system does not say is empty.

    Parameters
    ----------
    host : str
        The machine's name.
    machine : str
        A digest of its id and of its network cards, which no copy of it has too.
    boot : str
        Another one at each start of the machine.
    pid_namespace : str
        Within which process numbers are told apart: another one in each container.
    """

    host: str
    machine: str
    boot: str
    pid_namespace: str

    @classmethod
    def here(cls, root: Path = Path("/")) -> Origin:
        """Read where this process runs; `root` is the top of the file system."""
        try:
            pid_namespace = str((root / "proc/self/ns/pid").stat().st_ino)
        except OSError:
            pid_namespace = ""
        return cls(
            re.sub(r"[^\w.-]", "_", platform.node()) or "host",
            _machine(root),
            _text(root / "proc/sys/kernel/random/boot_id"),
            pid_namespace,
        )

    @property
    def name(self) -> str:
        """All but the host in one word, which `named` reads."""
        return f"{self.machine}_{self.boot}_{self.pid_namespace}"

    @classmethod
    def named(cls, host: str, name: str) -> Origin | None:
        """Read a name again; None for what is none, such as an earlier version's."""
        parts = name.split("_")
        return cls(host, *parts) if len(parts) == 3 else None

    def shares_numbers(self, other: Origin) -> bool:
        """Tell whether a process number means the same process for both."""
        return (self.boot, self.pid_namespace) == (other.boot, other.pid_namespace)

    def has_restarted_since(self, other: Origin) -> bool:
        """Tell whether this is a later start of the very machine that the other was.

        A container has no network card of its own, so of the machine below it nothing is known.
        """
        known = self.machine and self.boot and other.boot
        return bool(known) and self.machine == other.machine and self.boot != other.boot


def started_ns() -> int:
    """Return when this machine was started, in nanoseconds since 1970."""
    return time.time_ns() - time.clock_gettime_ns(
        getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    )


def _machine(root: Path) -> str:
    told = _text(root / "etc/machine-id")
    # Machines that were copied from one disk have one id. Cards without a device are made by
    # programs, and come and go with them.
    cards = sorted(_text(card.parent / "address") for card in root.glob("sys/class/net/*/device"))
    if not told or not any(cards):
        return ""
    # The id itself is not to be shown around.
    return hashlib.sha256("\n".join(["softnet-runner", told, *cards]).encode()).hexdigest()[:16]


def _text(path: Path) -> str:
    try:
        return re.sub(r"\W|_", "", path.read_text("utf-8"))
    except (OSError, ValueError):
        return ""
