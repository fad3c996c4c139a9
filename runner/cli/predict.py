"""The command `runner predict`: what a run's network says of other rows, or of its own.

The record is data: no code of a model is loaded, so it may come from anybody.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.cli.export import runs_of_model
from runner.config.data import FileData
from runner.config.plain import as_override_text, flatten
from runner.config.schema import Experiment
from runner.jobs.rerun.data_access import allowed_folders, with_data_from
from runner.jobs.sweep.spreadsheet import cell
from runner.report.runs import Classes
from runner.report.table import say
from runner.system.errors import CommandError, ConfigError, DataError, nearest, shorten
from runner.system.files import atomic_file
from runner.system.formatting import count, number
from runner.system.paths import expanded, other_than_file
from runner.system.process import verify_blas_pin
from runner.system.text import printable
from runner.tracking.records import ExportedRun, Record, StoredRun
from runner.tracking.records.record import missing_plugins
from runner.training.data.arrow import parquet
from runner.training.data.columns import Column
from runner.training.data.files import load_rows
from runner.training.prepare import Prepared, Trained, prepared_unchanged
from runner.training.run_files import out_of_fold, prediction_table
from runner.training.tasks import TASKS, best_threshold, measured_at, threshold_metrics
from softnet import Network, evaluate, metric_named

_KINDS = (".csv", ".parquet")


def predict(
    target: str,
    file: str | None,
    part: str | None,
    threshold: str | None,
    data: str | None,
    out: str | None,
    uri: str | None,
) -> None:
    """Predict rows, and write the answer and the probabilities of each.

    `target` is a run that has ended, or a sweep, whose best it is then, or an exported folder.
    `file` is a table with the columns that the run was trained on; without one, a `part` of the
    run's own rows is predicted, which are now where `data` says. `out` ends in ``.csv`` or
    ``.parquet``; without it, CSV is printed. The `threshold` is the probability from which on the
    last of two classes is the answer, or the metric that it is to make largest on the validation
    rows.
    """
    if out is not None and Path(out).suffix.lower() not in _KINDS:
        raise CommandError(f"--out: must end in {' or '.join(_KINDS)}, got {printable(out)!r}.")
    if (file is None) == (part is None):
        raise CommandError("FILE: must be given, or --part with a part of the run's own rows.")
    if file is not None and not file.strip():
        raise CommandError(f"FILE: must be a file, got {file!r}.")
    place = None if out is None else writable(out, file)
    first, *others = runs_of_model(target, uri)
    run = LoadedRun(first, data, [LoadedRun(other, data) for other in others])
    level = 0.5 if threshold is None else run.threshold(threshold)
    table, remarks = run.of_part(part, level) if part else run.of_file(str(file), level)
    if place is None:
        sys.stdout.write(_csv(table))
        sys.stdout.flush()
    else:
        is_csv = str(out).lower().endswith(".csv")
        with atomic_file(place) as stream:
            stream.write(_csv(table).encode() if is_csv else parquet(table))
        say(f"{count(len(next(iter(table.values()))), 'row')} to {out}")
    for remark in remarks:
        say(remark)


class LoadedRun:
    """A run's network, and its own rows where they are asked for; `data` is where they are now.

    With `others`, of other splits of the same data, it predicts the average.
    """

    def __init__(
        self,
        source: ExportedRun | StoredRun,
        data: str | None = None,
        others: Sequence[LoadedRun] = (),
    ) -> None:
        verify_blas_pin()
        self._record = Record.read(source, admits_earlier=True)
        # Edits of parts that are not needed here count too.
        self._record.metrics()
        self._record.environment()
        recorded = self._record.network()
        self._model = recorded.model
        self._network = Network.from_weights(recorded.weights, recorded.settings)
        self._data = data
        self._several = [self, *others]
        self._own: Prepared | None = None

    def predict(self, X: NDArray[np.floating]) -> NDArray[Any]:
        """Return what the network says of rows that are encoded and scaled."""
        # The weights of a run that diverged give nan, which the rows show.
        with np.errstate(all="ignore"):
            predictions: NDArray[Any] = self._network.predict(X)[0]
            return predictions

    def _measure(
        self,
        predictions: NDArray[Any],
        y: NDArray[Any],
        threshold: float,
        what: str,
        X: NDArray[np.floating] | None = None,
    ) -> str:
        """Say what predictions are worth on rows whose target is known.

        By the outputs for the rows X where they are given, which no predictions are rounded from.
        """
        target, loss = self._model.target, self._network.loss
        with np.errstate(all="ignore"):
            if X is not None:
                rows = np.ascontiguousarray(X, self._network.dtype)
                measured = evaluate(self._network, rows, y, target.metrics, labels=target.labels)
            else:
                outputs = loss.outputs_of(predictions[None])
                metrics = {name: metric_named(name, target.labels) for name in target.metrics}
                measured = {
                    name: metric.total(metric.of_rows(loss, outputs, y), y)
                    for name, metric in metrics.items()
                }
            if threshold != 0.5:
                measured |= measured_at(np.array([threshold]), predictions, y, target)
        texts = (f"{name} {number(name, float(values[0]))}" for name, values in measured.items())
        return f"{what}: {', '.join(texts)}"

    @property
    def experiment(self) -> Experiment:
        """What was run."""
        return self._record.experiment

    def environment(self) -> dict[str, str]:
        """Return the facts of where it was run that decide its bits."""
        facts = self._record.environment()
        decisive = facts.get("decisive") if isinstance(facts, dict) else None
        facts = flatten(decisive) if isinstance(decisive, dict) else {}
        return {name: _in_words(value) for name, value in facts.items()}

    def importance(self, n_repeats: int) -> tuple[str, dict[str, float]]:
        """Return a part of the rows, and by how much its loss rises when a column is shuffled.

        That is the mean over some shuffles, on validation rows where there are any.

        References
        ----------
        L. Breiman, "Random Forests", Machine Learning 45, 2001.
        """
        part = "val" if "val" in self.rows.parts else self.rows.parts[-1]
        examples, target = self.rows.examples(part), self._model.target
        X = self.rows.dataset.X[getattr(self.rows.split, part)]
        rng = np.random.default_rng(0)

        def loss(changed: NDArray[np.float64]) -> float:
            encoded = self._model.preprocessing.transform(changed)
            encoded = np.ascontiguousarray(encoded, self._network.dtype)
            with np.errstate(all="ignore"):
                measured = evaluate(
                    self._network, encoded, examples.y, target.metrics, labels=target.labels
                )
            return float(measured["loss"][0])

        before, rises = loss(X), {}
        for column, name in enumerate(self.rows.dataset.feature_names):
            if name not in self._model.preprocessing.feature_names:
                continue
            losses = []
            for _ in range(n_repeats):
                changed = X.copy()
                changed[:, column] = rng.permutation(X[:, column])
                losses.append(loss(changed))
            rises[name] = float(np.mean(losses)) - before
        return part, rises

    @property
    def rows(self) -> Prepared:
        """The rows that the run was trained and measured on."""
        if self._own is None:
            digest = self._record.tags.get("runner.data_digest", "")
            experiment = with_data_from(
                self._record.experiment, self._data, allowed_folders(None), digest=digest
            )
            try:
                self._own = prepared_unchanged(experiment, digest, lambda: self._model)
            except DataError as error:  # such as a kind of file that a plugin reads
                raise DataError(f"{error}{missing_plugins(self._record.source)}") from None
        return self._own

    def classes(self) -> Classes | None:
        """Return how it confuses the classes of its last part of rows; None without classes."""
        target, part = self._model.target, self.rows.parts[-1]
        if target.task != "classification":
            return None
        examples = self.rows.examples(part)
        answers = self.predict(examples.X).argmax(axis=1)
        counts = np.zeros((len(target.names), len(target.names)), np.intp)
        np.add.at(counts, (examples.y, answers), 1)
        return Classes(part, target.names, counts)

    def of_part(self, part: str, threshold: float) -> tuple[dict[str, NDArray[Any]], list[str]]:
        """Predict a part of the run's own rows: of several splits, each row by those it tests."""
        if part not in self.rows.parts:
            raise CommandError(f"--part: must be one of {', '.join(self.rows.parts)}, got {part}.")
        if len(self._several) > 1 and part != "test":
            rule = "must be test for the average of several splits, of which each row trains some"
            raise CommandError(f"--part: {rule}, got {part}.")
        rows, X = getattr(self.rows.split, part), None
        if len(self._several) > 1:
            rows, predictions = out_of_fold(run.trained for run in self._several)
        else:
            X = self.rows.X[rows]
            predictions = self.predict(X)
        y = self.rows.dataset.y[rows]
        table = prediction_table(self.rows, {part: predictions}, threshold, {part: rows})
        what = f"{part}, {count(len(rows), 'row')}"
        return table, [self._measure(predictions, y, threshold, what, X)]

    @property
    def trained(self) -> Trained:
        """The network with its own rows."""
        return Trained(self.rows, self._network.weights(), self._network.settings)

    def of_file(self, file: str, threshold: float) -> tuple[dict[str, NDArray[Any]], list[str]]:
        """Predict the rows of a file."""
        model, task = self._model, TASKS[self._model.target.task]
        read = [run.read(file) for run in self._several]
        encoded, targets, X = read[0]
        pairs = zip(self._several, read, strict=True)
        predictions = np.mean([run.predict(rows) for run, (_, _, rows) in pairs], axis=0)
        missing, unseen = model.preprocessing.remarks(encoded)
        remarks = [f"{printable(file)}: {count(len(encoded), 'row')}; {missing}", unseen]
        if targets:
            y, is_known = task.recode(targets, model.target)
            has_target = ~np.any([column.is_missing for column in targets], axis=0)
            if n_new := int((has_target & ~is_known).sum()):
                what = f"{', '.join(self._targets)}, {count(n_new, 'row')}"
                remarks.append(f"{what}: not measured, since the run has no such target on record")
            if is_known.any():
                what = f"{', '.join(self._targets)}, {count(int(is_known.sum()), 'row')}"
                of_known = X[is_known] if len(read) == 1 else None
                said = predictions[is_known]
                remarks.append(self._measure(said, y[is_known], threshold, what, of_known))
        return task.table(predictions, model.target.names, threshold), remarks

    @property
    def _targets(self) -> tuple[str, ...]:
        config = self._record.experiment.data
        if not isinstance(config, FileData) or config.target is None:
            return ()
        return config.target if isinstance(config.target, tuple) else (config.target,)

    def read(self, file: str) -> tuple[NDArray[np.float64], list[Column], NDArray[np.float64]]:
        """Return the rows of a file, as read and as the network takes them, and its targets."""
        preprocessing, config = self._model.preprocessing, self._record.experiment.data
        try:
            columns, targets = load_rows(expanded(file), preprocessing, config, self._targets)
        except ConfigError as error:
            # The path is a setting elsewhere, and an argument here.
            raise CommandError(str(error).replace(f"{error.key}: ", "FILE: ", 1)) from None
        try:
            encoded = preprocessing.encode_rows(columns)
        except DataError as error:
            raise DataError(f"{printable(file)}, {error}") from None
        return encoded, targets, preprocessing.transform(encoded)

    def threshold(self, text: str) -> float:
        """Return a probability that is given, or the one that is best by a metric."""
        if len(self._model.target.names) != 2 or self._model.target.task != "classification":
            raise CommandError("--threshold: must be left out where there are not two classes.")
        try:
            level = float(text)
        except ValueError:
            metrics = threshold_metrics(self._model.target)
            if text not in metrics:
                rule = f"a number from 0 to 1, or one of {', '.join(metrics)}"
                hint = nearest(text, metrics)
                raise CommandError(
                    f"--threshold: must be {rule}, got {text!r}. {hint}".rstrip()
                ) from None
            if "val" not in self.rows.parts:
                raise CommandError(
                    f"--threshold: must be a number from 0 to 1 for a run without validation rows, "
                    f"got {text!r}."
                ) from None
            rows = [run.rows.examples("val") for run in self._several]
            pairs = zip(self._several, rows, strict=True)
            predictions = np.concatenate([run.predict(each.X) for run, each in pairs])
            y = np.concatenate([each.y for each in rows])
            level, value = best_threshold(text, predictions, y, self._model.target)
            say(f"threshold {level:.4g}: the best val/{text}, {number(text, value)}")
        if not 0 <= level <= 1:
            raise CommandError(f"--threshold: must be a number from 0 to 1, got {text!r}.")
        return level


def _in_words(fact: object) -> str:
    """Write a fact of an environment; several libraries after each other."""
    if isinstance(fact, list) and all(isinstance(each, dict) for each in fact):
        libraries = (", ".join(f"{k} {as_override_text(v)}" for k, v in d.items()) for d in fact)
        return "; ".join(libraries)
    return ", ".join(map(as_override_text, fact if isinstance(fact, list) else [fact]))


def writable(out: str, file: str | None) -> Path:
    """Return the file that `--out` leads to: behind a link it is the one that takes the rows."""
    try:
        target = expanded(out).resolve(strict=False)
        other = other_than_file(target)
    except (OSError, RuntimeError) as error:  # links in a circle
        raise CommandError(f"--out: must be a file, got {shorten(out)}.") from error
    if file is not None and target == expanded(file).resolve():
        raise CommandError(f"--out: must be another file than FILE, got {shorten(out)} twice.")
    if other is not None:  # writing to a pipe could wait for ever
        raise CommandError(f"--out: must be a file, got {other}, {shorten(out)}.")
    if not target.parent.is_dir():
        raise CommandError(
            f"--out: must be in a folder that is there, got {shorten(out)}. There is no folder "
            f"{printable(target.parent)}."
        )
    return target


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
