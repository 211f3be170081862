"""Gradients: functions that make functions.

`dlcore.tape` says what is recorded, `dlcore.level` how it is walked down.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .level import Differentiable, Level
from .tape import (
    Function,
    Tape,
    can_differentiate_twice,
    differentiable,
    is_recorded,
    is_recording,
    kinks,
    no_grad,
    stop_gradient,
)
from .tensor import Tensor, as_tensor, int32

__all__ = [
    "Differentiable",
    "Function",
    "Level",
    "Tape",
    "can_differentiate_twice",
    "differentiable",
    "grad",
    "is_recorded",
    "is_recording",
    "kinks",
    "no_grad",
    "stop_gradient",
    "value_and_grad",
]


def _zeros_like(x: Tensor) -> Tensor:
    return Tensor(x.array.device.full(x.shape, 0.0, x.array.dtype))


def ones_like(x: Tensor) -> Tensor:
    return Tensor(x.array.device.full(x.shape, 1.0, x.array.dtype))


def require_scalar(y: Any, who: str) -> Tensor:
    """y, a function's value, if it is a Tensor of one element that can have a derivative."""
    require_float(y, who)
    if y.array.size != 1:
        raise ValueError(f"{who}: the function returned shape {y.shape}, expected one element; see jacobian")
    return y  # type: ignore[no-any-return]


def require_float(y: Any, who: str) -> Tensor:
    """y, a function's value, if it is a Tensor that can have a derivative."""
    if not isinstance(y, Tensor):
        raise TypeError(f"{who}: the function returned {type(y).__name__}, expected a Tensor")
    if y.array.dtype == "int32":
        raise TypeError(f"{who}: the function returned dtype int32, expected float32 or float64")
    return y


def argument_leaves(level: Level, wrt: tuple[int, ...], args: tuple[Any, ...], who: str) -> tuple[Any, ...]:
    """`args` as tensors where asked for, with fresh leaves in the places named by `wrt`."""
    replaced = list(args)
    for position in wrt:
        if not -len(args) <= position < len(args):
            raise ValueError(f"{who}: argument {position} is to be differentiated, {len(args)} are given")
        x = as_tensor(args[position], name=who)
        if x.dtype == int32:
            raise TypeError(f"{who}: argument {position} has dtype int32, expected float32 or float64")
        replaced[position] = level.leaf(x)
    return tuple(replaced)


def value_and_grad(f: Function, wrt: int | tuple[int, ...] | Differentiable = 0) -> Callable[..., tuple[Tensor, Any]]:
    """The function ``(*args) -> (f(*args), gradient)`` of a scalar function f.

    Parameters
    ----------
    f : callable returning a Tensor of one element
    wrt : int, tuple of ints, or Parameters
        Which arguments to differentiate by: the gradient is a Tensor of that argument's shape, or a tuple of them.
        For a model's parameters it is one vector with the layout of θ, zero where f does not depend on them.

    Raises
    ------
    TypeError
        If `wrt` is none of these, or f does not return a floating-point Tensor.
    ValueError
        If f does not return one element, or an argument named by `wrt` is not given.

    References
    ----------
    Griewank, Walther (2008), Evaluating Derivatives, chapter 3.
    """
    if isinstance(wrt, (int, tuple)):
        return functools.partial(_value_and_grad_arguments, f, wrt)
    require_differentiable(wrt, "grad")
    return functools.partial(_value_and_grad_parameters, f, wrt)


def require_differentiable(wrt: Any, who: str) -> None:
    """Raise a TypeError unless wrt offers what `Differentiable` lists."""
    if not hasattr(type(wrt), "new_gradient"):
        raise TypeError(f"{who}: wrt is a {type(wrt).__name__}, expected an argument's position or Parameters")


def _value_and_grad_arguments(
    f: Function, wrt: int | tuple[int, ...], *args: Any, **options: Any
) -> tuple[Tensor, Any]:
    positions = (wrt,) if isinstance(wrt, int) else wrt
    with Level() as level:
        args = argument_leaves(level, positions, args, "grad")
        y = require_scalar(f(*args, **options), "grad")
        leaves = [args[position] for position in positions]
        found = level.backward(y, ones_like(y), [leaf._index for leaf in leaves])
        gradients = tuple(_zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True))
    return y, gradients[0] if isinstance(wrt, int) else gradients


def _value_and_grad_parameters(f: Function, wrt: Differentiable, *args: Any, **options: Any) -> tuple[Tensor, Tensor]:
    with Level() as level:
        leaves = level.leaves_in_place(wrt.tensors)
        y = require_scalar(f(*args, **options), "grad")
        if not level.outermost:
            return y, wrt.concatenate(level.backward(y, ones_like(y), leaves))
        flat, views = wrt.new_gradient()
        found = level.backward(y, ones_like(y), leaves, dict(zip(leaves, views, strict=True)))
        for view, gradient in zip(views, found, strict=True):
            if gradient is None:
                view.assign(view.device.full(view.shape, 0.0, view.dtype))
    return y, flat


def grad(f: Function, wrt: int | tuple[int, ...] | Differentiable = 0) -> Callable[..., Any]:
    """The gradient of a scalar function; arguments as in :func:`value_and_grad`."""
    both = value_and_grad(f, wrt)

    @functools.wraps(f)
    def gradient(*args: Any, **options: Any) -> Any:
        return both(*args, **options)[1]

    return gradient
