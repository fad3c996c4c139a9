"""Jobs with references, values in odd places, and faults: each as Hydra itself has it."""

import pytest

from tests.runner.config.compose.sweeps import BASIC, outcome

pytestmark = pytest.mark.usefixtures("mine")

SWEEPS = [
    # References
    "split.seed=${seed} seed=1,2",
    "seed='${hydra:job.num}' split.seed=1,2",
    "seed=${split.seed},5 split.seed=1,2",
    "name=a,'${dtype}' seed=1,2",
    "experiment=numbered,told split.seed=1,2 model.hidden_layer_sizes=[1],[2]",
    "experiment=linked seed=1,2 optimizer.learning_rate=1,2",
    "experiment=linked model.hidden_layer_sizes=[1],[2]",
    "experiment=around seed=1,2",
    "experiment=outside,set seed=1,2",
    "experiment=apart,moved seed=1,2",
    "experiment=alias ++other.learning_rate=1 optimizer.learning_rate=1,4",
    "experiment=chosen name=a,b,seed",
    "experiment=numbered split.seed=1,2,3 hydra.sweeper.max_batch_size=2",
    "experiment=told seed=1,2 hydra.job.config.override_dirname.exclude_keys=[seed]",
    # Odd places
    "experiment=alias list=[1],[2] escaped=1,2",
    "experiment=alias list.0=1,2 list.1.a=4,5",
    "experiment=keys nothing=a,[1] empty=1,2 hole=1",
]

# Sweeps with a job that cannot be composed, not always the first.
FAULTS = [
    "seed=1,2 nonsense=1",
    "seed=1,2 optimizer.learning_rat=1,2",
    "optimizer.learning_rate.x=1,2",
    "model=mlp,big",
    "seed=1,2 tracking=1",
    "seed=1,???",
    "data=file seed=1,2",
    "seed=1,'${missing}'",
    "seed=1,2 name=${hydra.job.num}",
    "experiment=chosen name=a,missing",
    "experiment=linked seed=1,???",
    "experiment=alias other.learning_rate=1,2 optimizer.learning_rate=3,4",
    "experiment=keys empty=1,[1] hole=1",
    "experiment=keys numbers.1=a,b hole=1",
    "experiment=group gap=1,2",
    "experiment=group gap=one,two",
    "~model.missing seed=1,2",
    "+optimizer.momentum=1 seed=1,2",
]


@pytest.mark.parametrize("line", SWEEPS)
def test_jobs_are_those_of_hydra(line: str):
    found = outcome(line)
    assert isinstance(found, list), found
    assert found == outcome(line, "hydra/launcher=basic")


@pytest.mark.parametrize("line", FAULTS)
def test_faults_are_told_as_by_hydra(line: str):
    found = outcome(line)
    assert isinstance(found, tuple), found
    assert found == outcome(line, *BASIC)
