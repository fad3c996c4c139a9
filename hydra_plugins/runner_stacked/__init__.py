"""The sweeper and the launcher of this program: Hydra's own, without composing each job twice.

Hydra imports this at the start of every Hydra program of the environment, and twice, so it imports
Hydra alone. A task function that takes all jobs of a sweep at once has two attributes,
`points` and `collect_all`; for any other task function, sweeper and launcher are Hydra's.
"""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_launcher import BasicLauncher, BasicLauncherConf
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


def _takes_all(task_function: TaskFunction | None) -> bool:
    return hasattr(task_function, "collect_all")


class StackedLauncher(BasicLauncher):
    """Hands the jobs of a batch over at once, as their lists of overrides."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Give the task function all jobs, and Hydra's way to carry out one by one."""
        one_by_one = super().launch
        if not _takes_all(self.task_function):
            return one_by_one(job_overrides, initial_job_idx)
        self.task_function.collect_all(  # type: ignore[union-attr]  # see _takes_all
            job_overrides, initial_job_idx, one_by_one
        )
        return []


class StackedSweeper(BasicSweeper):
    """Leaves it to a task function that takes all jobs to compose each of them, once."""

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Remember the task function."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._task_function = task_function

    def split_arguments(  # type: ignore[override]  # Hydra calls it on the object
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """Ask for the points of a search, where it is one; any other sweep is Hydra's to split."""
        if _takes_all(self._task_function):
            points = self._task_function.points(overrides, self.config)  # type: ignore[attr-defined]  # see _takes_all
            if points is not None:
                return [points]
        return super().split_arguments(overrides, max_batch_size)

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose every job to see whether it can be, unless that is about to happen anyway."""
        if not _takes_all(self._task_function):
            super().validate_batch_is_legal(batch)


def _register() -> None:
    store = ConfigStore.instance().store
    launcher = BasicLauncherConf(_target_=f"{__name__}.{StackedLauncher.__name__}")
    # Hydra's default, no params at all, is nothing that a command line could add to.
    sweeper = BasicSweeperConf(_target_=f"{__name__}.{StackedSweeper.__name__}", params={})
    for group, node in (("hydra/launcher", launcher), ("hydra/sweeper", sweeper)):
        store(group=group, name="runner_stacked", node=node, provider="runner")


_register()
