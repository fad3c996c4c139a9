"""What the best of a sweep is worth on new rows, from the weights in the store."""

from pathlib import Path

import numpy as np
import pytest

from runner.jobs.events import Event, Notice
from runner.jobs.sweep.results import store_results
from runner.tracking import Store, open_store
from runner.tracking.backend.artifacts import local_folder
from runner.training.choice import resamples
from runner.training.prepare import prepare, require_fit
from softnet import Network, evaluate
from tests.runner.jobs.planned import outcomes, plan, weights_of, work

KFOLD = {"split": {"name": "kfold", "n_folds": 2, "val": 0.3}}
# Three rates with a layer of another size, two seeds, two folds.
JOBS = [
    {
        **KFOLD,
        "split__fold": f,
        "seed": s,
        "optimizer__learning_rate": r,
        "model": {"hidden_layer_sizes": h},
    }
    for r, h in ((0.5, [5]), (0.01, [5]), (0.1, [3]))
    for f in (0, 1)
    for s in (0, 1)
]


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(f"sqlite:///{store}", None, "test")


@pytest.mark.slow
def test_the_best_is_worth_what_choosing_again_on_resampled_rows_says(opened: Store) -> None:
    made = plan(*JOBS)
    parent = opened.start_run("sweep", {}, {"runner.kind": "sweep"})
    stacks = ([0, 1, 4, 5], [2, 3, 6, 7], [8, 9], [10, 11])
    found = {
        position: outcome
        for stack in stacks
        for position, outcome in outcomes(work(opened, made, stack, sweep_id=parent.run_id)).items()
    }
    expected = store_results(parent, opened, made, found, [].append).expected

    # The same by a plain loop: runs are 4 for each configuration, and all have the same share.
    counts = resamples(60, 1000)
    values = np.zeros((2, 3, len(counts)))
    for position, job in enumerate(made.jobs):
        prepared = prepare(job.experiment)
        settings = require_fit(job.experiment, prepared).network
        network = Network.from_weights(weights_of(opened, found[position].run_id), settings)
        rows, drawn = prepared.examples("val"), counts[:, prepared.split.val]
        for n, count in enumerate(drawn):
            for side, chosen in enumerate((count, count == 0)):
                X, y = (np.repeat(a, chosen, axis=0) for a in (rows.X, rows.y))
                loss = evaluate(network, X, y, ["loss"])["loss"][0] if len(y) else np.nan
                values[side, position // 4, n] += loss / 4
    chosen_on, left_out = values
    ranks = np.where(np.isnan(chosen_on), np.inf, chosen_on)
    worth = left_out[ranks.argmin(axis=0), np.arange(len(counts))]
    worth = worth[np.isfinite(worth)]
    by_hand = [worth.mean(), *np.quantile(worth, (0.025, 0.975))]
    assert expected == pytest.approx(by_hand, rel=1e-9)

    parent.set_tags({"runner.metric": "val/loss", "runner.summed_up": "true"})
    parent.finish()
    (sweep,) = opened.sweeps.all()
    assert sweep.summary.expected == expected


def test_without_more_than_two_configurations_nothing_is_said(opened: Store) -> None:
    made = plan(*({"optimizer__learning_rate": rate} for rate in (0.1, 0.2)))
    parent = opened.start_run("sweep", {}, {"runner.kind": "sweep"})
    found = outcomes(work(opened, made, sweep_id=parent.run_id))
    expected = store_results(parent, opened, made, found, [].append).expected
    assert expected is None


def test_weights_that_were_edited_are_named(opened: Store) -> None:
    made = plan(*({"optimizer__learning_rate": rate} for rate in (0.1, 0.2, 0.3)))
    parent = opened.start_run("sweep", {}, {"runner.kind": "sweep"})
    found = outcomes(work(opened, made, sweep_id=parent.run_id))
    ids = [found[position].run_id for position in range(3)]
    files = [
        Path(str(local_folder(opened.client.get_run(i).info.artifact_uri)), "weights.npz")
        for i in ids
    ]
    files[1].write_bytes(files[0].read_bytes())
    events: list[Event] = []
    expected = store_results(parent, opened, made, found, events.append).expected
    assert expected is None
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert f"run {ids[1]}: weights: was edited" in notice.text
