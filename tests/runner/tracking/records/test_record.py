"""A record is verified part by part: an edited part is named, an edited config is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from runner.config.fingerprint import SCHEMA
from runner.config.plain import to_plain
from runner.jobs.rerun.environment_diff import environment_differences
from runner.system.errors import RecordError
from runner.tracking.records import ExportedRun, Record
from runner.tracking.records.export_folder import METRICS
from runner.training.environment import environment
from runner.training.run_files import CONFIG, CONFIG_YAML, ENVIRONMENT, MODEL, RECORD, WEIGHTS
from softnet import mlp
from tests.runner.tracking.records.edited_folder import EditedFolder

SHAPES = mlp([2, 5, 2]).weight_shapes
EDITED = "was edited since it was recorded"


def read_all(edited: EditedFolder) -> Record:
    record = edited.read()
    record.model()
    record.weights(SHAPES)
    record.metrics()
    record.environment()
    return record


def refusal(edited: EditedFolder) -> str:
    with pytest.raises(RecordError) as refused:
        read_all(edited)
    said = str(refused.value)
    assert len(said.splitlines()) == 1
    return said


def test_an_honest_record_is_what_was_run(edited: EditedFolder) -> None:
    record = read_all(edited)
    assert (record.status, record.failure, record.edits) == ("FINISHED", None, ())
    assert to_plain(record.experiment)["optimizer"]["learning_rate"] == 0.5
    assert record.metrics()["train/loss", 60]


def in_file(name: str, old: str, new: str) -> Callable[[EditedFolder], None]:
    def edit(edited: EditedFolder) -> None:
        text = (edited.path / name).read_text()
        assert old in text
        (edited.path / name).write_text(text.replace(old, new))

    return edit


def in_tag(name: str, value: str) -> Callable[[EditedFolder], None]:
    def edit(edited: EditedFolder) -> None:
        edited.tell(tags=edited.facts["tags"] | {f"runner.{name}": value})

    return edit


def one_weight(edited: EditedFolder) -> None:
    with np.load(edited.path / WEIGHTS) as archive:
        arrays = dict(archive)
    arrays["layers.0.bias"][0] = np.nextafter(arrays["layers.0.bias"][0], np.inf)
    np.savez(edited.path / WEIGHTS, allow_pickle=False, **arrays)


# Edits that are not in the table of tampered records, which a store can hold too.
NAMED = [
    ("metrics", in_file(METRICS, "train/loss,60,", "train/loss,60,1")),
    ("metrics", in_file(METRICS, "metric,step,value\n", "metric,step,value\ntrain/x,1,nan\n")),
    ("environment", in_tag("code", "0" * 16)),
    ("ending", lambda edited: edited.tell(status="ZZZ")),
]


def test_a_config_with_another_blank_is_refused(edited: EditedFolder) -> None:
    in_file(CONFIG, "{", "{ ")(edited)
    assert refusal(edited) == f"folder {edited.path}: config: {EDITED}."


@pytest.mark.parametrize(("part", "edit"), NAMED, ids=range(len(NAMED)))
def test_an_edited_part_is_named(
    part: str, edit: Callable[[EditedFolder], None], edited: EditedFolder
) -> None:
    edit(edited)
    assert read_all(edited).edits == (f"{part}: {EDITED}",)


DIGESTS = ["[]", "null", "{}", '{"config": 3}', "[" * 100_000, "9" * 5000, "\ud800"]


@pytest.mark.parametrize("content", DIGESTS, ids=range(len(DIGESTS)))
def test_digests_of_another_form_are_refused(content: str, edited: EditedFolder) -> None:
    in_tag("record", content)(edited)
    assert refusal(edited) == f"folder {edited.path}: {RECORD}: {EDITED}."


def test_one_digest_that_was_edited_along_is_found_by_that_over_all(edited: EditedFolder) -> None:
    one_weight(edited)
    before = json.loads(edited.facts["tags"][RECORD])
    edited.match()
    after = json.loads(edited.facts["tags"][RECORD])
    assert [part for part in after if after[part] != before[part]] == ["weights", "all"]
    in_tag("record", json.dumps(after | {"all": before["all"]}))(edited)
    assert refusal(edited) == f"folder {edited.path}: {RECORD}: {EDITED}."


def test_a_run_that_was_stopped_after_its_last_file_is_no_edit(edited: EditedFolder) -> None:
    edited.tell(status="KILLED", failure="interrupted")
    assert edited.read().edits == ()


@pytest.mark.parametrize("name", [CONFIG_YAML, METRICS, MODEL])
def test_a_missing_file_is_named(name: str, edited: EditedFolder) -> None:
    (edited.path / name).unlink()
    assert refusal(edited).startswith(f"{name}: is missing")


def test_a_config_of_five_megabytes_is_not_read(edited: EditedFolder) -> None:
    edited.write(CONFIG, b"{" + b" " * 5_000_000)
    assert "config.json: must have at most" in refusal(edited)


def test_where_a_record_says_to_go_is_left_out(edited: EditedFolder) -> None:
    honest = edited.read().experiment
    edited.change(tracking={"_target_": "os.system", "uri": "http://127.0.0.1:9/"}, sweep=["x"])
    assert edited.read().experiment == honest


VARIED = ["", "[]", "null", "3", '{"seed": 3}', '{"seed": {}}', "[" * 100_000, "9" * 5000]


@pytest.mark.parametrize("content", VARIED, ids=range(len(VARIED)))
def test_what_varied_in_another_form_is_nothing(content: str, edited: EditedFolder) -> None:
    edited.tag(varied=content)
    assert edited.read().varied == {}


def _environments() -> dict[str, bytes]:
    shapes: list[object] = [None, 3, "text", [], {}, [1], {"decisive": None}, {"decisive": []}]
    for part in ("blas", "simd", "machine", "numpy", "code"):
        shapes += [{"decisive": {part: value}} for value in (3, "x", [3], [[]], {"a": {}}, [{}])]
    shapes += [{"git": value} for value in (3, [], {"clean": []}, {"commit": {"a": [1]}})]
    shapes += [{"packages": value} for value in (3, [], {"a": []}, {"\x1b[2J": "\x1b[31m"})]
    shapes += [{"packages": {f"package {n}": "1" for n in range(1000)}}]
    found = {f"{n}": json.dumps(shape).encode() for n, shape in enumerate(shapes)}
    deep = b'{"decisive":' * 900 + b"1" + b"}" * 900
    return found | {"deep": deep, "deeper": b"[" * 100_000, "none": b"", "bytes": b"\xff\xfe\xfd"}


@pytest.mark.parametrize(("content"), _environments().values(), ids=_environments())
def test_an_environment_of_any_form_can_be_shown(content: bytes, edited: EditedFolder) -> None:
    edited.write(ENVIRONMENT, content)
    differences = environment_differences(edited.read().environment(), environment())
    assert 0 < len(differences) < 50
    for difference in differences:
        assert max(map(len, (difference.what, difference.original))) < 300


def test_weights_beyond_this_machines_memory_are_not_asked_for(edited: EditedFolder) -> None:
    with pytest.raises(RecordError, match=r"weights\.npz: must fit into this machine's"):
        edited.read().weights(mlp([2, 10**9, 10**9, 2]).weight_shapes)


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "KILLED", "SCHEDULED", "\x1b[2J"])
def test_a_run_without_a_result_says_why(status: str, edited: EditedFolder) -> None:
    edited.tell(status=status, failure="\x1b[2J")
    edited.untag(RECORD)
    says = {"RUNNING": "is still RUNNING", "FAILED": r"ended FAILED \('\\x1b\[2J"}
    with pytest.raises(RecordError, match=says.get(status, r"ended .* left no result")):
        edited.read()


@pytest.fixture
def earlier(edited: EditedFolder) -> ExportedRun:
    """The folder as earlier versions left it."""
    (edited.path / CONFIG).unlink()
    edited.untag(RECORD, "runner.schema")
    return ExportedRun(edited.path)


def test_a_record_of_an_earlier_version_can_only_be_predicted_from(earlier: ExportedRun) -> None:
    record = Record.read(earlier, admits_earlier=True)
    assert record.experiment.model.hidden_layer_sizes == (5,)
    assert record.model().network(record.experiment).weight_shapes == SHAPES
    assert record.weights(SHAPES)["layers.0.weight"].shape == (2, 5)
    assert record.edits == ()
    with pytest.raises(RecordError) as refused:
        Record.read(earlier)
    assert str(refused.value) == (
        f"{earlier.label}: was recorded by an earlier version of this program; "
        "repeat it with that version."
    )


@pytest.mark.parametrize("schema", [str(SCHEMA + 1), "0", "", "1.0", "\x1b[2J", "9" * 5000])
def test_a_record_of_another_schema_says_so(schema: str, edited: EditedFolder) -> None:
    edited.tag(schema=schema)
    assert "another version of this program recorded it" in refusal(edited)


def _bomb() -> bytes:
    """A few lines that stand for ten to the ninth words."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join(10 * [f'*a{n - 1}'])}]" for n in range(1, 9)]
    return "\n".join(lines).encode()


