"""The modules of a deep belief network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..nn import Linear, Module, Sequential
from ..tensor import Tensor
from .machine import Machine


class Belief(Module):
    """A stack of machines and the network that recognises with copies of their weights; the value is its scores."""

    def __init__(self, widths: Sequence[int], classes: int, weight_std: float) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        layers = [Linear(inputs, outputs, "sigmoid") for inputs, outputs in pairs]
        self.recognition = Sequential(*layers, Linear(widths[-1], classes))
        self.machines = tuple(Machine(inputs, outputs, weight_std) for inputs, outputs in pairs)

    def forward(self, x: Tensor) -> Tensor:
        return self.recognition.forward(x)

    def features(self, x: Tensor) -> Tensor:
        """The recognition network's last hidden layer."""
        for layer in self.recognition.layers[:-1]:
            x = layer.forward(x)
        return x

    def up(self, v: Tensor, count: int | None = None) -> Tensor:
        """Hidden probabilities of the lowest `count` machines, all by default, one above the other."""
        for machine in self.machines[:count]:
            v = machine.forward(v)
        return v

    def down(self, h: Tensor) -> Tensor:
        """Visible probabilities of all machines, one below the other."""
        for machine in reversed(self.machines):
            h = machine.visible(h)
        return h
