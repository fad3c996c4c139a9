"""A neural network in NumPy, to be read: layers, losses, optimizers, backpropagation.

Everything carries a leading axis of runs, so that a thousand small networks train as one array
computation, each with the bits it would have alone. What a network can be made of stands in
registries by name: `LAYERS`, `LOSSES`, `OPTIMIZERS` and the like.
"""

from softnet.gradcheck import central_differences, check_network, relative_error
from softnet.layers.activations import ACTIVATIONS, Activation, Identity, ReLU, Sigmoid, Tanh
from softnet.layers.base import Layer, LayerSettings
from softnet.layers.dropout import Dropout
from softnet.layers.embeddings import (
    Embedding,
    NumberEmbedding,
    Periodic,
    PiecewiseLinear,
    Scale,
)
from softnet.layers.initializers import INITIALIZERS, He, Initializer, Normal, Xavier, Zeros
from softnet.layers.linear import Linear
from softnet.layers.members import MemberLinear, SharedLinear
from softnet.layers.normalization import BatchNorm, LayerNorm
from softnet.layers.registry import LAYERS
from softnet.layers.sequence import Residual, Sequential
from softnet.losses.base import Loss, LossSettings
from softnet.losses.outputwise import AbsoluteError, BinaryCrossEntropy, Huber, SquaredError
from softnet.losses.registry import LOSSES
from softnet.losses.softmax_cross_entropy import SoftmaxCrossEntropy, one_hot
from softnet.metrics import (
    LABEL_METRICS,
    METRICS,
    Metric,
    Predicted,
    Score,
    evaluate,
    higher_is_better,
    is_metric,
    metric_named,
    ranking_curve,
)
from softnet.network import NORMALIZATIONS, NUMBER_EMBEDDINGS, Network, NetworkSettings, mlp
from softnet.optimizers.adam import Adam, AdamW
from softnet.optimizers.base import Optimizer, OptimizerSettings
from softnet.optimizers.registry import OPTIMIZERS
from softnet.optimizers.rmsprop import RMSProp
from softnet.optimizers.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    ExponentialDecay,
    LinearDecay,
    Schedule,
    Step,
)
from softnet.optimizers.sgd import SGD
from softnet.stack.parameters import FlatArrays, Parameters
from softnet.stack.randomness import STREAMS, member_seed, stream
from softnet.stack.settings import SettingError
from softnet.training.batches import SAMPLINGS, Shuffled, WithReplacement, steps_per_epoch
from softnet.training.loop import Training, join_states
from softnet.training.settings import (
    EarlyStopping,
    Examples,
    Record,
    RunSettings,
    StackSettings,
)
