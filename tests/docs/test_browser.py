"""The filters that the documentation gives, and the link of `runner ui`, opened in a browser."""

import os
import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import mlflow
import pytest

from tests.runner.conftest import run_here

DOCS = Path(__file__).resolve().parents[2] / "docs"
PICTURES = runpy.run_path(str(DOCS / "make_pictures.py"))
# Of a table's cell, in which Markdown wants two backticks around what has some.
FILTERS = re.findall(
    r"^\| ``(.*?)`` \| `?(.*?)`? \| ", (DOCS / "recorded.md").read_text("utf-8"), re.MULTILINE
)
SWEEP = ["-m", "experiment=iris", "training.epochs=2", "optimizer.learning_rate=0.01,0.1,1e200"]
SWEEP += ["optimizer=sgd", "seed=0,1", "sweep.name=rates"]
CHARTS = "&compareRunsMode=CHART"
pytestmark = [
    pytest.mark.skipif(
        os.environ.get("DOCS") != "1",
        reason="DOCS=1 is not set: no filter was tried in a browser (`make docs` does)",
    ),
    pytest.mark.skipif(
        PICTURES["browser"]() is None,
        reason="Chromium is not installed: no filter was tried in a browser",
    ),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """A folder with a store that has a sweep and a run, and the links that `runner ui` prints."""
    folder = tmp_path_factory.mktemp("browsed")
    environment = PICTURES["environment"](folder)
    assert run_here(SWEEP, folder, environment).returncode == 1  # one rate diverges
    assert run_here(["experiment=iris", "training.epochs=2"], folder, environment).returncode == 0
    with PICTURES["served"](folder) as links:
        yield folder, links


def runs_in(page: str) -> set[str]:
    """The runs that a page lists."""
    look: Callable[..., str] = PICTURES["look"]
    return set(re.findall(r"/runs/([0-9a-f]{32})", look(page, "--dump-dom")))


@pytest.mark.parametrize(("text", "sort"), FILTERS)
def test_a_filter_of_the_docs_lists_its_runs(
    text: str, sort: str, pages: tuple[Path, list[str]]
) -> None:
    folder, (front, _) = pages
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (found,) = re.findall(r"/experiments/(\d+)/", front)
    (sweep,) = client.search_runs([found], "tags.`runner.kind` = 'sweep'")
    search = text.replace("'ID'", f"'{sweep.info.run_id}'")
    expected = {run.info.run_id for run in client.search_runs([found], search)}
    assert expected
    key = "attributes.start_time" if sort == "Created" else f"metrics.`{sort}`"
    asked = f"{front}&searchFilter={quote(search)}&orderByKey={quote(key)}&orderByAsc=true"
    assert runs_in(asked) == expected


def test_the_link_of_the_newest_sweep_has_its_runs_and_what_varies(
    pages: tuple[Path, list[str]],
) -> None:
    folder, (_, link) = pages
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    (found,) = re.findall(r"/experiments/(\d+)/", link)
    jobs = client.search_runs([found], "tags.`runner.kind` = 'run' and tags.`runner.sweep` != ''")
    shown = PICTURES["look"](link, "--dump-dom")
    assert set(re.findall(r"/runs/([0-9a-f]{32})", shown)) == {job.info.run_id for job in jobs}
    text = re.sub(r"<[^>]+>", " ", shown)
    assert "learning_rate" in text
    assert "val/loss" in text
    charts = re.sub(r"<[^>]+>", " ", PICTURES["look"](f"{link}{CHARTS}", "--dump-dom"))
    assert "Parallel Coordinates" in charts  # MLflow itself draws a chart of every metric alone
