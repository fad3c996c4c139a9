"""The environment of a result: the code, the libraries and the processor that decide its bits.

It is recorded with each run, and compared by a rerun.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from runner.config.plugins import plugins
from runner.system.paths import in_checkout
from runner.system.process import verify_blas_pin

_OURSELVES = Path(__file__).resolve()
_ROOT = _OURSELVES.parents[2]
#: The modules that decide the bits of a result, but for the one below. Those that read data are not
# among them: data are identified by the digest of their content.
COMPUTING = (
    "softnet",
    "runner/training/prepare.py",
    "runner/training/preprocessing.py",
    "runner/training/tasks.py",
    "runner/training/train.py",
    "runner/training/data/splits.py",
)
_NOT_COMPUTING = "softnet/gradcheck.py"
_PACKAGES = ("scikit-learn", "scipy", "pyarrow", "hydra-core", "omegaconf", "pydantic", "mlflow")


@cache
def environment() -> dict[str, Any]:
    """Describe this process, once: plain facts that JSON can hold.

    ``decisive`` holds what can change the bits of a result: ``python``, ``numpy``, ``blas``,
    ``simd`` (the features NumPy may use here), ``libc`` (whose mathematical functions Python and
    NumPy call), ``machine``, ``code`` (see `code_digest`) and, where there are any, the digests of
    the code of ``plugins``. Beside it stand ``packages``, versions that are good to know, and
    ``git`` (commit, clean or not; None outside a checkout). Raises `RunFailed` if BLAS cannot be
    pinned to one thread.
    """
    import platform

    import numpy as np

    # "found" is what NumPy may use in this process, NPY_DISABLE_CPU_FEATURES taken into account.
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    of_plugins = {
        plugin.name: digest_of_code(file.read_bytes() for file in plugin.files)
        for plugin in plugins()
    }
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
                for library in verify_blas_pin()
            ],
            "simd": [*simd["baseline"], *simd.get("found", [])],
            "libc": " ".join(platform.libc_ver()).strip(),
            "machine": {
                "system": platform.system(),
                "architecture": platform.machine(),
                "cpu": _cpu_model(),
            },
            "code": code_digest(),
            **({"plugins": of_plugins} if of_plugins else {}),
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
    """Return a short SHA-256 over the code that a result is computed by; see `digest_of_code`.

    To parse the code takes a tenth of a second. So the digest is kept where Python keeps what it
    has compiled, beside the SHA-256 of the very files that it is of.
    """
    paths = [_ROOT / name for name in COMPUTING]
    files = {file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path])}
    modules = [file.read_bytes() for file in sorted(files - {_ROOT / _NOT_COMPUTING})]
    contents = (hashlib.sha256(module).digest() for module in (_OURSELVES.read_bytes(), *modules))
    key = hashlib.sha256(b"".join(contents)).hexdigest()
    kept = Path(cache_from_source(str(_ROOT / "softnet" / "code.py"))).with_suffix(".digest")
    with suppress(OSError, ValueError):
        if found := re.fullmatch(f"{key} ([0-9a-f]{{16}})", kept.read_text("ascii")):
            return found[1]
    digest = digest_of_code(modules)
    if not sys.dont_write_bytecode:
        with suppress(OSError):  # a folder that is not ours
            kept.parent.mkdir(exist_ok=True)
            unfinished = kept.with_suffix(f".{os.getpid()}")
            unfinished.write_text(f"{key} {digest}", "ascii")
            unfinished.replace(kept)
    return digest


def digest_of_code(modules: Iterable[bytes]) -> str:
    """Return a short SHA-256 over the syntax trees of some modules.

    Docstrings, comments, imports, and the modules' names and order do not count: code that is
    described in other words or moved to another file is the same code.
    """
    import ast

    was_enabled = gc.isenabled()
    gc.disable()  # trees are tens of thousands of objects, and no garbage
    try:
        digests = []
        for source in modules:
            words: list[str] = []
            _write_tree(ast.parse(source).body, words)
            if words:  # a package may hold nothing but imports
                digests.append(hashlib.sha256(" ".join(words).encode()).digest())
    finally:
        if was_enabled:
            gc.enable()
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()[:16]


def _write_tree(tree: object, words: list[str]) -> None:
    """Write a syntax tree in words that are the same in all versions of Python.

    `ast.dump` also writes the empty fields that later versions have added.
    """
    if hasattr(tree, "_fields"):  # a node; `ast` is imported where there is something to parse
        words.append(type(tree).__name__)
        for name in tree._fields:
            value = getattr(tree, name, None)
            if value is not None and value != []:
                words.append(f"{name}=")
                _write_tree(value, words)
        words.append(")")
    elif isinstance(tree, list):
        for item in tree:
            if not _computes_nothing(item):
                _write_tree(item, words)
    else:
        words.append(repr(tree))


def _computes_nothing(item: object) -> bool:
    import ast

    match item:
        case (
            ast.Import()
            | ast.ImportFrom()
            | ast.Expr(value=ast.Constant(value=str()))  # a docstring
            | ast.Assign(targets=[ast.Name(id="__all__")])
            | ast.If(test=ast.Name(id="TYPE_CHECKING"))
        ):
            return True
    return False


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        text = metadata.distribution(name).read_text("METADATA") or ""
    except metadata.PackageNotFoundError:
        return None
    # metadata.version would parse all of it as an e-mail.
    found = re.search(r"^Version: *(\S+)", text, re.MULTILINE)
    return found and found[1]


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    if (model := next(models, None)) is not None:
        return model
    import platform

    return platform.processor()


def _git() -> dict[str, Any] | None:
    import shutil
    import subprocess

    git = shutil.which("git")
    if git is None or not in_checkout():
        return None

    # Without the lock that a person's own git, at the same moment, would stumble over.
    words = ("status", "--porcelain=v2", "--branch", "--no-ahead-behind")
    command = [git, "--no-optional-locks", "-C", str(_ROOT), *words]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    commit = re.search(r"^# branch\.oid ([0-9a-f]+)$", said.stdout, re.MULTILINE)
    is_clean = not re.search(r"^[^#]", said.stdout, re.MULTILINE)
    return {"commit": commit[1], "clean": is_clean} if commit else None
