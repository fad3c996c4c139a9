"""The tags that docs/recorded.md lists are those that runs have in a store."""

import re
from pathlib import Path

import mlflow

from tests.runner.conftest import Command

PAGE = Path(__file__).resolve().parents[3] / "docs" / "recorded.md"
SWEEP = (
    "-m",
    "experiment=iris",
    "search=halving",
    "search.n_trials=4",
    "optimizer=sgd",
    "seed=0,1",
)
SWEEP += ("optimizer.learning_rate=choice(0.01,0.03,0.1,1e200)", "search.refit=true")


def test_every_tag_is_on_the_page_and_in_a_store(sweeper: Command) -> None:
    assert sweeper(*SWEEP, "sweep.name=s").returncode == 1  # some rates diverge
    assert sweeper("ensemble", "s", "--top", "2").returncode == 0
    assert sweeper("rerun", "s", "--sample", "2").returncode == 0
    assert sweeper("clean", "s", "--keep", "1", "--yes").returncode == 0
    client = mlflow.MlflowClient(f"sqlite:///{sweeper.store / 'mlflow.db'}")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    recorded = {key for run in client.search_runs(ids) for key in run.data.tags}
    recorded = {re.sub(r"\.[0-9a-f]{32}$", ".ID", key) for key in recorded}
    rows = re.findall(r"^\| (`runner.*?) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    listed = {key for row in rows for key in re.findall(r"`(.*?)`", row)}
    assert {key for key in recorded if key.startswith("runner.")} == listed
