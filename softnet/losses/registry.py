"""The losses by name: a new one is a class of its own, and a line here."""

from __future__ import annotations

from softnet.losses.base import Loss
from softnet.losses.outputwise import AbsoluteError, BinaryCrossEntropy, Huber, SquaredError
from softnet.losses.softmax_cross_entropy import SoftmaxCrossEntropy

LOSSES: dict[str, type[Loss]] = {
    "softmax_cross_entropy": SoftmaxCrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
}
