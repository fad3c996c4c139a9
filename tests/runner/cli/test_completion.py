"""What Tab offers in bash and zsh: commands, options, sweeps, settings and their values."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.tracking import open_store
from tests.runner.conftest import Command


def offered(command: Command, line: str) -> list[str]:
    ended = command("-sc", "query=bash", COMP_LINE=line, COMP_POINT=str(len(line)))
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("runner swe", ["sweep.", "sweeps"]),
        ("runner model=", ["model=linear", "model=mlp", "model=realmlp", "model=tabm"]),
        ("runner optimizer.lea", ["optimizer.learning_rate="]),
        ("runner model.activation=t", ["model.activation=tanh"]),
        ("runner experiment=iris training.sampling=", None),
        ("runner sweep.fail_fast=", ["sweep.fail_fast=true", "sweep.fail_fast=false"]),
        ("runner +model.residual=f", ["+model.residual=false"]),
        ("runner data.scaling=rob", ["data.scaling=robust"]),
        ("runner --reg", ["--register"]),
        ("runner seed=1 --dry", ["--dry-run"]),
        ("runner show --me", ["--metric"]),
        ("runner rerun x --all", ["--allow-data-change"]),
        ("python -m runner ui --po", ["--port"]),
        ("runner data conf", []),
        ("runner show x --format ", ["table", "csv", "markdown", "latex"]),
        ("runner compare x --metric test/acc", ["test/accuracy"]),
        ("runner show --top ", []),
        ("runner -m sweep.metric=test/acc", ["sweep.metric=test/accuracy"]),
    ],
)
def test_commands_options_settings_and_values(
    line: str, words: list[str] | None, command: Command
) -> None:
    found = offered(command, line)
    if words is None:
        assert "training.sampling=shuffled" in found
    else:
        assert found == words


def test_files_for_a_path(command: Command) -> None:
    (command.folder / "tables").mkdir()
    for name in ("mine.csv", "a b.csv"):
        (command.folder / "tables" / name).touch()
    assert offered(command, "runner data.path=ta") == ["data.path=tables/"]
    assert offered(command, "runner data.path=tables/") == ["data.path=tables/mine.csv"]


def test_sweeps_by_name(sweeper: Command) -> None:
    store = open_store(sweeper.environment["MLFLOW_TRACKING_URI"], None, "x")
    for name in ("rates", "rates-2", "has a space"):
        store.start_run(name, {}, {"runner.kind": "sweep"}).finish()
    store.leave()
    assert sorted(offered(sweeper, "runner show ra")) == ["rates", "rates-2"]
    assert sorted(offered(sweeper, "runner predict ")) == ["rates", "rates-2"]
    assert offered(sweeper, "runner sweeps ") == []
    assert offered(sweeper, "runner show --uri sqlite:///elsewhere.db ") == []


def test_without_a_store_there_are_no_sweeps(command: Command) -> None:
    assert offered(command, "runner show ") == []
    assert command.left() == []


BASH = """\
eval "$(runner -sc install=bash)"
COMP_LINE="runner model.activation=ta" COMP_POINT=26 COMP_CWORD=1
hydra_bash_completion
printf '%s\\n' "${COMPREPLY[@]}"
"""
# The functions of zsh's completion can be called in an editor alone: compadd says what it is given.
ZSH = """\
autoload -Uz compinit && compinit -u -d "$TMPDIR/dump"
eval "$(runner -sc install=zsh)"
compadd() { printf '%s\\n' "${@:5}" }
words=(runner model.activation=ta) CURRENT=2
_runner
"""


@pytest.mark.parametrize(("shell", "script"), [("bash", BASH), ("zsh", ZSH)])
def test_a_shell_completes_the_value_of_a_setting(
    shell: str, script: str, command: Command, tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: its completion was NOT tried")
    program = tmp_path / "bin" / "runner"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m runner "$@"\n')
    program.chmod(0o700)
    path = f"{program.parent}:{command.environment['PATH']}"
    ended = subprocess.run(
        [shell, "-c", script],
        cwd=command.folder,
        env=command.environment | {"PATH": path, "ZDOTDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.stdout.split() == ["model.activation=tanh"], ended.stderr
