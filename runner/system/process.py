"""Settings of this process: one BLAS thread, and no search for garbage at its start and exit.

Nothing is imported at the top that would load NumPy, because the BLAS threads are pinned first,
nor what `runner --help` can do without.
"""

from __future__ import annotations

import gc
import math
import os
import shlex
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from runner.system.errors import RunFailed
from runner.system.text import without_passwords

_BLAS = ("OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "OMP")


def pin_blas_threads() -> None:
    """Have BLAS use one thread, in this process and those it starts."""
    os.environ.update({f"{library}_NUM_THREADS": "1" for library in _BLAS})


def command_line(*, without: str = "\n") -> str:
    """Return the command that this process carries out, as a shell takes it, and no password.

    Words that begin with `without` are left out. A script or a notebook gives an empty text.
    """
    program = Path(sys.argv[0]).name
    words = {"__main__.py": ["python", "-m", "runner"], "runner": ["runner"]}.get(program, [])
    rest = [word for word in sys.argv[1:] if not word.startswith(without)]
    return without_passwords(shlex.join([*words, *rest])) if words else ""


@cache
def verify_blas_pin() -> list[dict[str, Any]]:
    """Make sure that the pin holds, for instance where NumPy was loaded before this package.

    Return what `threadpoolctl` says of the libraries that NumPy's products go through. Raises
    `RunFailed` if one keeps more than one thread.
    """
    import threadpoolctl  # type: ignore[import-untyped]  # ships no types

    libraries = _blas_libraries()
    if any(library["num_threads"] != 1 for library in libraries):
        threadpoolctl.threadpool_limits(1, user_api="blas")
        libraries = _blas_libraries()
    for library in libraries:
        if library["num_threads"] != 1:
            raise RunFailed(
                f"BLAS ({library['internal_api']}) uses {library['num_threads']} threads and "
                "refuses to be pinned to 1, which the bits of a result depend on."
            )
    return libraries


def _blas_libraries() -> list[dict[str, Any]]:
    import numpy as np
    import threadpoolctl

    loaded = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]
    # SciPy may have loaded one of its own, which none of our products goes through.
    numpys_own = str(Path(np.__file__).parent)
    return [lib for lib in loaded if lib["filepath"].startswith(numpys_own)] or loaded


def n_physical_cores() -> int:
    """Count the physical cores that this process may use, by its affinity and its container."""
    if not hasattr(os, "sched_getaffinity"):  # macOS
        return os.cpu_count() or 1
    cores = set[str]()
    for cpu in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text())
        except OSError:
            cores.add(str(cpu))
    return max(1, min(len(cores), _cpu_quota()))


def _cpu_quota() -> int:
    """Return how many processors a container's quota amounts to, by cgroups v2 or v1."""
    v1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")
    for names in (("cpu.max",), v1):
        with suppress(OSError, ValueError):  # ValueError: "max", which is no quota
            texts = [Path("/sys/fs/cgroup", name).read_text() for name in names]
            quota, period = map(int, " ".join(texts).split())
            if quota > 0:
                return math.ceil(quota / period)
    return sys.maxsize


def put_off_garbage_collection() -> None:
    """Have Python search for no garbage: modules and plans are many objects that all stay."""
    gc.disable()


def begin_garbage_collection() -> None:
    """Search for garbage from now on, if that was put off, but never in what is there by now."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def skip_last_garbage_collection() -> None:
    """Skip the search for garbage at the exit: the process frees its memory anyway."""
    gc.freeze()
