"""The layers by name: a new one is a class of its own, and a line here."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import MutableMapping

from softnet.layers.activations import ACTIVATIONS
from softnet.layers.base import Layer
from softnet.layers.linear import Linear

# Every activation is a layer too.
LAYERS: MutableMapping[str, type[Layer]] = ChainMap({"linear": Linear}, ACTIVATIONS)
