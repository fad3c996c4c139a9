"""The look that all figures share: settings of matplotlib, colours, headings, labels of lines.

A figure starts as its panels alone, in a fixed size, and the page grows around them when it is
saved. So nothing is cut, whatever the names of classes, columns and runs are.
"""

from __future__ import annotations

import functools
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Okabe and Ito (2008), "Color Universal Design": eight colours that people with any kind of
# colour vision tell apart. Yellow comes last, because it is faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
INK, MUTED = "#222222", "#6B6B6B"
SMALL_PT = 8.0
DPI = 150
_STYLE = Path(__file__).with_name("house.mplstyle")
# Fonts with letters that DejaVu Sans, matplotlib's own, lacks; used where they are installed.
_FURTHER_FONTS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "PingFang SC", "Hiragino Sans", "Microsoft YaHei",
    "Yu Gothic", "WenQuanYi Zen Hei", "Noto Sans Devanagari", "Noto Sans Thai",
)  # fmt: skip
# Inches: around the page, between its parts, and from line to line of small text.
_MARGIN, _GAP, _LINE = 0.2, 0.12, 0.17
_LONGEST_LINE = 110


@functools.cache
def _fonts() -> list[str]:
    installed = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _FURTHER_FONTS if name in installed)]


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save with our settings, whatever a person's matplotlibrc holds.

    A letter that no font has is drawn as a box, without a warning.
    """
    with mpl.rc_context(fname=_STYLE), warnings.catch_warnings():
        mpl.rcParams["font.family"] = _fonts()
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


def new_figure(width: float, height: float, n_panels: int = 1) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels, each of a size in inches, one below the other on one x axis."""
    gap = 0.45
    figure = Figure(figsize=(width, n_panels * height + (n_panels - 1) * gap), dpi=DPI)
    FigureCanvasAgg(figure)
    panels = figure.subplots(
        n_panels, sharex=True, squeeze=False,
        gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1, "hspace": gap / height},
    )  # fmt: skip
    return figure, list(panels[:, 0])


def save(figure: Figure, path: Path, title: str, subtitle: str = "") -> Figure:
    """Write the heading, and a PNG as large as all that was drawn.

    Its bytes depend on the picture alone: there is no date and no version in it. The title says
    what the picture shows, the subtitle how to read it.
    """
    box = figure.get_tightbbox()
    help_lines = textwrap.wrap(subtitle, _LONGEST_LINE)
    help_y = box.y1 + _GAP
    title_y = help_y + len(help_lines) * _LINE + 0.03
    small = {"color": MUTED, "linespacing": _LINE * 72 / SMALL_PT / 1.2}
    bold = {"size": 9.0, "weight": "bold"}
    width, height = figure.get_size_inches()
    boxes = [box]
    for text, y, look in (("\n".join(help_lines), help_y, small), (title, title_y, bold)):
        written = figure.text(box.x0 / width, y / height, text, look, va="bottom")
        boxes.append(written.get_window_extent().transformed(figure.dpi_scale_trans.inverted()))
    figure.savefig(
        path, format="png", bbox_inches=Bbox.union(boxes).padded(_MARGIN),
        metadata={"Software": None}, pil_kwargs={"compress_level": 1},
    )  # fmt: skip
    return figure


def label_lines(axes: Axes, lines: Sequence[tuple[str, Array, Array, str]]) -> None:
    """Write the name of each line at the right of the axes, level with its end where there is room.

    The axes have their final limits; a line is its label, x, y and colour. One without a finite
    value gets no label.
    """
    ended = [line for line in lines if np.isfinite(line[2]).any()]
    if not ended:
        return
    labels, colors = [line[0] for line in ended], [line[3] for line in ended]
    ends = [(x[np.isfinite(y)][-1], y[np.isfinite(y)][-1]) for _, x, y, _ in ended]
    height = axes.get_window_extent().height / DPI
    gap = min(_LINE / height, 1.0 / len(labels))
    points = axes.transAxes.inverted().transform(axes.transData.transform(ends))
    wanted = np.clip(np.nan_to_num(points[:, 1]), 0.0, 1.0)
    order = np.argsort(-wanted, kind="stable")[::-1]
    at = np.empty(len(labels))
    at[order] = _spread(wanted[order], gap)
    for x, level, y, label, color in zip(points[:, 0], wanted, at, labels, colors, strict=True):
        axes.plot(
            [x + 0.01, 1.035], [level, y], color=color, linewidth=0.5, alpha=0.7, clip_on=False,
            transform=axes.transAxes,
        )  # fmt: skip
        darker = tuple(0.75 * part for part in to_rgb(color))
        axes.text(1.04, y, label, color=darker, va="center", transform=axes.transAxes)


def _spread(wanted: Array, gap: float) -> Array:
    """Move ascending positions in [0, 1] as little as needed for a gap between neighbours."""
    n = len(wanted)
    offsets = gap * np.arange(n)
    free = wanted - offsets
    # Isotonic regression, by the formula of minima and maxima over means.
    level = [
        max(min(free[a : b + 1].mean() for b in range(i, n)) for a in range(i + 1))
        for i in range(n)
    ]
    spread: Array = np.clip(level, 0.0, max(0.0, 1.0 - offsets[-1])) + offsets
    return spread


def text_width(texts: Sequence[str], size: float) -> float:
    """Measure the widest of some texts, in inches."""
    font = FontProperties(size=size)
    widths = (text_to_path.get_text_width_height_descent(text, font, False)[0] for text in {*texts})
    return max(widths, default=0.0) / 72


def number_text(value: float, form: str = "g") -> str:
    """Write a number with a true minus sign, and an exponent without needless characters.

    Examples
    --------
    >>> number_text(1e-05), number_text(0.31, "#.3g"), number_text(123456.0, "#.3g")
    ('1e−5', '0.310', '1.23e5')
    """  # noqa: RUF002  (a true minus sign)
    shorter = re.sub(r"e\+?(-?)0*", r"e\1", f"{value:{form}}".removesuffix("."))
    return shorter.replace("-", "\N{MINUS SIGN}")
