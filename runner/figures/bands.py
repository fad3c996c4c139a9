"""How the best settings of a sweep learned: a curve each, with the spread over seeds.

It must not know what was swept: it sees curves with names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.figures import cuts
from runner.figures import style as canvas
from runner.figures.measures import Measure
from runner.figures.scales import scale_spread, scale_steps, spread_limits
from runner.figures.sheet import Entry, Sheet
from runner.training.statistics import half_width

Curve = Sequence[tuple[int, float]]

# The interval of a mean of fewer seeds says little: their smallest and largest value say more.
FEW_SEEDS = 5
# Curves lie over each other: they differ in their dashes too.
_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2)), (0, (2.5, 1.5)))
# So few evaluations are shown as points too.
_FEW = 12


@dataclass(frozen=True)
class Band:
    """The curves of one configuration, summed up.

    Parameters
    ----------
    label : str
    steps : ndarray of shape (n,)
    mean, low, high : ndarray of shape (n,)
        In the unit of the metric; NaN from where a seed is no longer finite.
    """

    label: str
    steps: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def sum_up(label: str, curves: Sequence[Curve], measure: Measure, interval: bool) -> Band:
    """Average the curves of the seeds at every step that one of them has.

    A seed that stopped early keeps its last value: were it left out, the mean would go on over
    those seeds alone that were still getting better. Between its evaluations a curve is straight.

    Parameters
    ----------
    label : str
    curves : sequence of sequences of (step, value)
        One per seed, none of them empty; steps ascend.
    measure : Measure
    interval : bool
        Whether the band is the 95 % interval of the mean (Student's t), or else reaches from the
        smallest to the largest value.
    """
    each = [np.array(curve, dtype=np.float64).reshape(-1, 2) for curve in curves]
    steps = np.unique(np.concatenate([curve[:, 0] for curve in each]))
    with np.errstate(invalid="ignore", over="ignore"):
        values = np.stack(
            [
                np.interp(steps, curve[:, 0], measure.shown(curve[:, 1]), left=np.nan)
                for curve in each
            ]
        )
        mean = values.mean(axis=0)
        if interval and len(values) > 1:
            half = half_width(len(values), values.std(axis=0, ddof=1))
            low, high = mean - half, mean + half
        else:
            low, high = values.min(axis=0), values.max(axis=0)
    return Band(label, steps, mean, low, high)


@canvas.house_style()
def draw_bands(
    bands: Sequence[Band], measure: Measure, path: Path, *, title: str = "", subtitle: str = ""
) -> None:
    """Draw mean curves over their bands against the step, as a PNG.

    Parameters
    ----------
    bands : sequence of Band
        The best first, at most five; one of them has a finite value.
    measure : Measure
        What is drawn upwards.
    path : Path
        The PNG to write.
    title, subtitle : str
        What stands above the picture.
    """
    styles: list[dict[str, Any]] = [
        {"color": color, "linestyle": dashes, "linewidth": 1.6}
        for color, dashes in zip(canvas.PALETTE, _DASHES, strict=False)
    ]
    named = list(zip(bands, styles, strict=False))
    means = np.concatenate([band.mean for band in bands])
    ends = np.concatenate([end for band in bands for end in (band.low, band.high)])
    tame = means[measure.tame(means)]
    limits = spread_limits(tame, ends, measure.kind)
    cut = [cuts.cut_ends(band.low, band.high, limits) for band, _ in named]
    legend = [Entry(band.label, style) for band, style in named if len(named) > 1]
    if any(found.any() for found in cut):
        legend.append(cuts.ENTRY)
    sheet = Sheet(
        title=title, subtitle=subtitle, x_name="step",
        y_name=f"{measure.label}, {measure.direction}",
        legend=legend,
    )  # fmt: skip
    scale_spread(sheet.axes, tame, ends, measure.kind)
    scale_steps([sheet.axes], np.concatenate([band.steps for band in bands]))
    bottom = sheet.axes.get_ylim()[0]
    for (band, style), found in reversed([*zip(named, cut, strict=True)]):  # the best lies on top
        low = np.maximum(band.low, bottom)  # a logarithm would leave a hole there
        sheet.axes.fill_between(
            band.steps, low, band.high, color=style["color"], alpha=0.18, linewidth=0.0
        )
        marker = "o" if np.isfinite(band.mean).sum() <= _FEW else ""
        sheet.axes.plot(band.steps, band.mean, marker=marker, markersize=3.5, **style)
        cuts.mark(sheet.axes, band.steps, cuts.middles(found), style["color"])
    sheet.save(path)
