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
from itertools import accumulate, pairwise
from math import prod

import numpy as np

from softnet.layers.activations import ACTIVATIONS
from softnet.losses.softmax_cross_entropy import one_hot
from softnet.network import Network
from softnet.stack.arrays import Array, Indices
from softnet.stack.parameters import Parameters
from softnet.training.settings import Examples

# Measured: with up to so many terms in the sums of a layer, this is faster than BLAS.
_FEW_TERMS = 256


def is_small(layer_sizes: Sequence[int], batch_size: int) -> bool:
    """Tell whether a network trains faster here, judged by its largest layer."""
    return _most_terms(layer_sizes, batch_size) <= _FEW_TERMS


def _most_terms(layer_sizes: Sequence[int], batch_size: int) -> int:
    """Count the products of two numbers in the layer that has the most."""
    return max((n_in + 1) * n_out for n_in, n_out in pairwise(layer_sizes)) * batch_size


class SideBySide:
    """Writes the gradients of a small network for batches of its training rows.

    Parameters
    ----------
    network : Network
        Whose shape, activation, number of runs and dtype are taken.
    train : Examples
        Training rows, in the network's dtype.

    Attributes
    ----------
    parameters : Parameters
        Of its own, since they lie in memory with the runs side by side.
    """

    def __init__(self, network: Network, train: Examples) -> None:
        self._layer_sizes, self._activation = network.layer_sizes, network.activation
        self._dtype = network.dtype
        own = network.parameters
        self.parameters = Parameters(own.shapes, own.n_runs, own.values.dtype, order="F")
        # One-hot classes and features side by side: a batch is gathered in one go.
        classes = one_hot(train.y, self._layer_sizes[-1], self._dtype)
        self._columns = np.concatenate([classes, train.X], axis=1).T.copy()
        self._batches: dict[int, _Batch] = {}

    def __call__(self, rows: Indices) -> None:
        """Write `parameters.gradients` for the rows (runs, batch) that each run sees."""
        batch_size = rows.shape[1]
        if batch_size not in self._batches:
            self._batches[batch_size] = _Batch(
                self._layer_sizes, self._activation, self.parameters, batch_size
            )
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

    def __init__(
        self, layer_sizes: Sequence[int], activation: str, parameters: Parameters, batch_size: int
    ) -> None:
        n_runs, dtype = parameters.n_runs, parameters.values.dtype
        n_classes, n_columns = layer_sizes[-1], layer_sizes[-1] + layer_sizes[0]
        rows = np.ones((n_columns + 1, batch_size, n_runs), dtype)
        self.columns, targets, X = rows[:n_columns], rows[:n_classes], rows[n_classes:]
        terms = np.empty(_most_terms(layer_sizes, batch_size) * n_runs, dtype)
        Ws = _matrices(parameters.values, layer_sizes)
        d_Ws = _matrices(parameters.gradients, layer_sizes)
        function = ACTIVATIONS[activation](dtype)

        self._operations: list[Callable[[], object]] = []
        Xs = [X]
        for W in Ws:
            # Of the last layer, the row of ones serves nobody.
            output = np.ones((W.shape[1] + 1, batch_size, n_runs), dtype)
            z = output[:-1]
            self._operations.append(_SumOfProducts(Xs[-1][:, None], W[:, :, None], z, terms))
            self._operations.append(partial(function.value, z))
            Xs.append(output)
        self._operations[-1] = _CrossEntropy(z, targets)
        d = z
        for X, W, d_W in reversed(list(zip(Xs[:-1], Ws, d_Ws, strict=True))):
            X_T, d_T = X.swapaxes(0, 1), d.swapaxes(0, 1)
            self._operations.append(_SumOfProducts(X_T[:, :, None], d_T[:, None], d_W, terms))
            if X is Xs[0]:
                break  # nobody asks for the derivative with respect to the data
            W_T, d_X = W[:-1].swapaxes(0, 1), np.empty_like(X[:-1])
            self._operations.append(_SumOfProducts(d[:, None], W_T[:, :, None], d_X, terms))
            self._operations.append(partial(function.chain, X[:-1], d_X))
            d = d_X

    def backpropagate(self) -> None:
        """Write the gradients, given the batch in `columns`."""
        for operation in self._operations:
            operation()


def _matrices(buffer: Array, layer_sizes: Sequence[int]) -> list[Array]:
    """Cut (runs, n_parameters) into a matrix (in_features + 1, out_features, runs) per layer."""
    shapes = [(n_in + 1, n_out) for n_in, n_out in pairwise(layer_sizes)]
    ends = list(accumulate(n_in * n_out for n_in, n_out in shapes))
    parts = np.split(buffer.T, ends[:-1])
    return [part.reshape(*shape, len(buffer)) for part, shape in zip(parts, shapes, strict=True)]


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

    `SoftmaxCrossEntropy` has the same formula, and shares none of it. It divides by the batch size,
    which rounds otherwise than the product with a share does, and sums many classes by BLAS: one
    code for both would change the bits of one. What this one saves is the views and copies that the
    other makes at every call. Tests compare the two.
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
