"""How parameters follow their gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from softnet import (
    OPTIMIZERS,
    SGD,
    Adam,
    AdamW,
    Optimizer,
    OptimizerSettings,
    Parameters,
    RMSProp,
)
from softnet.stack.arrays import Order

DTYPES = ["float32", "float64"]


def at(
    values: object,
    optimizer: str,
    *settings: OptimizerSettings,
    dtype: str = "float64",
    order: Order = "C",
) -> Optimizer:
    """Return an optimizer of parameters that stand at `values` (runs, n_parameters)."""
    start = np.array(values, dtype)
    parameters = Parameters({"weight": start.shape[1:]}, len(start), start.dtype, order)
    parameters.values[:] = start
    return OPTIMIZERS[optimizer](settings, parameters)


def stepped(optimizer: Optimizer, *gradients: object) -> np.ndarray:
    """Step along each of the gradients, at the settings' own rates; return the parameters."""
    rates = [settings.learning_rate for settings in optimizer.settings]
    for t, gradient in enumerate(gradients, start=1):
        optimizer.parameters.gradients[:] = gradient
        optimizer.step(rates, t)
    return optimizer.parameters.values


def test_sgd_steps_against_the_gradient() -> None:
    # 1 - 0.5 * 2 = 0, 3 - 0.5 * (-4) = 5.
    optimizer = at([[1.0, 3.0]], "sgd", SGD.Settings(0.5))
    assert stepped(optimizer, [[2.0, -4.0]]).tolist() == [[0.0, 5.0]]


def test_momentum_keeps_a_share_of_the_velocity() -> None:
    # Velocity 2, then 0.5 * 2 + 4 = 5, then 0.5 * 5 + 0 = 2.5; parameter 0 - 2 - 5 - 2.5.
    optimizer = at([[0.0]], "sgd", SGD.Settings(1.0, momentum=0.5))
    assert stepped(optimizer, [[2.0]], [[4.0]], [[0.0]]).tolist() == [[-9.5]]


def test_nesterov_looks_ahead_along_the_velocity() -> None:
    # Velocities 2, 5, 2.5 as above; steps 2 + 0.5 * 2 = 3, 4 + 0.5 * 5 = 6.5, 0 + 0.5 * 2.5 = 1.25.
    optimizer = at([[0.0]], "sgd", SGD.Settings(1.0, momentum=0.5, nesterov=True))
    assert stepped(optimizer, [[2.0]], [[4.0]], [[0.0]]).tolist() == [[-10.75]]


def test_weight_decay_adds_a_share_of_the_parameter_to_its_gradient() -> None:
    # 8 - 0.5 * (1 + 0.25 * 8) = 6.5.
    optimizer = at([[8.0]], "sgd", SGD.Settings(0.5, weight_decay=0.25))
    assert stepped(optimizer, [[1.0]]).tolist() == [[6.5]]


def test_clipping_shortens_a_gradient_to_the_norm() -> None:
    # |(3, 4)| = 5: scaled by 2.5 / 5 to (1.5, 2). |(0, 2)| = 2 is below and stays.
    optimizer = at([[0.0, 0.0]], "sgd", SGD.Settings(1.0, clip_norm=2.5))
    assert stepped(optimizer, [[3.0, 4.0]]).tolist() == [[-1.5, -2.0]]
    assert stepped(optimizer, [[0.0, 2.0]]).tolist() == [[-1.5, -4.0]]


def test_clipping_comes_before_weight_decay() -> None:
    # (3, 4) is clipped to (1.5, 2), then 0.5 * 2 is added to the first: as PyTorch's users do it.
    optimizer = at([[2.0, 0.0]], "sgd", SGD.Settings(1.0, clip_norm=2.5, weight_decay=0.5))
    assert stepped(optimizer, [[3.0, 4.0]]).tolist() == [[-0.5, -2.0]]


