"""The digest of metrics: of names, steps and bits, of nothing else."""

import hashlib
import math
import struct

import pytest

from runner.training.run_files import Metrics, metrics_sha256

SOME: Metrics = {("train/loss", 0): (0.5,), ("train/loss", 10): (0.25,), ("val/loss", 0): (2.0,)}


def test_digest_is_that_of_names_steps_and_doubles():
    written = b"val/loss\n3\n1\n" + struct.pack("<d", 0.1)
    assert metrics_sha256({("val/loss", 3): (0.1,)}) == hashlib.sha256(written).hexdigest()


def test_order_in_which_they_were_read_does_not_matter():
    assert metrics_sha256(dict(reversed(SOME.items()))) == metrics_sha256(SOME)


def test_one_nan_is_as_good_as_another():
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
def test_any_change_changes_it(change: Metrics):
    assert metrics_sha256({**SOME, **change}) != metrics_sha256(SOME)


def test_a_zero_has_a_sign():
    assert metrics_sha256({("a", 0): (0.0,)}) != metrics_sha256({("a", 0): (-0.0,)})
