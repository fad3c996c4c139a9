"""How a sweep chooses: the points of a search, and who goes on after a rung."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.config.fingerprint import fingerprint_of
from runner.config.plain import as_override_text, flatten, to_plain
from runner.config.search import (
    Dimension,
    DrawnSearch,
    HalvingSearch,
    OptunaSearch,
    SearchRecord,
)
from runner.jobs.events import Reached
from runner.jobs.plan import Plan, PlannedJob, extended
from runner.system.errors import ConfigError
from runner.training.outcome import Outcome
from runner.training.statistics import settings_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What a search is repeated by, among the artifacts of a sweep's run.
SEARCH = "search.json"


def draw(dimensions: Sequence[Dimension], search: DrawnSearch) -> list[dict[str, str]]:
    """Draw the points of a search, all distinct: the values of each by the dimensions' keys.

    Of those that results decide, the first.
    """
    if isinstance(search, OptunaSearch):
        return Proposals(dimensions, search, "val/loss").ask()
    n_trials = search.n_trials
    sampler = search.points if isinstance(search, HalvingSearch) else search.name
    points: dict[tuple[str, ...], None] = {}
    for block in _shares(sampler, len(dimensions), search.seed, n_trials):
        for shares in block:
            point = tuple(d.value(share) for d, share in zip(dimensions, shares, strict=True))
            points.setdefault(point)
            if len(points) == n_trials:
                keys = [dimension.key for dimension in dimensions]
                return [dict(zip(keys, point, strict=True)) for point in points]
    raise AssertionError("there is no end to the shares")


def _shares(sampler: str, n: int, seed: int, n_trials: int) -> Iterator[NDArray[np.float64]]:
    """Go through blocks of points of the unit cube, (points, n), without end."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    if sampler == "random":
        while True:
            yield rng.random((n_trials, n))
    from scipy.stats import qmc

    sequence = qmc.Sobol(n, rng=rng)
    # A power of two, whose points are spread evenly.
    yield sequence.random_base2((n_trials - 1).bit_length())
    while True:
        yield sequence.random(n_trials)


class Proposals:
    """Optuna's TPE: points are asked for in batches, and their values told in the same order.

    The same seed and the same values lead to the same points, wherever and whenever.
    """

    def __init__(self, space: Sequence[Dimension], search: OptunaSearch, metric: str) -> None:
        try:
            import optuna
        except ImportError:
            how = "beside optuna, which pip install 'softnet-runner[search]' installs"
            raise ConfigError("search", how, "optuna") from None
        from softnet import higher_is_better

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        kinds = optuna.distributions
        self._space, self._search, self._asked = space, search, list[Any]()
        self._distributions: dict[str, Any] = {
            each.key: kinds.CategoricalDistribution(each.choices)
            if each.choices
            else kinds.IntDistribution(int(each.low), int(each.high), log=each.is_log)
            if each.is_int
            else kinds.FloatDistribution(each.low, each.high, log=each.is_log)
            for each in space
        }
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=search.seed),
            direction="maximize" if higher_is_better(metric) else "minimize",
        )
        self._failed = optuna.trial.TrialState.FAIL

    def ask(self) -> list[dict[str, str]]:
        """Return the next points, the values of each by the dimensions' keys; none at the end."""
        left = self._search.n_trials - len(self._study.trials)
        n = min(self._search.batch, left)
        self._asked = [self._study.ask(self._distributions) for _ in range(n)]
        return [
            {key: str(trial.params[key]) for key in self._distributions} for trial in self._asked
        ]

    def tell(self, values: Sequence[float]) -> None:
        """Take what the points are worth that were asked for last; NaN of one that failed."""
        for trial, value in zip(self._asked, values, strict=True):
            if math.isfinite(value):
                self._study.tell(trial, value)
            else:
                self._study.tell(trial, state=self._failed)


def proposed(plan: Plan, outcomes: Mapping[int, Outcome]) -> Iterator[Plan]:
    """Go on with the plan of a search batch by batch, each proposed by what came of those before.

    The `outcomes`, by position, are looked up when the next plan is asked for.
    """
    metric, search, space = plan.first.ranking_metric, plan.first.search, plan.space
    if space is None or not isinstance(search, OptunaSearch):
        raise ValueError("the plan of a search knows what it draws from")
    proposals, n_asked = Proposals(space.dimensions, search, metric), 0
    while points := proposals.ask():
        jobs = [job for point in points for job in space.jobs(point)]
        n_asked += len(jobs)
        plan, positions = extended(plan, jobs)
        plan = replace(plan, n_duplicates=n_asked - len(plan.jobs))
        yield plan
        of_jobs, n = [outcomes.get(position) for position in positions], len(jobs) // len(points)
        of_trials = (of_jobs[at : at + n] for at in range(0, len(jobs), n))
        proposals.tell([value_of(of_trial, metric) for of_trial in of_trials])


def value_of(outcomes: Sequence[Outcome | None], metric: str) -> float:
    """Return the mean of a metric over the runs of a trial; NaN where one has none."""
    values = [each.metrics.get(metric, math.nan) if each else math.nan for each in outcomes]
    has_failed = any(each is None or each.status != "FINISHED" for each in outcomes)
    return math.nan if has_failed else math.fsum(values) / len(values)


