"""Other BLAS kernels and SIMD levels: what a verdict says of the bits is what they are.

Whether a bit differs is judged apart from the code under test: by a training in a process of its
own under the same variables, whose bytes are compared with the exported ones here.
"""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_features__

from tests.runner.cli.rerunning import differing, export, sweep, verdict
from tests.runner.conftest import CHECKOUT, Command, Ended

# NumPy ignores the levels that a processor lacks, and most kernels run on all of them. OpenBLAS
# does not ask before it takes the one of SkylakeX: without AVX-512 the process dies of SIGILL.
SETTINGS = {
    "nothing": {},
    "Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "SkylakeX": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "Sandybridge": {"OPENBLAS_CORETYPE": "Sandybridge"},
    "Nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "Prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "no ICL": {"NPY_DISABLE_CPU_FEATURES": "AVX512_ICL"},
    "no AVX512": {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL"},
    "no AVX": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL"},
    "both": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL",
    },
}
# Wide enough that kernels add up in other orders; and so small that all have the same one.
WIDE = [
    *("data=digits", "split=stratified", "model.hidden_layer_sizes=[32]", "training.steps=20"),
    *("training.batch_size=40", "dtype=float32,float64", "optimizer=sgd,adam"),
]
TINY = ["training.steps=3", "training.evaluate_every=1", "seed=0,1"]
TRAINED = """
import json, sys
import numpy as np
import yaml
from runner.config.schema import Experiment
from runner.training.train import train
from runner.training.prepare import prepare
from threadpoolctl import threadpool_info
found = {}
for folder in sys.argv[1:]:
    with open(folder + "/config.yaml") as file:
        experiment = Experiment.from_dict(yaml.safe_load(file))
    (result,) = train(prepare(experiment), [experiment])
    metrics = {
        f"{name} {step}": value.hex()
        for step, values in (*result.history, *result.last_entries)
        for name, value in values.items()
    }
    weights = {name: array.tobytes().hex() for name, array in result.weights.items()}
    found[folder] = [weights, metrics]
simd = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
kernels = [lib["architecture"] for lib in threadpool_info() if lib["user_api"] == "blas"]
print(json.dumps([found, kernels[0], simd]))
"""


@pytest.fixture(scope="module")
def folders(shared: Command, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("exported")
    (_, wide), (_, tiny) = sweep(shared, *WIDE), sweep(shared, *TINY)
    runs = {"float32, sgd": wide[0], "float64, adam": wide[3], "tiny": tiny[0]}
    return {name: export(shared, run, place / name) for name, run in runs.items()}


def trained(folders: dict[str, Path], variables: dict[str, str]) -> tuple[dict, str, list[str]]:
    """Train all of them in one process, and return weights and metrics, kernel and SIMD level."""
    ended = subprocess.run(
        [sys.executable, "-c", TRAINED, *map(str, folders.values())],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found, kernel, simd = json.loads(ended.stdout)
    return found, kernel, simd


def exported(folder: Path) -> list[dict[str, str]]:
    """Read what is in a folder in the form of `trained`."""
    with np.load(folder / "weights.npz") as arrays:
        weights = {name: array.tobytes().hex() for name, array in arrays.items()}
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    metrics = {f"{row['metric']} {row['step']}": float(row["value"]).hex() for row in rows}
    return [weights, metrics]


@pytest.fixture(scope="module")
def usual(folders: dict[str, Path]) -> tuple[str, list[str]]:
    found, kernel, simd = trained(folders, {})
    assert found == {str(folder): exported(folder) for folder in folders.values()}
    return kernel, simd


def causes(ended: Ended) -> str:
    """Return what was given as the cause of a difference."""
    found = re.search(r"Cause: (.*)\.\n|is the cause|be the cause \((.*)\)", ended.stdout)
    return next((group for group in found.groups() if group), "") if found else ""


NEEDS_AVX512 = pytest.mark.skipif(
    not __cpu_features__["AVX512_SKX"], reason="this processor has no AVX-512"
)


@pytest.mark.parametrize(
    "setting", [pytest.param(s, marks=[NEEDS_AVX512] if s == "SkylakeX" else []) for s in SETTINGS]
)
def test_verdict_is_identical_exactly_if_no_bit_differs(
    setting: str, folders: dict[str, Path], usual: tuple[str, list[str]], shared: Command
):
    variables = SETTINGS[setting]
    found, kernel, simd = trained(folders, variables)
    expected = {
        what: is_other
        for what, is_other in {"BLAS kernel": kernel != usual[0], "SIMD": simd != usual[1]}.items()
        if is_other
    }
    for folder in folders.values():
        ended = shared.process("rerun", str(folder), **variables)
        assert [row.split("  ")[0] for row in differing(ended)] == list(expected)
        if found[str(folder)] == exported(folder):
            assert (verdict(ended), ended.returncode) == ("IDENTICAL", 0)
            continue
        assert expected, "bits differ, and nothing of this test has changed them"
        assert (verdict(ended), ended.returncode) == ("CLOSE", 5)
        assert causes(ended) == ", ".join(expected)


def test_kernels_and_levels_do_change_bits_here(
    folders: dict[str, Path], usual: tuple[str, list[str]]
):
    """Otherwise the tests above would hold nothing."""
    found, kernel, simd = trained(folders, SETTINGS["both"])
    assert (kernel, simd) != usual
    different = [name for name, f in folders.items() if found[str(f)] != exported(f)]
    assert set(different) >= set(folders) - {"tiny"}
