"""What a person reads when a command is done: results, failures, and where to look further.

It must not know where results come from: it sees outcomes. rich is imported when it prints.
"""

from runner.report.overview import SweepLine, print_overview
from runner.report.runs import print_outcomes
from runner.report.sweep import SweepReport, print_sweep

__all__ = [
    "SweepLine",
    "SweepReport",
    "print_outcomes",
    "print_overview",
    "print_sweep",
]
