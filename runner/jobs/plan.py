"""All jobs of one command, checked, keyed and named before the first of them starts.

A plan is frozen: what is in it was composed, validated and met its data once, and is what runs,
whatever happens to the YAML meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from runner.config.fingerprint import fingerprint_of
from runner.config.plain import (
    FOUND_OUT,
    SECTIONS,
    UNDECISIVE,
    as_override_text,
    flatten,
    settled_alike,
    to_plain,
)
from runner.system.errors import ConfigError, DataError
from runner.system.paths import config_folder
from runner.system.text import elide, without_passwords
from runner.training.outcome import short_names
from runner.training.statistics import SEED

if TYPE_CHECKING:  # to read a sweep back takes neither pydantic nor NumPy
    from runner.config.compose.ranges import Space
    from runner.config.schema import Experiment
    from runner.training.prepare import Prepared
    from softnet import StackSettings

# They say nothing of a job.
NOT_OF_A_JOB = ("name", *UNDECISIVE)
# What `differences` notes in its own way, or not at all.
_NO_SECTIONS = ("experiment", "task", SEED, *NOT_OF_A_JOB)
# Where a search has stopped a job, which is no point of its own.
PRUNED = "training.pruned_at_step"
# Where the frozen plan is, in a sweep's folder and among the artifacts of its run.
PLAN_FOLDER, PLAN = "plan", "plan.jsonl"
# A seed among the fields of an experiment counts as the last of all.
_PLACES = {key: n for n, key in enumerate(("experiment", *SECTIONS, SEED))}
_LONGEST_POINT = 200
# The table that `experiment=own` shows where no file is named.
_EXAMPLE = "data/penguins.csv"
# More digits than a person writes.
_DRAWN = re.compile(r"-?0*\.?0*[1-9](\.?\d){8,}(e[+-]?\d+)?$")


class Job(Protocol):
    """What becomes a planned job: composed by Hydra, or read from a record."""

    @property
    def config(self) -> dict[str, Any]:
        """Plain data, not to be changed."""
        ...

    @property
    def overrides(self) -> tuple[str, ...]:
        """What the command line changed, ``key=value``, to name the job in an error."""
        ...

    @property
    def choices(self) -> Mapping[str, str]:
        """The option that was chosen of each config group, such as ``{"model": "mlp"}``."""
        ...

    @property
    def space(self) -> Space | None:
        """What the jobs of a search are drawn from."""
        ...


@dataclass(frozen=True)
class GivenJob:
    """A `Job` of settings that nobody composes."""

    config: dict[str, Any]
    overrides: tuple[str, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    space: Space | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """What jobs must have in common to train as one stack: data, split, lengths, sizes, kinds."""

    data_key: str
    settings: StackSettings


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One job, ready to be run, or with the problem that keeps it from that.

    Its name says what varied, ``learning_rate=0.1 seed=3``: `varied` are the settings by which it
    differs from the other jobs, by dotted key. The key is the same for whatever must give the same
    result. Digests and shape are missing where there is a problem with the data. `choices` are the
    options of the config groups.
    """

    experiment: Experiment
    name: str
    varied: Mapping[str, str]
    key: str
    data_digest: str
    split_digest: str
    shape: Shape | None = None
    problem: ConfigError | DataError | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    example: str = ""  # the file that ships, where it stands for one that was not named

    def record(self) -> dict[str, Any]:
        """Return the job as plain data; what varies and its name follow from all jobs of a plan."""
        return {
            "key": self.key,
            "data_digest": self.data_digest,
            "split_digest": self.split_digest,
            "problem": None if self.problem is None else str(self.problem),
            "choices": dict(self.choices),
            "config": to_plain(self.experiment),
        }

    @classmethod
    def from_record(cls, values: Mapping[str, Any]) -> Self:
        """Return the job of a `record`, which anybody may have edited.

        Raises `ConfigError`, `ValueError`, `KeyError`, `AttributeError`, `TypeError` or
        `RecursionError` if it is none.
        """
        from runner.config.schema import Experiment

        experiment = Experiment.from_dict(values["config"])
        key, data, split = (str(values[name]) for name in ("key", "data_digest", "split_digest"))
        choices = {str(group): str(option) for group, option in values["choices"].items()}
        return cls(experiment, experiment.name, {}, key, data, split, choices=choices)