def pruned(job: PlannedJob, step: int | None) -> PlannedJob:
    """Return a job that ends at a step of its budget, which its key has; None: at its end."""
    training = job.experiment.training.model_copy(update={"pruned_at_step": step})
    experiment = job.experiment.model_copy(update={"training": training})
    key = fingerprint_of(to_plain(experiment), job.data_digest)
    return replace(job, experiment=experiment, key=key)


def rung_steps(job: PlannedJob, search: HalvingSearch) -> list[int]:
    """Return the step of each rung; none where its shape is not known."""
    if job.shape is None:
        return []
    settings = job.shape.settings
    return search.rungs(settings.n_steps, settings.evaluate_every)


def keys_of(plan: Plan) -> dict[str, int]:
    """Return the positions of a plan's jobs by the keys that their runs can have."""
    search, keys = plan.first.search, {job.key: p for p, job in enumerate(plan.jobs)}
    if isinstance(search, HalvingSearch):
        for position, job in enumerate(plan.jobs):
            keys |= {pruned(job, step).key: position for step in rung_steps(job, search)}
    return keys


def trials(plan: Plan) -> list[list[int]]:
    """Return the positions of each trial of a plan: those of its seeds and splits."""
    found: dict[object, list[int]] = {}
    for position, job in enumerate(plan.jobs):
        settings = settings_of(job.varied), job.data_digest
        found.setdefault(settings, []).append(position)
    return list(found.values())


def check_rungs(plan: Plan) -> None:
    """Raise `ConfigError` if the first rung of successive halving lies before any evaluation."""
    search = plan.first.search
    if isinstance(search, HalvingSearch):
        settings = (job.shape.settings for job in plan.jobs if job.shape is not None)
        least = max((each.evaluate_every / each.n_steps for each in settings), default=0.0)
        if search.min_share < least:
            least = math.ceil(1000 * least) / 1000
            rule = f"at least {least:g}, the share of the budget up to the first evaluation"
            raise ConfigError("search.min_share", rule, search.min_share)


