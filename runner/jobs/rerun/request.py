"""What is to be repeated: one run or the jobs of a sweep, found by id or in a folder, and changed.

From a person's words to a plan whose data are those that the originals had. Nothing is trained.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runner.config.data import FileData
from runner.config.fingerprint import job_key
from runner.config.plain import as_override_text, flatten, to_plain
from runner.config.schema import ExecutorConfig, Experiment, LocalExecutor
from runner.config.search import SearchRecord
from runner.jobs.events import Listener, Progress, Reached, RerunPlanned, Started
from runner.jobs.plan import (
    PLAN,
    PLAN_FOLDER,
    GivenJob,
    Plan,
    PlannedJob,
    differences,
    in_order,
    labelled,
    plan_each,
    read_lines,
)
from runner.jobs.rerun.comparison import Comparison
from runner.jobs.rerun.data_access import allowed_folders, with_data_from
from runner.jobs.rerun.environment_diff import EnvironmentDifference
from runner.jobs.rerun.verify import Reference, differences_of
from runner.jobs.search import SEARCH, SearchComparison, repeated
from runner.system.errors import (
    CommandError,
    ConfigError,
    DataError,
    MissingError,
    RecordError,
    RunnerError,
)
from runner.system.paths import expanded
from runner.tracking import address_of, choices_of, open_store, require_shared
from runner.tracking.backend.address import resolve
from runner.tracking.records import ExportedRun, Record, StoredRun, find_source
from runner.tracking.records.mlflow_record import member_ids, members_of
from runner.tracking.records.record import missing_plugins
from runner.training.run_files import parts_of, weights_sha256

if TYPE_CHECKING:
    from runner.tracking import Store
    from runner.training.outcome import Outcome

_ARTIFACTS = "tracking.artifacts="


@dataclass(frozen=True)
class Options:
    """What a person asks for, as `runner rerun --help` says it.

    `uri` is that of the original's store.
    """

    target: str
    overrides: Sequence[str] = ()
    check: bool = False
    tolerance: float | None = None
    sample: int | None = None
    data: str | None = None
    allow_data_change: bool = False
    uri: str | None = None
    in_place: bool = False

    @property
    def changes(self) -> list[str]:
        """The overrides that make it another run."""
        return [text for text in self.overrides if not text.startswith(_ARTIFACTS)]

    @property
    def artifacts(self) -> str | None:
        """The place of files in each store that is a database, by the override of that name."""
        places = (t.removeprefix(_ARTIFACTS) for t in self.overrides if t.startswith(_ARTIFACTS))
        return next(places, None)


@dataclass(frozen=True)
class RerunRequest:
    """What is to be repeated, ready to be run.

    The `plan` has a job for each of the `originals`; it is None if nothing can be run. `parent` is
    None for a single run, `store` for a folder. Whether results have to be the originals',
    `compares` says. `unfit` runs cannot be repeated, each with its reason. A sample may have been
    taken of `n_in_all` jobs. The `executor` is no record's. It is recorded in the store
    `recording`, if at all: a person's own, even if the original is in another one. Of a `search`
    that is repeated as a whole, all that it decided is decided again.
    """

    options: Options
    parent: StoredRun | ExportedRun | None
    store: Store | None
    originals: tuple[Record, ...]
    plan: Plan | None
    compares: bool
    unfit: tuple[tuple[StoredRun | ExportedRun, str], ...]
    n_in_all: int
    executor: ExecutorConfig
    recording: Store | None = None
    search: SearchRecord | None = None

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is recorded in another store than the original."""
        return self.recording is not self.store

    @property
    def references(self) -> tuple[Reference, ...]:
        """The record that each job of the plan repeats, as workers are told of it."""
        if self.store is None:
            exported = (o.source for o in self.originals if isinstance(o.source, ExportedRun))
            return tuple(Reference(str(e.folder), None, self.compares) for e in exported)
        place = address_of(self.store)
        origin = place.uri if self.is_elsewhere else ""
        return tuple(Reference(o.run_id, place, self.compares, origin) for o in self.originals)

    def decided_again(
        self, outcomes: Mapping[int, Outcome], reached: Mapping[tuple[int, int], Reached]
    ) -> SearchComparison | None:
        """Compare what a search decided with what the results of the rerun decide."""
        if self.search is None or self.plan is None or len(outcomes) < len(self.plan.jobs):
            return None
        jobs = (
            replace(job, choices=choices_of(original.tags))
            for job, original in zip(self.plan.jobs, self.originals, strict=True)
        )
        return repeated(self.search, replace(self.plan, jobs=tuple(jobs)), outcomes, reached)

    def environment_differences(
        self, comparisons: Mapping[int, Comparison]
    ) -> list[EnvironmentDifference]:
        """Return all that differs between here and where any of the originals ran, each fact once.

        Comparisons come by position in the plan, as far as there are any.
        """
        if self.plan is None:
            return []
        seen: set[tuple[object, ...]] = set()
        differences: dict[EnvironmentDifference, None] = {}
        names = ("environment", "data_digest", "split_digest")
        for position, (original, job) in enumerate(
            zip(self.originals, self.plan.jobs, strict=True)
        ):
            comparison = comparisons.get(position)
            # The environment of an edited record may not be the one that its tag says.
            is_edited = comparison is not None and bool(comparison.findings)
            ran_in = (
                *(original.tags.get(f"runner.{name}", "") for name in names),
                *(job.data_digest, position if is_edited else None),
            )
            if ran_in in seen:
                continue
            seen.add(ran_in)
            split = job.experiment.split
            for row in differences_of(original, job.data_digest, job.split_digest):
                if self.parent and split.name == "kfold" and row.what == "split digest":
                    row = replace(row, what=f"{row.what}, fold {split.fold}")  # noqa: PLW2901  (the same, of a fold)
                differences[row] = None
        return list(differences)


