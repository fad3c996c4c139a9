"""The command `runner compare`: runs, groups and sweeps side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from runner.cli.show import require_metrics
from runner.jobs.sweep.resume import NOT_SET
from runner.report.compare import Candidate, print_comparison
from runner.report.table import LONGEST_NAME, say
from runner.system.errors import CommandError, RecordError
from runner.system.text import elide
from runner.tracking import job_of
from runner.tracking.records import StoredRun
from runner.tracking.records.mlflow_record import find_run, members_of
from runner.training.outcome import Outcome, is_metric, short_names
from runner.training.statistics import SEED, SPLITS, configurations, ranked, without_replicates
from runner.training.verdict import configuration_names

_MOST = 26


def compare(targets: Sequence[str], metrics: Sequence[str], uri: str | None) -> None:
    """Print what differs between runs, groups and sweeps, and by how much the first is ahead.

    A sweep of several configurations stands for its best one; alone, for all of them.
    """
    metrics = [*dict.fromkeys(metrics)]
    found = [find_run(uri, target) for target in targets]
    ranking = metrics[0] if metrics else found[0].tags.get("runner.metric", "val/loss")
    unknown = [metric for metric in (*metrics, ranking) if not is_metric(metric)]
    require_metrics(unknown, {name for one in found for name in one.final}, "these runs")
    each = [_candidates(one, ranking) for one in found]
    if len(found) == 1:
        chosen = [replace(one, name=one.configuration) for one in each[0][:_MOST]]
    else:
        chosen = [best for best, *_ in each]
    if len(chosen) < 2:
        raise CommandError("RUN: must be two or more, or a sweep of several configurations.")
    recorded = list(dict.fromkeys(name for one in chosen for name in one.recorded))
    require_metrics(metrics, recorded, "these runs")
    if len({digest for one in chosen for digest in one.data}) > 1:
        say("Their data are not the same: what differs may be due to that.")
    print_comparison(chosen, ranking, metrics)


def _candidates(found: StoredRun, metric: str) -> list[Candidate]:
    """Return the configurations of a run, group or sweep, the best first."""
    # An ensemble has metrics of its own.
    members = None if found.tags.get("runner.kind") == "ensemble" else members_of(found)
    runs = [found] if members is None else members
    jobs: dict[str, tuple[StoredRun, dict[str, str]]] = {}
    outcomes: list[Outcome] = []
    for run in runs:
        job = job_of(run.run)
        if job.outcome.status != "FINISHED":
            continue
        settings = {k: v for k, v in job.params.items() if not k.startswith(NOT_SET)}
        # Splits are the same where their rows are, whatever they are called.
        replicate = {SEED: settings.get(SEED, ""), SPLITS[1]: run.tags["runner.split_digest"]}
        outcomes.append(replace(job.outcome, varied=without_replicates(settings) | replicate))
        jobs[run.run_id] = run, dict(job.outcome.varied)
    if not outcomes:
        raise RecordError(f"{found.label}: no run of it has finished.")
    folded = ranked(configurations(outcomes), metric)
    candidates, title = [], elide(found.name, LONGEST_NAME)
    varied = [without_replicates(jobs[one.outcomes[0].run_id][1]) for one in folded]
    names = configuration_names(varied, short_names(dict.fromkeys(chain(*varied))))
    for runs_of_it, settings, of_settings in zip(folded, varied, names, strict=True):
        ids = [outcome.run_id for outcome in runs_of_it.outcomes]
        name = of_settings if settings else title
        best = f"{title}, its best: {name}" if len(folded) > 1 else title
        data = frozenset(jobs[run_id][0].tags.get("runner.data_digest", "") for run_id in ids)
        candidates.append(Candidate(best, name, runs_of_it, data))
    return candidates
