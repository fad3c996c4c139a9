"""A sweep that has ended: what is in the store, and that its bits are those of runs alone."""

import csv
import statistics
from dataclasses import dataclass

import numpy as np
import pytest

from runner.jobs.plan import read_lines
from runner.training.data.builtin import tutorial_table
from tests.runner.cli.rerunning import artifacts
from tests.runner.cli.sweeping import Recorded, of_kind, recorded, table
from tests.runner.conftest import Command, Ended

# Six jobs, two of them asked for twice.
POINTS = ["training.steps=200", "optimizer.learning_rate=0.01,0.04", "seed=0,1,2,0"]
IN_ANOTHER_ORDER = ["training.steps=200", "seed=2,0,1", "optimizer.learning_rate=0.04,0.01"]
# Student's t with 2 degrees of freedom: (2p - 1) sqrt(2 / (4p (1 - p))), p = 0.975.
T_OF_3 = 0.95 * (2 / 0.0975) ** 0.5


@dataclass(frozen=True)
class History:
    """A sweep that was run, asked for again, and started over; what the store had after each."""

    ended: list[Ended]
    left: list[list[Recorded]]

    @property
    def runs(self) -> list[Recorded]:
        return self.left[0]

    @property
    def parent(self) -> Recorded:
        (parent,) = of_kind("sweep", self.runs)
        return parent


@pytest.fixture(scope="module")
def history(shared: Command) -> History:
    found = History([], [])
    for arguments in (
        [*POINTS, "sweep.n_workers=2"],
        POINTS,
        [*IN_ANOTHER_ORDER, "sweep.n_workers=1", "sweep.restart=true"],
    ):
        found.ended.append(shared("-m", *arguments))
        found.left.append(recorded(shared))
    return found


def test_every_job_finishes_and_duplicates_are_trained_once(history: History):
    first = history.ended[0]
    assert first.returncode == 0
    assert [run.status for run in history.runs] == ["FINISHED"] * (6 + 2 + 1)
    assert len({run.key for run in of_kind("run", history.runs)}) == 6
    assert "2 points are given again, and run once." in first.stdout
    # Without a terminal nothing moves or is coloured.
    assert not {"\x1b", "\r"} & set(first.stdout + first.stderr)


def test_complete_sweep_trains_nothing_and_prints_its_table_again(history: History):
    first, again, _ = history.ended
    assert again.returncode == 0
    assert "is complete: 6 jobs. sweep.restart=true would run it again." in again.stderr
    assert history.left[1] == history.left[0]
    assert table(again) == table(first)


# Bits.


def test_restart_trains_everything_again_under_a_new_run(history: History):
    assert history.ended[2].returncode == 0
    before = {run.run_id for run in history.left[1]}
    new = [run for run in history.left[2] if run.run_id not in before]
    assert [len(of_kind(kind, new)) for kind in ("sweep", "group", "run")] == [1, 2, 6]
    assert {run.tags["runner.sweep"] for run in of_kind("run", new)} == {
        run.run_id for run in of_kind("sweep", new)
    }


def test_order_of_the_jobs_and_number_of_workers_change_no_bit(history: History):
    by_key: dict[str, list[Recorded]] = {}
    for run in of_kind("run", history.left[2]):
        by_key.setdefault(run.key, []).append(run)
    assert len(by_key) == 6
    for first, second in by_key.values():
        assert first.bits == second.bits
        assert ("val/loss", 100) in first.metrics


@pytest.mark.parametrize(("rate", "seed"), [("0.01", "1"), ("0.04", "2")])
def test_job_of_a_sweep_has_the_bits_of_the_run_alone(
    rate: str, seed: str, history: History, shared: Command
):
    before = {run.run_id for run in recorded(shared)}
    ended = shared("training.steps=200", f"optimizer.learning_rate={rate}", f"seed={seed}")
    assert ended.returncode == 0
    (alone,) = [run for run in recorded(shared) if run.run_id not in before]
    (in_sweep,) = [run for run in of_kind("run", history.runs) if run.key == alone.key]
    assert in_sweep.bits == alone.bits


# The tree in MLflow.


def test_jobs_are_named_by_what_varied_under_groups_under_the_sweep(history: History):
    groups = {run.run_id: run for run in of_kind("group", history.runs)}
    assert {run.parent for run in groups.values()} == {history.parent.run_id}
    assert sorted((groups[r.parent].name, r.name) for r in of_kind("run", history.runs)) == [
        (f"learning_rate={rate}", f"learning_rate={rate} seed={seed}")
        for rate in ("0.01", "0.04")
        for seed in (0, 1, 2)
    ]


@pytest.mark.parametrize("metric", ["train/loss", "val/loss", "val/accuracy", "test/loss"])
def test_groups_sum_up_their_seeds(metric: str, history: History):
    for group in of_kind("group", history.runs):
        members = [run for run in of_kind("run", history.runs) if run.parent == group.run_id]
        values = [run.metrics[metric, 200] for run in members]
        mean, std = statistics.mean(values), statistics.stdev(values)
        half = T_OF_3 * std / 3**0.5
        expected = {"mean": mean, "std": std, "n": 3}
        expected |= {"ci95_low": mean - half, "ci95_high": mean + half}
        for name, value in expected.items():
            # Sums in another order, and a quantile that is found by iteration.
            assert group.metrics[f"{metric}/{name}", 0] == pytest.approx(value, rel=1e-12)


def test_parent_holds_plan_results_figures_and_the_best_configuration(
    history: History, shared: Command
):
    from pyarrow import parquet

    folder = artifacts(shared, history.parent)
    plan = read_lines((folder / "plan" / "plan.jsonl").read_text())
    members = of_kind("run", history.runs)
    assert {job.key for job in plan} == {run.key for run in members}
    with (folder / "results.csv").open(newline="") as file:
        rows = {row["run_id"]: row for row in csv.DictReader(file)}
    assert {run_id: float(row["val/loss"]) for run_id, row in rows.items()} == {
        run.run_id: run.metrics["val/loss", 200] for run in members
    }
    as_parquet = parquet.read_table(folder / "results.parquet").to_pylist()
    assert [row["run_id"] for row in as_parquet] == list(rows)
    assert [row["val/loss"] for row in as_parquet] == [float(r["val/loss"]) for r in rows.values()]
    assert list((folder / "figures").glob("*.png"))
    assert "learning_rate: 0.04" in (folder / "best.yaml").read_text()


def test_parent_has_the_metrics_of_the_best_run(history: History):
    (best,) = [r for r in history.runs if r.run_id == history.parent.tags["runner.best_run"]]
    rates = {run.run_id: run.name for run in of_kind("group", history.runs)}
    assert rates[best.parent] == "learning_rate=0.04"
    assert history.parent.metrics["val/loss", 200] == best.metrics["val/loss", 200]


def test_best_model_loads_from_the_parent(
    history: History, shared: Command, monkeypatch: pytest.MonkeyPatch
):
    import mlflow

    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared.environment["MLFLOW_TRACKING_URI"])
    model = mlflow.pyfunc.load_model(
        f"runs:/{history.parent.run_id}/tutorial", suppress_warnings=True
    )
    data = tutorial_table()
    rows = slice(8, 12)  # the first 8 were trained on, the next 4 validated on
    columns = data.X[rows].T.astype(int)  # as pandas would read them from CSV
    found = model.predict(dict(zip(data.feature_names, columns, strict=True))).to_numpy()
    loss = -np.log(found[np.arange(4), data.y[rows]]).mean()
    # From probabilities rather than logits.
    assert loss == pytest.approx(history.parent.metrics["val/loss", 200], rel=1e-12)
