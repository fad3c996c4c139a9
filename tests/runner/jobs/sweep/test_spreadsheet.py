import csv
import io
import math

import pandas as pd
import pytest

from runner.jobs.sweep.spreadsheet import write_csv
from runner.training.outcome import Outcome
from tests.runner.report.outcomes import HOSTILE, failed, outcome


def written(outcomes: list[Outcome]) -> str:
    target = io.StringIO()
    write_csv(outcomes, target)
    return target.getvalue()


def rows(outcomes: list[Outcome]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written(outcomes))))


def test_each_job_is_a_row() -> None:
    runs = [
        outcome(3, varied={"optimizer": "adam", "seed": "3"}, metrics={"val/loss": 0.1}),
        failed(4, "no luck", varied={"seed": "4", "model.layers": "[64,32]"}),
        outcome(5, metrics={"val/loss": 1e-300, "best/step": 7.0}),
    ]
    assert written(runs).splitlines() == [
        "name,status,optimizer,seed,model.layers,val/loss,best/step,failure,seconds,run_id",
        f"seed=3,FINISHED,adam,3,,0.1,,,1.26,{3:032x}",
        f'seed=4,FAILED,,4,"[64,32]",,,no luck,1.26,{4:032x}',
        f"seed=5,FINISHED,,5,,1e-300,7.0,,1.26,{5:032x}",
    ]


def test_numbers_come_back_as_they_were() -> None:
    values = [1 / 3, -1e-300, math.inf, -math.inf, 123456789.123456789]
    runs = [outcome(n, metrics={"val/loss": value}) for n, value in enumerate(values)]
    assert [float(row["val/loss"]) for row in rows(runs)] == values


def test_pandas_reads_numbers_as_numbers() -> None:
    values = [0.5, -1e-300, math.inf, -math.inf]
    runs = [outcome(n, metrics={"val/loss": value}) for n, value in enumerate(values)]
    assert pd.read_csv(io.StringIO(written(runs)))["val/loss"].to_list() == values


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd", "'+cmd"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-1+2", "'-1+2"),
        ("-", "'-"),
        ("-inf", "'-inf"),
        ("-\u0661", "'-\u0661"),  # an Arabic one
        ("\uff1d1+1", "'\uff1d1+1"),  # of full width
        ("\uff20A1", "'\uff20A1"),
        ("  =1+1", "'  =1+1"),
        ("\u3000=1+1", "'\\u3000=1+1"),
        (" 5", " 5"),
        ("-0.5", "-0.5"),
        ("+1.5e-3", "+1.5e-3"),
        ("-.5", "-.5"),
        ("a=1", "a=1"),
        ("'=1", "'=1"),
    ],
)
def test_no_text_is_taken_for_a_formula(text: str, cell: str) -> None:
    run = failed(0, text, name=text, varied={text: text}, run_id=text)
    (row,) = rows([run])
    assert [row["name"], row["run_id"], row[cell]] == [cell] * 3
    assert row["failure"].startswith("'") is (cell.startswith("'"))


def test_names_of_metrics_are_no_formulas_either() -> None:
    assert "'=loss" in rows([outcome(0, metrics={"=loss": 1.0})])[0]


def test_what_acts_on_a_terminal_is_spelled_out() -> None:
    run = failed(0, HOSTILE, name=HOSTILE, varied={HOSTILE: HOSTILE}, run_id=HOSTILE)
    header, row, end = written([run]).split("\n")
    assert (header + row).isprintable()
    assert end == ""


def test_commas_and_quotes_stay_in_their_cell() -> None:
    assert rows([outcome(0, name='a,"b"')])[0]["name"] == 'a,"b"'


def test_a_setting_that_is_called_like_a_column_has_one_of_its_own() -> None:
    (row,) = rows([outcome(0, name="name=mine", varied={"name": "mine"})])
    assert (row["name"], row["name (varied)"]) == ("name=mine", "mine")


def test_of_nothing_there_is_a_header() -> None:
    assert written([]) == "name,status,failure,seconds,run_id\n"
