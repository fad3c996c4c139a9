"""Which pictures suit a sweep, and what they show: this module decides, others draw.

It must not know where results come from, nor how a picture is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runner.figures.bands import FEW_SEEDS, Curve, draw_bands, sum_up
from runner.figures.grid import Names
from runner.figures.matrices import draw_heat_map
from runner.figures.measures import Measure
from runner.figures.scales import setting_number
from runner.figures.settings import Settings
from runner.figures.trends import Trend, draw_trends
from runner.system.text import elide

if TYPE_CHECKING:
    from runner.training.statistics import Configuration

__all__ = ["draw_sweep"]

# More lines, or curves with their bands, hide each other.
_MOST_LINES, _MOST_CURVES = 6, 5
# More bars hide the points.
_MOST_BARS = 60
# A larger table is not read, and one that is not fuller says little: a random search meets hardly
# a value twice, and settings that go hand in hand lie on a diagonal.
_MOST_ALONG, _FULL_ENOUGH = 100, 0.5
_LONGEST_TITLE, _LONGEST_KEY = 36, 48


def draw_sweep(
    configurations: Sequence[Configuration],
    metric: str,
    histories: Mapping[int, Sequence[Curve]],
    folder: Path,
    title: str = "",
) -> list[Path]:
    """Draw every picture that suits a sweep.

    Parameters
    ----------
    configurations : sequence of Configuration
        What was tried, the best first.
    metric : str
        By which they are ranked.
    histories : mapping of int to sequence of curves
        For the best configurations, by their position: the metric as (step, value), one curve per
        seed.
    folder : Path
        Where the files go; made if it is not there.
    title : str
        The name of the sweep, for the headings.

    Returns
    -------
    list of Path
        ``metric_by_<number>.png`` for each number that was swept,
        ``metric_by_<number>_and_<number>.png`` for the first two where they make a table,
        ``learning_curves.png``. What would show nothing is not drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep = _Sweep(configurations, Measure(metric), elide(title, _LONGEST_TITLE) if title else "")
    return [
        *sweep.draw_trends(folder),
        *sweep.draw_table(folder),
        *sweep.draw_curves(histories, folder),
    ]


