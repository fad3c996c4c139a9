"""Choose the figures of a sweep, and lay out the arrays that they show."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runner.figures.curves import Curve, draw_bands, sum_up
from runner.figures.matrices import draw_heat_map
from runner.figures.scales import LARGEST, Line, Measure
from runner.figures.style import Array, number_text
from runner.figures.trends import draw_trends
from runner.system.text import elide, elide_apart
from runner.training.outcome import short_names, varying

if TYPE_CHECKING:
    from runner.training.statistics import Configuration

__all__ = ["draw_sweep"]

# More lines or bands would hide each other, and more bars the points.
_MOST_LINES, _MOST_CURVES, _MOST_BARS = 6, 5, 60
# A larger table cannot be read, and a sparser one says little: a random search hardly tries a value
# twice, and settings that change together fill a diagonal.
_MOST_ALONG, _FULL_ENOUGH = 100, 0.5
# Characters of a line of a legend.
_LONGEST_LINE = 40
# The interval of a mean of fewer seeds says little: their smallest and largest value say more.
_FEW_SEEDS = 5


def draw_sweep(
    configurations: Sequence[Configuration],
    metric: str,
    histories: Mapping[int, Sequence[Curve]],
    folder: Path,
    title: str = "",
) -> None:
    """Draw every figure that suits a sweep into a folder, which is made if it is not there.

    ``metric_by_<number>.png`` for each number that was swept,
    ``metric_by_<number>_and_<number>.png`` for the first two where they make a table,
    ``learning_curves.png``. A figure without a finite value is not drawn. The `configurations` come
    best first; of those that have one, by position, `histories` has the metric's curve per seed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sweep = _Sweep(configurations, Measure(metric), elide(title, 36) if title else "")
    if not np.isnan(sweep.mean).all():
        sweep.draw_trends(folder)
        sweep.draw_table(folder)
    sweep.draw_curves(histories, folder)


