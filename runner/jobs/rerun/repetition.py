"""What came of a rerun: of each of its jobs, of all together, and how the command ends by it.

It must not know how anything was run, nor how a person is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from runner.jobs.plan import Plan, PlannedJob
from runner.jobs.rerun.comparison import Comparison, Verdict
from runner.jobs.rerun.environment_diff import EnvironmentDifference
from runner.jobs.rerun.request import Options, Request
from runner.jobs.rerun.verify import differences_of
from runner.system.errors import RecordError, RunnerError
from runner.tracking.records import Record
from runner.training.outcome import Outcome


@dataclass(frozen=True)
class Repeated:
    """What came of one job.

    Parameters
    ----------
    name : str
        What it is called.
    original_id : str
        The run that was repeated.
    outcome : Outcome or None
        What became of the rerun; None where it was not run.
    comparison : Comparison or None
        None where settings were changed, or where the rerun broke off.
    original : Record or None
        None where its record is of no use.
    planned : PlannedJob or None
        What was run; None where nothing was.
    """

    name: str
    original_id: str
    outcome: Outcome | None
    comparison: Comparison | None
    original: Record | None = None
    planned: PlannedJob | None = None

    @property
    def has_failed(self) -> bool:
        """Whether its rerun did not finish."""
        return self.outcome is not None and self.outcome.status != "FINISHED"


@dataclass
class Repetition:
    """What came of a rerun, as it is filled.

    Parameters
    ----------
    request : Request
        What was asked for.
    jobs : list of Repeated
        In the order of the plan, what cannot be repeated last.
    differences : list of EnvironmentDifference or None
        Between where the originals ran and here; None where nothing was run.
    run_id : str or None
        Of the rerun of a sweep, where it was recorded.
    duration_s : float
        Seconds that it took.
    is_interrupted : bool
        Whether a signal ended it: not all jobs are there then.
    """

    request: Request
    jobs: list[Repeated] = field(default_factory=list)
    differences: list[EnvironmentDifference] | None = None
    run_id: str | None = None
    duration_s: float = 0.0
    is_interrupted: bool = False

    @property
    def n_missing(self) -> int:
        """How many jobs there was no time for."""
        plan = self.request.plan
        n_jobs = len(self.request.unfit) + (len(plan.jobs) if plan else 0)
        return n_jobs - len(self.jobs) if self.is_interrupted else 0

    def count(self, verdict: Verdict) -> int:
        """Count the jobs with a verdict."""
        return sum(j.comparison is not None and j.comparison.verdict is verdict for j in self.jobs)


def differences_here(
    asked: Request, plan: Plan, found: Mapping[int, Repeated]
) -> list[EnvironmentDifference]:
    """Return all that differs between here and where any of the originals ran, each fact once."""
    seen: set[tuple[object, ...]] = set()
    differences: dict[EnvironmentDifference, None] = {}
    for position, (original, job) in enumerate(zip(asked.originals, plan.jobs, strict=True)):
        tags = original.tags
        names = ("environment", "data_digest", "split_digest")
        place: tuple[object, ...]
        place = *(tags.get(f"runner.{name}", "") for name in names), job.data_digest
        comparison = found[position].comparison if position in found else None
        if comparison is not None and comparison.findings:
            place = *place, position  # its environment may not be the one that its tag says
        if place not in seen:
            seen.add(place)
            rows = differences_of(original, job)
            differences |= dict.fromkeys(_by_fold(rows, job) if asked.parent else rows)
    return list(differences)


def _by_fold(
    differences: Sequence[EnvironmentDifference], job: PlannedJob
) -> list[EnvironmentDifference]:
    """Say of which fold a split is, where there may be several."""
    split = job.experiment.split
    if split.name != "kfold":
        return list(differences)
    return [
        replace(each, what=f"{each.what}, fold {split.fold}")
        if each.what == "split digest"
        else each
        for each in differences
    ]


def exit_code(repetition: Repetition, options: Options) -> int:
    """Return how the command ends: 5 for what differs, 2 for what cannot be compared, else 0 or 1.

    A run that was to be other than its original is judged by whether it finished.
    """
    jobs = repetition.jobs
    broken = any(job.comparison is None and job.has_failed for job in jobs)
    compared = [job.comparison for job in jobs if job.comparison is not None]
    if any(each.differs and not each.is_admitted(options.tolerance) for each in compared):
        return 5
    if any(each.verdict is Verdict.CANNOT_COMPARE for each in compared):
        return RecordError.exit_code
    return RunnerError.exit_code if broken else 0
