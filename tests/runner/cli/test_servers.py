"""A sweep on a real MLflow server with a password, which is neither said nor written down."""

import re
from pathlib import Path

import pytest

from tests.runner.conftest import Command
from tests.runner.tracking.hostile_server import HostileServer

PASSWORD = "pa55w0rd-of-ada"  # noqa: S105  (of nobody)
TRAINING = ["training.steps=100", "training.evaluate_every=50"]


def with_password(address: str) -> str:
    return address.replace("http://", f"http://ada:{PASSWORD}@")


def files_with_password(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if PASSWORD.encode() in path.read_bytes()]


def test_a_sweep_is_recorded_and_found_again_and_its_password_is_not(
    command: Command, checkout: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    client = mlflow.MlflowClient(server)
    uri = with_password(server)
    said = []

    def run(*words: str) -> str:
        done = command(*words, MLFLOW_TRACKING_URI="")
        said.append(f"{words}\n{done.stdout}{done.stderr}")
        assert done.returncode == 0, said[-1]
        return done.stdout + done.stderr

    run("name=secretive", f"tracking.uri={uri}", *TRAINING)
    experiment = client.get_experiment_by_name("secretive")
    assert experiment is not None
    (single,) = client.search_runs([experiment.experiment_id])

    sweep = ["name=secretive", f"tracking.uri={uri}", "sweep.name=s", *TRAINING, "-m", "seed=0,1"]
    sweep += ["optimizer.learning_rate=0.01,0.04"]
    assert re.search(r"/#/experiments/\d+", run(*sweep))
    assert list(checkout.glob("outputs/sweeps/*/plan/plan.jsonl"))
    # The server has another password now: the sweep is the same one, and complete.
    assert "is complete: 4 jobs." in run(*[word.replace("pa55", "other") for word in sweep])
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    runs = [each for each in runs if each.info.run_id != single.info.run_id]
    sweeps, groups, jobs = (
        [each for each in runs if each.data.tags["runner.kind"] == kind]
        for kind in ("sweep", "group", "run")
    )
    assert [len(sweeps), len(groups), len(jobs)] == [1, 2, 4]
    parent = sweeps[0].info.run_id
    left = {artifact.path for artifact in client.list_artifacts(parent)}
    assert {"plan", "results.csv", "results.parquet", "figures", "best.yaml"} <= left
    for group in groups:
        assert group.data.metrics["val/loss/n"] == 2
        assert group.data.tags["mlflow.parentRunId"] == parent
    model = mlflow.pyfunc.load_model(f"runs:/{parent}/secretive", suppress_warnings=True)
    rows = {f"feature_{column}": [0, 1] for column in (1, 2, 3, 4)}
    assert model.predict(rows).to_numpy().sum(axis=1) == pytest.approx([1.0, 1.0])

    run("show", "s", "--uri", uri)
    run("export", single.info.run_id, "exported", "--uri", uri)
    run("rerun", single.info.run_id, "--uri", uri, "--in-place")
    run("ui", "--uri", uri)
    for each in client.search_runs([experiment.experiment_id]):
        assert PASSWORD not in str(each.to_dictionary())
        into = tmp_path / "downloaded" / each.info.run_id
        into.mkdir(parents=True)
        client.download_artifacts(each.info.run_id, "", str(into))
    names = {path.name for path in (tmp_path / "downloaded").rglob("*")}
    assert {"config.yaml", "best.yaml", "plan.jsonl"} <= names
    for folder in (tmp_path / "downloaded", command.folder, checkout):
        assert files_with_password(folder) == []
    assert [text for text in said if PASSWORD in text.partition("\n")[2]] == []
    assert any(server.replace("http://", "http://ada@") in text for text in said)


def test_an_error_of_the_store_is_reported_without_the_password(command: Command) -> None:
    with HostileServer(500, b"out of order") as broken:
        uri = f"tracking.uri={with_password(broken.address)}"
        once = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        done = command(uri, MLFLOW_TRACKING_URI="", **once)
    assert done.returncode == 2
    assert broken.address.replace("http://", "http://ada@") in done.stderr
    assert PASSWORD not in done.stdout + done.stderr


HOSTILE: dict[str, tuple[HostileServer, str]] = {
    "a page": (HostileServer(200, b"<html>\x1b[2J"), "its answer is no JSON"),
    "redirect": (HostileServer(302), "it redirects to http://127.0.0.1:9/ (302)"),
    "password": (HostileServer(401), "(401); set MLFLOW_TRACKING_USERNAME and"),
    "other pages": (HostileServer(404, b"<html>"), "it has none of its pages (404)"),
    "broken": (HostileServer(500), "experiments/search (500)"),
    "endless": (HostileServer(endless=True), "its answer has no end"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("server", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_mlflow_server_is_refused_in_a_line_before_anything_is_trained(
    server: HostileServer, reason: str, command: Command
) -> None:
    server.headers["Location"] = "http://127.0.0.1:9/"
    once = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    with server:
        done = command(MLFLOW_TRACKING_URI=server.address, **once)
    assert done.returncode == 2
    assert done.stderr.startswith("MLFLOW_TRACKING_URI: no MLflow server answers at http://")
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["tracking.uri=htp://ada:{}@host"],
        ["tracking.uri=ada:{}@host:5000"],
        ["tracking.uri=http://ada:{}/x@host:5000"],
        ["tracking.uri=http://ada:{}@host:port"],
        ["tracking.url=http://ada:{}@host"],
        ["-m", "tracking.uri=http://ada:{}@host,http://ada:{}@host2"],
        ["show", "--uri", "sqlite://ada:{}@host"],
    ],
)
def test_a_wrong_setting_is_reported_without_the_password(
    command: Command, words: list[str]
) -> None:
    done = command(*(word.format(PASSWORD, PASSWORD) for word in words))
    assert done.returncode == 2
    assert PASSWORD not in done.stdout + done.stderr
    assert "tracking" in done.stderr
