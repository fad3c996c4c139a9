"""A table of coloured cells with named rows and columns, laid out to be read at any size.

It must not know what the cells mean: the confusion matrix and the weights are drawn on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from runner.figures import style as canvas
from runner.figures.lettering import INCHES, draw_texts, text_width

# Inches.
_TOP, _EDGE, _BAR_WIDTH, _BAR_HEIGHT, _GAP = 0.98, 0.2, 0.13, 1.1, 0.08
_LINE = 0.16
# A label needs this much of the side it stands on.
_LABEL_SPACE = 0.115
# How bright red, green and blue look (ITU-R BT.601).
_LUMINANCE = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Names:
    """What stands along one side: its own name, and a short label for each row or column."""

    side: str
    labels: Sequence[str]


class Grid:
    """A figure with one table of cells, rows from the top, and a bar that explains the colours.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
        What the colours show; NaN is left grey.
    rows, columns : Names
        What stands at the left and below.
    cell : (width, height)
        The size of a cell in inches.
    meanings : sequence of (value, text)
        What the colours stand for, from one end of the colour map to the other.
    title, subtitle : str
        What stands above the table.
    beside : Names, optional
        A further column of text, at the right.
    """

    def __init__(
        self,
        values: NDArray[np.float64],
        rows: Names,
        columns: Names,
        *,
        cell: tuple[float, float],
        colors: Colormap,
        meanings: Sequence[tuple[float, str]],
        title: str,
        subtitle: str,
        beside: Names | None = None,
    ) -> None:
        self._cell = cell
        self._rgb = _colored(values, colors, meanings[0][0], meanings[-1][0])
        width, height = values.shape[1] * cell[0], values.shape[0] * cell[1]
        size = min(canvas.SMALL_PT, max(5.5, min(cell) * 72 * 0.85))

        widest = text_width(columns.labels, size)
        upright = widest > cell[0] * 0.92
        drop = widest if upright else _LINE
        left = max(
            _EDGE + text_width(rows.labels, size) + _GAP,
            _EDGE + text_width([rows.side], canvas.SMALL_PT) + _GAP,
        )
        bottom = _EDGE + _LINE + drop + _GAP
        bar = _BAR_WIDTH * 1.5 + text_width([text for _, text in meanings], canvas.SMALL_PT) + _EDGE
        right = 0.25 + bar
        if beside is not None:
            right += text_width([*beside.labels, beside.side], size) + _GAP
        heading = max(
            text_width([title], canvas.TEXT_PT, bold=True), text_width([subtitle], canvas.SMALL_PT)
        )
        self.figure: Figure = canvas.page(
            max(left + width + right, heading + 2 * _EDGE), bottom + height + _TOP
        )
        self.axes: Axes = canvas.axes_at(self.figure, left, bottom, width, height, frame=False)
        self._paint()

        top = bottom + height
        canvas.write(self.figure, _EDGE, top + _TOP - 0.3, title, bold=True)
        canvas.write(
            self.figure, _EDGE, top + _TOP - 0.5, subtitle, size=canvas.SMALL_PT, color=canvas.MUTED
        )
        canvas.write(
            self.figure, left - _GAP, top + 0.09, rows.side, size=canvas.SMALL_PT, align="right"
        )
        canvas.write(
            self.figure, left + width / 2, _EDGE, columns.side, size=canvas.SMALL_PT, align="center"
        )
        every = math.ceil(_LABEL_SPACE / cell[1])
        canvas.label_axis(
            self.axes, "y", range(len(rows.labels))[::every], rows.labels[::every], size=size
        )
        step = math.ceil(_LABEL_SPACE / cell[0]) if upright else 1
        canvas.label_axis(
            self.axes, "x", range(len(columns.labels))[::step], columns.labels[::step],
            size=size, upright=upright,
        )  # fmt: skip
        if beside is not None:
            x = left + width + _GAP
            canvas.write(self.figure, x, top + 0.09, beside.side, size=canvas.SMALL_PT)
            shown = range(len(beside.labels))[::every]
            draw_texts(
                self.axes, beside.labels[::every], [(1.0 + _GAP / width, row) for row in shown],
                size=size, colors=canvas.MUTED, align="left",
                transform=self.axes.get_yaxis_transform(),
            )  # fmt: skip
        self._draw_bar(left + width + right - bar, top, colors, meanings)

    def _paint(self) -> None:
        """Draw all cells as one mesh, which costs a tenth of an image in the page's resolution."""
        n_rows, n_columns, _ = self._rgb.shape
        mesh = QuadMesh(
            np.stack(np.meshgrid(np.arange(n_columns + 1), np.arange(n_rows + 1)), axis=-1) - 0.5,
            antialiased=False,
            facecolors=self._rgb.reshape(-1, 3),
            edgecolors="white" if min(self._cell) >= 0.12 else "face",
            linewidths=0.8,
        )
        self.axes.add_collection(mesh, autolim=False)
        self.axes.set_xlim(-0.5, n_columns - 0.5)
        self.axes.set_ylim(n_rows - 0.5, -0.5)

    def _draw_bar(
        self, x: float, top: float, colors: Colormap, meanings: Sequence[tuple[float, str]]
    ) -> None:
        """Draw what the colours mean, without axes of its own: they cost as much as all else."""
        height = min(_BAR_HEIGHT, top - _EDGE)
        edges = np.linspace(top - height, top, 65)
        mesh = QuadMesh(
            np.stack(np.meshgrid([x, x + _BAR_WIDTH], edges), axis=-1),
            antialiased=False,
            facecolors=colors(np.linspace(0.0, 1.0, 64)),
            transform=INCHES,
        )
        self.figure.add_artist(mesh)
        values = [value for value, _ in meanings]
        heights = np.interp(values, [values[0], values[-1]], [edges[0], edges[-1]])
        draw_texts(
            self.axes, [text for _, text in meanings],
            [(x + 1.5 * _BAR_WIDTH, y) for y in heights],
            size=canvas.SMALL_PT, colors=canvas.MUTED, align="left", transform=INCHES,
        )  # fmt: skip

    def write_numbers(self, texts: Sequence[Sequence[str]]) -> None:
        """Write into each cell, in a size that fits and a colour that stands out.

        Parameters
        ----------
        texts : sequence of n_rows sequences of n_columns str
            Digits, signs and spaces; a cell may hold two lines, or nothing.
        """
        cells = [
            (text.split("\n"), row, column)
            for row, in_row in enumerate(texts)
            for column, text in enumerate(in_row)
            if text
        ]
        lines = {line for found, _, _ in cells for line in found}
        widest = text_width(lines, canvas.TEXT_PT) or 1.0
        size = min(canvas.TEXT_PT, canvas.TEXT_PT * self._cell[0] * 0.86 / widest)
        dark = self._rgb @ _LUMINANCE < 0.55
        shift = 0.65 * size / 72.0 / self._cell[1]  # half the distance of two lines, in cells
        placed = [
            (line, (column, row + (2 * index - len(found) + 1) * shift), dark[row, column])
            for found, row, column in cells
            for index, line in enumerate(found)
        ]
        if placed:
            draw_texts(
                self.axes,
                [line for line, _, _ in placed],
                [place for _, place, _ in placed],
                size=size,
                colors=["white" if on_dark else canvas.INK for _, _, on_dark in placed],
            )

    def save(self, path: Path) -> None:
        """Write the PNG."""
        canvas.save(self.figure, path)


def _colored(
    values: NDArray[np.float64], colors: Colormap, low: float, high: float
) -> NDArray[np.float64]:
    share = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / (high - low)
    rgb: NDArray[np.float64] = colors(share)[..., :3]
    rgb[np.isnan(values)] = 0.88
    return rgb
