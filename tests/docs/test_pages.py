"""The pages of the documentation, followed literally: every file, command and line of Python.

A block with a title is a file; one of Python goes on where the page's last one ended; one of a
shell holds commands. ``DOCS=1``, which `make docs` sets, asks for these tests: they take a minute.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from softnet import LAYERS
from tests.runner.conftest import run_here
from tests.test_readme import commands

pytestmark = pytest.mark.skipif(
    os.environ.get("DOCS") != "1",
    reason="DOCS=1 is not set: no page was followed (`make docs` does)",
)
CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
FOLLOWED = (
    *("start.md", "own_table.md", "cross_validate.md", "colleague.md", "paper.md"),
    *("extend.md", "python.md", "your_own_layer.md", "serve.md"),
    *("sweeps.md", "results.md", "reruns.md", "search.md", "choosing.md"),
)
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Return the language, the title and the text of each fenced block."""
    yield from _BLOCK.findall((DOCS / page).read_text("utf-8"))


@pytest.mark.parametrize("page", FOLLOWED)
def test_a_page_can_be_followed_literally(
    page: str, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    shutil.copytree(CHECKOUT / "conf" / "data", folder / "conf" / "data")
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"__name__": "__main__"}
    shipped = set(LAYERS)
    try:
        for language, title, text in blocks(page):
            if title:
                Path(title).parent.mkdir(parents=True, exist_ok=True)
                Path(title).write_text(text, "utf-8")
            elif language == "python":
                exec(compile(text, page, "exec"), names)  # noqa: S102  (our own page)
            elif language in {"bash", "console"}:
                for command in commands(f"```{language}\n{text}```\n"):
                    carry_out(command, folder)
    finally:  # a page's own layer is none of other tests
        for name in set(LAYERS) - shipped:
            del LAYERS[name]


def carry_out(command: str, folder: Path) -> None:
    """Run a command, the runner in this process where nothing else is asked of the shell."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    if re.match(r"runner [^|>&]*$", command):
        done = run_here(shlex.split(command)[1:], folder, environment)
    else:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**environment, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
