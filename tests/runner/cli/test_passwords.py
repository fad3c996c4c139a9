"""A server addressed with a password: it is used, and neither said nor written down anywhere."""

import shutil
from pathlib import Path

import pytest

from tests.runner.conftest import Command
from tests.runner.tracking.conftest import free_port, server
from tests.runner.tracking.hostile_server import HostileServer

__all__ = ["free_port", "server"]  # pytest finds fixtures by their names here

CHECKOUT = Path(__file__).resolve().parents[3]
PASSWORD = "pa55w0rd-of-ada"  # noqa: S105  (of nobody)
TRAINING = ["training.steps=100", "training.evaluate_every=50"]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The program as a package: what it keeps beside a server goes where it is started."""
    folder = tmp_path / "installed"
    for name in ("runner", "softnet", "hydra_plugins"):
        shutil.copytree(CHECKOUT / name, folder / name)
    shutil.copytree(CHECKOUT / "conf", folder / "runner" / "conf")
    return folder


def with_password(address: str) -> str:
    return address.replace("http://", f"http://ada:{PASSWORD}@")


def files_with_password(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if PASSWORD.encode() in path.read_bytes()]


def test_no_password_is_recorded_or_said(
    command: Command,
    installed: Path,
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    client = mlflow.MlflowClient(server)
    uri = with_password(server)
    said = []

    def run(*words: str) -> str:
        done = command(*words, PYTHONPATH=str(installed), MLFLOW_TRACKING_URI="")
        said.append(f"{words}\n{done.stdout}{done.stderr}")
        assert done.returncode == 0, said[-1]
        return done.stdout + done.stderr

    sweep = ["name=secretive", f"tracking.uri={uri}", "sweep.name=s", *TRAINING, "-m", "seed=0,1"]
    run("name=secretive", f"tracking.uri={uri}", *TRAINING)
    run(*sweep)
    # The server has another password now: the sweep is the same one, and complete.
    assert "is complete: 2 jobs." in run(*[word.replace("pa55", "other") for word in sweep])
    run(*sweep, "optimizer.learning_rate=0.1")
    experiment = client.get_experiment_by_name("secretive")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {each.data.tags["runner.kind"] for each in runs} == {"run", "sweep", "group"}
    alone = [each for each in runs if not each.data.tags.keys() & {"runner.sweep", "runner.plan"}]
    (single,) = (each.info.run_id for each in alone)
    run("show", "s", "--uri", uri)
    run("export", single, "exported", "--uri", uri)
    run("rerun", single, "--uri", uri)
    run("ui", "--uri", uri)

    for each in client.search_runs([experiment.experiment_id]):
        assert PASSWORD not in str(each.to_dictionary())
        into = tmp_path / "downloaded" / each.info.run_id
        into.mkdir(parents=True)
        client.download_artifacts(each.info.run_id, "", str(into))
    names = {path.name for path in (tmp_path / "downloaded").rglob("*")}
    assert {"config.yaml", "best.yaml", "plan.jsonl"} <= names
    assert files_with_password(tmp_path / "downloaded") == []
    assert files_with_password(command.folder) == []
    assert [text for text in said if PASSWORD in text.partition("\n")[2]] == []
    assert any(server.replace("http://", "http://ada@") in text for text in said)


def test_an_error_of_the_store_is_told_without_the_password(command: Command) -> None:
    with HostileServer(500, b"out of order") as broken:
        done = command(f"tracking.uri={with_password(broken.address)}", MLFLOW_TRACKING_URI="")
    assert done.returncode == 3
    assert done.stderr.startswith(broken.address.replace("http://", "http://ada@"))
    assert PASSWORD not in done.stdout + done.stderr


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
def test_a_wrong_setting_is_told_without_the_password(command: Command, words: list[str]) -> None:
    done = command(*(word.format(PASSWORD, PASSWORD) for word in words))
    assert done.returncode == 2
    assert PASSWORD not in done.stdout + done.stderr
    assert "tracking" in done.stderr
