"""The jobs of a sweep are those that Hydra itself composes, one by one, and in its order."""

import tracemalloc
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig

from runner.system.errors import ConfigError
from tests.runner.config.compose.sweeps import BASIC, outcome, sweep

pytestmark = pytest.mark.usefixtures("mine")

# Values; more than values; groups; Hydra's own settings.
SWEEPS = [
    "name='b, c','d=e',\"it's\",f\\,g,''",
    "seed=true,null,nan,007,'1',str(3)",
    "model.hidden_layer_sizes=[16,8],[a,[1,null]],'[8]'",
    "model={hidden_layer_sizes:[3]},{activation:tanh}",
    "+optimizer.new=1,2 ~tracking ~optimizer.momentum",
    "seed=range(2,4) ++seed=2",
    "optimizer.learning_rate=0.1 optimizer=glob([a*,s*],exclude=adam*_*)",
    "+model@second=mlp,linear second.activation=sort(tanh,relu)",
    "experiment=group gap=one seed=choice(3,1)",
    "--config-name both name=c seed=1,2 hydra.sweeper.max_batch_size=1",
    # References
    "seed=${split.seed},'${hydra:job.num}' split.seed=1,2",
    "experiment=numbered,around seed=1,2",
    "experiment=linked,chosen name=a,seed",
    "experiment=outside,set,apart,moved seed=1,2",
    "experiment=alias ++other.learning_rate=1 optimizer.learning_rate=1,4",
    # Odd places
    "experiment=alias list.0=1,2 list.1.a=4 escaped=1",
    "experiment=keys nothing=a,[1] empty=1,2 hole=1",
]

# Sweeps with a job that cannot be composed, not always the first.
FAULTS = [
    "optimizer.learning_rate.x=1,2",
    "seed=1,'${missing}'",
    "experiment=chosen name=a,missing",
    "experiment=alias other.learning_rate=1,2 optimizer.learning_rate=3,4",
    "experiment=keys empty=1,[1] hole=1",
    "experiment=group gap=one,two",
]


@pytest.mark.slow
@pytest.mark.parametrize("line", SWEEPS)
def test_jobs_are_those_of_hydra(line: str):
    found = outcome(line)
    assert isinstance(found, list), found
    assert found == outcome(line, "hydra/launcher=basic")


@pytest.mark.slow
@pytest.mark.parametrize("line", FAULTS)
def test_faults_are_explained_as_hydras_own(line: str):
    found = outcome(line)
    assert isinstance(found, tuple), found
    assert found == outcome(line, BASIC[0])


@pytest.mark.slow
@pytest.mark.parametrize("hydras", [BASIC[1:], BASIC])
def test_the_sweeper_and_both_plugins_can_be_hydras(hydras: tuple[str, ...]):
    assert outcome("seed=1,2", *hydras) == outcome("seed=1,2")


def test_folders_are_hydras_where_it_is_asked_for_them(mine: Path):
    sweep("seed=1,2", "hydra/output=default", "hydra.sweep.dir=kept", "hydra.output_subdir=.hydra")
    for number, seed in enumerate((1, 2)):
        told = (mine / "kept" / str(number) / ".hydra" / "overrides.yaml").read_text("utf-8")
        assert told == f"- seed={seed}\n"


def test_a_file_of_ones_own_is_checked_for_each_choice(mine: Path):
    (mine / "experiment" / "hollow.yaml").write_text("", "utf-8")
    with pytest.raises(ConfigError, match=r"hollow\.yaml: must hold settings"):
        sweep("experiment=linked,hollow seed=1,2")


# What it costs.


@pytest.fixture
def compositions(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """List what Hydra composes a job for."""
    composed: list[list[str]] = []
    original = ConfigLoaderImpl.load_sweep_config

    def listing(
        self: ConfigLoaderImpl, master_config: DictConfig, sweep_overrides: list[str]
    ) -> DictConfig:
        composed.append(sweep_overrides)
        return original(self, master_config, sweep_overrides)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", listing)
    return composed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "n_jobs", "n_compositions"),
    [
        ("seed=range(0,20) name=a,b split.train=4,6,8", 120, 1),
        ("model=linear,mlp optimizer=adam,sgd seed=range(0,10)", 40, 4),
        ("experiment=own_csv seed=range(0,10)", 10, 1),
        ("experiment=linked seed=range(0,10)", 10, 1),
        ("experiment=numbered split.seed=1,2", 2, 2),
        ("+optimizer.new=1,2 ~tracking seed=range(0,10)", 20, 2),
        ("seed=range(0,10) hydra.sweeper.max_batch_size=3", 10, 1),
    ],
)
def test_hydra_composes_one_job_of_each_kind(
    line: str, n_jobs: int, n_compositions: int, compositions: list[list[str]]
):
    assert len(sweep(line)) == n_jobs
    assert len(compositions) == n_compositions


@pytest.mark.slow
def test_a_job_takes_at_most_4_kib():
    sweep("seed=1")  # what is loaded once is not counted
    tracemalloc.start()
    try:
        jobs = sweep("optimizer.learning_rate=0.01,0.1 seed=range(0,500)")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / len(jobs) <= 4096
