"""The launcher and the sweeper are Hydra's for any program, and take all jobs at once for ours."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.test_utils.test_utils import SweepTaskFunction
from omegaconf import DictConfig

OURS = ["hydra/launcher=runner_stacked", "hydra/sweeper=runner_stacked"]
Batch = Sequence[Sequence[str]]

# Hydra's tests expect the folders of jobs as they were before Hydra 1.2, and Hydra warns of them.
before_1_2 = pytest.mark.filterwarnings("ignore:Future Hydra versions:UserWarning")


# Hydra's own tests for launchers and sweepers.


@before_1_2
@pytest.mark.parametrize(
    ("launcher_name", "overrides"), [("runner_stacked", ["hydra/sweeper=runner_stacked"])]
)
class TestLauncher(LauncherTestSuite):
    """Hydra's tests."""


@before_1_2
@pytest.mark.parametrize(
    ("launcher_name", "overrides"),
    [("runner_stacked", ["hydra/sweeper=runner_stacked", "hydra.sweeper.max_batch_size=2"])],
)
class TestSweeper(BatchedSweeperTestSuite):
    """Hydra's tests."""


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", *OURS])])
class TestPrograms(IntegrationTestSuite):
    """Hydra's tests: programs of others, each a process."""


# What is ours.


def sweep(
    runner: Callable[..., SweepTaskFunction], folder: Path, *overrides: str
) -> SweepTaskFunction:
    return runner(
        calling_file=None,
        calling_module="hydra.test_utils.a_module",
        task_function=None,
        config_path="configs",
        config_name="compose",
        overrides=[*OURS, *overrides],
        temp_dir=folder,
    )


def test_hydra_finds_both():
    found = {kind.__name__ for kind in Plugins.instance().discover()}
    assert {"StackedLauncher", "StackedSweeper"} <= found
    assert "StackedLauncher" in {kind.__name__ for kind in Plugins.instance().discover(Launcher)}
    assert "StackedSweeper" in {kind.__name__ for kind in Plugins.instance().discover(Sweeper)}


def test_other_hydra_programs_load_nothing_of_ours():
    code = (
        "import sys; from hydra.core.plugins import Plugins; Plugins.instance();"
        "assert 'hydra_plugins.runner_stacked' in sys.modules;"
        "assert not {'runner', 'softnet', 'numpy', 'mlflow'} & set(sys.modules)"
    )
    checkout = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=checkout, check=True)


def test_jobs_are_handed_over_in_batches_and_not_composed(
    hydra_sweep_runner: Callable[..., SweepTaskFunction], tmp_path: Path
):
    batches: list[tuple[Batch, int]] = []

    def collect_all(batch: Batch, first_number: int, _launch: object) -> None:
        batches.append((batch, first_number))

    # The group has no such option, which composing the job would show.
    run = sweep(hydra_sweep_runner, tmp_path, "group1=file1,missing,file2")
    run.overrides = [*(run.overrides or []), "hydra.sweeper.max_batch_size=2"]
    sizes: list[int] = []
    run.points = lambda overrides, _: sizes.append(len(overrides))  # type: ignore[attr-defined]  # what the sweeper looks for
    run.collect_all = collect_all  # type: ignore[attr-defined]  # what the launcher looks for
    with run:
        assert sizes == [1]
        assert batches == [([["group1=file1"], ["group1=missing"]], 0), ([["group1=file2"]], 2)]
        assert run.returns == [[], []]


def test_jobs_can_be_launched_hydras_way(
    hydra_sweep_runner: Callable[..., SweepTaskFunction], tmp_path: Path
):
    launched: list[tuple[int, Any]] = []

    def collect_all(batch: Batch, first_number: int, launch: Callable[..., Any]) -> None:
        (returned,) = launch([batch[1]], first_number + 1)
        launched.append((returned.hydra_cfg.hydra.job.num, returned.cfg))

    run = sweep(hydra_sweep_runner, tmp_path, "bar=1,2,3", "hydra.job.chdir=false")
    run.points = lambda *_: None  # type: ignore[attr-defined]  # what the sweeper looks for
    run.collect_all = collect_all  # type: ignore[attr-defined]  # what the launcher looks for
    with run:
        ((number, config),) = launched
        assert isinstance(config, DictConfig)
        assert (number, dict(config)) == (1, {"foo": 10, "bar": 2})