class _Sweep:
    """Configurations as arrays: what they set, and what came out in the unit of the metric."""

    def __init__(
        self, configurations: Sequence[Configuration], measure: Measure, title: str
    ) -> None:
        self._measure, self._title = measure, title
        self._settings = Settings([each.varied for each in configurations])
        self._files = self._settings.file_names()
        found = [each.summary(measure.metric) for each in configurations]
        rows = [(s.mean, s.low, s.high) if s else (np.nan,) * 3 for s in found]
        spread = np.array(rows, dtype=np.float64).reshape(-1, 3)
        self._mean, self._low, self._high = measure.shown(spread).T
        self._n_seeds = [s.n for s in found if s]

    def draw_trends(self, folder: Path) -> Iterator[Path]:
        """Draw the metric against each number."""
        if np.isnan(self._mean).all():
            return
        for key in self._settings.numbers:
            path = folder / f"metric_by_{self._files[key]}.png"
            self._draw_trend(key, path)
            yield path

    def _draw_trend(self, key: str, path: Path) -> None:
        """Draw a line for each combination of the other settings, or the best of many."""
        settings, x = self._settings, self._settings.numbers[key]
        others = settings.others(key)
        drawn = np.flatnonzero(np.isfinite(x))
        groups = {
            shared: found
            for shared, members in settings.groups(others).items()
            if (found := [position for position in members if np.isfinite(x[position])])
        }
        n_values = len(np.unique(x[drawn]))
        told = [self._seeds("bars" if n_values <= _MOST_BARS else "")]
        if n_left := len(x) - len(drawn):
            told.append(f"{n_left:,} beyond any axis")
        joined, cloud = True, None
        if len(groups) <= _MOST_LINES and any(len(np.unique(x[g])) > 1 for g in groups.values()):
            trends = [
                self._trend(x, members, settings.label(members[0], others))
                for members in groups.values()
            ]
        else:
            joined = n_values <= len(drawn) / 2  # in a random search, hardly a number comes twice
            told.append("other settings vary too")
            trends = [self._trend(x, drawn.tolist(), "best combination" if joined else "")]
            cloud = (x[drawn], self._mean[drawn]) if joined else None
        draw_trends(
            trends, cloud, self._measure, elide(key, _LONGEST_KEY), path,
            title=self._heading(f"{self._measure.words} by {settings.name(key)}"),
            subtitle="; ".join(told), joined=joined,
        )  # fmt: skip

    def _trend(self, x: NDArray[np.float64], members: Sequence[int], label: str) -> Trend:
        """Take the best of some configurations at each number that they have."""
        met: dict[float, list[int]] = {}
        for position in members:
            met.setdefault(float(x[position]), []).append(position)
        chosen = np.array([self._best(met[value]) for value in sorted(met)])
        mean, low, high = self._mean[chosen], self._low[chosen], self._high[chosen]
        if len(np.unique(x[np.isfinite(x)])) > _MOST_BARS:
            low = high = np.full(len(chosen), np.nan)
        return Trend(label, x[chosen], mean, low, high)

    def _best(self, members: list[int]) -> int:
        if len(members) == 1:
            return members[0]
        return members[self._measure.best(self._mean[members]) or 0]

    def draw_table(self, folder: Path) -> Iterator[Path]:
        """Draw the metric for each pair of the first two numbers, where there are such pairs."""
        if len(self._settings.numbers) < 2 or np.isnan(self._mean).all():
            return
        (across, x), (upwards, y) = list(self._settings.numbers.items())[:2]
        drawn = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        columns, column = np.unique(x[drawn], return_inverse=True)
        rows, row = np.unique(y[drawn], return_inverse=True)
        if min(len(columns), len(rows)) < 2:
            return
        ran = np.zeros((len(rows), len(columns)), dtype=np.bool_)
        ran[row, column] = True
        if max(ran.shape) > _MOST_ALONG or ran.mean() <= _FULL_ENOUGH:
            return
        cells: dict[tuple[int, int], list[int]] = {}
        places = zip(row.tolist(), column.tolist(), strict=True)
        for position, place in zip(drawn.tolist(), places, strict=True):
            cells.setdefault(place, []).append(position)
        values = np.full(ran.shape, np.nan)
        for place, members in cells.items():
            values[place] = self._mean[self._best(members)]

        a, b = self._settings.name(across), self._settings.name(upwards)
        path = folder / f"metric_by_{self._files[across]}_and_{self._files[upwards]}.png"
        told = [self._seeds()]
        if self._settings.others(across, upwards):
            told.append("the best of the other settings in each cell")
        draw_heat_map(
            values, ran,
            Names(b, [setting_number(value) for value in rows]),
            Names(a, [setting_number(value) for value in columns]),
            self._measure, path,
            title=self._heading(f"{self._measure.words} by {a} and {b}"), subtitle="; ".join(told),
        )  # fmt: skip
        yield path

    def draw_curves(self, histories: Mapping[int, Sequence[Curve]], folder: Path) -> Iterator[Path]:
        """Draw how the best learned."""
        curves = {
            position: [curve for curve in histories[position] if len(curve)]
            for position in sorted(histories)[:_MOST_CURVES]
        }
        n_seeds = [len(each) for each in curves.values() if each]
        interval = min((n for n in n_seeds if n > 1), default=0) >= FEW_SEEDS
        bands = [
            sum_up(self._name(at), each, self._measure, interval)
            for at, each in curves.items()
            if each
        ]
        bands = [band for band in bands if np.isfinite(band.mean).any()]
        if not bands:
            return
        told = [_over(n_seeds, "one seed each")]
        if max(n_seeds) > 1 and any(len(curve) > 1 for each in curves.values() for curve in each):
            told.append(f"bands: {'its 95 % interval' if interval else 'smallest to largest'}")
        if any(len({curve[-1][0] for curve in each}) > 1 for each in curves.values()):
            told.append("seeds that stopped keep their last value")
        path = folder / "learning_curves.png"
        heading = f"{self._measure.words}, the best {len(bands)} of {len(self._mean):,}"
        draw_bands(
            bands, self._measure, path,
            title=self._heading(heading if len(self._mean) > 1 else self._measure.words),
            subtitle="; ".join(told),
        )  # fmt: skip
        yield path

    def _name(self, position: int) -> str:
        told = self._settings.label(position, self._settings.keys)
        return told or f"configuration {position + 1}"

    def _heading(self, words: str) -> str:
        return f"{self._title}: {words}" if self._title else f"{words[:1].upper()}{words[1:]}"

    def _seeds(self, spread: str = "") -> str:
        told = _over(self._n_seeds, "one seed each")
        if spread and max(self._n_seeds, default=0) > 1:
            told += f", {spread}: its 95 % interval"
        return told


def _over(counts: Sequence[int], single: str) -> str:
    """Write of how many seeds a mean is."""
    fewest, most = min(counts, default=1), max(counts, default=1)
    if most <= 1:
        return single
    return f"mean over {most if fewest == most else f'{fewest} to {most}'} seeds"
