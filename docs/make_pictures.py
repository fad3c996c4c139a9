"""Draws the pictures of the documentation: terminals as SVG, a page of MLflow as PNG.

    python docs/make_pictures.py

Commands run as a person types them, in a folder and a store of their own. The page of MLflow needs
Chromium; without it that picture stays as it is, which a line says.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
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


def draw_page(folder: Path, picture: Path) -> None:
    """Have Chromium draw the page of MLflow that `runner ui` names."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("No Chromium here: the picture of MLflow stays as it is.")  # noqa: T201  (asked)
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "runner", "ui", "--port", str(port)]
    server = subprocess.Popen(
        words, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True
    )
    try:
        lines = iter(server.stdout or ())
        page = next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
        flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1600,800"]
        shot = f"--screenshot={picture}"
        subprocess.run(
            [browser, *flags, "--virtual-time-budget=30000", shot, page],
            check=True,
            capture_output=True,
            timeout=300,
        )
    finally:
        server.terminate()
        server.wait()


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
        draw_page(here, DOCS / "mlflow_runs.png")
