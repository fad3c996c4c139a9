from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from runner.figures import style as canvas
from runner.figures.lettering import DPI, draw_texts, text_width
from tests.runner.figures.pixels import near, pixels

TEXTS = ["0.25", "sepal length (cm)", "WAVE To.", "Größe", "100 %"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("bold", [False, True])
def test_widths_are_those_of_matplotlib(text: str, bold: bool) -> None:
    drawing = FigureCanvasAgg(Figure(dpi=DPI)).get_renderer()
    font = FontProperties(family="DejaVu Sans", size=40, weight="bold" if bold else "normal")
    expected = drawing.get_text_width_height_descent(text, font, False)[0] / DPI
    # Kerning, as in "WA" and "To", takes some of the width back.
    assert expected * 0.99 <= text_width([text], 40, bold) < expected * 1.08


def test_the_widest_text_decides() -> None:
    assert text_width(["i", "wide", ""], 9) == text_width(["wide"], 9)
    assert text_width([], 9) == 0.0


@canvas.house_style()
def extent(path: Path, text: str, **how: object) -> tuple[float, float, float, float]:
    """Draw a text at the middle of a page of 400 x 400 pixels; return where its ink is."""
    figure = canvas.page(400 / DPI, 400 / DPI)
    axes = canvas.axes_at(figure, 0, 0, 400 / DPI, 400 / DPI, frame=False)
    draw_texts(axes, [text], [(0.5, 0.5)], size=24, colors="#000000", **how)
    canvas.save(figure, path)
    rows, columns = near(pixels(path), (0.0, 0.0, 0.0)).nonzero()
    return rows.min() - 200, rows.max() - 200, columns.min() - 200, columns.max() - 200


@pytest.mark.parametrize("text", ["HEH", "ΗΕΗ"])  # noqa: RUF001  (Latin outlines, Greek layout)
def test_texts_lie_where_they_are_put(text: str, tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    # Ink begins a little after the point where a letter does: 12 pixels where a letter has 50.
    top, bottom, left, right = extent(path, text)
    assert top + bottom == pytest.approx(0, abs=12)
    assert left + right == pytest.approx(0, abs=12)
    assert right - left > bottom - top
    assert extent(path, text, align="left")[2] == pytest.approx(0, abs=12)
    assert extent(path, text, align="right")[3] == pytest.approx(0, abs=12)
    assert extent(path, text, anchor="baseline")[1] == pytest.approx(0, abs=12)
    assert extent(path, text, anchor="top")[0] == pytest.approx(0, abs=12)
    top, bottom, left, right = extent(path, text, upright=True, align="right")
    assert top == pytest.approx(0, abs=12)
    assert left + right == pytest.approx(0, abs=12)
    assert bottom - top > right - left


@pytest.mark.parametrize("text", ["", " ", "\u00a0"])
def test_an_empty_text_leaves_no_ink(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zero-size"):
        extent(tmp_path / "text.png", text)
