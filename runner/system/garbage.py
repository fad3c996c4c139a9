"""When Python looks for garbage: not while libraries load, and not at the exit.

Hydra, MLflow and what they bring stay in memory to the end. To search them for garbage, again and
again while they grow and once more when the process ends, took two of the seven seconds of a run.
"""

from __future__ import annotations

import gc


def postpone() -> None:
    """Look for no garbage until `allow`."""
    gc.disable()


def allow() -> None:
    """Look for garbage from here on, among what is made from here on, where it was postponed."""
    if gc.isenabled():
        return  # what a program holds that opens many stores stays as it is
    gc.freeze()
    gc.enable()


def skip_last() -> None:
    """Spare the exit its search: what is left goes with the process."""
    gc.freeze()
