"""The gradients of small networks, with the numbers of all runs side by side in memory.

`np.matmul` hands the matrices of each run to BLAS. Nothing multiplies large matrices faster, but
handing over small ones takes longer than multiplying them. So here the axis of runs comes last:
every operation takes one number of all runs, then the next number of all runs, and there are no
more calls for a thousand runs than for one.

The formulas are those of `layers` and `losses`. BLAS rounds otherwise, so the shape of a network
and of its batches decides where it is trained, never the number of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate, zip_longest
from math import prod

import numpy as np

from softnet.layers.activations import Activation
from softnet.layers.base import Layer
from softnet.layers.linear import Linear
from softnet.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from softnet.network import Network
from softnet.stack.arrays import Array, Indices
from softnet.stack.parameters import Parameters
from softnet.training.settings import Examples

# Measured: with up to so many terms in the sums of a layer, this is faster than BLAS.
_FEW_TERMS = 256


def supports(network: Network, batch_size: int) -> bool:
    """Tell whether a network trains here, with batches of up to so many rows.

    It must be a multilayer perceptron of small layers that classifies: linear layers with an
    activation between them, of which the largest decides, and softmax cross-entropy.
    """
    linear, between = network.layers[::2], network.layers[1::2]
    return (
        len(network.layers) % 2 == 1
        and all(type(layer) is Linear for layer in linear)
        and all(isinstance(layer, Activation) for layer in between)
        and type(network.loss) is SoftmaxCrossEntropy
        and _most_terms(network.layers, batch_size) <= _FEW_TERMS
    )


def _most_terms(layers: Sequence[Layer], batch_size: int) -> int:
    """Count the products of two numbers in the linear layer that has the most."""
    return max((layer.in_features + 1) * layer.out_features for layer in layers[::2]) * batch_size


class SideBySide:
    """Writes the gradients of a small network for batches of its training rows.

    Its `parameters` are its own, since they lie in memory with the runs side by side.
    """

    def __init__(self, network: Network, train: Examples) -> None:
        self._network = network
        own = network.parameters
        self.parameters = Parameters(own.shapes, own.n_runs, own.values.dtype, order="F")
        # Targets and features side by side: a batch is gathered in one go.
        targets = network.loss.targets(train.y, network.n_outputs)
        self._columns = np.concatenate([targets, train.X], axis=1).T.copy()
        self._batches: dict[int, _Batch] = {}

    def __call__(self, rows: Indices) -> None:
        """Write `parameters.gradients` for the rows (runs, batch) that each run sees."""
        batch_size = rows.shape[1]
        if batch_size not in self._batches:
            self._batches[batch_size] = _Batch(self._network.layers, self.parameters, batch_size)
        batch = self._batches[batch_size]
        # "clip" skips the copy that protects `out` from an index out of range.
        self._columns.take(rows.T, 1, batch.columns, "clip")
        batch.backpropagate()

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone, positions in the present stack."""
        self.parameters.keep(rows)
        self._batches = {}


class _Batch:
    """A step with batches of one size: all its arrays, and the operations between them in order.

    Every array and view is made once: with numbers as few as these, making a view takes as long
    as computing with it. X, z and d have the shape (features, batch, runs), X with a last row of
    ones; W is a weight with its bias as last row, (in_features + 1, out_features, runs).
    """

    def __init__(self, layers: Sequence[Layer], parameters: Parameters, batch_size: int) -> None:
        n_runs, dtype = parameters.n_runs, parameters.values.dtype
        linear = layers[::2]
        n_classes, n_features = linear[-1].out_features, linear[0].in_features
        rows = np.ones((n_classes + n_features + 1, batch_size, n_runs), dtype)
        self.columns, targets, X = rows[:-1], rows[:n_classes], rows[n_classes:]
        terms = np.empty(_most_terms(layers, batch_size) * n_runs, dtype)
        shapes = [(layer.in_features + 1, layer.out_features, n_runs) for layer in linear]
        Ws, d_Ws = (
            _matrices(buffer, shapes) for buffer in (parameters.values, parameters.gradients)
        )
        # The last layer has no activation: its operation is the loss.
        functions = [layer for layer in layers if isinstance(layer, Activation)]

        operations: list[Callable[[], object]] = []
        Xs = [X]
        for W, function in zip_longest(Ws, functions):
            output = np.ones((W.shape[1] + 1, batch_size, n_runs), dtype)
            z = output[:-1]
            operations.append(_SumOfProducts(Xs[-1][:, None], W[:, :, None], z, terms))
            operations.append(partial(function.value, z) if function else _CrossEntropy(z, targets))
            Xs.append(output)
        d = z
        for number in reversed(range(len(Ws))):
            X, W, d_W = Xs[number], Ws[number], d_Ws[number]
            X_T, d_T = X.swapaxes(0, 1), d.swapaxes(0, 1)
            operations.append(_SumOfProducts(X_T[:, :, None], d_T[:, None], d_W, terms))
            if number > 0:  # nobody asks for the derivative with respect to the data
                W_T, d_X = W[:-1].swapaxes(0, 1), np.empty_like(X[:-1])
                operations.append(_SumOfProducts(d[:, None], W_T[:, :, None], d_X, terms))
                operations.append(partial(functions[number - 1].chain, X[:-1], d_X))
                d = d_X
        self._operations = operations

    def backpropagate(self) -> None:
        """Write the gradients, given the batch in `columns`."""
        for operation in self._operations:
            operation()


def _matrices(buffer: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Cut (runs, n_parameters) into matrices (in_features + 1, out_features, runs)."""
    ends = list(accumulate(n_rows * n_columns for n_rows, n_columns, _ in shapes))
    parts = np.split(buffer.T, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


class _SumOfProducts:
    """``out = sum(left * right)`` over the first axis, added up in its order.

    `terms` is memory for the products, of any shape and large enough.
    """

    def __init__(self, left: Array, right: Array, out: Array, terms: Array) -> None:
        shape = np.broadcast_shapes(left.shape, right.shape)
        self._left, self._right, self._out = left, right, out
        self._terms = terms[: prod(shape)].reshape(shape)
        # A single column of terms is summed in pairs by NumPy.
        self._is_lone = out.size == 1

    def __call__(self) -> None:
        np.multiply(self._left, self._right, out=self._terms)
        if self._is_lone:
            total = 0.0 + self._terms[0]
            for term in self._terms[1:]:
                total += term
            self._out[...] = total
        else:
            np.add.reduce(self._terms, axis=0, out=self._out)


class _CrossEntropy:
    """Turns logits (classes, batch, runs) into the derivative of the mean loss, in place.

    `SoftmaxCrossEntropy` has the same formula and other bits: it divides by the batch size, and
    sums many classes by BLAS. What this one saves is the views and copies of every call there.
    """

    def __init__(self, logits: Array, targets: Array) -> None:
        self._z, self._targets = logits, targets
        self._first, *self._others = np.split(logits, len(logits))
        self._row = np.empty_like(self._first)
        # As an array, which NumPy would otherwise make of a Python number at every call.
        self._share = np.array(1 / logits.shape[1], logits.dtype)

    def __call__(self) -> None:
        z = self._z
        np.subtract(z, self._over_classes(np.maximum), out=z)
        np.exp(z, out=z)
        np.divide(z, self._over_classes(np.add), out=z)
        np.subtract(z, self._targets, out=z)
        np.multiply(z, self._share, out=z)

    def _over_classes(self, operation: np.ufunc) -> Array:
        """Reduce the classes to one, in their order."""
        result = self._first
        for other in self._others:
            result = operation(result, other, out=self._row)
        return result