class Halving:
    """The rungs of successive halving: who is still in it, and who goes on.

    What the store has of earlier commands decides first, so that they are never contradicted. The
    `outcomes` may grow meanwhile; `reached` has what jobs are worth at rungs, by position and step.

    References
    ----------
    K. Jamieson and A. Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter
    optimization".
    """

    def __init__(self, plan: Plan, outcomes: Mapping[int, Outcome]) -> None:
        search = plan.first.search
        if not isinstance(search, HalvingSearch):
            raise TypeError("a plan without rungs")
        self._shares = search.shares
        self.n_rungs = len(self._shares)
        self.reached: dict[tuple[int, int], Reached] = {}
        self._reduction, self._metric = search.reduction, plan.first.ranking_metric
        self._outcomes = outcomes
        self._steps = [rung_steps(job, search) for job in plan.jobs]
        # Those that are still in it, in the order of their points.
        self._trials = trials(plan)
        self._rung = 0
        self._known = [self._recorded_rung(trial) for trial in self._trials]

    @property
    def share(self) -> float:
        """The share of all steps that are taken, of trials of one budget."""
        n, before, taken = len(self._trials), Fraction(0), Fraction(0)
        for share in (*self._shares, Fraction(1)):
            taken += n * (share - before)
            n, before = -(-n // self._reduction), share
        return float(taken / len(self._trials))

    def step(self, position: int) -> int:
        """Return the step of the present rung for a job."""
        return self._steps[position][self._rung]

    def undecided(self) -> list[int]:
        """Return the positions of jobs that are to be trained to the present rung."""
        unknown, n_left = self._open_places()
        is_open = 0 < n_left < len(unknown)
        return [p for n in unknown if is_open for p in self._trials[n] if self._is_missing(p)]

    def decide(self) -> dict[int, int]:
        """Decide who goes on; return the jobs that end here, by position, and their last steps."""
        unknown, n_left = self._open_places()
        unknown.sort(key=lambda n: self._rank(self._trials[n]))
        staying = [n for n, rung in enumerate(self._known) if rung > self._rung]
        staying = sorted([*staying, *unknown[: max(n_left, 0)]])
        out = [t for n, t in enumerate(self._trials) if n not in staying]
        self._trials = [self._trials[n] for n in staying]
        self._known = [self._known[n] for n in staying]
        missing = (position for trial in out for position in trial if self._is_missing(position))
        ended = {position: self.step(position) for position in missing}
        self._rung += 1
        return ended

    def _open_places(self) -> tuple[list[int], int]:
        """Return the trials of which nothing decides yet, and how many of them go on."""
        unknown = [n for n, rung in enumerate(self._known) if rung < 0]
        n_in = sum(rung > self._rung for rung in self._known)
        return unknown, -(-len(self._trials) // self._reduction) - n_in

    def _is_missing(self, position: int) -> bool:
        return position not in self._outcomes

    def _recorded_rung(self, trial: Sequence[int]) -> int:
        """Return the rung at which a trial ended, by what is recorded; -1 where nothing is."""
        for position in trial:
            outcome = self._outcomes.get(position)
            if outcome is not None and outcome.status == "FINISHED":
                return self.n_rungs
            if outcome is not None and outcome.pruned_at_step in self._steps[position]:
                return self._steps[position].index(outcome.pruned_at_step)
        return -1

    def _rank(self, trial: Sequence[int]) -> tuple[bool, float, float, int]:
        """Return what trials are sorted by: their means, the best first, those without one last."""
        from softnet import higher_is_better

        reached = [self.reached.get((position, self.step(position))) for position in trial]
        values = [(each.value, each.loss) if each else (math.nan, math.nan) for each in reached]
        mean, loss = (math.fsum(column) / len(trial) for column in zip(*values, strict=True))
        sign = -1 if higher_is_better(self._metric) else 1
        return (True, 0, 0, trial[0]) if math.isnan(mean) else (False, sign * mean, loss, trial[0])


@dataclass(frozen=True)
class SearchComparison:
    """Whether a rerun has repeated what a search decided: so many of its rungs, and its points."""

    n_rungs: int
    n_rungs_identical: int
    proposes_alike: bool

    @property
    def is_identical(self) -> bool:
        """Whether all is as it was."""
        return self.n_rungs == self.n_rungs_identical and self.proposes_alike


def repeated(
    record: SearchRecord,
    plan: Plan,
    outcomes: Mapping[int, Outcome],
    reached: Mapping[tuple[int, int], Reached],
) -> SearchComparison:
    """Decide again, by the results of a rerun, what a search has decided.

    The plan has the jobs in the order of the search, as they were stopped; `outcomes` are those of
    the rerun, and `reached` is what jobs were worth at rungs, by position and step.
    """
    whole = replace(plan, jobs=tuple(_searched(job, record) for job in plan.jobs))
    n_rungs, n_alike = 0, 0
    if isinstance(record.search, HalvingSearch):
        n_rungs = len(record.search.shares)
        n_alike = _n_rungs_alike(plan, whole, outcomes, reached)
    by_point = {_point(whole.jobs[trial[0]], record.space): trial for trial in trials(whole)}
    runs = {at: [outcomes.get(p) for p in trial] for at, trial in by_point.items()}
    return SearchComparison(n_rungs, n_alike, _points_again(record, runs) == by_point.keys())


def _n_rungs_alike(
    plan: Plan,
    whole: Plan,
    outcomes: Mapping[int, Outcome],
    reached: Mapping[tuple[int, int], Reached],
) -> int:
    """Count the rungs at which the same jobs end again; `whole` has them as before they ended."""
    steps = [job.experiment.training.pruned_at_step for job in plan.jobs]
    halving, n_alike = Halving(whole, {}), 0
    halving.reached = dict(reached)
    failed = {p for p, outcome in outcomes.items() if outcome.status == "FAILED"}
    for _ in range(halving.n_rungs):
        at = {p: halving.step(p) for p in range(len(steps)) if p not in failed}
        ended = {p: step for p, step in halving.decide().items() if p not in failed}
        n_alike += ended == {p: step for p, step in at.items() if steps[p] == step}
    return n_alike


def _points_again(
    record: SearchRecord, runs: Mapping[tuple[str, ...], Sequence[Outcome | None]]
) -> set[tuple[str, ...]]:
    """Draw or propose the points of a search again, as far as there are runs at them."""
    search, keys = record.search, [each.key for each in record.space]
    found = set[tuple[str, ...]]()
    if isinstance(search, OptunaSearch):
        proposals = Proposals(record.space, search, record.metric)
        while points := proposals.ask():
            asked = [tuple(_alike(at[key]) for key in keys) for at in points]
            found.update(asked)
            if not runs.keys() >= {*asked}:  # it was stopped here
                break
            proposals.tell([value_of(runs[at], record.metric) for at in asked])
    elif isinstance(search, DrawnSearch):
        found = {tuple(_alike(at[key]) for key in keys) for at in draw(record.space, search)}
    return found & runs.keys()


def _searched(job: PlannedJob, record: SearchRecord) -> PlannedJob:
    """Return a job as it was before it was stopped, with the search that it is of."""
    whole = pruned(job, None)
    sweep = whole.experiment.sweep.model_copy(update={"metric": record.metric})
    settings = {"search": record.search, "sweep": sweep}
    return replace(whole, experiment=whole.experiment.model_copy(update=settings))


def _point(job: PlannedJob, space: Sequence[Dimension]) -> tuple[str, ...]:
    """Return the values of a job in the dimensions of a search."""
    settings = flatten(to_plain(job.experiment))
    values = []
    for each in space:
        key = each.key.lstrip("+")
        values.append(job.choices.get(key) or as_override_text(settings.get(key)))
    return tuple(map(_alike, values))


def _alike(text: str) -> str:
    """Write a value in one way, however a person has written it."""
    try:
        return repr(float(text))
    except ValueError:
        return text.replace(" ", "").strip("'\"")
