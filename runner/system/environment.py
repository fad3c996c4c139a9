"""What decides the bits of a result, besides the experiment: versions, BLAS, SIMD, threads, code.

Pins the BLAS threads too. Nothing is imported at the top that would load NumPy, because the pin
must come first.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from runner.system.errors import RunFailed
from runner.system.paths import in_checkout

_PACKAGE = Path(__file__).resolve().parents[1]
_THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OMP_NUM_THREADS",
)
# Data and splits are recorded by their digests: what computes the rest is softnet and these.
_COMPUTING = tuple(f"training/{name}.py" for name in ("build", "train", "prepare", "preprocessing"))
_PACKAGES = ("scikit-learn", "scipy", "pyarrow", "hydra-core", "omegaconf", "pydantic", "mlflow")


def pin_blas_threads() -> None:
    """Have BLAS use one thread, in this process and those it starts."""
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))


@cache
def verify_blas_pin() -> None:
    """Make sure that the pin holds, for instance where NumPy was loaded before this package.

    Raises
    ------
    RunFailed
        If a BLAS library keeps more than one thread.
    """
    import threadpoolctl  # type: ignore[import-untyped]  # ships no types

    if any(library["num_threads"] != 1 for library in _blas()):
        threadpoolctl.threadpool_limits(1, user_api="blas")
    for library in _blas():
        if library["num_threads"] != 1:
            raise RunFailed(
                f"BLAS ({library['internal_api']}) uses {library['num_threads']} threads and "
                "refuses to be pinned to 1, which the bits of a result depend on."
            )


def _blas() -> list[dict[str, Any]]:
    import numpy as np
    import threadpoolctl

    loaded = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "blas"]
    # SciPy may have loaded one of its own, which none of our products goes through.
    numpys_own = str(Path(np.__file__).parent)
    return [lib for lib in loaded if lib["filepath"].startswith(numpys_own)] or loaded


@cache
def environment() -> dict[str, Any]:
    """Describe this process, once: plain facts that JSON can hold.

    Returns
    -------
    dict
        ``decisive`` holds what can change the bits of a result: ``python``, ``numpy``, ``blas``
        (library, version, kernel, threads), ``simd`` (the features NumPy may use here), ``libc``
        (whose mathematical functions Python and NumPy call), ``machine`` and ``code`` (digest of
        the sources that compute). Beside it stand
        ``packages``, versions that are good to know, and ``git`` (commit, clean or not; None
        outside a checkout).

    Raises
    ------
    RunFailed
        If BLAS cannot be pinned to one thread.
    """
    import numpy as np

    verify_blas_pin()
    # "found" is what NumPy may use in this process, NPY_DISABLE_CPU_FEATURES taken into account.
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    return {
        "decisive": {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "numpy": np.__version__,
            "blas": [
                {
                    "library": library["internal_api"],
                    "version": library["version"],
                    "kernel": library.get("architecture"),
                    "threads": library["num_threads"],
                }
                for library in _blas()
            ],
            "simd": [*simd["baseline"], *simd.get("found", [])],
            "libc": " ".join(platform.libc_ver()).strip(),
            "machine": {
                "system": platform.system(),
                "architecture": platform.machine(),
                "cpu": _cpu_model(),
            },
            "code": code_digest(),
        },
        "packages": {name: _version(name) for name in _PACKAGES},
        "git": _git(),
    }


@cache
def environment_digest() -> str:
    """Return a short SHA-256 over what decides the bits in this process."""
    return digest_of_decisive(environment()["decisive"])


def digest_of_decisive(decisive: object) -> str:
    """Return a short SHA-256 over the part ``decisive`` of an environment, of whatever process."""
    text = json.dumps(decisive, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code_digest() -> str:
    """Return a short SHA-256 over the sources that a result is computed by."""
    digest = hashlib.sha256()
    computing = [_PACKAGE / name for name in _COMPUTING]
    for path in [*sorted((_PACKAGE.parent / "softnet").rglob("*.py")), *computing]:
        digest.update(str(path.relative_to(_PACKAGE.parent)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def _git() -> dict[str, Any] | None:
    git = shutil.which("git")
    if git is None or not in_checkout():
        return None

    def ask(*words: str) -> str:
        return subprocess.run(
            # Without the lock that a person's own git, at the same moment, would stumble over.
            [git, "--no-optional-locks", "-C", str(_PACKAGE.parent), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout

    try:
        commit = ask("rev-parse", "HEAD").strip()
        return {"commit": commit, "clean": not ask("status", "--porcelain").strip()}
    except (OSError, subprocess.SubprocessError):
        return None
