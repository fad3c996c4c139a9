from pathlib import Path

import numpy as np
import pytest

from runner.figures.grid import Names
from runner.figures.matrices import draw_heat_map
from runner.figures.measures import Measure
from tests.runner.figures.pixels import center, near, pixels

NAN = float("nan")
BRIGHTEST, DARKEST = (0.993, 0.906, 0.144), (0.267, 0.005, 0.329)  # the ends of "viridis"
MISSING, BLACK, INK = (0.88, 0.88, 0.88), (0.0, 0.0, 0.0), (0.133, 0.133, 0.133)
SQUARE = np.array([[0.1, 0.2], [0.3, 0.4]])


def drawn(values: np.ndarray, folder: Path, metric: str = "val/loss", failed: bool = False) -> Path:
    path = folder / "map.png"
    rows, columns = (
        Names(n, [str(i) for i in range(s)]) for n, s in zip("ba", values.shape, strict=True)
    )
    ran = ~np.isnan(values) | failed
    draw_heat_map(values, ran, rows, columns, Measure(metric), path, title="a sweep")
    return path


def test_the_best_cell_is_the_brightest_and_framed(tmp_path: Path) -> None:
    smallest, largest = (pixels(drawn(SQUARE, tmp_path, f"val/{m}")) for m in ("loss", "accuracy"))
    for picture, other in ((smallest, largest), (largest, smallest)):
        bright = center(near(picture, BRIGHTEST))
        assert center(near(picture, BLACK)) == pytest.approx(bright, abs=3)
        assert center(near(other, DARKEST)) == pytest.approx(bright, abs=3)


def test_rows_are_numbered_upwards_and_columns_rightwards(tmp_path: Path) -> None:
    down, left = center(near(pixels(drawn(SQUARE, tmp_path)), BRIGHTEST))
    up, right = center(near(pixels(drawn(SQUARE, tmp_path)), DARKEST))
    assert down - up == pytest.approx(0.46 * 150, abs=3)  # the height of a cell
    assert right - left == pytest.approx(0.9 * 150, abs=3)


def test_cells_that_were_not_run_and_those_that_failed_are_told_apart(tmp_path: Path) -> None:
    values = np.where(SQUARE == 0.2, NAN, SQUARE)
    cell = 0.9 * 150 * 0.46 * 150
    missing = near(pixels(drawn(values, tmp_path)), MISSING).sum()
    crossed = near(pixels(drawn(values, tmp_path, failed=True)), MISSING).sum()
    assert 0.9 * cell < missing <= cell
    assert 10 < missing - crossed < 0.1 * cell  # the cross takes its place


@pytest.mark.parametrize(("n", "numbered"), [(10, True), (11, False)])
def test_few_cells_hold_their_numbers(n: int, numbered: bool, tmp_path: Path) -> None:
    values = np.full((n, n), 0.2)
    values[0] = 0.3
    picture = pixels(drawn(values, tmp_path))
    bright = near(picture, BRIGHTEST)
    rows, columns = np.nonzero(bright)
    rows, columns = rows[columns < n * 0.55 * 150], columns[columns < n * 0.55 * 150]
    inside = picture[rows.min() : rows.max(), columns.min() : columns.max()]
    assert bool(near(inside, INK).sum() > 100) is numbered


def test_one_value_that_ran_away_takes_no_colour_from_the_others(tmp_path: Path) -> None:
    values = np.array([[0.1, 0.2, 0.3], [0.35, 0.4, 1e9]])
    dark = near(pixels(drawn(values, tmp_path)), DARKEST).sum()
    cell = 0.9 * 150 * 0.46 * 150
    assert 1.4 * cell < dark < 2.0 * cell  # the worst of the others and the wild one


@pytest.mark.parametrize(
    "values",
    [
        np.full((2, 2), 0.5),
        np.array([[NAN, NAN], [NAN, 0.0]]),
        np.array([[1e-300, 1e299], [1.0, -1.0]]),
        np.geomspace(1e-5, 1e5, 9).reshape(3, 3),
        np.arange(200.0).reshape(2, 100),
        np.arange(200.0).reshape(100, 2),
    ],
)
def test_any_values_are_drawn(values: np.ndarray, tmp_path: Path) -> None:
    picture = pixels(drawn(values, tmp_path))
    assert max(picture.shape) < 2_000
    assert near(picture, BLACK).sum() > 10  # the frame of the best
