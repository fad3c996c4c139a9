"""A composed job that stands for others, which differ from it in plain values alone.

Where nothing refers to anything, the values are put into its plain data; else into its config,
which is resolved anew. This module must not know how a sweep is cut into kinds of jobs.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, Protocol, cast

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf, SCMode, open_dict

from runner.config.compose.job import Job, resolved
from runner.config.compose.overrides import overlap, path

# References to what is the same in all jobs of a sweep.
_CONSTANT = re.compile(r"\$\{(?:now|oc\.env|runner_scratch|shipped):[^{}]*\}")


class Template(Protocol):
    """A job that stands for its kind."""

    @property
    def choices(self) -> Mapping[str, str]:
        """The options that all jobs of its kind have chosen."""
        ...

    def config(
        self, values: list[Override], overrides: list[Override], number: int
    ) -> dict[str, Any]:
        """Return the config of another job of this kind.

        Parameters
        ----------
        values : list of Override
            What it sets, at the keys at which this job sets something too.
        overrides : list of Override
            All its overrides, in their order.
        number : int
            Its place in the sweep.
        """


def template(
    job: Job, returned: JobReturn, values: list[Override], others: list[Override]
) -> Template | None:
    """Make a template of a job; None where Hydra may do more than put values in their places.

    Parameters
    ----------
    job : Job
        The job.
    returned : JobReturn
        Hydra's own account of it.
    values : list of Override
        Those of its overrides that other jobs have with other values.
    others : list of Override
        The rest of them, without choices of a group.
    """
    config = cast("DictConfig", returned.cfg)
    hydra = cast("DictConfig", returned.hydra_cfg).hydra
    # A section with types of its own stays an object here, and so counts as no dict.
    raw = OmegaConf.to_container(config, structured_config_mode=SCMode.DICT_CONFIG)
    plain = (
        _leaves_nothing(hydra)
        and all(_is_setting(raw, path(value)) for value in values)
        and not any(overlap(value, other) for value in values for other in others)
    )
    if not plain:
        return None
    return _Referring(job, config, hydra) if _varies(raw) else _Plain(job)


def _leaves_nothing(hydra: DictConfig) -> bool:
    """Tell whether jobs get no folder, and no environment, of their own from Hydra."""
    folders = OmegaConf.to_container(hydra.sweep)
    return not (hydra.output_subdir or hydra.job.chdir or hydra.job.env_set or _varies(folders))


def _varies(raw: object) -> bool:
    """Tell whether something refers to what may differ between jobs."""
    match raw:
        case dict():
            return any(map(_varies, raw.values()))
        case list():
            return any(map(_varies, raw))
        case str():
            return "${" in _CONSTANT.sub("", raw)
    return isinstance(raw, DictConfig)


def _is_setting(raw: object, names: list[str]) -> bool:
    """Tell whether a path leads through sections to something that is none."""
    for name in names:
        if not isinstance(raw, dict) or name not in raw:
            return False
        raw = raw[name]
    return not isinstance(raw, dict | DictConfig)


class _Plain:
    """A job without references: its data, in which values are exchanged."""

    def __init__(self, job: Job) -> None:
        self._data = job.config
        self.choices = job.choices

    def config(self, values: list[Override], *_: object) -> dict[str, Any]:
        """Copy what leads to the values, and share the rest."""
        data = dict(self._data)
        for value in values:
            *sections, key = path(value)
            section = data
            for name in sections:
                section[name] = section = dict(section[name])
            section[key] = value.value()
        return data


class _Referring:
    """A job with references: its config, and Hydra's settings where a reference finds them.

    All jobs of its kind set the same keys, so each may go over what the one before has left.
    """

    def __init__(self, job: Job, config: DictConfig, hydra: DictConfig) -> None:
        self.choices = job.choices
        self._config = config
        # What Hydra's settings refer to, they find beside them; a job does not see them there.
        self._whole = copy.deepcopy(config)
        with open_dict(self._whole):
            self._whole.hydra = hydra
        OmegaConf.set_readonly(self._whole.hydra, False)

    def config(
        self, values: list[Override], overrides: list[Override], number: int
    ) -> dict[str, Any]:
        """Set the values, and in Hydra's settings what its launcher sets, and resolve."""
        for value in values:
            for config in (self._config, self._whole):
                OmegaConf.update(config, value.key_or_group, value.value())
        mine = [override for override in overrides if not override.is_hydra_override()]
        hydra = self._whole.hydra
        hydra.overrides.task = [override.input_line for override in mine]
        hydra.job.id = hydra.job.num = number
        hydra.job.override_dirname = get_overrides_dirname(
            overrides=mine, **hydra.job.config.override_dirname
        )
        known = HydraConfig.instance()
        before = known.cfg
        known.cfg = cast("HydraConf", self._whole)
        try:
            return resolved(self._config)
        finally:
            known.cfg = before
