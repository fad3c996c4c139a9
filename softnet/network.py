"""A stack of equal networks: layers in sequence and a loss, from rows to predictions.

With one run it is an ordinary network; with many, each layer does its one operation for all of
them at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from softnet.layers.activations import ACTIVATIONS
from softnet.layers.base import Layer, LayerSettings
from softnet.layers.dropout import Dropout
from softnet.layers.initializers import Initializer
from softnet.layers.linear import Linear
from softnet.layers.normalization import BatchNorm, LayerNorm
from softnet.layers.residual import Residual
from softnet.losses.base import LossSettings
from softnet.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from softnet.stack.arrays import Array, Indices
from softnet.stack.parameters import FlatArrays, Parameters, columns, numbered, size_of
from softnet.stack.randomness import Noise
from softnet.stack.setting_rules import require, require_count

_WEIGHT_NAME = re.compile(r"layers\.([0-9]+(?:\.[0-9]+)?)\.weight")
# Shapes do not depend on it.
_ANY_DTYPE: np.dtype[Any] = np.dtype(np.float64)


@dataclass(frozen=True)
class NetworkSettings:
    """What a network is made from: all but its numbers.

    Parameters
    ----------
    in_features : int
        Features of a row.
    layers : tuple of LayerSettings
        In their order; the last one's features are the outputs.
    loss : LossSettings
        What is minimized, and what outputs mean.

    Examples
    --------
    >>> settings = NetworkSettings(4, (Linear.Settings(2),))
    >>> settings.weight_shapes
    {'layers.0.weight': (4, 2), 'layers.0.bias': (2,)}
    """

    in_features: int
    layers: tuple[LayerSettings, ...]
    loss: LossSettings = field(default_factory=SoftmaxCrossEntropy.Settings)

    def make_layers(self, dtype: np.dtype[Any]) -> list[Layer]:
        """Make the layers in their order, not bound to any numbers yet."""
        layers: list[Layer] = []
        features = self.in_features
        for settings in self.layers:
            layers.append(settings.make(features, dtype))
            features = layers[-1].out_features
        return layers

    def __post_init__(self) -> None:
        require_count("in_features", self.in_features, 1)
        require(len(self.layers) > 0, "layers", "at least one layer", self.layers)

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter of one run by its name, without making any."""
        return self._by_layer("parameter_shapes")

    @property
    def statistic_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one run that is kept with the weights but not optimized."""
        return self._by_layer("statistic_shapes")

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array in the weights of one run by its name, without making any."""
        return self.parameter_shapes | self.statistic_shapes

    @property
    def n_parameters(self) -> int:
        """Number of parameters of one run."""
        return size_of(self.parameter_shapes)

    @property
    def n_units(self) -> int:
        """Numbers that memory holds of one row on its way: its features and layers' outputs."""
        return self.in_features + sum(layer.n_units for layer in self.make_layers(_ANY_DTYPE))

    def _by_layer(self, kind: str) -> dict[str, tuple[int, ...]]:
        shapes = numbered([getattr(layer, kind) for layer in self.make_layers(_ANY_DTYPE)])
        return {f"layers.{name}": shape for name, shape in shapes.items()}


NORMALIZATIONS: dict[str, type[Layer] | None] = {
    "none": None,
    "batch": BatchNorm,
    "layer": LayerNorm,
}


def mlp(
    layer_sizes: Sequence[int],
    activation: str = "relu",
    *,
    dropout: float = 0.0,
    normalization: str = "none",
    residual: bool = False,
    loss: LossSettings | None = None,
) -> NetworkSettings:
    """Return the settings of a multilayer perceptron, by default one that classifies.

    Parameters
    ----------
    layer_sizes : sequence of int
        Features in, units of each hidden layer, outputs; two numbers make a linear model.
    activation : str
        A key of `ACTIVATIONS`, applied after each hidden layer.
    dropout : float
        Share of each hidden layer's outputs that is dropped in training, in [0, 1).
    normalization : str
        A key of `NORMALIZATIONS`: what stands between each hidden layer and its activation.
    residual : bool
        Whether the input of each hidden layer that is as wide as it is added to its output.
    loss : LossSettings or None
        None is softmax cross-entropy.

    Examples
    --------
    >>> mlp([4, 8, 2]).layers
    (Linear.Settings(out_features=8), ReLU.Settings(), Linear.Settings(out_features=2))
    """
    in_features, *widths = layer_sizes
    layers: list[LayerSettings] = []
    normalizing = NORMALIZATIONS[normalization]
    before = in_features
    for width in widths[:-1]:
        block: list[LayerSettings] = [Linear.Settings(width)]
        if normalizing is not None:
            block.append(normalizing.Settings())
        block.append(ACTIVATIONS[activation].Settings())
        if dropout > 0:
            block.append(Dropout.Settings(dropout))
        layers += [Residual.Settings(tuple(block))] if residual and width == before else block
        before = width
    layers.append(Linear.Settings(widths[-1]))
    return NetworkSettings(in_features, tuple(layers), loss or SoftmaxCrossEntropy.Settings())


