"""A sweep whose output nobody reads, or that has none, is trained all the same."""

import subprocess
import sys

from tests.runner.cli.sweeping import jobs
from tests.runner.conftest import Command
from tests.runner.processes import WITHIN_S

SWEEP = "-m runner -m training.steps=200 seed=0,1,2"


def shell(command: Command, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", script, sys.executable],
        cwd=command.folder,
        env=command.environment,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def test_head_that_takes_one_line_stops_nothing(sweeper: Command):
    ended = shell(sweeper, f'{{ "$0" {SWEEP}; echo "code $?" >&2; }} | head -1')
    assert len(ended.stdout.splitlines()) == 1
    assert ended.stderr.splitlines()[-1] == "code 0", ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Broken" not in ended.stderr
    assert len(jobs(sweeper, "FINISHED")) == 3


def test_closed_streams_stop_nothing(sweeper: Command):
    ended = shell(sweeper, f'exec "$0" {SWEEP} <&- >&- 2>&-')
    assert ended.returncode == 0
    assert len(jobs(sweeper, "FINISHED")) == 3


def test_without_a_terminal_nothing_moves_or_is_coloured(sweeper: Command):
    ended = sweeper(*SWEEP.split()[2:])
    assert ended.returncode == 0
    assert "\x1b" not in ended.stdout + ended.stderr
    assert "\r" not in ended.stdout + ended.stderr
    assert ended.stderr.splitlines()[0].endswith(": 3 jobs to run.")
