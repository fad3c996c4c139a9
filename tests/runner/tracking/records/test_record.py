"""What is on record of a run is taken as data: settings, digests, an environment of any form."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from runner.system.errors import RecordError
from runner.tracking.records import Original
from runner.training.run_files import CONFIG, DIGESTS, ENVIRONMENT, MODEL, WEIGHTS
from softnet import parameter_shapes
from tests.runner.tracking.records.faults_of_configs import CANARY, NO_SETTINGS, Fault
from tests.runner.tracking.records.spoiling import Record

SHAPES = parameter_shapes((2, 5, 2))


def refusal(record: Record) -> str:
    with pytest.raises(RecordError) as caught:
        record.read()
    told = str(caught.value)
    assert len(told.splitlines()) <= 3
    return told


@pytest.mark.parametrize("fault", NO_SETTINGS, ids=lambda fault: fault.name)
def test_settings_that_are_not_ours_are_refused(
    fault: Fault, record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record.change(**yaml.safe_load(fault.content))
    told = refusal(record)
    assert told.startswith("config.yaml: ")
    assert all(piece in told for piece in fault.says), told
    assert len(told) < 3000
    assert not list(tmp_path.rglob(CANARY))


def test_a_config_of_five_megabytes_is_not_read(record: Record) -> None:
    record.write(CONFIG, b"# " + b"x" * 5_000_000)
    assert "config.yaml: must have at most" in refusal(record)


def test_a_setting_that_was_edited_is_found_by_the_key(record: Record) -> None:
    text = (record.folder / CONFIG).read_text()
    (record.folder / CONFIG).write_text(text.replace("learning_rate: 0.5", "learning_rate: 0.25"))
    assert "config.yaml: was edited after the run" in refusal(record)


@pytest.mark.parametrize(
    "sections",
    [
        {"tracking": {"uri": "http://127.0.0.1:9/", "experiment": "theirs"}},
        {"sweep": {"name": "theirs", "n_workers": 10_000, "restart": True}},
        {"tracking": {"_target_": "os.system"}, "sweep": ["x"]},
    ],
)
def test_where_a_record_says_to_go_is_left_out(sections: dict[str, object], record: Record) -> None:
    honest = record.read().experiment
    record.change(**sections)
    assert record.read().experiment == honest


TAGS = [
    "",
    "[]",
    "null",
    "3",
    '{"config.yaml": 3}',
    '{"config.yaml": {}}',
    "[" * 100_000,
    '{"config.yaml": ' + "[" * 900 + "]" * 900 + "}",
    "9" * 5000,
]


@pytest.mark.parametrize("content", TAGS, ids=range(len(TAGS)))
def test_digests_of_another_form_are_refused(content: str, record: Record) -> None:
    record.tell(tags=record.facts["tags"] | {DIGESTS: content})
    assert refusal(record).startswith("runner.files_sha256: must be the digests")


@pytest.mark.parametrize("content", TAGS, ids=range(len(TAGS)))
def test_what_varied_in_another_form_is_nothing(content: str, record: Record) -> None:
    record.tag(varied=content)
    assert record.read().varied == {}


def _environments() -> dict[str, bytes]:
    shapes: list[object] = [None, 3, "text", [], {}, [1], {"decisive": None}, {"decisive": []}]
    for part in ("blas", "simd", "machine", "numpy", "code"):
        shapes += [{"decisive": {part: value}} for value in (3, "x", [3], [[]], {"a": {}}, [{}])]
    shapes += [{"git": value} for value in (3, [], {"clean": []}, {"commit": {"a": [1]}})]
    shapes += [{"packages": value} for value in (3, [], {"a": []}, {"\x1b[2J": "\x1b[31m"})]
    found = {f"{n}": json.dumps(shape).encode() for n, shape in enumerate(shapes)}
    deep = b'{"decisive":' * 900 + b"1" + b"}" * 900
    return found | {"deep": deep, "deeper": b"[" * 100_000, "none": b"", "bytes": b"\xff\xfe\xfd"}


@pytest.mark.parametrize(("content"), _environments().values(), ids=_environments())
def test_an_environment_of_any_form_is_a_finding(content: bytes, record: Record) -> None:
    from runner.jobs.rerun.environment_diff import environment_differences
    from runner.system.environment import environment

    record.write(ENVIRONMENT, content)
    found, findings = record.read().environment()
    assert len(findings) == 1
    assert findings[0].startswith("environment.json: ")
    for difference in environment_differences(found, environment()):
        assert max(map(len, (difference.what, difference.original))) < 300


def test_a_thousand_packages_are_not_all_told() -> None:
    from runner.jobs.rerun.environment_diff import environment_differences

    record = {"packages": {f"package {n}": "1" for n in range(1000)}}
    assert len(environment_differences(record, {})) < 50


def test_weights_beyond_this_machines_memory_are_not_asked_for(record: Record) -> None:
    with pytest.raises(RecordError, match=r"weights\.npz: must fit into this machine's"):
        record.read().weights(parameter_shapes((2, 10**9, 10**9, 2)))


def test_weights_with_right_digests_but_other_numbers_are_found(record: Record) -> None:
    with np.load(record.folder / WEIGHTS) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["layers.0.bias"] += 1.0
    np.savez(record.folder / "other.npz", allow_pickle=False, **arrays)
    record.write(WEIGHTS, (record.folder / "other.npz").read_bytes())
    _, findings = record.read().weights(SHAPES)
    assert findings == ["weights.npz: are not the weights that the tag runner.weights_sha256 names"]


@pytest.mark.parametrize("name", [MODEL, WEIGHTS, CONFIG])
def test_a_missing_file_is_named(name: str, record: Record) -> None:
    (record.folder / name).unlink()
    with pytest.raises(RecordError, match=f"^{name}: is missing"):
        _read_all(record)


def _read_all(record: Record) -> None:
    original: Original = record.read()
    original.model()
    original.weights(SHAPES)


@pytest.mark.parametrize(
    ("status", "failure", "says"),
    [
        ("ZZZ", None, "no run ends ZZZ"),
        ("FINISHED", "no room", "no run ends FINISHED ('no room')"),
        ("FAILED", None, "no run ends FAILED with no reason"),
        ("\x1b[2J", "\x1b", r"no run ends \x1b[2J ('\x1b')"),
    ],
)
def test_an_end_that_no_run_has_is_a_finding(
    status: str, failure: str | None, says: str, record: Record
) -> None:
    record.tell(status=status, failure=failure)
    assert record.read().findings == (f"the end was changed after the run: {says}",)


@pytest.mark.parametrize(
    ("status", "failure"), [("FINISHED", None), ("FAILED", "no room"), ("KILLED", "interrupted")]
)
def test_an_end_that_a_run_has_is_none(status: str, failure: str | None, record: Record) -> None:
    record.tell(status=status, failure=failure)
    assert record.read().findings == ()


@pytest.mark.parametrize(
    "spoilt", ["learning_rate: [0.5", "learning_rate: -1", "learning_rate: &a 1"]
)
def test_an_edited_config_that_cannot_be_read_is_named_as_edited(
    spoilt: str, record: Record
) -> None:
    text = (record.folder / CONFIG).read_text().replace("learning_rate: 0.5", spoilt)
    (record.folder / CONFIG).write_text(text)
    assert refusal(record).endswith(" It was edited after the run.")
    record.write(CONFIG, text.encode())
    assert "edited" not in refusal(record)


ENDS: list[tuple[str, bool, str | None]] = [
    ("RUNNING", True, "is still RUNNING"),
    ("FAILED", False, r"ended FAILED \('\\x1b\[2J"),
    ("KILLED", False, "ended KILLED"),
    ("SCHEDULED", False, "ended SCHEDULED"),
    ("\x1b[2J", False, "left no result"),
    ("FAILED", True, None),  # it diverged, and left all that a finished one leaves
    ("FINISHED", True, None),
]


@pytest.mark.parametrize(("status", "has_digests", "says"), ENDS)
def test_a_run_without_a_result_says_why(
    status: str, has_digests: bool, says: str | None, record: Record
) -> None:
    record.tell(status=status, failure="\x1b[2J")
    if not has_digests:
        tags = record.facts["tags"]
        record.tell(tags={name: tags[name] for name in tags if name != DIGESTS})
    if says is None:
        assert record.read().source.status == status
    else:
        with pytest.raises(RecordError, match=says):
            record.read()
