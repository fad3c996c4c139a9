"""Who recorded a run, with what program: the columns that MLflow's UI has for any run.

Knows this process, not MLflow.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from runner.system.environment import environment


def process_tags() -> dict[str, str]:
    """Return MLflow's own tags for a run of this process."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    git = environment()["git"]
    return {
        "mlflow.user": user,
        "mlflow.source.name": Path(sys.argv[0]).name or "python",
        "mlflow.source.type": "LOCAL",
    } | ({"mlflow.source.git.commit": git["commit"]} if git else {})
