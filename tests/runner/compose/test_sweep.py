"""The jobs of a sweep are those that Hydra itself composes, one by one, and in its order."""

import tracemalloc
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig

from runner.compose import Job, compose
from runner.errors import ConfigError, RunnerError

# What a person may have written, below --config-dir.
FILES = {
    "params": "defaults: [config, _self_]\nhydra: {sweeper: {params: {seed: 'range(0,3)'}}}\n",
    "both": "defaults: [config, _self_]\nhydra: {sweeper: {params: {name: 'a,b', model: 'mlp'}}}\n",
    "experiment/numbered": "seed: ${hydra:job.num}\nname: job-${hydra:job.id}\n",
    "experiment/told": "name: ${hydra:job.override_dirname}\nseed: ${hydra:job.name}\n",
    "experiment/linked": "split: {seed: '${seed}'}\nname: '${optimizer.name} ${model}'\n",
    "experiment/around": "hydra: {job: {name: 'n${seed}'}}\nname: ${hydra:job.name}\n",
    "experiment/outside": "name: ${oc.env:RUN_NAME}\ndata: {path: '${shipped:data}'}\n",
    "experiment/set": "hydra: {job: {env_set: {RUN_NAME: b}}}\nname: ${oc.env:RUN_NAME}\n",
    "experiment/apart": "hydra: {sweep: {subdir: '${seed}'}}\n",
    "experiment/moved": "hydra: {job: {chdir: true}}\n",
    "experiment/alias": "other: ${optimizer}\nlist: [1, {a: 2}, null]\nescaped: '\\${seed}'\n",
    "experiment/chosen": "a: 1\nb: 2\nboth: '${${name}}'\n",
    "experiment/keys": "numbers: {1: x}\nempty: {}\nnothing: null\nhole: ???\n",
    "gap/one": "# @package _global_\ngap: 1\n",
    "experiment/group": "defaults: [/gap: one]\nname: group\n",
}

# Each is swept twice: as it stands, and by Hydra's own launcher and sweeper.
SWEEPS = [
    # Values
    "seed=1,2,3",
    "seed=range(0,5,2)",
    "optimizer.learning_rate=0.1,1e-3,1,0.04 seed=0,1",
    "optimizer.learning_rate=range(0.1,0.4,0.1)",
    "seed=choice(3,1) dtype=sort(float64,float32)",
    "seed=true,null,nan,inf,-1,1_000,007",
    "name=a,'b, c','d=e',\"it's\",f\\,g,''",
    "name='1',1,'null',null,'[1]'",
    "model.hidden_layer_sizes=[],[8],[16,8],[a,[1,null]]",
    "model.hidden_layer_sizes=[8],8,null,'[8]'",
    "data=file data.path=a.csv,b.csv",
    "data=file data.path=a.csv,??? data.path=b.csv",
    "name=int(1.5),float(2),str(3),1",
    "seed=1 name=x",
    "seed=shuffle(1)",
    # More than values
    "model={hidden_layer_sizes:[3]},{activation:tanh}",
    "optimizer={learning_rate:1} optimizer.learning_rate=2,3",
    "optimizer.learning_rate=2,3 optimizer={learning_rate:1},{momentum:0.5}",
    "+optimizer.new=1,2 seed=1,2",
    "+list=[1],[2] seed=1,2",
    "seed=2,3 ++seed=2",
    "++seed=2,3 name=a,b",
    "~tracking seed=1,2",
    "~optimizer.momentum seed=1,2",
    "optimizer.momentum=0.1,0.2 ~optimizer.nesterov",
    # Groups
    "model=linear,mlp seed=1,2",
    "seed=1,2 model=linear,mlp",
    "optimizer=glob(*) schedule=glob([s*,c*],exclude=cos*)",
    "experiment=iris,wine seed=1,2",
    "optimizer=adam,sgd optimizer.learning_rate=0.1,0.2",
    "optimizer.learning_rate=0.1,0.2 optimizer=adam,sgd",
    "+model@second=mlp,linear seed=1,2",
    "+model@second=mlp second.activation=tanh,relu",
    "experiment=own_csv seed=1,2",
    # References
    "split.seed=${seed} seed=1,2",
    "seed='${hydra:job.num}' split.seed=1,2",
    "seed=${split.seed},5 split.seed=1,2",
    "name=a,'${dtype}' seed=1,2",
    "experiment=numbered split.seed=1,2,3",
    "experiment=numbered,told split.seed=1,2 model=mlp,linear",
    "experiment=told seed=1,2 model.hidden_layer_sizes=[1],[2]",
    "experiment=linked seed=1,2 optimizer=adam,sgd optimizer.learning_rate=1,2",
    "experiment=linked model.hidden_layer_sizes=[1],[2]",
    "experiment=around seed=1,2",
    "experiment=outside,set seed=1,2",
    "experiment=apart,moved seed=1,2",
    "experiment=alias other.learning_rate=1,2 optimizer.learning_rate=3,4",
    "experiment=alias ++other.learning_rate=1 optimizer.learning_rate=1,4",
    "experiment=alias list=[1],[2] escaped=1,2",
    "experiment=chosen name=a,b,seed",
    # Odd places
    "experiment=keys numbers.1=a,b hole=1",
    "experiment=keys nothing=a,[1] empty=1,2 hole=1",
    "experiment=alias list.0=1,2 list.1.a=4,5",
    "experiment=group gap=one seed=1,2",
    # Hydra's settings
    "seed=1,2,3,4,5 hydra.sweeper.max_batch_size=2",
    "experiment=numbered split.seed=1,2,3 hydra.sweeper.max_batch_size=2",
    "experiment=told seed=1,2 hydra.job.config.override_dirname.exclude_keys=[seed]",
    "seed=1,2 hydra/output=default hydra.sweep.dir=kept",
    "--config-name params",
    "--config-name params split.seed=7,8",
    "--config-name params seed=7,8 hydra/job_logging=none",
    "--config-name both name=c seed=1,2",
]

