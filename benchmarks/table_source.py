"""The real tables of tables.txt as files, their rows in two parts, and scikit-learn's pipelines.

The packages are never imported: pydataset would write into the home folder.
"""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

LIST = Path(__file__).with_name("tables.txt")
# Up to as many distinct targets each part of the rows gets its share of all.
_FEW = 20


@dataclass(frozen=True)
class Table:
    """A real table, as R or pandas wrote it.

    Parameters
    ----------
    half : str
        ``tuning`` or ``held-out``.
    package : str
        The package that carries it.
    name : str
        Such as ``COUNT/titanic``.
    target : str
        The column that is predicted.
    """

    half: Literal["tuning", "held-out"]
    package: str
    name: str
    target: str

    @property
    def content(self) -> bytes:
        """The bytes of the file."""
        folder = _folder(self.package)
        if self.package == "pydataset":
            return _archive()[f"resources/rdata/csv/{self.name}.csv"]
        return (folder / "datasets" / f"{self.name}.csv").read_bytes()

    @property
    def delimiter(self) -> str:
        """What separates its cells."""
        return ";" if b";" in self.content.splitlines()[0] else ","

    def write(self, folder: Path) -> Path:
        """Write the whole table into a folder."""
        path = folder / f"{self.name.rpartition('/')[2]}.csv"
        path.write_bytes(self.content)
        return path

    def split(self, folder: Path, seed: int = 0, share: float = 0.25) -> tuple[Path, Path]:
        """Write its lines as two files: those to train with, and a share of them to test with.

        Of up to 20 distinct targets each file has its share, and classes with less than four rows
        are in neither; a quantity is drawn by chance. Rows without a target are in neither.
        """
        from sklearn.model_selection import train_test_split

        header, *lines = self.content.splitlines(keepends=True)
        target = _read(BytesIO(self.content), self.delimiter)[self.target]
        assert len(target) == len(lines), f"{self.name}: a cell goes on over several lines"
        distinct = target.value_counts()
        has_classes = len(distinct) <= _FEW
        kept = np.flatnonzero(target.isin(distinct.index[distinct >= 4] if has_classes else target))
        kept = kept[target.iloc[kept].notna()]
        strata = target.iloc[kept] if has_classes else None
        parts = train_test_split(kept, test_size=share, random_state=seed, stratify=strata)
        paths = folder / "train.csv", folder / "test.csv"
        for path, rows in zip(paths, parts, strict=True):
            path.write_bytes(header + b"".join(lines[row] for row in sorted(rows)))
        return paths

    def frames(self, paths: tuple[Path, Path], drop: Collection[str] = ()) -> tuple[Any, ...]:
        """Return X_train, X_test, y_train and y_test of the two files, as pandas reads them.

        The columns of `drop` are left out, and so is one without a name: the numbers of the rows.
        """
        train, test = (_read(path, self.delimiter) for path in paths)
        out = [n for n in train if n in {*drop, self.target} or n.startswith("Unnamed: ")]
        return (*(f.drop(columns=out) for f in (train, test)), train[self.target],
                test[self.target])  # fmt: skip


def tables(half: str | None = None) -> list[Table]:
    """Return the tables of one half, or all."""
    lines = (line.split() for line in LIST.read_text("utf-8").splitlines() if line[:1] != "#")
    listed = [Table(*fields) for fields in lines]  # type: ignore[arg-type]  # the list's own words
    return [table for table in listed if half in (None, table.half)]


def pipelines(X: pd.DataFrame, *, has_classes: bool, seed: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield scikit-learn's pipelines for the columns of a data frame, each with its name.

    Missing numbers become the median with a flag, numbers are standardized, words one-hot with
    the rare ones in one column; then comes a model with its defaults.
    """
    from sklearn.compose import TransformedTargetRegressor as OfStandardized
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="(missing)"),
        OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=50, sparse_output=False),
    )
    is_number = make_column_selector(dtype_include="number")
    is_word = make_column_selector(dtype_exclude="number")
    if has_classes:
        models = (
            ("LogisticRegression", LogisticRegression(max_iter=1_000)),
            ("MLP", MLPClassifier(random_state=seed)),
            ("HistGradientBoosting", HistGradientBoostingClassifier(random_state=seed)),
        )
    else:
        models = (
            ("Ridge", Ridge()),
            # Without this its defaults fail on targets of other sizes than 1.
            ("MLP", OfStandardized(MLPRegressor(random_state=seed), transformer=StandardScaler())),
            ("HistGradientBoosting", HistGradientBoostingRegressor(random_state=seed)),
        )
    for name, model in models:
        prepared = make_column_transformer((numbers, is_number(X)), (words, is_word(X)))
        yield name, make_pipeline(prepared, model)


def _read(source: Path | BytesIO, delimiter: str) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_csv(source, sep=delimiter)
    is_truth = frame.select_dtypes("bool").columns
    return frame.astype(dict.fromkeys(is_truth, int))


def _folder(package: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"{package} carries real tables, and is not installed: make benchmarks")
    return Path(found.origin).parent


@cache
def _archive() -> dict[str, bytes]:
    wanted = {f"resources/rdata/csv/{t.name}.csv" for t in tables() if t.package == "pydataset"}
    with tarfile.open(_folder("pydataset") / "resources.tar.gz") as archive:
        files = ((member.name, archive.extractfile(member)) for member in archive
                 if member.name in wanted)  # fmt: skip
        return {name: file.read() for name, file in files if file is not None}