def request(options: Options, listener: Listener) -> RerunRequest:
    """Find what is to be repeated, and plan it.

    Raises `RecordError` if a single run cannot be repeated. Raises `RunnerError` if the command,
    the store or the data are of no use.
    """
    changed_keys = {text.partition("=")[0] for text in options.changes}
    # A path that the person writes is no record's, and may lead anywhere.
    is_said = not changed_keys.isdisjoint({"data", "data.path"})
    if is_said and options.data is not None:
        raise CommandError(
            "--data: must be left out beside data=... or data.path=..., which name the file too."
        )
    parent, store, sources = _sources(options)
    if store is not None and not options.check and not _is_elsewhere(options):
        store.settle()
    n_in_all = len(sources)
    if options.sample is not None:
        if parent is None:
            raise CommandError("--sample: must be left out for a single run.")
        # Some from everywhere, and the same ones each time.
        chosen = sorted(random.Random(0).sample(range(n_in_all), min(options.sample, n_in_all)))  # noqa: S311  (no secret)
        sources = [sources[position] for position in chosen]
    folders = allowed_folders(store.folder if store and store.address.database else None)
    found: list[tuple[Record, Experiment]] = []
    unfit = _left_out(parent)
    listener(Started("reading the records", len(sources), unit="runs"))
    for source in sources:
        try:
            original = Record.read(source)
            changed = with_data_from(
                _changed(original.experiment, options.changes),
                options.data,
                folders,
                digest=original.tags.get("runner.data_digest", ""),
                is_said=is_said,
            )
            found.append((original, changed))
        except RecordError as error:
            if parent is None:
                raise
            unfit.append((source, str(error)))
        listener(Progress(1))
    search, order = _search_of(parent) if options.sample is None else (None, {})
    # Which of equals stays in a search follows from their order.
    found.sort(key=lambda pair: order.get(_key_of_whole(pair[0]), len(order)))
    plan: Plan | None = None
    originals: tuple[Record, ...] = ()
    compares = True
    if found:
        plan, originals, compares = _planned(found, options, is_said=is_said)
    executor = found[0][1].executor if found else LocalExecutor()
    recording = _recording(options, store, plan)
    if store is not None and executor.name != "local":
        require_shared((recording or store).address.shown)
    rerun = RerunRequest(
        options,
        *(parent, store, originals, plan, compares, tuple(unfit), n_in_all, executor, recording),
        search=search if compares and not unfit else None,
    )
    listener(RerunPlanned(rerun))
    return rerun


def _is_elsewhere(options: Options) -> bool:
    """Tell whether the original is in another store than a person's own, which is to record."""
    named = None if options.in_place else options.uri
    return named is not None and resolve(named).uri != resolve(None).uri


def _recording(options: Options, store: Store | None, plan: Plan | None) -> Store | None:
    if options.check or plan is None or store is None or not _is_elsewhere(options):
        return None if options.check or plan is None else store
    place = options.artifacts if resolve(None).is_database_server else None
    return open_store(None, None, plan.experiment_name, artifacts=place)


