"""The points of a command, each checked: what is wrong is said with the point that it is at.

Knows settings, not the data that they are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from runner.config import Experiment
from runner.system.errors import ConfigError
from runner.system.text import elide, without_passwords

# What must be one for all jobs of a sweep: it decides where the sweep is, and how it is run.
_SHARED = ("tracking", "sweep")
_LONGEST_POINT = 200


class Job(Protocol):
    """What is to become a planned job: composed by Hydra, or read from a record."""

    @property
    def config(self) -> dict[str, Any]:
        """Plain data, not to be changed."""
        ...

    @property
    def overrides(self) -> tuple[str, ...]:
        """What tells it from others, ``key=value``."""
        ...


def checked(jobs: Sequence[Job]) -> list[Experiment]:
    """Return the experiments of all jobs.

    Raises
    ------
    ConfigError
        For the first setting that is wrong; in a sweep it says in which job.
    """
    experiments: list[Experiment] = []
    for number, job in enumerate(jobs, start=1):
        try:
            experiments.append(Experiment.from_dict(job.config))
            _require_shared(experiments[0], experiments[-1])
        except ConfigError as error:
            raise of_one_among(error, job, number, len(jobs)) from None
    return experiments


def of_one_among(error: ConfigError, job: Job, number: int, n_jobs: int) -> ConfigError:
    """Say in which job of several a setting is wrong."""
    if n_jobs == 1:
        return error
    point = f"Nothing was run: job {number:,} of {n_jobs:,} is {_words(job)}"
    return ConfigError.plain("\n".join([*str(error).splitlines()[:2], point]))


def _words(job: Job) -> str:
    said = (text for text in job.overrides if not text.startswith("sweep.dry_run="))
    return elide(without_passwords(" ".join(said)), _LONGEST_POINT)


def _require_shared(first: Experiment, other: Experiment) -> None:
    for section in _SHARED:
        expected, found = getattr(first, section), getattr(other, section)
        if expected == found:
            continue
        for (key, value), (_, got) in zip(expected, found, strict=True):
            if value != got:
                told = without_passwords(repr(value))
                rule = f"the same for all jobs of a sweep ({told}, as in the first)"
                if isinstance(got, str):
                    raise ConfigError(f"{section}.{key}", rule, without_passwords(got))
                raise ConfigError(f"{section}.{key}", rule, got)
