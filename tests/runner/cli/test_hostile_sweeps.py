"""Names that people gave, or wrote into the store, act neither on a terminal nor on a sheet."""

import csv
import json
import subprocess
from contextlib import closing
from sqlite3 import connect

import pytest

from tests.runner.cli.sweeping import of_kind, recorded
from tests.runner.conftest import Command

ESCAPE = "\x1b]0;owned\x07\x1b[31mred\r\n\u202e"
FORMULAS = ("+SUM.csv", "-x.csv", "@cmd.csv")


@pytest.fixture(scope="module")
def swept(shared: Command) -> Command:
    """Leave a sweep over settings that are formulas, one job of which fails."""
    for number, name in enumerate(FORMULAS):
        rows = [f"{row},{row % 7},{'xy'[row % 2]}" for row in range(40 + 10 * number)]
        (shared.folder / name).write_text("\n".join(["a,b,label", *rows]))
    paths = ",".join([*FORMULAS, "-missing.csv"])
    mine = ["experiment=own_csv", "data.target=label", "training.epochs=1"]
    ended = shared("-m", *mine, f"data.path={paths}", "training.batch_size=4")
    assert ended.returncode == 1, ended.stderr
    assert "1 of 4 runs did not finish" in ended.stdout
    return shared


@pytest.fixture(scope="module")
def edited(swept: Command) -> Command:
    """Give the sweep and its runs names and settings with escapes, as anybody can."""
    for run in recorded(swept):
        with closing(connect(swept.store / "mlflow.db")) as store, store:
            store.execute(
                "UPDATE runs SET name = ? WHERE run_uuid = ?", (f"={ESCAPE}{run.name}", run.run_id)
            )
            for key, value in (
                ("mlflow.runName", f"={ESCAPE}{run.name}"),
                ("runner.varied", json.dumps({f"@{ESCAPE}": f"+{ESCAPE}{run.name}"})),
                ("runner.failure", f"={ESCAPE}"),
                ("runner.metric", "val/loss"),
            ):
                store.execute(
                    "UPDATE tags SET value = ? WHERE run_uuid = ? AND key = ?",
                    (value, run.run_id, key),
                )
    return swept


def cells(text: str) -> list[str]:
    return [cell for row in csv.reader(text.splitlines()) for cell in row]


def test_results_hold_no_formula(swept: Command):
    (parent,) = of_kind("sweep", recorded(swept))
    folder = swept.store / "artifacts" / "own_csv" / parent.run_id / "artifacts"
    found = cells((folder / "results.csv").read_text())
    assert not [cell for cell in found if cell.startswith(("=", "+", "-", "@"))]
    assert {f"'{formula}" for formula in FORMULAS} <= set(found)


@pytest.mark.parametrize(
    "arguments",
    [["show"], ["show", "--csv"], ["sweeps"], ["show", "nothing"], ["show", "--metric", "nothing"]],
    ids=" ".join,
)
def test_names_from_the_store_are_shown_as_text(arguments: list[str], edited: Command):
    ended: subprocess.CompletedProcess[str] = edited(*arguments)
    told = ended.stdout + ended.stderr
    assert "Traceback" not in told
    assert told.replace("\n", "").isprintable()
    if "--metric" not in arguments:
        assert r"\x1b]0;" in told


def test_rows_from_the_store_hold_no_formula(edited: Command):
    found = cells(edited("show", "--csv").stdout)
    assert len(found) > 4 * 6
    assert not [cell for cell in found if cell.startswith(("=", "+", "-", "@"))]
