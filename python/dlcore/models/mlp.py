"""Multilayer perceptron."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from ..nn import Dropout, Linear, Module, Sequential
from ..train import register
from .base import share, sizes
from .supervised import Supervised


@register
class MLP(Supervised):
    """scores = W_L f(… f(W_1 x + b_1) …) + b_L.

    Parameters
    ----------
    layer_sizes : at least 2 integers: inputs, hidden units of each layer, outputs
    activation : name of the hidden layers' f, see `dlcore.ops.ACTIVATIONS`
    output : "softmax" (classes), "sigmoid" (events), "identity" (real values) or "svm" (classes by margin)
    dropout : share in [0, 1) of each hidden layer's units dropped while training
    weight_decay : λ >= 0 of the penalty ½ λ Σ W²
    l1 : λ >= 0 of the penalty λ Σ |W|
    seed : int in [0, 2⁶⁴): decides the initial weights, the order of the cases and the dropped units
    dtype : "float32" or "float64"

    References
    ----------
    Rumelhart, Hinton, Williams (1986), Learning representations by back-propagating errors.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "relu",
        output: str = "softmax",
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        widths = sizes(layer_sizes, type(self).__name__, "layer_sizes", 2)
        share(type(self).__name__, dropout=dropout)
        config: dict[str, Any] = {
            "layer_sizes": widths,
            "activation": activation,
            "output": output,
            "dropout": dropout,
            "weight_decay": weight_decay,
            "l1": l1,
            "seed": seed,
            "dtype": dtype,
        }
        network = _network(widths, activation, dropout)
        super().__init__(config, network, (widths[0],), widths[-1], output, weight_decay, l1)


def _network(widths: Sequence[int], activation: str, dropout: float) -> Sequential:
    layers: list[Module] = []
    for inputs, outputs in itertools.pairwise(widths[:-1]):
        layers.append(Linear(inputs, outputs, activation))
        if dropout:
            layers.append(Dropout(dropout))
    return Sequential(*layers, Linear(widths[-2], widths[-1]))
