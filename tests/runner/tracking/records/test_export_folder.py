"""A folder is written for people and read as anybody's: sound, or refused by the file's name."""

import math
import os
import time
from pathlib import Path

import pytest

from runner.config.data import FileData
from runner.system.errors import CommandError, RecordError
from runner.tracking.records import ExportedRun, rerun_command, write_folder
from runner.tracking.records.export_folder import METRICS, README, RUN, parse_metrics, write_metrics
from runner.training.run_files import CONFIG, CONFIG_YAML, ENVIRONMENT, MODEL, WEIGHTS, Metrics
from tests.runner.tracking.records.edited_folder import EditedFolder


def refusal(edited: EditedFolder) -> str:
    with pytest.raises(RecordError) as caught:
        edited.read()
    told = str(caught.value)
    assert len(told) < 500
    return told


@pytest.mark.slow
def test_a_folder_holds_the_run_and_nothing_else(edited: EditedFolder) -> None:
    names = {CONFIG, CONFIG_YAML, ENVIRONMENT, MODEL, WEIGHTS, METRICS, README, RUN}
    assert {path.name for path in edited.path.iterdir()} == names
    record = edited.read()
    assert record.status == "FINISHED"
    assert record.source.final["train/loss"] == record.metrics()["train/loss", 60][0]


def test_a_folder_written_from_a_folder_is_the_same(edited: EditedFolder, tmp_path: Path) -> None:
    write_folder(edited.read(), tmp_path / "again")
    for path in edited.path.iterdir():
        written = (tmp_path / "again" / path.name).read_bytes()
        assert written.replace(b"./again", b"./run") == path.read_bytes()


