"""Texts that somebody may put into a store become plain values, or are refused in a few words."""

import json
import random
import tracemalloc
from pathlib import Path

import pytest

from runner.config.plain import to_json, to_plain
from runner.system.errors import RecordError
from runner.tracking.records.untrusted import parse_config, parse_json, parse_weights
from tests.runner.jobs.planned import experiment
from tests.runner.tracking.records.faults_of_archives import (
    FAULTS,
    SHAPES,
    WEIGHTS,
    claiming,
    recomputed,
    saved,
)


def test_a_config_of_ours_reads_back_as_it_was() -> None:
    made = experiment(name="1e-3", seed=2**63 - 1, optimizer__learning_rate=1e-300)
    assert parse_config(to_json(made).encode(), "config.json") == to_plain(made)


# Other texts that are no JSON are in the table of hostile records.
@pytest.mark.parametrize("depth", [16, 17, 900, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_has_at_most_16_levels(depth: int, opening: str, closing: str) -> None:
    content = f"{opening * depth}1{closing * depth}".encode()
    if depth <= 16:
        assert parse_json(content, "run.json") == json.loads(content)
        return
    with pytest.raises(RecordError, match=r"^run\.json: must have at most 16 levels, got more\.$"):
        parse_json(content, "run.json")


def test_an_archive_that_numpy_saved_is_read() -> None:
    found = parse_weights(saved(), SHAPES, "float64", "weights.npz")
    assert {name: w.tobytes() for name, w in found.items()} == {
        name: w.tobytes() for name, w in WEIGHTS.items()
    }


def test_an_array_that_python_2_saved_is_read_without_a_warning() -> None:
    content = claiming("'<f8'", "(4L, 3L)")
    found = parse_weights(content, SHAPES, "float64", "weights.npz")
    assert found["layers.0.weight"].shape == (4, 3)


@pytest.mark.parametrize(("content", "says"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_any_other_archive_is_refused(
    content: bytes, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError) as caught:
        parse_weights(content, SHAPES, "float64", "weights.npz")
    told = str(caught.value)
    assert told.startswith("weights.npz")
    assert says in told
    assert len(told) < 400
    assert len(told.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_inflated_or_allocated_for_a_bomb() -> None:
    bombs = [content for name, content, _ in FAULTS if name in {"bomb", "claims 8 TB"}]
    tracemalloc.start()
    try:
        for bomb in bombs:
            with pytest.raises(RecordError):
                parse_weights(bomb, SHAPES, "float64", "weights.npz")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_a_spoiled_byte_never_escapes_as_another_error() -> None:
    """Every byte of an archive changed, and cut off there, with and without right checksums."""
    sound, rng = saved(), random.Random(0)
    read = {True: 0, False: 0}
    for place in range(len(sound)):
        spoiled = bytearray(sound)
        spoiled[place] = rng.randrange(256)
        for content in (bytes(spoiled), sound[:place], recomputed_or_not(bytes(spoiled))):
            try:
                arrays = parse_weights(content, SHAPES, "float64", "weights.npz")
            except RecordError:
                read[False] += 1
            else:
                read[True] += 1
                assert {name: w.shape for name, w in arrays.items()} == SHAPES
    assert read[False] > len(sound)


def recomputed_or_not(content: bytes) -> bytes:
    try:
        return recomputed(content)
    except Exception:  # noqa: BLE001  (what a damaged archive raises is the subject of the test)
        return content
