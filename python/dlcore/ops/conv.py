"""Convolution; native in ``csrc/conv.cpp``. The three kernels are the three faces of one trilinear form, so each one's
gradients are the other two."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import can_differentiate_twice, differentiable
from ..tensor import Tensor
from .activation import KINKED, activation_grad, parameter_of, scattered
from .activation import activation as activate
from .broadcast import Result
from .movement import reshape
from .reduce import sum_over

Pair = int | tuple[int, int]


def pair(value: Pair, name: str) -> tuple[int, int]:
    """An int or a pair of ints as (height, width)."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values):
        raise ValueError(f"{name} is {value!r}, expected an integer or a pair of them")
    return int(values[0]), int(values[1])


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    activation: str = "identity",
    parameter: float | None = None,
) -> Tensor:
    """f(cross-correlation of x with weight, plus bias).

    Parameters
    ----------
    x : (n, in_channels, height, width)
    weight : (out_channels, in_channels / groups, kernel_height, kernel_width)
    bias : (out_channels,), optional
    stride, padding, dilation : int or (height, width)
    activation : name of an activation

    Returns
    -------
    (n, out_channels, ⌊(height + 2 padding − dilation (kernel − 1) − 1) / stride⌋ + 1, likewise in width)
    """
    geometry = (pair(stride, "conv2d: stride"), pair(padding, "conv2d: padding"), pair(dilation, "conv2d: dilation"))
    slope = parameter_of(activation, parameter, "conv2d")
    return _conv2d(x, weight, bias, (*geometry, groups), activation, slope)


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    activation: str = "identity",
    parameter: float | None = None,
) -> Tensor:
    """`conv2d` along time: x (n, in_channels, length), weight (out_channels, in_channels / groups, kernel)."""
    if x.ndim != 3 or weight.ndim != 3:
        raise ValueError(f"conv1d: x is {x.shape}, weight is {weight.shape}, expected 3 dimensions each")
    flat = reshape(x, (x.shape[0], x.shape[1], 1, x.shape[2]))
    kernel = reshape(weight, (weight.shape[0], weight.shape[1], 1, weight.shape[2]))
    y = conv2d(flat, kernel, bias, (1, stride), (0, padding), (1, dilation), groups, activation, parameter)
    return reshape(y, (y.shape[0], y.shape[1], y.shape[3]))


Geometry = tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]  # stride, padding, dilation, groups


@differentiable(3)
def _conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, activation: str, parameter: float
) -> Result:
    if activation in KINKED and can_differentiate_twice():  # two ops: what the kink is looked for in is kept
        return (activate(_conv2d(x, weight, bias, geometry, "identity", 0.0), activation, parameter),)
    y = Tensor(
        x.array.device.conv2d(
            x.array, weight.array, None if bias is None else bias.array, *geometry, activation, parameter
        )
    )
    y._is_rectified = activation == "relu"
    last: list[Tensor] = []  # dz of the dy seen last: the three gradients share it

    def dz(dy: Tensor) -> Tensor:
        if activation == "identity" or scattered(dy, y) is not None:
            return dy
        if not last or last[0] is not dy:
            last[:] = [dy, activation_grad(dy, y, activation, parameter)]
        return last[1]

    def dx(dy: Tensor) -> Tensor:
        return input_gradient(dz(dy), weight, x.shape[2:], geometry)

    def dweight(dy: Tensor, out: Any = None) -> Tensor:
        return _weight_grad(x, dz(dy), weight.shape[2:], geometry, out)

    def dbias(dy: Tensor, out: Any = None) -> Tensor:
        shares = scattered(dy, y)
        return sum_over(dz(dy) if shares is None else shares, (0, 2, 3), False, out)

    return y, dx, dweight, dbias


@differentiable(2)
def input_gradient(dy: Tensor, weight: Tensor, input_size: tuple[int, int], geometry: Geometry) -> Result:
    """The gradient of `conv2d` by its input, and so the transposed convolution of dy."""
    dx = Tensor(dy.array.device.conv2d_input_grad(dy.array, weight.array, input_size, *geometry))

    def ddy(g: Tensor) -> Tensor:
        return _conv2d(g, weight, None, geometry, "identity", 0.0)

    def dweight(g: Tensor, out: Any = None) -> Tensor:
        return _weight_grad(g, dy, weight.shape[2:], geometry, out)

    return dx, ddy, dweight


@differentiable(2)
def _weight_grad(x: Tensor, dy: Tensor, kernel_size: tuple[int, int], geometry: Geometry, out: Any = None) -> Result:
    dweight = Tensor(x.array.device.conv2d_weight_grad(x.array, dy.array, kernel_size, *geometry, out))

    def dx(g: Tensor) -> Tensor:
        return input_gradient(dy, g, x.shape[2:], geometry)

    def ddy(g: Tensor) -> Tensor:
        return _conv2d(x, g, None, geometry, "identity", 0.0)

    return dweight, dx, ddy
