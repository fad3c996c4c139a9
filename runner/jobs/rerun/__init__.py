"""Any run again from its record, with a verdict on its bits.

A request is found and planned, its jobs run as any others are, each judged before it is recorded.
"""

from runner.jobs.rerun.comparison import Comparison, Verdict
from runner.jobs.rerun.environment_diff import EnvironmentDifference
from runner.jobs.rerun.request import Options

__all__ = ["Comparison", "EnvironmentDifference", "Options", "Verdict"]
