"""Where stacks run; `executor_of` makes what a config asks for."""

from __future__ import annotations

from runner.config.schema import DaskExecutor, ExecutorConfig
from runner.jobs.executors.interface import Executor
from runner.system.process import n_physical_cores


def executor_of(config: ExecutorConfig, n_workers: int | None) -> Executor:
    """Make the executor of a sweep; `n_workers` is how many processes of this machine it may use.

    By default those are as many as there are physical cores.
    """
    if isinstance(config, DaskExecutor):
        from runner.jobs.executors.dask import DaskCluster

        return DaskCluster(config.address, config.n_workers, config.retries, config.wait_s)
    from runner.jobs.executors.local import LocalProcesses

    return LocalProcesses(n_workers or n_physical_cores())
