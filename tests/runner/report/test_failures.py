import io

import pytest

from runner.report.console import printing
from runner.report.failures import print_failures
from runner.training.outcome import Outcome
from tests.runner.report.outcomes import HOSTILE, failed, outcome


def printed(outcomes: list[Outcome], *, fold: bool = True) -> list[str]:
    file = io.StringIO()
    with printing(file) as console:
        print_failures(console, outcomes, fold=fold)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("fold", [True, False])
def test_each_run_that_did_not_finish_is_told_with_its_reason(fold: bool) -> None:
    runs = [
        failed(0, "loss is not finite\nat step 3"),
        outcome(1),
        failed(2, None, status="KILLED"),
    ]
    assert printed(runs, fold=fold) == [
        "2 of 3 runs did not finish",
        "  FAILED  seed=0: loss is not finite at step 3",
        "  KILLED  seed=2: no reason was given",
    ]


@pytest.mark.parametrize("fold", [True, False])
def test_where_all_finished_nothing_is_told(fold: bool) -> None:
    assert printed([outcome(0)], fold=fold) == printed([], fold=fold) == []


def test_unfolded_each_has_a_line_however_many_they_are() -> None:
    assert len(printed([failed(n) for n in range(100)], fold=False)) == 1 + 100


def test_more_than_twenty_with_one_reason_share_a_line() -> None:
    many, other = [failed(n, "too large") for n in range(21)], failed(21, "too small")
    names = ", ".join(f"seed={n}" for n in range(21))
    assert printed([*many[:9], other, *many[9:]]) == [
        "22 of 22 runs did not finish",
        "  FAILED  21 runs: too large",
        f"    {names}",
        "  FAILED  seed=21: too small",
    ]
    assert len(printed(many[:20])) == 1 + 20


def test_runs_that_ended_in_another_way_are_not_folded_together() -> None:
    runs = [failed(n, status=status) for n in range(11) for status in ("FAILED", "KILLED")]
    assert len(printed(runs)) == 1 + 22


def test_of_those_that_share_a_line_the_first_forty_are_named() -> None:
    _, reason, names = printed([failed(n) for n in range(1041)])
    assert reason == "  FAILED  1,041 runs: no"
    assert names.startswith("    seed=0, seed=1, ")
    assert names.endswith(", seed=39 and 1,001 more")
    assert printed([failed(n) for n in range(40)])[-1].endswith(" seed=39")


def test_of_those_with_a_line_each_the_first_forty_are_named() -> None:
    lines = printed([failed(n, f"loss is not finite at step {n}") for n in range(1041)])
    assert lines[-2:] == ["  FAILED  seed=39: loss is not finite at step 39", "  and 1,001 more"]
    assert len(lines) == 1 + 40 + 1


def test_names_and_reasons_act_on_nothing() -> None:
    runs = [failed(n, HOSTILE, name=f"{n}{HOSTILE}") for n in range(21)]
    for count in (1, 21):
        assert all(line.isprintable() for line in printed(runs[:count]))
