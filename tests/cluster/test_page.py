"""The page on clusters, followed literally on this machine, but for ports, which others may have.

What is started by SSH, on Slurm and on Kubernetes cannot be: of it, the Python is compiled.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.sweeps.cluster import CHECKOUT, end_group, free_port
from tests.docs.test_pages import blocks

PAGE = "cluster.md"
# Three programs start at once, each of which imports for seconds, on a machine that others share.
WITHIN_S = 200


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[list[subprocess.CompletedProcess[str]]]:
    """Run each block of commands in a shell; what they start ends with the test."""
    scripts = "\0".join(text for language, _, text in blocks(PAGE) if language == "bash")
    for port in ("8786", "5000"):
        scripts = re.sub(rf"\b{port}\b", str(free_port()), scripts)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(CHECKOUT)}
    shells: list[subprocess.Popen[bytes]] = []
    ended = []
    try:
        for script in scripts.split("\0"):
            printed = tmp_path / f"{len(ended)}.log"
            with printed.open("wb") as log:
                shell = subprocess.Popen(
                    ["bash", "-ec", script], cwd=tmp_path, env=environment,
                    stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
            shells.append(shell)
            code = shell.wait(WITHIN_S)
            ended.append(subprocess.CompletedProcess(script, code, printed.read_text("utf-8")))
        yield ended
    finally:
        for shell in shells:
            end_group(shell)


def test_a_cluster_is_started_and_used_as_the_page_says(
    commands: list[subprocess.CompletedProcess[str]],
) -> None:
    assert [each.returncode for each in commands] == [0, 0], commands
    assert "8 of 8 identical" in commands[-1].stdout


def test_the_python_of_the_page_can_be_compiled() -> None:
    texts = [text for language, _, text in blocks(PAGE) if language == "python"]
    assert len(texts) == 2
    for text in texts:
        compile(text, PAGE, "exec")
