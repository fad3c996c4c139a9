import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from runner.figures.curves import draw_learning_curve
from runner.figures.matrices import draw_confusion_matrix
from runner.figures.style import house_style, label_lines, new_figure, save
from tests.runner.figures.pictures import assert_whole, overlap, texts

CHECKOUT = Path(__file__).resolve().parents[3]
# A formula, a line break, letters that no font has, and one that nothing can encode.
HOSTILE = ["$x_1$", "$", "two\nlines", "日本語", "لغة", "\u202e\x1b[31m", "\ud800", "", "%s {x}"]


def test_page_grows_around_all_texts(tmp_path: Path) -> None:
    text = "a heading of many words " * 4
    with house_style():
        figure, (axes,) = new_figure(3.0, 2.0)
        axes.set_ylabel(text)
        label_lines(axes, [(text, np.array([0.0]), np.array([1.0]), "#000000")])
        save(figure, tmp_path / "page.png", text, text)
    assert_whole(tmp_path / "page.png")


@pytest.mark.parametrize("ends", [[0.5] * 6, [1.0] * 6, [0.0] * 6, [1, 0.99, 0.51, 0.5, 0.01, 0]])
def test_labels_of_lines_that_end_together_do_not_overlap(ends: list[float]) -> None:
    names = [f"line {n}" for n in range(6)]
    with house_style():
        figure, (axes,) = new_figure(3.0, 2.0)
        x = np.array([0.0, 1.0, 2.0])
        curves = [np.array([0.3, end, np.nan]) for end in ends]
        label_lines(axes, [(*pair, "#000000") for pair in zip(names, [x] * 6, curves, strict=True)])
        assert not overlap(figure, {*names})
    heights = [text.get_position()[1] for text in axes.texts]
    assert heights == sorted(heights, reverse=True)
    assert 0.0 <= heights[-1] < heights[0] <= 1.0


def test_names_are_drawn_as_they_are_written(tmp_path: Path) -> None:
    y = np.arange(len(HOSTILE))
    figure = draw_confusion_matrix(y, y, HOSTILE, tmp_path / "names.png", "a $run$ \x1b[31m")
    assert_whole(tmp_path / "names.png")
    shown = ["$x_1$ (1)", "two\\nlines (1)", "日本語 (1)", "\\u202e\\x1b[31m (1)", "\\ud800 (1)"]
    assert {*shown, "a $run$ \\x1b[31m: confusion matrix"} <= {*texts(figure)}
    assert not any(text.get_parse_math() for text in figure.axes[0].get_yticklabels())


def test_a_persons_own_matplotlib_settings_change_nothing(tmp_path: Path) -> None:
    theirs = {"savefig.bbox": "tight", "font.size": 30, "axes.facecolor": "red"}
    for name, settings in (("plain.png", {}), ("theirs.png", theirs)):
        with mpl.rc_context(settings):
            draw_learning_curve([(1, {"train/loss": 1.0})], 1, tmp_path / name, "x")
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "theirs.png").read_bytes()
    assert b"tEXt" not in (tmp_path / "plain.png").read_bytes()  # no date, no version


def test_drawing_costs_nothing_until_it_is_asked_for() -> None:
    code = "import sys, runner.figures; sys.exit('matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True)
