"""The commands `runner clean` and `sync`: weights removed from a store, and what it lacks added."""

from __future__ import annotations

import sys

from runner.jobs.sweep.resume import read_sweep
from runner.report.table import LONGEST_NAME, say
from runner.system.errors import CommandError
from runner.system.formatting import count, size
from runner.system.text import elide
from runner.tracking import record_kept
from runner.tracking.records.mlflow_record import find_run, remove_weights, weights_size
from runner.training.outcome import best_outcomes


def clean(target: str, keep: int, uri: str | None, is_sure: bool) -> None:
    """Remove the weights of all runs of a sweep but the best `keep`, once a person has said so.

    The runs of its model keep theirs in any case: over several splits it is the average of many.
    """
    found = find_run(uri, target)
    name = elide(found.name, LONGEST_NAME)
    if found.tags.get("runner.kind") != "sweep" or found.status == "RUNNING":
        raise CommandError(f"SWEEP: must be a sweep that has ended, got {found.label}.")
    sweep = read_sweep(found)
    of_model, ranked = sweep.best, best_outcomes(sweep.outcomes, sweep.metric)
    ranked = [*of_model, *(outcome for outcome in ranked if outcome not in of_model)]
    if keep < len(of_model):
        keep = len(of_model)
        say(f"{name}: the model of its best configuration is the average of {keep} runs, all kept.")
    sizes = {o.run_id: weights_size(sweep.members[o.run_id]) for o in ranked[keep:]}
    sizes = {run_id: size for run_id, size in sizes.items() if size}
    if not sizes:
        say(f"{name}: there is nothing to remove.")
        return
    what = f"the weights of {count(len(sizes), 'run')}, {size(sum(sizes.values()))}"
    if not is_sure:
        say(f"{name}: {what}, are removed; runner rerun brings them back. (y/n)")
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            say("Nothing was removed.")
            return
    for run_id in sizes:
        remove_weights(sweep.members[run_id])
    say(f"Removed {what}. {min(keep, len(ranked)):,} of {count(len(ranked), 'run')} keep theirs.")


def sync(uri: str | None) -> None:
    """Record what is kept on disk since its server did not answer."""
    say(record_kept(uri))
