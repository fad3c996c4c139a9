"""Every command that the README shows is one that works, in a checkout like a reader's."""

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.runner.conftest import run_here

CHECKOUT = Path(__file__).resolve().parents[1]

SERVE = "mlflow models serve -m models:/penguins@champion --env-manager local --port 5001"
# Commands that are not run here, each with the reason.
ELSEWHERE = {
    "make test": "runs this very test",
    "pip install .": "asks a registry; the tests of packaging install the wheel",
    SERVE: "serves until it is stopped; tests/docs/test_serving.py asks it what the docs ask",
    "runner ui": "serves until it is stopped; the tests of the command line start and stop it",
}


README = (CHECKOUT / "README.md").read_text("utf-8")


def commands(markdown: str) -> list[str]:
    """Read the commands out of the fenced blocks of a page.

    A block of `bash` or `sh` holds commands alone; in one of `console`, or of no language, they
    follow a `$ ` and the rest is what they print. A backslash at the end of a line joins the next.
    """
    found = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", markdown, re.MULTILINE | re.DOTALL):
        lines = re.sub(r"\\\n\s*", "", block).splitlines()
        if language in {"", "console"}:
            found += [line[2:] for line in lines if line.startswith("$ ")]
        elif language in {"bash", "sh", "shell"}:
            found += [line.removeprefix("$ ") for line in lines]
    plain = [re.sub(r"\s+#\s.*", "", command).strip() for command in found]
    return [command for command in plain if command and not command.startswith("#")]


def copy_checkout(folder: Path) -> Path:
    """Copy what git would give a reader, with the environment of this test as its `.venv`."""
    listing = subprocess.run(
        ["git", "-C", CHECKOUT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (CHECKOUT / name).is_file():
            shutil.copy2(CHECKOUT / name, folder / name)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def newest_run(checkout: Path) -> str:
    """Find the newest run of its own in a checkout's store: what an id in the README stands for."""
    query = "SELECT r.run_uuid FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid WHERE"
    query += " t.key = 'runner.kind' AND t.value = 'run' ORDER BY r.start_time DESC"
    with closing(sqlite3.connect(checkout / "outputs" / "mlflow.db")) as connection:
        return str(connection.execute(query).fetchone()[0])


def run_in_shell(command: str, checkout: Path) -> None:
    """Run a command of the README as if its checkout were the one that is installed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        # What make would install is installed: this test runs in it.
        ["bash", "-c", re.sub(r"\bmake\b", "make -o .venv/ready", command)],
        cwd=checkout,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(checkout)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_for_reader(command: str, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Carry `runner` out in this process, as if the reader's checkout were the one installed."""
    monkeypatch.setattr("runner.system.paths._CHECKOUT", checkout)
    done = run_here(shlex.split(command)[1:], checkout, os.environ)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def readers_checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("reader"))


def test_commands_are_found_in_every_kind_of_block() -> None:
    page = """
```bash
make run   # a remark
# a remark alone
runner \\
    seed=1
```

```console
$ runner seed=2
a line that it prints
```

```
$ runner seed=3
```

```yaml
seed: 4
```
"""
    assert commands(page) == ["make run", "runner seed=1", "runner seed=2", "runner seed=3"]


def test_the_readme_shows_what_is_run_elsewhere() -> None:
    assert set(ELSEWHERE) <= set(commands(README))


@pytest.mark.parametrize(
    "command", [each for each in dict.fromkeys(commands(README)) if each not in ELSEWHERE]
)
def test_a_command_of_the_readme_works(
    command: str, readers_checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not command.startswith("runner "):
        run_in_shell(command, readers_checkout)
        return
    if re.search(r"\b[0-9a-f]{32}\b", command):
        command = re.sub(r"\b[0-9a-f]{32}\b", newest_run(readers_checkout), command)
    # How well its networks do by the end is no matter here.
    few_epochs = ["training.epochs=2"] if "experiment=digits" in command else []
    run_for_reader(shlex.join([*shlex.split(command), *few_epochs]), readers_checkout, monkeypatch)


def test_the_python_of_the_readme_goes_on_from_its_commands(
    readers_checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (register,) = [command for command in commands(README) if "--register" in command]
    run_for_reader(register, readers_checkout, monkeypatch)
    (code,) = re.findall(r"^```python\n(import mlflow\n.*?)^```$", README, re.MULTILINE | re.DOTALL)
    run_in_shell(f"python -c {shlex.quote(code)}", readers_checkout)