def test_first_steps_of_adam_equal_those_worked_by_hand() -> None:
    # beta1 = 1/2, beta2 = 3/4, epsilon = 1/2, rate 1. Step 1, gradient 2: mean 1, square 1;
    # corrected 1 / (1/2) = 2 and 1 / (1/4) = 4: 2 / (sqrt 4 + 1/2) = 4/5. Step 2, gradient -4:
    # mean 1/2 - 2 = -3/2, square 3/4 + 4 = 19/4; corrected by 3/4 and 7/16: -2 and 76/7.
    settings = Adam.Settings(1.0, beta1=0.5, beta2=0.75, epsilon=0.5)
    first = stepped(at([[0.0]], "adam", settings), [[2.0]])
    assert first[0, 0] == pytest.approx(-4 / 5, rel=1e-15)
    second = stepped(at([[0.0]], "adam", settings), [[2.0]], [[-4.0]])
    assert second[0, 0] == pytest.approx(-4 / 5 + 2 / (math.sqrt(76 / 7) + 0.5), rel=1e-14)


def test_adamw_takes_a_share_off_weights_and_not_off_biases() -> None:
    # A gradient of 0 moves nothing else: 8 * (1 - 0.5 * 0.25) = 7, then 7 * 7/8.
    parameters = Parameters({"weight": (1, 2), "bias": (2,)}, 1, np.float64)
    parameters.values[:] = 8.0
    optimizer = OPTIMIZERS["adamw"]([AdamW.Settings(0.5, weight_decay=0.25)], parameters)
    assert stepped(optimizer, 0.0, 0.0).tolist() == [[6.125, 6.125, 8.0, 8.0]]


def test_adamw_without_decay_is_adam_by_bytes() -> None:
    gradients = np.random.default_rng(0).standard_normal((5, 1, 3))
    adam = stepped(at([[1.0, 2.0, 3.0]], "adam", Adam.Settings(0.1)), *gradients)
    own = AdamW.Settings(0.1, weight_decay=0.0)
    assert stepped(at([[1.0, 2.0, 3.0]], "adamw", own), *gradients).tobytes() == adam.tobytes()


def test_first_steps_of_rmsprop_equal_those_worked_by_hand() -> None:
    # rho = 3/4, momentum 1/2, epsilon = 1/2, rate 1. Gradient 2: square 1, direction
    # 2 / (1 + 1/2) = 4/3 = velocity. Gradient 0: square 3/4, direction 0, velocity 2/3.
    settings = RMSProp.Settings(1.0, rho=0.75, momentum=0.5, epsilon=0.5)
    assert stepped(at([[0.0]], "rmsprop", settings), 2.0)[0, 0] == pytest.approx(-4 / 3, rel=1e-15)
    both = stepped(at([[0.0]], "rmsprop", settings), 2.0, 0.0)
    assert both[0, 0] == pytest.approx(-2, rel=1e-15)


