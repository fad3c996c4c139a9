"""The paper that all figures are drawn on: size, colours, fonts, labelled axes, saving.

It must not know what is drawn. matplotlib's own ticks cost 3 ms each, more than all the rest of
a picture, so axes are labelled here with plain text and one collection of lines.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D, Transform

from runner.figures.lettering import DPI, INCHES, draw_texts, fonts

# Okabe and Ito (2008), "Color Universal Design": eight colours that people with any kind of
# colour vision tell apart. Yellow comes last, because it is faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
INK = "#222222"
MUTED = "#6B6B6B"
FAINT = "#DDDDDD"

TEXT_PT = 9.0
SMALL_PT = 8.0


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save with our settings, whatever a person's matplotlibrc holds.

    A `$` in a name is a dollar, not the start of a formula; a letter that no font has is drawn as
    a box, without a warning among the results.
    """
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rc("font", family=list(fonts()), size=TEXT_PT)
        mpl.rc("text", color=INK, parse_math=False)
        mpl.rc("axes", edgecolor=MUTED, linewidth=0.8, xmargin=0.0, ymargin=0.0)
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


def page(width: float, height: float) -> Figure:
    """Make an empty figure of a size in inches."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def axes_at(
    figure: Figure, left: float, bottom: float, width: float, height: float, frame: bool = True
) -> Axes:
    """Add axes without ticks at a place in inches from the lower left corner."""
    whole_width, whole_height = figure.get_size_inches()
    place = (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
    axes = figure.add_axes(place)
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)
    for side, spine in axes.spines.items():
        spine.set_visible(frame and side in ("left", "bottom"))
    return axes


def write(
    figure: Figure, x: float, y: float, text: str, *, size: float = TEXT_PT, color: str = INK,
    align: str = "left", bold: bool = False,
) -> None:  # fmt: skip
    """Write text with its baseline at a place in inches from the lower left corner."""
    figure.text(
        x, y, text, transform=INCHES, size=size, color=color, ha=align,
        va="baseline", weight="bold" if bold else "normal",
    )  # fmt: skip


def save(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the picture alone: no date, no version in it."""
    # Level 1 halves the time to write; the file grows by a fifth.
    figure.savefig(
        path, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 1}
    )


def label_axis(
    axes: Axes,
    which: Literal["x", "y"],
    positions: Sequence[float],
    labels: Sequence[str],
    *,
    size: float = SMALL_PT,
    upright: bool = False,
    grid: bool = False,
) -> None:
    """Write labels along the lower or left side, and faint lines across where `grid` is set."""
    places = [(at, 0.0) if which == "x" else (0.0, at) for at in positions]
    draw_texts(
        axes, labels, places, size=size, colors=MUTED, transform=_beside(axes, which),
        align="center" if which == "x" and not upright else "right",
        anchor="middle" if which == "y" or upright else "top", upright=upright,
    )  # fmt: skip
    if grid:
        lines = [
            [(at, 0.0), (at, 1.0)] if which == "x" else [(0.0, at), (1.0, at)] for at in positions
        ]
        middle = axes.get_xaxis_transform() if which == "x" else axes.get_yaxis_transform()
        axes.add_collection(
            LineCollection(lines, transform=middle, colors=FAINT, linewidths=0.6, zorder=0.5),
            autolim=False,
        )


def _beside(axes: Axes, which: Literal["x", "y"]) -> Transform:
    """Place labels a few points outside of the axes, at data positions along the side."""
    gap = 4.0 / 72.0 * DPI
    if which == "x":
        return axes.get_xaxis_transform() + Affine2D().translate(0.0, -gap)
    return axes.get_yaxis_transform() + Affine2D().translate(-gap, 0.0)


def round_positions(low: float, high: float, at_most: int) -> list[float]:
    """Choose round numbers between two limits, for a linear axis."""
    values = MaxNLocator(nbins=at_most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    slack = (high - low) * 1e-9
    return [float(v) for v in values if low - slack <= v <= high + slack]


def decade_positions(low: float, high: float, at_most: int) -> list[float]:
    """Choose powers of ten between two positive limits, with 2 and 5 where there is room."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = max(1, math.ceil((last - first) / at_most))
    found: list[float] = []
    for digits in ((1, 2, 5), (1, 3), (1,)):
        exponents = range(first, last + 1, stride if digits == (1,) else 1)
        # From text: 2 * 10.0**-3 is not the number that one writes 0.002.
        written = [float(f"{digit}e{exponent}") for exponent in exponents for digit in digits]
        found = [value for value in written if low <= value <= high]
        if len(found) <= at_most:
            break
    return found


def number_labels(values: Sequence[float]) -> list[str]:
    """Write evenly spaced numbers with as many digits as tell them apart."""
    if not values:
        return []
    largest = max(abs(value) for value in values)
    step = float(np.diff(values).min()) if len(values) > 1 else largest
    if largest == 0.0 or step <= 0.0:
        texts = [f"{value:g}" for value in values]
    elif 1e-4 <= largest < 1e7:
        decimals = max(0, math.ceil(-math.log10(step) - 1e-6))
        if not math.isclose(round(step, decimals), step, rel_tol=1e-6):
            decimals += 1  # steps of 2.5
        texts = [f"{value:,.{decimals}f}" for value in values]
    else:
        digits = math.ceil(math.log10(largest / step)) + 2
        texts = [f"{value:.{digits}g}" for value in values]
    return [typeset(text) for text in texts]


def typeset(number: str) -> str:
    """Give a number a true minus sign, and its exponent no needless letters."""
    shorter = re.sub(r"e\+?(-?)0*", r"e\1", number)
    return shorter.replace("-", "\N{MINUS SIGN}")
