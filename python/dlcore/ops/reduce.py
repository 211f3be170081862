"""Sums, extremes and what is made of them; native in ``csrc/reduce.cpp``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autodiff import differentiable
from ..tensor import Tensor, host_view
from .broadcast import Result, broadcast_to
from .elementwise import affine, exp, multiply, subtract
from .kinks import piecewise, raise_where
from .movement import one_hot, reshape, transpose

Axes = int | tuple[int, ...] | None


def _axes(x: Tensor, axis: Axes, name: str) -> tuple[int, ...] | None:
    if axis is None:
        return None
    if type(axis) is int and 0 <= axis < x.ndim:
        return (axis,)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    for one in axes:
        if not -x.ndim <= one < x.ndim:
            raise ValueError(f"{name}: axis {one} is outside {x.ndim} dimensions")
    return tuple(one % x.ndim for one in axes)


def _kept(shape: tuple[int, ...], axes: tuple[int, ...] | None) -> tuple[int, ...]:
    return tuple(1 if axes is None or i in axes else size for i, size in enumerate(shape))


def sum(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Sum over all elements, or over one or several axes."""
    return sum_over(x, _axes(x, axis, "sum"), keepdims)


@differentiable(1, saves=False)
def sum_over(x: Tensor, axes: tuple[int, ...] | None, keepdims: bool, out: Any = None) -> Result:
    def dx(dy: Tensor) -> Tensor:
        if axes is not None and not keepdims:  # a scalar broadcasts as it is
            dy = reshape(dy, _kept(x.shape, axes))
        return broadcast_to(dy, x.shape)

    return Tensor(x.array.device.sum(x.array, axes, keepdims, out)), dx


def mean(x: Tensor, axis: Axes = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over all elements, or over one or several axes.

    Raises
    ------
    ValueError
        When there is nothing to average.
    """
    axes = _axes(x, axis, "mean")
    count = x.size if axes is None else math.prod(x.shape[i] for i in axes)
    if count == 0:
        raise ValueError(f"mean: nothing to average: x is {x.shape}, axis {axis}")
    if axes is None and not keepdims:
        return _mean_of_all(x, 1.0 / count)
    return affine(sum_over(x, axes, keepdims), 1.0 / count, 0.0)


@differentiable(1, saves=False)
def _mean_of_all(x: Tensor, share: float) -> Result:
    device = x.array.device
    y = Tensor(device.affine(device.sum(x.array, None, False), share, 0.0))
    return y, lambda dy: _spread(dy, share, x.shape)


@differentiable(1)
def _spread(x: Tensor, share: float, shape: tuple[int, ...]) -> Result:
    """share · x, one element, all over a shape: the adjoint of a mean."""
    device = x.array.device
    y = Tensor(device.broadcast_to(device.affine(x.array, share, 0.0), shape))
    return y, lambda dy: reshape(affine(sum_over(dy, None, False), share, 0.0), x.shape)


def _extreme(name: str, x: Tensor, axis: int | None, keepdims: bool) -> Result:
    values, indices = getattr(x.array.device, name)(x.array, axis, keepdims)

    def dx(dy: Tensor) -> Tensor:
        """dy at the first extreme element, 0 elsewhere."""
        axes = None if axis is None else (axis % x.ndim,)
        size = x.size if axes is None else x.shape[axes[0]]
        mask = one_hot(Tensor(indices.reshape((indices.size,))), size, x.dtype)
        if axes is None:
            mask = reshape(mask, x.shape)
        else:  # the axis comes last in the mask; put it back in its place
            others = [i for i in range(x.ndim) if i != axes[0]]
            mask = reshape(mask, (*(x.shape[i] for i in others), size))
            mask = transpose(mask, [others.index(i) if i in others else x.ndim - 1 for i in range(x.ndim)])
        whole = broadcast_to(reshape(dy, _kept(x.shape, axes)), x.shape)
        return piecewise(whole, x, None, mask, crossing)

    def crossing(moves: Tensor, weight: Tensor) -> None:
        """A tie of elements that move apart, on which the result depends."""
        kept = _kept(x.shape, None if axis is None else (axis % x.ndim,))
        tied, rates = host_view(x.array) == host_view(values).reshape(kept), host_view(moves.array)
        fastest = np.where(tied, rates, -np.inf).max(axis, keepdims=True)
        slowest = np.where(tied, rates, np.inf).min(axis, keepdims=True)
        raise_where(name, tied & (fastest > slowest) & (host_view(weight.array) != 0), "logsumexp")

    return Tensor(values), dx


@differentiable(1)
def max(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Result:
    """Largest element; NaN if there is one. The gradient goes to the first largest."""
    return _extreme("max", x, axis, keepdims)


@differentiable(1)
def min(x: Tensor, axis: int | None = None, keepdims: bool = False) -> Result:
    """Smallest element; NaN if there is one. The gradient goes to the first smallest."""
    return _extreme("min", x, axis, keepdims)


def argmax(x: Tensor, axis: int | None = None) -> Tensor:
    """Index of the first largest element, int32."""
    return Tensor(x.array.device.argmax(x.array, axis))


@differentiable(1)
def logsumexp(x: Tensor) -> Result:
    """log Σ eˣ over the last axis, without overflow."""
    y = Tensor(x.array.device.logsumexp(x.array))

    def dx(dy: Tensor) -> Tensor:
        share = exp(subtract(x, reshape(y, (*y.shape, 1))))
        return multiply(reshape(dy, (*dy.shape, 1)), share)

    return y, dx


def all_finite(x: Tensor) -> bool:
    """Whether no element is NaN or infinite."""
    return bool(x.array.device.all_finite(x.array))


def within(x: Tensor, low: float, high: float) -> bool:
    """Whether low <= x <= high for all elements; not where one is NaN.

    A step that is replayed (`dlcore.train.replay`) is made again, one call after the other, where the answer would be
    another than in the recorded one.
    """
    return bool(x.array.device.within(x.array, low, high))


def accuracy(scores: Tensor, labels: Tensor) -> float:
    """Share of rows whose largest score stands at the label: scores (n, classes), labels int32 (n,).

    Raises
    ------
    ValueError
        For shapes that do not match, or no rows.
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or labels.size == 0:
        raise ValueError(f"accuracy: scores are {scores.shape}, labels are {labels.shape}, expected (n, classes), (n,)")
    return float((argmax(scores, 1).numpy() == labels.numpy()).mean())
