"""Numbers with as many digits as mean something, and no more."""

from __future__ import annotations

import math
from datetime import datetime

# Metrics from 0 to 1, to be read beside each other.
_SHARES = (
    *("accuracy", "balanced_accuracy", "f1", "roc_auc", "average_precision"),
    *("precision", "recall"),
)


def number(metric: str, value: float | None) -> str:
    """Write the value of a metric; nothing for None.

    Examples
    --------
    >>> number("val/loss", 0.0123456), number("val/accuracy", 0.9), number("best/step", 1200.0)
    ('0.01235', '0.9000', '1,200')
    >>> number("val/f1_macro", 1.0), number("recall_Adelie", 0.5)
    ('1.0000', '0.5000')
    """
    if value is None:
        return ""
    end = metric.rpartition("/")[2]
    if end.startswith(_SHARES):
        return f"{value:.4f}"
    return f"{value:,.0f}" if end == "step" else f"{value:.4g}"


def measured(metric: str, mean: float, half_width: float) -> tuple[str, str]:
    """Write a mean and half the width of its interval, which has two digits that count.

    The mean ends at the same decimal. There is no second part where there is no interval.

    Examples
    --------
    >>> measured("val/loss", 0.0123456, 0.00098)
    ('0.01235', '0.00098')
    >>> measured("val/loss", 0.0123456, 0.000998)
    ('0.0123', '0.0010')
    >>> measured("val/loss", 0.0123456, float("nan"))
    ('0.01235', '')
    """
    if not math.isfinite(half_width):
        return number(metric, mean), ""
    if half_width == 0:
        return number(metric, mean), "0"
    mean_text, half_text = _alike([mean, half_width], half_width)
    return mean_text, half_text


def interval(value: float, low: float, high: float) -> str:
    """Write a value with its interval; one that leaves 0 out is seen to do so.

    Examples
    --------
    >>> interval(0.012345, 0.01002, 0.014601)
    '0.0123 [0.0100, 0.0146]'
    >>> interval(0.51, 0.0013, 1.02)
    '0.510 [0.001, 1.020]'
    """
    uncertainty = (high - low) / 2
    if low > 0 or high < 0:
        # At least one digit of the end that is nearer to 0.
        uncertainty = min(uncertainty, 10 * min(abs(low), abs(high)))
    value_text, low_text, high_text = _alike([value, low, high], uncertainty)
    return f"{value_text} [{low_text}, {high_text}]"


def _alike(values: list[float], uncertainty: float) -> list[str]:
    """Write values down to the second digit of their uncertainty.

    Numbers with many zeros are written in powers of ten.
    """
    largest = _exponent(max(map(abs, values)))
    # The second significant digit: 0.0996 is written 0.10, with two decimals.
    decimals = 1 - _exponent(uncertainty)
    # Adding 0.0 removes the sign of -0.0, which comes from rounding and negating.
    if uncertainty == 0 or not -5 < largest < 6 or decimals > 8:
        return [f"{value + 0.0:.4g}" for value in values]
    return [f"{round(value, decimals) + 0.0:,.{max(decimals, 0)}f}" for value in values]


def _exponent(value: float) -> int:
    return int(f"{value:.1e}".partition("e")[2])


def local_time(seconds: float) -> str:
    """Write a moment, in seconds since 1970, as a clock here would show it."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def duration(seconds: float, *, ahead: bool = False) -> str:
    """Write how long something took, or, with `ahead`, how long it is going to take.

    An estimate is rounded up, to whole seconds.

    Examples
    --------
    >>> duration(4.13), duration(41.3), duration(200), duration(7500)
    ('4.1 s', '41 s', '3 min 20 s', '2 h 5 min')
    >>> duration(4.13, ahead=True)
    '5 s'
    """
    if seconds < 9.95 and not ahead:
        return f"{seconds:.1f} s"
    whole = math.ceil(seconds) if ahead else round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def size(n_bytes: int) -> str:
    """Write how much something takes on a disk.

    Examples
    --------
    >>> size(29_000), size(3_400_000)
    ('29 KiB', '3.2 MiB')
    """
    if n_bytes < 2**20:
        return f"{math.ceil(n_bytes / 2**10):,} KiB"
    return f"{n_bytes / 2**20:,.1f} MiB"


def count(n: int, thing: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> count(1, "run"), count(1000, "run")
    ('1 run', '1,000 runs')
    """
    return f"{n:,} {thing}{'' if n == 1 else 's'}"