@dataclass(frozen=True)
class Plan:
    """The jobs of one command, in their order; equal ones once.

    The plan of a sweep with a name has the jobs that earlier commands gave it too.
    """

    jobs: tuple[PlannedJob, ...]  # at least one
    n_duplicates: int = 0  # points that were given again, and are not run again
    # Positions of the jobs that this command has not asked for.
    earlier: frozenset[int] = frozenset()
    # What the jobs of a search were drawn from.
    space: Space | None = field(default=None, compare=False)
    # By how many jobs it is recognized: of a search that proposes more, those of its first point.
    n_identifying: int | None = None

    @property
    def first(self) -> Experiment:
        """The experiment of the first job, for what all jobs share."""
        return self.jobs[self.asked[0]].experiment

    @property
    def asked(self) -> list[int]:
        """The positions of the jobs that this command has asked for."""
        return [position for position in range(len(self.jobs)) if position not in self.earlier]

    @property
    def problem(self) -> ConfigError | DataError | None:
        """Why nothing that was asked for can be run; None where some of it can."""
        problems = [self.jobs[position].problem for position in self.asked]
        return problems[0] if all(problems) else None

    @property
    def n_jobs(self) -> int:
        """How many jobs there are in the end, as far as no further point is proposed twice."""
        from runner.config.search import OptunaSearch

        search, space = self.first.search, self.space
        if not isinstance(search, OptunaSearch) or space is None:
            return len(self.jobs)
        return search.n_trials * len(space.overrides({})) - self.n_duplicates

    @property
    def experiment_name(self) -> str:
        """The MLflow experiment that is meant by the jobs' names."""
        # Sorted: the same sweep goes to the same place, in whatever order its jobs are given.
        return "+".join(sorted({job.experiment.name for job in self.jobs}))[:250]

    @property
    def identity(self) -> str:
        """The digest by which the same sweep is recognized: of its name, or else of its jobs."""
        name = self.first.sweep.name
        what = f"name {name}" if name else "\n".join(sorted(job.key for job in self.jobs))
        if self.first.search.decides:  # of which jobs there are in the end, and how long
            proposes = self.first.search.proposes
            exclude = {"refit"} | ({"n_trials"} if proposes else set())
            settings = self.first.search.model_dump_json(exclude=exclude), self.first.ranking_metric
            space = map(repr, self.space.dimensions) if self.space and proposes else ()
            jobs = self.jobs[: self.n_identifying]
            what = "\n".join([str(name), *settings, *space, *sorted(job.key for job in jobs)])
        return hashlib.sha256(f"{self.experiment_name}\n{what}".encode()).hexdigest()[:12]

    @property
    def sweep_name(self) -> str:
        """What the sweep is called: its name, or else an address that fits on a command line."""
        return self.first.sweep.name or f"sweep-{self.identity[:6]}"

    def lines(self) -> str:
        """Return the plan as JSON, a line for each job, of about 100 bytes; see `read_lines`."""
        first = self.jobs[0].record()
        changes = [dict(_changes(first, job.record())) for job in self.jobs[1:]]
        # Each value of a setting once, whatever takes it how often.
        columns: dict[tuple[str, ...], dict[str, int]] = {}
        for of_job in changes:
            for place, value in of_job.items():
                values = columns.setdefault(place, {})
                of_job[place] = values.setdefault(json.dumps(value), len(values))
        varies = [[place, list(map(json.loads, values))] for place, values in columns.items()]
        lines: list[object] = [first, {"varies": varies}] if changes else [first]
        for job, of_job in zip(self.jobs[1:], changes, strict=True):
            lines.append([job.key, *map(of_job.get, columns)])
        return "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines)


