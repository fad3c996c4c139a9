"""How loss and accuracy went while a run trained, and which step was kept.

It must not know what trained: it sees steps and named values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from runner.figures import style as canvas
from runner.figures.lettering import INCHES, text_width
from runner.figures.measures import Measure
from runner.figures.scales import scale_steps, scale_values
from runner.system.text import elide

History = Sequence[tuple[int, Mapping[str, float]]]

_SPLITS = {"train": "training", "val": "validation"}
# Validation lies over training, broken, so that both show where they coincide.
_STYLES: dict[str, dict[str, Any]] = {
    "train": {"color": canvas.PALETTE[0], "linewidth": 1.8},
    "val": {"color": canvas.PALETTE[1], "linewidth": 1.6, "linestyle": (0, (3.5, 1.2))},
}

# Inches.
_WIDTH, _LEFT, _RIGHT, _BOTTOM, _TOP, _PANEL, _GAP = 6.4, 0.62, 0.28, 0.58, 0.72, 1.6, 0.42

# So few evaluations are shown as points too.
_FEW = 12


@canvas.house_style()
def draw_learning_curve(
    history: History, best_step: int | None, path: Path, title: str = ""
) -> None:
    """Draw the training and validation values of each metric against the step, as a PNG.

    Parameters
    ----------
    history : sequence of (step, {"train/loss": value, ...})
        One entry per evaluation; values may be NaN or infinite, and entries may lack some.
    best_step : int or None
        The step whose weights early stopping kept.
    path : Path
        The PNG to write.
    title : str
        What stands above the picture, for instance the name of the run.
    """
    steps = np.array([step for step, _ in history], dtype=np.float64)
    curves: dict[str, dict[str, NDArray[np.float64]]] = {}
    for name in dict.fromkeys(name for _, values in history for name in values):
        split, _, metric = name.partition("/")
        if split in _SPLITS:
            values = [values.get(name, np.nan) for _, values in history]
            curves.setdefault(metric, {})[split] = np.array(values, dtype=np.float64)

    n_panels = max(1, len(curves))
    height = _BOTTOM + n_panels * _PANEL + (n_panels - 1) * _GAP + _TOP
    figure = canvas.page(_WIDTH, height)
    panels = [
        canvas.axes_at(
            figure, _LEFT, height - _TOP - row * (_PANEL + _GAP) - _PANEL,
            _WIDTH - _LEFT - _RIGHT, _PANEL,
        )
        for row in range(n_panels)
    ]  # fmt: skip
    canvas.write(figure, _LEFT, height - 0.3, elide(title or "Learning curve", 34), bold=True)
    _write_legend(figure, height - 0.3, {split for found in curves.values() for split in found})
    if not curves:
        panels[0].text(
            0.5, 0.5, "nothing was evaluated", ha="center", color=canvas.MUTED,
            transform=panels[0].transAxes,
        )  # fmt: skip
    for axes, (metric, by_split) in zip(panels, curves.items(), strict=False):
        _draw_panel(axes, steps, by_split, metric)
    scale_steps(panels, steps)
    if best_step is not None and curves:
        _mark_best(panels, best_step)
    canvas.write(figure, _LEFT + (_WIDTH - _LEFT - _RIGHT) / 2, 0.16, "step", align="center")
    canvas.save(figure, path)


def _write_legend(figure: Figure, y: float, splits: Iterable[str]) -> None:
    """Name the lines at the upper right, where no data can lie below them."""
    x = _WIDTH - _RIGHT
    for split in sorted(splits, reverse=True):  # from the right: val, then train
        label = _SPLITS[split]
        x -= text_width([label], canvas.TEXT_PT)
        canvas.write(figure, x, y, label)
        figure.add_artist(
            Line2D(
                [x - 0.42, x - 0.08], [y + 0.045] * 2, transform=INCHES,
                **_STYLES[split],
            )
        )  # fmt: skip
        x -= 0.6


def _draw_panel(
    axes: Axes, steps: NDArray[np.float64], by_split: Mapping[str, NDArray[np.float64]], metric: str
) -> None:
    measure = Measure(metric)
    shown = {split: measure.shown(values) for split, values in by_split.items()}
    scale_values(axes, np.concatenate(list(shown.values())), metric)
    for split, values in shown.items():
        n_points = int(np.isfinite(values).sum())
        marker = "o" if n_points <= _FEW else ""
        axes.plot(steps, values, marker=marker, markersize=3.5, clip_on=False, **_STYLES[split])
    axes.text(
        0.0, 1.05, measure.label, transform=axes.transAxes, size=canvas.SMALL_PT,
        color=canvas.MUTED,
    )  # fmt: skip
    # A value that is absent (np.nan by lookup) cannot be told from a NaN; both leave a gap.
    broken = [int(steps[np.isnan(v)][0]) for v in shown.values() if np.isnan(v).any()]
    if broken:
        axes.text(
            1.0, 1.05, f"not finite at step {min(broken):,}", transform=axes.transAxes, ha="right",
            size=canvas.SMALL_PT, color=canvas.PALETTE[1],
        )  # fmt: skip


def _mark_best(panels: Sequence[Axes], best_step: int) -> None:
    low, high = panels[0].get_xlim()
    for axes in panels:
        axes.axvline(best_step, color=canvas.MUTED, linewidth=1.0, linestyle=(0, (1, 1.5)))
    at_right = best_step > (low + high) / 2
    panels[0].text(
        best_step, 0.97, f" best step {best_step:,} ", size=canvas.SMALL_PT, color=canvas.MUTED,
        transform=panels[0].get_xaxis_transform(), va="top", ha="right" if at_right else "left",
    )  # fmt: skip
