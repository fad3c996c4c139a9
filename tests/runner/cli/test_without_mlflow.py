"""What needs no MLflow does not wait for it: with a database that exists, it is not imported."""

import sys

import pytest

from tests.runner.cli.rerunning import record, sweep
from tests.runner.cli.sweeping import BARE
from tests.runner.conftest import Command

TINY = ("training.steps=3", "training.evaluate_every=1")
# The whole command in a process of its own, and what it has imported at the end.
CODE = """
import sys
from runner.cli.main import carry_out
code = carry_out(sys.argv[1:])
loaded = {"mlflow", "sqlalchemy", "sklearn", "pandas", "matplotlib"} & set(sys.modules)
print(code, *sorted(loaded), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def run_id(shared: Command) -> str:
    """Record a run and a sweep of two, and return the id of the run."""
    sweep(shared, *TINY, "seed=0,1")
    return record(shared, *TINY, *BARE).run_id


@pytest.mark.parametrize(
    "asked",
    ["a run", "a run with a model", "a sweep", "show", "show --csv", "sweeps", "rerun --check"],
)
def test_mlflow_is_not_imported(asked: str, run_id: str, shared: Command) -> None:
    arguments = asked.split()
    if asked.startswith("a run"):
        arguments = [*TINY, *(BARE[:1] if asked.endswith("model") else BARE)]
    elif asked == "a sweep":
        arguments = ["-m", *TINY, *BARE, "seed=2,3", "optimizer.learning_rate=0.1,0.2"]
    elif asked == "rerun --check":
        arguments = ["rerun", run_id, "--check"]
    ended = shared.process(*arguments, program=[sys.executable, "-c", CODE])
    assert ended.stderr.splitlines()[-1] == "0"
