"""From a sweep to its best model: found by any word for it, used by each command, and repeated."""

import io
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.runner.cli.rerunning import new_runs
from tests.runner.cli.sweeping import Recorded, of_kind, recorded, table
from tests.runner.conftest import CHECKOUT, Command, Ended

PENGUINS = CHECKOUT / "conf" / "data" / "penguins.csv"
SWEEP = ["-m", "experiment=own", "data.target=sex", "training.epochs=2", "seed=0,1"]
SWEEP += ["optimizer.learning_rate=0.01,0.1", "data.path=mine.csv"]


@pytest.fixture(scope="module")
def swept(shared: Command) -> tuple[Command, Ended, Recorded]:
    """A sweep over a table of one's own, what it said, and its run."""
    shutil.copyfile(PENGUINS, shared.folder / "mine.csv")
    ended = shared(*SWEEP)
    assert ended.returncode == 0, ended.stderr
    (parent,) = of_kind("sweep", recorded(shared))
    return shared, ended, parent


def test_a_report_ends_with_the_best_run_and_how_to_use_it(
    swept: tuple[Command, Ended, Recorded],
) -> None:
    command, ended, parent = swept
    _, trained_on, *_ = ended.stdout.splitlines()
    pattern = r"333 rows, 4 numbers \+ 2 words, 2 classes \(50 % (fe)?male\); \d+ train, \d+ val, "
    assert re.match(pattern, trained_on)
    *_, best, predict, serve, _ = ended.stdout.splitlines()
    assert best.startswith(f"best  run {parent.tags['runner.best_run']}  learning_rate=0.")
    assert predict == f"  runner predict {parent.name} FILE.csv"
    assert serve.endswith(f"mlflow models serve -m runs:/{parent.run_id}/own --env-manager local")
    assert table(command("show", parent.name)) == table(ended)
    by_another = command("show", parent.name, "--metric", "train/loss").stdout.splitlines()
    (best,) = [line for line in by_another if line.startswith("best")]
    is_same = best.split()[2] == parent.tags["runner.best_run"]
    assert (predict in by_another, serve in by_another) == (is_same, is_same)
    assert is_same or f"  runner predict {best.split()[2]} FILE.csv" in by_another


def test_any_word_for_a_sweep_stands_for_its_best_run(
    swept: tuple[Command, Ended, Recorded], tmp_path: Path
) -> None:
    command, _, parent = swept
    best, name = parent.tags["runner.best_run"], parent.name
    alone = command("predict", best, "mine.csv")
    for word in (name, name[:9], parent.run_id[:10], parent.run_id):
        told = command("predict", word, "mine.csv")
        assert (told.returncode, told.stdout) == (0, alone.stdout)
        assert told.stderr.startswith(f"The best run of {name}: {best}  ")
    assert command("predict", best[:8], "mine.csv").stdout == alone.stdout
    exported = command("export", name, str(tmp_path / "best"))
    assert exported.stderr.startswith(f"The best run of {name}: {best}")
    assert best in (tmp_path / "best" / "README.md").read_text("utf-8")
    assert "4 of 4 identical" in command("rerun", name, "--check").stdout


def test_a_word_for_nothing_names_what_is_near(swept: tuple[Command, Ended, Recorded]) -> None:
    command, _, parent = swept
    told = command("show", parent.name, "--metric", "test/acc").stderr
    start = "--metric: must be a metric of this sweep (test/accuracy, test/"
    assert told.startswith(start)
    assert told.endswith(", ...), got 'test/acc'. Did you mean 'test/accuracy'?\n")
    for words in (["rerun"], ["show"], ["export", "folder"]):
        told = command(words[0], f"{parent.name}x", *words[1:])
        assert (told.returncode, told.stdout) == (2, "")
        assert (
            f"RUN: must be a run or a sweep of the store {uri(command)} ({parent.name}), got"
            in (told.stderr)
        )
        assert f"Did you mean '{parent.name}'?" in told.stderr


def test_a_run_says_what_it_was_trained_on_and_whose_table_ships(sweeper: Command) -> None:
    ended = sweeper("experiment=own_csv", "training.epochs=1", "tracking.figures=false")
    assert ended.stdout.splitlines()[1].startswith(
        "333 rows, 4 numbers + 2 words, 3 classes (44 % Adelie); "
    )
    assert "data/penguins.csv comes along; data.path=FILE data.target=COLUMN" in ended.stderr
    named = f"data.path={PENGUINS}"
    ended = sweeper("experiment=own", named, "training.epochs=1", "tracking.figures=false")
    assert "comes along" not in ended.stderr
    ended = sweeper("data=iris", "split=stratified", "training.steps=2", "tracking.figures=false")
    assert ended.stdout.splitlines()[1] == (
        "150 rows, 4 numbers, 3 classes (33 % setosa); 90 train, 30 val, 30 test"
    )


