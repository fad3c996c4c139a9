"""Real tables through the commands that a person types, and beside scikit-learn's pipelines.

    python benchmarks/tables.py [--only NAME ...] [--no-commands] [--no-peers]

Each table of tables.txt, as R or pandas wrote it, is trained with nothing but its path and target,
predicted from raw rows without the target, and rerun; three are served over HTTP as CSV and JSON.
Then each is trained on three quarters of its rows and measured on the others, and so are pipelines.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import runner  # noqa: F401  (pins BLAS to one thread; must come before NumPy is loaded)

# isort: split
import numpy as np
import pandas as pd

from benchmarks.sweeps.processes import RUNNER, environment
from benchmarks.table_source import Table, pipelines, tables
from runner.config.compose import compose
from runner.config.schema import Experiment
from runner.training.prepare import prepare, settled
from runner.training.train import train

# Words; numbers of which some are missing; dates.
SERVED = ("car/SLID", "survival/pbc", "ggplot2/economics")
# Of 30 tables at most one may need a setting.
FIRST_TRY = 29 / 30


class Failed(Exception):
    """What a table did not get through, and what was said."""


def command(folder: Path, *arguments: str) -> str:
    """Run one command in a folder and return what it printed."""
    ended = subprocess.run(
        [RUNNER, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise Failed(f"runner {arguments[0]}: {ended.stderr.strip()}")
    return ended.stdout


def first_try(table: Table) -> str:
    """Train, predict and rerun a table; return what failed, or nothing."""
    with tempfile.TemporaryDirectory(prefix="tables-") as name:
        folder = Path(name)
        path = table.write(folder)
        try:
            printed = command(
                folder, "experiment=own", f"data.path={path.name}", f"data.target={table.target}"
            )
            run_id = printed.rpartition("\nrun ")[2].split()[0]
            predicted = predict_raw(table, folder, run_id)
            rerun = command(folder, "rerun", run_id)
            if "IDENTICAL" not in rerun:
                return f"runner rerun: {rerun.strip()}"
            if table.name in SERVED:
                serve(folder, run_id, predicted)
        except Failed as failure:
            return str(failure)
        return ""


def predict_raw(table: Table, folder: Path, run_id: str) -> pd.DataFrame:
    """Predict all rows from a file without the target; those of the test rows are in the record."""
    raw = pd.read_csv(
        io.BytesIO(table.content), sep=table.delimiter, dtype=str, keep_default_na=False
    )
    raw.drop(columns=table.target).to_csv(folder / "raw.csv", index=False)
    command(folder, "predict", run_id, "raw.csv", "--out", "predicted.parquet")
    predicted = pd.read_parquet(folder / "predicted.parquet")
    if len(predicted) != len(raw):
        raise Failed(f"runner predict: {len(predicted):,} rows of {len(raw):,}")
    (recorded,) = (pd.read_parquet(file) for file in folder.rglob("predictions.parquet"))
    outputs = predicted.select_dtypes("number").columns
    ours = predicted[outputs].iloc[recorded["row"]]
    # Products of more rows at once may round the last bits in another way.
    if not np.allclose(ours, recorded[outputs], rtol=1e-9, atol=1e-12):
        raise Failed("runner predict: other predictions than the run has of the same rows")
    return predicted


def serve(folder: Path, run_id: str, predicted: pd.DataFrame) -> None:
    """Have MLflow's server answer the raw rows as CSV and as JSON, as `runner predict` did."""
    csv = (folder / "raw.csv").read_text("utf-8")
    frame = pd.read_csv(io.StringIO(csv))
    split = json.loads(frame.to_json(orient="split", double_precision=15))
    with server(folder, run_id) as address:
        for kind, content in (
            ("text/csv", csv),
            ("application/json", json.dumps({"dataframe_split": split})),
        ):
            question = urllib.request.Request(  # noqa: S310  (of this machine)
                f"{address}/invocations", content.encode(), {"Content-Type": kind}
            )
            try:
                with urllib.request.urlopen(question, timeout=60) as answer:  # noqa: S310  (likewise)
                    answered = pd.DataFrame(json.load(answer)["predictions"])
            except OSError as error:
                text = getattr(error, "read", bytes)().decode()
                raise Failed(f"served, {kind}: {error} {text[:300]}") from error
            # The answer stands before them, and a quantity has another name there.
            expected = predicted.iloc[:, -answered.shape[1] :]
            if not np.allclose(answered, expected, rtol=1e-9, atol=1e-12):
                raise Failed(f"served, {kind}: other predictions than runner predict's")


