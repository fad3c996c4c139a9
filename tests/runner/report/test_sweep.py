"""A sweep's table and verdict, and the list of all sweeps."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from runner.report.sweep import SweepReport, print_sweep, print_sweeps
from runner.tracking import RecordedSweep, SweepSummary
from runner.training.outcome import Outcome
from runner.training.statistics import Summary
from runner.training.verdict import estimate, lead
from tests.runner.report.outcomes import STORE, failed, outcome, said, seeds, table


def printed(outcomes: Sequence[Outcome], **changes: object) -> str:
    facts = {"name": "", "n_jobs": len(outcomes), "metric": "val/loss", "link": STORE, **changes}
    return said(print_sweep, SweepReport(outcomes=outcomes, **facts))


def test_a_sweep_is_printed_in_full() -> None:
    # Over three seeds that spread by s = 0.01, 4.303 * s / sqrt(3) is 0.025.
    outcomes = [
        *seeds("0.1", [0.10, 0.11, 0.12]),
        *seeds("0.04", [0.25, 0.25, 0.25]),
        *seeds("1", [0.30, 0.31, 0.32]),
        failed(3, "loss is not finite at step 3", name="learning_rate=1 seed=3"),
    ]
    notes = ["3 points were given twice and run once"]
    assert printed(outcomes, name="rates", n_jobs=12, duration_s=41.2, notes=notes) == (
        "rates\n"
        "9 runs of 3 configurations by val/loss, smallest first\n"
        "   learning_rate       val/loss  n    val/accuracy\n"
        "1  0.1            0.110 ± 0.025  3   0.890 ± 0.025\n"
        "2  0.04            0.25 ± 0      3  0.7500 ± 0\n"
        "3  1              0.310 ± 0.025  3   0.690 ± 0.025\n"
        "learning_rate=0.1 is better than learning_rate=0.04 on these validation rows by"
        " 0.140 [0.115, 0.165] in val/loss (3 common seeds; other splits were not tried).\n"
        "Best of 3 tried: val/loss 0.11 on the validation rows that chose it.\n"
        "3 points were given twice and run once\n"
        "1 of 10 runs did not finish\n"
        "  FAILED  learning_rate=1 seed=3: loss is not finite at step 3\n"
        "2 of 12 jobs have no result yet\n"
        "took 41 s\n"
        f"Look at them: {STORE}\n"
    )


def folds(rate: str, losses: list[float]) -> list[Outcome]:
    """Make the runs of one learning rate on two folds, two seeds each."""
    return [
        replace(
            run,
            varied={**run.varied, "split.fold": f"{fold}"},
            metrics={**run.metrics, "test/loss": 2 * loss},
            rows={"train": 60, "val": 30 + fold, "test": 10},
        )
        for fold, loss in enumerate(losses)
        for run in seeds(rate, [loss, loss])
    ]


def test_with_folds_the_table_is_over_them_and_the_choice_is_tested() -> None:
    text = printed([*folds("a", [0.1, 0.4]), *folds("b", [0.3, 0.2])])
    assert text.startswith("8 runs of 2 configurations over 2 splits by val/loss")
    assert [row[1:4:2] for row in table(text)[1:]] == [["a", "2"], ["b", "2"]]
    # a is chosen in the first fold and b in the second: 12.706 * 0.1414 * sqrt(1/2 + 20/120).
    line = "Test of the choice: test/loss 0.3 [-1.2, 1.8] over 2 splits, in each the configuration"
    line += " that its own validation rows choose"
    assert f"{line}.\n" in text
    # The validation rows of all folds have chosen what there is to choose from.
    runs = [*folds("a", [0.1, 0.4]), *folds("b", [0.3, 0.2])]
    assert f"{line}: too good by the choice of what was tried.\n" in printed(
        runs, summary=SweepSummary(search="optuna")
    )
    pruned = replace(runs[0], varied={"rate": "d", "split.fold": "0"}, status="PRUNED",
                     pruned_at_step=9)  # fmt: skip
    text = printed([*runs, pruned])
    assert f"{line}: too good by the choice at the rungs.\n" in text


def test_an_interval_ends_where_its_metric_does() -> None:
    wide = Summary(2, 0.97, 0.01, 0.87, 1.07)
    assert estimate(wide, "test/accuracy") == "0.970 [0.870, 1.000]"
    assert estimate(wide, "test/recall_yes") == "0.970 [0.870, 1.000]"
    assert estimate(wide, "test/loss") == "0.97 [0.87, 1.07]"


def test_the_best_of_many_is_called_that_with_what_it_is_worth_on_new_rows() -> None:
    runs = [*seeds("a", [0.1, 0.3]), *seeds("b", [0.3, 0.4]), *seeds("c", [0.5, 0.6])]
    runs = [replace(run, rows={"train": 60, "val": 30}) for run in runs]
    line = "Best of 3 tried: val/loss 0.2 on the 30 validation rows that chose it"
    assert f"{line}.\n" in printed(runs)
    assert f"{line}; 0.251 [0.190, 0.330] expected" in printed(
        runs, summary=SweepSummary((0.251, 0.19, 0.33))
    )
    assert "on new rows: too good by the choice of what was tried.\n" in printed(
        runs, summary=SweepSummary((0.251, 0.19, 0.33), search="optuna")
    )
    assert "tried" not in printed([run for run in runs[:2] if run.varied["seed"] == "0"])
    # What was pruned has lost by the same rows.
    pruned = replace(runs[0], varied={"rate": "d", "seed": "0"}, status="PRUNED", pruned_at_step=9)
    text = printed([*runs, pruned], summary=SweepSummary((0.251, 0.19, 0.33)))
    assert "Best of 4 tried" in text
    assert "new rows, from the 3 trained to the end: too good by the choice at the rungs." in text
    text = printed([*runs[:4], pruned])
    assert "; nothing is known of new rows: that takes 3 trained to the end, not 2." in text


def test_rank_correlations_are_over_trials_with_seeds_and_folds_averaged() -> None:
    runs = [
        outcome(
            10 * n + fold,
            varied={"rate": f"{n}", "split.fold": f"{fold}", "seed": "0"},
            metrics={"val/loss": n + 20 * fold},
        )
        for n in range(10)
        for fold in range(2)
    ]
    line = "Rank correlation (Spearman) with val/loss over 10 trials: rate +1.00\n"
    assert line in printed(runs)


def test_without_several_seeds_the_table_is_that_of_runs() -> None:
    outcomes = [outcome(n, varied={"rate": f"{n}", "seed": "0"}) for n in range(2)]
    outcomes += [failed(2, varied={"rate": "2", "seed": "0"})]
    assert printed(outcomes) == (
        "2 runs by val/loss, smallest first\n"
        f"   rate  val/loss  run{'':29}  val/accuracy  seconds\n"
        f"1  0          0.5  {0:032x}        0.7500      1.3\n"
        f"2  1        0.501  {1:032x}        0.7500      1.3\n"
        "1 of 3 runs did not finish\n"
        "  FAILED  seed=2: no\n"
        f"Look at them: {STORE}\n"
    )


def test_configurations_are_ranked_by_their_means() -> None:
    outcomes = [*seeds("a", [0.1, 0.9]), *seeds("b", [0.3, 0.4]), *seeds("c", [0.2, math.nan])]
    assert [row[1] for row in table(printed(outcomes))[1:]] == ["b", "a", "c"]
    by_accuracy = printed(outcomes, metric="val/accuracy")
    assert by_accuracy.startswith("6 runs of 3 configurations by val/accuracy, largest first\n")
    assert [row[1] for row in table(by_accuracy)[1:]] == ["b", "a", "c"]


def test_equal_means_are_ranked_by_the_next_metric_and_then_by_settings() -> None:
    outcomes = [
        replace(run, metrics={**run.metrics, "val/accuracy": 1.0})
        for rate, losses in {"10": [0.2, 0.2], "9": [0.2, 0.2], "1": [0.3, 0.2]}.items()
        for run in seeds(rate, losses)
    ]
    for given in (outcomes, outcomes[::-1]):
        rows = table(printed(given, metric="val/accuracy"))
        assert [row[1] for row in rows[1:]] == ["9", "10", "1"]


def test_means_are_aligned_where_some_have_no_interval() -> None:
    outcomes = [*seeds("a", [0.1, 0.2]), *seeds("b", [0.5]), *seeds("c", [1.0, 3.0])]
    lines = printed(outcomes).splitlines()[2:5]
    # 12.706 * s / sqrt(2) is 0.635 for 0.1 and 0.2.
    assert [line[:33].rstrip() for line in lines] == [
        "1  a              0.15 ± 0.64  2",
        "2  b               0.5         1",
        "3  c                 2 ± 13    2",
    ]


def test_only_seeds_that_have_the_metric_are_counted() -> None:
    outcomes = [
        *seeds("a", [0.1, 0.2, 0.3]),
        failed(9, varied={"optimizer.learning_rate": "a", "seed": "9"}),
        outcome(0, varied={"optimizer.learning_rate": "b", "seed": "0"}, metrics={}),
    ]
    (_, *rows) = table(printed(outcomes))
    assert rows == [["1", "a", "0.20 ± 0.25", "3", "0.80 ± 0.25"], ["2", "b", "0"]]


def test_a_configuration_of_which_nothing_finished_is_not_ranked() -> None:
    lost = [failed(n, varied={"optimizer.learning_rate": "9", "seed": f"{n}"}) for n in range(2)]
    text = printed([*seeds("0.1", [0.1, 0.2]), *lost])
    assert text.startswith("2 runs of 1 configuration by val/loss")
    assert table(text)[1][:2] == ["1", "0.1"]
    assert "2 of 4 runs did not finish" in text


@pytest.mark.parametrize(
    ("outcomes", "metric", "verdict"),
    [
        # The differences of the seeds are 1, 2 and 3: 2 on average, ± 4.303 / sqrt(3) = 2.48.
        (
            [*seeds("a", [11, 22, 33]), *seeds("b", [10, 20, 30])],
            "val/loss",
            (
                "learning_rate=b and learning_rate=a are not distinguishable on these validation"
                " rows in val/loss (3 common seeds; other splits were not tried): difference 2.0"
                " [-0.5, 4.5]."
            ),
        ),
        (
            [*seeds("a", [0.10, 0.21, 0.30]), *seeds("b", [0.60, 0.71, 0.82])],
            "val/accuracy",
            (
                "learning_rate=a is better than learning_rate=b on these validation rows by 0.507"
                " [0.478, 0.535] in val/accuracy (3 common seeds; other splits were not tried)."
            ),
        ),
        # The first is ahead thanks to seeds that the second does not have.
        (
            [*seeds("a", [0.0, 0.0, 0.50, 0.51]), *seeds("b", [0.40, 0.41], first=2)],
            "val/loss",
            (
                "learning_rate=b is ahead of learning_rate=a by 0.1 in val/loss in each of 2 common"
                " seeds: without any variation no interval can be told."
            ),
        ),
        (
            [*seeds("a", [0.1, 0.2]), *seeds("b", [0.1, 0.2])],
            "val/loss",
            (
                "learning_rate=a and learning_rate=b have the same val/loss in each of 2 common"
                " seeds."
            ),
        ),
        # Two folds of 30 and 31 rows differ by 0.2 and 0.3; 12.706 * 0.0707 * sqrt(1/2 + 61/120).
        (
            [*folds("a", [0.1, 0.1]), *folds("b", [0.3, 0.4])],
            "val/loss",
            (
                "learning_rate=a and learning_rate=b are not distinguishable in val/loss over 2"
                " common splits: difference 0.25 [-0.65, 1.15]."
            ),
        ),
    ],
)
def test_the_best_two_are_compared_over_their_common_seeds(
    outcomes: list[Outcome], metric: str, verdict: str
) -> None:
    assert verdict in printed(outcomes, metric=metric).splitlines()


def test_a_verdict_says_once_what_the_best_two_share_and_names_what_differs() -> None:
    tried = [("[16,16]", "tanh", "0.03"), ("[16,16]", "relu", "0.03"), ("[8]", "relu", "0.01")]
    keys = ("model.hidden_layer_sizes", "model.activation", "optimizer.learning_rate")
    outcomes = [
        outcome(
            varied={**dict(zip(keys, values, strict=True)), "seed": f"{seed}"},
            metrics={"val/loss": n + seed / 10},
        )
        for n, values in enumerate(tried)
        for seed in range(2)
    ]
    assert (
        "\nWith hidden_layer_sizes=[16,16] learning_rate=0.03, activation=tanh is ahead of "
        "activation=relu by 1 in val/loss in each of 2 common seeds"
    ) in printed(outcomes)


@pytest.mark.parametrize(
    "others",
    [
        seeds("b", [0.3, 0.4], first=1),  # one seed in common
        seeds("b", [0.3, math.inf]),
        seeds("b", [0.3, math.nan]),
        [outcome(9, varied={"optimizer.learning_rate": "b", "seed": "0"}, metrics={})],
    ],
)
def test_what_cannot_be_compared_is_not(others: list[Outcome]) -> None:
    text = printed([*seeds("a", [0.1, 0.2]), *others])
    assert len(table(text)) == 3
    assert "better" not in text
    assert "distinguishable" not in text


@pytest.mark.parametrize(
    ("n_jobs", "line"),
    [
        (3, "1 of 3 jobs has no result yet"),
        (1002, "1,000 of 1,002 jobs have no result yet"),
        (2, None),
    ],
)
def test_jobs_that_have_not_begun_are_counted(n_jobs: int, line: str | None) -> None:
    lines = printed([outcome(0), outcome(1)], n_jobs=n_jobs).splitlines()
    assert [each for each in lines if "jobs" in each] == ([line] if line else [])
    nothing = f"{n_jobs:,} of {n_jobs:,} jobs have no result yet\nLook at them: {STORE}\n"
    assert printed([], n_jobs=n_jobs) == nothing


def test_ten_thousand_outcomes_are_printed_at_once() -> None:
    losses = [number / 7 % 1 for number in range(10)]
    outcomes = [run for rate in range(1000) for run in seeds(f"{rate}", losses)]
    outcomes += [failed(n, f"reason {n}", varied={"seed": f"{n}"}) for n in range(1000)]
    printed(outcomes[:20])  # imports what it takes
    start = time.process_time()
    printed(outcomes)
    # Fifty times what a slow machine takes: what grows with the square would take minutes.
    assert time.process_time() - start < 20


def test_sweeps_are_listed_with_their_state() -> None:
    sweep = RecordedSweep(
        run_id="a" * 32,
        name="rates",
        identity="",
        status="FINISHED",
        experiment_id="1",
        metric="val/loss",
        n_jobs=1200,
        started_s=time.time() - 90,
        duration_s=41.2,
        n_finished=1200,
        n_failed=0,
    )
    sweeps = [
        sweep,
        replace(sweep, n_finished=1000, n_failed=200),
        replace(sweep, status="KILLED", n_finished=1000),
        replace(sweep, status="RUNNING", n_finished=None, n_failed=None),
    ]
    header, *rows = said(print_sweeps, [(each, "tutorial") for each in sweeps]).splitlines()
    assert header.split() == [
        "sweep", "experiment", "state", "done", "failed", "jobs", "begun", "took", "run",
    ]  # fmt: skip
    states = ["complete", "some failed", "interrupted", "running"]
    assert [state in row for state, row in zip(states, rows, strict=True)] == [True] * 4
    assert rows[1].split()[:7] == ["rates", "tutorial", "some", "failed", "1,000", "200", "1,200"]
    assert "41 s" in rows[0]
    assert "1 min 3" in rows[3]
    assert said(print_sweeps, []) == "There are no sweeps yet. runner --multirun makes one.\n"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((-0.02, -0.03, -0.01), "better by 0.020 [0.010, 0.030]"),
        ((0.013, 0.001, 0.023), "worse by 0.013 [0.001, 0.023]"),
        ((0.01, -0.01, 0.03), "not distinguishable, difference -0.010 [-0.030, 0.010],"),
        ((0.0, -4e-15, 4e-15), "the same"),
    ],
)
def test_a_loss_that_is_lower_is_better_and_one_whose_interval_holds_0_neither(
    values: tuple[float, float, float], words: str
) -> None:
    mean, low, high = values
    assert lead(Summary(9, mean, 0.1, low, high), "val/loss") == words
