"""The tutorial's three faults, which ours does not have, and what docs/tutorial.md says of both."""

import doctest
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from benchmarks import learning_rates
from benchmarks import printed_tutorial as printed
from runner.training.train import Result
from softnet import (
    Network,
    SoftmaxCrossEntropy,
    central_differences,
    mlp,
    one_hot,
    relative_error,
)

CHECKOUT = Path(__file__).resolve().parents[1]
PAGE = CHECKOUT / "docs" / "tutorial.md"
LOSS = SoftmaxCrossEntropy(np.dtype("float64"))
Array = printed.Array


def our_loss(logits: Array, y: Array) -> float:
    return float(LOSS.row_losses(logits[None], y).mean())


def our_gradient(logits: Array, y: Array) -> Array:
    targets = one_hot(y, logits.shape[1], logits.dtype)
    return LOSS.gradient(logits[None], targets[None])[0].copy()


def printed_loss(logits: Array, y: Array) -> float:
    return printed.loss_and_gradient(logits, y[:, None])[0]


def printed_gradient(logits: Array, y: Array) -> Array:
    return printed.loss_and_gradient(logits, y[:, None])[1]


def parameter_gradients(X: Array, y: Array) -> Array:
    """Ours, for a network of fixed weights: weight and bias in one row."""
    network = Network(mlp([4, 2]))
    network.parameters.values[:] = np.linspace(-1, 1, 10)
    logits = network.forward(X[None])[0]
    network.backward(our_gradient(logits, y)[None])
    return network.parameters.gradients[0].copy()


# The first fault: the batch size is taken from the wrong axis.


def test_loss_is_the_mean_over_rows_and_not_over_classes() -> None:
    logits, y = np.array([[2.0, 0], [1, 0], [-3, 0]]), np.array([0, 0, 0])
    # By hand: log(1 + exp(-margin)) for the margins 2, 1 and -3.
    mean = (0.1269280110 + 0.3132616875 + 3.0485873516) / 3
    assert our_loss(logits, y) == pytest.approx(mean, abs=1e-9)  # the digits above
    assert printed_loss(logits, y) != pytest.approx(mean, abs=0.1)


def test_every_row_counts_whatever_the_number_of_classes() -> None:
    y = np.array([0, 0, 0])
    good, bad = np.array([[2.0, 0], [1, 0], [3, 0]]), np.array([[2.0, 0], [1, 0], [-3, 0]])
    assert our_loss(bad, y) == pytest.approx(our_loss(good, y) + 1.0)  # (3.0486 - 0.0486) / 3
    assert printed_loss(bad, y) == printed_loss(good, y)
    # The label's column is negative: the step raises the logit of the right class.
    assert our_gradient(good, y)[2, 0] < 0
    assert printed_gradient(good, y)[2, 0] > 0


# The second fault: labels (n, 1) are broadcast against indices (n,).


def test_a_row_is_held_against_its_own_label_alone() -> None:
    logits, y = np.array([[9.0, 0], [0, 9]]), np.array([0, 1])
    # By hand: log(1 + exp(-9)) in both rows.
    assert our_loss(logits, y) == pytest.approx(0.00012340218972)
    assert printed_loss(logits, y) == pytest.approx(9 + 2 * 0.00012340218972)
    share = 0.00012339457599  # the probability of the wrong class, 1 / (1 + exp(9))
    expected = np.array([[-share, share], [share, -share]]) / 2
    assert our_gradient(logits, y) == pytest.approx(expected)
    assert printed_gradient(logits, y) == pytest.approx(
        np.array([[-1, 1], [1, -1]]) * share
        - [
            [0, 1],
            [1, 0],
        ]
    )


def test_labels_decide_the_gradient_of_a_batch_of_both_classes() -> None:
    logits = np.array([[2.0, 0], [1, 0], [0, 1], [0, 2]])
    y, swapped = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])
    assert np.array_equal(printed_gradient(logits, y), printed_gradient(logits, swapped))
    assert not np.array_equal(our_gradient(logits, y), our_gradient(logits, swapped))


@pytest.mark.parametrize("n_rows", [1, 2, 3, 4])
def test_gradient_is_that_of_the_loss(n_rows: int) -> None:
    rng = np.random.default_rng(n_rows)
    logits, y = rng.standard_normal((n_rows, 2)), np.arange(n_rows) % 2
    slopes = central_differences(lambda: our_loss(logits, y), logits)
    # Central differences of this step are good to about 1e-10.
    assert relative_error(our_gradient(logits, y), slopes) < 1e-7
    if n_rows > 1:  # of one row, the printed code gets everything right but the size
        assert relative_error(printed_gradient(logits, y), slopes) > 0.1


# The third fault: the gradient is never divided by the batch size.


