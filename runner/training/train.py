"""One stack of runs, from prepared arrays to trained weights and what they are worth.

A training is iterated over, can be saved between two records, and ends in results.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.system.process import verify_blas_pin
from runner.training.prepare import Prepared, require_fit, run_settings
from runner.training.run_files import weights_sha256
from runner.training.tasks import TASKS
from softnet import Network, Record, Training, evaluate, join_states, mlp

if TYPE_CHECKING:
    from runner.config.schema import Experiment


@dataclass(frozen=True)
class Result:
    """What one trained run left."""

    # Metrics by step, one entry per evaluation.
    history: tuple[tuple[int, Mapping[str, float]], ...]
    times_s: tuple[float, ...]  # when each of these evaluations was made, in seconds since 1970
    # Metrics of the weights that were kept: of each split (``test/accuracy``), and with early
    # stopping ``best/*``.
    final: Mapping[str, float]
    weights: Mapping[str, NDArray[Any]]  # parameters by name
    n_steps: int  # updates taken
    best_step: int | None  # step of the weights that were kept; None without early stopping
    failure: str | None  # why the run was given up
    # When the training of its stack began and ended, in seconds since 1970.
    started_s: float
    ended_s: float

    @property
    def last_entries(self) -> tuple[tuple[int, Mapping[str, float]], ...]:
        """The metrics that are measured once, at the end, by the step that they belong to."""
        kept = self.n_steps if self.best_step is None else self.best_step
        before = {name for _, metrics in self.history for name in metrics}
        entries: dict[int, dict[str, float]] = {self.n_steps: {}, kept: {}}
        for name, value in self.final.items():
            if name not in before:
                is_last = name.startswith(("test/", "baseline/"))
                entries[self.n_steps if is_last else kept][name] = value
        return tuple(entries.items())

    @property
    def kept_entries(self) -> Iterator[tuple[int, Mapping[str, float], float]]:
        """The metrics of the weights that were kept: step, values, and when they were measured."""
        kept = self.n_steps if self.best_step is None else self.best_step
        for (step, metrics), at_s in zip(self.history, self.times_s, strict=True):
            if step == kept:
                yield step, metrics, at_s
        for step, metrics in self.last_entries:
            yield step, metrics, self.ended_s

    @property
    def weights_sha256(self) -> str:
        """SHA-256 over the parameters' bytes, in their order."""
        return weights_sha256(self.weights)


class StackTraining:
    """The training of experiments of equal shape on the same data; iterate over it for records.

    The experiments may differ in whatever `softnet.RunSettings` holds; `initial` are the weights
    that each run does not draw, by name. A training that was resumed has the `started_s` of its
    first beginning.
    """

    def __init__(
        self,
        prepared: Prepared,
        experiments: Sequence[Experiment],
        initial: Sequence[Mapping[str, NDArray[Any]]] = (),
    ) -> None:
        verify_blas_pin()
        # One stack has one shape; unpacking fails where a caller has put together what differs.
        (settings,) = {require_fit(experiment, prepared) for experiment in experiments}
        weights = experiments[0].training.class_weight
        watched = {
            part: prepared.examples(part, weights if part == "train" else None)
            for part in prepared.parts
            if part != "test"
        }
        self._prepared = prepared
        self._pruned_at = [e.training.pruned_at_step for e in experiments]
        given = initial or [{}] * len(experiments)
        runs = [run_settings(e, of_run) for e, of_run in zip(experiments, given, strict=True)]
        self._training = Training(settings, runs, watched)
        self.records: list[tuple[Record, float]] = []
        self.started_s = time.time()

    @property
    def n_steps(self) -> int:
        """Updates in all, of runs that do not stop early."""
        return self._training.settings.n_steps

    @property
    def step(self) -> int:
        """Updates done."""
        return self._training.step

    def __iter__(self) -> Iterator[Record]:
        return self.until(self.n_steps)

    def until(self, step: int) -> Iterator[Record]:
        """Go on to a step at which there is an evaluation, and end the runs that were pruned."""
        self._end_pruned()
        if self.step < step:
            for record in self._training:
                if record.metrics:
                    self.records.append((record, time.time()))
                    self._end_pruned()
                yield record
                if self.step >= step:
                    return

    def _end_pruned(self) -> None:
        ended = [run for run, at in enumerate(self._pruned_at) if at and self.step >= at]
        if ended:
            self._training.end(ended)

    def values(self, metrics: Sequence[str]) -> list[dict[str, float]]:
        """Measure on validation rows what each run would leave if it ended now; failed: NaN."""
        self._training.note_weights()
        rows, network = self._prepared.examples("val"), self._training.trained_network()
        X = np.ascontiguousarray(rows.X, network.dtype)
        with np.errstate(all="ignore"):
            labels = self._prepared.target.labels
            measured = evaluate(network, X, rows.y, metrics, rows.shares, labels=labels)
        return [
            {m: math.nan if failure else float(measured[m][run]) for m in metrics}
            for run, failure in enumerate(self._training.failures)
        ]

    def state(self) -> dict[str, Any]:
        """Return all that the training remembers between two records, as arrays and numbers."""
        return {
            "training": self._training.state(),
            "started_s": self.started_s,
            # One array for all evaluations, since there may be thousands of them.
            "steps": np.array([record.step for record, _ in self.records]),
            "times_s": np.array([at_s for _, at_s in self.records]),
            "lengths": np.array([len(record.runs) for record, _ in self.records], np.intp),
            "runs": _joined(record.runs for record, _ in self.records),
            "metrics": {
                name: _joined(record.metrics[name] for record, _ in self.records)
                for name in (self.records[0][0].metrics if self.records else ())
            },
        }

    def restore(self, *parts: tuple[Mapping[str, Any], Sequence[int]]) -> None:
        """Go on from where the runs of other trainings stood.

        Each part is what `state` returned of one, and the positions in it of the runs that are the
        next of this training. Raises `KeyError`, `TypeError` or `ValueError` if they are of other
        experiments; this one is of no use then.
        """
        self._training.restore(join_states([(state["training"], runs) for state, runs in parts]))
        self.started_s = min(float(state["started_s"]) for state, _ in parts)
        several, first = [], 0
        for state, runs in parts:
            position = np.full(len(state["training"]["failures"]), -1)
            position[list(runs)] = np.arange(first, first + len(runs))
            first += len(runs)
            flat = {name: np.repeat(state[name], state["lengths"]) for name in ("steps", "times_s")}
            flat |= {"runs": position[state["runs"]], **state["metrics"]}
            several.append({name: column[flat["runs"] >= 0] for name, column in flat.items()})
        joined = {name: np.concatenate([flat[name] for flat in several]) for name in several[0]}
        order = np.argsort(joined["steps"], kind="stable")
        steps, starts = np.unique(joined["steps"][order], return_index=True)
        columns = {name: np.split(column[order], starts[1:]) for name, column in joined.items()}
        times_s, members = columns.pop("times_s"), columns.pop("runs")
        del columns["steps"]
        self.records = [
            (Record(step, members[n], {k: c[n] for k, c in columns.items()}), times_s[n].max())
            for n, step in enumerate(steps.tolist())
        ]

    def results(self) -> list[Result]:
        """Measure the weights that were kept, and return what each run left, in their order."""
        training = self._training
        network = training.trained_network()
        # What was stopped early is not to be compared by test rows; what diverged has ended.
        is_pruned = [at and not training.failures[run] for run, at in enumerate(self._pruned_at)]
        parts = [part for part in self._prepared.parts if part != "test" or not all(is_pruned)]
        weights = training.examples["train"].weights
        finals = final_metrics(network, self._prepared, weights, parts)
        ended_s = time.time()
        results = []
        for run, (history, times_s) in enumerate(self._histories()):
            final = finals[run]
            if is_pruned[run]:
                final = {name: v for name, v in final.items() if "test/" not in name}
            best_step = int(training.best_steps[run])
            if best_step >= 0:
                best = next(values for step, values in history if step == best_step)
                final |= {f"best/{name}": value for name, value in best.items()}
                final["best/step"] = float(best_step)
            results.append(
                Result(
                    history=tuple(history),
                    times_s=tuple(times_s),
                    final=final,
                    weights=network.weights(run),
                    n_steps=int(training.n_steps[run]),
                    best_step=best_step if best_step >= 0 else None,
                    failure=training.failures[run],
                    started_s=self.started_s,
                    ended_s=ended_s,
                )
            )
        return results

    def _histories(self) -> list[tuple[list[tuple[int, Mapping[str, float]]], list[float]]]:
        """Turn records of all runs into the history of each."""
        histories: list[tuple[list[tuple[int, Mapping[str, float]]], list[float]]]
        histories = [([], []) for _ in self._training.runs]
        for record, at_s in self.records:
            columns = {name: values.tolist() for name, values in record.metrics.items()}
            for row, run in enumerate(record.runs):
                history, times_s = histories[run]
                history.append((record.step, {name: c[row] for name, c in columns.items()}))
                times_s.append(at_s)
        return histories


