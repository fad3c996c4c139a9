"""What it costs a run to record where it was run: once per process, and for each run of it.

    python benchmarks/environment.py [--runs 200]

The record is taken when a process first needs it. What every later run pays is the digests that
become its tags, and its own copy of the file with the digest of that.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from runner.system.process import verify_blas_pin
from runner.training import run_files
from runner.training.environment import code_digest, environment_digest

LIMIT_MS = 5.0


def record_ms(file: Path) -> float:
    """Time the environment's part of beginning and ending a run."""
    started = time.perf_counter()
    environment_digest()
    code_digest()
    text = run_files._environment()  # noqa: SLF001  (what `run_files` itself gives)
    file.write_bytes(text.encode())
    run_files.sha256(text.encode())
    return 1e3 * (time.perf_counter() - started)


def main() -> None:
    """Measure, print, and refuse a record that costs too much."""
    parser = argparse.ArgumentParser(description="Measure the cost of recording the environment.")
    parser.add_argument("--runs", type=int, default=200)
    n_runs = parser.parse_args().runs
    verify_blas_pin()  # which every training needs, recorded or not
    with tempfile.TemporaryDirectory() as folder:
        first, *later = [record_ms(Path(folder, f"{run}.json")) for run in range(n_runs + 1)]
    median = statistics.median(later)
    print(f"{first:8.3f} ms  the first run of a process")
    print(f"{median:8.3f} ms  every other run, median; the limit is {LIMIT_MS:.0f} ms")
    if median > LIMIT_MS:
        sys.exit("Recording the environment costs too much.")


if __name__ == "__main__":
    main()