def test_a_folder_that_holds_something_is_left_alone(edited: EditedFolder, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(CommandError, match="must be new or empty"):
        write_folder(edited.read(), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", [CONFIG, CONFIG_YAML, ENVIRONMENT, MODEL, WEIGHTS])
def test_a_changed_file_is_not_exported(name: str, edited: EditedFolder, tmp_path: Path) -> None:
    original = edited.read()
    (edited.path / name).write_bytes((edited.path / name).read_bytes() + b"\n")
    with pytest.raises(RecordError, match="was edited since it was recorded; the run is not exp"):
        write_folder(original, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_larger_than_the_network_are_not_read(edited: EditedFolder, tmp_path: Path) -> None:
    original = edited.read()
    os.truncate(edited.path / WEIGHTS, 1 << 40)  # a terabyte that takes no room on the disk
    with pytest.raises(RecordError, match=r"weights.npz: must have at most"):
        write_folder(original, tmp_path / "out")


FACTS: list[tuple[dict[str, object], str]] = [
    ({"run_id": 3}, "run.json: run_id: must be text, got 3"),
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
    facts: dict[str, object], says: str, edited: EditedFolder
) -> None:
    edited.tell(**facts)
    assert says in refusal(edited)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b"\x80\x04N."])
def test_facts_that_are_no_group_are_refused(content: bytes, edited: EditedFolder) -> None:
    (edited.path / RUN).write_bytes(content)
    assert refusal(edited).startswith("run.json: ")


def test_a_folder_that_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    says = r"must be a folder that runner export made.*run\.json is missing"
    with pytest.raises(RecordError, match=says):
        ExportedRun(tmp_path)


@pytest.mark.parametrize("name", [METRICS, RUN])
def test_a_mark_of_byte_order_is_no_part_of_a_text(name: str, edited: EditedFolder) -> None:
    honest = edited.read().metrics()
    (edited.path / name).write_bytes(b"\xef\xbb\xbf" + (edited.path / name).read_bytes())
    record = edited.read()
    assert (record.metrics(), record.edits) == (honest, ())


def test_the_command_to_repeat_a_run_names_a_file_of_ones_own(edited: EditedFolder) -> None:
    original = edited.read()
    assert rerun_command("my run", original) == "runner rerun './my run'"
    assert rerun_command("/home/run", original) == "runner rerun /home/run"
    data = FileData(name="file", path="x.csv")
    original.experiment = original.experiment.model_copy(update={"data": data})
    assert rerun_command("run", original) == "runner rerun ./run --data PATH"


def test_a_hundred_thousand_values_at_one_step_take_no_time(edited: EditedFolder) -> None:
    rows = "".join(f"train/loss,1,{value}\n" for value in range(100_000))
    edited.write(METRICS, f"metric,step,value\n{rows}".encode())
    started = time.monotonic()
    assert len(ExportedRun(edited.path).metrics["train/loss", 1]) == 100_000
    assert time.monotonic() - started < 5.0  # a quadratic reader takes a minute


def test_text_of_a_record_acts_on_no_page(edited: EditedFolder, tmp_path: Path) -> None:
    name = "<img src=x> ![a](http://h/b) `c` \x1b[2J\n# d \ud800"
    edited.tell(name=name)
    write_folder(edited.read(), tmp_path / "out")
    title, *rest = (tmp_path / "out" / README).read_text().splitlines()
    assert title == (r"# \<img src=x\> \!\[a\]\(http\://h/b\) \`c\` \\x1b\[2J\\n\# d \\ud800")
    assert rest[0] == ""
    assert ExportedRun(tmp_path / "out").name == name


HEADER = "metric,step,value\n"
WIDE = "\uff11"  # a digit of another script


def test_what_was_written_is_read_with_all_its_bits() -> None:
    metrics: Metrics = {
        ("train/loss", 0): (0.1 + 0.2, 5e-324),
        ('a,"b"\nc', 10): (1.7976931348623157e308, -0.0),
        ("val/loss", 10): (math.inf, -math.inf),
    }
    found = parse_metrics(write_metrics(metrics), "m.csv")
    assert {at: list(map(repr, values)) for at, values in found.items()} == {
        at: list(map(repr, values)) for at, values in metrics.items()
    }


def test_nan_and_windows_lines_are_read() -> None:
    text = HEADER.replace("\n", "\r\n") + "val/loss,1,nan\r\n"
    ((value,),) = parse_metrics(text.encode(), "m.csv").values()
    assert math.isnan(value)


FORM = "must be metric,step,value, got"
STEP = "the step must be a whole number of at most 19 digits"
ROWS = [
    ("", f"m.csv, line 1: {FORM} ''."),
    ("a,b,c\n", f"m.csv, line 1: {FORM} 'a,b,c'."),
    (f"{'x' * 9999}\n", f"m.csv, line 1: {FORM} 'xxx"),
    (f"{HEADER}a,1,2\nb,1\n", f"m.csv, line 3: {FORM} 'b,1'."),
    (f"{HEADER}a,1,2,3\n", f"m.csv, line 2: {FORM} 'a,1,2,3'."),
    (f"{HEADER}\n", f"m.csv, line 2: {FORM} ''."),
    *((f"{HEADER}a,{n},2\n", f"line 2: {STEP}") for n in ("one", "1.5", WIDE, "1_0", "9" * 5000)),
    *(
        (f"{HEADER}a,1,{n}\n", "line 2: the value must be a number, got '")
        for n in ("two", "1_0", "--", WIDE, "1e", ".", "0x1", "9" * 100_000 + "!")
    ),
    (f'{HEADER}"a,1,2\n', f"{FORM} 'unexpected end of data'."),
    (f"{HEADER}{'x' * 200_000},1,2\n", f"line 2: {FORM} 'field larger than field limit"),
]


@pytest.mark.parametrize(("text", "says"), ROWS, ids=range(len(ROWS)))
def test_what_is_wrong_with_metrics_is_told_by_its_line(text: str, says: str) -> None:
    with pytest.raises(RecordError) as refused:
        parse_metrics(text.encode(), "m.csv")
    assert says in str(refused.value)
    assert len(str(refused.value)) < 300


def test_bytes_that_are_no_text_are_told_by_their_place() -> None:
    with pytest.raises(RecordError, match=r"m\.csv, byte 19: must be UTF-8 text"):
        parse_metrics(f"{HEADER}".encode() + b"\xff,1,2\n", "m.csv")
