"""LeCun's trainable sub-sampling, in space and in time."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..ops.activation import PARAMETERS
from ..ops.conv import Pair
from ..tensor import Tensor
from .checks import require_activation, require_pair, require_positive, require_single
from .initializers import Initializer, lecun_uniform, zeros
from .module import Module


class _SubSample(Module):
    """A coefficient and a bias a channel over windows that are summed up."""

    weight: Tensor
    pool: Any
    check: Any
    dimensions: int

    def __init__(
        self,
        channels: int,
        kernel_size: Any = 2,
        stride: Any = None,
        activation: str = "lecun_tanh",
        initializer: Initializer | None = None,
    ) -> None:
        super().__init__()
        owner, check = type(self).__name__, type(self).check
        require_positive(owner, channels=channels)
        self.channels = channels
        self.kernel_size = check(kernel_size, f"{owner}: kernel_size", 1)
        self.stride = self.kernel_size if stride is None else check(stride, f"{owner}: stride", 1)
        self.activation = require_activation(owner, activation)
        self._slope = PARAMETERS.get(activation, 0.0)
        self._area = math.prod(self.kernel_size) if isinstance(self.kernel_size, tuple) else self.kernel_size
        self.declare("weight", (channels,), initializer or lecun_uniform, self._area, 1)
        self.declare("bias", (channels,), zeros)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 + self.dimensions or x.shape[1] != self.channels:
            shape = f"(n, {self.channels}, {'length' if self.dimensions == 1 else 'height, width'})"
            raise ValueError(f"{type(self).__name__}: x has shape {x.shape}, expected {shape}")
        over = (1, self.channels, *(1,) * self.dimensions)
        gain = ops.reshape(ops.affine(self.weight, float(self._area), 0.0), over)  # of the mean, for w of the sum
        means = type(self).pool(x, self.kernel_size, self.stride)
        return ops.activation(means * gain + ops.reshape(self.bias, over), self.activation, self._slope)

    def describe(self) -> str:
        size = self.kernel_size
        windows = f"{size[0]}×{size[1]}" if isinstance(size, tuple) else str(size)
        return f"{type(self).__name__}({self.channels}, {windows}, {self.activation})"


class SubSample2d(_SubSample):
    """f(w_c · (sum of each window) + b_c), x (n, channels, height, width); two numbers are learned a channel.

    Parameters
    ----------
    channels : int
    kernel_size : int or (height, width)
    stride : int or (height, width); the kernel's size by default
    activation : name of f
    initializer : for w (channels,), whose fan-in is the window's area; U(±√(3 / area)) by default. b starts at 0.

    References
    ----------
    LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition, section II.B.
    """

    pool, check, dimensions = staticmethod(ops.avg_pool2d), staticmethod(require_pair), 2

    def __init__(
        self,
        channels: int,
        kernel_size: Pair = 2,
        stride: Pair | None = None,
        activation: str = "lecun_tanh",
        initializer: Initializer | None = None,
    ) -> None:
        super().__init__(channels, kernel_size, stride, activation, initializer)


class SubSample1d(_SubSample):
    """`SubSample2d` along time: x (n, channels, length); the time-delay networks' sub-sampling.

    Parameters
    ----------
    channels, kernel_size, stride : int
    activation, initializer : as for `SubSample2d`
    """

    pool, check, dimensions = staticmethod(ops.avg_pool1d), staticmethod(require_single), 1

    def __init__(
        self,
        channels: int,
        kernel_size: int = 2,
        stride: int | None = None,
        activation: str = "lecun_tanh",
        initializer: Initializer | None = None,
    ) -> None:
        super().__init__(channels, kernel_size, stride, activation, initializer)