def _search_of(
    parent: StoredRun | ExportedRun | None,
) -> tuple[SearchRecord | None, dict[str, int]]:
    """Return what a search is repeated by, and the place of each job's key in its plan."""
    if not isinstance(parent, StoredRun):
        return None, {}
    try:
        record = SearchRecord.model_validate_json(parent.read(f"{PLAN_FOLDER}/{SEARCH}"))
        lines = parent.read(f"{PLAN_FOLDER}/{PLAN}").decode(errors="replace")
    except (MissingError, RecordError, ValueError):  # no search, or edited by somebody
        return None, {}
    return record, {job.key: place for place, job in enumerate(read_lines(lines))}


def _key_of_whole(original: Record) -> str:
    """Return the key of a job as it was planned, also where it was stopped early."""
    training = original.experiment.training.model_copy(update={"pruned_at_step": None})
    experiment = original.experiment.model_copy(update={"training": training})
    return job_key(experiment, original.tags.get("runner.data_digest", ""))


def _left_out(
    parent: StoredRun | ExportedRun | None,
) -> list[tuple[StoredRun | ExportedRun, str]]:
    if not isinstance(parent, StoredRun):
        return []
    return [(parent, reason) for reason in parent.store.backend.unfit.values()]


def _sources(
    options: Options,
) -> tuple[StoredRun | ExportedRun | None, Store | None, Sequence[StoredRun | ExportedRun]]:
    is_of_own = _is_elsewhere(options) and not resolve(options.uri).is_database_server
    place = None if is_of_own and resolve(None).is_database_server else options.artifacts
    found = find_source(options.target, options.uri, place)
    store = found.store if isinstance(found, StoredRun) else None
    members = members_of(found)
    if members is None:
        return None, store, [found]
    if not members:
        raise RecordError(
            f"{found.label}: is a {found.tags['runner.kind']} of which no job has ended. The "
            "command that began it goes on where it stopped."
        )
    if found.tags["runner.kind"] == "ensemble":
        _require_average(found, members)
    return found, store, members


def _require_average(
    ensemble: StoredRun | ExportedRun, members: Sequence[StoredRun | ExportedRun]
) -> None:
    """Raise `RecordError` unless the weights of an ensemble are those that its members left.

    With these it is repeated where each of its members is.
    """
    weights = Record.read(ensemble).network().weights
    digests = {member.run_id: _digest_of_member(member) for member in members}
    expected = [digests[run_id] for run_id in member_ids(ensemble)]
    found = [weights_sha256(part) for part in parts_of(weights, len(expected))]
    if found != expected:
        raise RecordError(f"{ensemble.label}: weights: are not those of its members.")


def _digest_of_member(member: StoredRun | ExportedRun) -> str | None:
    """Return the digest of a member's weights as an ensemble has them."""
    record = Record.read(member)
    if not record.experiment.model.shares_weights:
        return member.tags.get("runner.weights_sha256")
    return record.unshared_network().digest


def _changed(experiment: Experiment, overrides: Sequence[str]) -> Experiment:
    if not overrides:
        return experiment
    from runner.config.compose.overrides import apply_overrides

    recorded = to_plain(experiment) | {"executor": {"name": "local"}}
    # A choice that no file needs to be composed for, since all it means is the name.
    chosen = (re.sub(r"^executor=(\w+)$", r"executor.name=\1", text) for text in overrides)
    values = apply_overrides(recorded, list(chosen))
    if values["tracking"] != to_plain(experiment)["tracking"]:
        raise CommandError(
            "tracking: must be left as it is; --uri names the original's store, and "
            "tracking.artifacts=PLACE where a database has its files."
        )
    return Experiment.from_dict(values)


