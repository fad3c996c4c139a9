"""What decides the bits is recorded, and nothing else is taken for it."""

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from runner.training.environment import COMPUTING, code_digest, digest_of_code, environment
from tests.runner.cli.sweeping import BARE
from tests.runner.conftest import CHECKOUT
from tests.runner.processes import printed

DIGEST = "from runner.training.environment import environment_digest; print(environment_digest())"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout, so that its files can be changed."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("runner", "softnet", "conf"):
        shutil.copytree(CHECKOUT / name, folder / name)
    shutil.copy(CHECKOUT / "pyproject.toml", folder)
    return folder


@cache
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
        ask = "from runner.training.environment import code_digest; print(code_digest())"
        digest = printed(ask, copy)
        path.write_text(before, "utf-8")
        return digest

    assert digest_with("softnet/network.py", "# A comment.\n") == code_digest()
    assert digest_with("softnet/gradcheck.py", "STEP = 1\n") == code_digest()
    for name in ("softnet/network.py", "runner/training/train.py"):
        assert digest_with(name, "STEP = 1\n") != code_digest()


def test_every_module_that_trains_is_in_the_digest() -> None:
    ask = "import sys, runner.training.train; print(*sys.modules)"
    loaded = {name for name in printed(ask).split() if name.startswith("runner.training.")}
    computing = {name.removesuffix(".py").replace("/", ".") for name in COMPUTING}
    # Data are known by their digest, and what was found out of their columns by the config.
    data = {"cells", "data", "data.dataset", "data.uninformative"}
    others = {*data, "environment", "outcome", "run_files"}
    assert loaded - computing == {f"runner.training.{name}" for name in others}


def test_a_digest_that_was_kept_counts_for_the_very_files_alone(copy: Path) -> None:
    ask = "import sys; sys.dont_write_bytecode = False\n"
    ask += "from runner.training.environment import code_digest; print(code_digest())"
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
    words += BARE
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
    ask = "from runner.training.environment import environment; print(environment()['git'])"
    assert "'commit'" in printed(ask, copy)
    assert (copy / ".git" / "index").read_bytes() == index
