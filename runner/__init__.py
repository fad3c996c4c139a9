"""A declarative experiment runner: YAML in, trained networks and their records out.

Importing the package pins the BLAS threads, which must happen before NumPy loads: two threads
give other bits than one. What it offers to Python is imported when it is first asked for.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from runner.system.process import pin_blas_threads

pin_blas_threads()
# Models that were recorded earlier import modules by the names that these had then.
__path__.append(str(Path(__file__).with_name("tracking") / "models" / "earlier"))

if TYPE_CHECKING:
    from runner.config.plugins import READERS
    from runner.config.schema import Experiment
    from runner.library.estimators import Classifier, Regressor
    from runner.library.experiments import RunResult, SweepResult, run, sweep
    from runner.system.paths import config_folder

_HOMES = {
    "Classifier": "library.estimators",
    "Experiment": "config.schema",
    "READERS": "config.plugins",
    "Regressor": "library.estimators",
    "RunResult": "library.experiments",
    "SweepResult": "library.experiments",
    "config_folder": "system.paths",
    "run": "library.experiments",
    "sweep": "library.experiments",
}
__all__ = [
    "READERS",
    "Classifier",
    "Experiment",
    "Regressor",
    "RunResult",
    "SweepResult",
    "config_folder",
    "run",
    "sweep",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
