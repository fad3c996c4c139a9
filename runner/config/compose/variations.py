"""The jobs of a sweep: Hydra composes the first of each kind, and others differ from it in values.

Hydra needs some 90 ms for a job. Jobs that differ in plain values alone have configs that differ
in these values alone, so one of them stands for all. What is doubtful is left to Hydra, and so is
what fails: the message is then Hydra's own.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from typing import Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf, SCMode

from runner.config.compose.job import Job, resolved
from runner.config.compose.overrides import Reader, overlap, path, sets_plain_value

# References whose value is the same in all jobs that set the same keys.
_CONSTANT = re.compile(r"\$\{(?:now|oc\.env|runner_scratch|shipped|if_shipped):[^{}]*\}")


class Variations:
    """Makes jobs without Hydra, each equal to what Hydra would have composed."""

    def __init__(self) -> None:
        self._reader = Reader()
        self._groups: set[str] = set()
        self._templates: dict[tuple[Hashable, ...], _Template | None] = {}

    def job(self, texts: Sequence[str]) -> Job | None:
        """Make the job with these overrides; None where Hydra has to compose it."""
        overrides = [self._reader.read(text) for text in texts]
        template = self._templates.get(self._kind(overrides))
        if template is None:
            return None
        try:
            config = template.config_with(list(filter(self._is_value, overrides)))
        except Exception:  # noqa: BLE001  (Hydra, asked next, says what is wrong)
            return None
        mine = tuple(t for t, o in zip(texts, overrides, strict=True) if not o.is_hydra_override())
        return Job(config, mine, template.choices)

    def learn(self, texts: Sequence[str], job: Job, returned: JobReturn) -> None:
        """Let a job stand for its kind, if it can: it was made of what Hydra returned for texts."""
        config = cast("DictConfig", returned.cfg)
        hydra = cast("DictConfig", returned.hydra_cfg).hydra
        self._groups.update(hydra.runtime.choices)
        overrides = [self._reader.read(text) for text in texts]
        kind = self._kind(overrides)
        if kind in self._templates:
            return
        values = list(filter(self._is_value, overrides))
        others = [o for o in overrides if not self._is_value(o) and not self._is_choice(o)]
        # A section with types of its own stays an object here, and so counts as no dict.
        raw = OmegaConf.to_container(config, structured_config_mode=SCMode.DICT_CONFIG)
        can_stand = (
            _leaves_nothing(hydra)
            and all(_is_setting(raw, path(value)) for value in values)
            and not any(overlap(value, other) for value in values for other in others)
        )
        unresolved = config if _varies(raw) else None
        self._templates[kind] = _Template(job, unresolved) if can_stand else None

    def _kind(self, overrides: list[Override]) -> tuple[Hashable, ...]:
        """Return what jobs have in common that differ in plain values alone.

        Whether a value is a list is part of it: OmegaConf treats a list over a dict as an error.
        """
        return tuple(
            (override.key_or_group, isinstance(override.value(), list))
            if self._is_value(override)
            else override.input_line
            for override in overrides
        )

    def _is_value(self, override: Override) -> bool:
        return override.key_or_group not in self._groups and sets_plain_value(override)

    def _is_choice(self, override: Override) -> bool:
        # A dict for a group is merged into the config, as for any other key.
        return override.key_or_group in self._groups and not isinstance(override.value(), dict)


class _Template:
    """A job that stands for its kind; `unresolved` is its config where that holds references."""

    def __init__(self, job: Job, unresolved: DictConfig | None) -> None:
        self.choices = job.choices
        self._config = job.config
        self._unresolved = unresolved

    def config_with(self, values: list[Override]) -> dict[str, Any]:
        if self._unresolved is not None:
            # All jobs of a kind set the same keys, so each goes over what the last has left.
            for value in values:
                OmegaConf.update(self._unresolved, value.key_or_group, value.value())
            return _resolved_without_hydra(self._unresolved)
        # Copy the sections with values, and share the rest.
        config = dict(self._config)
        for value in values:
            *groups, key = path(value)
            section = config
            for name in groups:
                section[name] = section = dict(section[name])
            section[key] = value.value()
        return config


def _resolved_without_hydra(config: DictConfig) -> dict[str, Any]:
    """Resolve a config; fail where it refers to Hydra's settings, which are those of one job."""
    hydra = HydraConfig.instance()
    before, hydra.cfg = hydra.cfg, None
    try:
        return resolved(config)
    finally:
        hydra.cfg = before


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
