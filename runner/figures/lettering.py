"""Text in quantity: how wide it is, and many short texts at once.

One of matplotlib's texts costs 2 ms to lay out and draw, and a table holds hundreds. Latin letters
need no shaping: their outlines are kept, put side by side, and drawn as one collection. Any other
script goes through matplotlib's own layout.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.path import Path
from matplotlib.textpath import TextPath, text_to_path
from matplotlib.transforms import Affine2D, Transform
from numpy.typing import ArrayLike

# Pixels per inch of every page, and the way from the one to the other.
DPI = 150
INCHES = Affine2D().scale(DPI)

# Fonts that carry what DejaVu Sans, matplotlib's own, does not; used where they are installed.
_FURTHER_FONTS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "PingFang SC", "Hiragino Sans", "Microsoft YaHei",
    "Yu Gothic", "WenQuanYi Zen Hei", "Noto Sans Devanagari", "Noto Sans Thai",
)  # fmt: skip

# Beyond the Latin letters, these need no shaping either: dashes, quotation marks, minus.
_PUNCTUATION = "\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u2212"

# The height of a digit, in ems.
_DIGIT = 0.73
_ALIGN = {"left": 0.0, "center": 0.5, "right": 1.0}
_RISE = {"baseline": 0.0, "middle": _DIGIT / 2, "top": _DIGIT}
# The same in matplotlib's words, for a line that lies and for one that stands on end.
_LYING = {"baseline": "baseline", "middle": "center_baseline", "top": "top"}
_ON_END = {"left": "bottom", "center": "center", "right": "top"}


@functools.cache
def fonts() -> tuple[str, ...]:
    """Return the font families to use, the preferred one first."""
    installed = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _FURTHER_FONTS if name in installed))


@functools.cache
def _advance(letter: str, bold: bool) -> float:
    """Measure how far a letter moves the next one, in ems."""
    font = FontProperties(family=list(fonts()), size=100, weight="bold" if bold else "normal")
    return text_to_path.get_text_width_height_descent(letter, font, False)[0] / 100


@functools.cache
def _outline(letter: str) -> Path | None:
    """Return the outline of a letter in ems, or None for a space."""
    if letter.isspace():
        return None
    return TextPath(
        (0.0, 0.0), letter, prop=FontProperties(family=list(fonts()), size=100)
    ).transformed(Affine2D().scale(0.01))


def text_width(texts: Iterable[str], size: float, bold: bool = False) -> float:
    """Measure the widest of some texts, in inches, but for what kerning saves."""
    ems = (sum(_advance(letter, bold) for letter in text) for text in texts)
    return max(ems, default=0.0) * size / 72.0


def _line(text: str, align: float, rise: float) -> Path:
    """Put letters side by side, in ems, with the anchor at the origin."""
    advances = [_advance(letter, False) for letter in text]
    left = -align * sum(advances)
    shapes = []
    for letter, advance in zip(text, advances, strict=True):
        shape = _outline(letter)
        if shape is not None:
            shapes.append(shape.transformed(Affine2D().translate(left, -rise)))
        left += advance
    return Path.make_compound_path(*shapes)


def draw_texts(
    axes: Axes,
    texts: Sequence[str],
    places: ArrayLike,
    *,
    size: float,
    colors: str | Sequence[str],
    align: Literal["left", "center", "right"] = "center",
    anchor: Literal["baseline", "middle", "top"] = "middle",
    upright: bool = False,
    transform: Transform | None = None,
) -> None:
    """Draw short texts, each at a place of its own.

    Parameters
    ----------
    axes : Axes
    texts : sequence of str
    places : array-like of shape (n_texts, 2)
    size : float
        Of the letters, in points.
    colors : str or sequence of str
        One for all, or one for each.
    align, anchor : str
        Which point of a text lies at its place: along the line, and across it.
    upright : bool
        Whether lines run upwards.
    transform : Transform, optional
        What places are measured in; by default the data.
    """
    where = np.reshape(np.asarray(places, dtype=np.float64), (-1, 2))
    each = [colors] * len(texts) if isinstance(colors, str) else list(colors)
    transform = axes.transData if transform is None else transform
    if all(letter < "\u0250" or letter in _PUNCTUATION for text in texts for letter in text):
        kept = [index for index, text in enumerate(texts) if text.strip()]
        outlines = {text: _line(text, _ALIGN[align], _RISE[anchor]) for text in {*texts}}
        collection = PathCollection(
            [outlines[texts[index]] for index in kept],
            offsets=where[kept],
            offset_transform=transform,
            facecolors=[each[index] for index in kept],
            linewidths=0.0,
        )
        turned = Affine2D().rotate_deg(90.0 if upright else 0.0)
        collection.set_transform(turned.scale(size / 72.0 * DPI))
        collection.set_clip_on(False)
        axes.add_collection(collection, autolim=False)
        return
    for text, (x, y), color in zip(texts, where, each, strict=True):
        ha, va = ("center", _ON_END[align]) if upright else (align, _LYING[anchor])
        axes.text(
            x, y, text, transform=transform, size=size, color=color, ha=ha, va=va,
            rotation=90.0 if upright else 0.0,
        )  # fmt: skip
