import math

import numpy as np
import pytest

from runner.figures.style import decade_positions, number_labels, round_positions, typeset


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([], []),
        ([0.0], ["0"]),
        ([0.0, 0.2, 0.4, 0.6000000000000001], ["0.0", "0.2", "0.4", "0.6"]),
        ([0.0, 2.5, 5.0], ["0.0", "2.5", "5.0"]),
        ([0.0, 0.25, 0.5], ["0.00", "0.25", "0.50"]),
        ([0.0, 1000.0, 2000.0], ["0", "1,000", "2,000"]),
        ([0.1231, 0.1232], ["0.1231", "0.1232"]),
        ([-1e-7, 0.0, 1e-7], ["−1e−7", "0", "1e−7"]),  # noqa: RUF001  (true minus signs)
        ([1e8, 1.5e8, 2e8], ["1e8", "1.5e8", "2e8"]),
    ],
)
def test_labels_have_the_digits_that_tell_them_apart(
    values: list[float], labels: list[str]
) -> None:
    assert number_labels(values) == labels


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-3e-9, 2e-9), (1e8, 1.0001e8), (-5, 5), (0.1, 97.3), (0, 1e300)]
)
def test_round_positions_lie_inside_and_are_told_apart(low: float, high: float) -> None:
    positions = round_positions(low, high, at_most=5)
    slack = (high - low) * 1e-9
    assert 2 <= len(positions) <= 6
    assert low - slack <= positions[0]
    assert positions[-1] <= high + slack
    assert len({*number_labels(positions)}) == len(positions)


@pytest.mark.parametrize(
    ("low", "high"), [(1e-3, 1), (0.007, 0.5), (1e-8, 1), (0.3, 12), (1e-300, 1e300), (2e-5, 3e4)]
)
def test_decades_are_few_inside_and_round(low: float, high: float) -> None:
    positions = decade_positions(low, high, at_most=6)
    assert 2 <= len(positions) <= 7
    assert low <= positions[0]
    assert positions[-1] <= high
    leading = [position / 10.0 ** math.floor(math.log10(position)) for position in positions]
    np.testing.assert_allclose(np.isin(np.round(leading), [1, 2, 3, 5, 10]), True)


def test_a_number_is_set_without_needless_letters() -> None:
    assert typeset("-1.5e+05") == "−1.5e5"  # noqa: RUF001  (a true minus sign)
    assert typeset("2e-07") == "2e−7"  # noqa: RUF001
    assert typeset("1e+10") == "1e10"