def uri(command: Command) -> str:
    return command.environment["MLFLOW_TRACKING_URI"]


def test_a_colleagues_store_is_repeated_and_recorded_in_ones_own(
    swept: tuple[Command, Ended, Recorded], tmp_path: Path, migrated_database: Path
) -> None:
    """As it was copied: its files are said to be where they were, which is gone."""
    command, _, parent = swept
    own = Command.within(tmp_path / "own")
    shutil.copyfile(migrated_database, own.store / "mlflow.db")
    theirs = replace(own, store=tmp_path / "copied")
    command.store.rename(theirs.store)
    try:
        before = recorded(own), recorded(theirs)
        words = ["rerun", parent.name, "--uri", uri(theirs)]
        missing = own(*words)
        assert missing.returncode == 2
        (line,) = [line for line in missing.stdout.splitlines() if "mine.csv" in line]
        assert line.startswith("4 jobs  CANNOT COMPARE  data.path: must be a file in ")
        ended = own(*words, "--data", str(PENGUINS))
        assert (ended.returncode, ended.stdout.split()[1:4]) == (0, ["4", "of", "4"])
        assert recorded(theirs) == before[1]
        shown = own("show", parent.name, "--uri", uri(theirs)).stdout
        assert f"  runner predict {parent.name} FILE.csv --uri " in shown
        assert "models serve" not in shown
        (rerun,) = of_kind("rerun", new_runs(own, before[0]))
        assert rerun.tags["mlflow.note.content"] == f"Rerun of {parent.run_id} of `{uri(theirs)}`"
        assert own("predict", parent.name, str(PENGUINS), "--uri", uri(theirs)).returncode == 0
    finally:
        theirs.store.rename(command.store)


def test_a_rerun_goes_into_the_originals_store_where_that_is_asked_for(
    swept: tuple[Command, Ended, Recorded], tmp_path: Path, migrated_database: Path
) -> None:
    command, _, parent = swept
    shutil.copyfile(migrated_database, tmp_path / "mlflow.db")
    elsewhere = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}"}
    before = recorded(command)
    words = ["rerun", parent.tags["runner.best_run"], "--uri", uri(command), "--in-place"]
    assert command(*words, **elsewhere).returncode == 0
    (rerun,) = new_runs(command, before)
    assert rerun.tags["runner.rerun_of"] == parent.tags["runner.best_run"]


def test_configurations_of_a_sweep_are_compared_over_what_they_share(
    swept: tuple[Command, Ended, Recorded],
) -> None:
    command, _, parent = swept
    lines = command(
        "compare", parent.name, "--metric", "val/loss,test/accuracy"
    ).stdout.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["A", "B"]
    assert lines[0].endswith("(2 runs)")
    assert lines[3].split()[0] == "optimizer.learning_rate"
    assert [line.split()[:4] for line in lines[8:10]] == [
        ["val/loss", "A", "-", "B"],
        ["test/accuracy", "A", "-", "B"],
    ]
    assert lines[10].startswith("Paired over 2 common seeds; ")
    assert "cover seeds alone" in lines[11]
    runs = [run for run in recorded(command) if run.is_done_job][:2]
    pair = command("compare", *(run.run_id[:12] for run in runs)).stdout
    assert "Without an interval: the difference of the means" in pair
    for words, says in (
        ([parent.tags["runner.best_run"]], "RUN: must be two or more, or a sweep of several"),
        ([parent.name, "--metric", "val/los"], "Did you mean 'val/loss'?"),
        (
            [parent.name, "--metric", "nonsense"],
            "--metric: must be a metric of these runs (val/loss, val/accuracy, test/loss, ",
        ),
    ):
        told = command("compare", *words)
        assert (told.returncode, told.stdout) == (2, "")
        assert says in told.stderr


def test_a_table_for_a_paper_has_the_best_in_bold(swept: tuple[Command, Ended, Recorded]) -> None:
    command, _, parent = swept
    metrics = ["--metric", "val/loss", "--metric", "test/accuracy"]
    latex = command("show", parent.name, "--format", "latex", *metrics).stdout.splitlines()
    assert latex[:4] == [
        r"\begin{tabular}{lrrr}",
        r"\toprule",
        r"learning\_rate & val/loss & n & test/accuracy \\",
        r"\midrule",
    ]
    assert re.fullmatch(
        r"0\.\d+ & \$\\mathbf\{\d[.\d]* \\pm [.\d]+\}\$ & 2 & \$.*\$ \\\\", latex[4]
    )
    assert latex[6:] == [r"\bottomrule", r"\end{tabular}"]
    header, rule, best, _ = command(
        "show", parent.name, "--format", "markdown", *metrics
    ).stdout.splitlines()
    assert (header, rule) == (
        "| learning_rate | val/loss | n | test/accuracy |",
        "| --- | ---: | ---: | ---: |",
    )
    assert best.split(" | ")[1].startswith("**")
    assert command("show", "--format", "csv").stdout == command("show", "--csv").stdout
    assert "not allowed with" in command("show", "--csv", "--format", "latex").stderr


