"""Texts that somebody may put into a store become plain values, or are refused in a few words."""

import json
import random
import time
import tracemalloc
from pathlib import Path

import pytest

from runner.config import to_plain, to_yaml
from runner.system.errors import RecordError
from runner.tracking.records.untrusted import CONFIG_LIMIT, parse_config, parse_json, parse_weights
from tests.runner.jobs.planned import experiment
from tests.runner.tracking.records.faults_of_archives import (
    FAULTS,
    SHAPES,
    WEIGHTS,
    claiming,
    recomputed,
    saved,
)
from tests.runner.tracking.records.faults_of_configs import CANARY, NO_CONFIGS, NO_SETTINGS, Fault

# A hundred times what any takes alone: a bomb would take minutes, or all memory.
SOON_S = 10.0


def refusal(content: bytes) -> str:
    with pytest.raises(RecordError) as caught:
        parse_config(content, "config.yaml")
    return str(caught.value)


@pytest.mark.parametrize("fault", NO_CONFIGS, ids=lambda fault: fault.name)
def test_what_is_no_plain_yaml_is_refused(
    fault: Fault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    started = time.monotonic()
    told = refusal(fault.content)
    assert time.monotonic() - started < SOON_S
    assert told.startswith("config.yaml")
    assert all(piece in told for piece in fault.says), told
    assert len(told) < 400
    assert len(told.splitlines()) == 1
    assert not (tmp_path / CANARY).exists()


@pytest.mark.parametrize("fault", NO_SETTINGS, ids=lambda fault: fault.name)
def test_settings_of_others_stay_plain_values(fault: Fault) -> None:
    values = parse_config(fault.content, "config.yaml")
    assert all(type(value) in {dict, list, str, int, float} for value in values.values())


@pytest.mark.parametrize("depth", [20, 100_000])
def test_json_that_is_too_deep_is_told_in_words_of_ours(depth: int) -> None:
    with pytest.raises(RecordError, match=r"^run\.json: must have at most 16 levels, got more\.$"):
        parse_json(b"[" * depth + b"]" * depth, "run.json")


def test_the_largest_config_takes_seconds() -> None:
    n_lines = CONFIG_LIMIT // 25 // 8  # an eighth of it, so that the test itself takes none
    lines = "".join(f"k{number}: [1, 2.0, x]\n" for number in range(n_lines))
    started = time.monotonic()
    assert len(parse_config(lines.encode(), "config.yaml")) == n_lines
    assert time.monotonic() - started < SOON_S


def test_a_config_of_ours_reads_back_as_it_was() -> None:
    made = experiment(name="1e-3", seed=2**63 - 1, optimizer__learning_rate=1e-300)
    assert parse_config(to_yaml(made).encode(), "config.yaml") == to_plain(made)


def test_json_of_another_encoding_or_none_is_refused() -> None:
    for content in (b"", b"{", b"\xff\xfe\xfa", b"{'a': 1}", b"9" * 5000, b"\x80\x04."):
        with pytest.raises(RecordError, match=r"^run\.json: must be JSON"):
            parse_json(content, "run.json")


@pytest.mark.parametrize("depth", [17, 900, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_json_is_refused(depth: int, opening: str) -> None:
    closing = {"[": "]", '{"a":': "}"}[opening]
    content = f"{opening * depth}1{closing * depth}".encode()
    with pytest.raises(RecordError, match=r"at most 16 levels|must be JSON"):
        parse_json(content, "environment.json")


@pytest.mark.parametrize("value", [None, 3, "text", [], {}, [{"a": [1.5, True]}]])
def test_plain_json_is_read(value: object) -> None:
    assert parse_json(json.dumps(value).encode(), "run.json") == value


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
