"""A stack of equal networks: layers in sequence, from rows to class probabilities.

With one run it is an ordinary multilayer perceptron; with many, each layer does its one operation
for all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from softnet.layers.activations import ACTIVATIONS
from softnet.layers.initializers import Initializer
from softnet.layers.linear import Activation, Layer, Linear
from softnet.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from softnet.stack.arrays import Array, Indices
from softnet.stack.parameters import Parameters

WEIGHT_NAME = re.compile(r"layers\.([0-9]+)\.weight")


class Network:
    """Linear layers with an activation between them, for `n_runs` runs at a time.

    Parameters
    ----------
    layer_sizes : sequence of int
        Features in, units of each hidden layer, classes out; two numbers make a linear model.
    activation : str
        A key of `ACTIVATIONS`.
    n_runs : int
        Number of runs in the stack.
    dtype : dtype
        float32 or float64.

    Examples
    --------
    >>> network = Network([4, 2])
    >>> network.predict_proba(np.ones((3, 4))).tolist()
    [[[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]]
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "relu",
        n_runs: int = 1,
        dtype: DTypeLike = np.float64,
    ) -> None:
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.layer_sizes, self.activation = tuple(layer_sizes), activation
        self._make_layers()
        self.parameters = Parameters(_shapes(self.layers), n_runs, self.dtype)
        self._bind()

    @classmethod
    def from_weights(cls, weights: Mapping[str, Array], activation: str = "relu") -> Network:
        """Make a network of one run from what `weights` returned.

        Parameters
        ----------
        weights : mapping of str to ndarray
            ``layers.0.weight`` of shape (in_features, out_features), ``layers.0.bias`` of shape
            (out_features,), and so on.
        activation : str
            A key of `ACTIVATIONS`.

        Raises
        ------
        ValueError
            If names or shapes are not those of one network.
        """
        # By number, since "layers.10" sorts before "layers.2" as text.
        named = [(WEIGHT_NAME.fullmatch(name), array) for name, array in weights.items()]
        numbered = [(int(match[1]), array) for match, array in named if match]
        matrices = [array for _, array in sorted(numbered, key=itemgetter(0))]
        if not matrices:
            raise ValueError("weights hold no 'layers.0.weight'")
        found = {name: array.shape for name, array in weights.items()}
        # Before anything is allocated: sizes that do not belong together can ask for terabytes.
        if any(matrix.ndim != 2 for matrix in matrices) or any(
            before.shape[1] != after.shape[0] for before, after in pairwise(matrices)
        ):
            raise ValueError(f"weights have the shapes {found}, which do not follow one another")
        sizes = [matrices[0].shape[0], *(matrix.shape[1] for matrix in matrices)]
        network = cls(sizes, activation, n_runs=1, dtype=matrices[0].dtype)
        expected = network.parameters.shapes
        if found != expected:
            raise ValueError(f"weights have the shapes {found}, not {expected}")
        for name, array in weights.items():
            network.parameters[name][0] = array
        return network

    def _make_layers(self) -> None:
        self.layers = _layers(self.layer_sizes, self.activation, self.dtype)
        self.loss = SoftmaxCrossEntropy(self.dtype)

    def _bind(self) -> None:
        """Give every layer its views of the flat buffers."""
        values = self.parameters.views(self.parameters.values)
        gradients = self.parameters.views(self.parameters.gradients)
        for number, layer in enumerate(self.layers):
            names = {name: f"layers.{number}.{name}" for name in layer.parameter_shapes}
            layer.bind(
                {name: values[full] for name, full in names.items()},
                {name: gradients[full] for name, full in names.items()},
            )

    def initialize(
        self,
        rngs: Sequence[np.random.Generator],
        initializers: Sequence[Initializer],
        scales: Sequence[float],
    ) -> None:
        """Draw each run's weights from its own generator, layer by layer; biases are zero.

        Parameters
        ----------
        rngs, initializers, scales : sequences of length runs
            Generator, initializer and a factor on what it draws, of each run.
        """
        self.parameters.values[:] = 0
        for name, shape in self.parameters.shapes.items():
            if not name.endswith(".weight"):
                continue
            weight = self.parameters[name]
            for run, rng in enumerate(rngs):
                weight[run] = initializers[run](rng, *shape) * scales[run]

    def forward(self, X: Array) -> Array:
        """Return the logits.

        Parameters
        ----------
        X : ndarray of shape (runs, batch, n_features) or (1, batch, n_features)
            Rows of each run, or the same rows for all.

        Returns
        -------
        ndarray of shape (runs, batch, n_classes)
            Kept: overwritten by the next call of the same shape.
        """
        for layer in self.layers:
            X = layer.forward(X)
        return X

    def backward(self, d_logits: Array) -> None:
        """Write `parameters.gradients`, layer by layer.

        The plain form, to be read and to check the layers with: training takes what
        `softnet.training.backpropagation` chooses, and `check_network` checks both.

        Parameters
        ----------
        d_logits : ndarray of shape (runs, batch, n_classes)
            The loss's derivative at the last logits; may be overwritten.
        """
        d_output = d_logits
        for layer in reversed(self.layers[1:]):
            d_output = layer.backward(d_output)
        # Nobody asks for the derivative with respect to the data.
        self.layers[0].backward_parameters(d_output)

    def predict_proba(self, X: Array) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features) or (runs, n_samples, n_features)
            Rows, the same for all runs or of each run.

        Returns
        -------
        ndarray of shape (runs, n_samples, n_classes)
            A new array; each row sums to one.
        """
        rows = np.ascontiguousarray(X, self.dtype)
        return self.loss.probabilities(self.forward(rows if rows.ndim == 3 else rows[None]))

    def weights(self, run: int = 0) -> dict[str, Array]:
        """Return a copy of one run's parameters by name, as `from_weights` takes them."""
        views = self.parameters.views(self.parameters.values)
        return {name: view[run].copy() for name, view in views.items()}

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone.

        The layers are made anew: the old ones keep an array for every shape that they ever saw.

        Parameters
        ----------
        rows : ndarray of int, shape (n_kept,)
            Positions among the runs that are left by now, not in the stack as it began.
        """
        self.parameters.keep(rows)
        self._make_layers()
        self._bind()


def _layers(layer_sizes: Sequence[int], activation: str, dtype: np.dtype[Any]) -> list[Layer]:
    """Make the layers in their order, not bound to any parameters yet."""
    layers: list[Layer] = []
    for in_features, out_features in pairwise(layer_sizes):
        if layers:
            layers.append(Activation(ACTIVATIONS[activation](dtype)))
        layers.append(Linear(in_features, out_features, dtype))
    return layers


def _shapes(layers: Sequence[Layer]) -> dict[str, tuple[int, ...]]:
    """Name the parameters of layers by their place, in the order in which they are laid out."""
    return {
        f"layers.{number}.{name}": shape
        for number, layer in enumerate(layers)
        for name, shape in layer.parameter_shapes.items()
    }


def parameter_shapes(layer_sizes: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each parameter of one run by its name, without making any.

    Examples
    --------
    >>> parameter_shapes([4, 2])
    {'layers.0.weight': (4, 2), 'layers.0.bias': (2,)}
    """
    # Layers hold no parameter until they are bound; the activation and the dtype shape none.
    return _shapes(_layers(layer_sizes, "identity", np.dtype(np.float64)))


def n_parameters(layer_sizes: Sequence[int]) -> int:
    """Count the parameters of one run without making any."""
    return sum(map(prod, parameter_shapes(layer_sizes).values()))
