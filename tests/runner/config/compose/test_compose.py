"""The shipped YAML, a person's own beside it, and what Hydra's command line makes of both."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from runner.config import Experiment
from runner.config.compose import Job, compose
from runner.system.errors import CommandError, ConfigError
from runner.system.paths import config_folder

GROUPS = ("data", "split", "model", "optimizer", "schedule", "training", "tracking")
OPTIONS = [
    f"{file.parent.name}={file.stem}"
    for group in (*GROUPS, "experiment")
    for file in sorted((config_folder() / group).glob("*.yaml"))
]
# What an option cannot do without.
NEEDED = {"data=file": ["data.path=mine.csv"]}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with the folder for temporary files elsewhere."""
    folder, scratch = tmp_path / "here", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    return folder


def jobs(*arguments: str) -> list[Job]:
    composed = compose(arguments, "help")
    assert composed is not None
    return composed


def write(folder: Path, name: str, content: str) -> None:
    file = folder / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(content, encoding="utf-8")


# The shipped YAML.


def test_without_arguments_the_tutorial_is_composed():
    (job,) = jobs()
    assert job.overrides == ()
    assert job.config == {
        "name": "tutorial",
        "seed": 0,
        "dtype": "float64",
        "data": {"name": "tutorial", "scaling": "none"},
        "split": {"name": "contiguous", "train": 8, "val": 4, "test": 4, "seed": 0},
        "model": {
            "hidden_layer_sizes": [],
            "activation": "relu",
            "initializer": "normal",
            "initializer_scale": 1.0,
        },
        "optimizer": {
            "name": "sgd",
            "learning_rate": 0.04,
            "momentum": 0.0,
            "nesterov": False,
            "weight_decay": 0.0,
            "clip_norm": None,
        },
        "schedule": {"name": "constant", "warmup_steps": 0},
        "training": {
            "steps": 4000,
            "epochs": None,
            "batch_size": 4,
            "sampling": "with_replacement",
            "evaluate_every": 100,
            "early_stopping": None,
        },
        "tracking": {"uri": None, "experiment": None},
        "sweep": {
            "name": None,
            "metric": "val/loss",
            "n_workers": None,
            "fail_fast": False,
            "retry_failed": True,
            "restart": False,
            "dry_run": False,
        },
    }


def test_keys_come_in_the_order_of_the_way_through():
    (job,) = jobs()
    assert list(job.config) == ["name", "seed", "dtype", *GROUPS, "sweep"]


def test_the_experiment_of_the_tutorial_is_the_default():
    assert jobs("experiment=tutorial")[0].config == jobs()[0].config


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_complete(option: str):
    (job,) = jobs(option, *NEEDED.get(option, []))
    experiment = Experiment.from_dict(job.config)
    group, _, name = option.partition("=")
    if group == "experiment":
        assert experiment.name == name
    for section in GROUPS:
        # What is not in the YAML could not be overridden without a plus.
        assert set(job.config[section]) == set(type(getattr(experiment, section)).model_fields)


def test_the_csv_of_own_csv_ships_and_is_found_from_any_folder():
    (job,) = jobs("experiment=own_csv")
    path = Path(job.config["data"]["path"])
    assert path.is_absolute()
    assert path.is_file()
    assert config_folder() in path.parents


def test_a_file_of_ones_own_takes_the_place_of_the_one_that_ships():
    (job,) = jobs("experiment=own_csv", "data.path=mine.csv", "data.target=label")
    assert (job.config["data"]["path"], job.config["data"]["target"]) == ("mine.csv", "label")


# YAML of one's own.


def test_config_dir_adds_experiments_and_options(here: Path):
    write(here, "model/wide", "hidden_layer_sizes: [256]\nactivation: tanh\n")
    content = "# @package _global_\ndefaults: [override /model: wide]\nname: mine\n"
    write(here, "experiment/mine", content)
    (job,) = jobs("--config-dir", ".", "experiment=mine", "seed=3")
    assert job.config["model"] == {"hidden_layer_sizes": [256], "activation": "tanh"}
    assert (job.config["name"], job.config["seed"]) == ("mine", 3)


def test_optional_local_file_has_the_last_word(here: Path):
    write(here, "local/default", "# @package _global_\ntracking: {uri: http://127.0.0.1:5000}\n")
    (job,) = jobs("--config-dir", ".", "experiment=iris")
    assert job.config["tracking"]["uri"] == "http://127.0.0.1:5000"


def test_primary_config_of_ones_own_leaves_no_hydra_folder(here: Path):
    write(here, "mine", "defaults: [config, _self_]\nseed: 7\n")
    (job,) = jobs("--config-dir", ".", "--config-name", "mine")
    assert job.config["seed"] == 7
    assert [path.name for path in here.iterdir()] == ["mine.yaml"]


