"""Ids that are none, or of runs that cannot be repeated: 2, a few lines, no run left behind."""

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import connect

import pytest
from mlflow import MlflowClient

from runner.cli.main import carry_out
from runner.system.errors import RunnerError
from runner.tracking import open_store
from tests.runner.conftest import Command
from tests.runner.jobs.planned import outcomes, plan, work
from tests.runner.tracking.hostile_server import HostileServer

UNKNOWN = "0123456789abcdef" * 2
ESCAPE = "\x1b[2J\x1b]0;owned\x07"
ROWS = "x,y\n" + "1.5,2\n" * 3


@dataclass(frozen=True)
class Runs:
    """A store with runs of all kinds, by what they are."""

    uri: str
    client: MlflowClient
    ids: dict[str, str]

    def count(self) -> int:
        experiments = [e.experiment_id for e in self.client.search_experiments()]
        return len(self.client.search_runs(experiments, run_view_type=3))

    def tell(self, experiment_id: str, place: str) -> None:
        """Let the store name another place for the artifacts of an experiment."""
        with closing(connect(self.uri.removeprefix("sqlite:///"))) as connection:
            statement = "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?"
            connection.execute(statement, (place, experiment_id))
            connection.commit()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, migrated_database: Path) -> Runs:
    folder = tmp_path_factory.mktemp("reruns")
    database = shutil.copy(migrated_database, folder / "mlflow.db")
    store = open_store(f"sqlite:///{database}", None, "test")
    client = store.client
    made = plan({}, {"optimizer__learning_rate": 1e200})
    ended = outcomes(work(store, made, (0,), is_alone=True))
    ended |= outcomes(work(store, made, (1,), is_alone=True))
    ids = {"finished": ended[0].run_id, "diverged": ended[1].run_id}

    def add(name: str, status: str | None, **tags: str) -> None:
        told = {f"runner.{key}": value for key, value in tags.items()}
        run = client.create_run(store.experiment_id, tags=told, run_name=f"{name}{ESCAPE}")
        ids[name] = run.info.run_id
        if "key" in tags:
            folder = client.get_run(ids["finished"]).info.artifact_uri.removeprefix("file:")
            client.log_artifact(run.info.run_id, f"{folder}/config.yaml")
        if status is not None:
            client.set_terminated(run.info.run_id, status)

    tags = client.get_run(ids["finished"]).data.tags
    ours = {name: tags[f"runner.{name}"] for name in ("kind", "key", "data_digest", "schema")}
    add("running", None, **ours)
    add("failed", "FAILED", failure=f"no room {ESCAPE}", **ours)
    add("killed", "KILLED", **ours)
    add("of another tool", "FINISHED")
    add("without a config", "FINISHED", kind="run")
    add("of an empty sweep", "FINISHED", kind="sweep")
    add("of an empty group", "FINISHED", kind="group")
    add("of another kind", "FINISHED", kind=ESCAPE, key="x")
    add("deleted", "FINISHED", **ours)
    client.delete_run(ids["deleted"])
    return Runs(store.address.uri, client, ids)


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(RunnerError) as caught:
        carry_out(arguments)
    told = str(caught.value)
    assert caught.value.exit_code == 2, told
    assert 1 <= len(told.splitlines()) <= 3
    assert all(line.isprintable() for line in told.splitlines())
    printed = capsys.readouterr()
    assert (printed.out, "Traceback" in printed.err) == ("", False)
    return told


COMMANDS = ["rerun {} --check", "rerun {}", "predict {} {rows}", "export {} {folder}"]
UNFIT = [
    ("running", "is still RUNNING"),
    ("failed", "ended FAILED ('no room "),
    ("killed", "ended KILLED (no reason on record)"),
    ("of another tool", "another tool's"),
    ("without a config", "another tool's"),
    ("of an empty sweep", "sweep of which no job has "),
    ("of an empty group", "group of which no job has "),
    ("of another kind", "another tool's"),
    ("deleted", "was deleted"),
]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_that_cannot_be_used_says_why_and_leaves_nothing(
    command: str, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    before = runs.count()
    for name, says in UNFIT:
        words = command.format(runs.ids[name], rows=tmp_path / "rows.csv", folder=tmp_path / "out")
        told = refusal([*words.split(" "), "--uri", runs.uri], capsys)
        assert says in told, (name, told)
    assert runs.count() == before
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


NO_IDS = ["x" * 5000, ESCAPE]


@pytest.mark.parametrize("command", COMMANDS)
def test_nobody_is_asked_for_what_is_no_id(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with HostileServer() as server:
        for text in NO_IDS:
            words = [word.format(text, rows="x.csv", folder="out") for word in command.split(" ")]
            told = refusal([*words, "--uri", server.address], capsys)
            assert "RUN: must be a run's id" in told
        assert server.is_untouched
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_diverged_is_compared(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    before = runs.count()
    assert carry_out(["rerun", runs.ids["diverged"], "--check", "--uri", runs.uri]) == 0
    assert "IDENTICAL" in capsys.readouterr().out
    assert runs.count() == before


@pytest.mark.parametrize("place", ["{server}/x", "mlflow-artifacts:/x", "s3://b/k", "{elsewhere}"])
def test_a_store_cannot_send_what_is_recorded_elsewhere(
    place: str, runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = runs.client.get_run(runs.ids["finished"]).info.experiment_id
    before, was = runs.count(), runs.client.get_experiment(experiment).artifact_location
    with HostileServer() as server:
        place = place.format(server=server.address, elsewhere=tmp_path / "x")
        runs.tell(experiment, place)
        try:
            told = refusal(["rerun", runs.ids["finished"], "--in-place", "--uri", runs.uri], capsys)
            assert "its artifacts must go below" in told
            assert repr(place) in told
            assert runs.count() == before
            assert carry_out(["rerun", runs.ids["finished"], "--check", "--uri", runs.uri]) == 0
        finally:
            runs.tell(experiment, was)
        assert server.is_untouched
    assert list(tmp_path.iterdir()) == []


def test_names_and_tags_of_a_store_are_printed_as_text(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client, run_id = runs.client, runs.ids["finished"]
    client.set_tag(run_id, "mlflow.runName", ESCAPE)
    client.set_tag(run_id, "runner.failure", ESCAPE)
    client.set_tag(run_id, "runner.varied", f'{{"seed": "{ESCAPE[1:]}", "name": "=1+1"}}')
    assert carry_out(["rerun", run_id, "--check", "--uri", runs.uri]) in {0, 5}
    client.delete_tag(run_id, "runner.failure")  # no run that finished has one
    carry_out(["export", run_id, str(tmp_path / ESCAPE), "--uri", runs.uri])
    (tmp_path / "rows.csv").write_text("feature_1,feature_2,x,y\n1,2,3,4\n")
    carry_out(["show", "--uri", runs.uri])
    printed = capsys.readouterr()
    for line in (printed.out + printed.err).splitlines():
        assert line.isprintable(), line
    assert "\\x1b[2J" in printed.out


def test_an_unknown_id_makes_nothing(command: Command) -> None:
    for words in (["rerun", UNKNOWN], ["export", UNKNOWN, f"~nobody/{ESCAPE}"]):
        done = command(*words)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert "RUN: must be a run or a sweep of the store" in done.stderr
        assert command.left() == []
