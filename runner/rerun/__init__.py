"""Any run again from its record, with a verdict on its bits.

A request is found and planned, its jobs run as any others are, each judged before it is recorded.
"""

from runner.rerun.comparison import Comparison, Verdict
from runner.rerun.environments import EnvironmentDifference
from runner.rerun.request import Options

__all__ = ["Comparison", "EnvironmentDifference", "Options", "Verdict"]
