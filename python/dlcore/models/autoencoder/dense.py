"""Deep autoencoder of fully connected layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from ... import ops
from ...nn import Corruption, Linear, Module, Sequential, initializers
from ...ops.activation import PARAMETERS
from ...tensor import Tensor
from ...train import register
from ..base import flag, sizes
from ..mlp import MLP
from .coding import Coder, CodingModel, arguments

Self = TypeVar("Self", bound="Autoencoder")


class Mirrored(Module):
    """f(h Wᵀ + c): the way back through a layer's weights, with a bias of its own."""

    def __init__(self, layer: Linear, activation: str) -> None:
        super().__init__()
        self.mirrored = layer
        self.activation = activation
        self._slope = PARAMETERS.get(activation, 0.0)
        self.declare("bias", (layer.inputs,), initializers.zeros)

    def forward(self, x: Tensor) -> Tensor:
        z = ops.matmul(x, self.mirrored.weight, transpose_b=True) + self.bias
        return ops.activation(z, self.activation, self._slope)

    def describe(self) -> str:
        return f"Mirrored({self.mirrored.outputs} → {self.mirrored.inputs}, {self.activation})"


def way_back(layer: Linear, activation: str, tied: bool) -> Module:
    """The decoder's layer that undoes one of the encoder's."""
    return Mirrored(layer, activation) if tied else Linear(layer.outputs, layer.inputs, activation)


