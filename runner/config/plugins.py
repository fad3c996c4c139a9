"""What a person adds without changing this program: layers, losses, metrics, readers and the like.

A plugin is Python that somebody has installed (the entry points `softnet_runner.plugins`) or named
in the environment (`RUNNER_PLUGINS`): never in a config, which stays data. It enters its classes in
the registries, from which the schema, help and completion are made.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from runner.system.errors import CommandError, shorten
from runner.system.paths import expanded, other_than_file, require_targets

ENTRY_POINTS, VARIABLE = "softnet_runner.plugins", "RUNNER_PLUGINS"

# From the content of a file to its columns by name, as lists of cells; by the file's ending.
Reader = Callable[[bytes], Mapping[str, Sequence[object]]]
READERS: dict[str, Reader] = {}


class _NoPlugin(ImportError):
    """A file that is no plugin, as the text says."""


@dataclass(frozen=True, eq=False)
class Plugin:
    """A plugin that is loaded."""

    name: str  # the file's name, or that of the installed module
    module: str  # what it is imported as
    # The names it has entered, by kind: ``{"optimizer": ("lion",)}``.
    adds: Mapping[str, tuple[str, ...]]
    root: Path  # its file, or the folder of its package

    @property
    def files(self) -> list[Path]:
        """Its modules."""
        return sorted(self.root.rglob("*.py")) if self.root.is_dir() else [self.root]

    @property
    def config_folder(self) -> Path | None:
        """The folder of its YAML, `conf` beside its code, if there is one."""
        folder = (self.root if self.root.is_dir() else self.root.parent) / "conf"
        return folder if folder.is_dir() else None


@cache
def plugins() -> tuple[Plugin, ...]:
    """Load all plugins, once: those that are installed, then the files that the environment names.

    Raises `CommandError` if one of them cannot be loaded.
    """
    files = [expanded(f) for f in os.environ.get(VARIABLE, "").split(os.pathsep) if f]
    modules = [_module_of(file) for file in files]
    if twice := [str(f) for f, name in zip(files, modules, strict=True) if modules.count(name) > 1]:
        raise CommandError(f"{VARIABLE}: must be files of different names, got {', '.join(twice)}.")
    return (*map(_load, _installed()), *map(_load, files))


def added(kind: str) -> tuple[str, ...]:
    """Return the names that plugins have entered of a kind, such as ``optimizer``."""
    return tuple(name for plugin in plugins() for name in plugin.adds.get(kind, ()))


def _installed() -> list[str]:
    """Return the modules that installed packages name as plugins.

    Only files that mention them are parsed: to have all of them parsed takes longer than the help.
    """
    marked = any(
        f"[{ENTRY_POINTS}]".encode() in file.read_bytes()
        for folder in sys.path
        for file in Path(folder or ".").glob("*.dist-info/entry_points.txt")
    )
    if not marked:
        return []
    from importlib import metadata

    return sorted({point.value for point in metadata.entry_points(group=ENTRY_POINTS)})


def _load(source: str | Path) -> Plugin:
    """Import a plugin, a module by its name or a file, and see what it enters."""
    if isinstance(source, Path):
        require_targets(source)
    registries = _registries()
    before = {kind: set(registry) for kind, registry in registries.items()}
    try:
        module = _of_file(source) if isinstance(source, Path) else importlib.import_module(source)
        _require_embeddings(registries["number_embedding"], before["number_embedding"])
    except Exception as error:
        place = f"{VARIABLE}: must be Python files, joined by {os.pathsep!r}"
        if isinstance(source, str):
            place = f"{source}: must be a plugin that can be imported"
        reason = f"it fails with {type(error).__name__}: {error}"
        if isinstance(error, FileNotFoundError) and isinstance(source, Path):
            reason = "there is no such file"
        elif isinstance(error, _NoPlugin):
            reason = str(error)
        raise CommandError(f"{place}, got {shorten(str(source))} ({reason}).") from error
    adds = {
        kind: tuple(name for name in registry if name not in before[kind])
        for kind, registry in registries.items()
    }
    # Every activation is a layer too.
    adds["layer"] = tuple(name for name in adds["layer"] if name not in adds["activation"])
    adds = {kind: names for kind, names in adds.items() if names}
    if isinstance(source, Path):
        return Plugin(source.name, module.__name__, adds, source.resolve())
    package = sys.modules[source.partition(".")[0]]
    file = Path(str(package.__file__ or module.__file__)).resolve()
    return Plugin(source, source, adds, file.parent if hasattr(package, "__path__") else file)


def _require_embeddings(registry: dict[str, type | None], before: set[str]) -> None:
    """Refuse embeddings of numbers whose settings do not say which features these are."""
    import softnet

    for name in registry.keys() - before:
        if not issubclass(registry[name] or object, softnet.NumberEmbedding):
            raise _NoPlugin(f"NUMBER_EMBEDDINGS[{name!r}] must derive from NumberEmbedding")


def _registries() -> dict[str, Any]:
    """Return what a plugin can add to, by what a person calls an entry."""
    import softnet  # which takes NumPy

    return {
        "layer": softnet.LAYERS,
        "activation": softnet.ACTIVATIONS,
        "normalization": softnet.NORMALIZATIONS,
        "number_embedding": softnet.NUMBER_EMBEDDINGS,
        "initializer": softnet.INITIALIZERS,
        "loss": softnet.LOSSES,
        "optimizer": softnet.OPTIMIZERS,
        "schedule": softnet.SCHEDULES,
        "metric": softnet.METRICS,
        "reader": READERS,
    }


def _module_of(path: Path) -> str:
    """Name the module of a file, which may be called like one of Python's own: statistics.py."""
    return "runner_plugin_" + re.sub(r"\W", "_", path.stem)


def _of_file(path: Path) -> ModuleType:
    name = _module_of(path)
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise _NoPlugin("its name must end in .py")
    if other_than_file(path):
        raise _NoPlugin("it must be a file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
