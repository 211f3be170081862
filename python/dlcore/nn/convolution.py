"""Convolution and pooling. Images are (n, channels, height, width); sequences (n, channels, length)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..ops.activation import PARAMETERS
from ..ops.conv import Pair
from ..tensor import Tensor
from .checks import require_activation, require_groups, require_pair, require_positive, require_single
from .initializers import BY_ACTIVATION, Initializer, zeros
from .module import Module


class Conv2d(Module):
    """f(cross-correlation plus bias); arguments as in `dlcore.ops.conv2d`."""

    weight: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        activation: str = "identity",
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None:
        super().__init__()
        require_positive("Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        require_groups("Conv2d", groups, in_channels, out_channels)
        self.kernel_size = require_pair(kernel_size, "Conv2d: kernel_size", 1)
        self.geometry: dict[str, Any] = {
            "stride": require_pair(stride, "Conv2d: stride", 1),
            "padding": require_pair(padding, "Conv2d: padding", 0),
            "dilation": require_pair(dilation, "Conv2d: dilation", 1),
            "groups": groups,
        }
        self.in_channels, self.out_channels = in_channels, out_channels
        self.activation = require_activation("Conv2d", activation)
        self.has_bias = bias
        self._slope = PARAMETERS.get(activation, 0.0)
        area = self.kernel_size[0] * self.kernel_size[1]
        fan_in, fan_out = in_channels // groups * area, out_channels // groups * area
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.declare("weight", shape, initializer or BY_ACTIVATION[activation], fan_in, fan_out)
        if bias:
            self.declare("bias", (out_channels,), zeros)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias if self.has_bias else None
        return ops.conv2d(x, self.weight, bias, **self.geometry, activation=self.activation, parameter=self._slope)

    def describe(self) -> str:
        height, width = self.kernel_size
        return f"Conv2d({self.in_channels} → {self.out_channels}, {height}×{width}, {self.activation})"


class Conv1d(Module):
    """f(cross-correlation along time plus bias); arguments as in `dlcore.ops.conv1d`."""

    weight: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        activation: str = "identity",
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None:
        super().__init__()
        require_positive(
            "Conv1d", in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, groups=groups
        )
        require_groups("Conv1d", groups, in_channels, out_channels)
        self.kernel_size = kernel_size
        self.geometry = {
            "stride": require_single(stride, "Conv1d: stride", 1),
            "padding": require_single(padding, "Conv1d: padding", 0),
            "dilation": require_single(dilation, "Conv1d: dilation", 1),
            "groups": groups,
        }
        self.in_channels, self.out_channels = in_channels, out_channels
        self.activation = require_activation("Conv1d", activation)
        self.has_bias = bias
        self._slope = PARAMETERS.get(activation, 0.0)
        fan_in, fan_out = in_channels // groups * kernel_size, out_channels // groups * kernel_size
        shape = (out_channels, in_channels // groups, kernel_size)
        self.declare("weight", shape, initializer or BY_ACTIVATION[activation], fan_in, fan_out)
        if bias:
            self.declare("bias", (out_channels,), zeros)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias if self.has_bias else None
        return ops.conv1d(x, self.weight, bias, **self.geometry, activation=self.activation, parameter=self._slope)

    def describe(self) -> str:
        return f"Conv1d({self.in_channels} → {self.out_channels}, {self.kernel_size}, {self.activation})"


class ConvTranspose2d(Module):
    """f(transposed convolution plus bias), which makes images larger; arguments as in `dlcore.ops.conv_transpose2d`.

    With the kernel, stride, padding and dilation of a `Conv2d`, and an output_padding that makes up for what its
    rounding dropped, it leads from that layer's output back to the size of its input.
    """

    weight: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        output_padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        activation: str = "identity",
        bias: bool = True,
        initializer: Initializer | None = None,
    ) -> None:
        super().__init__()
        who = "ConvTranspose2d"
        require_positive(who, in_channels=in_channels, out_channels=out_channels, groups=groups)
        require_groups(who, groups, in_channels, out_channels)
        self.kernel_size = require_pair(kernel_size, f"{who}: kernel_size", 1)
        steps, spread = require_pair(stride, f"{who}: stride", 1), require_pair(dilation, f"{who}: dilation", 1)
        more = require_pair(output_padding, f"{who}: output_padding", 0)
        if any(m >= max(s, d) for m, s, d in zip(more, steps, spread, strict=True)):
            raise ValueError(
                f"{who}: output_padding is {output_padding!r}, expected less than stride {stride!r} or dilation "
                f"{dilation!r}"
            )
        self.geometry: dict[str, Any] = {
            "stride": steps,
            "padding": require_pair(padding, f"{who}: padding", 0),
            "output_padding": more,
            "dilation": spread,
            "groups": groups,
        }
        self.in_channels, self.out_channels = in_channels, out_channels
        self.activation = require_activation(who, activation)
        self.has_bias = bias
        self._slope = PARAMETERS.get(activation, 0.0)
        area = self.kernel_size[0] * self.kernel_size[1]
        # An output is reached from every stride-th position only.
        fan_in = max(in_channels // groups * area // (steps[0] * steps[1]), 1)
        shape = (in_channels, out_channels // groups, *self.kernel_size)
        self.declare("weight", shape, initializer or BY_ACTIVATION[activation], fan_in, out_channels // groups * area)
        if bias:
            self.declare("bias", (out_channels,), zeros)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias if self.has_bias else None
        return ops.conv_transpose2d(
            x, self.weight, bias, **self.geometry, activation=self.activation, parameter=self._slope
        )

    def describe(self) -> str:
        height, width = self.kernel_size
        return f"ConvTranspose2d({self.in_channels} → {self.out_channels}, {height}×{width}, {self.activation})"


class Upsample2d(Module):
    """Each pixel repeated `factor` times in height and width; see `dlcore.ops.upsample_nearest2d`.

    Followed by a `Conv2d` it enlarges images without the checkerboards that a transposed convolution can draw where its
    stride does not divide its kernel.

    References
    ----------
    Odena, Dumoulin, Olah (2016), Deconvolution and checkerboard artifacts.
    """

    def __init__(self, factor: Pair) -> None:
        super().__init__()
        self.factor = require_pair(factor, "Upsample2d: factor", 1)

    def forward(self, x: Tensor) -> Tensor:
        return ops.upsample_nearest2d(x, self.factor)

    def describe(self) -> str:
        return f"Upsample2d{self.factor}"


class _Pool(Module):
    """Pooling with a kernel, a stride (the kernel's size by default) and padding."""

    function: Any
    check: Any

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        owner, check = type(self).__name__, type(self).check
        self.kernel_size = check(kernel_size, f"{owner}: kernel_size", 1)
        self.stride = self.kernel_size if stride is None else check(stride, f"{owner}: stride", 1)
        self.padding = check(padding, f"{owner}: padding", 0)
        if (2 * np.asarray(self.padding) > self.kernel_size).any():
            raise ValueError(f"{owner}: padding is {padding!r}, expected at most half of kernel_size {kernel_size!r}")

    def forward(self, x: Tensor) -> Tensor:
        return type(self).function(x, self.kernel_size, self.stride, self.padding)  # type: ignore[no-any-return]

    def describe(self) -> str:
        return f"{type(self).__name__}({self.kernel_size})"


class MaxPool2d(_Pool):
    """Largest element of each window; see `dlcore.ops.max_pool2d`."""

    function, check = staticmethod(ops.max_pool2d), staticmethod(require_pair)


class AvgPool2d(_Pool):
    """Mean of each window; see `dlcore.ops.avg_pool2d`."""

    function, check = staticmethod(ops.avg_pool2d), staticmethod(require_pair)


class MaxPool1d(_Pool):
    """Largest element of each window in time; see `dlcore.ops.max_pool1d`."""

    function, check = staticmethod(ops.max_pool1d), staticmethod(require_single)


class AvgPool1d(_Pool):
    """Mean of each window in time; see `dlcore.ops.avg_pool1d`."""

    function, check = staticmethod(ops.avg_pool1d), staticmethod(require_single)
