"""The files of a run: what is in them, and that their digests are those of the bytes on disk."""

import hashlib
import io
import json
import math
import struct

import numpy as np
import pytest

from runner.config.plain import to_json, to_yaml
from runner.training.environment import environment
from runner.training.prepare import prepare
from runner.training.preprocessing import Preprocessing
from runner.training.run_files import Metrics, metrics_sha256, run_files
from runner.training.train import train
from tests.runner.jobs.planned import experiment


def test_files_hold_what_was_asked_where_it_ran_and_what_it_left() -> None:
    asked = experiment(training__steps=5)
    prepared = prepare(asked)
    (result,) = train(prepared, [asked])
    files = run_files(asked, prepared, result.weights)

    assert files["config.json"].decode() == to_json(asked)
    assert files["config.yaml"].decode() == to_yaml(asked)
    assert json.loads(files["environment.json"].decode()) == environment()
    settings = json.loads(files["model.json"].decode())
    assert settings["activation"] == "tanh"
    assert settings["class_names"] == ["0", "1"]
    assert Preprocessing.from_dict(settings["preprocessing"]) == prepared.preprocessing
    with np.load(io.BytesIO(files["weights.npz"]), allow_pickle=False) as weights:
        assert {name: weights[name].tobytes() for name in weights.files} == {
            name: array.tobytes() for name, array in result.weights.items()
        }


SOME: Metrics = {("train/loss", 0): (0.5,), ("train/loss", 10): (0.25,), ("val/loss", 0): (2.0,)}


def test_digest_is_that_of_names_steps_and_doubles() -> None:
    written = b"val/loss\n3\n1\n" + struct.pack("<d", 0.1)
    assert metrics_sha256({("val/loss", 3): (0.1,)}) == hashlib.sha256(written).hexdigest()


def test_order_in_which_they_were_read_does_not_matter() -> None:
    assert metrics_sha256(dict(reversed(SOME.items()))) == metrics_sha256(SOME)


def test_one_nan_is_as_good_as_another() -> None:
    (other,) = struct.unpack("<d", b"\x01\x00\x00\x00\x00\x00\xf8\xff")
    assert math.isnan(other)
    assert metrics_sha256({("a", 0): (other,)}) == metrics_sha256({("a", 0): (math.nan,)})


@pytest.mark.parametrize(
    "change",
    [
        {("train/loss", 10): (math.nextafter(0.25, 1),)},
        {("train/loss", 10): (0.25, 0.25)},
        {("train/loss", 10): ()},
        {("train/loss", 20): (0.25,)},
        {("val/loss", 0): (-2.0,)},
    ],
)
def test_any_change_changes_it(change: Metrics) -> None:
    assert metrics_sha256({**SOME, **change}) != metrics_sha256(SOME)


def test_a_zero_has_a_sign() -> None:
    assert metrics_sha256({("a", 0): (0.0,)}) != metrics_sha256({("a", 0): (-0.0,)})
