"""A result is compared with the record of the run that it repeats."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from runner.jobs.rerun import Comparison, Verdict
from runner.jobs.rerun.verify import Reference, load_reference
from runner.system.errors import RecordError
from runner.tracking import Store, address_of, open_store
from runner.training.prepare import prepare
from runner.training.train import Result, train
from softnet import mlp
from tests.runner.jobs.planned import MISSING, experiment, outcomes, plan, work


@pytest.fixture
def opened(store: Path) -> Store:
    return open_store(f"sqlite:///{store}", None, "test")


@pytest.fixture
def reference(opened: Store) -> Reference:
    """A run in a store, as a worker of another process is told of it."""
    (outcome,) = outcomes(work(opened, plan({}), (0,), is_alone=True)).values()
    return pickle.loads(pickle.dumps(Reference(outcome.run_id, address_of(opened))))  # noqa: S301  (our own bytes)


def trained() -> Result:
    (result,) = train(prepare(experiment()), [experiment()])
    return result


def compared(reference: Reference, result: Result) -> Comparison:
    loaded = load_reference(reference, experiment(), mlp([2, 5, 2], "tanh"))
    return loaded.compare(result, prepare(experiment()))


def test_the_same_training_is_identical(reference: Reference) -> None:
    comparison = compared(reference, trained())
    assert comparison.verdict is Verdict.IDENTICAL
    assert (comparison.n_parameters, comparison.findings) == (27, ())


def test_another_end_of_the_same_numbers_is_different(reference: Reference) -> None:
    comparison = compared(reference, replace(trained(), failure="the loss is nan"))
    assert comparison.verdict is Verdict.DIFFERENT
    assert "FAILED ('the loss is nan')" in comparison.findings[0]


def test_a_run_that_left_no_result_cannot_be_loaded(opened: Store) -> None:
    missing = plan({"data": MISSING})
    (outcome,) = outcomes(work(opened, missing, (0,))).values()
    with pytest.raises(RecordError, match="and left no result"):
        compared(Reference(outcome.run_id, address_of(opened)), trained())
