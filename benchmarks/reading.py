"""Reading a large table beside pandas and pyarrow: a million rows of twenty numbers and a class.

    python benchmarks/reading.py [--rows 1000000] [--repeats 5]

Each side reads in a process of its own, on one thread, the sides in turn. Medians of the program's
own seconds of processor time are compared; what the system needs beside them is printed too. That
is handing out memory for the first time, and on a virtual machine it may take ten times as long in
one process as in the next. Ours of CSV includes what training needs: the split, the scaled features
and their own copy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
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
import json, resource
before = resource.getrusage(resource.RUSAGE_SELF)
kept = read()
after = resource.getrusage(resource.RUSAGE_SELF)
arrays = [getattr(kept, "X", None), getattr(getattr(kept, "dataset", None), "X", None)]
held = sum(array.nbytes for array in arrays if array is not None) / 2**20
own, systems = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
print(json.dumps([own, systems, (after.ru_maxrss - before.ru_maxrss) / 1024 - held]))
"""
LIMITS = {"csv": 3.0, "memory": 3.0, "parquet": 1.5}


def measured(sides: Sequence[str], file: Path, repeats: int) -> dict[str, tuple[float, ...]]:
    """Return medians: own seconds, those of the system, MiB at the peak beside the arrays."""
    figures: dict[str, list[list[float]]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side in sides:
            code = f"FILE = {str(file)!r}\n{SIDES[side]}\n{MEASURE}"
            run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
            figures[side].append(json.loads(run.stdout))
    return {side: tuple(map(statistics.median, zip(*of, strict=True)))
            for side, of in figures.items()}  # fmt: skip


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
        of_csv = measured(("pandas", "ours"), text, arguments.repeats)
        of_parquet = measured(("pyarrow", "ours"), binary, arguments.repeats)
    print(f"{'':40} seconds  and of the system")
    for what, (own, systems, _) in {
        f"CSV, {size:,.0f} MiB: pandas.read_csv": of_csv["pandas"],
        "read and prepared": of_csv["ours"],
        "Parquet: pyarrow.parquet.read_table": of_parquet["pyarrow"],
        "read": of_parquet["ours"],
    }.items():
        print(f"{what:40} {own:7.2f}  {systems:7.2f}")
    mib = of_csv["ours"][2]
    print(f"Memory at the peak, beside the arrays: {mib:,.0f} MiB")
    ratios = {
        "csv": of_csv["ours"][0] / of_csv["pandas"][0],
        "memory": mib / size,
        "parquet": of_parquet["ours"][0] / of_parquet["pyarrow"][0],
    }
    for what, ratio in ratios.items():
        print(f"{what}: {ratio:.2f} times, at most {LIMITS[what]:g}")
    return int(any(ratio > LIMITS[what] for what, ratio in ratios.items()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    sys.exit(main(parser.parse_args()))