@register
class Autoencoder(CodingModel):
    """h = encoder(x), x̂ = decoder(h), trained to make x̂ like x; the decoder's layers mirror the encoder's.

    Parameters
    ----------
    layer_sizes : at least 2 integers: inputs, hidden units, …, units of the code
    activation : name of the hidden layers' non-linearity, see `dlcore.ops.ACTIVATIONS`
    code_activation : that of the code; `activation` where not given
    loss : "binary_cross_entropy" (inputs in [0, 1], x̂ = sigmoid) or "squared_error" (real inputs, x̂ linear); both are
        summed over the features and averaged over the cases
    tied : whether the decoder uses the encoder's weights, transposed
    seed : int in [0, 2⁶⁴): decides the initial weights and the order of the cases
    dtype : "float32" or "float64"

    References
    ----------
    Hinton, Salakhutdinov (2006), Reducing the dimensionality of data with neural networks.
    """

    def __init__(
        self,
        layer_sizes: Sequence[int],
        activation: str = "relu",
        code_activation: str | None = None,
        loss: str = "binary_cross_entropy",
        tied: bool = False,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        self._set_up(arguments(locals()))

    def _set_up(self, config: Mapping[str, Any], noise: Corruption | None = None) -> None:
        self._noise = noise
        who = type(self).__name__
        widths = sizes(config["layer_sizes"], who, "layer_sizes", 2)
        flag(who, tied=config["tied"])
        activation = config["activation"]
        code_activation = activation if config["code_activation"] is None else config["code_activation"]
        names = [activation] * (len(widths) - 2) + [code_activation]
        pairs = zip(widths[:-1], widths[1:], names, strict=True)
        forward = [Linear(inputs, outputs, name) for inputs, outputs, name in pairs]
        coder = self._join(forward, activation, bool(config["tied"]))
        super().__init__({**config, "layer_sizes": widths}, coder, (widths[0],), (widths[-1],))

    def _join(self, forward: list[Linear], activation: str, tied: bool) -> Coder:
        """The network of an encoder's layers: they and their mirror images."""
        names = ["identity"] + [activation] * (len(forward) - 1)
        back = [way_back(layer, name, tied) for layer, name in zip(forward, names, strict=True)]
        return Coder(Sequential(*forward), Sequential(*back[::-1]), self._noise)

    @classmethod
    def from_layers(cls: type[Self], layers: Sequence[Sequence[Any]], **config: Any) -> Self:
        """An autoencoder that starts at given weights: a stack of RBMs or of shallow autoencoders, unrolled.

        Parameters
        ----------
        layers : from the inputs to the code, for each layer (weight (inputs, units), bias (units,), bias of the way
            back (inputs,)), the decoder starting at Wᵀ; a fourth entry (units, inputs) is the decoder's own weight
        config : the constructor's other arguments. Where "dtype" is not given it is that of the first weight.

        Raises
        ------
        ValueError
            For shapes that do not fit each other; for a decoder's own weight with tied=True.

        References
        ----------
        Hinton, Salakhutdinov (2006), figure 1: "unrolling".
        """
        who = f"{cls.__name__}.from_layers"
        found = [_layer(layer, i, who) for i, layer in enumerate(layers)]
        if not found:
            raise ValueError(f"{who}: layers is empty, expected at least one layer")
        widths = [found[0][0].shape[0]]
        for i, (weight, *_) in enumerate(found):
            if weight.shape[0] != widths[-1]:
                raise ValueError(f"{who}: layer {i} takes {weight.shape[0]} inputs, the one below has {widths[-1]}")
            widths.append(weight.shape[1])
        config = {"dtype": found[0][0].dtype.name if found[0][0].dtype.kind == "f" else "float32"} | config
        model = cls(widths, **config)
        tied = model.config["tied"]
        for i, (weight, bias, back_bias, *own) in enumerate(found):
            if own and tied:
                raise ValueError(f"{who}: layer {i} has a decoder's weight of its own, but tied is True")
            layer, back = model.layer_pair(i)
            layer.weight, layer.bias, back.bias = weight, bias, back_bias
            if not tied:
                back.weight = own[0] if own else weight.T
        return model

    def layer_pair(self, i: int) -> tuple[Any, Any]:
        """The encoder's layer i, from the inputs, and the decoder's that undoes it."""
        coder = self.coder
        return coder.encoder.layers[i], coder.decoder.layers[-1 - i]

    def classifier(self, classes: int, output: str = "softmax", **config: Any) -> MLP:
        """A perceptron whose hidden layers start at the encoder, with scores on top, to be fine-tuned on labels.

        Parameters
        ----------
        classes : int, number of scores
        output : "softmax", "svm", "sigmoid" or "identity"
        config : the other arguments of `MLP`, such as ``dropout`` and ``weight_decay``; seed and dtype are this
            model's where they are not given

        Raises
        ------
        ValueError
            Where the code has another activation than the hidden layers, which a perceptron does not know.
        """
        names = [layer.activation for layer in self.coder.encoder.layers if isinstance(layer, Linear)]
        if len(set(names)) > 1:
            raise ValueError(
                f"classifier: the code's activation is {names[-1]!r}, the hidden layers' {names[0]!r}, "
                "expected the same"
            )
        given = {"seed": self.config["seed"], "dtype": self.dtype} | config
        mlp = MLP([*self.config["layer_sizes"], classes], names[0], output, **given)
        hidden = [layer for layer in mlp.stages() if isinstance(layer, Linear)][:-1]
        for layer, start in zip(hidden, self.coder.encoder.layers, strict=True):
            layer.weight, layer.bias = start.weight, start.bias
        return mlp


def _layer(layer: Sequence[Any], i: int, who: str) -> list[np.ndarray[Any, Any]]:
    arrays = [value.numpy() if isinstance(value, Tensor) else np.asarray(value) for value in layer]
    shapes = [array.shape for array in arrays]
    if len(arrays) not in (3, 4) or len(shapes[0]) != 2:
        raise ValueError(f"{who}: layer {i} has shapes {shapes}, expected (inputs, units), (units,), (inputs,)")
    inputs, units = shapes[0]
    if shapes != [(inputs, units), (units,), (inputs,), (units, inputs)][: len(shapes)]:
        raise ValueError(f"{who}: layer {i} has shapes {shapes}, expected ({inputs}, {units}), ({units},), ({inputs},)")
    return arrays
