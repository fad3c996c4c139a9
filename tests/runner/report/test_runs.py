"""One run in full, several as a table, and why runs did not finish."""

import pytest

from runner.jobs.events import Measured
from runner.report.runs import (
    print_failures,
    print_metrics,
    print_recorded_run,
    print_run,
    print_runs,
)
from runner.training.outcome import Outcome
from tests.runner.report.outcomes import STORE, failed, outcome, printed, said, table


def ranked(outcomes: list[Outcome], metric: str = "val/loss") -> list[list[str]]:
    """Return the cells of the table of several runs."""
    return table(printed(print_runs, outcomes, [metric]))


def failures(outcomes: list[Outcome]) -> list[str]:
    return printed(print_failures, outcomes).splitlines()


def test_one_run_is_printed_in_full() -> None:
    metrics = {
        "train/loss": 0.012345, "train/accuracy": 1.0, "val/loss": 0.5, "val/accuracy": 0.75,
        "test/loss": 0.25, "test/accuracy": 29 / 30, "best/step": 1200.0,
    }  # fmt: skip
    assert said(print_metrics, Measured("tutorial", metrics, 4000, 1.3, ("figures",))) == (
        "tutorial  4,000 steps, 1.3 s\n"
        "          loss  accuracy\n"
        "train  0.01235    1.0000\n"
        "val        0.5    0.7500\n"
        "test      0.25    0.9667\n"
        "best/step 1,200\n"
    )
    run = outcome(7, name="tutorial", metrics=metrics, n_steps=4000)
    assert said(print_run, run, 1.3, STORE) == (
        f"FINISHED  took 1.3 s\nrun 00000000000000000000000000000007\nLook at it: {STORE}\n"
    )


def test_classes_have_their_own_names() -> None:
    metrics = {"test/loss": 0.5, "test/precision___50K": 0.25, "test/precision__50K": 1.0}
    names = {"__50K": "<=50K", "_50K": ">50K"}
    lines = said(print_metrics, Measured("adult", metrics, 10, 1.0, (), "", names)).splitlines()
    assert lines[-2:] == [
        "<=50K          0.2500",
        ">50K           1.0000",
    ]
    metrics |= {"test/recall___50K": 0.75, "test/recall__50K": 0.0}
    lines = said(print_metrics, Measured("adult", metrics, 10, 1.0, (), "", names)).splitlines()
    assert lines[-3:] == [
        "test class  precision  recall      F1",
        "<=50K          0.2500  0.7500  0.3750",
        ">50K           1.0000  0.0000  0.0000",
    ]


@pytest.mark.parametrize(("epoch", "where"), [(18, "epoch 18"), (None, "step 108")])
def test_a_pruned_run_says_where_it_was_stopped(epoch: int | None, where: str) -> None:
    run = outcome(status="PRUNED", pruned_at_step=108, pruned_at_epoch=epoch)
    first = said(print_recorded_run, run, "", None, []).splitlines()[0]
    assert first.startswith(f"seed=0  PRUNED at {where}  trained in 1")


def test_one_failed_run_says_why() -> None:
    lines = said(print_run, failed(0, "loss is not finite\nat step 3"), 1.3, STORE).splitlines()
    assert lines[:2] == ["seed=0  FAILED  took 1.3 s", "  loss is not finite at step 3"]


@pytest.mark.parametrize(
    ("metric", "values", "order"),
    [("val/loss", [3, 1, 2], "120"), ("val/accuracy", [0.3, 0.9, 0.6], "120")],
)
def test_runs_are_ranked_with_the_best_first(metric: str, values: list[float], order: str) -> None:
    runs = [outcome(number, metrics={metric: value}) for number, value in enumerate(values)]
    assert "".join(row[1] for row in ranked(runs, metric)[1:]) == order


@pytest.mark.parametrize(
    ("varied", "headers"),
    [
        (
            lambda n: {"experiment": "digits", "optimizer.learning_rate": f"{n // 2}", "seed": n},
            ["learning_rate", "seed", "val/loss", "run", "val/accuracy", "seconds"],
        ),
        (lambda n: {"seed": n, "split.seed": n}, ["seed", "split.seed", "val/loss"]),
        (lambda _: {}, ["name", "val/loss"]),
    ],
)
def test_only_what_varied_has_a_column(varied: object, headers: list[str]) -> None:
    runs = [outcome(n, varied=varied(n)) for n in range(3)]
    assert ranked(runs)[0][: len(headers)] == headers


def test_durations_that_would_all_be_zero_are_left_out() -> None:
    quick = [outcome(n, duration_s=0.04) for n in range(2)]
    assert "seconds" not in ranked(quick)[0]
    assert "seconds" in ranked([*quick, outcome(3)])[0]


def test_runs_that_did_not_finish_are_not_ranked() -> None:
    assert len(ranked([outcome(0), failed(1)])) == 2
    assert printed(print_runs, [failed(0), failed(1)], ["val/loss"]) == ""


def test_each_run_that_did_not_finish_is_listed_with_its_reason() -> None:
    runs = [
        failed(0, "loss is not finite\nat step 3"),
        outcome(1),
        failed(2, None, status="KILLED"),
    ]
    assert failures(runs) == [
        "2 of 3 runs did not finish",
        "  FAILED  seed=0: loss is not finite at step 3",
        "  KILLED  seed=2: no reason was given",
    ]
    assert failures([outcome(0)]) == failures([]) == []


def test_more_than_twenty_with_one_reason_share_a_line() -> None:
    many, other = [failed(n, "too large") for n in range(21)], failed(21, "too small")
    names = ", ".join(f"seed={n}" for n in range(21))
    assert failures([*many[:9], other, *many[9:]]) == [
        "22 of 22 runs did not finish",
        "  FAILED  21 runs: too large",
        f"    {names}",
        "  FAILED  seed=21: too small",
    ]
    assert len(failures(many[:20])) == 1 + 20


def test_runs_that_ended_in_another_way_do_not_share_a_line() -> None:
    runs = [failed(n, status=status) for n in range(11) for status in ("FAILED", "KILLED")]
    assert len(failures(runs)) == 1 + 22


def test_the_first_forty_failures_are_named() -> None:
    _, reason, names = failures([failed(n) for n in range(1041)])
    assert reason == "  FAILED  1,041 runs: no"
    assert names.startswith("    seed=0, seed=1, ")
    assert names.endswith(", seed=39 and 1,001 more")
    assert failures([failed(n) for n in range(40)])[-1].endswith(" seed=39")
    lines = failures([failed(n, f"loss is not finite at step {n}") for n in range(1041)])
    assert lines[-2:] == ["  FAILED  seed=39: loss is not finite at step 39", "  and 1,001 more"]
    assert len(lines) == 1 + 40 + 1
