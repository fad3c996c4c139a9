"""A page with one panel: a heading above, the names of its axes, a legend at the right.

It must not know what is drawn in the panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.figures import style as canvas
from runner.figures.lettering import INCHES, text_width

# Inches.
WIDTH = 5.2
_HEIGHT, _LEFT, _BOTTOM, _TOP, _EDGE, _LINE, _SAMPLE = 3.1, 0.78, 0.58, 0.98, 0.2, 0.2, 0.28
# The letters of a line are drawn at whole pixels, which makes it up to a twentieth longer.
_DRAWN = 1.05


@dataclass(frozen=True)
class Entry:
    """A line of the legend: what is drawn how, in the words of matplotlib's Line2D."""

    text: str
    style: Mapping[str, Any]


class Sheet:
    """A figure with one panel, `WIDTH` inches wide.

    Parameters
    ----------
    title, subtitle : str
        What stands above.
    x_name, y_name : str
        What stands along the axes.
    legend : sequence of Entry
        What stands at the right, from the top.
    """

    def __init__(
        self, *, title: str, subtitle: str, x_name: str, y_name: str, legend: Sequence[Entry]
    ) -> None:
        right = _EDGE
        if legend:
            words = text_width([entry.text for entry in legend], canvas.SMALL_PT)
            right += 0.25 + _SAMPLE + 0.1 + words * _DRAWN
        heading = max(
            text_width([title], canvas.TEXT_PT, bold=True), text_width([subtitle], canvas.SMALL_PT)
        )
        self.figure: Figure = canvas.page(
            max(_LEFT + WIDTH + right, heading * _DRAWN + 2 * _EDGE), _BOTTOM + _HEIGHT + _TOP
        )
        self.axes: Axes = canvas.axes_at(self.figure, _LEFT, _BOTTOM, WIDTH, _HEIGHT)

        top = _BOTTOM + _HEIGHT
        canvas.write(self.figure, _EDGE, top + _TOP - 0.3, title, bold=True)
        canvas.write(
            self.figure, _EDGE, top + _TOP - 0.5, subtitle, size=canvas.SMALL_PT, color=canvas.MUTED
        )
        canvas.write(self.figure, _EDGE, top + 0.12, y_name, size=canvas.SMALL_PT)
        canvas.write(
            self.figure, _LEFT + WIDTH / 2, 0.16, x_name, size=canvas.SMALL_PT, align="center"
        )
        self._write_legend(_LEFT + WIDTH + 0.25, top - 0.1, legend)

    def _write_legend(self, x: float, y: float, legend: Sequence[Entry]) -> None:
        for entry in legend:
            sample = {"markevery": [1], **entry.style}
            places = [x, x + _SAMPLE / 2, x + _SAMPLE]
            self.figure.add_artist(Line2D(places, [y + 0.04] * 3, transform=INCHES, **sample))
            canvas.write(self.figure, x + _SAMPLE + 0.1, y, entry.text, size=canvas.SMALL_PT)
            y -= _LINE

    def save(self, path: Path) -> None:
        """Write the PNG."""
        canvas.save(self.figure, path)