@pytest.mark.parametrize("copies", [2, 8])
def test_gradient_does_not_depend_on_how_often_the_rows_are_repeated(copies: int) -> None:
    X, y = np.array([[1.0, 1, 0, 1], [1, 0, 1, 0]]), np.array([0, 1])
    once = parameter_gradients(X, y)
    repeated = parameter_gradients(np.tile(X, (copies, 1)), np.tile(y, copies))
    assert repeated == pytest.approx(once, rel=1e-15)  # longer sums round their last bit
    d_rows = np.array([[-0.5, 0.5], [0.25, -0.25]])
    printed_once, _ = printed.gradients(X, d_rows)
    printed_repeated, _ = printed.gradients(np.tile(X, (copies, 1)), np.tile(d_rows, (copies, 1)))
    assert np.array_equal(printed_repeated, copies * printed_once)


def test_our_steps_are_the_printed_ones_with_the_faults_put_right() -> None:
    X, y = printed.table()
    rng = np.random.default_rng(0)
    network = Network(mlp([4, 2]))
    network.parameters.values[:, :8] = rng.standard_normal(8)
    weight, bias = network.weights()["layers.0.weight"], network.weights()["layers.0.bias"]
    for _ in range(200):
        rows = rng.choice(8, 4)
        logits = network.forward(X[None, rows])
        network.backward(our_gradient(logits[0], y[rows, 0])[None])
        network.parameters.values -= 0.04 * network.parameters.gradients

        exp = np.exp(X[rows] @ weight + bias)
        d_logits = exp / exp.sum(axis=1, keepdims=True) - np.eye(2)[y[rows, 0]]
        d_weight, d_bias = printed.gradients(X[rows], d_logits)
        weight -= printed.LEARNING_RATE * d_weight
        bias -= printed.LEARNING_RATE * d_bias
    # Two orders of the same sums, over 200 steps that do not amplify what is rounded.
    assert network.weights()["layers.0.weight"] == pytest.approx(weight, rel=1e-12)
    assert network.weights()["layers.0.bias"] == pytest.approx(bias, rel=1e-12)


# What was measured.


@pytest.fixture(scope="module")
def printed_weights() -> list[tuple[Array, Array]]:
    return [printed.train(seed) for seed in range(printed.N_SEEDS)]


@pytest.fixture(scope="module")
def by_rate() -> dict[float, list[Result]]:
    return learning_rates.train_all(learning_rates.LEARNING_RATES)


def right_class(weight: Array, bias: Array) -> Array:
    """The probability of the right class of each of the 16 rows."""
    X, y = printed.table()
    exp = np.exp(X @ weight + bias)
    return np.asarray((exp / exp.sum(axis=1, keepdims=True))[np.arange(16), y[:, 0]])


@pytest.mark.slow
def test_the_printed_code_succeeds_on_34_of_40_seeds(
    printed_weights: list[tuple[Array, Array]],
) -> None:
    right = [right_class(*weights) for weights in printed_weights]
    assert sum(bool((row[8:] > 0.5).all()) for row in right) == 34
    assert np.mean(right) == pytest.approx(0.53, abs=0.005)  # as the page rounds it


@pytest.mark.slow
def test_the_experiment_succeeds_on_at_least_97_of_100_seeds(
    by_rate: dict[float, list[Result]],
) -> None:
    results = by_rate[0.04]
    assert sum(map(learning_rates.is_perfect, results)) >= 97
    weights = [list(result.weights.values()) for result in results]
    right = np.mean([right_class(weight, bias) for weight, bias in weights])
    assert right == pytest.approx(0.95, abs=0.005)  # as the page rounds it


def test_the_sweep_is_the_table_of_the_page(by_rate: dict[float, list[Result]]) -> None:
    lines = list(learning_rates.table(by_rate))
    # Above 2.56 steps overshoot and amplify the last bits, which differ between machines.
    stable = lines[: 2 + sum(rate <= 2.56 for rate in by_rate)]
    assert "\n".join(stable) in PAGE.read_text("utf-8")
    perfect = [rate for rate, runs in by_rate.items() if all(map(learning_rates.is_perfect, runs))]
    assert perfect == [0.08, 0.16, 0.32, 0.64, 1.28, 2.56]


# The page.


def test_the_examples_of_the_page_run() -> None:
    tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried.attempted > 20
    assert tried.failed == 0


def excerpts() -> list[tuple[str, str]]:
    """The blocks of two pages that begin with the name of the file they are taken from."""
    pattern = r"^```python\n# (\S+)\n(.*?)^```$"
    text = "\n".join(page.read_text("utf-8") for page in (PAGE, PAGE.with_name("layers.md")))
    return re.findall(pattern, text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("file", "excerpt"), excerpts())
def test_an_excerpt_of_the_page_stands_in_its_file(file: str, excerpt: str) -> None:
    source = (CHECKOUT / file).read_text("utf-8")
    assert any(textwrap.indent(excerpt, " " * 4 * level) in source for level in range(6))


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md", "docs/layers.md"])
def test_what_a_page_links_to_exists(page: str) -> None:
    path = CHECKOUT / page
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text("utf-8"))
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []
