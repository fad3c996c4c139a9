"""What decides the bits is recorded, and nothing else is taken for it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from runner.system.environment import code_digest, digest_of_code, environment, n_physical_cores
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


CODE = b"""'Doc.'
import math
__all__ = ["area"]

def area(radius: float) -> float:
    'Doc.'
    return 3.0 * radius ** 2  # roughly
"""


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        (b"'Doc.'", b"'Said in other words.'", True),
        (b"  # roughly", b"", True),
        (b"import math\n", b"from math import pi\nimport os\n", True),
        (b"\n\n", b"\n\n\n", True),
        (b'["area"]', b"[]", True),
        (b"3.0", b"3.1", False),
        (b"3.0", b"3", False),
        (b"radius ** 2", b"2 ** radius", False),
        (b"(radius: float)", b"(radius: float = 1.0)", False),
        (b"return ", b"", False),
    ],
)
def test_other_code_is_what_computes_otherwise(old: bytes, new: bytes, is_same: bool) -> None:
    assert (digest_of_code([CODE]) == digest_of_code([CODE.replace(old, new)])) == is_same


def test_where_a_module_lies_makes_no_other_code() -> None:
    package, other = b"'Doc.'\nfrom softnet.layers import Linear\n", b"x = 1\n"
    assert digest_of_code([CODE, other]) == digest_of_code([other, package, CODE])
    assert digest_of_code([CODE, other]) != digest_of_code([CODE])


def test_the_code_that_computes_is_in_the_digest(tmp_path: Path) -> None:
    for name in ("runner", "softnet"):
        shutil.copytree(CHECKOUT / name, tmp_path / name)

    def digest_with(name: str, line: str) -> str:
        path = tmp_path / name
        before = path.read_text("utf-8")
        path.write_text(before + line, "utf-8")
        ask = "from runner.system.environment import code_digest; print(code_digest())"
        command = [sys.executable, "-B", "-c", ask]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True,
                              env=os.environ | {"PYTHONPATH": str(tmp_path)})  # fmt: skip
        path.write_text(before, "utf-8")
        return done.stdout.strip()

    assert digest_with("softnet/network.py", "# A comment.\n") == code_digest()
    assert digest_with("softnet/gradcheck.py", "STEP = 1\n") == code_digest()
    for name in (
        "softnet/network.py",
        "runner/training/train.py",
        "runner/training/data/splits.py",
    ):
        assert digest_with(name, "STEP = 1\n") != code_digest()


def test_physical_cores_are_at_least_one_and_no_more_than_the_process_may_use() -> None:
    assert 1 <= n_physical_cores() <= len(os.sched_getaffinity(0))


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
    ask = "from runner.system.environment import environment; print(environment()['git'])"
    assert "'commit'" in run(sys.executable, "-B", "-c", ask)
    assert (tmp_path / ".git" / "index").read_bytes() == index


def printed(script: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.split()


LOSE_A_CYCLE = """\
import gc, weakref
from runner.system.environment import *
class Node: pass
node = Node()
node.itself = node
{before}
lost = weakref.ref(node)
del node
many = [[] for _ in range(100_000)]
print(lost() is None)
{after}
many += [[] for _ in range(100_000)]
print(lost() is None, gc.get_freeze_count() > 0)
"""


def test_garbage_is_searched_for_except_while_it_is_postponed() -> None:
    postponed = {"before": "postpone_garbage_collection()", "after": "allow_garbage_collection()"}
    assert printed(LOSE_A_CYCLE.format(before="", after="")) == ["True", "True", "False"]
    # What has been made meanwhile is left alone.
    assert printed(LOSE_A_CYCLE.format(**postponed)) == ["False", "False", "True"]
    # A program that opens many stores keeps its objects as they are.
    allowed = LOSE_A_CYCLE.format(before="allow_garbage_collection()", after="")
    assert printed(allowed) == ["True", "True", "False"]


def test_the_exit_searches_nothing_of_what_is_left() -> None:
    script = "skip_last_garbage_collection()\nprint(len(gc.get_objects()))"
    n_searched = printed(f"import gc\nfrom runner.system.environment import *\n{script}")
    assert int(n_searched[0]) < 100


COMMANDS = """\
import gc, io, sys
from contextlib import redirect_stdout
from runner.cli.main import carry_out
from runner.system.environment import postpone_garbage_collection
for words in {commands}:
    postpone_garbage_collection()
    with redirect_stdout(io.StringIO()):
        carry_out(words)
    print(gc.isenabled())
"""


def test_every_command_searches_for_garbage_once_it_has_its_store(tmp_path: Path) -> None:
    store, folder, rows = (str(tmp_path / name) for name in ("mlflow.db", "folder", "rows.csv"))
    Path(rows).write_text("feature_1,feature_2,feature_3,feature_4\n1,2,3,4\n", "utf-8")
    uri = f"sqlite:///{store}"
    training = ["training.steps=10", "training.evaluate_every=10", f"tracking.uri={uri}"]
    printed(COMMANDS.format(commands=[training]))
    with closing(sqlite3.connect(store)) as connection:
        ((run_id,),) = connection.execute("SELECT run_uuid FROM runs").fetchall()
    commands = [
        training,
        ["-m", "seed=0,1", *training],
        ["export", run_id, folder, "--uri", uri],
        ["predict", run_id, rows, "--uri", uri],
        ["predict", folder, rows],
        ["rerun", run_id, "--uri", uri],
        ["rerun", folder],
        ["sweeps", "--uri", uri],
    ]
    assert printed(COMMANDS.format(commands=commands)) == ["True"] * len(commands)
