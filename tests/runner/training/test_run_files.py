"""The files of a run: what is in them, and that their digests are those of the bytes on disk."""

import hashlib
import json
from pathlib import Path

import numpy as np

from runner.config import to_json, to_yaml
from runner.system.environment import environment
from runner.training.prepare import prepare
from runner.training.preprocessing import Preprocessing
from runner.training.run_files import write_run_files
from runner.training.train import train
from tests.runner.jobs.planned import experiment


def test_files_hold_what_was_asked_where_it_ran_and_what_it_left(tmp_path: Path) -> None:
    asked = experiment(training__steps=5)
    prepared = prepare(asked)
    (result,) = train(prepared, [asked])
    digests = write_run_files(tmp_path, asked, prepared, result.weights)

    assert (tmp_path / "config.json").read_text() == to_json(asked)
    assert (tmp_path / "config.yaml").read_text() == to_yaml(asked)
    assert json.loads((tmp_path / "environment.json").read_text()) == environment()
    settings = json.loads((tmp_path / "model.json").read_text())
    assert settings["activation"] == "tanh"
    assert settings["class_names"] == ["0", "1"]
    assert Preprocessing.from_dict(settings["preprocessing"]) == prepared.preprocessing
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as weights:
        assert {name: weights[name].tobytes() for name in weights.files} == {
            name: array.tobytes() for name, array in result.weights.items()
        }
    assert digests == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()
    }
