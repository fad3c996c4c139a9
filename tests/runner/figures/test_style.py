import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np

from runner.figures.curves import draw_learning_curve
from runner.figures.matrices import draw_confusion_matrix
from runner.figures.style import house_style, legend_beside, new_figure, save
from tests.runner.figures.pictures import assert_whole, texts

CHECKOUT = Path(__file__).resolve().parents[3]
# A formula, a line break, letters that no font has, and one that nothing can encode.
HOSTILE = ["$x_1$", "$", "two\nlines", "日本語", "لغة", "\u202e\x1b[31m", "\ud800", "", "%s {x}"]


def test_page_grows_around_all_texts(tmp_path: Path) -> None:
    text = "a heading of many words " * 4
    with house_style():
        figure, (axes,) = new_figure(3.0, 2.0)
        axes.set_ylabel(text)
        legend_beside(axes, axes.plot([0.0, 1.0]), [text])
        save(figure, tmp_path / "page.png", text, text, text)
    assert_whole(tmp_path / "page.png")


def test_names_are_drawn_as_they_are_written(tmp_path: Path) -> None:
    counts = np.eye(len(HOSTILE), dtype=np.intp)
    figure = draw_confusion_matrix(counts, HOSTILE, tmp_path / "names.png", "a $run$ \x1b[31m")
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
