"""The page on serving, followed to the end: its server started, its requests sent as they stand."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.test_pages import CHECKOUT, blocks, carry_out, pytestmark
from tests.runner.processes import WITHIN_S
from tests.test_readme import commands

__all__ = ["pytestmark"]
PENGUINS = CHECKOUT / "conf" / "data" / "penguins.csv"


@contextmanager
def serving(command: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Have the command of the page serve a model, until the end of the block."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            yield
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def test_the_champion_answers_the_requests_of_the_page(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PENGUINS.parent, tmp_path / "conf" / "data")
    monkeypatch.chdir(tmp_path)
    texts = [(language, text) for language, _, text in blocks("serve.md")]
    (register,) = [text for language, text in texts if language == "bash"]
    carry_out(*commands(f"```bash\n{register}```\n"), tmp_path)
    (export, serve), requests, *_ = (
        commands(f"```sh\n{text}```\n") if "curl" not in text else [text]
        for language, text in texts
        if language == "sh"
    )
    assert export.startswith("export MLFLOW_TRACKING_URI=sqlite:///")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    with serving(serve.replace("5001", port), tmp_path, environment):
        _, csv, rows = "".join(requests).replace("5001", port).split("curl ")
        answers = [answer(each, tmp_path, environment) for each in (csv, rows)]
    n_rows = len(PENGUINS.read_text("utf-8").splitlines()) - 1
    assert [len(each) for each in answers] == [n_rows, 1]
    assert set(answers[1][0]) == {"Adelie", "Chinstrap", "Gentoo"}
    assert sum(answers[1][0].values()) == pytest.approx(1)


def answer(request: str, folder: Path, environment: dict[str, str]) -> list[dict[str, float]]:
    """Send a request of the page, again until the server is up; return what it predicts."""
    until_it_is_up = f"--retry {WITHIN_S} --retry-delay 1 --retry-connrefused"
    done = subprocess.run(
        ["bash", "-c", f"curl -s --fail-with-body {until_it_is_up} {request}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    predictions: list[dict[str, float]] = json.loads(done.stdout)["predictions"]
    return predictions
