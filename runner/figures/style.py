"""The look that all figures share: settings of matplotlib, colours, headings, legends.

A figure starts as its panels alone, in a fixed size, and the page grows around them when it is
saved. So nothing is cut, whatever the names of classes, columns and runs are.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

Array = NDArray[np.float64]
Look = dict[str, Any]

# Okabe and Ito (2008), "Color Universal Design": eight colours that people with any kind of
# colour vision tell apart. Yellow comes last, because it is faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
INK, MUTED = "#222222", "#6B6B6B"
_STYLE = Path(__file__).with_name("house.mplstyle")
_LONGEST_LINE = 110


@contextmanager
def house_style() -> Iterator[None]:
    """Draw and save with our settings, whatever a person's matplotlibrc holds.

    A letter that the font lacks is drawn as a box, without a warning.
    """
    if not any(font.name == "DejaVu Sans" for font in font_manager.fontManager.ttflist):
        # A list of fonts that was made while files could not be opened is kept, and empty.
        font_manager.fontManager = font_manager._load_fontmanager(try_read_cache=False)  # type: ignore[attr-defined]  # noqa: SLF001  (no public way)
    with mpl.rc_context(fname=_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


def new_figure(
    width: float, height: float, n_panels: int = 1, *, across: bool = False
) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels, each of a size in inches.

    They are below each other on one x axis, or, `across`, beside each other.
    """
    gap = 0.6 if across else 0.45
    n_rows, n_columns = (1, n_panels) if across else (n_panels, 1)
    size = n_columns * width + (n_columns - 1) * gap, n_rows * height + (n_rows - 1) * gap
    figure = Figure(figsize=size, dpi=150)
    FigureCanvasAgg(figure)
    grid: Look = {"left": 0, "right": 1, "bottom": 0, "top": 1}
    grid |= {"hspace": gap / height, "wspace": gap / width}
    panels = figure.subplots(n_rows, n_columns, sharex=not across, squeeze=False, gridspec_kw=grid)
    return figure, list(panels.flat)


def legend_beside(axes: Axes, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Write a legend at the right of the axes."""
    axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0.0)


def save(figure: Figure, path: Path, title: str, *notes: str) -> Figure:
    """Write the heading, and a PNG as large as all that was drawn.

    The title says what the picture shows, the notes below it how to read it. The file's bytes
    depend on the picture alone: there is no date and no version in it.
    """
    boxes = [figure.get_tightbbox()]
    width, height = figure.get_size_inches()
    x, y = boxes[0].x0 / width, boxes[0].y1 + 0.12
    reading_help = textwrap.fill("; ".join(filter(None, notes)), _LONGEST_LINE)
    for text, look in ((reading_help, {"color": MUTED}), (title, {"size": 9.0, "weight": "bold"})):
        written = figure.text(x, y / height, text, look, va="bottom")
        boxes.append(written.get_window_extent().transformed(figure.dpi_scale_trans.inverted()))
        y = boxes[-1].y1 + 0.05
    figure.savefig(
        path,
        format="png",
        bbox_inches=Bbox.union(boxes).padded(0.2),
        metadata={"Software": None},
        pil_kwargs={"compress_level": 1},
    )
    return figure


def number_text(value: float, form: str = "g") -> str:
    """Write a number with a true minus sign, and an exponent without needless characters.

    Examples
    --------
    >>> number_text(1e-05), number_text(0.31, "#.3g"), number_text(123456.0, "#.3g")
    ('1e−5', '0.310', '1.23e5')
    """  # noqa: RUF002  (a true minus sign)
    shorter = re.sub(r"e\+?(-?)0*", r"e\1", f"{value:{form}}".removesuffix("."))
    return shorter.replace("-", "\N{MINUS SIGN}")
