import io
from collections.abc import Sequence

import pytest

from runner.report.console import printing
from runner.report.ranking import further_metrics, print_ranking
from runner.report.table import Column


def printed(n: int, metric: str = "val/loss", top: int | None = None) -> list[str]:
    """Print a ranking of `n` rows, each with its own number."""

    def columns(shown: Sequence[int]) -> tuple[list[Column], list[Column]]:
        return [Column("row", [f"row {row}" for row in shown], "left")], []

    file = io.StringIO()
    with printing(file) as console:
        print_ranking(console, f"{n} rows", metric, range(n), columns, top)
    return file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("metric", "order"), [("val/loss", "smallest first"), ("test/accuracy", "largest first")]
)
def test_the_heading_says_what_comes_first(metric: str, order: str) -> None:
    assert printed(2, metric) == [f"2 rows by {metric}, {order}", "   row", "1  row 0", "2  row 1"]


@pytest.mark.parametrize(
    ("n", "top", "shown", "last"),
    [
        (40, None, 40, "40  row 39"),
        (41, None, 20, "and 21 more"),
        (5000, None, 20, "and 4,980 more"),
        (41, 50, 41, "41  row 40"),
        (41, 3, 3, "and 38 more"),
        (3, 1, 1, "and 2 more"),
    ],
)
def test_of_many_rows_the_best_are_shown(n: int, top: int | None, shown: int, last: str) -> None:
    _, _, *rows = printed(n, top=top)
    assert sum("row" in row for row in rows) == shown
    assert rows[-1] == last


def test_further_metrics_are_those_that_were_recorded_beside_the_one_that_ranks() -> None:
    recorded = ["train/loss", "test/accuracy", "val/loss", "val/accuracy", "best/step"]
    assert further_metrics(recorded, "val/loss") == ["val/accuracy", "test/accuracy"]