def test_adams_first_step_is_the_rate_whatever_the_gradients_size() -> None:
    start = np.zeros((1, 3))
    moved = stepped(at(start, "adam", Adam.Settings(0.25)), [[1e-3, -1.0, 1e6]])
    # Epsilon takes 1e-8 / 1e-3 off the smallest.
    np.testing.assert_allclose(moved, [[-0.25, 0.25, -0.25]], rtol=2e-5)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_gradient_of_zero_moves_nothing(optimizer: str) -> None:
    settings = OPTIMIZERS[optimizer].Settings(0.5, clip_norm=1.0)
    moved = stepped(at([[1.0, -2.0]], optimizer, settings), [[0.0, 0.0]], [[0.0, 0.0]])
    assert moved.tolist() == [[1.0, -2.0]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_clipping_keeps_the_direction_and_reaches_the_norm(dtype: str) -> None:
    gradient = np.random.default_rng(0).standard_normal((1, 50)).astype(dtype)
    optimizer = at(np.zeros((1, 50)), "sgd", SGD.Settings(1.0, clip_norm=0.5), dtype=dtype)
    moved = stepped(optimizer, gradient)
    precision = 10 * float(np.finfo(dtype).eps)
    assert np.linalg.norm(moved) == pytest.approx(0.5, rel=precision)
    cosine = -(moved * gradient).sum() / np.linalg.norm(moved) / np.linalg.norm(gradient)
    assert cosine == pytest.approx(1, rel=precision)


SGD_MIXTURE = [
    SGD.Settings(0.1),
    SGD.Settings(0.1, momentum=0.9),
    SGD.Settings(0.3, momentum=0.5, nesterov=True),
    SGD.Settings(0.2, weight_decay=0.01),
    SGD.Settings(0.05, clip_norm=0.7),
    SGD.Settings(0.4, momentum=0.8, weight_decay=0.1, clip_norm=2.0),
    SGD.Settings(0.1, weight_decay=0.02, nesterov=True, momentum=0.3, clip_norm=1e9),
]
ADAM_MIXTURE = [
    Adam.Settings(0.1),
    Adam.Settings(0.1, beta1=0.0),
    Adam.Settings(0.3, beta1=0.5, beta2=0.9),
    Adam.Settings(0.2, weight_decay=0.01, epsilon=1e-4),
    Adam.Settings(0.05, clip_norm=0.7, beta2=0.0),
    Adam.Settings(0.4, beta1=0.95, weight_decay=0.1, clip_norm=2.0),
    Adam.Settings(0.1, epsilon=1e-12, clip_norm=1e9),
]
MIXTURES = {
    "sgd": SGD_MIXTURE,
    "adam": ADAM_MIXTURE,
    "adamw": [
        AdamW.Settings(0.1, weight_decay=0.0),
        AdamW.Settings(0.3, beta1=0.5),
        AdamW.Settings(0.05, clip_norm=0.7, weight_decay=0.5),
        AdamW.Settings(0.4, beta1=0.0, weight_decay=0.1),
        AdamW.Settings(0.1, epsilon=1e-4, clip_norm=1e9),
        AdamW.Settings(0.2, beta2=0.9, weight_decay=0.0, clip_norm=2.0),
    ],
    "rmsprop": [
        RMSProp.Settings(0.1),
        RMSProp.Settings(0.1, momentum=0.9),
        RMSProp.Settings(0.2, rho=0.5, weight_decay=0.01, epsilon=1e-4),
        RMSProp.Settings(0.05, clip_norm=0.7, momentum=0.5, rho=0.0),
        RMSProp.Settings(0.01, rho=0.9),
        RMSProp.Settings(0.3, momentum=0.1, weight_decay=0.1, clip_norm=2.0),
    ],
}


def odd_gradients(n_runs: int, n_steps: int, dtype: str) -> np.ndarray:
    """Draw gradients with the values that could go different ways: zeros of both signs, tiny."""
    rng = np.random.default_rng(1)
    gradients = rng.standard_normal((n_steps, n_runs, 11)).astype(dtype)
    gradients[..., 0] = 0.0
    gradients[..., 1] = -0.0
    gradients[..., 2] *= 1e-30
    gradients[1::2, :, 3] = -0.0
    return gradients


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_alone_steps_as_in_a_stack_of_other_settings_by_bytes(optimizer: str, dtype: str) -> None:
    settings = MIXTURES[optimizer]
    n_runs = len(settings)
    start = np.random.default_rng(2).standard_normal((n_runs, 11))
    start[:, 0] = 0.0
    gradients = odd_gradients(n_runs, 12, dtype)
    stacked = stepped(at(start, optimizer, *settings, dtype=dtype), *gradients)
    assert stacked.dtype == dtype
    for run, own in enumerate(settings):
        alone = at(start[run : run + 1], optimizer, own, dtype=dtype)
        stepped(alone, *gradients[:, run : run + 1])
        assert alone.parameters.values[0].tobytes() == stacked[run].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_steps_are_the_same_bytes_however_the_parameters_lie_in_memory(
    optimizer: str, dtype: str
) -> None:
    settings = MIXTURES[optimizer]
    start = np.random.default_rng(2).standard_normal((len(settings), 11))
    gradients = odd_gradients(len(settings), 12, dtype)
    by_run, by_parameter = (
        at(start, optimizer, *settings, dtype=dtype, order=order) for order in ("C", "F")
    )
    expected = stepped(by_run, *gradients)
    assert stepped(by_parameter, *gradients).tobytes() == expected.tobytes()
    stay = np.array([0, 3, 5])
    for one in (by_run, by_parameter):
        one.parameters.keep(stay)
        one.keep(stay)
    expected = stepped(by_run, *gradients[:, stay])
    assert stepped(by_parameter, *gradients[:, stay]).tobytes() == expected.tobytes()
    for name, array in by_parameter.state.items():
        assert array.tobytes() == by_run.state[name].tobytes()


@pytest.mark.parametrize("where", ["start", "gradient"])
@pytest.mark.parametrize("poison", [math.inf, -math.inf, math.nan, 1e308])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_with_a_setting_off_is_spared_it_even_when_it_overflows(
    optimizer: str, poison: float, where: str
) -> None:
    # 0 * inf is nan: no share of an infinite velocity or parameter must stay nothing.
    plain, *others = MIXTURES[optimizer]
    start = [[1.0, poison if where == "start" else 2.0]]
    gradients = [[[poison if where == "gradient" else 3.0, 1.0]], [[1.0, 2.0]], [[0.5, -1.0]]]
    with np.errstate(all="ignore"):
        alone = stepped(at(start, optimizer, plain), *gradients)
        stack = at(start * len(MIXTURES[optimizer]), optimizer, plain, *others)
        stacked = stepped(stack, *gradients)
    assert alone[0].tobytes() == stacked[0].tobytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_kept_runs_step_on_as_before(optimizer: str) -> None:
    settings = MIXTURES[optimizer]
    start = np.random.default_rng(3).standard_normal((len(settings), 11))
    gradients = odd_gradients(len(settings), 8, "float64")
    whole, cut = (at(start, optimizer, *settings) for _ in range(2))
    stepped(whole, *gradients)
    stepped(cut, *gradients)
    stay = np.array([1, 4, 5])
    cut.parameters.keep(stay)
    cut.keep(stay)
    rates = [run.learning_rate for run in settings]
    whole.parameters.gradients[:] = gradients[0]
    cut.parameters.gradients[:] = gradients[0, stay]
    whole.step(rates, 9)
    cut.step([rates[run] for run in stay], 9)
    assert cut.parameters.values.tobytes() == whole.parameters.values[stay].tobytes()
    for name, array in cut.state.items():
        assert array.tobytes() == whole.state[name][stay].tobytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_state_is_all_that_is_remembered(optimizer: str) -> None:
    settings = MIXTURES[optimizer]
    start = np.random.default_rng(4).standard_normal((len(settings), 11))
    gradients = odd_gradients(len(settings), 6, "float64")
    whole = at(start, optimizer, *settings)
    stepped(whole, *gradients)
    resumed = at(whole.parameters.values, optimizer, *settings)
    for name, array in whole.state.items():
        resumed.state[name][:] = array
    rates: Sequence[float] = [run.learning_rate for run in settings]
    for one in (whole, resumed):
        one.parameters.gradients[:] = gradients[0]
        one.step(rates, 7)
    assert resumed.parameters.values.tobytes() == whole.parameters.values.tobytes()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_changed_rate_takes_effect_at_once(optimizer: str) -> None:
    # RMSProp's mean of squares begins at 0: without memory it is that of this gradient.
    further = {"rho": 0.0} if optimizer == "rmsprop" else {}
    one = at([[0.0], [0.0]], optimizer, *[OPTIMIZERS[optimizer].Settings(1.0, **further)] * 2)
    one.parameters.gradients[:] = 1.0
    one.step([0.5, 0.25], 1)
    first = one.parameters.values.copy()
    one.parameters.gradients[:] = 1.0
    one.step([0.125, 1.0], 2)
    moved = one.parameters.values - first
    np.testing.assert_allclose(first[:, 0], [-0.5, -0.25], rtol=1e-7)
    np.testing.assert_allclose(moved[:, 0], [-0.125, -1.0], rtol=1e-7)