def _joined(arrays: Iterable[NDArray[Any]]) -> NDArray[Any]:
    several = list(arrays)
    return np.concatenate(several) if several else np.empty(0, np.intp)


def train(prepared: Prepared, experiments: Sequence[Experiment]) -> list[Result]:
    """Train experiments of equal shape on the same data as one stack, from start to end."""
    training = StackTraining(prepared, experiments)
    for _ in training:
        pass
    return training.results()


def final_metrics(
    network: Network,
    prepared: Prepared,
    weights: NDArray[np.float64] | None,
    parts: Sequence[str] = (),
) -> list[dict[str, float]]:
    """Measure the weights that were kept on some or all parts, the test rows once and here only.

    Beside them stands what an answer that knows no features is worth on the last of the splits.
    """
    finals: list[dict[str, float]] = [{} for _ in range(network.n_runs)]
    target, names = prepared.target, prepared.target.metrics
    for part in parts or prepared.parts:
        rows = prepared.examples(part)
        X = np.ascontiguousarray(rows.X, network.dtype)
        counts_alike = weights is None or np.array_equal(weights, rows.shares)  # type: ignore[arg-type]
        is_plain = counts_alike and network.loss.settings == target.loss()
        further = ["objective"] if part == "train" and not is_plain else []
        with np.errstate(all="ignore"):  # a run that diverged has no finite outputs
            measured = evaluate(
                network, X, rows.y, [*names, *further], rows.shares, weights, target.labels
            )
        for name, values in measured.items():
            for run, value in enumerate(values):
                finals[run][f"{part}/{name}"] = float(value)
    part = prepared.parts[-1]
    for name, value in _baseline(prepared, part).items():
        for final in finals:
            final[f"baseline/{part}/{name}"] = value
    return finals


def _baseline(prepared: Prepared, part: str) -> dict[str, float]:
    """Measure what always says the shares of the classes, or the mean, of the training rows."""
    target, rows = prepared.target, prepared.examples(part)
    trained = prepared.dataset.y[prepared.split.train]
    network = Network(mlp([1, len(target.names)], loss=target.loss()))
    network.parameters["layers.0.bias"][0] = TASKS[target.task].constant(trained, target)
    X = np.zeros((len(rows.y), 1))
    measured = evaluate(network, X, rows.y, target.metrics, rows.shares, labels=target.labels)
    return {name: float(values[0]) for name, values in measured.items()}
