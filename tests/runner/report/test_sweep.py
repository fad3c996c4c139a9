import io
import math
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from runner.report.runs import print_failures, print_runs
from runner.report.sweep import SweepReport, print_sweep
from runner.report.table import printing
from runner.training.outcome import Outcome
from tests.runner.report.outcomes import HOSTILE, STORE, failed, outcome, seeds, table
from tests.runner.terminals import ESCAPE, Terminal, plain


def report(outcomes: Sequence[Outcome], **changes: object) -> SweepReport:
    facts = {
        "title": "",
        "outcomes": outcomes,
        "n_jobs": len(outcomes),
        "metric": "val/loss",
        "where": STORE,
        "duration_s": None,
        "notes": [],
        **changes,
    }
    return SweepReport(**facts)


def printed(told: SweepReport, top: int | None = None) -> str:
    file = io.StringIO()
    print_sweep(told, file, top)
    return file.getvalue()


def test_a_sweep_is_told_in_full() -> None:
    # Over three seeds that spread by s = 0.01, 4.303 * s / sqrt(3) is 0.025.
    outcomes = [
        *seeds("0.1", [0.10, 0.11, 0.12]),
        *seeds("0.04", [0.25, 0.25, 0.25]),
        *seeds("1", [0.30, 0.31, 0.32]),
        failed(3, "loss is not finite at step 3", name="learning_rate=1 seed=3"),
    ]
    told = report(
        outcomes,
        title="rates",
        n_jobs=12,
        duration_s=41.2,
        notes=["3 points were given twice and run once"],
    )
    assert printed(told) == (
        "rates\n"
        "9 runs of 3 configurations by val/loss, smallest first\n"
        "   learning_rate       val/loss  n    val/accuracy\n"
        "1  0.1            0.110 ± 0.025  3   0.890 ± 0.025\n"
        "2  0.04            0.25 ± 0      3  0.7500 ± 0\n"
        "3  1              0.310 ± 0.025  3   0.690 ± 0.025\n"
        "learning_rate=0.1 is better than learning_rate=0.04 by 0.140 [0.115, 0.165] in val/loss"
        " over 3 common seeds.\n"
        "3 points were given twice and run once\n"
        "1 of 10 runs did not finish\n"
        "  FAILED  learning_rate=1 seed=3: loss is not finite at step 3\n"
        "2 of 12 jobs have not run\n"
        "took 41 s\n"
        f"Look at them: {STORE}\n"
    )


def test_without_several_seeds_the_table_is_that_of_runs() -> None:
    outcomes = [outcome(n, varied={"rate": f"{n}", "seed": "0"}) for n in range(3)]
    outcomes += [failed(n, varied={"rate": f"{n}", "seed": "0"}) for n in range(3, 5)]
    file = io.StringIO()
    with printing(file) as out:
        print_runs(out, outcomes, "val/loss")
        print_failures(out, outcomes)
        out.link(STORE, "them")
    assert printed(report(outcomes)) == file.getvalue()
    assert "run" in table(file.getvalue())[0]


def test_one_run_that_finished_has_its_row() -> None:
    assert printed(report([outcome(0)])).startswith("1 run by val/loss, smallest first\n")


def test_one_configuration_alone_is_summed_up() -> None:
    text = printed(report([outcome(n, varied={"seed": f"{n}"}) for n in range(10)]))
    assert text.startswith("10 runs of 1 configuration by val/loss, smallest first\n")
    assert table(text)[1][:3] == ["1", "0.5045 ± 0.0022", "10"]
    assert "better" not in text
    assert "distinguishable" not in text


def test_configurations_are_ranked_by_their_means() -> None:
    outcomes = [*seeds("a", [0.1, 0.9]), *seeds("b", [0.3, 0.4]), *seeds("c", [0.2, math.nan])]
    assert [row[:2] for row in table(printed(report(outcomes)))[1:]] == [
        ["1", "b"],
        ["2", "a"],
        ["3", "c"],
    ]
    by_accuracy = printed(report(outcomes, metric="val/accuracy"))
    assert by_accuracy.startswith("6 runs of 3 configurations by val/accuracy, largest first\n")
    assert [row[1] for row in table(by_accuracy)[1:]] == ["b", "a", "c"]


def test_equal_means_are_ranked_by_the_next_metric_and_then_by_settings() -> None:
    def runs(rate: str, losses: list[float]) -> list[Outcome]:
        return [
            replace(run, metrics={**run.metrics, "val/accuracy": 1.0})
            for run in seeds(rate, losses)
        ]

    outcomes = [*runs("10", [0.2, 0.2]), *runs("9", [0.2, 0.2]), *runs("1", [0.3, 0.2])]
    for given in (outcomes, outcomes[::-1]):
        told = table(printed(report(given, metric="val/accuracy")))
        assert [row[1] for row in told[1:]] == ["9", "10", "1"]


def test_signs_stand_in_a_row_where_some_have_no_interval() -> None:
    outcomes = [*seeds("a", [0.1, 0.2]), *seeds("b", [0.5]), *seeds("c", [1.0, 3.0])]
    lines = printed(report(outcomes)).splitlines()[2:5]
    # 12.706 * s / sqrt(2) is 0.635 for 0.1 and 0.2.
    assert [line[:33].rstrip() for line in lines] == [
        "1  a              0.15 ± 0.64  2",
        "2  b               0.5         1",
        "3  c                 2 ± 13    2",
    ]


def test_the_number_of_seeds_is_of_those_that_have_the_metric() -> None:
    outcomes = [
        *seeds("a", [0.1, 0.2, 0.3]),
        failed(9, varied={"optimizer.learning_rate": "a", "seed": "9"}),
        outcome(0, varied={"optimizer.learning_rate": "b", "seed": "0"}, metrics={}),
    ]
    (_, *rows) = table(printed(report(outcomes)))
    assert rows == [["1", "a", "0.20 ± 0.25", "3", "0.80 ± 0.25"], ["2", "b", "0"]]


