"""The command `runner predict`: the classes of raw rows, by the network that a run has trained.

The record is data: no code of a model is loaded, so it may come from anybody.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.jobs.sweep.spreadsheet import cell
from runner.report.table import say
from runner.system.errors import CommandError, ConfigError, DataError, RecordError, shorten
from runner.system.files import atomic_file
from runner.system.formatting import count
from runner.system.paths import expanded
from runner.system.process import verify_blas_pin
from runner.system.text import printable
from runner.tracking.records import Record, find_source
from runner.training.data.files import load_rows
from runner.training.run_files import parquet
from runner.training.tasks import TASKS, Target
from softnet import Network

_KINDS = (".csv", ".parquet")


def predict(run_id: str, file: str, out: str | None, uri: str | None) -> None:
    """Predict the rows of a file, and write class and probabilities of each.

    `run_id` is of a run that has ended, or an exported folder. The file has the columns that the
    run was trained on; others are not looked at. Without a `.csv` or `.parquet` to write, CSV is
    printed.
    """
    if out is not None and Path(out).suffix.lower() not in _KINDS:
        raise CommandError(f"--out: must end in {' or '.join(_KINDS)}, got {printable(out)!r}.")
    if not file.strip():
        raise CommandError(f"FILE: must be a file, got {file!r}.")
    target = None if out is None else _writable(out, file)
    record = Record.read(find_source(run_id, uri), admits_earlier=True)
    predictions, learned = _predictions(record, expanded(file))
    table = TASKS[learned.task].table(predictions, learned.names)
    if target is None:
        sys.stdout.write(_csv(table))
        sys.stdout.flush()
        return
    with atomic_file(target) as stream:
        stream.write(_csv(table).encode() if str(out).lower().endswith(".csv") else parquet(table))
    say(f"{count(len(predictions), 'row')} to {out}")


def _writable(out: str, file: str) -> Path:
    """Return the file that `--out` leads to: behind a link it is the one that takes the rows."""
    try:
        target = expanded(out).resolve(strict=False)
        is_other = target.exists() and not target.is_file()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise CommandError(f"--out: must be a file, got {shorten(out)}.") from error
    if target == expanded(file).resolve():
        raise CommandError(f"--out: must be another file than FILE, got {shorten(out)} twice.")
    if is_other:  # writing to a pipe could wait for ever
        what = "a folder" if target.is_dir() else "a device or pipe"
        raise CommandError(f"--out: must be a file, got {what}, {shorten(out)}.")
    if not target.parent.is_dir():
        raise CommandError(
            f"--out: must be in a folder that is there, got {shorten(out)}. There is no folder "
            f"{printable(target.parent)}."
        )
    return target


def _predictions(record: Record, file: Path) -> tuple[NDArray[Any], Target]:
    verify_blas_pin()
    model = record.model()
    settings = model.network(record.experiment)
    weights = record.weights(settings.weight_shapes)
    # Edits of parts that are not needed here count too.
    record.metrics()
    record.environment()
    for edit in record.edits:
        raise RecordError(f"{record.source.label}: {edit}; nothing is predicted with it.")
    try:
        columns = load_rows(file, model.preprocessing, record.experiment.data)
    except ConfigError as error:
        # The path is a setting elsewhere, and an argument here.
        raise CommandError(str(error).replace(f"{error.key}: ", "FILE: ", 1)) from None
    preprocessing = model.preprocessing
    try:
        encoded = preprocessing.encode_rows(columns)
    except DataError as error:
        raise DataError(f"{printable(file)}, {error}") from None
    for name, codes in zip(preprocessing.feature_names, encoded.T, strict=True):
        if name in preprocessing.categories and (n_new := int(np.count_nonzero(codes < 0))):
            say(
                f"{printable(file)}, column {printable(name)}: {count(n_new, 'row')} of "
                f"{len(codes):,} hold what the training file did not; it counts as no word of it."
            )
    # The weights of a run that diverged give nan, which the rows show.
    with np.errstate(all="ignore"):
        X = preprocessing.transform(encoded)
        network = Network.from_weights(weights, settings)
        return network.predict(X)[0], model.target


def _csv(table: Mapping[str, NDArray[Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(cell, table))
    columns = [
        map(cell if values.dtype.kind == "O" else repr, values.tolist())
        for values in table.values()
    ]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()