def mlp_of(weights: Mapping[str, Array], activation: str = "relu") -> NetworkSettings:
    """Return the settings of the multilayer perceptron that has these weights.

    Parameters
    ----------
    weights : mapping of str to ndarray
        ``layers.0.weight`` of shape (in_features, out_features), ``layers.0.bias`` of shape
        (out_features,), ``layers.2.weight`` and so on.
    activation : str
        A key of `ACTIVATIONS`.

    Raises
    ------
    ValueError
        If the weights are not those of one network.
    """
    shapes = {name: array.shape for name, array in weights.items()}
    # By number, since "layers.10" sorts before "layers.2" as text.
    named = sorted(
        ([int(number) for number in match[1].split(".")], shape)
        for name, shape in shapes.items()
        if (match := _WEIGHT_NAME.fullmatch(name))
    )
    if not named:
        raise ValueError("weights hold no 'layers.0.weight'")
    matrices = [shape for _, shape in named if len(shape) == 2 and 0 not in shape]
    sizes = [*matrices[0][:1], *(shape[1] for shape in matrices)] if matrices else [1, 1]
    # The names and shapes tell what else there is; how much is dropped makes no difference here.
    for normalization, residual, dropout in product(NORMALIZATIONS, (False, True), (0.0, 0.5)):
        settings = mlp(
            sizes, activation, dropout=dropout, normalization=normalization, residual=residual
        )
        if settings.weight_shapes == shapes:
            return settings
    raise ValueError(f"weights have the shapes {shapes}, which are those of no such network")


