"""What tells jobs apart, and what they are called by it.

Knows overrides as they were written; not what they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.config import Experiment

# They say nothing of a job.
_NOT_OF_A_JOB = ("tracking", "sweep.")


def overrides_by_key(overrides: Iterable[str]) -> dict[str, str]:
    """Return the overrides of a job by their keys.

    Examples
    --------
    >>> overrides_by_key(["seed=3", "sweep.name=x"])
    {'seed': '3'}
    """
    pairs = (text.lstrip("+~").partition("=") for text in overrides)
    return {key: value for key, _, value in pairs if not key.startswith(_NOT_OF_A_JOB)}


def differing(said: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Return for each job the overrides that not all jobs have; all of them for a job alone."""
    if len(said) == 1:
        return list(said)
    first = said[0]
    differing = {key for one in said for key in one if first.get(key) != one[key]}
    differing |= {key for one in said for key in first if key not in one}
    return [{key: value for key, value in one.items() if key in differing} for one in said]


def run_name(experiment: Experiment, varied: Mapping[str, str]) -> str:
    """Name a run by what varied, ``learning_rate=0.1 seed=3``, or else by its experiment."""
    # A group of seeds does not say its seeds, and its jobs do.
    words = [key.rpartition(".")[2] for key in {**varied, "seed": ""}]
    said = []
    for key, value in varied.items():
        word = key.rpartition(".")[2]
        short = word if words.count(word) == 1 else key  # seed and split.seed
        said.append(value if key == "experiment" else f"{short}={value}")
    return " ".join(said) or experiment.name
