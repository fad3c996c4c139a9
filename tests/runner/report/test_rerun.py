"""What a person reads of a rerun: the verdict first, then where, how much, and why."""

import io
from dataclasses import replace

from runner.jobs.rerun import Comparison, EnvironmentDifference, Verdict
from runner.jobs.rerun.comparison import Difference, cannot_compare
from runner.report.rerun import RerunLine, print_rerun
from tests.runner.report.outcomes import HOSTILE, STORE

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
KERNEL = EnvironmentDifference("BLAS kernel", "SkylakeX", "Haswell", decides=True)
PACKAGE = EnvironmentDifference("mlflow", "3.17.1", "3.17.2", decides=False)


def line(comparison: Comparison | None, name: str = "seed=3", **changes: object) -> RerunLine:
    return RerunLine(name, comparison, **changes)


def printed(*lines: RerunLine, **changes: object) -> str:
    facts = {
        "title": None if len(lines) == 1 else ("sweep-1", ""),
        "differences": [],
        "ids": ("b" * 32, "a" * 32),
        "where": None,
        "duration_s": 1.26,
        **changes,
    }
    file = io.StringIO()
    print_rerun(lines, file=file, **facts)  # type: ignore[arg-type]  # what a test says
    return file.getvalue()


def test_an_identical_run_says_how_much_was_compared_and_where_it_is() -> None:
    assert printed(line(SAME), where=STORE) == (
        "seed=3  IDENTICAL\n"
        "  162 values of the metrics and 10 parameters have the same bits.\n"
        "Nothing differs between where it ran and here.\n"
        "took 1.3 s\n"
        f"run {'b' * 32}, a rerun of {'a' * 32}\n"
        f"Look at it: {STORE}\n"
    )


def test_a_close_run_names_the_first_place_the_size_and_the_cause() -> None:
    assert printed(line(OFF), differences=[PACKAGE, KERNEL]) == (
        "seed=3  CLOSE\n"
        "  162 values of the metrics and 1 parameter were compared.\n"
        "  All parameters have the same bits.\n"
        "                               where                 original  rerun\n"
        "the first metric that differs  val/loss at step 300  0.25      0.2500000000000001\n"
        "  The largest difference: 2 units in the last place, 4.4e-16 relative.\n"
        "  Cause: BLAS kernel.\n"
        "what differs  original  here     decides bits\n"
        "BLAS kernel   SkylakeX  Haswell  yes\n"
        "mlflow        3.17.1    3.17.2   no\n"
        "took 1.3 s\n"
    )


def test_values_of_one_side_are_counted() -> None:
    one, two = (printed(line(replace(OFF, n_one_sided=n))) for n in (1, 2))
    assert "  1 value of the metrics stands on one side alone.\n" in one
    assert "  2 values of the metrics stand on one side alone.\n" in two


def test_tolerance_says_whether_it_admits() -> None:
    assert "It is admitted by --tolerance 1e-12." in printed(line(OFF), tolerance=1e-12)
    assert "It is not admitted by --tolerance 1e-18." in printed(line(OFF), tolerance=1e-18)


def test_a_changed_metric_beside_equal_weights_is_called_a_changed_record() -> None:
    text = printed(line(replace(OFF, verdict=Verdict.DIFFERENT, causes=())))
    assert "the record of the metric was changed after the run." in text


def test_a_difference_too_large_for_its_causes_says_so() -> None:
    different = replace(OFF, verdict=Verdict.DIFFERENT, relative=0.5, ulps=1e15)
    text = printed(line(different))
    assert "  The largest difference: 0.5 relative.\n" in text
    assert "Too much for what differs here to be the cause (BLAS kernel)." in text
    other_data = replace(different, causes=("data digest",))
    assert "  Cause: data digest.\n" in printed(line(other_data))


def test_what_cannot_be_compared_says_why() -> None:
    assert printed(line(cannot_compare("weights.npz: is missing"))).startswith(
        "seed=3  CANNOT COMPARE\n  weights.npz: is missing\n"
    )


def test_a_finding_is_told_with_the_verdict() -> None:
    changed = replace(SAME, verdict=Verdict.DIFFERENT, findings=("model.json: was changed",))
    text = printed(line(changed))
    assert text.startswith("seed=3  DIFFERENT\n  model.json: was changed\n")
    assert "have the same bits." in text


def test_other_settings_are_shown_side_by_side() -> None:
    text = printed(
        line(
            None,
            settings=[("seed", "3", "4")],
            metrics=[("val/loss", 0.5, 0.25), ("best/step", None, 100.0)],
        )
    )
    assert text.startswith(
        "seed=3  with other settings\n"
        "setting  original  rerun\n"
        "seed     3         4\n"
        "metric     original  rerun  difference\n"
        "val/loss        0.5   0.25       -0.25\n"
        "best/step              100\n"
    )


def test_a_sweep_sums_up_and_tells_only_what_is_not_identical() -> None:
    lines = [line(SAME), line(OFF, name="seed=4"), line(SAME), line(cannot_compare("gone"))]
    text = printed(*lines, title=("sweep-1", ", a sample of 10"))
    assert text.startswith("sweep-1, a sample of 10\nseed=4  CLOSE\n")
    assert "2 of 4 identical, 1 close, 1 not comparable\n" in text
    assert "1,000 of 1,000 identical\n" in printed(*[line(SAME)] * 1000)


def test_a_sweep_lists_what_broke_off() -> None:
    text = printed(line(SAME), line(None, failure="no room"))
    assert "seed=3  FAILED: no room\n" in text
    assert "1 of 2 identical, 1 broke off\n" in text


def test_what_an_interrupt_left_no_time_for_is_counted() -> None:
    text = printed(line(SAME), line(OFF), n_missing=3, differences=None)
    assert "1 of 5 identical, 1 close, 3 not run\n" in text


def test_nothing_is_said_of_the_machine_where_nothing_was_run() -> None:
    text = printed(line(cannot_compare("gone")), line(cannot_compare("gone")), differences=None)
    assert "Nothing differs" not in text


def test_text_of_a_record_does_not_act_on_the_terminal() -> None:
    hostile = line(
        replace(OFF, findings=(HOSTILE,), metric=Difference(HOSTILE, HOSTILE, HOSTILE)),
        name=HOSTILE,
    )
    differences = [EnvironmentDifference(HOSTILE, HOSTILE, HOSTILE, decides=True)]
    text = printed(hostile, differences=differences, where=STORE, ids=(HOSTILE, HOSTILE))
    text += printed(hostile, hostile, title=(HOSTILE, ""))
    text += printed(line(None, settings=[(HOSTILE,) * 3], metrics=[(HOSTILE, 1.0, 2.0)]))
    assert all(letter.isprintable() or letter == "\n" for letter in text)
