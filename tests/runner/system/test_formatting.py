import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.system.formatting import duration, interval, measured, number


@pytest.mark.parametrize(
    ("mean", "half_width", "expected"),
    [
        (0.0123456, 0.00123, ("0.0123", "0.0012")),
        (0.5, 0.0996, ("0.50", "0.10")),  # rounded up, it has a digit less to show
        (12.3456, 1.25, ("12.3", "1.2")),  # as all of Python, it rounds halves to even
        (1234.5, 12.3, ("1,234", "12")),
        (1234.5, 123.0, ("1,230", "120")),
        (-0.001, 0.25, ("0.00", "0.25")),  # never -0.00
        (0.25, 0.0, ("0.25", "0")),
        (1.5e-7, 2.5e-9, ("1.5e-07", "2.5e-09")),
        (2.5e7, 1.5e6, ("2.5e+07", "1.5e+06")),
        (0.5, 1.5e-12, ("0.5", "1.5e-12")),
        (0.5, math.inf, ("0.5", "")),
        (math.nan, math.nan, ("nan", "")),
    ],
)
def test_a_mean_ends_where_its_interval_has_two_digits(
    mean: float, half_width: float, expected: tuple[str, str]
) -> None:
    assert measured("val/loss", mean, half_width) == expected


@given(st.floats(-1e5, 1e5), st.floats(1e-6, 1e5))
def test_what_is_written_is_right_to_the_second_digit(mean: float, half_width: float) -> None:
    unit = 10 ** (math.floor(math.log10(half_width)) - 1)
    texts = measured("val/loss", mean, half_width)
    for text, value in zip(texts, (mean, half_width), strict=True):
        # A unit of the second digit, ten times that where 0.0996 became 0.10.
        assert float(text.replace(",", "")) == pytest.approx(value, abs=5.01 * unit)


def test_where_there_is_no_interval_a_metric_is_written_as_ever() -> None:
    assert measured("val/accuracy", 0.75, math.nan) == (number("val/accuracy", 0.75), "")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.001, -0.02, 0.022), "0.001 [-0.020, 0.022]"),
        ((0.25, 0.25, 0.25), "0.25 [0.25, 0.25]"),
        ((-0.0, -0.0, -0.0), "0 [0, 0]"),
        ((-0.51, -1.02, -0.00096), "-0.5100 [-1.0200, -0.0010]"),
        ((5.0, 1e-12, 10.0), "5 [1e-12, 10]"),
        ((1.5e-9, 1e-9, 2e-9), "1.5e-09 [1e-09, 2e-09]"),
    ],
)
def test_an_interval_has_two_digits_of_half_its_width(
    values: tuple[float, float, float], expected: str
) -> None:
    assert interval(*values) == expected


@given(st.floats(1e-9, 1e5), st.floats(1e-6, 1e6), st.sampled_from([1, -1]))
def test_an_interval_without_zero_is_seen_to_be_without_it(
    nearest: float, width: float, sign: int
) -> None:
    ends = sorted((sign * nearest, sign * (nearest + width)))
    told = interval(sum(ends) / 2, *ends).partition("[")[2].strip("]").replace(",", "").split()
    assert all(float(text) * sign > 0 for text in told)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (3629.0, "1 h 0 min"),
        (86400.0 * 50, "1,200 h 0 min"),
    ],
)
def test_a_time_has_two_units_at_most(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
