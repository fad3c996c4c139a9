"""A declarative experiment runner: YAML in, trained networks and their records out.

Importing the package pins the BLAS threads, which must happen before NumPy loads: two threads
give other bits than one.
"""

from pathlib import Path

from runner.system.process import pin_blas_threads

pin_blas_threads()
# Models that were recorded earlier import modules by the names that these had then.
__path__.append(str(Path(__file__).with_name("tracking") / "models" / "earlier"))
