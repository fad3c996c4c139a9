"""What a person reads of a rerun: the verdict first, then where, how much, and why."""

import math
from dataclasses import replace

import pytest

from runner.jobs.rerun import Comparison, EnvironmentDifference, Verdict
from runner.jobs.rerun.comparison import Difference, cannot_compare
from runner.report.rerun import RerunLine, print_environment, print_line, print_lines
from tests.runner.report.outcomes import printed

SAME = Comparison(Verdict.IDENTICAL, n_values=162, n_parameters=10)
OFF = Comparison(
    Verdict.CLOSE,
    n_values=162,
    n_parameters=1,
    causes=("BLAS kernel",),
    metric=Difference("val/loss at step 300", "0.25", "0.2500000000000001"),
    ulps=2,
    relative=4.4e-16,
)
LARGE = replace(OFF, verdict=Verdict.DIFFERENT, relative=0.5, ulps=1e15)
UNEXPLAINED = "  Nothing that decides the bits differs here, and all parameters are the same:"
KERNEL = EnvironmentDifference("BLAS kernel", "SkylakeX", "Haswell", decides=True)
PACKAGE = EnvironmentDifference("mlflow", "3.17.1", "3.17.2", decides=False)


def line(comparison: Comparison | None, name: str = "seed=3", **changes: object) -> RerunLine:
    return RerunLine(name, comparison, **changes)


def test_an_identical_run_says_how_much_was_compared() -> None:
    assert printed(print_line, line(SAME), None) == (
        "seed=3  IDENTICAL\n  162 values of the metrics and 10 parameters have the same bits.\n"
    )


def test_a_close_run_names_the_first_place_the_size_and_the_cause() -> None:
    assert printed(print_line, line(OFF), None) == (
        "seed=3  CLOSE\n"
        "  162 values of the metrics and 1 parameter were compared.\n"
        "  All parameters have the same bits.\n"
        "                               where                 original  rerun\n"
        "the first metric that differs  val/loss at step 300  0.25      0.2500000000000001\n"
        "  The largest difference: 2 units in the last place, 4.4e-16 relative.\n"
        "  Cause: BLAS kernel.\n"
    )


def test_what_differs_between_machines_has_what_decides_bits_first() -> None:
    assert printed(print_environment, [PACKAGE, KERNEL]) == (
        "what differs  original  here     decides bits\n"
        "BLAS kernel   SkylakeX  Haswell  yes\n"
        "mlflow        3.17.1    3.17.2   no\n"
    )
    nothing = "Nothing differs between where it ran and here.\n"
    assert printed(print_environment, []) == nothing


@pytest.mark.parametrize(
    ("comparison", "said"),
    [
        (replace(OFF, n_one_sided=1), "  1 value of the metrics stands on one side alone."),
        (replace(OFF, n_one_sided=2), "  2 values of the metrics stand on one side alone."),
        (OFF, "  It is admitted by --tolerance 1e-12."),
        (replace(OFF, relative=1e-9), "  It is not admitted by --tolerance 1e-12."),
        (
            replace(LARGE, causes=()),
            (
                f"{UNEXPLAINED} the record of the metric was changed after the run, or this "
                "program has a fault."
            ),
        ),
        (LARGE, "  The largest difference: 0.5 relative."),
        (LARGE, "  Too much for what differs here to be the cause (BLAS kernel)."),
        (replace(LARGE, causes=("data digest",)), "  Cause: data digest."),
        (
            replace(LARGE, relative=math.inf),
            (
                "  The largest difference cannot be measured: a value is missing, given twice or "
                "not finite, or shapes differ."
            ),
        ),
        (
            replace(SAME, verdict=Verdict.DIFFERENT, findings=("a: was changed",)),
            "  a: was changed",
        ),
        (
            replace(SAME, verdict=Verdict.DIFFERENT),
            "  The data are others, so it is not called IDENTICAL.",
        ),
    ],
)
def test_a_verdict_says_why(comparison: Comparison, said: str) -> None:
    lines = printed(print_line, line(comparison), 1e-12).splitlines()
    assert lines[0] == f"seed=3  {comparison.verdict}"
    assert said in lines


def test_jobs_that_cannot_be_compared_for_one_reason_share_a_line() -> None:
    one, many = line(cannot_compare("run a: gone")), line(cannot_compare("old"), "9 jobs", n_jobs=9)
    text = printed(print_lines, [one, many, line(SAME)], 0, None)
    assert "seed=3  CANNOT COMPARE  run a: gone\n9 jobs  CANNOT COMPARE  old\n" in text
    assert "1 of 11 identical, 10 not comparable\n" in text


def test_other_settings_are_shown_side_by_side() -> None:
    changed = line(
        None,
        settings={"seed": ("3", "4")},
        metrics={"val/loss": (0.5, 0.25), "best/step": (None, 100.0)},
    )
    assert printed(print_line, changed, None) == (
        "seed=3  with other settings\n"
        "setting  original  rerun\n"
        "seed     3         4\n"
        "metric     original  rerun  difference\n"
        "val/loss        0.5   0.25       -0.25\n"
        "best/step              100\n"
    )


def test_a_sweep_sums_up_and_tells_only_what_is_not_identical() -> None:
    lines = [line(SAME), line(OFF, name="seed=4"), line(SAME), line(cannot_compare("gone"))]
    text = printed(print_lines, lines, 0, None)
    assert text.startswith("seed=4  CLOSE\n")
    assert text.endswith("2 of 4 identical, 1 close, 1 not comparable\n")
    thousand = printed(print_lines, [line(SAME)] * 1000, 0, None)
    assert thousand == "1,000 of 1,000 identical\n"


def test_a_sweep_counts_what_broke_off_and_what_there_was_no_time_for() -> None:
    lines = [line(SAME), line(None, failure="no room")]
    assert printed(print_lines, lines, 3, None) == (
        "seed=3  FAILED: no room\n1 of 5 identical, 1 broke off, 3 not run\n"
    )