def read_lines(lines: str) -> Iterator[PlannedJob]:
    """Read a plan's lines, which anybody may have edited, and pass over those that are no jobs.

    The first line holds a whole job, and the second the places of the settings by which others
    differ from it, each with its values. A further line has the key of a job and, for each place,
    the number of its value, or null where it is that of the first.
    """
    whole, varies = "{}", list[Any]()
    for line in lines.splitlines():
        try:
            values = json.loads(line)
            if isinstance(values, list):
                key, *numbers = values
                cells = zip(varies, numbers, strict=True)
                changes = [(at, of_place[n]) for (at, of_place), n in cells if n is not None]
                yield PlannedJob.from_record(_changed(whole, key, changes))
            elif "varies" in values:
                varies = values["varies"]
            elif "changes" in values:  # of an earlier version
                yield PlannedJob.from_record(_changed(whole, values["key"], values["changes"]))
            else:
                whole = line
                yield PlannedJob.from_record({"choices": {}} | values)
        except (ConfigError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
            continue


def _changed(
    whole: str, key: str, changes: Sequence[tuple[Sequence[str], object]]
) -> dict[str, Any]:
    """Return the record of a job that differs from another one."""
    record: dict[str, Any] = json.loads(whole)
    for (*sections, name), value in [*changes, (["key"], key)]:
        section = record
        for inner in sections:
            section = section[inner]
        section[name] = value
    return record


def _changes(
    before: object, after: object, *place: str
) -> Iterator[tuple[tuple[str, ...], object]]:
    """Go through the values that differ between two records, each with its place."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        for key in before:
            yield from _changes(before[key], after[key], *place, key)
    elif type(before) is type(after) in (str, int, bool) and before == after:
        return  # most are, and are told so without being written
    elif json.dumps(before) != json.dumps(after) and place != ("key",):  # 1 and 1.0 are two values
        yield place, after


def make_plan(jobs: Sequence[Job]) -> Plan:
    """Plan the jobs of a command, those that are equal once, named by what differs among them.

    See `plan_each`. Raises `ConfigError` also for the first setting that does not fit data that can
    be read: an illegal point is said before anything is run.
    """
    space = jobs[0].space
    for end in space.ends if space is not None else ():
        _planned_soundly([end])
    plan = _planned_soundly(jobs)
    distinct: dict[str, PlannedJob] = {}
    for job in plan.jobs:
        distinct.setdefault(job.key, job)
    planned = named(list(distinct.values()))
    if len(jobs) == 1:
        varied = _overridden(to_plain(planned[0].experiment), jobs[0])
        planned = [labelled(planned[0], varied)]
    n_duplicates, n_identifying = len(jobs) - len(planned), None
    if space is not None and plan.first.search.proposes:
        n_identifying = len({job.key for job in plan.jobs[: len(space.overrides({}))]})
    return Plan(tuple(planned), n_duplicates=n_duplicates, space=space, n_identifying=n_identifying)


def _planned_soundly(jobs: Sequence[Job]) -> Plan:
    """Plan each job; raise `ConfigError` for the first setting that does not fit its data."""
    plan = plan_each(jobs)
    for number, (given, job) in enumerate(zip(jobs, plan.jobs, strict=True), start=1):
        problem = job.problem or _without_variance(job.experiment)
        if isinstance(problem, ConfigError) and not problem.key.startswith("data."):
            raise _at_point(problem, given, number, len(jobs))
    return plan


def _without_variance(experiment: Experiment) -> ConfigError | None:
    """Return why batch normalization would learn nothing: of one row each output is the bias.

    What was recorded so may be rerun.
    """
    model, training = experiment.model, experiment.training
    if model.shares_weights or model.normalization != "batch" or not model.hidden_layer_sizes:
        return None  # members that share weights have a row each
    if training.batch_size != 1:
        return None
    return ConfigError("training.batch_size", "2 or above for model.normalization=batch", 1)


def extended(plan: Plan, jobs: Sequence[Job]) -> tuple[Plan, list[int]]:
    """Return a plan with further jobs behind its own, named anew, and where the jobs given are."""
    planned = plan_each(jobs).jobs
    distinct = {job.key: job for job in plan.jobs}
    for job in planned:
        distinct.setdefault(job.key, job)
    positions = {key: position for position, key in enumerate(distinct)}
    grown = replace(plan, jobs=tuple(named(list(distinct.values()))))
    return grown, [positions[job.key] for job in planned]


def plan_each(jobs: Sequence[Job], uri: str | None = None) -> Plan:
    """Check the settings of all jobs, and those against their data.

    Equal jobs are planned each for itself, and all are named by their experiments. The runs from
    whose weights they start are in the store at `uri`, or where they are to be recorded. Raises
    `ConfigError` for the first setting that is wrong; in a sweep it says in which job.

    Notes
    -----
    A job whose *data* is of no use is planned as a problem: it costs itself alone.
    """
    experiments = _checked(jobs)
    decisive: Any = {"task": True, "data": True, "split": True, "training": {"class_weight"}}
    data_keys = [e.model_dump_json(include=decisive) for e in experiments]
    planned: dict[int, PlannedJob] = {}
    data = _SharedData()
    # Those that share their data follow one another, so that each is read once.
    for number in sorted(range(len(jobs)), key=data_keys.__getitem__):
        experiment, data_key = experiments[number], data_keys[number]
        # What had to be found out stands in the config: a rerun guesses nothing.
        experiment, shape, problem, digests = data.check(experiment, data_key, uri)
        planned[number] = PlannedJob(
            experiment=experiment,
            name=experiment.name,
            varied={},
            # Data that cannot be read are told apart by where they should be.
            key=fingerprint_of(to_plain(experiment), digests[0] or data_key),
            data_digest=digests[0],
            split_digest=digests[1],
            shape=shape,
            problem=problem,
            choices=jobs[number].choices,
            example=_example(jobs[number]),
        )
    return Plan(tuple(planned[number] for number in range(len(jobs))))


def _example(job: Job) -> str:
    """Return the table that `experiment=own` shows where no file is named; empty for others."""
    data: Any = job.config["data"]
    path = str(data.get("path"))
    is_named = not job.choices or any(text.startswith("data.path=") for text in job.overrides)
    # To look for the folder takes longer than the rest, and there may be thousands of jobs.
    if is_named or not path.endswith(_EXAMPLE) or path != str(config_folder() / _EXAMPLE):
        return ""
    return _EXAMPLE


def named(jobs: Sequence[PlannedJob]) -> list[PlannedJob]:
    """Return jobs with the settings by which they differ from one another, and named by them."""
    configs = settled_alike([to_plain(job.experiment) for job in jobs])
    varied = differences(configs, [job.choices for job in jobs])
    return [labelled(job, settings) for job, settings in zip(jobs, varied, strict=True)]


def labelled(job: PlannedJob, varied: Mapping[str, str]) -> PlannedJob:
    """Return a job with the settings that tell it from others, and a name made of them."""
    return replace(job, varied=varied, name=run_name(job.experiment, varied))


class _SharedData:
    """The data that consecutive jobs share, read once for all of them."""

    def __init__(self) -> None:
        self._data_key: str | None = None
        self._prepared: Prepared | ConfigError | DataError
        self._shapes: dict[str, Shape] = {}

    def check(
        self, experiment: Experiment, data_key: str, uri: str | None
    ) -> tuple[Experiment, Shape | None, ConfigError | DataError | None, tuple[str, str]]:
        """Return what an experiment is with its data, its shape, and the digests of the data.

        Or the experiment as it is, and what is wrong with it.
        """
        from runner.training.prepare import Prepared, prepare_cached, require_fit, settled

        if data_key != self._data_key:
            self._data_key = data_key
            try:
                self._prepared = prepare_cached(experiment)
            except (ConfigError, DataError) as error:
                self._prepared = error
        if not isinstance(self._prepared, Prepared):
            return experiment, None, self._prepared, ("", "")
        prepared = self._prepared
        experiment = settled(experiment, prepared)
        digests = prepared.dataset.digest, prepared.split.digest
        try:
            if experiment.training.init_from is not None:
                from runner.jobs.origin import starting_from

                uri = uri or experiment.tracking.uri
                experiment, prepared = starting_from(experiment, prepared, uri)
            # Thousands of jobs share a handful of shapes; of an optimizer the name decides.
            settings = experiment.model_dump_json(exclude={"seed", "optimizer"})
            settings += data_key + experiment.optimizer.name
            shape = self._shapes.get(settings)
            if shape is None:
                # Another run may have learned other features of the same columns.
                key = data_key + (experiment.training.init_sha256 or "")
                shape = Shape(key, require_fit(experiment, prepared))
                self._shapes[settings] = shape
        except ConfigError as error:
            return experiment, None, error, digests
        return experiment, shape, None, digests


def differences(
    configs: Sequence[Mapping[str, Any]], choices: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """Return for each job the settings by which it differs from the others, by dotted key.

    Values are as an override would write them; for their order see `in_order`. An option of a group
    is told by its name, ``optimizer=adam``, where the group's settings differ. What comes with it
    is not told as well: a setting counts where it differs among jobs that share the options it
    belongs to.

    Examples
    --------
    >>> differences([{"seed": 0, "rate": 0.1}, {"seed": 0, "rate": 0.5}], [{}, {}])
    [{'rate': '0.1'}, {'rate': '0.5'}]
    """
    columns = _settings_by_key(configs, choices)
    # What the data decide is no difference between jobs of different data.
    data = [json.dumps(_cells(config, "data"), sort_keys=True) for config in configs]
    varied: list[dict[str, str]] = [{} for _ in configs]
    for key, column in columns.items():
        owners = [data] if key == "task" else [columns[owner] for owner in _owners(key, columns)]
        if not _differs_among_alike(column, owners):
            continue
        section, _, name = key.partition(".")
        shown = section if name == "name" and section not in varied[0] else key
        for settings, value in zip(varied, told_apart(column), strict=True):
            if value is not None:
                settings[shown] = value
    return [in_order(settings) for settings in varied]


_Column: TypeAlias = Sequence[str | None]


def _settings_by_key(
    configs: Sequence[Mapping[str, Any]], choices: Sequence[Mapping[str, str]]
) -> dict[str, _Column]:
    """Return each setting and each chosen option of all jobs, but for sections that are alike."""
    columns: dict[str, _Column] = {"experiment": [each.get("experiment") for each in choices]}
    names = (name for each in (*choices, *configs) for name in each)
    for section in dict.fromkeys(name for name in names if name not in _NO_SECTIONS):
        # A group of a person's own may set what is in other sections.
        cells = [_cells(config, section) if section in config else {} for config in configs]
        if any(cells) and all(of_job == cells[0] for of_job in cells):
            continue
        if all(section in options for options in choices):
            columns[section] = [options[section] for options in choices]
        for key in dict.fromkeys(key for of_job in cells for key in of_job):
            columns[key] = [of_job.get(key) for of_job in cells]
    for key in ("task", SEED):
        columns[key] = [as_override_text(config.get(key)) for config in configs]
    return columns


def _owners(key: str, columns: Container[str]) -> list[str]:
    """Return the options that a setting can come with: the experiment, its section's, its name."""
    section = key.partition(".")[0]
    options = ["experiment", section, f"{section}.name"]
    before = options[: options.index(key)] if key in options else options
    return [option for option in before if option in columns and key != SEED]


def _differs_among_alike(column: _Column, owners: Sequence[_Column]) -> bool:
    """Tell whether a setting has several values among jobs with the same values of its owners."""
    alike = list(zip(*owners, strict=True)) or [()] * len(column)
    return len(set(zip(alike, column, strict=True))) > len(set(alike))


def told_apart(column: _Column) -> _Column:
    """Write numbers that were drawn with as many digits as tell them apart, three at least."""
    numbers = {text: float(text) for text in column if text and _DRAWN.match(text)}
    others = {text for text in column if text not in numbers}
    for digits in range(3, 17):
        short = {text: f"{number:.{digits}g}" for text, number in numbers.items()}
        if len({*short.values(), *others}) == len(numbers) + len(others):
            return [short.get(text or "", text) for text in column]
    return column


def _cells(config: Mapping[str, Any], section: str) -> dict[str, str]:
    """Return the settings of a section as text, but for what was found out in reading a file."""
    flat = flatten({section: config.get(section)})
    follows = [[name] for name in FOUND_OUT] if flat.get(f"{section}.name") == "file" else ()
    follows = [*follows, ["init_sha256"]]
    return {
        k: as_override_text(v)
        for k, v in flat.items()
        if k.split(".")[1:2] not in follows and k != PRUNED
    }


def in_order(varied: Mapping[str, str]) -> dict[str, str]:
    """Return settings in the order of the config: the experiment first, the seed last."""

    def place(item: tuple[str, str]) -> tuple[int, bool]:
        section, _, name = item[0].partition(".")
        return _PLACES.get(section, 0), bool(name)  # an option before what is set beside it

    return dict(sorted(varied.items(), key=place))


def _overridden(config: Mapping[str, Any], job: Job) -> dict[str, str]:
    """Return the settings that the command line of a job alone has changed, as the config has them.

    Beside no other job nothing varies, and its name says what a person has set.
    """
    settings = {key: as_override_text(value) for key, value in flatten(config).items()}
    varied: dict[str, str] = {}
    for override in job.overrides:
        key = override.lstrip("+~").partition("=")[0].replace("/", ".")
        if key.partition(".")[0] in NOT_OF_A_JOB:
            continue
        if key in job.choices:
            varied[key] = job.choices[key]
        inside = "" if key in job.choices else f"{key}."
        varied |= {
            name: value
            for name, value in settings.items()
            if name == key or (inside and name.startswith(inside))
        }
    return varied


def run_name(experiment: Experiment, varied: Mapping[str, str]) -> str:
    """Name a run by what varied, ``learning_rate=0.1 seed=3``, or else by its experiment."""
    names = short_names(varied)
    parts = [v if k == "experiment" else f"{names[k]}={v}" for k, v in varied.items()]
    return " ".join(parts) or experiment.name


def _checked(jobs: Sequence[Job]) -> list[Experiment]:
    """Return the experiments of all jobs; for the first wrong setting, raise with its job."""
    from runner.config.schema import Experiment

    experiments: list[Experiment] = []
    for number, job in enumerate(jobs, start=1):
        try:
            experiments.append(Experiment.from_dict(job.config))
            _require_shared(experiments[0], experiments[-1])
            if number > 1:
                before = jobs[number - 2].config
                _share(experiments[-2], experiments[-1], before, job.config)
        except ConfigError as error:
            raise _at_point(error, job, number, len(jobs)) from None
    return experiments


def _share(
    before: Experiment, now: Experiment, config: Mapping[str, Any], now_config: Mapping[str, Any]
) -> None:
    """Have an experiment share the sections that were made of the same values as another one's.

    They are most of what a plan of many jobs holds in memory.
    """
    for name, section in before:
        if isinstance(now_config.get(name), dict) and now_config[name] is config.get(name):
            now.__dict__[name] = section  # it is frozen, and so is the section


def _at_point(error: ConfigError, job: Job, number: int, n_jobs: int) -> ConfigError:
    """Say in which job of several a setting is wrong."""
    if n_jobs == 1:
        return error
    overrides = (text for text in job.overrides if not text.startswith("sweep.dry_run="))
    words = elide(without_passwords(" ".join(overrides)), _LONGEST_POINT)
    point = f"Nothing was run: job {number:,} of {n_jobs:,} is {words}"
    return ConfigError.plain("\n".join([*str(error).splitlines()[:2], point]))


def _require_shared(first: Experiment, other: Experiment) -> None:
    for section in UNDECISIVE:  # which decide where and how the sweep is run
        expected, got_section = getattr(first, section), getattr(other, section)
        if expected == got_section:
            continue
        for (key, value), (_, got) in zip(expected, got_section, strict=True):
            if value != got:
                shown = without_passwords(repr(value))
                rule = f"the same for all jobs of a sweep ({shown}, as in the first)"
                is_text = isinstance(got, str)
                raise ConfigError(
                    f"{section}.{key}", rule, without_passwords(got) if is_text else got
                )
