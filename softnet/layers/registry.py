"""The layers by name: a new one is a class of its own, and a line here."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import MutableMapping

from softnet.layers.activations import ACTIVATIONS
from softnet.layers.base import Layer
from softnet.layers.dropout import Dropout
from softnet.layers.embeddings import Embedding, Periodic, PiecewiseLinear, Scale
from softnet.layers.linear import Linear
from softnet.layers.members import MemberLinear, SharedLinear
from softnet.layers.normalization import BatchNorm, LayerNorm
from softnet.layers.sequence import Residual

_LAYERS: dict[str, type[Layer]] = {
    "linear": Linear,
    "dropout": Dropout,
    "batch_norm": BatchNorm,
    "layer_norm": LayerNorm,
    "residual": Residual,
    "scale": Scale,
    "embedding": Embedding,
    "periodic": Periodic,
    "piecewise_linear": PiecewiseLinear,
    "member_linear": MemberLinear,
    "shared_linear": SharedLinear,
}
# Every activation is a layer too.
LAYERS: MutableMapping[str, type[Layer]] = ChainMap(_LAYERS, ACTIVATIONS)
