"""Predictions by a run's own weights: to the last bit those of the model that MLflow loads."""

import csv
import io
import json
import os
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError

import numpy as np
import pandas as pd
import pytest

from tests.runner.cli.rerunning import export, new_runs, record, sweep
from tests.runner.cli.sweeping import Recorded, recorded, until
from tests.runner.conftest import CHECKOUT, Command, Ended
from tests.runner.processes import end_group

PENGUINS = CHECKOUT / "conf" / "data" / "penguins.csv"
OWN = ["experiment=own_csv", "dtype=float64", "training.epochs=3"]
MOONS = [
    *(
        "data=moons",
        "data.scaling=quantile",
        "split=shuffled",
        "dtype=float32",
        "model.hidden_layer_sizes=[16]",
    ),
    *("training.steps=60", "optimizer=adam"),
]

# What their models are called: their experiments.
MODELS = {"words": "own_csv", "numbers": "tutorial"}


def rows_of(file: Path | io.StringIO) -> pd.DataFrame:
    """Read a CSV by pandas, each number to its last bit."""
    with warnings.catch_warnings():
        # Newer ones read all numbers so, and would rather not be told.
        warnings.filterwarnings("ignore", message=".*'float_precision'")
        return pd.read_csv(file, float_precision="round_trip")


def with_model(command: Command, *arguments: str) -> Recorded:
    """Run one job, which leaves a model."""
    before = recorded(command)
    ended = command(*arguments, "tracking.figures=false")
    assert ended.returncode == 0, ended.stderr
    (run,) = new_runs(command, before)
    return run


@dataclass(frozen=True)
class Made:
    """A float64 run on words and numbers, a float32 one on numbers, and the first in a sweep."""

    command: Command
    runs: dict[str, Recorded]
    files: dict[str, Path]

    def predict(self, run: str, file: str, *arguments: str) -> Ended:
        return self.command("predict", self.runs[run].run_id, str(self.files[file]), *arguments)


@pytest.fixture(scope="module")
def made(shared: Command) -> Made:
    runs = {"words": with_model(shared, *OWN), "numbers": with_model(shared, *MOONS)}
    _, jobs = sweep(shared, *OWN, "seed=0,1")
    (runs["in a sweep"],) = [run for run in jobs if run.key == runs["words"].key]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 2)) * 10.0 ** rng.integers(-6, 3, size=(50, 1))
    numbers = pd.DataFrame(X, columns=["feature_1", "feature_2"])
    words = rows_of(PENGUINS).sample(60, random_state=0)
    files = {}
    for name, table in (("words", words), ("numbers", numbers)):
        files[f"{name}.csv"] = shared.folder / f"{name}.csv"
        files[f"{name}.parquet"] = shared.folder / f"{name}.parquet"
        table.to_csv(files[f"{name}.csv"], index=False)
        table.to_parquet(files[f"{name}.parquet"], index=False)
    files["numbers.npz"] = shared.folder / "numbers.npz"
    np.savez(files["numbers.npz"], X=X)
    return Made(shared, runs, files)