def test_a_run_is_shown_with_its_classes(swept: tuple[Command, Ended, Recorded]) -> None:
    command, _, parent = swept
    best = parent.tags["runner.best_run"]
    shown = command("show", best[:10]).stdout
    part = command("predict", best, "--part", "test").stdout.splitlines()[1:]
    pairs = [tuple(line.split(",")[2:4]) for line in part]
    matrix = shown.partition("Confusion matrix")[2].splitlines()[1:4]
    names = matrix[0].split()
    assert [[int(n) for n in row.split()[1:]] for row in matrix[1:]] == [
        [pairs.count((true, predicted)) for predicted in names] for true in names
    ]
    recall = pairs.count((names[0], names[0])) / sum(true == names[0] for true, _ in pairs)
    (row,) = [line for line in shown.splitlines() if line.startswith(names[0])][:1]
    assert row.split()[2] == f"{recall:.4f}"
    assert "333 rows, 4 numbers + 2 words, 2 classes" in shown
    assert shown.endswith(f"run {best}\n  runner predict {best} FILE.csv\n")


def test_single_runs_are_listed_and_those_of_sweeps_are_not(sweeper: Command) -> None:
    assert "There are no runs of their own yet" in sweeper("runs").stdout
    assert sweeper("-m", "training.steps=20", "seed=0,1").returncode == 0
    assert sweeper("training.steps=20", "tracking.figures=false").returncode == 0
    header, row = sweeper("runs").stdout.splitlines()
    assert header.split() == ["run", "name", "state", "val/loss", "begun", "took", "experiment"]
    (alone,) = [run for run in recorded(sweeper) if run.is_job and "runner.sweep" not in run.tags]
    assert row.split()[:3] == [alone.run_id[:8], "steps=20", "finished"]


