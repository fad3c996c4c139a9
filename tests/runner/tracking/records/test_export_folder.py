"""A folder is written for people and read as anybody's: sound, or refused by the file's name."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runner.config import FileData
from runner.system.errors import CommandError, RecordError
from runner.tracking.records import FolderSource, Original, rerun_command, write_folder
from runner.tracking.records.export_folder import METRICS, README, RUN
from runner.training.run_files import CONFIG, ENVIRONMENT, MODEL, WEIGHTS
from softnet import parameter_shapes
from tests.runner.tracking.records.spoiling import Record


def refusal(record: Record) -> str:
    with pytest.raises(RecordError) as caught:
        record.read()
    told = str(caught.value)
    assert len(told) < 500
    return told


def test_a_folder_holds_the_run_and_nothing_else(record: Record) -> None:
    names = {CONFIG, ENVIRONMENT, MODEL, WEIGHTS, METRICS, README, RUN}
    assert {path.name for path in record.folder.iterdir()} == names
    original = record.read()
    assert original.source.status == "FINISHED"
    assert original.source.findings == ()
    metrics, findings = original.metrics()
    assert original.environment()[1] == original.model()[1] == findings == []
    assert original.source.final["train/loss"] == metrics["train/loss", 60][0]


def test_a_folder_written_from_a_folder_is_the_same(record: Record, tmp_path: Path) -> None:
    write_folder(record.read(), tmp_path / "again")
    for path in record.folder.iterdir():
        written = (tmp_path / "again" / path.name).read_bytes()
        assert written.replace(b"./again", b"./run") == path.read_bytes()


def test_a_folder_that_holds_something_is_left_alone(record: Record, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(CommandError, match="must be new or empty"):
        write_folder(record.read(), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", [CONFIG, ENVIRONMENT, MODEL, WEIGHTS])
def test_a_changed_file_is_not_exported(name: str, record: Record, tmp_path: Path) -> None:
    original = record.read()
    (record.folder / name).write_bytes((record.folder / name).read_bytes() + b"\n")
    with pytest.raises(RecordError, match=name):
        write_folder(original, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_larger_than_the_network_are_not_read(record: Record, tmp_path: Path) -> None:
    original = record.read()
    os.truncate(record.folder / WEIGHTS, 1 << 40)  # a terabyte that takes no room on the disk
    with pytest.raises(RecordError, match=r"weights.npz: must have at most"):
        write_folder(original, tmp_path / "out")


FACTS: list[tuple[dict[str, object], str]] = [
    ({"run_id": 3}, "run.json: run_id: must be text, got 3"),
    ({"name": None}, "run.json: name: must be text"),
    ({"status": ["FINISHED"]}, "run.json: status: must be text"),
    ({"failure": {}}, "run.json: failure: must be text"),
    ({"tags": None}, "run.json: tags: must be a group of texts"),
    ({"tags": [["runner.key", "a"]]}, "run.json: tags: must be a group"),
    ({"tags": {"\x1b[2J": 3}}, "run.json: \\x1b[2J: must be text"),
    ({"tags": {}}, "must be a run of this program"),
    ({"tags": {"runner.key": "x", "runner.kind": "other"}}, "must be a run of this program"),
    ({"tags": {"runner.key": "x", "runner.kind": "sweep"}}, "is a sweep; name one of its runs"),
]


@pytest.mark.parametrize(("facts", "says"), FACTS)
def test_facts_of_another_form_are_refused(
    facts: dict[str, object], says: str, record: Record
) -> None:
    record.tell(**facts)
    assert says in refusal(record)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b"\x80\x04N."])
def test_facts_that_are_no_group_are_refused(content: bytes, record: Record) -> None:
    (record.folder / RUN).write_bytes(content)
    assert refusal(record).startswith("run.json: ")


def test_metrics_of_another_form_are_refused(record: Record) -> None:
    record.write(METRICS, b"metric,step,value\ntrain/loss,1\n")
    assert refusal(record).startswith("metrics.csv, line 2: must be metric,step,value")


def test_a_folder_that_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="must be a folder that runner export made"):
        FolderSource(tmp_path)


@pytest.mark.parametrize("name", [METRICS, RUN, CONFIG])
def test_a_mark_of_byte_order_is_no_part_of_a_text(name: str, record: Record) -> None:
    honest = record.read()
    content = b"\xef\xbb\xbf" + (record.folder / name).read_bytes()
    if name == RUN:
        (record.folder / name).write_bytes(content)
    else:
        record.write(name, content)
    assert record.read().metrics() == honest.metrics()
    assert record.read().experiment == honest.experiment


def test_the_command_to_repeat_a_run_names_a_file_of_ones_own(record: Record) -> None:
    original = record.read()
    assert rerun_command("my run", original) == "runner rerun './my run'"
    assert rerun_command("/home/run", original) == "runner rerun /home/run"
    data = FileData(name="file", path="x.csv")
    own = replace(original, experiment=original.experiment.model_copy(update={"data": data}))
    assert rerun_command("run", own) == "runner rerun ./run --data PATH"


def test_changed_metrics_are_told_and_still_read(record: Record) -> None:
    lines = (record.folder / METRICS).read_text()
    (record.folder / METRICS).write_text(f"{lines}train/loss,61,nan\n")
    metrics, findings = record.read().metrics()
    assert findings == [
        "the metrics: were changed after the run (their digest differs from the recorded one)"
    ]
    assert repr(metrics["train/loss", 61]) == "(nan,)"


def test_a_hundred_thousand_values_at_one_step_take_no_time(record: Record) -> None:
    rows = "".join(f"train/loss,1,{value}\n" for value in range(100_000))
    record.write(METRICS, f"metric,step,value\n{rows}".encode())
    started = time.monotonic()
    assert len(FolderSource(record.folder).metrics()["train/loss", 1]) == 100_000
    assert time.monotonic() - started < 5.0  # a quadratic reader takes a minute


def test_text_of_a_record_acts_on_no_page(record: Record, tmp_path: Path) -> None:
    name = "<img src=x> ![a](http://h/b) `c` \x1b[2J\n# d \ud800"
    record.tell(name=name)
    write_folder(record.read(), tmp_path / "out")
    title, *rest = (tmp_path / "out" / README).read_text().splitlines()
    assert title == (r"# \<img src=x\> \!\[a\]\(http\://h/b\) \`c\` \\x1b\[2J\\n\# d \\ud800")
    assert rest[0] == ""
    assert FolderSource(tmp_path / "out").name == name


def test_the_parameters_of_a_folder_are_those_of_the_model(record: Record) -> None:
    original: Original = record.read()
    model, _ = original.model()
    weights, findings = original.weights(parameter_shapes(model.layer_sizes((5,))))
    assert {name: array.shape for name, array in weights.items()} == parameter_shapes((2, 5, 2))
    assert findings == []
