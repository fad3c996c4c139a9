"""What decides the bits is recorded, and nothing else is taken for it."""

import json
import os
import subprocess
import sys

import pytest

from runner.environment import environment

DIGEST = "from runner.environment import environment_digest; print(environment_digest())"


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
