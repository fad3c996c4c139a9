"""What a figure shows, read from its artists and from the blank margin of its PNG."""

from itertools import combinations
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text


def assert_whole(path: Path) -> None:
    """Assert that something is drawn, nothing is cut at the edge, and no size is absurd."""
    picture = np.asarray(imread(path))[..., :3]
    assert len(np.unique(picture)) > 5
    assert picture[[0, -1]].min() == picture[:, [0, -1]].min() == 1.0
    assert max(picture.shape) < 2_000


def texts(artist: Artist) -> list[str]:
    """List all that is written."""
    return [t.get_text() for t in artist.findobj(Text) if t.get_visible() and t.get_text()]


def line(axes: Axes, color: str) -> list[list[float]]:
    """Return the x and the y values of the first curve of a colour."""
    curve = next(curve for curve in axes.get_lines() if curve.get_color() == color)
    return [np.asarray(curve.get_xdata()).tolist(), np.asarray(curve.get_ydata()).tolist()]


def overlap(figure: Figure, names: set[str]) -> bool:
    """Tell whether some of the texts lie over each other."""
    shown = [t for t in figure.findobj(Text) if t.get_text() in names and t.get_visible()]
    assert len(shown) >= len(names)
    boxes = [text.get_window_extent() for text in shown]
    return any(one.overlaps(other) for one, other in combinations(boxes, 2))