class Network:
    """A network for `n_runs` runs at a time.

    Parameters
    ----------
    settings : NetworkSettings
        What all runs have in common.
    n_runs : int
        Number of runs in the stack.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    layers : list of Layer
        In their order.
    loss : Loss
        What is minimized.
    parameters : Parameters
        What is optimized, with its gradients.
    statistics : FlatArrays
        What is kept with the parameters but not optimized, for instance running means.

    Examples
    --------
    >>> network = Network(mlp([4, 2]))
    >>> network.predict(np.ones((3, 4))).tolist()
    [[[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]]
    """

    def __init__(
        self, settings: NetworkSettings, n_runs: int = 1, dtype: DTypeLike = np.float64
    ) -> None:
        self.settings = settings
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.parameters = Parameters(settings.parameter_shapes, n_runs, self.dtype)
        self.statistics = FlatArrays(settings.statistic_shapes, n_runs, self.dtype)
        self.noise = Noise(range(n_runs))
        self._make_layers()

    @classmethod
    def from_weights(cls, weights: Mapping[str, Array], settings: NetworkSettings) -> Network:
        """Make a network of one run from what `weights` returned.

        Parameters
        ----------
        weights : mapping of str to ndarray
            Parameters and statistics by name.
        settings : NetworkSettings
            What the network is made from.

        Raises
        ------
        ValueError
            If names or shapes are not those of such a network.
        """
        shapes, expected = {name: a.shape for name, a in weights.items()}, settings.weight_shapes
        # Before anything is allocated: sizes that do not belong together can ask for terabytes.
        if shapes != expected:
            raise ValueError(f"weights have the shapes {shapes}, not {expected}")
        network = cls(settings, n_runs=1, dtype=next(iter(weights.values())).dtype)
        for name, array in weights.items():
            of_all = network.parameters if name in network.parameters.shapes else network.statistics
            of_all[name][0] = array
        return network

    def _make_layers(self) -> None:
        """Make layers and loss, and give each layer its columns of the flat buffers."""
        self.layers = self.settings.make_layers(self.dtype)
        self.loss = self.settings.loss.make(self.dtype)
        self.use_noise(self.noise)
        self.bind()

    def use_noise(self, noise: Noise) -> None:
        """Let the layers that need chance in training, such as dropout, take it from there."""
        self.noise = noise
        for layer in self.layers:
            layer.use_noise(noise)

    @property
    def is_random(self) -> bool:
        """Whether any layer needs chance in training."""
        return any(layer.is_random for layer in self.layers)

    def bind(self) -> None:
        """Give every layer its columns of the flat buffers."""
        parameter_shapes = [layer.parameter_shapes for layer in self.layers]
        statistic_shapes = [layer.statistic_shapes for layer in self.layers]
        for layer, values, gradients, statistics in zip(
            self.layers,
            columns(self.parameters.values, parameter_shapes),
            columns(self.parameters.gradients, parameter_shapes),
            columns(self.statistics.values, statistic_shapes),
            strict=True,
        ):
            layer.bind(values, gradients, statistics)

    @property
    def n_outputs(self) -> int:
        """Outputs for a row, for instance one for each class."""
        return self.layers[-1].out_features

    def initialize(
        self, rngs: Sequence[np.random.Generator], initializers: Sequence[Initializer]
    ) -> None:
        """Draw each run's weights from its own generator, layer by layer; biases are zero.

        Parameters
        ----------
        rngs, initializers : sequences of length runs
            Generator and initializer of each run.
        """
        self.parameters.values[:] = 0
        self.statistics.values[:] = 0
        for layer in self.layers:
            layer.initialize(rngs, initializers)

    def forward(self, X: Array, training: bool = False) -> Array:
        """Return the outputs, of a classifier the logits.

        Parameters
        ----------
        X : ndarray of shape (runs, batch, in_features) or (1, batch, in_features)
            Rows of each run, or the same rows for all. In training each may have a one behind its
            features, for a first layer that `takes_ones`.
        training : bool
            Whether these are rows to learn from, of which `backward` is to give the gradient.

        Returns
        -------
        ndarray of shape (runs, batch, n_outputs)
            Kept: overwritten by the next call of the same shape.
        """
        in_features = self.settings.in_features
        if not training and X.shape[-1] != in_features:
            raise ValueError(f"rows must have {in_features} features, got {X.shape[-1]}")
        if self.layers[0].overwrites_input:
            X = X.copy()
        for layer in self.layers:
            X = layer.forward(X, training)
        return X

    def backward(self, d_outputs: Array) -> None:
        """Write `parameters.gradients`, layer by layer.

        Parameters
        ----------
        d_outputs : ndarray of shape (runs, batch, n_outputs)
            The loss's derivative at the last outputs; may be overwritten.
        """
        d_output = d_outputs
        for layer in reversed(self.layers[1:]):
            d_output = layer.backward(d_output)
        # Nobody asks for the derivative with respect to the data.
        self.layers[0].backward_parameters(d_output)

    def predict(self, X: Array) -> Array:
        """Return what the outputs say by the loss: of a classifier, each class's probability.

        Parameters
        ----------
        X : ndarray of shape (n_samples, in_features) or (runs, n_samples, in_features)
            Rows, the same for all runs or of each run.

        Returns
        -------
        ndarray of shape (runs, n_samples, n_outputs)
            A new array; probabilities of a row sum to one.
        """
        rows = np.ascontiguousarray(X, self.dtype)
        return self.loss.predictions(self.forward(rows if rows.ndim == 3 else rows[None]))

    def weights(self, run: int = 0) -> dict[str, Array]:
        """Return a copy of one run's parameters and statistics by name, for `from_weights`."""
        return {
            name: view[run].copy()
            for arrays in (self.parameters, self.statistics)
            for name, view in arrays.views(arrays.values).items()
        }

    def keep(self, rows: Indices) -> None:
        """Go on with these runs alone.

        The layers are made anew: the old ones keep an array for every shape that they ever saw.

        Parameters
        ----------
        rows : ndarray of int, shape (n_kept,)
            Positions among the runs that are left by now, not in the stack as it began.
        """
        self.parameters.keep(rows)
        self.statistics.keep(rows)
        self.noise.keep(rows)
        self._make_layers()
