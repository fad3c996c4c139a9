"""A neural network in NumPy, to be read: linear layers, softmax cross-entropy, backpropagation.

Everything carries a leading axis of runs, so that a thousand small networks train as one array
computation, each with the bits it would have alone. This package knows NumPy and nothing else:
not where data comes from, nor where results go.
"""

from softnet.gradcheck import central_differences, check_network, relative_error
from softnet.layers.activations import ACTIVATIONS, Identity, ReLU, Sigmoid, Tanh
from softnet.layers.initializers import INITIALIZERS, he, normal, xavier, zeros
from softnet.layers.linear import Activation, Layer, Linear
from softnet.losses.softmax_cross_entropy import SoftmaxCrossEntropy, one_hot
from softnet.metrics import HIGHER_IS_BETTER, evaluate
from softnet.network import Network, n_parameters, parameter_shapes
from softnet.optimizers.base import OPTIMIZERS, SGD, Adam, Optimizer, OptimizerSettings
from softnet.optimizers.schedules import SCHEDULES, Constant, Cosine, Schedule, Step
from softnet.stack.parameters import Parameters
from softnet.stack.randomness import STREAMS, stream
from softnet.stack.setting_rules import SettingError
from softnet.training.batches import SAMPLINGS, Shuffled, WithReplacement, steps_per_epoch
from softnet.training.early_stopping import EarlyStopping, higher_is_better
from softnet.training.loop import Training
from softnet.training.settings import Examples, Record, RunSettings, StackSettings

__all__ = [
    "ACTIVATIONS",
    "HIGHER_IS_BETTER",
    "INITIALIZERS",
    "OPTIMIZERS",
    "SAMPLINGS",
    "SCHEDULES",
    "SGD",
    "STREAMS",
    "Activation",
    "Adam",
    "Constant",
    "Cosine",
    "EarlyStopping",
    "Examples",
    "Identity",
    "Layer",
    "Linear",
    "Network",
    "Optimizer",
    "OptimizerSettings",
    "Parameters",
    "ReLU",
    "Record",
    "RunSettings",
    "Schedule",
    "SettingError",
    "Shuffled",
    "Sigmoid",
    "SoftmaxCrossEntropy",
    "StackSettings",
    "Step",
    "Tanh",
    "Training",
    "WithReplacement",
    "central_differences",
    "check_network",
    "evaluate",
    "he",
    "higher_is_better",
    "n_parameters",
    "normal",
    "one_hot",
    "parameter_shapes",
    "relative_error",
    "steps_per_epoch",
    "stream",
    "xavier",
    "zeros",
]