def _planned(
    found: Sequence[tuple[Record, Experiment]], options: Options, *, is_said: bool
) -> tuple[Plan, tuple[Record, ...], bool]:
    """Plan a job for each original, and one for those that have become equal by changes.

    Returns the original of each job too, and whether results have to be the originals'.
    """
    jobs = [GivenJob(to_plain(experiment)) for _, experiment in found]
    plan = plan_each(jobs, options.uri)
    others = [
        (original, job)
        for job, (original, _) in zip(plan.jobs, found, strict=True)
        if job.problem is None
        and not _other_data(original.experiment, job.experiment)
        and job.data_digest != original.tags.get("runner.data_digest", "")
    ]
    compares = all(
        job_key(original.experiment, "") == job_key(changed, "")
        and not _reads_otherwise(original.experiment, changed, job.experiment)
        for (original, changed), job in zip(found, plan.jobs, strict=True)
    )
    if is_said and others and not options.allow_data_change:
        compares = False  # other data are a change of settings, as any other
    labels = _labels(found, options, is_said=is_said)
    distinct: dict[str, tuple[PlannedJob, Record]] = {}
    for number, (job, (original, _)) in enumerate(zip(plan.jobs, found, strict=True)):
        if compares:
            planned = replace(job, name=original.name, varied=original.varied)
        else:
            planned = labelled(job, labels[number])
        distinct.setdefault(str(number) if compares else job.key, (planned, original))
    if plan.problem is not None:
        raise plan.problem if is_said else _with_hint(plan.problem, found[0][0], plan, options)
    if others and not is_said and not options.allow_data_change:
        raise _other_content(*others[0])
    planned_jobs, originals = zip(*distinct.values(), strict=True)
    return replace(plan, jobs=planned_jobs), originals, compares


def _labels(
    found: Sequence[tuple[Record, Experiment]], options: Options, *, is_said: bool
) -> list[dict[str, str]]:
    """Return the settings that name each changed job: those of its original, and the changes.

    Of a sample, or of a run alone, too little varies to name it by that alone.
    """
    before = [to_plain(original.experiment) for original, _ in found]
    after = [to_plain(changed) for _, changed in found]
    for then, now in zip(before, after, strict=True):
        if not is_said and "path" in now["data"]:  # where data were moved to, nobody asked for
            now["data"]["path"] = then["data"].get("path")
    written = {text.partition("=")[0] for text in options.changes}
    # An option of a group is no key of the config; a group that was written anew has none.
    chosen = [
        {key: text for key, text in original.varied.items() if key not in flatten(then)}
        for (original, _), then in zip(found, before, strict=True)
    ]
    left = [{key: text for key, text in c.items() if key not in written} for c in chosen]
    changes = differences([*before, *after], [*chosen, *left])[len(before) :]
    labels = []
    for (original, _), now, kept, changed in zip(found, after, left, changes, strict=True):
        values = kept | {key: as_override_text(value) for key, value in flatten(now).items()}
        named_by = {key: values[key] for key in original.varied if key in values}
        labels.append(in_order(named_by | changed))
    return labels


def _other_content(original: Record, job: PlannedJob) -> DataError:
    data = job.experiment.data
    name = data.path if isinstance(data, FileData) else data.name
    then = original.tags.get("runner.data_digest", "")
    return DataError(
        f"{name}: must have the content that the run had, with the digest {then[:12]!r}, "
        f"got {job.data_digest[:12]!r}.\n"
        "--data names the right file; --allow-data-change accepts this one."
    )


def _other_data(original: Experiment, changed: Experiment) -> bool:
    """Tell whether the data were changed by a setting, and not only moved."""
    then, now = (e.data.model_dump(exclude={"path"}) for e in (original, changed))
    return bool(then != now)


def _reads_otherwise(original: Experiment, changed: Experiment, settled: Experiment) -> bool:
    """Tell whether somebody has changed by which columns and formats a file is read.

    No key has these, since they follow from the content where nobody sets them.
    """
    then, asked, found = (
        e.data.model_dump(include={"columns", "formats"}) for e in (original, changed, settled)
    )
    return then not in (asked, found)


def _with_hint(
    problem: ConfigError | DataError, original: Record, plan: Plan, options: Options
) -> RunnerError:
    data, then, now = plan.first.data, original.experiment, plan.first
    if isinstance(data, FileData) and not expanded(data.path).exists():
        if options.data is not None:
            return CommandError(str(problem).replace("data.path: ", "--data: ", 1))
        return DataError(f"{problem}\nIf it is elsewhere now, name it with --data.")
    if missing := missing_plugins(original.source):  # such as the reader of the file
        return DataError(f"{problem}{missing}")
    is_of_data = isinstance(problem, DataError) or str(problem).startswith("data.")
    is_changed = _other_data(then, now) or (then.split, then.task) != (now.split, now.task)
    if not isinstance(data, FileData) or options.allow_data_change or is_changed or not is_of_data:
        return problem
    digest = original.tags.get("runner.data_digest", "")
    return DataError(
        f"{data.path}: must have the content that the run had, with the digest {digest[:12]!r}, "
        f"got one that cannot be read as that was:\n{str(problem).splitlines()[0]}\n"
        "--data names the right file."
    )