HOSTILE_YAML = {
    "alias bomb": (_bomb(), "an alias"),
    "merge": (b"model: &m {a: 1}\ndata: {<<: *m}", "an alias"),
    "call": (b"seed: !!python/object/apply:os.system ['touch canary']", "os.system"),
    "own tag": (b"seed: !run 3", "must be YAML"),
    "binary": (b"seed: !!binary aGk=", "seed: must be a plain value"),
    "date": (b"seed: 2026-01-01", "seed: must be a plain value"),
    "base 60": (b"seed: 1" + b":59" * 20_000, "must be"),
    "deep": (b"a: " + b"[" * 50_000, "must be YAML"),
    "environment": (b"name: ${oc.env:HOME}", "name: must be a plain value"),
    "pickle": (b"\x80\x04N.", "must be YAML"),
    "not of ours": (b"model: {_target_: os.system}", "must be given"),
    "too long": (b"# " + b"x" * 1_000_000, "must have at most"),
}


@pytest.mark.parametrize(("content", "says"), HOSTILE_YAML.values(), ids=HOSTILE_YAML)
def test_a_hostile_config_of_an_earlier_version_is_refused(
    content: bytes,
    says: str,
    earlier: ExportedRun,
    edited: EditedFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (edited.path / CONFIG_YAML).write_bytes(content)
    with pytest.raises(RecordError) as refused:
        Record.read(earlier, admits_earlier=True)
    said = str(refused.value)
    assert said.startswith("config.yaml: ")
    assert says in said
    assert len(said) < 500
    assert not list(tmp_path.rglob("canary"))


def test_the_yaml_for_people_says_the_same(edited: EditedFolder) -> None:
    values = yaml.safe_load((edited.path / CONFIG_YAML).read_bytes())
    assert values == json.loads((edited.path / CONFIG).read_bytes())
