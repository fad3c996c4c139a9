"""What is wrong with a command line is named, before anything else is done."""

from pathlib import Path

import pytest

from runner.cli.main import carry_out
from runner.system.errors import CommandError, RecordError

ID = "0123456789abcdef" * 2
WIDE = "\uff11"  # a digit of another script


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rerun"], "runner rerun: the following arguments are required: RUN. Usage:"),
        (["rerun", ID, "--foo"], "runner rerun: unrecognized arguments: --foo. Usage:"),
        # What stands behind it is not taken for a setting, nor is what is missing named first.
        (["rerun", "--tolerence", "0.1", ID], "runner rerun: unrecognized arguments: --tolerence."),
        (["rerun", "--chekc"], "runner rerun: unrecognized arguments: --chekc. Usage:"),
        (["rerun", ID, "=3"], "key=value: must be a setting, such as data.target=age, got '=3'."),
        (
            ["rerun", ID, "seed"],
            "key=value: must be a setting, such as data.target=age, got 'seed'.",
        ),
        (["rerun", ID, "--tolerance", "1_0"], "must be a number, 0 or above, got '1_0'"),
        (["rerun", ID, "--tolerance", WIDE], f"must be a number, 0 or above, got '{WIDE}'"),
        (["rerun", ID, "--tolerance", "nan"], "must be a number, 0 or above, got 'nan'"),
        (["rerun", ID, "--tolerance", "1e999"], "must be a number, 0 or above, got '1e999'"),
        (["rerun", ID, "--tolerance=-1"], "must be a number, 0 or above, got '-1'"),
        (["rerun", ID, "--sample", WIDE], f"must be a whole number, 1 or above, got '{WIDE}'"),
        (["rerun", ID, "--data", "x.csv", "data.path=y.csv"], "--data: must be left out beside"),
        (["rerun", ID, "--data", "x.csv", "data={name: iris}"], "--data: must be left out beside"),
        (["ui", "--port", WIDE], f"must be a number from 1 to 65535, got '{WIDE}'"),
        (["ui", "--port=65536"], "must be a number from 1 to 65535, got '65536'"),
        (["export", ID, ""], "FOLDER: must be a new folder, got ''."),
        (["predict", ID, ""], "FILE: must be a file, got ''."),
    ],
)
def test_what_is_wrong_is_named(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError) as refused:
        carry_out(words)
    assert says in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_the_usage_says_that_a_run_has_to_be_named() -> None:
    with pytest.raises(CommandError, match=r"RUN \[key=value \.\.\.\]$"):
        carry_out(["rerun"])


def test_a_folder_that_is_none_of_ours_is_said_to_be_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError, match=r"^\.: must be a folder that runner export made"):
        carry_out(["rerun", "."])
