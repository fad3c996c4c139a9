"""The points of a search: where they lie, and that the seed alone decides."""

import math
import sys

import numpy as np
import optuna
import pytest
from scipy import stats
from scipy.stats import qmc

from runner.config.search import Dimension, OptunaSearch, SampledSearch
from runner.jobs.search import Proposals, draw
from runner.system.errors import ConfigError

RATE = Dimension("rate", low=1e-4, high=1e-1, is_log=True)
UNITS = Dimension("units", low=1, high=8, is_int=True)
KIND = Dimension("kind", ("relu", "tanh", "[8,4]"))


def drawn(name: str, n_trials: int, *dimensions: Dimension, seed: int = 0) -> list[dict[str, str]]:
    search = SampledSearch(name=name, n_trials=n_trials, seed=seed)  # type: ignore[arg-type]  # checked by pydantic
    return draw(dimensions, search)


@pytest.mark.parametrize(
    ("dimension", "share", "value"),
    [
        (Dimension("x", low=-1, high=3), 0.25, "0.0"),
        (Dimension("x", low=1.0, high=100.0, is_log=True), 0.5, "10.0"),
        (UNITS, 0.99, "8"),
        (UNITS, 0.124, "1"),
        (UNITS, 0.126, "2"),
        (Dimension("x", low=1, high=100, is_int=True, is_log=True), 0.0, "1"),
        (Dimension("x", low=1, high=100, is_int=True, is_log=True), 0.9999, "100"),
        (KIND, 0.34, "tanh"),
    ],
)
def test_a_share_of_the_way_is_a_value(dimension: Dimension, share: float, value: str):
    found = dimension.value(share)
    assert found == value or float(found) == pytest.approx(float(value))  # exp and log round


def test_random_points_are_even_on_their_scales():
    points = drawn("random", 2000, RATE, UNITS)
    logs = [np.log10(float(point["rate"])) for point in points]
    assert stats.kstest(logs, stats.uniform(-4, 3).cdf).pvalue > 0.01
    counts = np.unique([point["units"] for point in points], return_counts=True)[1]
    assert len(counts) == 8
    assert stats.chisquare(counts).pvalue > 0.01


def test_sobol_points_are_those_of_scipy():
    shares = qmc.Sobol(2, rng=np.random.default_rng(5)).random_base2(5)[:20]
    expected = [{"rate": RATE.value(a), "kind": KIND.value(b)} for a, b in shares]
    assert drawn("sobol", 20, RATE, KIND, seed=5) == expected


@pytest.mark.parametrize("name", ["random", "sobol"])
def test_a_finite_grid_is_drawn_without_repetition(name: str):
    points = drawn(name, 24, UNITS, KIND)
    assert len({tuple(point.values()) for point in points}) == 24


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize("low", [0.1, 1.0, 1e-300])
def test_all_numbers_of_a_narrow_interval_are_drawn(low: float, is_log: bool):
    narrow = Dimension("x", low=low, high=low + 5 * math.ulp(low), is_log=is_log)
    assert len({point["x"] for point in drawn("random", int(narrow.size), narrow)}) == narrow.size


def test_numbers_of_the_first_trials_never_change():
    assert drawn("random", 2, RATE) == [
        {"rate": "0.008144886973076106"},
        {"rate": "0.0006447036682716466"},
    ]
    assert drawn("random", 2, RATE) == drawn("random", 5, RATE)[:2]


def test_proposals_are_those_of_optuna_driven_directly():
    search = OptunaSearch(name="optuna", n_trials=20, seed=3, batch=8)
    proposals = Proposals([RATE, UNITS, KIND], search, "val/accuracy")
    direct = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=3), direction="maximize")
    distributions = {
        "rate": optuna.distributions.FloatDistribution(1e-4, 1e-1, log=True),
        "units": optuna.distributions.IntDistribution(1, 8),
        "kind": optuna.distributions.CategoricalDistribution(KIND.choices),
    }
    sizes = []
    while points := proposals.ask():
        sizes.append(len(points))
        trials = [direct.ask(distributions) for _ in points]
        assert [[str(v) for v in trial.params.values()] for trial in trials] == [
            list(point.values()) for point in points
        ]
        values = [float(point["rate"]) * int(point["units"]) for point in points]
        values[0] = np.nan  # it has failed
        proposals.tell(values)
        for trial, value in zip(trials, values, strict=True):
            if np.isnan(value):
                direct.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                direct.tell(trial, value)
    assert sizes == [8, 8, 4]


def test_optuna_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"search: must be beside optuna, which pip install"):
        Proposals([RATE], OptunaSearch(name="optuna", n_trials=2), "val/loss")
