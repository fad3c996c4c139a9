"""One job, as the rest of the program sees it: plain data, with nothing of Hydra left in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig, OmegaConf

from runner.config.compose.hydra_errors import check_files

if TYPE_CHECKING:
    from runner.config.compose.ranges import Space


@dataclass(frozen=True, slots=True)
class Job:
    """One job, composed and resolved."""

    # Plain data: dicts, lists, text, numbers, None. Jobs of a sweep share what is the same in them,
    # so it is not to be changed.
    config: dict[str, Any]
    overrides: tuple[str, ...]  # the overrides of this job, ``key=value``, as they were typed
    # The option that was chosen of each config group, such as ``{"optimizer": "adam"}``.
    choices: Mapping[str, str] = field(default_factory=dict)
    space: Space | None = None  # what the jobs of a search are drawn from


def job_of(config: DictConfig) -> Job:
    """Take the job from what Hydra has composed (without its own settings), and is running."""
    settings = HydraConfig.get()
    check_files(settings.runtime)
    # As they were typed: iterating over them would resolve what interpolates.
    typed = OmegaConf.to_container(cast("ListConfig", settings.overrides.task), resolve=False)
    choices = {
        group: chosen if isinstance(chosen, str) else ",".join(map(str, chosen))
        for group, chosen in settings.runtime.choices.items()
        # Where a job runs is no part of it, nor who chose it.
        if not group.startswith("hydra/")
        and group not in ("executor", "search")
        and chosen is not None
    }
    return Job(resolved(config), tuple(cast("list[str]", typed)), choices)


def resolved(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain data, with its references resolved and nothing left out."""
    plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    return cast("dict[str, Any]", plain)
