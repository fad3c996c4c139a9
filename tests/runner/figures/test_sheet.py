from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from runner.figures.sheet import Entry, Sheet
from runner.figures.style import PALETTE, house_style
from tests.runner.figures.pixels import near, pixels

STYLE = {"color": PALETTE[1], "marker": "s", "markersize": 6.0}


@pytest.mark.parametrize("length", [0, 3, 60])
@pytest.mark.parametrize("heading", ["a", "a heading of many words " * 5])
def test_the_page_is_as_wide_as_its_words(length: int, heading: str, tmp_path: Path) -> None:
    with house_style():
        sheet = Sheet(
            title=heading, subtitle="", x_name="x", y_name="y",
            legend=[Entry("w" * length, STYLE)] * bool(length),
        )  # fmt: skip
        sheet.save(tmp_path / "sheet.png")
    dark = pixels(tmp_path / "sheet.png").min(axis=2) < 0.9
    blank = dark.shape[1] - 1 - np.nonzero(dark)[1].max()
    assert 20 <= blank <= 110  # pixels: a margin of 0.2 inches, and 5 % of the longest line


def test_each_entry_has_a_line_and_a_marker_of_its_own(tmp_path: Path) -> None:
    with house_style():
        entries = [Entry("one", STYLE), Entry("two", {**STYLE, "color": PALETTE[2]})]
        sheet = Sheet(title="", subtitle="", x_name="", y_name="", legend=entries)
        sheet.save(tmp_path / "sheet.png")
    picture = pixels(tmp_path / "sheet.png")
    (first, x), (second, _) = (np.nonzero(near(picture, to_rgb(c))) for c in PALETTE[1:3])
    assert np.median(second) - np.median(first) == pytest.approx(0.2 * 150, abs=1)
    assert np.ptp(x) == pytest.approx(0.28 * 150, abs=3)
    assert np.ptp(first) > 8  # the marker is higher than the line
