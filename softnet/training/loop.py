"""The training loop of a stack of runs, as a generator of records.

It decides nothing about where records go: whoever iterates does. All that it remembers between
two records is in `state`, plain arrays and numbers, so that a training can be saved and resumed
with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softnet.metrics import OBJECTIVE, evaluate
from softnet.network import Network
from softnet.optimizers.registry import OPTIMIZERS
from softnet.optimizers.schedules import Schedule
from softnet.stack.arrays import Indices
from softnet.stack.randomness import Noise, member_seed, stream
from softnet.stack.settings import require
from softnet.training.backpropagation import gradients_of
from softnet.training.batches import SAMPLINGS
from softnet.training.settings import Examples, Record, RunSettings, StackSettings

# Steps between two records at the most, so that progress shows and a state can be saved.
STEPS_PER_CHUNK = 256


class Training:
    """Train a stack of runs; iterate over it for the records.

    Parameters
    ----------
    settings : StackSettings
        What the runs share.
    runs : sequence of RunSettings
        One per run.
    examples : mapping of str to Examples
        ``train``, and any other split that is to be evaluated along the way.

    Attributes
    ----------
    values : ndarray of shape (n_runs, n_parameters)
        After the last record: each run's final parameters, or with early stopping its best.
    statistics : ndarray of shape (n_runs, n_statistics)
        What is kept with these parameters but not optimized.
    n_steps, best_steps : ndarray of int, shape (n_runs,)
        Updates that each run took; the step of its best evaluation, -1 without early stopping.
    stopped_early : ndarray of bool, shape (n_runs,)
        Whether a run ended before its budget because it had stopped improving.
    failures : list of str or None
        Why a run was given up, for instance ``loss is not finite at step 100``.

    Examples
    --------
    >>> from softnet import SGD, mlp
    >>> rows = Examples(np.array([[0.0], [1.0]]), np.array([0, 1]))
    >>> settings = StackSettings(mlp([1, 2]), n_steps=200, batch_size=2, evaluate_every=100)
    >>> runs = [RunSettings(seed, SGD.Settings(learning_rate=0.5)) for seed in range(3)]
    >>> training = Training(settings, runs, {"train": rows})
    >>> [record.step for record in training if record.metrics]
    [100, 200]
    """

    def __init__(
        self,
        settings: StackSettings,
        runs: Sequence[RunSettings],
        examples: Mapping[str, Examples],
    ) -> None:
        n_runs = len(runs)
        self.settings, self.runs = settings, tuple(runs)
        dtype: np.dtype[Any] = np.dtype(settings.dtype)
        self.examples = {
            name: replace(rows, X=np.ascontiguousarray(rows.X, dtype))
            for name, rows in examples.items()
        }
        every = tuple(dict.fromkeys(("loss", *settings.metrics)))
        of_others = tuple(metric for metric in every if metric != OBJECTIVE)
        self._metrics = {name: every if name == "train" else of_others for name in examples}
        recorded = [f"{name}/{each}" for name, of in self._metrics.items() for each in of]
        for rule in {run.early_stopping for run in runs if run.early_stopping}:
            require(rule.metric in recorded, "metric", f"one of {recorded}", rule.metric)

        self.network = Network(settings.network, n_runs, dtype)
        members = self._members(runs)
        self.network.initialize(
            [stream(run.seed, "init") for run in members], [run.initializer for run in members]
        )
        self.network.body.fit(self.examples["train"].X)
        for number, run in enumerate(runs):
            self.network.set_weights(number, run.initial)
        rates = [run.dropout for run in members]
        self.network.use_noise(Noise([run.seed for run in members], rates))
        train = self.examples["train"]
        self._gradients = gradients_of(self.network, train, settings.batch_size)
        trained = self._gradients.parameters
        self.optimizer = OPTIMIZERS[settings.optimizer]([run.optimizer for run in members], trained)
        self.batches = SAMPLINGS[settings.sampling](
            len(train.X),
            settings.batch_size,
            [stream(run.seed, "batches") for run in members],
            trained.order,
        )
        self.step = 0
        self.active: Indices = np.arange(n_runs)
        self.values = self.network.parameters.values.copy()
        self.statistics = self.network.statistics.values.copy()
        self.n_steps = np.zeros(n_runs, np.intp)
        self.stopped_early = np.zeros(n_runs, bool)
        self.failures: list[str | None] = [None] * n_runs
        self.best_steps = np.full(n_runs, -1, np.intp)
        self._best = np.array([r.early_stopping.worst if r.early_stopping else 0.0 for r in runs])
        self._waited = np.zeros(n_runs, np.intp)
        # Where weights are averaged the network has the average, but for the steps of training.
        self._unaveraged = None if settings.averaging is None else self.values.copy()
        self._take_schedules()

    def __iter__(self) -> Iterator[Record]:
        settings = self.settings
        while self.step < settings.n_steps and len(self.active):
            evaluation = min(
                (self.step // settings.evaluate_every + 1) * settings.evaluate_every,
                settings.n_steps,
            )
            self._advance(min(evaluation, self.step + STEPS_PER_CHUNK))
            if self.step < evaluation:
                yield Record(self.step, self.active, {})
                continue
            runs = self.active
            # A run that diverges overflows, and is given up for it: no warning is due.
            with np.errstate(all="ignore"):
                metrics = {
                    f"{name}/{metric}": values
                    for name, rows in self.examples.items()
                    for metric, values in evaluate(
                        self.network,
                        rows.X,
                        rows.y,
                        self._metrics[name],
                        rows.shares,
                        rows.weights,
                        settings.labels,
                    ).items()
                }
            self._judge(metrics)
            yield Record(self.step, runs, metrics)

    def _advance(self, until: int) -> None:
        """Take the steps up to number `until`."""
        network, gradients, optimizer = self.network, self._gradients, self.optimizer
        n_later = self.settings.n_steps - until
        # The network's own parameters, or a copy that lies in memory in another way.
        trained, share = gradients.parameters, self.settings.averaging
        average = network.parameters.values
        if share is not None:
            average = np.array(average, order=trained.order)
            scratch = np.empty_like(average)
        trained.values[:] = average if self._unaveraged is None else self._unaveraged
        with np.errstate(all="ignore"):
            for rows in self.batches.draw(until - self.step, n_later):
                gradients(rows)
                rates = self._learning_rates()
                self.step += 1
                optimizer.step(rates, self.step)
                if share is not None:
                    np.multiply(average, share, out=average)
                    np.multiply(trained.values, 1 - share, out=scratch)
                    np.add(average, scratch, out=average)
        if self._unaveraged is not None:
            self._unaveraged[:] = trained.values
        network.parameters.values[:] = trained.values if share is None else average

    def _members(self, runs: Sequence[RunSettings]) -> list[RunSettings]:
        """Return what each row of the flat buffers has for itself: a run, or a member of one."""
        numbers = range(self.settings.network.n_copies)
        return [replace(run, seed=member_seed(run.seed, n)) for run in runs for n in numbers]

    def _rows_of(self, runs: Indices) -> Indices:
        """Return the rows of the flat buffers that belong to runs at these positions."""
        n_copies = self.settings.network.n_copies
        return (runs[:, None] * n_copies + np.arange(n_copies)).ravel()

    def _take_schedules(self) -> None:
        """Note which schedules the active runs have, each distinct one once."""
        runs = self._members([self.runs[run] for run in self.active])
        numbers: dict[Schedule, int] = {}
        self._schedule_of = [numbers.setdefault(run.schedule, len(numbers)) for run in runs]
        self._schedules = list(numbers)
        self._base_rates = [run.optimizer.learning_rate for run in runs]
        self._factors: list[float] = []

    def _learning_rates(self) -> list[float]:
        """Return the present rate of each active run; the same list while nothing changes."""
        n_steps = self.settings.n_steps
        factors = [schedule(self.step, n_steps) for schedule in self._schedules]
        if factors != self._factors:
            self._factors = factors
            pairs = zip(self._base_rates, self._schedule_of, strict=True)
            self._rates = [rate * factors[number] for rate, number in pairs]
        return self._rates

    def _judge(self, metrics: Mapping[str, NDArray[np.float64]]) -> None:
        """Keep what is best, and let the runs go that are done."""
        losses = [values for name, values in metrics.items() if name.endswith("/loss")]
        finite = np.logical_and.reduce([np.isfinite(values) for values in losses])
        # Parameters can blow up and leave a linear model's loss at 0: numbers so large that their
        # squares overflow swallow every further step, so such a run has diverged as well.
        with np.errstate(all="ignore"):
            norms = np.add.reduce(np.square(self.network.parameters.values), axis=-1)
        bounded = np.isfinite(norms).reshape(len(self.active), -1).all(axis=1)
        staying = np.zeros(len(self.active), bool)
        for row, run in enumerate(self.active):
            self.n_steps[run] = self.step
            rule = self.runs[run].early_stopping
            if not (finite[row] and bounded[row]):
                what = "norm of the parameters" if finite[row] else "loss"
                self.failures[run] = f"{what} is not finite at step {self.step}"
                if self.best_steps[run] < 0:
                    self._take_weights(row, run)
                continue
            if rule is None:
                staying[row] = True
                continue
            value = float(metrics[rule.metric][row])
            if rule.gain(value, self._best[run]) > rule.min_delta:
                self._best[run], self.best_steps[run], self._waited[run] = value, self.step, 0
                self._take_weights(row, run)
            else:
                self._waited[run] += 1
            staying[row] = self._waited[run] < rule.patience
            self.stopped_early[run] = not staying[row] and self.step < self.settings.n_steps
        if self.step >= self.settings.n_steps:
            self.note_weights()
        elif not staying.all():
            self._keep(np.flatnonzero(staying))

    def note_weights(self) -> None:
        """Note in `values` what each active run would leave if it ended now."""
        for row, run in enumerate(self.active):
            if self.runs[run].early_stopping is None:
                self._take_weights(row, run)

    def end(self, runs: Sequence[int]) -> None:
        """End runs at these positions before their budget, with what they have or had best."""
        self.note_weights()
        self._keep(np.flatnonzero(~np.isin(self.active, runs)))

    def _take_weights(self, row: int, run: int) -> None:
        """Note the present weights of an active run as those that it leaves."""
        network = self.network
        for taken, arrays in (
            (self.values, network.parameters),
            (self.statistics, network.statistics),
        ):
            present = arrays.values[self._rows_of(np.array([row]))]
            # One NaN for all: its sign and payload depend on how NumPy came to it.
            taken[self._rows_of(np.array([run]))] = np.where(np.isnan(present), np.nan, present)

    def _keep(self, rows: Indices) -> None:
        """Go on with the active runs at these positions in `active`; their bits do not change."""
        self.active = self.active[rows]
        rows = self._rows_of(rows)
        self.network.keep(rows)
        self._gradients.keep(rows)
        self.optimizer.keep(rows)
        self.batches.keep(rows)
        if self._unaveraged is not None:
            self._unaveraged = self._unaveraged[rows]
        self._take_schedules()

    def state(self) -> dict[str, Any]:
        """Return all that a training remembers between two records, as arrays and numbers."""
        return {
            "step": self.step,
            "active": self.active.copy(),
            "parameters": self.network.parameters.values.copy(),
            "statistics": self.network.statistics.values.copy(),
            "unaveraged": None if self._unaveraged is None else self._unaveraged.copy(),
            "noise": self.network.noise.n_words,
            "optimizer": {name: array.copy() for name, array in self.optimizer.state.items()},
            "batches": self.batches.state(),
            "failures": list(self.failures),
            "kept": {name: array.copy() for name, array in self._kept().items()},
        }

    def _kept(self) -> dict[str, NDArray[Any]]:
        """Return what is kept of each run, whether it is still in training or not."""
        return {
            "values": self.values,
            "statistics": self.statistics,
            "n_steps": self.n_steps,
            "stopped_early": self.stopped_early,
            "best_steps": self.best_steps,
            "best": self._best,
            "waited": self._waited,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned, in a training made with the same arguments.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it does not fit, being of other runs, shapes or kinds; this one is of no use then.
        """
        rows = np.flatnonzero(np.isin(self.active, state["active"]))
        if not np.array_equal(self.active[rows], state["active"]):
            raise ValueError(f"the state is of the runs {state['active']}, not of {self.active}")
        self._keep(rows)
        self.step = int(state["step"])
        self.network.parameters.values[:] = state["parameters"]
        self.network.statistics.values[:] = state["statistics"]
        if self._unaveraged is not None:
            self._unaveraged[:] = state["unaveraged"]
        self.network.noise.go_to(int(state["noise"]))
        for name, array in state["optimizer"].items():
            self.optimizer.state[name][:] = array
        self.batches.restore(state["batches"])
        for name, array in self._kept().items():
            array[:] = state["kept"][name]
        self.failures = list(state["failures"])

    def trained_network(self) -> Network:
        """Return a network of all runs with their final weights, `values` and `statistics`."""
        network = Network(self.settings.network, len(self.runs), self.network.dtype)
        network.parameters.values[:] = self.values
        network.statistics.values[:] = self.statistics
        return network


