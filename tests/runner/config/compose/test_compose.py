"""The shipped YAML, a person's own beside it, and what Hydra's command line makes of both."""

import os
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path

import pytest

from runner.config.compose import Job, compose
from runner.config.schema import Experiment
from runner.system.errors import ConfigError
from runner.system.paths import config_folder
from tests.runner.config.tutorial import PLAIN

GROUPS = ("data", "split", "model", "optimizer", "schedule", "training", "tracking")


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
    # Where it runs is no part of an experiment, and its task is told from its data.
    local = {
        "executor": {"name": "local"},
        "search": {"name": "grid", "refit": False},
        "task": "auto",
    }
    assert job.config == PLAIN | local == jobs("experiment=tutorial")[0].config
    assert list(job.config) == [
        "name",
        "seed",
        "dtype",
        "task",
        *GROUPS,
        "executor",
        "search",
        "sweep",
    ]


def options(group: str) -> list[str]:
    return sorted(file.stem for file in (config_folder() / group).glob("*.yaml"))


def check_complete(job: Job) -> None:
    experiment = Experiment.from_dict(job.config)
    for section in GROUPS:
        # What is not in the YAML could not be overridden without a plus.
        fields = set(type(getattr(experiment, section)).model_fields)
        assert set(job.config[section]) == fields - {"pruned_at_step", "init_sha256", "train_too"}


def test_every_option_is_complete():
    # One of each group at a time; a file cannot do without its path.
    for chosen in zip_longest(*([f"{g}={o}" for o in options(g)] for g in GROUPS)):
        words = [word for word in chosen if word is not None]
        path = ["data.path=mine.csv"] if "data=file" in words else []
        (job,) = jobs(*words, *path)
        assert {f"{group}={job.choices[group]}" for group in GROUPS} >= {*words}
        check_complete(job)


@pytest.mark.slow
def test_every_experiment_is_complete():
    found = jobs("-m", f"experiment={','.join(options('experiment'))}")
    assert [job.config["name"] for job in found] == options("experiment")
    for job in found:
        check_complete(job)


def test_another_optimizer_has_its_own_values_and_none_of_an_experiment():
    for experiment in ("own", "digits", "mnist"):
        for name in ("adam", "adamw", "rmsprop", "sgd"):
            (job,) = jobs(f"experiment={experiment}", f"optimizer={name}")
            assert job.config["optimizer"] == jobs(f"optimizer={name}")[0].config["optimizer"]


def test_csv_of_own_csv_ships_and_gives_way_to_a_file_of_ones_own():
    path = Path(jobs("experiment=own_csv")[0].config["data"]["path"])
    assert path.is_file()
    assert config_folder() in path.parents
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


@pytest.mark.slow
def test_sweep_over_groups_and_experiments():
    # Flags may stand between overrides.
    found = jobs("experiment=iris,wine", "--multirun", "model=glob(*)")
    models = ("linear", "mlp", "realmlp", "tabm")
    expected = [(name, f"model={model}") for name in ("iris", "wine") for model in models]
    assert [(job.config["name"], job.overrides[1]) for job in found] == expected


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


# Whoever asks for Hydra's own errors gets them.


def test_full_error_is_left_to_hydra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(Exception, match="To append to your config") as raised:
        jobs("nonsense=1")
    assert type(raised.value).__module__ == "hydra.errors"
