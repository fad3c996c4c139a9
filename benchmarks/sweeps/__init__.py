"""The parts of `benchmarks/sweep.py`, each of which measures one promise about sweeps."""
