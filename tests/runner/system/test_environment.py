"""What decides the bits is recorded, and nothing else is taken for it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.system.environment import environment
from tests.runner.conftest import CHECKOUT

DIGEST = "from runner.system.environment import environment_digest; print(environment_digest())"


def digest(before: str = "", **variables: str) -> str:
    """Take the digest in a new process, after `before`."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{before}\nimport runner\n{DIGEST}"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_record_is_plain_and_names_what_decides() -> None:
    found = environment()
    assert json.loads(json.dumps(found)) == found
    names = {"python", "numpy", "blas", "simd", "libc", "machine", "code"}
    assert set(found["decisive"]) == names
    assert [library["threads"] for library in found["decisive"]["blas"]] == [1]


def test_the_pin_holds_where_numpy_came_first_with_two_threads() -> None:
    assert digest("import numpy", OPENBLAS_NUM_THREADS="2") == digest()


def test_the_digest_does_not_depend_on_what_else_is_loaded() -> None:
    assert digest("import sklearn.linear_model") == digest()


@pytest.mark.parametrize(
    ("name", "value"), [("OPENBLAS_CORETYPE", "Prescott"), ("NPY_DISABLE_CPU_FEATURES", "X86_V3")]
)
def test_the_digest_sees_another_kernel_and_another_simd_set(name: str, value: str) -> None:
    if value == "X86_V3" and value not in environment()["decisive"]["simd"]:
        pytest.fail("this machine has no X86_V3 to switch off: choose another feature here")
    assert digest(**{name: value}) != digest()


# Writes down every process that this one or a fork of it starts.
WATCHED = """
import os, sys
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(event, arguments):
    if event == "subprocess.Popen":
        os.write(log, f"{arguments[1]}\\n".encode())
sys.addaudithook(note)
sys.argv[0] = "runner"
from runner.cli.main import main
main()
"""


def test_git_is_asked_once_however_many_runs_a_process_records(store: Path, tmp_path: Path) -> None:
    log = tmp_path / "started"
    jobs = ["-m", "training.steps=20", "seed=range(0,6)", "sweep.n_workers=1"]
    subprocess.run(
        [sys.executable, "-c", WATCHED, str(log), *jobs],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        check=True,
        timeout=120,
    )
    started = log.read_text(encoding="utf-8").splitlines()
    assert sum("rev-parse" in command for command in started) == 1
    assert sum("--porcelain" in command for command in started) == 1


def test_git_is_asked_without_touching_the_index_that_a_person_works_with(tmp_path: Path) -> None:
    for name in ("runner", "softnet", "conf"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)

    def run(*words: str) -> str:
        return subprocess.run(
            words, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    run(*git, "init", "--quiet")
    run(*git, "add", "--all")
    run(*git, "commit", "--quiet", "--message", "as it is")
    # Of equal content and another time: what git would note in its index.
    os.utime(tmp_path / "pyproject.toml", (1, 1))
    index = (tmp_path / ".git" / "index").read_bytes()
    ask = "import runner; from runner.system.environment import environment; print(environment()['git'])"
    assert "'commit'" in run(sys.executable, "-B", "-c", ask)
    assert (tmp_path / ".git" / "index").read_bytes() == index
