"""Layers without a kernel. Weights are (inputs, outputs)."""

from __future__ import annotations

import math

from .. import ops
from ..ops import Generator
from ..ops.activation import PARAMETERS
from ..ops.creation import is_number
from ..tensor import Tensor
from .checks import require_activation, require_positive
from .initializers import BY_ACTIVATION, Initializer, zeros
from .module import Module


class Linear(Module):
    """f(x W + b), x (n, inputs) → (n, outputs).

    Parameters
    ----------
    inputs, outputs : int
    activation : name, default "identity"
    bias : bool, default True
    initializer : for W; chosen by the activation where not given. b starts at 0.
    """

    weight: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: str = "identity",
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None:
        super().__init__()
        require_positive("Linear", inputs=inputs, outputs=outputs)
        self.inputs, self.outputs = inputs, outputs
        self.activation = require_activation("Linear", activation)
        self.has_bias = bias
        self._slope = PARAMETERS.get(activation, 0.0)
        self.declare("weight", (inputs, outputs), initializer or BY_ACTIVATION[activation], inputs, outputs)
        if bias:
            self.declare("bias", (outputs,), zeros)

    def forward(self, x: Tensor) -> Tensor:
        return ops.linear(x, self.weight, self.bias if self.has_bias else None, self.activation, self._slope)

    def describe(self) -> str:
        return f"Linear({self.inputs} → {self.outputs}, {self.activation})"


class Flatten(Module):
    """All dimensions but the first as one."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


class Reshape(Module):
    """All dimensions but the first in another shape."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return ops.reshape(x, (x.shape[0], *self.shape))

    def describe(self) -> str:
        return f"Reshape{self.shape}"


class Dropout(Module):
    """`dlcore.ops.dropout` while training, the identity otherwise."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not is_number(p) or not 0 <= p < 1:
            raise ValueError(f"Dropout: p is {p!r}, expected 0 <= p < 1")
        self.p = float(p)
        self.generator = Generator(0)

    def seed_noise(self, generator: Generator) -> None:
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        return ops.dropout(x, self.p, self.generator) if self.training else x

    def describe(self) -> str:
        return f"Dropout({self.p})"


class Activation(Module):
    """An activation by name, with its parameter."""

    def __init__(self, kind: str, parameter: float | None = None) -> None:
        super().__init__()
        self.kind = require_activation("Activation", kind)
        self.parameter = PARAMETERS.get(kind, 0.0) if parameter is None else parameter

    def forward(self, x: Tensor) -> Tensor:
        return ops.activation(x, self.kind, self.parameter)

    def describe(self) -> str:
        return f"Activation({self.kind})"


class Softmax(Module):
    """eˣ / Σ eˣ over the last axis."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.softmax(x)


class Sequential(Module):
    """Modules one after another; indexing gives one of them."""

    def __init__(self, *layers: Module) -> None:
        super().__init__()
        for i, layer in enumerate(layers):
            if not isinstance(layer, Module):
                raise TypeError(f"Sequential: argument {i} is a {type(layer).__name__}, expected a Module")
        self.layers = tuple(layers)  # another tuple may be assigned; a list could be changed behind the layout's back

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def __getitem__(self, index: int) -> Module:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def describe(self) -> str:
        return f"Sequential({', '.join(layer.describe() for layer in self.layers)})"
