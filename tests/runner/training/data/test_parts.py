"""Which rows train, validate and test where columns or files say so, and what they count."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from runner.config.schema import Experiment
from runner.system.errors import ConfigError, DataError
from runner.training.prepare import Prepared, prepare, prepare_cached
from runner.training.train import train
from tests.runner.cli.rerunning import verdict
from tests.runner.conftest import Command
from tests.runner.jobs.planned import experiment

N_ROWS = 60
_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(N_ROWS, 2)).round(3)
LABELS = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
WHO = _RNG.integers(0, 12, N_ROWS)
PART = _RNG.choice(["Training", "valid", "TEST"], N_ROWS, p=[0.6, 0.2, 0.2])
DAY = _RNG.permutation(N_ROWS)
WEIGHT = _RNG.integers(0, 4, N_ROWS)
COLUMNS = {"a": X[:, 0], "b": X[:, 1], "label": LABELS, "who": WHO, "part": PART}
COLUMNS["gap"] = ["", *range(1, N_ROWS)]
COLUMNS |= {"day": [f"2024-{1 + day // 28:02}-{1 + day % 28:02}" for day in DAY], "w": WEIGHT}


def csv(rows: range | np.ndarray, *names: str) -> str:
    lines = [",".join(names)]
    lines += [",".join(str(COLUMNS[name][row]) for name in names) for row in rows]
    return "\n".join(lines) + "\n"


def given(
    path: Path, names: str, split: dict[str, object] | None = None, **data: object
) -> Experiment:
    path.write_text(csv(range(N_ROWS), *names.split()), "utf-8")
    file = {"name": "file", "path": str(path), "target": "label"} | data
    split = split or {"name": "shuffled", "train": 0.6, "val": 0.2, "test": 0.2}
    return experiment(data=file, split=split)


def parts(found: Prepared) -> dict[str, set[int]]:
    return {part: set(getattr(found.split, part).tolist()) for part in ("train", "val", "test")}


def test_a_column_names_the_part_of_each_row(tmp_path: Path) -> None:
    found = prepare(given(tmp_path / "t.csv", "a b label part", split_column="part"))
    for part, word in (("train", "Training"), ("val", "valid"), ("test", "TEST")):
        assert parts(found)[part] == set(np.flatnonzero(word == PART).tolist())
    assert found.dataset.feature_names == ("a", "b")


@pytest.mark.parametrize("split", ["shuffled", "stratified", "kfold"])
def test_rows_of_a_group_stay_in_one_part(split: str, tmp_path: Path) -> None:
    sizes: dict[str, object] = {"train": 0.6, "val": 0.2, "test": 0.2}
    if split == "kfold":
        sizes = {"n_folds": 4, "fold": 1, "val": 0.2}
    found = prepare(
        given(tmp_path / "t.csv", "a b label who", {"name": split, **sizes}, group="who")
    )
    groups = [set(WHO[list(rows)].tolist()) for rows in parts(found).values()]
    assert all(groups)
    assert sum(map(len, groups)) == len(set(WHO.tolist()))
    assert sum(len(rows) for rows in parts(found).values()) == N_ROWS
    # Shares are met as far as whole groups of about 5 rows allow.
    if split != "kfold":
        assert abs(len(found.split.train) - 36) <= 8


def test_time_orders_the_parts(tmp_path: Path) -> None:
    split = {"name": "time", "train": 0.6, "val": 0.2, "test": 0.2}
    found = parts(prepare(given(tmp_path / "t.csv", "a b label day", split, time="day")))
    days = [DAY[sorted(found[part])] for part in ("train", "val", "test")]
    assert [len(part) for part in days] == [36, 12, 12]
    assert days[0].max() < days[1].min() < days[1].max() < days[2].min()


@pytest.mark.parametrize("val", [False, True])
def test_files_of_their_own_are_the_rows_that_test_and_validate(val: bool, tmp_path: Path) -> None:
    names = ("a", "b", "label")
    (tmp_path / "t.csv").write_text(csv(range(40), *names), "utf-8")
    (tmp_path / "val.csv").write_text(csv(range(40, 48), *names), "utf-8")
    # In another order and form, as another program may have written it.
    other = csv(range(48, N_ROWS), "label", "b", "a").replace(",", ";")
    (tmp_path / "test.csv").write_text(other, "utf-16")
    files = {"test_path": str(tmp_path / "test.csv")}
    files |= {"val_path": str(tmp_path / "val.csv")} if val else {}
    file = {
        "name": "file",
        "path": str(tmp_path / "t.csv"),
        "target": "label",
        "scaling": "standardize",
    }
    file |= files
    split = {"name": "shuffled", "train": 0.75, "val": 0.25, "test": 0.0}
    found = prepare(experiment(data=file, split=split))
    n_val = 8 if val else 10
    assert [len(rows) for rows in parts(found).values()] == [40 if val else 30, n_val, 12]
    if val:
        np.testing.assert_array_equal(found.dataset.X[found.split.val], X[40:48])
    np.testing.assert_array_equal(found.dataset.X[found.split.test], X[48:])
    # What is learned of the data is learned of the training rows.
    assert np.abs(found.X[found.split.train].mean(axis=0)).max() < 1e-12


def test_weights_count_in_training_and_in_every_metric(tmp_path: Path) -> None:
    weighted = given(tmp_path / "t.csv", "a b label w", weight="w")
    found = prepare(weighted)
    (result,) = train(found, [weighted])
    assert "train/objective" not in result.final
    rows = found.split.test
    names = list(result.weights)
    hidden = found.X[rows]
    for weight, bias in zip(names[::2], names[1::2], strict=True):
        hidden = hidden @ result.weights[weight] + result.weights[bias]
        hidden = np.tanh(hidden) if bias != names[-1] else hidden
    shares = np.exp(hidden - hidden.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    said, truth = shares.argmax(axis=1), found.dataset.y[rows]
    counts = WEIGHT[rows]
    # Both sum a dozen rounded products; 1e-12 is far below any other weighting.
    assert result.final["test/accuracy"] == pytest.approx(
        accuracy_score(truth, said, sample_weight=counts), abs=1e-12
    )
    assert result.final["test/loss"] == pytest.approx(
        log_loss(truth, shares, sample_weight=counts), abs=1e-12
    )
    (plain,) = train(
        prepare(given(tmp_path / "u.csv", "a b label")), [given(tmp_path / "u.csv", "a b label")]
    )
    assert plain.weights_sha256 != result.weights_sha256


def test_a_further_file_that_changes_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(csv(range(10), "a", "b", "label"), "utf-8")
    one = given(tmp_path / "t.csv", "a b label", test_path=str(tmp_path / "test.csv"))
    before = prepare_cached(one).dataset.digest
    (tmp_path / "test.csv").write_text(csv(range(9), "a", "b", "label"), "utf-8")
    assert prepare_cached(one).dataset.digest != before


@pytest.mark.parametrize(
    ("names", "settings", "says"),
    [
        ("a b label", {"split_column": "part"}, "data.split_column: must be a column of"),
        ("a b label who", {"split_column": "who"}, "column 'who': must be train, val or test"),
        ("a b label part", {"weight": "part"}, "column 'part'"),
        ("a b label gap", {"weight": "gap"}, "got ''.\nEvery row needs one; data.weight=null"),
        (
            "a b label part",
            {"group": "part", "split": {"name": "kfold", "n_folds": 5, "fold": 0, "val": 0.2}},
            "n_folds needs fewer",
        ),
        (
            "a b label who",
            {"group": "who", "split": {"name": "kfold", "n_folds": 4, "fold": 1, "val": 0.01}},
            "split.val: must leave at least 1 row to val",
        ),
        ("a b label", {"test_path": "no.csv"}, "data.test_path: must be a file"),
        ("a b label who", {"test_path": "test.csv"}, "must have the columns of t.csv"),
        ("a b label part", {"split_column": "part", "test_path": "test.csv"}, "data.split_column"),
    ],
)
def test_what_cannot_be_is_said(
    names: str,
    settings: dict[str, object],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("test.csv").write_text(csv(range(10), "a", "b", "label"), "utf-8")
    with pytest.raises((ConfigError, DataError)) as caught:
        prepare(given(Path("t.csv"), names, **settings))
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


def test_a_run_with_a_test_file_repeats_and_follows_no_other_path(command: Command) -> None:
    folder = command.folder
    (folder / "t.csv").write_text(csv(range(40), "a", "b", "label"), "utf-8")
    (folder / "test.csv").write_text(csv(range(40, N_ROWS), "a", "b", "label"), "utf-8")
    small = ["training.epochs=3", "tracking.model=false", "tracking.figures=false"]
    words = ["experiment=own", "data.path=t.csv", "data.target=label", *small]
    ended = command(*words, "data.test_path=test.csv")
    assert ended.returncode == 0, ended.stderr
    run_id = ended.stdout.partition("\nrun ")[2].split()[0]
    again = command("rerun", run_id, "--check")
    assert (verdict(again), again.returncode) == ("IDENTICAL", 0)
    outside = folder.parent / "outside.csv"
    outside.write_bytes((folder / "test.csv").read_bytes())
    ended = command(*words, f"data.test_path={outside}")
    assert ended.returncode == 0, ended.stderr
    refused = command("rerun", ended.stdout.partition("\nrun ")[2].split()[0], "--check")
    assert refused.returncode != 0
    assert "data.test_path: must lead into" in refused.stderr


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("5 €", "$6", "got 2 of 2 that are none: line 2 '$6'.\nt.csv has the sign €"),
        ("31.01.20", "2020-02-01", "'2020-02-01'.\nThose of t.csv are, and both files"),
    ],
)
def test_what_differs_between_files_is_said_of_both(
    first: str, second: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, cell in (("t.csv", first), ("test.csv", second)):
        Path(name).write_text(f"a,label\n{cell},x\n{cell},y\n", "utf-8")
    file = {"name": "file", "path": "t.csv", "test_path": "test.csv", "target": "label"}
    with pytest.raises(DataError) as caught:
        prepare(experiment(data=file))
    assert says in str(caught.value)
    assert "data.formats" not in str(caught.value)
