"""Draws the pictures of the documentation: terminals as SVG, pages of MLflow and figures as PNG.

    python docs/make_pictures.py

Commands run as a person types them, in a folder and a store of their own. Pages of MLflow
need Chromium; without it their pictures stay as they are, which a line says.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
OWN = "experiment=own data.path=conf/data/penguins.csv data.target=species"
TERMINALS = {
    "terminal_data.svg": "runner data conf/data/penguins.csv",
    "terminal_run.svg": f"runner {OWN}",
    "terminal_sweep.svg": f"runner -m {OWN} optimizer.learning_rate=0.001,0.01,0.1 seed=range(0,3)",
}
# The picture of the README, with the command that stands beside it there.
SWEEP = (
    "runner -m experiment=digits 'model.hidden_layer_sizes=[16],[64],[256]'"
    " optimizer.learning_rate=0.001,0.003,0.01,0.03 'seed=range(0,3)'"
)
FIGURE = "metric_by_learning_rate.png"
_WIDTH = 100


def draw_terminal(command: str, folder: Path, picture: Path) -> None:
    """Run a command, and write what a terminal shows of it."""
    size = {"FORCE_COLOR": "1", "COLUMNS": str(_WIDTH), "TERM": "xterm-256color"}
    done = subprocess.run(
        [sys.executable, "-m", "runner", *command.split()[1:]],
        cwd=folder,
        env=environment(folder) | size,
        capture_output=True,
        text=True,
        check=True,
    )
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=_WIDTH, file=nowhere)
        console.print(Text(f"$ {command}"))
        shown = done.stdout.rstrip().replace(str(folder), "/home/you")
        console.print(Text.from_ansi(shown))
        svg = console.export_svg(
            title="runner", theme=DEFAULT_TERMINAL_THEME, unique_id=picture.stem
        )
    # Its letters would come from elsewhere.
    svg = re.sub(r"\s*@font-face \{.*?\}\n", "\n", svg, flags=re.DOTALL)
    lines = (line.rstrip() for line in svg.replace("Fira Code", "monospace").splitlines())
    picture.write_text("\n".join(lines) + "\n", "utf-8")


def draw_figure(command: str, folder: Path, picture: Path) -> None:
    """Run a sweep, and copy a figure that it draws of itself."""
    subprocess.run(
        [sys.executable, "-m", "runner", *shlex.split(command)[1:]],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        check=True,
    )
    (figure,) = folder.glob(f"artifacts/*/*/artifacts/figures/{FIGURE}")
    shutil.copyfile(figure, picture)


def browser() -> str | None:
    """Return the path of Chromium, where it is installed."""
    return shutil.which("chromium") or shutil.which("google-chrome")


@contextmanager
def served(folder: Path) -> Iterator[list[str]]:
    """Have `runner ui` serve a folder's store; give the links that it prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "runner", "ui", "--port", str(port)]
    links: list[str] = []
    with subprocess.Popen(
        words, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            for line in server.stdout or ():
                links += re.findall(r"http://\S+", line)
                if line.startswith("Ctrl-C"):
                    break
            yield links
        finally:
            server.terminate()


def look(page: str, *flags: str) -> str:
    """Open a page in Chromium, which is given flags; return what that prints."""
    always = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1600,800"]
    return subprocess.run(
        [str(browser()), *always, "--virtual-time-budget=120000", *flags, page],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    ).stdout


def environment(folder: Path) -> dict[str, str]:
    """Return what the commands get: a store and a folder of their own."""
    store = f"sqlite:///{folder / 'mlflow.db'}"
    return {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": store}


if __name__ == "__main__":
    with TemporaryDirectory() as name:
        here = Path(name)
        shutil.copytree(ROOT / "conf" / "data", here / "conf" / "data")
        for file, line in TERMINALS.items():
            draw_terminal(line, here, DOCS / file)
        if browser() is None:
            print("No Chromium here: the pictures of MLflow stay as they are.")  # noqa: T201  (asked)
        else:
            with served(here) as (_, sweep):
                look(sweep, f"--screenshot={DOCS / 'mlflow_runs.png'}")
    with TemporaryDirectory() as name:
        draw_figure(SWEEP, Path(name), DOCS / "sweep.png")
