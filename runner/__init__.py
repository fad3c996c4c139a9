"""A declarative experiment runner: YAML in, trained networks and their records out.

Importing the package pins the BLAS threads, which must happen before NumPy loads: two threads
give other bits than one.
"""

from runner.system.environment import pin_blas_threads

pin_blas_threads()
