"""Repeating along dimensions of size 1, and its adjoint."""

from __future__ import annotations

from typing import Any

from ..autodiff import differentiable
from ..tensor import Tensor

Result = tuple[Any, ...]


@differentiable(1, saves=False)
def broadcast_to(x: Tensor, shape: tuple[int, ...]) -> Result:
    """x repeated to `shape` by NumPy's rule."""
    return Tensor(x.array.device.broadcast_to(x.array, shape)), lambda dy: sum_to(dy, x.shape)


@differentiable(1, saves=False)
def sum_to(x: Tensor, shape: tuple[int, ...]) -> Result:
    """x summed over the dimensions along which `shape` would be broadcast to x's shape."""
    return Tensor(x.array.device.sum_to(x.array, shape)), lambda dy: broadcast_to(dy, x.shape)


def fit(dy: Tensor, x: Tensor) -> Tensor:
    """dy summed over the dimensions along which x was broadcast."""
    if dy.shape == x.shape:
        return dy
    return sum_to(dy, x.shape)
