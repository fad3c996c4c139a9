"""What did not finish, and why.

A hundred runs that failed for one reason are one thing to know, not a hundred lines. It must not
know what came of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.report.console import print_line
from runner.report.settings import LONGEST_NAME
from runner.system.formatting import count
from runner.system.text import elide, on_one_line
from runner.training.outcome import Outcome

if TYPE_CHECKING:
    from rich.console import Console

# More runs than this with one reason are folded; of more than that, the first are named.
_MANY, _NAMED = 20, 40


def print_failures(console: Console, outcomes: Sequence[Outcome], *, fold: bool) -> None:
    """Print which runs did not finish, and why; nothing where all did.

    Parameters
    ----------
    console : Console
    outcomes : sequence of Outcome
        Of all runs.
    fold : bool
        Whether runs with the same reason may share a line; else each has its own.
    """
    unfinished = [outcome for outcome in outcomes if outcome.status != "FINISHED"]
    if not unfinished:
        return
    heading = f"{len(unfinished):,} of {count(len(outcomes), 'run')} did not finish"
    print_line(console, (heading, "bold"))
    if fold:
        _print_folded(console, unfinished)
    else:
        for outcome in unfinished:
            _print_failure(console, outcome, _name(outcome))


def _print_folded(console: Console, unfinished: Sequence[Outcome]) -> None:
    alike: dict[tuple[str, str | None], list[Outcome]] = {}
    for outcome in unfinished:
        alike.setdefault((outcome.status, outcome.failure), []).append(outcome)
    alone: list[Outcome] = []
    for runs in alike.values():
        if len(runs) <= _MANY:
            alone += runs
            continue
        _print_failure(console, runs[0], count(len(runs), "run"))
        named = ", ".join(map(_name, runs[:_NAMED]))
        hidden = len(runs) - _NAMED
        print_line(console, (f"    {named}" + (f" and {hidden:,} more" if hidden > 0 else ""), ""))
    for outcome in alone[:_NAMED]:
        _print_failure(console, outcome, _name(outcome))
    if len(alone) > _NAMED:
        print_line(console, (f"  and {len(alone) - _NAMED:,} more", ""))


def _print_failure(console: Console, outcome: Outcome, who: str) -> None:
    reason = on_one_line(outcome.failure or "no reason was given")
    print_line(console, ("  ", ""), status(outcome), (f"{who}: {reason}", ""))


def _name(outcome: Outcome) -> str:
    return elide(outcome.name, LONGEST_NAME)


def status(outcome: Outcome) -> tuple[str, str]:
    """Return the status of a run as the first words of a line, and its colour."""
    color = {"FINISHED": "green", "FAILED": "red", "KILLED": "yellow"}[outcome.status]
    return (f"{outcome.status}  ", color)
