"""The page of a model, and the registry: what MLflow's users look for, and a champion to serve."""

from typing import TYPE_CHECKING

import mlflow
import pytest

from runner.tracking.notes import NOTE
from tests.runner.cli.sweeping import Recorded, of_kind, recorded
from tests.runner.conftest import Command, Ended

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel

SWEEP = ["-m", "experiment=iris", "name=iris: 50/50", "training.epochs=3", "tracking.figures=false"]
SWEEP += ["optimizer.learning_rate=0.01,0.1", "seed=0,1", "--register", "flowers"]


@pytest.fixture(scope="module")
def swept(shared: Command) -> tuple[Ended, Recorded]:
    ended = shared(*SWEEP)
    assert ended.returncode == 0, ended.stderr
    (parent,) = of_kind("sweep", recorded(shared))
    return ended, parent


@pytest.fixture
def client(shared: Command) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(shared.environment["MLFLOW_TRACKING_URI"])


def model_of(client: mlflow.MlflowClient, run_id: str) -> "LoggedModel":
    (output,) = client.get_run(run_id).outputs.model_outputs
    return client.get_logged_model(output.model_id)


def test_the_page_of_the_best_model_has_params_metrics_data_and_a_name(
    swept: tuple[Ended, Recorded], client: mlflow.MlflowClient
) -> None:
    _, parent = swept
    best = client.get_run(parent.tags["runner.best_run"])
    model = model_of(client, parent.run_id)
    assert (model.name, model.status) == ("iris-50-50", "READY")
    assert model.params == best.data.params
    metrics = {metric.key: metric.value for metric in model.metrics}
    assert metrics == best.data.metrics
    inputs = {each.tags[0].value: each.dataset for each in best.inputs.dataset_inputs}
    for metric in model.metrics:
        part = next((part for part in inputs if part in metric.key.split("/")), None)
        expected = (inputs[part].name, inputs[part].digest) if part else (None, None)
        assert (metric.dataset_name, metric.dataset_digest) == expected


def test_the_page_of_a_single_runs_model_has_them_too_and_the_run_no_more_than_before(
    shared: Command, client: mlflow.MlflowClient
) -> None:
    runs = {}
    for form in ("true", "false"):
        early = ["training=early_stopping", "training.epochs=3"]
        ended = shared("experiment=iris", *early, f"tracking.model={form}")
        assert ended.returncode == 0, ended.stderr
        runs[form] = recorded(shared)[-1]
    assert runs["true"].metrics == runs["false"].metrics
    model = model_of(client, runs["true"].run_id)
    values = {(metric.key, metric.step): metric.value for metric in model.metrics}
    assert values.items() <= runs["true"].metrics.items()
    assert {name for name, _ in values} == {name for name, _ in runs["true"].metrics}
    note = runs["true"].tags[NOTE]
    assert f"mlflow models serve -m runs:/{runs['true'].run_id}/iris --env-manager local" in note
    assert "serve" not in runs["false"].tags[NOTE]


def test_a_sweep_and_its_groups_have_notes(swept: tuple[Ended, Recorded], shared: Command) -> None:
    _, parent = swept
    note = parent.tags[NOTE]
    assert note.startswith(f"**{parent.name}**: 4 runs. 150 rows, ")
    assert f"runs:/{parent.run_id}/iris-50-50" in note
    notes = [group.tags[NOTE] for group in of_kind("group", recorded(shared))]
    assert len(notes) == 2
    head = "One configuration of **iris: 50/50**, 2 runs, mean"
    assert all(note.startswith(head) for note in notes)
    jobs = [run for run in recorded(shared) if run.is_job and "runner.sweep" in run.tags]
    assert len(jobs) == 4
    assert not [job for job in jobs if NOTE in job.tags]


def test_the_best_is_the_champion_and_a_second_time_the_same_version(
    swept: tuple[Ended, Recorded], shared: Command, client: mlflow.MlflowClient
) -> None:
    ended, parent = swept
    assert "Registered as version 1 of flowers, its champion. Serve it:\n" in ended.stderr
    assert "mlflow models serve -m models:/flowers@champion --env-manager local" in ended.stderr
    champion = client.get_model_version_by_alias("flowers", "champion")
    assert (str(champion.version), champion.run_id) == ("1", parent.run_id)
    again = shared(*SWEEP)
    assert "Registered as version 1 of flowers" in again.stderr
    place = f"tracking.uri={shared.environment['MLFLOW_TRACKING_URI']}"  # and nowhere else
    single = shared(
        *("experiment=iris", "training.epochs=2", "tracking.register=flowers", place),
        MLFLOW_TRACKING_URI="sqlite:////nowhere/mlflow.db",
    )
    assert "Registered as version 2 of flowers" in single.stderr
    champion = client.get_model_version_by_alias("flowers", "champion")
    assert champion.run_id == recorded(shared)[-1].run_id


def test_what_cannot_be_registered_is_said(shared: Command) -> None:
    ended = shared("experiment=iris", "--register", "a/b")
    assert ended.returncode == 2
    assert ended.stderr == (
        "tracking.register: must be a name of at most 250 letters, digits, ., _ and -, or null, "
        "got 'a/b'.\n"
    )
    ended = shared("experiment=iris", "--register=x", "tracking.model=false")
    assert ended.stderr == (
        "tracking.register: must be null where tracking.model is false, got 'x'.\n"
    )
    lost = ["training.epochs=2", "optimizer=sgd", "optimizer.learning_rate=1e300,1e301"]
    ended = shared("-m", "experiment=iris", *lost, "--register", "x")
    assert ended.returncode == 1
    assert "There is no model to be registered as x.\n" in ended.stderr
    without = ["-m", "experiment=iris", "training.epochs=2", "seed=61,62"]
    assert shared(*without, "tracking.model=false").returncode == 0
    ended = shared(*without, "--register", "x")
    assert ended.returncode == 1
    assert ended.stderr.endswith(
        "There is no model to be registered as x: what has finished was recorded without; "
        "sweep.restart=true runs it again.\n"
    )