def test_references_are_resolved(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RUN_NAME", "from outside")
    write(here, "experiment/mine", "# @package _global_\nname: ${oc.env:RUN_NAME}\nseed: 5\n")
    (job,) = jobs("--config-dir", ".", "experiment=mine", "split.seed=${seed}")
    assert (job.config["name"], job.config["split"]["seed"]) == ("from outside", 5)


# Hydra's command line.


def test_sweep_gives_all_jobs_in_hydras_order():
    found = jobs("-m", "optimizer.learning_rate=0.1,0.2", "seed=range(0,3)")
    assert [(j.config["optimizer"]["learning_rate"], j.config["seed"]) for j in found] == [
        (rate, seed) for rate in (0.1, 0.2) for seed in range(3)
    ]
    assert found[4].overrides == ("optimizer.learning_rate=0.2", "seed=1")


def test_sweep_over_groups_and_experiments():
    found = jobs("--multirun", "experiment=iris,wine", "model=glob(*)")
    assert [(job.config["name"], job.overrides[1]) for job in found] == [
        ("iris", "model=linear"),
        ("iris", "model=mlp"),
        ("wine", "model=linear"),
        ("wine", "model=mlp"),
    ]


def test_sweep_written_in_yaml(here: Path):
    content = "defaults: [config, _self_]\nhydra: {sweeper: {params: {seed: 'range(0,4)'}}}\n"
    write(here, "mine", content)
    found = jobs("--config-dir", ".", "--config-name", "mine", "-m")
    assert [job.config["seed"] for job in found] == [0, 1, 2, 3]


def test_flags_may_stand_between_overrides():
    found = jobs("experiment=iris", "-m", "seed=1,2", "model=mlp")
    assert [job.config["seed"] for job in found] == [1, 2]


def test_overrides_are_told_as_they_were_typed():
    (job,) = jobs("seed=7", "split.seed=${seed}", "+optimizer.new=1", "~tracking")
    assert job.overrides == ("seed=7", "split.seed=${seed}", "+optimizer.new=1", "~tracking")


def test_a_job_says_which_option_of_each_group_was_chosen():
    (job,) = jobs("experiment=iris", "optimizer=sgd")
    assert job.choices == {
        "data": "iris",
        "split": "stratified",
        "model": "mlp",
        "optimizer": "sgd",
        "schedule": "cosine",
        "training": "epochs",
        "tracking": "local",
        "experiment": "iris",
        "local": "default",
    }
    found = jobs("-m", "seed=1,2", "model=linear,mlp")
    assert [job.choices["model"] for job in found] == ["linear", "mlp"] * 2
    assert "experiment" not in found[0].choices


def test_shown_config_is_no_job(capsys: pytest.CaptureFixture[str]):
    assert compose(["--cfg", "job", "--package", "model"], "help") is None
    assert capsys.readouterr().out.startswith("# @package model\nhidden_layer_sizes: []\n")


def test_hydras_own_ways_can_be_had(here: Path):
    jobs("hydra/output=default", "hydra.run.dir=kept", "hydra.output_subdir=.hydra")
    assert (here / "kept" / ".hydra" / "overrides.yaml").is_file()


@pytest.mark.parametrize("arguments", [[], ["-m", "seed=1,2"], ["-m", "seed=1,-1"]])
def test_nothing_is_left_behind(arguments: list[str], here: Path):
    jobs(*arguments)
    assert sorted(here.parent.rglob("*")) == [here, here.parent / "scratch"]


def test_nothing_of_the_process_is_changed():
    before = (list(sys.argv), dict(os.environ), Path.cwd())
    jobs("-m", "seed=1,2")
    with pytest.raises(ConfigError):
        jobs("nonsense=1")
    assert (list(sys.argv), dict(os.environ), Path.cwd()) == before


# What a config may not do.


@pytest.mark.parametrize("where", ["command line", "file"])
def test_callbacks_are_refused_before_anything_is_called(where: str, here: Path):
    arguments = [
        "+hydra.callbacks.x._target_=pathlib.Path.touch",
        "+hydra.callbacks.x._args_=[canary]",
    ]
    if where == "file":
        target = "{x: {_target_: pathlib.Path.touch, _args_: [canary]}}"
        content = f"# @package _global_\nhydra: {{callbacks: {target}}}\n"
        write(here, "experiment/mine", content)
        arguments = ["--config-dir", ".", "experiment=mine"]
    with pytest.raises(ConfigError, match=r"hydra\.callbacks"):
        jobs(*arguments)
    assert not (here / "canary").exists()


def test_pickle_is_never_read(here: Path):
    (here / "job.pickle").write_bytes(b"cposix\nsystem\n(S'touch canary'\ntR.")
    with pytest.raises(CommandError, match="unpickles"):
        jobs("--experimental-rerun", "job.pickle")
    assert not (here / "canary").exists()


def test_tag_in_a_file_makes_no_object(here: Path):
    content = "# @package _global_\nseed: !!python/object/apply:os.system ['touch canary']\n"
    write(here, "experiment/mine", content)
    with pytest.raises(ConfigError, match="line 2, column 7"):
        jobs("--config-dir", ".", "experiment=mine")
    assert not (here / "canary").exists()


# Whoever asks for Hydra's own errors gets them.


def test_full_error_is_left_to_hydra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match="To append to your config") as raised:
        jobs("nonsense=1")
    assert type(raised.value).__module__ == "hydra.errors"
