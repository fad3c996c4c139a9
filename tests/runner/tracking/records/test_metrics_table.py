"""A table of metrics is read as anybody's: all digits of a value, or the wrong line."""

import math

import pytest

from runner.system.errors import RecordError
from runner.tracking.records.metrics_table import parse_metrics, write_metrics
from runner.training.run_files import Metrics

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


ROWS = [
    ("", "m.csv, line 1: must be metric,step,value, got ''."),
    ("a,b,c\n", "m.csv, line 1: must be metric,step,value, got 'a,b,c'."),
    (f"{'x' * 9999}\n", "m.csv, line 1: must be metric,step,value, got 'xxx"),
    (f"{HEADER}a,1,2\nb,1\n", "m.csv, line 3: must be metric,step,value, got 'b,1'."),
    (f"{HEADER}a,1,2,3\n", "m.csv, line 2: must be metric,step,value, got 'a,1,2,3'."),
    (f"{HEADER}\n", "m.csv, line 2: must be metric,step,value, got ''."),
    (
        f"{HEADER}a,one,2\n",
        "line 2: the step must be a whole number of at most 19 digits, got 'one'",
    ),
    (f"{HEADER}a,1.5,2\n", "line 2: the step must be a whole number"),
    (f"{HEADER}a,{WIDE},2\n", "line 2: the step must be a whole number"),
    (f"{HEADER}a,1_0,2\n", "line 2: the step must be a whole number"),
    (f"{HEADER}a,{'9' * 5000},2\n", "line 2: the step must be a whole number of at most 19"),
    (f"{HEADER}a,1,two\n", "line 2: the value must be a number, got 'two'."),
    (f"{HEADER}a,1,1_0\n", "line 2: the value must be a number, got '1_0'."),
    (f"{HEADER}a,1,--\n", "line 2: the value must be a number, got '--'."),
    (f'{HEADER}"a,1,2\n', "must be metric,step,value, got quotes that do not fit."),
    (f"{HEADER}{'x' * 200_000},1,2\n", "line 2: must be metric,step,value, got more than 131,072"),
]


@pytest.mark.parametrize(("text", "says"), ROWS, ids=range(len(ROWS)))
def test_what_is_wrong_is_told_by_its_line(text: str, says: str) -> None:
    with pytest.raises(RecordError) as refused:
        parse_metrics(text.encode(), "m.csv")
    assert says in str(refused.value)
    assert len(str(refused.value)) < 300


def test_bytes_that_are_no_text_are_told_by_their_place() -> None:
    with pytest.raises(RecordError, match=r"m\.csv, byte 19: must be UTF-8 text"):
        parse_metrics(f"{HEADER}".encode() + b"\xff,1,2\n", "m.csv")
