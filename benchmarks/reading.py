"""Reading a large table beside pandas and pyarrow: a million rows of twenty numbers and a class.

    python benchmarks/reading.py [--rows 1000000] [--repeats 3]

Each side reads in a process of its own, on one thread; medians of processor seconds are printed.
Ours of CSV includes what training needs: the split, the scaled features and their own copy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np

# What each side does, once its libraries are loaded.
SIDES = {
    "pandas": "import pandas as pd\ndef read(): return pd.read_csv(FILE)",
    "pyarrow": """import pyarrow.parquet as pq
def read(): return pq.read_table(FILE, use_threads=False)""",
    "ours": """import runner, pyarrow.csv, pyarrow.compute, pyarrow.parquet
from runner.config.compose import compose
from runner.config.schema import Experiment
from runner.training.data import load
from runner.training.prepare import prepare
(job,) = compose(["experiment=own", f"data.path={FILE}", "data.target=y"], "")
asked = Experiment.from_dict(job.config)
def read(): return prepare(asked) if FILE.endswith(".csv") else load(asked.data)""",
}
MEASURE = """
import json, resource, sys, time
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, started = peak(), time.process_time()
kept = read()
arrays = [getattr(kept, "X", None), getattr(getattr(kept, "dataset", None), "X", None)]
held = sum(array.nbytes for array in arrays if array is not None) / 2**20
print(json.dumps([time.process_time() - started, peak() - before - held]))
"""
LIMITS = {"csv": 3.0, "memory": 3.0, "parquet": 1.5}


def measured(side: str, file: Path, repeats: int) -> tuple[float, float]:
    """Return the median of processor seconds, and of MiB at the peak beside the arrays."""
    code = f"FILE = {str(file)!r}\n{SIDES[side]}\n{MEASURE}"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
            for _ in range(repeats)]  # fmt: skip
    seconds, mib = zip(*(json.loads(run.stdout) for run in runs), strict=True)
    return statistics.median(seconds), statistics.median(mib)


def main(arguments: argparse.Namespace) -> int:
    """Write the table, have it read, and tell by the exit code whether the limits hold."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    rng = np.random.default_rng(0)
    columns = {f"x{n}": rng.normal(size=arguments.rows) for n in range(20)}
    table = pa.table(columns | {"y": rng.integers(0, 2, arguments.rows)})
    with tempfile.TemporaryDirectory(prefix="reading-") as folder:
        text, binary = Path(folder, "t.csv"), Path(folder, "t.parquet")
        csv.write_csv(table, text)
        parquet.write_table(table, binary)
        size = text.stat().st_size / 2**20
        of_pandas, _ = measured("pandas", text, arguments.repeats)
        ours, mib = measured("ours", text, arguments.repeats)
        of_pyarrow, _ = measured("pyarrow", binary, arguments.repeats)
        ours_parquet, _ = measured("ours", binary, arguments.repeats)
    ratios = {"csv": ours / of_pandas, "memory": mib / size, "parquet": ours_parquet / of_pyarrow}
    print(
        f"CSV, {size:,.0f} MiB: pandas.read_csv {of_pandas:.2f} s; read and prepared {ours:.2f} s"
    )
    print(f"Memory at the peak, beside the arrays: {mib:,.0f} MiB")
    print(f"Parquet: pyarrow.parquet.read_table {of_pyarrow:.2f} s; read {ours_parquet:.2f} s")
    for what, ratio in ratios.items():
        print(f"{what}: {ratio:.2f} times, at most {LIMITS[what]:g}")
    return int(any(ratio > LIMITS[what] for what, ratio in ratios.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    sys.exit(main(parser.parse_args()))
