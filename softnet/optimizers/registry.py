"""The optimizers by name: a new one is a class of its own, and a line here."""

from __future__ import annotations

from softnet.optimizers.adam import Adam, AdamW
from softnet.optimizers.base import Optimizer
from softnet.optimizers.rmsprop import RMSProp
from softnet.optimizers.sgd import SGD

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSProp,
}
