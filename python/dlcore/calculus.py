"""Derivatives beyond the gradient, as short functions over the same tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import ops
from .autodiff import (
    Differentiable,
    Function,
    Level,
    argument_leaves,
    grad,
    no_grad,
    ones_like,
    require_differentiable,
    require_float,
)
from .tensor import Tensor, as_tensor


def _leaves(
    level: Level, wrt: int | Differentiable, args: tuple[Any, ...], who: str
) -> tuple[tuple[Any, ...], list[int]]:
    if isinstance(wrt, int):
        args = argument_leaves(level, (wrt,), args, who)
        return args, [args[wrt]._index]
    return args, list(level.leaves_in_place(wrt.tensors))


def _flat(wrt: int | Differentiable, gradients: list[Tensor | None], size: int, like: Tensor) -> Tensor:
    """The pieces of one gradient as one recorded vector."""
    if not isinstance(wrt, int):
        return wrt.concatenate(gradients)
    found = gradients[0]
    return ops.zeros((size,), like.dtype) if found is None else ops.reshape(found, (size,))


def jacobian(f: Function, wrt: int | Differentiable = 0) -> Callable[..., Tensor]:
    """The function ``(*args) -> J`` with J[i, j] = ∂f_i/∂x_j, of shape ``f(x).shape + x.shape``.

    One backward walk per element of f. With Parameters, x is the flat θ.

    Parameters
    ----------
    f : callable returning a Tensor of any shape
    wrt : int or Parameters, which argument to differentiate by

    Raises
    ------
    TypeError
        If f does not return a floating-point Tensor.
    """
    if not isinstance(wrt, int):
        require_differentiable(wrt, "jacobian")

    def function(*args: Any, **options: Any) -> Tensor:
        with Level() as level:
            args, leaves = _leaves(level, wrt, args, "jacobian")
            shape = args[wrt].shape if isinstance(wrt, int) else (sum(x.size for x in wrt.tensors),)
            size = int(np.prod(shape, dtype=np.int64))
            y = require_float(f(*args, **options), "jacobian")
            rows = []
            for i in range(y.size):
                unit = np.zeros(y.shape, y.dtype)
                unit.reshape(-1)[i] = 1
                gradients = level.backward(y, as_tensor(unit), leaves)
                rows.append(ops.reshape(_flat(wrt, gradients, size, y), (1, size)))
            if not rows:
                return ops.zeros(y.shape + shape, y.dtype)
            return ops.reshape(ops.concatenate(rows, 0), y.shape + shape)

    return function


def hessian(f: Function, wrt: int | Differentiable = 0) -> Callable[..., Tensor]:
    """The function ``(*args) -> H`` of a scalar f, with H[i, j] = ∂²f/∂x_i∂x_j, of shape ``x.shape + x.shape``."""
    return jacobian(grad(f, wrt), wrt)


def vjp(f: Function, wrt: int | Differentiable = 0) -> Callable[..., Tensor]:
    """The function ``(dy, *args) -> dyᵀ J``: the gradient of sum(dy * f(x)), of x's shape."""

    def function(dy: Any, *args: Any, **options: Any) -> Tensor:
        def contracted(*inner: Any) -> Tensor:
            y = require_float(f(*inner, **options), "vjp")
            weights = as_tensor(dy, y, "vjp")
            if weights.shape != y.shape:
                raise ValueError(f"vjp: dy is {weights.shape}, the function returned {y.shape}")
            return ops.sum(y * weights)

        result: Tensor = grad(contracted, wrt)(*args)
        return result

    return function


def jvp(f: Function, wrt: int | Differentiable = 0) -> Callable[..., Tensor]:
    """The function ``(dx, *args) -> J dx``: the derivative of f along dx (x's shape), of f's shape.

    Two evaluations of f and two backward walks: J dx is the gradient of the linear map u -> uᵀ J contracted with dx.
    """

    def function(dx: Any, *args: Any, **options: Any) -> Tensor:
        with Level() as outer:
            if isinstance(wrt, int):
                args = argument_leaves(outer, (wrt,), args, "jvp")
            with no_grad():  # only for its shape
                y = require_float(f(*args, **options), "jvp")
            u = outer.leaf(ones_like(y))
            pulled = vjp(f, wrt)(u, *args, **options)
            direction = as_tensor(dx, pulled, "jvp")
            if direction.shape != pulled.shape:
                raise ValueError(f"jvp: dx is {direction.shape}, the argument is {pulled.shape}")
            contracted = ops.sum(pulled * direction)
            (found,) = outer.backward(contracted, ones_like(contracted), [u._index])
            return ops.zeros(y.shape, y.dtype) if found is None else found

    return function


def hvp(f: Function, wrt: int | Differentiable = 0) -> Callable[..., Tensor]:
    """The function ``(v, *args) -> H v`` of a scalar function, without forming H: the gradient of ∇f · v.

    References
    ----------
    Pearlmutter (1994), Fast exact multiplication by the Hessian.
    """

    def function(v: Any, *args: Any, **options: Any) -> Tensor:
        def directional(*inner: Any) -> Tensor:
            g = grad(f, wrt)(*inner, **options)
            direction = as_tensor(v, g, "hvp")
            if direction.shape != g.shape:
                raise ValueError(f"hvp: v is {direction.shape}, the gradient is {g.shape}")
            return ops.sum(g * direction)

        result: Tensor = grad(directional, wrt)(*args)
        return result

    return function
