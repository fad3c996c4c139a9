"""What a PNG shows, as numbers."""

from pathlib import Path

import numpy as np
from matplotlib.image import imread
from numpy.typing import NDArray


def pixels(path: Path) -> NDArray[np.float64]:
    """Read a PNG as red, green and blue between 0 and 1, rows from the top."""
    return np.asarray(imread(path), dtype=np.float64)[..., :3]


def near(picture: NDArray[np.float64], color: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Find the pixels of a colour."""
    found: NDArray[np.bool_] = np.abs(picture - np.array(color)).max(axis=2) < 0.02
    return found


def solid(found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the pixels whose neighbours were found too: areas, not the soft edges of letters."""
    kept = found.copy()
    for axis in (0, 1):
        for step in (1, -1):
            kept &= np.roll(found, step, axis)
    return kept


def center(found: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the median row and column of some pixels: a few strays elsewhere do not count."""
    rows, columns = np.nonzero(found)
    return float(np.median(rows)), float(np.median(columns))


def text_chunks(path: Path) -> set[bytes]:
    """Name the chunks of a PNG beside its picture."""
    content, at, kinds = path.read_bytes(), 8, set()
    while at < len(content):
        kinds.add(content[at + 4 : at + 8])
        at += 12 + int.from_bytes(content[at : at + 4], "big")
    return kinds - {b"IHDR", b"IDAT", b"IEND", b"pHYs"}