def test_a_configuration_of_which_nothing_finished_is_not_ranked() -> None:
    lost = [failed(n, varied={"optimizer.learning_rate": "9", "seed": f"{n}"}) for n in range(2)]
    text = printed(report([*seeds("0.1", [0.1, 0.2]), *lost]))
    assert text.startswith("2 runs of 1 configuration by val/loss")
    assert table(text)[1][:2] == ["1", "0.1"]
    assert "2 of 4 runs did not finish" in text


# The differences of the seeds are 1, 2 and 3: 2 on average, give or take 4.303 / sqrt(3) = 2.48.
def test_what_seeds_alone_may_explain_is_not_called_better() -> None:
    text = printed(report([*seeds("a", [11, 22, 33]), *seeds("b", [10, 20, 30])]))
    assert (
        "learning_rate=b and learning_rate=a are not distinguishable in val/loss with 3 seeds:"
        " difference 2.0 [-0.5, 4.5].\n"
    ) in text


def test_by_accuracy_the_larger_one_is_better() -> None:
    outcomes = [*seeds("a", [0.10, 0.21, 0.30]), *seeds("b", [0.60, 0.71, 0.82])]
    assert (
        "learning_rate=a is better than learning_rate=b by 0.507 [0.478, 0.535] in val/accuracy"
        " over 3 common seeds.\n"
    ) in printed(report(outcomes, metric="val/accuracy"))


def test_over_common_seeds_the_runner_up_may_be_the_better_one() -> None:
    # The first is ahead thanks to seeds that the second does not have.
    outcomes = [*seeds("a", [0.0, 0.0, 0.50, 0.51]), *seeds("b", [0.40, 0.41], first=2)]
    text = printed(report(outcomes))
    assert table(text)[1][1] == "a"
    assert (
        "learning_rate=b is better than learning_rate=a by 0.1 [0.1, 0.1] in val/loss"
        " over 2 common seeds.\n"
    ) in text


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
    text = printed(report([*seeds("a", [0.1, 0.2]), *others]))
    assert len(table(text)) == 3
    assert "better" not in text
    assert "distinguishable" not in text


@pytest.mark.parametrize(
    ("n_jobs", "line"),
    [(3, "1 of 3 jobs has not run"), (1002, "1,000 of 1,002 jobs have not run"), (2, None)],
)
def test_jobs_that_have_not_begun_are_counted(n_jobs: int, line: str | None) -> None:
    lines = printed(report([outcome(0), outcome(1)], n_jobs=n_jobs)).splitlines()
    assert [told for told in lines if "jobs" in told] == ([line] if line else [])


def test_a_sweep_that_has_not_begun_says_so() -> None:
    assert printed(report([], n_jobs=12)) == (
        f"12 of 12 jobs have not run\nLook at them: {STORE}\n"
    )


def test_of_many_configurations_the_best_are_shown() -> None:
    outcomes = [run for rate in range(41) for run in seeds(f"{rate}", [rate, rate + 1])]
    text = printed(report(outcomes))
    assert len(table(text)) == 1 + 20
    assert "\nand 21 more\n" in text
    assert len(table(printed(report(outcomes), top=41))) == 1 + 41
    runs = [run for rate in range(41) for run in seeds(f"{rate}", [rate])]
    assert len(table(printed(report(runs), top=30))) == 1 + 30


@pytest.mark.parametrize(
    ("width", "last"), [(200, "test/accuracy"), (40, "val/accuracy"), (30, "n"), (12, "n")]
)
def test_a_table_gives_up_metrics_before_it_cuts_numbers(
    width: int, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    metrics = {"val/loss": 0.1, "val/accuracy": 0.9, "test/accuracy": 0.9}
    outcomes = [
        outcome(seed, varied={"rate": rate, "seed": f"{seed}"}, metrics=metrics)
        for rate in "ab"
        for seed in range(2)
    ]
    with Terminal() as terminal:
        print_sweep(report(outcomes), terminal.file)
        text = plain(terminal.text())
    header, *rows = text.splitlines()[1:4]
    assert header.split()[-1] == last
    assert all("0.1 ± 0" in row for row in rows)
    if width > 12:
        assert max(map(len, (header, *rows))) <= width


def test_names_act_on_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "300")
    outcomes = [
        outcome(seed, name=HOSTILE, varied={HOSTILE: f"{HOSTILE}{n}", "seed": f"{seed}"})
        for n in range(2)
        for seed in range(2)
    ]
    outcomes += [failed(n, HOSTILE, name=HOSTILE, run_id=HOSTILE) for n in range(30)]
    told = report(outcomes, title=HOSTILE, where=HOSTILE, notes=[HOSTILE])
    with Terminal() as terminal:
        print_sweep(told, terminal.file)
        text = terminal.text()
    assert all(found.endswith("m") for found in ESCAPE.findall(text))  # colours of ours alone
    assert plain(text).replace("\n", "").isprintable()
    assert "are not distinguishable" in text


def test_ten_thousand_outcomes_are_told_at_once() -> None:
    losses = [number / 7 % 1 for number in range(10)]
    outcomes = [run for rate in range(1000) for run in seeds(f"{rate}", losses)]
    outcomes += [failed(n, f"reason {n}", varied={"seed": f"{n}"}) for n in range(1000)]
    printed(report(outcomes[:20]))  # imports what it takes
    start = time.process_time()
    printed(report(outcomes))
    # Fifty times what a slow machine takes: what grows with the square would take minutes.
    assert time.process_time() - start < 20
