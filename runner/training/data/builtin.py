"""Tables that need no file: the tutorial's, those of scikit-learn, and points drawn from a seed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.system.errors import ConfigError
from runner.training.data.dataset import Dataset, FloatArray, check_room

if TYPE_CHECKING:
    from runner.config.data import BlobsData, MoonsData, SpiralsData

# The four features of each row and its label, which equals the third feature.
_TUTORIAL = """
1101 0  0101 0  0101 0  1010 1  0110 1  1011 1  0000 0  1110 1
0011 1  1101 0  0010 1  1000 0  1111 1  0111 1  1001 0  1001 0
"""


# Of each bundled table its file and the names of its features, which the file does not have.
_IRIS = [f"{part} {size} (cm)" for part in ("sepal", "petal") for size in ("length", "width")]
_WINE = (
    "alcohol malic_acid ash alcalinity_of_ash magnesium total_phenols flavanoids "
    "nonflavanoid_phenols proanthocyanins color_intensity hue od280/od315_of_diluted_wines proline"
)
_CELL = "radius texture perimeter area smoothness compactness concavity concave_points symmetry"
_BREAST_CANCER = [
    form.format(feature.replace("_", " "))
    for form in ("mean {}", "{} error", "worst {}")
    for feature in (*_CELL.split(), "fractal_dimension")
]
_DIGITS = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
_BUNDLED = {
    "iris": ("iris.csv", _IRIS),
    "wine": ("wine_data.csv", _WINE.split()),
    "breast_cancer": ("breast_cancer.csv", _BREAST_CANCER),
    "digits": ("digits.csv.gz", _DIGITS),
}


def tutorial_table() -> Dataset:
    """Return the tutorial's table: 16 rows, 4 features, 2 classes.

    References
    ----------
    Shubhang Desai, 2017, "A Soft Introduction to Neural Networks".
    """
    cells = _TUTORIAL.split()
    return Dataset(
        name="tutorial",
        feature_names=tuple(f"feature_{column}" for column in (1, 2, 3, 4)),
        X=np.array([[int(bit) for bit in row] for row in cells[::2]], np.float64),
        y=np.array([int(label) for label in cells[1::2]]),
        class_names=("0", "1"),
        source="the tutorial's table",
    )


def load_bundled(name: Literal["iris", "wine", "breast_cancer", "digits"]) -> Dataset:
    """Load one of the tables that come with scikit-learn; nothing is downloaded.

    The classes are sorted by name, as those of any other source: in breast_cancer, benign is 0.

    Notes
    -----
    The files of scikit-learn are read, which takes milliseconds; to import its loaders takes more
    than a second, for all of SciPy comes with them.
    """
    package = find_spec("sklearn")
    folder = Path(str(package and package.origin)).parent / "datasets" / "data"
    file, feature_names = _BUNDLED[name]
    if name == "digits":  # it has no line of names
        table, target_names = np.loadtxt(folder / file, delimiter=","), list(map(str, range(10)))
    else:
        with (folder / file).open(encoding="utf-8") as lines:
            target_names = next(lines).strip().split(",")[2:]
            table = np.loadtxt(lines, delimiter=",")
    class_names, y = np.unique(
        np.array(target_names)[table[:, -1].astype(int)], return_inverse=True
    )
    return Dataset(
        name=name,
        feature_names=tuple(feature_names),
        X=table[:, :-1],
        y=y,
        class_names=tuple(class_names.tolist()),
        source=f"scikit-learn {name}",
    )


def generate(config: BlobsData | MoonsData | SpiralsData) -> Dataset:
    """Draw the points that the settings of a generator describe.

    `noise` is the standard deviation of each coordinate, in the units of the figure.

    Notes
    -----
    Row i belongs to class i modulo n_classes, so that every stretch of rows holds every class and
    the contiguous split works.

    blobs: one normal cloud per class, round a centre drawn uniformly from [-10, 10] in each
    feature. moons: two interleaved half circles of radius 1. spirals: one arm per class, from
    the centre out to radius 1 in one turn.

    scikit-learn draws other points from a seed, and has no spirals.
    """
    n_classes = 2 if config.name == "moons" else config.n_classes
    n_features = config.n_features if config.name == "blobs" else 2
    if config.n_samples < n_classes:
        rule = f"at least one row for each of the {n_classes:,} classes"
        raise ConfigError("data.n_samples", rule, config.n_samples)
    table = f"{config.n_samples:,} rows x {n_features:,} features"
    check_room("data.n_samples", table, config.n_samples * n_features * 8)
    check_room("data.n_classes", f"{n_classes:,} centres", n_classes * n_features * 8)
    rng = np.random.default_rng(np.random.SeedSequence(config.seed))
    y = np.arange(config.n_samples) % n_classes
    # How far along its arm each point lies, from 0 to 1, evenly within each class.
    along = np.arange(config.n_samples) // n_classes / max(1, (config.n_samples - 1) // n_classes)
    match config.name:
        case "blobs":
            X = rng.uniform(-10.0, 10.0, (n_classes, n_features))[y]
        case "moons":
            X = _polar(np.ones_like(along), np.pi * along)
            # The lower moon is the upper one turned by half a circle about (0.5, 0.25).
            X[y == 1] = np.array([1.0, 0.5]) - X[y == 1]
        case _:
            X = _polar(along, 2.0 * np.pi * (along + y / n_classes))
    X += config.noise * rng.standard_normal(X.shape)
    return Dataset(
        name=config.name,
        feature_names=tuple(f"feature_{column + 1}" for column in range(n_features)),
        X=X,
        y=y,
        class_names=tuple(map(str, range(n_classes))),
        source=config.name,
    )


def _polar(radius: FloatArray, angle: FloatArray) -> FloatArray:
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