def by_mlflow(made: Made, run: str, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Return what the model that MLflow loads says of the rows as pandas reads them."""
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", made.command.environment["MLFLOW_TRACKING_URI"])
    uri = f"runs:/{made.runs[run].run_id}/{MODELS[run]}"
    model = mlflow.pyfunc.load_model(uri, suppress_warnings=True)
    schema = model.metadata.get_input_schema()
    rows = rows_of(made.files[f"{run}.csv"])
    found = model.predict(
        rows.astype(dict(zip(schema.input_names(), schema.pandas_types(), strict=True)))
    )
    assert isinstance(found, pd.DataFrame)
    return found


def read(text: str, dtype: np.dtype[np.floating]) -> tuple[list[str], list[str], bytes]:
    """Read a table of predictions: class names, the class of each row, bytes of probabilities."""
    (first, *names), *rows = csv.reader(io.StringIO(text))
    assert first == "class"
    probabilities = np.array([[float(cell) for cell in row[1:]] for row in rows])
    narrow = probabilities.astype(dtype)
    assert np.array_equal(narrow, probabilities)  # nothing is lost on the way
    return names, [row[0] for row in rows], narrow.tobytes()


@pytest.mark.parametrize(
    ("run", "file"),
    [
        *(("words", f"words.{kind}") for kind in ("csv", "parquet")),
        *(("numbers", f"numbers.{kind}") for kind in ("csv", "parquet", "npz")),
        ("in a sweep", "words.csv"),
    ],
)
def test_predictions_are_those_of_the_loaded_model(
    run: str, file: str, made: Made, monkeypatch: pytest.MonkeyPatch
):
    expected = by_mlflow(made, file.partition(".")[0], monkeypatch)
    values = expected.to_numpy()
    assert values.dtype == ("float32" if run == "numbers" else "float64")
    ended = made.predict(run, file)
    assert ended.returncode == 0, ended.stderr
    names, classes, probabilities = read(ended.stdout, values.dtype)
    assert names == list(expected.columns)
    assert probabilities == values.tobytes()
    assert classes == [names[index] for index in values.argmax(axis=1)]


def test_parquet_holds_what_is_printed_and_a_folder_gives_the_same(made: Made, tmp_path: Path):
    out = tmp_path / "out.parquet"
    ended = made.predict("numbers", "numbers.csv", "--out", str(out))
    assert (ended.returncode, ended.stdout) == (0, "")
    table = pd.read_parquet(out)
    folder = export(made.command, made.runs["numbers"], tmp_path / "exported")
    printed = made.command("predict", str(folder), str(made.files["numbers.npz"]))
    names, classes, probabilities = read(printed.stdout, np.dtype("float32"))
    assert list(table.columns) == ["class", *names]
    assert table["class"].tolist() == classes
    assert table[names].to_numpy().astype("float32").tobytes() == probabilities
    assert set(table[names].dtypes) == {np.dtype("float32")}


ROWS = PENGUINS.read_text("utf-8")


@pytest.mark.parametrize(
    ("rows", "phrases"),
    [
        (ROWS.replace("body_mass_g", "mass"), ["column", "body_mass_g"]),
        (ROWS.replace("39.1", "wide", 1), ["line 2", "bill_length_mm", "wide", "such as '39.5'"]),
        (ROWS.partition("\n")[0] + "\n", ["at least one row"]),
        ("", ["empty file"]),
    ],
    ids=["a column is missing", "text for a number", "no rows", "nothing"],
)
def test_a_bad_file_is_refused_in_its_own_words(
    rows: str, phrases: list[str], made: Made, tmp_path: Path
):
    file = tmp_path / "bad.csv"
    file.write_text(rows, "utf-8")
    out = tmp_path / "out.csv"
    ended = made.command("predict", made.runs["words"].run_id, str(file), "--out", str(out))
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    for phrase in [str(file), *phrases]:
        assert phrase in ended.stderr
    assert not out.exists()


def test_lines_on_the_file_say_what_is_new_in_it_and_what_the_answers_are_worth(
    made: Made, tmp_path: Path
) -> None:
    rows = rows_of(made.files["words.csv"])[:10]
    rows.loc[0, "island"] = "Atlantis"
    rows.loc[1, "bill_length_mm"] = np.nan
    rows.loc[2:3, "body_mass_g"] = 100_000
    rows.loc[4, "species"] = "Dodo"
    rows.to_csv(tmp_path / "new.csv", index=False)
    ended = made.command("predict", made.runs["words"].run_id, str(tmp_path / "new.csv"))
    assert ended.returncode == 0
    lines = ended.stderr.splitlines()
    assert lines[0].endswith("new.csv: 10 rows; missing cells: 1 in 'bill_length_mm'")
    assert lines[1].startswith("out of the training range: 2 in 'body_mass_g'")
    assert lines[1].endswith("words that training has not seen: 1 in 'island'")
    # The target is known of nine rows.
    classes = [row["class"] for row in csv.DictReader(io.StringIO(ended.stdout))]
    right = sum(c == s for c, s in zip(classes, rows["species"], strict=True))
    assert lines[2].startswith("species, 1 row: not measured, since the run has no such")
    assert lines[3].startswith("species, 9 rows: loss ")
    assert f"accuracy {right / 9:.4f}" in lines[3]


def test_a_part_of_the_runs_own_rows_is_what_the_run_has_recorded(
    made: Made, tmp_path: Path
) -> None:
    out = tmp_path / "test.parquet"
    run = made.runs["words"]
    ended = made.command("predict", run.run_id, "--part", "test", "--out", str(out))
    assert ended.returncode == 0, ended.stderr
    predicted = pd.read_parquet(out)
    (artifact,) = made.command.folder.parent.rglob(f"{run.run_id}/**/predictions.parquet")
    recorded = pd.read_parquet(artifact)
    assert set(recorded["part"]) == {"val", "test"}
    of_test = recorded[recorded["part"] == "test"].reset_index(drop=True)
    pd.testing.assert_frame_equal(predicted, of_test, check_exact=True)
    penguins = rows_of(PENGUINS)
    assert predicted["target"].tolist() == penguins["species"][predicted["row"]].tolist()
    accuracy = (predicted["class"] == predicted["target"]).mean()
    assert f"accuracy {accuracy:.4f}" in ended.stderr


def test_a_threshold_is_chosen_on_the_validation_rows(made: Made, tmp_path: Path) -> None:
    of_val = tmp_path / "val.csv"
    id_of_run = made.runs["numbers"].run_id
    made.command("predict", id_of_run, "--part", "val", "--out", str(of_val))
    val = pd.read_csv(of_val)
    chosen = made.command("predict", id_of_run, "--part", "test", "--threshold", "recall_1")
    level = float(chosen.stderr.split()[1].rstrip(":"))
    recall = (val["1"][val["target"] == 1] >= level).mean()
    assert f"the best val/recall_1, {recall:.4g}" in chosen.stderr
    rows = pd.read_csv(io.StringIO(chosen.stdout))
    assert (rows["class"] == (rows["1"] >= level)).all()
    given = made.predict("numbers", "numbers.csv", "--threshold", "0.9")
    rows = pd.read_csv(io.StringIO(given.stdout))
    assert (rows["class"] == (rows["1"] >= 0.9)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "FILE: must be given, or --part"),
        (["rows.csv", "--part", "test"], "FILE: must be given, or --part"),
        (["--part", "test", "--threshold", "f2"], "--threshold: must be a number from 0 to 1, or"),
        (["--part", "test", "--threshold", "nan"], "--threshold: must be a number from 0 to 1"),
    ],
)
def test_what_is_asked_for_must_fit(arguments: list[str], message: str, made: Made) -> None:
    ended = made.command("predict", made.runs["numbers"].run_id, *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith(message)


def test_quantities_and_labels_are_predicted_too(shared: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=120), 3)
    table = pd.DataFrame({"x": x, "price": 1000 + 50 * x, "a": (x > 0).astype(int), "b": "no"})
    table.loc[x > 0.5, "b"] = "yes"
    table.to_csv(tmp_path / "t.csv", index=False)
    data = ["experiment=own", f"data.path={tmp_path / 't.csv'}", "training.epochs=150"]
    run = record(shared, *data, "data.target=price", "data.features=[x]")
    out = tmp_path / "out.csv"
    ended = shared("predict", run.run_id, str(tmp_path / "t.csv"), "--out", str(out))
    left = pd.read_csv(out)["prediction"] - table["price"]
    assert f"rmse {np.sqrt((left**2).mean()):.4g}" in ended.stderr
    assert np.sqrt((left**2).mean()) < 0.1 * table["price"].std()
    labels = record(shared, *data, "data.target=[a,b]", "data.features=[x]")
    shared("predict", labels.run_id, str(tmp_path / "t.csv"), "--out", str(out))
    found = pd.read_csv(out, keep_default_na=False)
    assert list(found.columns) == ["labels", "a", "b"]
    right = (found["labels"].str.contains("a") == (x > 0)).mean()
    assert right > 0.95
    # Words mean what they meant in training, whichever of them a file has.
    new = pd.DataFrame({"x": x, "a": table["a"].astype(str), "b": "no"})
    new.loc[0, "b"], new.loc[1, "a"] = "maybe", ""
    new.to_csv(tmp_path / "new.csv", index=False)
    said = shared("predict", labels.run_id, str(tmp_path / "new.csv"), "--out", str(out)).stderr
    given = np.column_stack([new["a"] == "1", new["b"] == "yes"])
    right = ((found[["a", "b"]] >= 0.5) == given)[2:].all(axis=1).mean()
    assert "a, b, 1 row: not measured" in said
    assert "a, b, 118 rows: loss" in said
    assert f"accuracy {right:.4f}" in said


GERMAN = """größe,lohn,rabatt,zahl,stadt,tag,neu,y
"170,5","1.234,50 €","5,0 %",1,Bonn,01.02.2021,True,a
"160,25","900 €","7 %",2,Köln,31.12.2021,False,b
"181,0","2.000 €",?,-1,-,,,a
"""


def test_a_cell_is_the_same_number_in_training_in_a_prediction_and_served(
    shared: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    from mlflow.pyfunc.scoring_server import parse_csv_input

    header, *rows = GERMAN.splitlines()
    (shared.folder / "de.csv").write_text("\n".join([header, *rows * 10]), "utf-8")
    run = with_model(
        shared,
        *("experiment=own", "data.path=de.csv", "data.target=y", "training.epochs=3"),
        "dtype=float64",
        *("data.missing_values=[-1,'-']", "data.decimal=','", "split=contiguous"),
        *("split.train=24", "split.val=6", "split.test=0"),
    )
    # The last bits of a product hang on the number of rows.
    table = "\n".join([header, *rows * 8])
    (shared.folder / "same.csv").write_text(table, "utf-8")
    out = shared.folder / "own.csv"
    shared("predict", run.run_id, "--part", "train", "--out", str(out))
    trained = rows_of(out)[["a", "b"]].to_numpy()
    printed = shared("predict", run.run_id, "same.csv")
    predicted = rows_of(io.StringIO(printed.stdout))[["a", "b"]].to_numpy()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared.environment["MLFLOW_TRACKING_URI"])
    model = mlflow.pyfunc.load_model(f"runs:/{run.run_id}/own", suppress_warnings=True)
    schema = model.metadata.get_input_schema()
    assert {column.name: column.type.name for column in schema.inputs} == {
        **dict.fromkeys(("größe", "lohn", "rabatt", "stadt", "tag", "neu"), "string"),
        "zahl": "double",
    }
    served = model.predict(parse_csv_input(io.StringIO(table), schema)).to_numpy()
    assert trained.tobytes() == predicted.tobytes() == served.tobytes()
    first = model.predict(parse_csv_input(io.StringIO(GERMAN), schema))
    assert model.predict(model.input_example).equals(first)
    with pytest.raises(mlflow.MlflowException, match="mark, such as '1,5 €', got 'viel €'"):
        model.predict(parse_csv_input(io.StringIO(GERMAN.replace("900", "viel")), schema))
    # As a data frame of another program has them.
    truths = table.replace("True", "1").replace("False", "false").replace(",-,", ",,")
    (shared.folder / "new.csv").write_text(truths, "utf-8")
    again = rows_of(io.StringIO(shared("predict", run.run_id, "new.csv").stdout))[
        ["a", "b"]
    ].to_numpy()
    assert again.tobytes() == served.tobytes()


@contextmanager
def served(made: Made, run: str, port: int) -> Iterator[str]:
    """Serve the model of a run by MLflow's own command, until the end of the block."""
    tool = "from mlflow.cli import cli; cli()"
    model = f"runs:/{made.runs[run].run_id}/{MODELS[run]}"
    # MLflow looks for it on the path, and is here where Python is, wherever scripts are.
    uvicorn = made.command.scratch / "uvicorn"
    uvicorn.write_text(f'#!/bin/sh\nexec {sys.executable} -m uvicorn "$@"\n', "utf-8")
    uvicorn.chmod(0o700)
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(
        [sys.executable, "-c", tool, "models", "serve", "--model-uri", model, *options],
        cwd=made.command.folder,
        env=made.command.environment | {"PATH": f"{uvicorn.parent}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            until(process, lambda: _answers(address))
            yield address
        finally:
            end_group(process)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/ping", timeout=10):
            return True
    except (URLError, ConnectionError, TimeoutError):
        return False


def test_served_model_answers_with_the_same_bits(made: Made, free_port: Callable[[], int]):
    rows = rows_of(made.files["words.csv"])
    # Its to_json would cut numbers after 15 digits at most.
    body = json.dumps({"dataframe_split": rows.drop(columns="species").to_dict("split")})
    # In whole numbers and in words, of which the rows of the run have all.
    missing = rows.drop(columns="species").assign(body_mass_g=None, sex=None)
    with served(made, "words", free_port()) as address:
        answers = [
            asked(address, content, kind)
            for content, kind in (
                (body, "application/json"),
                (made.files["words.csv"].read_text("utf-8"), "text/csv"),
                (missing.to_csv(index=False), "text/csv"),
                (json.dumps({"dataframe_split": missing.to_dict("split")}), "application/json"),
                (rows.assign(body_mass_g=4000.5).to_csv(index=False), "text/csv"),
            )
        ]
        wrong = rows.rename(columns={"bill_length_mm": "bill"}).to_csv(index=False)
        with pytest.raises(HTTPError) as refused:
            asked(address, wrong, "text/csv")
        message = json.loads(refused.value.read())["message"]
    printed = made.predict("words", "words.csv")
    names, _, probabilities = read(printed.stdout, np.dtype("float64"))
    found = [np.array([[row[name] for name in names] for row in told]) for told in answers]
    assert found[0].tobytes() == found[1].tobytes() == probabilities
    # A missing cell counts as the median, also of a column that had none missing in training.
    assert found[2].tobytes() == found[3].tobytes()
    assert np.isfinite(found).all()
    assert refused.value.code == 400
    assert "column 'bill_length_mm': must be there, got none" in message


def asked(address: str, content: str, kind: str) -> list[dict[str, float]]:
    question = urllib.request.Request(
        f"{address}/invocations", content.encode(), {"Content-Type": kind}
    )
    with urllib.request.urlopen(question, timeout=60) as answer:
        told: list[dict[str, float]] = json.load(answer)["predictions"]
        return told
