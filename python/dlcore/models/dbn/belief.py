"""The modules of a deep belief network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ... import ops
from ...nn import Linear, Module, Sequential, initializers
from ...tensor import Tensor
from ..rbm.machine import Machine
from .label_units import LabelUnits, mean_hidden, split_top


class Belief(Module):
    """A stack of machines, how it is inferred, and the network that recognises; the value is the network's scores.

    Parameters
    ----------
    widths : units of each layer, from the visible one up
    classes : of the network's scores; 0 where there is no network
    weight_std : standard deviation of the machines' initial weights
    label_units : whether the top machine's visible layer has a softmax unit for each class behind the features
    visible : kinds of the visible units, see `dlcore.models.units.visible_segments`
    code : kind of the top layer's units, "bernoulli" or "gaussian"

    Attributes
    ----------
    recognition : the network: a sigmoid layer for each machine and a linear one of scores, or label units at the top
    machines : the lower ones generate, p(v | h) = f(b + h Wᵀ); the top one is an undirected RBM
    inference : of each lower machine, q(h | v) = sigmoid(v R + r); at first the machine's own weights
    """

    def __init__(
        self,
        widths: Sequence[int],
        classes: int,
        weight_std: float,
        label_units: bool = False,
        visible: Any = "bernoulli",
        code: str = "bernoulli",
    ) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        below, (inputs, hidden) = pairs[:-1], pairs[-1]
        self.widths, self.label_units = list(widths), label_units
        network: list[Module] = []
        if classes:
            network = [Linear(*pair, "sigmoid") for pair in below]
            if label_units:
                network.append(LabelUnits(inputs, classes, hidden, weight_std))
            else:
                last = "sigmoid" if code == "bernoulli" else "identity"
                network += [Linear(inputs, hidden, last), Linear(hidden, classes)]
        self.recognition = Sequential(*network)
        kinds: list[Any] = [visible, *["bernoulli"] * len(below)]
        machines = [Machine(*pair, weight_std, kind) for pair, kind in zip(below, kinds, strict=False)]
        if label_units:
            kinds[-1], inputs = [("bernoulli", inputs), ("softmax", classes)], inputs + classes
        machines.append(Machine(inputs, hidden, weight_std, kinds[-1], code))
        self.machines = tuple(machines)
        self.inference = tuple(Linear(*pair, "sigmoid", initializer=initializers.normal(weight_std)) for pair in below)

    def forward(self, x: Tensor) -> Tensor:
        if not self.recognition.layers:
            raise ValueError("DBN: there are no scores without classes: make the model with classes=")
        return self.recognition.forward(x)

    def features(self, x: Tensor) -> Tensor:
        """The network's last hidden layer, or that of the stack where there is no network."""
        if not self.recognition.layers:
            return self.up(x)
        *below, last = self.recognition.layers
        for layer in below:
            x = layer.forward(x)
        return last.features(x) if isinstance(last, LabelUnits) else x

    def tie(self) -> None:
        """Infer with the machines' own weights."""
        for layer, machine in zip(self.inference, self.machines, strict=False):
            copy_machine(machine, layer)

    def teach(self) -> None:
        """Give the network the weights of the inference and of the top machine; a linear layer of scores stays."""
        layers = self.recognition.layers
        if not layers:
            return
        for layer, source in zip(layers, self.inference, strict=False):
            copy_layer(source, layer)
        top, layer = self.machines[-1], layers[len(self.inference)]
        if isinstance(layer, LabelUnits):
            layer.assign(top)
        else:
            copy_machine(top, layer)

    def below_top(self, v: Tensor) -> Tensor:
        """Means of the top machine's features, inferred layer by layer from v without sampling."""
        for layer in self.inference:
            v = layer.forward(v)
        return v

    def up(self, v: Tensor) -> Tensor:
        """Means of the top layer; label units are summed out."""
        features, top = self.below_top(v), self.machines[-1]
        if not self.label_units:
            return top.forward(features)
        weight, label_weight, _, label_bias = split_top(top, features.shape[1])
        return mean_hidden(ops.linear(features, weight, top.hidden_bias), label_weight, label_bias)

    def down(self, h: Tensor) -> Tensor:
        """Means of all machines' visible layers, one below the other, from those of the top layer."""
        *below, top = self.machines
        h = self.without_labels(top.visible(h))
        for machine in reversed(below):
            h = machine.visible(h)
        return h

    def without_labels(self, v: Tensor) -> Tensor:
        """The features (n, width) in cases of the top machine's visible layer."""
        return ops.narrow(v, 1, 0, self.widths[-2]) if self.label_units else v


def copy_layer(source: Linear, layer: Module) -> None:
    """Give a layer the parameters of another."""
    assert isinstance(layer, Linear)
    layer.weight.array.assign(source.weight.array)
    layer.bias.array.assign(source.bias.array)


def copy_machine(machine: Machine, layer: Module) -> None:
    """Make a layer's fields those of the machine's hidden units, c + (v / s) W."""
    assert isinstance(layer, Linear)
    weight = machine.weight
    if machine.n_gaussian:
        weight = ops.reshape(machine.precision(), (machine.n_visible, 1)) * weight
    layer.weight.array.assign(weight.array)
    layer.bias.array.assign(machine.hidden_bias.array)
