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


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout, so that its files can be changed."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("runner", "softnet", "conf"):
        shutil.copytree(CHECKOUT / name, folder / name)
    shutil.copy(CHECKOUT / "pyproject.toml", folder)
    return folder


def printed(script: str, folder: Path = CHECKOUT, **variables: str) -> str:
    """Return what a script prints in a new process, which imports from a folder."""
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", script],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)} | variables,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()


def digest(before: str = "", **variables: str) -> str:
    return printed(f"{before}\nimport runner\n{DIGEST}", **variables)


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


def test_the_code_that_computes_is_in_the_digest(copy: Path) -> None:
    def digest_with(name: str, line: str) -> str:
        path = copy / name
        before = path.read_text("utf-8")
        path.write_text(before + line, "utf-8")
        ask = "from runner.system.environment import code_digest; print(code_digest())"
        digest = printed(ask, copy)
        path.write_text(before, "utf-8")
        return digest

    assert digest_with("softnet/network.py", "# A comment.\n") == code_digest()
    assert digest_with("softnet/gradcheck.py", "STEP = 1\n") == code_digest()
    for name in ("softnet/network.py", "runner/training/train.py"):
        assert digest_with(name, "STEP = 1\n") != code_digest()


def test_a_digest_that_was_kept_counts_for_the_very_files_alone(copy: Path) -> None:
    ask = "import sys; sys.dont_write_bytecode = False\n"
    ask += "from runner.system.environment import code_digest; print(code_digest())"
    shutil.rmtree(copy / "softnet" / "__pycache__", ignore_errors=True)
    assert printed(ask, copy) == code_digest()
    (kept,) = copy.glob("softnet/__pycache__/*.digest")
    key, _, digest = kept.read_text("ascii").partition(" ")
    assert digest == code_digest()
    # It is read: one of another value counts, as long as it says that it is of these files.
    for text, expected in [(f"{key} {'0' * 16}", "0" * 16), (f"{key} 12", digest), ("", digest)]:
        kept.write_text(text, "ascii")
        assert printed(ask, copy) == expected
    module = copy / "softnet" / "network.py"
    module.write_text(module.read_text("utf-8") + "STEP = 1\n", "utf-8")
    assert printed(ask, copy) not in {digest, "0" * 16}


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
    words = ["runner", str(log), "-m", "training.steps=20", "seed=range(0,6)", "sweep.n_workers=1"]
    printed(f"import sys\nsys.argv = {words}\n{WATCHED}")
    started = log.read_text(encoding="utf-8").splitlines()
    assert sum("status" in command for command in started) == 1


def test_git_is_asked_without_touching_the_index_that_a_person_works_with(copy: Path) -> None:
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    for words in (["init"], ["add", "--all"], ["commit", "--message", "as it is"]):
        subprocess.run([*git, *words], cwd=copy, capture_output=True, check=True, timeout=60)
    # Of equal content and another time: what git would note in its index.
    os.utime(copy / "pyproject.toml", (1, 1))
    index = (copy / ".git" / "index").read_bytes()
    ask = "from runner.system.environment import environment; print(environment()['git'])"
    assert "'commit'" in printed(ask, copy)
    assert (copy / ".git" / "index").read_bytes() == index


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
    assert printed(LOSE_A_CYCLE.format(before="", after="")) == "True\nTrue False"
    # What has been made meanwhile is left alone.
    assert printed(LOSE_A_CYCLE.format(**postponed)) == "False\nFalse True"
    # A program that opens many stores keeps its objects as they are.
    allowed = LOSE_A_CYCLE.format(before="allow_garbage_collection()", after="")
    assert printed(allowed) == "True\nTrue False"


def test_the_exit_searches_nothing_of_what_is_left() -> None:
    script = "skip_last_garbage_collection()\nprint(len(gc.get_objects()))"
    assert int(printed(f"import gc\nfrom runner.system.environment import *\n{script}")) < 100


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


def test_every_command_searches_for_garbage_once_it_has_its_store(
    store: Path, tmp_path: Path
) -> None:
    folder, rows = str(tmp_path / "folder"), str(tmp_path / "rows.csv")
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
    assert printed(COMMANDS.format(commands=commands)).split() == ["True"] * len(commands)