class SweptSettings:
    """The settings that differ between configurations, by dotted key; seed and split do not count.

    One configuration may lack what others have.
    """

    def __init__(self, varied: Sequence[Mapping[str, object]]) -> None:
        self._texts = [{key: str(value) for key, value in row.items()} for row in varied]
        #: Those with at least two values, in order of appearance.
        self.keys = [key for key in varying(self._texts) if key != "seed"]
        #: Their names, by key.
        self.names = short_names(self.keys)
        columns = {key: self._numbers(key) for key in self.keys}
        #: For the keys whose values are all numbers: these, of shape (n_configurations,), with
        #: inf for those that no axis can show.
        self.numbers = {key: values for key, values in columns.items() if values is not None}

    def _numbers(self, key: str) -> Array | None:
        values = [_number(row.get(key, "")) for row in self._texts]
        distinct = {number_text(value) for value in values if math.isfinite(value)}
        if any(map(math.isnan, values)) or len(distinct) < 2:
            return None
        return np.array(values)

    def groups(self, keys: Sequence[str], chosen: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
        """Group the chosen configurations that agree in some keys, by the values of these."""
        groups: dict[tuple[str, ...], list[int]] = {}
        for position in np.flatnonzero(chosen).tolist():
            values = tuple(self._texts[position].get(key, "") for key in keys)
            groups.setdefault(values, []).append(position)
        return [np.array(groups[v]) for v in sorted(groups, key=lambda v: [*map(_order, v)])]

    def labels(self, positions: Sequence[int], keys: Sequence[str]) -> list[str]:
        """Tell some configurations apart by the keys in which they differ.

        Such as ``learning_rate=0.1, momentum=0.9``, on as many lines as it takes.
        """
        rows = [self._texts[position] for position in positions]
        differing = [key for key in varying(rows) if key in keys]
        names = elide_apart((self.names[key] for key in differing), 24)
        columns = [elide_apart([row.get(key, "default") for row in rows], 20) for key in differing]
        labels = []
        for values in zip(*columns, strict=True) if columns else [()] * len(rows):
            lines = [""]
            for name, value in zip(names, values, strict=True):
                pair = f"{name}={value}"
                if lines[-1] and len(lines[-1]) + len(pair) > _LONGEST_LINE:
                    lines.append("")
                lines[-1] += f", {pair}" if lines[-1] else pair
            labels.append(",\n".join(lines))
        return labels

    def file_names(self) -> dict[str, str]:
        """Give each key a word that is safe in the name of a file, and no other key's."""
        words: dict[str, str] = {}
        for number, key in enumerate(self.keys, start=1):
            word = re.sub(r"[^A-Za-z0-9_-]+", "_", self.names[key]).strip("_")[:60]
            if not word or word.lower() in {taken.lower() for taken in words.values()}:
                word = f"{word or 'setting'}_{number}"
            words[key] = word
        return words


def _number(text: str) -> float:
    """Read a number: NaN if the text is not one, inf if no axis can show it."""
    try:
        value = float(text)
    except ValueError:
        return math.nan
    drawable = value == 0.0 or 1 / LARGEST < abs(value) < LARGEST
    return value if drawable or math.isnan(value) else math.inf


def _order(text: str) -> tuple[bool, float, str]:
    """Sort numbers by their size, before all words."""
    is_word = math.isnan(_number(text))
    return (True, 0.0, text) if is_word else (False, float(text), text)


class _Sweep:
    """Configurations as arrays: their settings, and their results in the unit of the metric."""

    def __init__(
        self, configurations: Sequence[Configuration], measure: Measure, title: str
    ) -> None:
        self._measure, self._title = measure, title
        self._settings = SweptSettings([configuration.varied for configuration in configurations])
        self._files = self._settings.file_names()
        summaries = [configuration.summary(measure.metric) for configuration in configurations]
        rows = [(s.mean, s.low, s.high) if s else (np.nan,) * 3 for s in summaries]
        spread = np.array(rows, dtype=np.float64).reshape(-1, 3)
        self.mean, self._low, self._high = measure.in_unit(spread).T
        n_splits = max((len(c.values(measure.metric)) for c in configurations), default=0)
        self._is_over_splits = n_splits > 1
        unit = "split" if self._is_over_splits else "seed"
        self._seeds = _over([s.n for s in summaries if s], unit)
        self._has_intervals = any(s.n > 1 for s in summaries if s)

    def draw_trends(self, folder: Path) -> None:
        """Draw the metric against each number: a line for each combination of the others.

        Many combinations are drawn as points.
        """
        for key, x in self._settings.numbers.items():
            drawn = np.isfinite(x)
            others = [other for other in self._settings.keys if other != key]
            groups = self._settings.groups(others, drawn)
            labels = self._settings.labels([group[0] for group in groups], others)
            labels = [label or key for label in labels]
            are_lines = len(groups) <= _MOST_LINES and any(len(group) > 1 for group in groups)
            has_bars = are_lines and self._has_intervals and int(drawn.sum()) <= _MOST_BARS
            notes = [self._seeds + ", bars: its 95 % interval" * has_bars]
            if not drawn.all():
                notes.append(f"{(~drawn).sum():,} beyond any axis")
            if not are_lines:
                notes.append("other settings vary too")
                groups, labels = [np.flatnonzero(drawn)], [""]
            lines = []
            for group, label in zip(groups, labels, strict=True):
                chosen = group[np.argsort(x[group], kind="stable")]
                ends = np.array([self._low[chosen], self._high[chosen]])
                low, high = ends if has_bars else np.full_like(ends, np.nan)
                lines.append(Line(label, x[chosen], self.mean[chosen], low, high))
            path = folder / f"metric_by_{self._files[key]}.png"
            title = self._heading(f"{self._measure.words} by {self._name(key)}")
            draw_trends(lines, elide(key, 48), self._measure, path, title, *notes)

    def _best(self, members: NDArray[np.intp]) -> int:
        return int(members[self._measure.best(self.mean[members]) or 0])

    def draw_table(self, folder: Path) -> None:
        """Draw the metric for each pair of the first two numbers, where there are such pairs."""
        if len(self._settings.numbers) < 2:
            return
        (across, x), (upwards, y) = list(self._settings.numbers.items())[:2]
        drawn = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        columns, rows = np.unique(x[drawn]), np.unique(y[drawn])
        if max(len(columns), len(rows)) > _MOST_ALONG:
            return
        pairs = [drawn[(y[drawn] == b) & (x[drawn] == a)] for b in rows for a in columns]
        ran = np.array([len(pair) > 0 for pair in pairs]).reshape(len(rows), len(columns))
        best = np.array([self.mean[self._best(pair)] if len(pair) else np.nan for pair in pairs])
        if min(ran.shape) < 2 or ran.mean() <= _FULL_ENOUGH or np.isnan(best).all():
            return
        path = folder / f"metric_by_{self._files[across]}_and_{self._files[upwards]}.png"
        a, b = self._name(across), self._name(upwards)
        notes = [self._seeds]
        if len(self._settings.keys) > 2:
            notes.append("the best of the other settings in each cell")
        draw_heat_map(
            best.reshape(ran.shape),
            ran,
            ((b, [*map(number_text, rows)]), (a, [*map(number_text, columns)])),
            self._measure,
            path,
            self._heading(f"{self._measure.words} by {a} and {b}"),
            *notes,
        )

    def draw_curves(self, histories: Mapping[int, Sequence[Curve]], folder: Path) -> None:
        """Draw the learning curves of the best configurations."""
        curves = {
            position: [curve for curve in histories[position] if len(curve)]
            for position in sorted(histories)[:_MOST_CURVES]
        }
        n_seeds = [len(seeds) for seeds in curves.values() if seeds]
        interval = min((n for n in n_seeds if n > 1), default=0) >= _FEW_SEEDS
        interval = interval and not self._is_over_splits  # whose curves depend on one another
        curves = {position: seeds for position, seeds in curves.items() if seeds}
        labels = self._settings.labels([*curves], self._settings.keys)
        bands = [
            sum_up(label or f"configuration {position + 1}", seeds, self._measure, interval)
            for label, (position, seeds) in zip(labels, curves.items(), strict=True)
        ]
        bands = [band for band in bands if np.isfinite(band.mean).any()]
        if not bands:
            return
        notes = [_over(n_seeds, "run" if self._is_over_splits else "seed")]
        if max(n_seeds) > 1:
            notes.append(f"bands: {'its 95 % interval' if interval else 'smallest to largest'}")
        if any(len({curve[-1][0] for curve in seeds}) > 1 for seeds in curves.values()):
            notes.append("seeds that stopped keep their last value")
        words = self._measure.words
        if len(self.mean) > 1:
            words += f", the best {len(bands)} of {len(self.mean):,}"
        path = folder / "learning_curves.png"
        draw_bands(bands, self._measure, path, self._heading(words), *notes)

    def _name(self, key: str) -> str:
        return elide(self._settings.names[key], 24)

    def _heading(self, words: str) -> str:
        return f"{self._title}: {words}" if self._title else f"{words[:1].upper()}{words[1:]}"


def _over(counts: Sequence[int], unit: str) -> str:
    """Write over how many seeds the means are, or over how many of another unit."""
    fewest, most = min(counts, default=1), max(counts, default=1)
    if most <= 1:
        return f"one {unit} each"
    return f"mean over {most if fewest == most else f'{fewest} to {most}'} {unit}s"
