"""Configurations side by side, paired over splits and seeds."""

import pytest

from runner.report.compare import Candidate, print_comparison
from runner.training.statistics import configurations, holm
from tests.runner.report.outcomes import outcome
from tests.runner.terminals import Terminal, plain


def candidate(rate: str, losses: dict[str, list[float]]) -> Candidate:
    """Make the runs of one learning rate: by the digest of their split, a loss for each seed."""
    runs = [
        outcome(
            varied={"optimizer.learning_rate": rate, "seed": f"{seed}", "split.seed": split},
            metrics={"val/loss": loss},
            rows={"train": 60, "val": 30},
        )
        for split, of_seeds in losses.items()
        for seed, loss in enumerate(of_seeds)
    ]
    (folded,) = configurations(runs)
    return Candidate(f"rate {rate}", rate, folded, frozenset())


def test_seeds_of_one_split_are_said_to_be_that(capsys: pytest.CaptureFixture[str]) -> None:
    # The differences are 1, 2 and 3: 2 on average, t = 2 / (1 / sqrt(3)), p = 0.0742.
    first, second = candidate("a", {"x": [11, 22, 33]}), candidate("b", {"x": [10, 20, 30]})
    print_comparison([first, second], "val/loss", [])
    assert capsys.readouterr().out.splitlines() == [
        "A  rate a  (3 runs)",
        "B  rate b  (3 runs)",
        "setting                  A  B",
        "optimizer.learning_rate  a  b",
        "metric          A        B",
        "val/loss  22 ± 27  20 ± 25",
        "metric                difference      p",
        "val/loss  A - B  2.0 [-0.5, 4.5]  0.074",
        "Paired over 3 common seeds; 95 % intervals and p-values by Student's t.",
        (
            "All of it is on one split: the intervals cover seeds alone, and not which rows were "
            "held out. split.seed=range(0,5) varies that."
        ),
    ]


def test_many_are_corrected_for_and_splits_are_paired(capsys: pytest.CaptureFixture[str]) -> None:
    splits = ["x", "y", "z"]
    made = [
        candidate(rate, {s: [n + shift + n * n / 50] for n, s in enumerate(splits)})
        for rate, shift in (("a", 0.0), ("b", 1.0), ("c", 2.0))
    ]
    made[1] = candidate("b", {"x": [1.1], "y": [2.0], "z": [3.2]})
    made.append(candidate("d", {"w": [1.0]}))
    made.append(candidate("e", {s: [1.5 * n] for n, s in enumerate(splits)}))
    print_comparison(made, "val/loss", ["val/loss"])
    *_, b, c, d, e, alone, in_each, basis, correction = capsys.readouterr().out.splitlines()
    assert [line.split()[1:4] for line in (b, c, d, e)] == [["A", "-", x] for x in "BCDE"]
    assert c.endswith("-2 in each")
    assert d.split()[4:] == ["0.03333"]
    assert alone.startswith("Without an interval: the difference of the means, as fewer than two")
    assert in_each.startswith("In each: without any variation no interval and no p-value")
    assert basis == (
        "Paired over 3 common splits; 95 % intervals and p-values by the test of Nadeau and Bengio."
    )
    assert correction == (
        "The p-values have Holm's correction for the comparisons of a metric: 3 of val/loss. The "
        "intervals have none: each holds for itself alone."
    )


def test_settings_that_only_some_have_are_named_on_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    of_file = outcome(varied={"data.path": "mine.csv", "seed": "0"}, metrics={"val/loss": 0.5})
    (folded,) = configurations([of_file])
    other = Candidate("own", "own", folded, frozenset())
    print_comparison([candidate("a", {"x": [1.0]}), other], "val/loss", [])
    printed = capsys.readouterr().out
    assert "\nNot all have a setting optimizer.learning_rate, data.path.\n" in printed
    assert "\nval/loss  A - B         0.5\nWithout an interval: " in printed


def test_corrected_p_values_are_those_of_the_definition() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005], 4) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([], 0) == []


def test_a_comparison_without_variation_counts_in_the_correction(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # As above p = 0.0742 for c, twice that for two comparisons; b differs by 1 in each.
    made = [candidate("a", {"x": [11, 22, 33]}), candidate("b", {"x": [10, 21, 32]})]
    print_comparison([*made, candidate("c", {"x": [10, 20, 30]})], "val/loss", [])
    printed = capsys.readouterr().out
    assert "A - B        1 in each" in printed
    assert "  2.0 [-0.5, 4.5]  0.15\n" in printed
    assert "correction for the comparisons of a metric: 2 of val/loss." in printed


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_terminal_shows_all_candidates_and_whole_names(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    made = [candidate(rate, {"x": [n, n * n / 7]}) for n, rate in enumerate("abcd", start=1)]
    with Terminal() as terminal:
        monkeypatch.setattr("sys.stdout", terminal.file)
        print_comparison(made, "val/loss", [])
        monkeypatch.undo()
        lines = plain(terminal.text()).splitlines()
    headers = [line.split() for line in lines if line.split()[:1] in (["setting"], ["metric"])]
    for name in ("setting", "metric"):
        assert [x for words in headers[:-1] if words[0] == name for x in words[1:]] == [*"ABCD"]
    assert "optimizer.learning_rate" in "\n".join(lines)
    assert not any("…" in line for line in lines)


def test_numbers_that_were_drawn_are_shown_as_shortly_as_tells_them_apart(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = [candidate(r, {"x": [1.0]}) for r in ("0.0991981398061328", "0.0123456789012345")]
    print_comparison(made, "val/loss", [])
    assert "\noptimizer.learning_rate  0.0992  0.0123\n" in capsys.readouterr().out


def test_many_are_rows_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    made = [candidate(rate, {"x": [1.0, 2.0]}) for rate in "abcde"]
    print_comparison(made, "val/loss", [])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[5:11]] == [
        ["learning_rate", "val/loss"],
        *([letter, rate] for letter, rate in zip("ABCDE", "abcde", strict=True)),
    ]