def join_states(parts: Sequence[tuple[Mapping[str, Any], Sequence[int]]]) -> dict[str, Any]:
    """Return the state of a training of runs that come from several, one after the other.

    Parameters
    ----------
    parts : sequence of (mapping, sequence of int)
        What `Training.state` returned of each, and the positions in it of the runs that go on.
        Those that are still in training have taken the same steps.
    """
    ones, rows, runs = [], [], []
    for state, positions in parts:
        at = {int(run): row for row, run in enumerate(state["active"])}
        n_copies = len(state["kept"]["values"]) // len(state["failures"])
        copies = np.arange(n_copies)
        present = [at[run] for run in positions if run in at]
        ones += [run in at for run in positions]
        rows.append((np.array(present, np.intp)[:, None] * n_copies + copies).ravel())
        whole = np.array(positions, np.intp)
        runs.append((whole, (whole[:, None] * n_copies + copies).ravel()))
    states = [state for state, _ in parts]
    # Where all have stopped early, the steps count of none.
    latest = max(states, key=lambda state: (len(state["active"]) > 0, state["step"]))

    def active(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate([array[row] for array, row in zip(arrays, rows, strict=True)])

    def kept(name: str) -> NDArray[Any]:
        per_copy = name in ("values", "statistics")
        return np.concatenate(
            [s["kept"][name][of[per_copy]] for s, of in zip(states, runs, strict=True)]
        )

    unaveraged = [state["unaveraged"] for state in states]
    rngs = [
        state["batches"]["rngs"][row] for state, of in zip(states, rows, strict=True) for row in of
    ]
    return {
        "step": latest["step"],
        "active": np.flatnonzero(ones),
        "parameters": active([state["parameters"] for state in states]),
        "statistics": active([state["statistics"] for state in states]),
        "unaveraged": None if latest["unaveraged"] is None else active(unaveraged),
        "noise": latest["noise"],
        "optimizer": {
            name: active([state["optimizer"][name] for state in states])
            for name in latest["optimizer"]
        },
        "batches": {"rngs": rngs, "position": latest["batches"]["position"]},
        "failures": [state["failures"][run] for state, of in parts for run in of],
        "kept": {name: kept(name) for name in latest["kept"]},
    }
