"""A stack of equal networks: layers in sequence and a loss, from rows to predictions.

With one run it is an ordinary network; with many, each layer does its one operation for all of
them at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from softnet.layers.activations import ACTIVATIONS
from softnet.layers.base import Generators, Layer, LayerSettings
from softnet.layers.dropout import Dropout
from softnet.layers.embeddings import NumberEmbedding, Periodic, PiecewiseLinear
from softnet.layers.initializers import Initializers
from softnet.layers.linear import Linear
from softnet.layers.members import MemberLinear, SharedLinear
from softnet.layers.normalization import BatchNorm, LayerNorm
from softnet.layers.registry import LAYERS
from softnet.layers.sequence import Residual, Sequential
from softnet.losses.base import LossSettings
from softnet.losses.registry import LOSSES
from softnet.losses.softmax_cross_entropy import SoftmaxCrossEntropy
from softnet.stack.arrays import Array, Indices
from softnet.stack.parameters import FlatArrays, Parameters, Shapes, size_of
from softnet.stack.randomness import Noise
from softnet.stack.settings import NOT_EMPTY, Settings, count_from


@dataclass(frozen=True)
class NetworkSettings(Settings):
    """What a network is made from: all but its numbers.

    Parameters
    ----------
    in_features : int
        Features of a row.
    layers : tuple of LayerSettings
        In their order; the last one's features are the outputs.
    loss : LossSettings
        What is minimized, and what outputs mean.
    n_members : int
        Networks of which a run consists, whose predictions are averaged.
    shares_weights : bool
        Whether the members are made by the layers; else each is a network with a seed of its own.

    Examples
    --------
    >>> settings = NetworkSettings(4, (Linear.Settings(2),))
    >>> settings.weight_shapes
    {'layers.0.weight': (4, 2), 'layers.0.bias': (2,)}
    """

    in_features: int = field(metadata=count_from(1))
    layers: tuple[LayerSettings, ...] = field(metadata=NOT_EMPTY)
    loss: LossSettings = field(default_factory=SoftmaxCrossEntropy.Settings)
    n_members: int = field(default=1, metadata=count_from(1))
    shares_weights: bool = False

    def make_body(self, dtype: np.dtype[Any]) -> Sequential:
        """Make the layers, not bound to any numbers yet."""
        return Sequential(Sequential.Settings(self.layers), self.in_features, dtype)

    @property
    def n_copies(self) -> int:
        """Rows of the flat buffers that belong to one run."""
        return 1 if self.shares_weights else self.n_members

    @cached_property
    def _sizes(self) -> tuple[Shapes, Shapes, int]:
        body = self.make_body(np.dtype(np.float64))  # on which shapes do not depend
        shapes = body.parameter_shapes, body.statistic_shapes
        named = [{f"layers.{name}": shape for name, shape in of.items()} for of in shapes]
        return named[0], named[1], self.in_features + body.n_units

    @property
    def parameter_shapes(self) -> Shapes:
        """Shape of each parameter of one run by its name, without making any."""
        return self._sizes[0]

    @property
    def statistic_shapes(self) -> Shapes:
        """Shape of each array of one run that is kept with the weights but not optimized."""
        return self._sizes[1]

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array in the weights of one run by its name, without making any."""
        front = (self.n_copies,) if self.n_copies > 1 else ()
        shapes = {**self.parameter_shapes, **self.statistic_shapes}
        return {name: (*front, *shape) for name, shape in shapes.items()}

    @property
    def n_parameters(self) -> int:
        """Number of parameters of one run."""
        return self.n_copies * size_of(self.parameter_shapes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that JSON can hold, layers and loss by their names in registries."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> NetworkSettings:
        """Rebuild what `to_dict` returned, also after a way through JSON."""
        return cls(**{name: _settings(value) for name, value in plain.items()})

    @property
    def n_units(self) -> int:
        """Numbers that memory holds of one row: its features and the layers' outputs."""
        return self.n_copies * self._sizes[2]


def _plain(value: Any) -> Any:  # noqa: ANN401  (any field of any settings)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if not isinstance(value, LayerSettings | LossSettings):
        return value
    names = {kind.Settings: name for name, kind in _kinds().items()}
    settings = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return {"name": names[type(value)], **settings}


def _settings(plain: Any) -> Any:  # noqa: ANN401  (what `_plain` returned)
    if isinstance(plain, list):
        return tuple(map(_settings, plain))
    if not isinstance(plain, dict):
        return plain
    values = {name: _settings(value) for name, value in plain.items()}
    name = values.pop("name")
    return _kinds()[name].Settings(**values)


def _kinds() -> dict[str, Any]:
    """Return all layers and losses by name, also those that are in one of the registries alone."""
    by_place = (NORMALIZATIONS, NUMBER_EMBEDDINGS)
    several = {name: kind for names in by_place for name, kind in names.items() if kind is not None}
    return {**several, **LAYERS, **LOSSES}


NORMALIZATIONS: dict[str, type[Layer] | None]
NORMALIZATIONS = {"none": None, "batch": BatchNorm, "layer": LayerNorm}

NUMBER_EMBEDDINGS: dict[str, type[NumberEmbedding] | None] = {
    "none": None,
    "periodic": Periodic,
    "piecewise_linear": PiecewiseLinear,
}


def mlp(
    layer_sizes: Sequence[int],
    activation: str = "relu",
    *,
    dropout: float | None = 0.0,
    normalization: str = "none",
    residual: bool = False,
    inputs: Sequence[LayerSettings] = (),
    n_members: int = 1,
    shares_weights: bool = False,
    loss: LossSettings | None = None,
) -> NetworkSettings:
    """Return the settings of a multilayer perceptron, by default one that classifies.

    Parameters
    ----------
    layer_sizes : sequence of int
        Features in, units of each hidden layer, outputs; two numbers make a linear model.
    activation : str
        A key of `ACTIVATIONS`, applied after each hidden layer.
    dropout : float or None
        Share of each hidden layer's outputs that is dropped in training, in [0, 1); None is that
        of each run's settings.
    normalization : str
        A key of `NORMALIZATIONS`: what stands between each hidden layer and its activation.
    residual : bool
        Whether the input of each hidden layer that is as wide as it is added to its output; of
        the first one that is what `inputs` put out, and not where members share weights, since
        these get other rows than it puts out.
    inputs : sequence of LayerSettings
        Layers before the first one, for instance embeddings; one that learns from the training
        rows, as `PiecewiseLinear` does, must be the first of them.
    n_members : int
        Networks of which a run consists, whose predictions are averaged.
    shares_weights : bool
        Whether members share the weights of hidden layers, of which there is one then at least.
    loss : LossSettings or None
        None is softmax cross-entropy.

    Examples
    --------
    >>> mlp([4, 8, 2]).layers
    (Linear.Settings(out_features=8), ReLU.Settings(), Linear.Settings(out_features=2))
    """
    in_features, *widths = layer_sizes
    layers = [*inputs]
    normalizing = NORMALIZATIONS[normalization]
    before = in_features
    for each in inputs:  # which may make other columns of the features
        before = each.make(before, np.dtype(np.float64)).out_features
    head: LayerSettings = Linear.Settings(widths[-1])
    if shares_weights:
        head = MemberLinear.Settings(widths[-1], n_members)
    for width in widths[:-1]:
        is_first = len(layers) == len(inputs)
        block: list[LayerSettings] = [Linear.Settings(width)]
        if shares_weights:
            block = [SharedLinear.Settings(width, n_members, is_first)]
        if normalizing is not None:
            block.append(normalizing.Settings())
        block.append(ACTIVATIONS[activation].Settings())
        if dropout != 0:
            block.append(Dropout.Settings(dropout))
        adds_input = residual and width == before and not (shares_weights and is_first)
        layers += [Residual.Settings(tuple(block))] if adds_input else block
        before = width
    loss = loss or SoftmaxCrossEntropy.Settings()
    return NetworkSettings(in_features, (*layers, head), loss, n_members, shares_weights)


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
        n_rows = n_runs * settings.n_copies
        self.parameters = Parameters(settings.parameter_shapes, n_rows, self.dtype)
        self.statistics = FlatArrays(settings.statistic_shapes, n_rows, self.dtype)
        self.noise = Noise(range(n_rows))
        self._make_layers()

    @classmethod
    def from_weights(cls, weights: Mapping[str, Array], settings: NetworkSettings) -> Network:
        """Make a network of one run from what `weights` returned; see `stacked`."""
        return cls.stacked([weights], settings)

    @classmethod
    def stacked(cls, runs: Sequence[Mapping[str, Array]], settings: NetworkSettings) -> Network:
        """Make a network of several runs, each from what `weights` returned, all of one dtype.

        Raises
        ------
        ValueError
            If names or shapes are not those of such a network.
        """
        expected = settings.weight_shapes
        for weights in runs:
            shapes = {name: a.shape for name, a in weights.items()}
            # Before anything is allocated: sizes that do not fit can ask for terabytes.
            if shapes != expected:
                raise ValueError(f"weights have the shapes {shapes}, not {expected}")
        network = cls(settings, len(runs), next(iter(runs[0].values())).dtype)
        for run, weights in enumerate(runs):
            network.set_weights(run, weights)
        return network

    def set_weights(self, run: int, weights: Mapping[str, Array]) -> None:
        """Give a run some of its parameters and statistics, as `weights` has them."""
        n = self.settings.n_copies
        for name, array in weights.items():
            of_all = self.parameters if name in self.parameters.shapes else self.statistics
            of_all[name][run * n : (run + 1) * n] = array if n > 1 else array[None]

    def _make_layers(self) -> None:
        """Make layers and loss, and give each layer its columns of the flat buffers."""
        self.body = self.settings.make_body(self.dtype)
        self.layers = self.body.layers
        self.loss = self.settings.loss.make(self.dtype)
        self.use_noise(self.noise)
        self.bind()

    def use_noise(self, noise: Noise) -> None:
        """Let the layers that need chance in training, such as dropout, take it from there."""
        self.noise = noise
        self.body.use_noise(noise)

    def bind(self) -> None:
        """Give every layer its columns of the flat buffers."""
        parameters = self.parameters
        self.body.bind(parameters.values, parameters.gradients, self.statistics.values)

    @property
    def n_runs(self) -> int:
        """Runs in the stack; each may have several rows of the flat buffers."""
        return self.parameters.n_runs // self.settings.n_copies

    @property
    def n_outputs(self) -> int:
        """Outputs for a row, for instance one for each class."""
        return self.layers[-1].out_features

    def initialize(self, rngs: Generators, initializers: Initializers) -> None:
        """Draw each run's weights from its own generator, layer by layer; biases are zero."""
        self.parameters.values[:] = 0
        self.statistics.values[:] = 0
        self.body.initialize(rngs, initializers)

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
        return self.body.forward(X, training)

    def backward(self, d_outputs: Array) -> None:
        """Write `parameters.gradients`, layer by layer.

        `d_outputs`, the loss's derivative at the last outputs, may be overwritten.
        """
        self.body.backward_parameters(d_outputs)

    def outputs(self, X: Array) -> Array:
        """Return what `forward` does of rows to predict, of an ensemble those of all members.

        They are outputs that mean the average of the members' predictions.
        """
        outputs, n_members = self.forward(X), self.settings.n_members
        if n_members == 1:
            return outputs
        return self.loss.combine(outputs.reshape(-1, n_members, X.shape[1], self.n_outputs))

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
        return self.loss.predictions(self.outputs(rows if rows.ndim == 3 else rows[None]))

    def weights(self, run: int = 0) -> dict[str, Array]:
        """Return a copy of one run's parameters and statistics by name, for `from_weights`."""
        n = self.settings.n_copies
        return {
            name: view[run].copy() if n == 1 else view[run * n : (run + 1) * n].copy()
            for arrays in (self.parameters, self.statistics)
            for name, view in arrays.views(arrays.values).items()
        }

    def keep(self, rows: Indices) -> None:
        """Go on with the runs at these positions among those that are left by now.

        The layers are made anew: the old ones keep an array for every shape that they ever saw.
        """
        self.parameters.keep(rows)
        self.statistics.keep(rows)
        self.noise.keep(rows)
        self._make_layers()
