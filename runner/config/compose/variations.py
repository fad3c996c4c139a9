"""The jobs of a sweep: Hydra composes the first of each kind, and values make the others of it.

Hydra needs some 90 ms for a job. Jobs that differ in plain values alone have configs that differ
in these values alone, so one of them stands for all. What is doubtful is left to Hydra, and so is
what fails: the complaint is Hydra's own.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import cast

from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from runner.config.compose.job import Job
from runner.config.compose.overrides import Reader, sets_plain_value, told
from runner.config.compose.templates import Template, template


class Variations:
    """Jobs made without Hydra, each like one that Hydra has composed."""

    def __init__(self) -> None:
        self._reader = Reader()
        self._groups: set[str] = set()
        self._templates: dict[tuple[Hashable, ...], Template | None] = {}

    def job(self, texts: Sequence[str], number: int) -> Job | None:
        """Make a job like one of its kind; None where Hydra has to compose it.

        Parameters
        ----------
        texts : sequence of str
            The overrides of the job.
        number : int
            Its place in the sweep, Hydra's ``job.num``.
        """
        overrides = [self._reader.read(text) for text in texts]
        of_its_kind = self._templates.get(self._kind(overrides))
        if of_its_kind is None:
            return None
        values = [override for override in overrides if self._is_value(override)]
        try:
            config = of_its_kind.config(values, overrides, number)
        except Exception:  # noqa: BLE001  (Hydra, asked next, says what is wrong)
            return None
        mine = tuple(told(o) for o in overrides if not o.is_hydra_override())
        return Job(config, mine, of_its_kind.choices)

    def learn(self, texts: Sequence[str], job: Job, returned: JobReturn) -> None:
        """Let a job that Hydra composed stand for its kind, if it can.

        Parameters
        ----------
        texts : sequence of str
            The overrides of the job.
        job : Job
            What was made of it.
        returned : JobReturn
            Hydra's own account of it.
        """
        hydra = cast("DictConfig", returned.hydra_cfg).hydra
        self._groups.update(hydra.runtime.choices)
        overrides = [self._reader.read(text) for text in texts]
        its_kind = self._kind(overrides)
        if its_kind not in self._templates:
            values = [override for override in overrides if self._is_value(override)]
            others = [o for o in overrides if not self._is_value(o) and not self._is_choice(o)]
            self._templates[its_kind] = template(job, returned, values, others)

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