def test_weights_that_were_cleaned_come_back_with_a_rerun(
    sweeper: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sweeper("-m", "training.steps=20", "seed=range(0,4)", "sweep.name=s").returncode == 0
    losses = {run.run_id: run.metrics["val/loss", 20] for run in recorded(sweeper) if run.is_job}
    files = {r: next(sweeper.store.glob(f"artifacts/*/{r}/artifacts/weights.npz")) for r in losses}
    contents = {run_id: file.read_bytes() for run_id, file in files.items()}
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    asked = sweeper("clean", "s", "--keep", "1")
    assert re.search(r"s: the weights of 3 runs, \d+ KiB, are removed", asked.stderr)
    assert "Nothing was removed." in asked.stderr
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert "1 of 4 runs keep theirs." in sweeper("clean", "s", "--keep", "1").stderr
    best, *others = sorted(losses, key=losses.__getitem__)
    assert [file.exists() for file in files.values()].count(True) == 1
    assert files[best].exists()
    refused = sweeper("export", others[0], "folder")
    assert f"its weights were removed by runner clean; runner rerun {others[0]}" in refused.stderr
    checked = sweeper("rerun", "s", "--check")
    assert (checked.returncode, "4 of 4 identical" in checked.stdout) == (0, True)
    assert sweeper("rerun", "s").returncode == 0
    assert {run_id: file.read_bytes() for run_id, file in files.items()} == contents
    assert sweeper("predict", others[0], "--part", "test").returncode == 0
    assert "there is nothing to remove" in sweeper("clean", "s", "--yes").stderr


def test_a_report_is_one_page_without_scripts_or_links(
    swept: tuple[Command, Ended, Recorded],
) -> None:
    command, _, parent = swept
    told = command("report", parent.name)
    assert (told.returncode, told.stdout) == (0, "")
    page = (command.folder / f"{parent.name}.html").read_text("utf-8")
    assert not re.findall(r"<script|<link|https?://|url\(|src=\"(?!data:image/png;base64,)", page)
    best = parent.tags["runner.best_run"]
    for piece in (f"runner rerun {best}", "mine.csv: 333 rows; 4 numbers", "learning_rate: 0."):
        assert piece in page
    head, question, results = (
        page.partition("<h2>Question")[0],
        *re.findall("<h2>(?:Question|Results).*?(?=<h2>)", page, re.DOTALL),
    )
    assert "mine.csv &middot;" in head
    assert "learning_rate" in question
    assert "seed" not in question
    row = "<td>body_mass_g</td><td>number</td><td>0</td>"
    assert row in page
    assert "<th>val/loss</th><th>n</th>" in results
    assert "; n counts its seeds. &plusmn; is half" in results
    assert "validation rows" in results
    repeat = page.partition("<h2>How to repeat it</h2>")[2]
    assert f"<pre>runner {shlex.join(SWEEP)}</pre>" in repeat
    assert f"runner export {best} FOLDER\nrunner rerun FOLDER --data mine.csv\n" in repeat
    assert "<td>blas</td><td>library " in repeat
    assert str(command.store) not in page
    assert len(re.findall(r"<img ", page)) == 2
    shown = command("show", best).stdout.partition("Confusion matrix")[2].splitlines()[2:4]
    for row in shown:
        name, *counts = row.split()
        assert f"<td>{name}</td>" + "".join(f"<td>{n}</td>" for n in counts) in page
    importance = page.partition("Importance of its inputs")[2]
    rises = [float(rise) for rise in re.findall(r"<td>(-?[\d.e-]+)</td><td style", importance)]
    assert len(rises) == 6
    assert rises == sorted(rises, reverse=True)
    refused = command("report", best)
    assert refused.stderr == f"SWEEP: must be a sweep, got run {best}.\n"
    assert command("report", parent.name, "--out", "no/such/place.html").returncode == 2


def test_a_report_of_folds_says_what_is_of_one_fold_and_names_its_store(sweeper: Command) -> None:
    folds = ("experiment=iris", "split=kfold", "split.fold=0,1", "training.epochs=1")
    assert sweeper("-m", *folds, "sweep.name=folds").returncode == 0
    assert sweeper("report", "folds", "--uri", uri(sweeper)).returncode == 0
    page = (sweeper.folder / "folds.html").read_text("utf-8")
    assert "<p>Means over its 2 runs, whose average predicts:</p>" in page
    (one,) = re.findall(r"of one of the 2 runs alone, <code>(\w{32})</code> &middot; fold=0", page)
    assert f"runner rerun {one}" not in page
    assert f"FILE.csv --uri {uri(sweeper)}</pre>" in page
    refused = sweeper("report", "folds", "--out", "folds.txt").stderr
    assert refused == "--out: must be a file that ends in .html, got 'folds.txt'.\n"


def test_a_report_shows_names_as_text_and_does_without_data(sweeper: Command) -> None:
    shutil.copyfile(PENGUINS, sweeper.folder / "<i>.csv")
    words = ["experiment=own", "data.path='<i>.csv'", "data.target=sex", "training.epochs=1"]
    assert sweeper("-m", *words, "seed=0,1", "sweep.name='a <script> & b'").returncode == 0
    (sweeper.folder / "<i>.csv").unlink()
    assert sweeper("report", "a <script> & b", "--out", "page.html").returncode == 0
    page = (sweeper.folder / "page.html").read_text("utf-8")
    assert "<h1>a &lt;script&gt; &amp; b</h1>" in page
    assert "<script>" not in page
    assert "What takes the run&#39;s own rows is left out: data.path: must be a file in" in page
    assert "How far does <code>val/loss</code> vary by chance" in page


def test_the_data_of_a_run_that_have_moved_are_named_to_show_and_report(sweeper: Command) -> None:
    file, moved = sweeper.folder / "mine.csv", sweeper.folder / "away" / "other.csv"
    shutil.copyfile(PENGUINS, file)
    words = ["experiment=own", "data.path=mine.csv", "data.target=sex", "training.epochs=1"]
    assert sweeper("-m", *words, "seed=0,1", "sweep.name=s").returncode == 0
    best = of_kind("sweep", recorded(sweeper))[0].tags["runner.best_run"]
    whole = sweeper("show", best).stdout
    moved.parent.mkdir()
    file.rename(moved)
    assert "If it is elsewhere now, name it with --data." in sweeper("show", best).stdout
    assert sweeper("show", best, "--data", str(moved)).stdout == whole
    assert sweeper("report", "s", "--data", str(moved)).returncode == 0
    assert "Confusion matrix" in (sweeper.folder / "s.html").read_text("utf-8")
    for command in (["show", best], ["report", "s"]):
        refused = sweeper(*command, "--data", "nowhere.csv")
        assert (refused.returncode, refused.stderr.count("nowhere.csv")) == (2, 1)


@pytest.mark.parametrize(
    "option", [["--metric", "val/loss"], ["--top", "1"], ["--format", "latex"], ["--csv"]]
)
def test_what_shapes_the_table_of_a_sweep_is_refused_for_a_run(
    option: list[str], swept: tuple[Command, Ended, Recorded]
) -> None:
    command, _, parent = swept
    refused = command("show", parent.tags["runner.best_run"], *option)
    name = option[0].replace("--csv", "--format")
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"{name}: must be left out for a run; ")
    assert command("show", parent.name, "--data", "mine.csv").returncode == 2