@contextmanager
def server(folder: Path, run_id: str) -> Iterator[str]:
    """Serve a run's model by MLflow's own command, until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port))
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            f"runs:/{run_id}/own",
            *options,
        ],
        cwd=folder,
        env=environment(folder) | {"PATH": programs},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            while process.poll() is None:
                try:
                    urllib.request.urlopen(f"{address}/ping", timeout=10).close()  # noqa: S310  (likewise)
                    break
                except OSError:
                    time.sleep(0.5)
            yield address
        finally:
            os.killpg(process.pid, 15)


def scores(table: Table) -> dict[str, float | str]:
    """Return the test loss of our run and of each pipeline on the same rows: log loss or rmse."""
    with tempfile.TemporaryDirectory(prefix="tables-") as name:
        paths = table.split(Path(name))
        settings = [
            f"data.{key}={path}" for key, path in zip(("path", "test_path"), paths, strict=True)
        ]
        (job,) = compose(["experiment=own", f"data.target={table.target}", *settings], "") or ()
        experiment = Experiment.from_dict(job.config)
        prepared = prepare(experiment)
        (result,) = train(prepared, [settled(experiment, prepared)])
        assert prepared.data is not None
        frames = table.frames(paths, prepared.data.left_out)
    has_classes = prepared.dataset.task == "classification"
    measure = "log loss" if has_classes else "rmse"
    metric = "loss" if has_classes else "rmse"
    row = {
        "measure": measure,
        "ours": result.final[f"test/{metric}"],
        "baseline": result.final[f"baseline/test/{metric}"],
    }
    return row | {
        name: peer(pipeline, *frames, has_classes=has_classes)
        for name, pipeline in pipelines(frames[0], has_classes=has_classes)
    }


def peer(pipeline: Any, X: Any, X_test: Any, y: Any, y_test: Any, *, has_classes: bool) -> float:  # noqa: ANN401  (scikit-learn ships no types)
    from sklearn.metrics import log_loss, root_mean_squared_error

    if has_classes:
        y, y_test = y.astype(str), y_test.astype(str)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLP's 200 epochs, and of words that are new
        pipeline.fit(X, y)
        if not has_classes:
            return float(root_mean_squared_error(y_test, pipeline.predict(X_test)))
        classes = pipeline[-1].classes_
        return float(log_loss(y_test, pipeline.predict_proba(X_test), labels=classes))


def main(arguments: argparse.Namespace) -> int:
    chosen = [t for t in tables() if not arguments.only or t.name in arguments.only]
    works = True
    if arguments.commands:
        with ThreadPoolExecutor(2) as pool:
            worked = []
            for table, failure in zip(chosen, pool.map(first_try, chosen), strict=True):
                done = "trained, predicted, rerun IDENTICAL"
                done += ", served as CSV and JSON" if table.name in SERVED else ""
                print(f"{table.name:28} {failure or done}", flush=True)
                worked += [] if failure else [table.name]
        works = len(worked) >= FIRST_TRY * len(chosen)
        served = sum(name in SERVED for name in worked)
        print(f"{len(worked)} of {len(chosen)} at the first try; {served} served as CSV and JSON")
    if arguments.peers:
        print("| table | measure | no features | ours | linear | MLP | boosted trees |")
        print("|---|---|---:|---:|---:|---:|---:|")
        for table in chosen:
            row = scores(table)
            linear = row.get("LogisticRegression", row.get("Ridge"))
            numbers = (
                row["baseline"],
                row["ours"],
                linear,
                row["MLP"],
                row["HistGradientBoosting"],
            )
            best = min(numbers)
            cells = [f"**{x:.4g}**" if x == best else f"{x:.4g}" for x in numbers]
            print(f"| `{table.name}` | {row['measure']} | {' | '.join(cells)} |", flush=True)
    return int(not works)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--no-commands", dest="commands", action="store_false")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    sys.exit(main(parser.parse_args()))
