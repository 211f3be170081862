"""Pooling; native in ``csrc/pool.cpp``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import can_differentiate_twice, differentiable
from ..tape import state
from ..tensor import Tensor, host_view
from .activation import activation_grad
from .broadcast import Result
from .conv import Pair, pair
from .kinks import Crossing, raise_where
from .movement import reshape

Sizes = tuple[int, int]
Array = np.ndarray[Any, Any]


def max_pool2d(x: Tensor, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> Tensor:
    """Largest element of each window of x (n, channels, height, width); the gradient goes to the first largest.

    `stride` is the kernel size by default; padding is at most half of the kernel and is never chosen.
    """
    kernel = pair(kernel_size, "max_pool2d: kernel_size")
    steps = kernel if stride is None else pair(stride, "max_pool2d: stride")
    return _max_pool2d(x, kernel, steps, pair(padding, "max_pool2d: padding"))


@differentiable(1)
def _max_pool2d(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> Result:
    y, indices = x.array.device.max_pool2d(x.array, kernel, stride, padding)
    if not can_differentiate_twice():
        size, pooled = x.shape[2:], Tensor(y)
        if x._tape is not None and x._tape is state.tape and getattr(x, "_is_rectified", False):
            return pooled, lambda dy: _scatter_rectified(dy, pooled, x, Tensor(indices))
        return pooled, lambda dy: _scatter(dy, Tensor(indices), size)

    def require_no_tie(moves: Tensor, weight: Tensor) -> None:
        first = moves.array.device.max_pool2d_gather(moves.array, indices)
        look = host_view(x.array), host_view(y), host_view(moves.array), host_view(first)
        crossed = _ties_that_part(*look, kernel, stride, padding)
        raise_where("max_pool2d", crossed & (host_view(weight.array) != 0), "avg_pool2d")

    return Tensor(y), lambda dy: _scatter_with_ties(dy, x, Tensor(indices), require_no_tie)


def _scatter_rectified(dy: Tensor, pooled: Tensor, x: Tensor, indices: Tensor) -> Tensor:
    """`_scatter` of what also passes the ReLU whose output x is: see `scattered`."""
    shares = activation_grad(dy, pooled, "relu")
    dx = _scatter(shares, indices, x.shape[2:])
    dx._scattered = x, shares
    return dx


@differentiable(2)
def _scatter_with_ties(dy: Tensor, x: Tensor, indices: Tensor, require_no_tie: Crossing) -> Result:
    """`_scatter` with an error where its own gradient is asked for at a tie."""

    def none(g: Tensor) -> None:
        if state.kinks == "raise":
            require_no_tie(g, dy)

    dx = Tensor(dy.array.device.max_pool2d_grad(dy.array, indices.array, x.shape[2:], True))
    return dx, lambda g: _gather(g, indices), none


def _ties_that_part(
    x: Array, y: Array, moves: Array, first: Array, kernel: Sizes, stride: Sizes, padding: Sizes
) -> Array:
    """Windows in which some element equals the largest, y, but does not move at the rate of the first largest."""
    around = ((0, 0), (0, 0), (padding[0], padding[0]), (padding[1], padding[1]))
    values = np.pad(x, around, constant_values=np.nan) if any(padding) else x  # padding is never chosen
    rates = np.pad(moves, around) if any(padding) else moves
    crossed = np.zeros(y.shape, bool)
    for row in range(kernel[0]):
        rows = slice(row, row + stride[0] * (y.shape[2] - 1) + 1, stride[0])
        for column in range(kernel[1]):
            columns = slice(column, column + stride[1] * (y.shape[3] - 1) + 1, stride[1])
            apart = rates[:, :, rows, columns] != first
            apart &= values[:, :, rows, columns] == y
            crossed |= apart
    return crossed


@differentiable(1)
def _scatter(dy: Tensor, indices: Tensor, input_size: tuple[int, int]) -> Result:
    dx = Tensor(dy.array.device.max_pool2d_grad(dy.array, indices.array, input_size, True))
    return dx, lambda g: _gather(g, indices)


@differentiable(1)
def _gather(x: Tensor, indices: Tensor) -> Result:
    y = Tensor(x.array.device.max_pool2d_gather(x.array, indices.array))
    return y, lambda dy: _scatter(dy, indices, x.shape[2:])


def avg_pool2d(x: Tensor, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0) -> Tensor:
    """Mean of each window of x (n, channels, height, width); padding counts as zeros.

    `stride` is the kernel size by default.
    """
    kernel = pair(kernel_size, "avg_pool2d: kernel_size")
    steps = kernel if stride is None else pair(stride, "avg_pool2d: stride")
    return _avg_pool2d(x, kernel, steps, pair(padding, "avg_pool2d: padding"))


@differentiable(1, saves=False)
def _avg_pool2d(x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> Result:
    y = Tensor(x.array.device.avg_pool2d(x.array, kernel, stride, padding))
    return y, lambda dy: _avg_pool2d_grad(dy, kernel, stride, padding, x.shape[2:])


@differentiable(1)
def _avg_pool2d_grad(
    dy: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], input_size: tuple[int, int]
) -> Result:
    dx = Tensor(dy.array.device.avg_pool2d_grad(dy.array, kernel, stride, padding, input_size))
    return dx, lambda g: _avg_pool2d(g, kernel, stride, padding)


def _in_time(x: Tensor, name: str) -> Tensor:
    if x.ndim != 3:
        raise ValueError(f"{name}: x is {x.shape}, expected (n, channels, length)")
    return reshape(x, (x.shape[0], x.shape[1], 1, x.shape[2]))


def max_pool1d(x: Tensor, kernel_size: int, stride: int | None = None, padding: int = 0) -> Tensor:
    """`max_pool2d` along time: x (n, channels, length)."""
    step = kernel_size if stride is None else stride
    y = max_pool2d(_in_time(x, "max_pool1d"), (1, kernel_size), (1, step), (0, padding))
    return reshape(y, (y.shape[0], y.shape[1], y.shape[3]))


def avg_pool1d(x: Tensor, kernel_size: int, stride: int | None = None, padding: int = 0) -> Tensor:
    """`avg_pool2d` along time: x (n, channels, length)."""
    step = kernel_size if stride is None else stride
    y = avg_pool2d(_in_time(x, "avg_pool1d"), (1, kernel_size), (1, step), (0, padding))
    return reshape(y, (y.shape[0], y.shape[1], y.shape[3]))