# Sweeps in which a job cannot be composed, not always the first.
FAULTS = [
    "seed=1,2 nonsense=1",
    "seed=1,2 optimizer.learning_rat=1,2",
    "model=mlp,big",
    "seed=1,???",
    "data=file seed=1,2",
    "seed=1,'${missing}'",
    "experiment=chosen name=a,missing",
    "experiment=linked seed=1,???",
    "experiment=keys empty=1,[1] hole=1",
    "experiment=keys numbers.2=1,2 hole=1",
    "optimizer.learning_rate.x=1,2",
    "experiment=group gap=1,2",
    "experiment=group gap=one,two",
    "~model.missing seed=1,2",
    "+optimizer.momentum=1 seed=1,2",
    "seed=1,2 name=${hydra.job.num}",
    "seed=1,2 tracking=1",
]


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work where a person has files of their own."""
    for name, content in FILES.items():
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        package = "# @package _global_\n" if name.startswith("experiment/") else ""
        file.write_text(package + content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUN_NAME", "a")
    return tmp_path


def jobs(line: str, *more: str) -> list[Job]:
    composed = compose(["--multirun", "--config-dir", ".", *words(line), *more], "help")
    assert composed is not None
    return composed


def words(line: str) -> list[str]:
    """Split at spaces outside of quotes and brackets, and keep both."""
    found, depth, quote = [""], 0, ""
    for letter in line:
        if letter in "'\"" and quote in ("", letter):
            quote = "" if quote else letter
        depth += (letter in "([{") - (letter in ")]}")
        if letter == " " and not depth and not quote:
            found.append("")
        else:
            found[-1] += letter
    return found


def outcome(line: str, *more: str) -> list[tuple[str, ...]] | tuple[type, str, int]:
    """Return the jobs, told apart by the types of their values too, or what is said instead."""
    try:
        return [(repr(job.config), *job.overrides) for job in jobs(line, *more)]
    except RunnerError as error:
        return (type(error), str(error), error.exit_code)


BASIC = ("hydra/launcher=basic", "hydra/sweeper=basic")


@pytest.mark.parametrize("line", SWEEPS)
def test_jobs_are_those_of_hydra(line: str):
    found = outcome(line)
    assert isinstance(found, list), found
    assert found == outcome(line, *BASIC)


@pytest.mark.parametrize("line", FAULTS)
def test_faults_are_told_as_by_hydra(line: str):
    found = outcome(line)
    assert isinstance(found, tuple), found
    assert found == outcome(line, *BASIC)


@pytest.mark.parametrize("ours", [["hydra/launcher=basic"], ["hydra/sweeper=basic"]])
def test_either_can_be_hydras_alone(ours: list[str]):
    assert outcome("seed=1,2", *ours) == outcome("seed=1,2")


def test_folders_are_hydras_where_it_is_asked_for_them(mine: Path):
    arguments = ["hydra/output=default", "hydra.sweep.dir=kept", "hydra.output_subdir=.hydra"]
    jobs("seed=1,2", *arguments)
    for number, seed in enumerate((1, 2)):
        told = (mine / "kept" / str(number) / ".hydra" / "overrides.yaml").read_text("utf-8")
        assert told == f"- seed={seed}\n"


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


@pytest.mark.parametrize(
    ("line", "n_jobs", "n_compositions"),
    [
        ("optimizer.learning_rate=0.01,0.1 seed=range(0,50)", 100, 1),
        ("seed=range(0,20) name=a,b split.train=4,6,8", 120, 1),
        ("model=linear,mlp optimizer=adam,sgd seed=range(0,10)", 40, 4),
        ("experiment=own_csv seed=range(0,10)", 10, 1),
        ("experiment=numbered split.seed=range(0,10)", 10, 1),
        ("split.seed=${seed} seed=range(0,10)", 10, 1),
        ("+optimizer.new=1,2 ~tracking seed=range(0,10)", 20, 2),
        ("seed=range(0,10) hydra.sweeper.max_batch_size=3", 10, 1),
    ],
)
def test_hydra_composes_one_job_of_each_kind(
    line: str, n_jobs: int, n_compositions: int, compositions: list[list[str]]
):
    assert len(jobs(line)) == n_jobs
    assert len(compositions) == n_compositions


def test_a_file_of_ones_own_is_checked_for_each_choice(mine: Path):
    (mine / "experiment" / "hollow.yaml").write_text("", "utf-8")
    with pytest.raises(ConfigError, match=r"hollow\.yaml: must hold settings"):
        jobs("experiment=linked,hollow seed=1,2")


def test_a_job_takes_at_most_4_kib():
    jobs("seed=1")  # what is loaded once is not counted
    tracemalloc.start()
    try:
        composed = jobs("optimizer.learning_rate=0.01,0.1 seed=range(0,1000)")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / len(composed) <= 4096
