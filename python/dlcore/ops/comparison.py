"""Comparisons and what selects by them; native in ``csrc/elementwise.cpp``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autodiff import differentiable
from ..tensor import Operand, Tensor, as_tensor
from .broadcast import Result, broadcast_to, fit
from .creation import zeros_like
from .kinks import crossing_at, equal_to, piecewise


@differentiable(1)
def clamp(x: Tensor, low: float, high: float) -> Result:
    """min(max(x, low), high); the derivative is 1 within the closed range and 0 outside."""
    device = x.array.device

    def dx(dy: Tensor) -> Tensor:
        inside = device.multiply(
            device.greater_equal(x.array, device.full((), low, x.array.dtype)),
            device.greater_equal(device.full((), high, x.array.dtype), x.array),
        )
        bounds = crossing_at(
            "clamp", lambda: device.maximum(equal_to(x, low), equal_to(x, high)), "a sigmoid between the bounds"
        )
        return piecewise(dy, x, None, Tensor(inside), bounds)

    return Tensor(device.clamp(x.array, low, high)), dx


@differentiable(2)
def maximum(a: Tensor, b: Tensor) -> Result:
    """The larger of a and b; NaN if either is. At a tie each input gets half of the gradient."""
    device = a.array.device
    return (
        Tensor(device.maximum(a.array, b.array)),
        lambda dy: fit(_shared("maximum", dy, a, b, _share(device, a, b)), a),
        lambda dy: fit(_shared("maximum", dy, b, a, _share(device, b, a)), b),
    )


@differentiable(2)
def minimum(a: Tensor, b: Tensor) -> Result:
    """The smaller of a and b; NaN if either is. At a tie each input gets half of the gradient."""
    device = a.array.device
    return (
        Tensor(device.minimum(a.array, b.array)),
        lambda dy: fit(_shared("minimum", dy, a, b, _share(device, b, a)), a),
        lambda dy: fit(_shared("minimum", dy, b, a, _share(device, a, b)), b),
    )


def _shared(op: str, dy: Tensor, a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    tie = crossing_at(op, lambda: a.array.device.equal(a.array, b.array), "logsumexp of the two")
    return piecewise(dy, a, b, share, tie)


def _share(device: Any, winner: Tensor, other: Tensor) -> Tensor:
    """1 where winner > other, ½ where they are equal, 0 elsewhere."""
    greater = device.greater(winner.array, other.array)
    at_least = device.greater_equal(winner.array, other.array)
    return Tensor(device.affine(device.add(greater, at_least), 0.5, 0.0))


def _compare(name: str, a: Operand, b: Operand) -> Tensor:
    like = a if isinstance(a, Tensor) else b if isinstance(b, Tensor) else None
    x, y = as_tensor(a, like, name), as_tensor(b, like, name)
    return Tensor(getattr(x.array.device, name)(x.array, y.array))


def greater(a: Operand, b: Operand) -> Tensor:
    """1 where a > b, else 0; a constant to every derivative."""
    return _compare("greater", a, b)


def greater_equal(a: Operand, b: Operand) -> Tensor:
    """1 where a ≥ b, else 0; a constant to every derivative."""
    return _compare("greater_equal", a, b)


def equal(a: Operand, b: Operand) -> Tensor:
    """1 where a = b, else 0; a constant to every derivative."""
    return _compare("equal", a, b)


def where(condition: Tensor, a: Operand, b: Operand) -> Tensor:
    """a where condition is not 0, else b; all of one shape after broadcasting. The condition has no derivative."""
    like = next((t for t in (a, b, condition) if isinstance(t, Tensor)), None)
    x, y = as_tensor(a, like, "where"), as_tensor(b, like, "where")
    test = as_tensor(condition, x, "where")
    shape = np.broadcast_shapes(test.shape, x.shape, y.shape)
    return _where(*(t if t.shape == shape else broadcast_to(t, shape) for t in (x, y, test)))


@differentiable(2)
def _where(a: Tensor, b: Tensor, condition: Tensor) -> Result:
    device = a.array.device

    def da(dy: Tensor) -> Tensor:
        return _where(dy, zeros_like(dy), condition)

    def db(dy: Tensor) -> Tensor:
        return _where(zeros_like(dy), dy, condition)

    return Tensor(device.where(condition.array, a.array, b.array)), da, db
