"""Outcomes to report, and what a report says of them, taken apart."""

import io
import itertools
import re
from collections.abc import Callable
from contextlib import redirect_stdout

from runner.report.table import printing
from runner.training.outcome import Outcome

STORE = "runner ui  (sqlite:////home/somebody/with/a/rather/long/path/outputs/mlflow.db)"
HOSTILE = "\x1b]0;owned\x07\x1b[31m[red]x[/red] :boom: \r\n\u202e$y$"


def outcome(number: int = 0, **changes: object) -> Outcome:
    """Make the outcome of a finished run with the seed `number`."""
    facts = {
        "name": f"seed={number}",
        "run_id": f"{number:032x}",
        "status": "FINISHED",
        "varied": {"seed": str(number)},
        "metrics": {"train/loss": 0.01, "val/loss": 0.5 + number / 1000, "val/accuracy": 0.75},
        "failure": None,
        "duration_s": 1.26,
        **changes,
    }
    return Outcome(**facts)


def failed(number: int, failure: str | None = "no", **changes: object) -> Outcome:
    """Make the outcome of a run that failed."""
    return outcome(number, **{"status": "FAILED", "failure": failure, "metrics": {}, **changes})


def seeds(rate: str, losses: list[float], first: int = 0) -> list[Outcome]:
    """Make the runs of one learning rate, whose seeds count up from the first."""
    return [
        outcome(
            seed,
            name=f"learning_rate={rate} seed={seed}",
            varied={"optimizer.learning_rate": rate, "seed": str(seed)},
            metrics={"val/loss": loss, "val/accuracy": 1 - loss},
        )
        for seed, loss in enumerate(losses, start=first)
    ]


def said(print_it: Callable[..., None], *arguments: object) -> str:
    """Return what a function prints."""
    with redirect_stdout(io.StringIO()) as file:
        print_it(*arguments)
    return file.getvalue()


def printed(print_it: Callable[..., None], *arguments: object) -> str:
    """Return what a function prints that takes a printer first."""

    def all_of_it() -> None:
        with printing() as out:
            print_it(out, *arguments)

    return said(all_of_it)


def table(text: str) -> list[list[str]]:
    """Return the cells of a table of runs, header first; the place is the first of each row."""
    header, *rest = text.splitlines()[1:]
    rows = itertools.takewhile(re.compile(r" *\d+  ").match, rest)
    return [re.split(r" {2,}", line.strip()) for line in (header, *rows)]
