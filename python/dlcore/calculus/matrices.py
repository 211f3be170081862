"""Whole Jacobians and Hessians: one evaluation of the function, then one walk for each row or column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..autodiff import ones_like, require_float, require_scalar
from ..level import Level, SecondOrderLevel
from ..mutation import Entries
from ..tape import Function
from ..tensor import Tensor, tensor
from .products import pullback
from .variables import Leaves, Variable, place, require_variable

MODES = ("reverse", "forward")


def _units(x: Tensor) -> Iterator[Tensor]:
    """The unit tensors of x's shape and dtype, in the order of its elements."""
    for i in range(x.size):
        unit = np.zeros(x.shape, x.dtype)
        unit.reshape(-1)[i] = 1
        yield tensor(unit, device=x.device)


def _walks(
    level: Level, starts: Iterator[dict[int, Tensor]], count: int, leaves: Leaves, entries: Entries, like: Tensor
) -> Tensor:
    """One gradient a row, of shape (count, the variable's size)."""
    if not level.outermost:
        rows = [ops.reshape(leaves.join(level.walk(s, leaves.indices, None, entries), like), (1, -1)) for s in starts]
        return ops.concatenate(rows, 0)
    device = like.array.device
    matrix = device.full((count, leaves.size), 0.0, like.array.dtype)
    for row, start in enumerate(starts):
        offset, destinations = row * leaves.size, {}
        for index, x in zip(leaves.indices, leaves.tensors, strict=True):
            destinations[index] = matrix.view(offset, x.shape)
            offset += x.size
        place(start, destinations)
        level.walk(start, leaves.indices, destinations, entries)
    return Tensor(matrix)


def _seeds_of_columns(level: Level, parts: Sequence[Tensor | None], leaves: Leaves) -> Iterator[dict[int, Tensor]]:
    """Starts of the walks that differentiate one element of the parts (one a leaf) after the other."""
    for part, x in zip(parts, leaves.tensors, strict=True):
        for unit in _units(x):
            yield level.seeds([(part, unit)])


def jacobian(f: Function, wrt: Variable = 0, mode: str | None = None) -> Callable[..., Tensor]:
    """The function ``(*args) -> J`` with J[i, j] = ∂f_i/∂x_j, of shape ``f(x).shape + x.shape``.

    f is evaluated once. Reverse mode then walks back once for each element of f; forward mode once for each element of
    x, after one walk more that is recorded. With Parameters, x is the flat θ.

    Parameters
    ----------
    f : callable returning a Tensor of any shape
    wrt : int or Parameters, which argument to differentiate by
    mode : "reverse", "forward", or None for the one with fewer walks

    Raises
    ------
    TypeError
        If f does not return a floating-point Tensor.
    ValueError
        For another mode.

    References
    ----------
    Griewank, Walther (2008), Evaluating Derivatives, sections 3.1 and 3.2.
    """
    require_variable(wrt, "jacobian")
    if mode is not None and mode not in MODES:
        raise ValueError(f"jacobian: mode is {mode!r}, expected 'reverse', 'forward' or None")

    def function(*args: Any, **options: Any) -> Tensor:
        with Level() as level:
            leaves = Leaves.of(level, wrt, args, "jacobian")
            y = require_float(f(*leaves.args, **options), "jacobian")
            shape = y.shape + leaves.shape
            if y.size == 0 or leaves.size == 0:
                return ops.zeros(shape, y.dtype, y.device)
            if mode == "forward" or (mode is None and leaves.size + 1 < y.size):
                return ops.reshape(_by_columns(level, leaves, y), shape)
            starts = (level.seeds([(y, unit)]) for unit in _units(y))
            return ops.reshape(_walks(level, starts, y.size, leaves, level.path(leaves.indices), y), shape)

    return function


def _by_columns(level: Level, leaves: Leaves, y: Tensor) -> Tensor:
    """J, (f's size, x's size), from the recorded map u → uᵀ J: its derivative by u along each unit vector of x."""
    u, pulled = pullback(level, leaves, y)
    target = Leaves(level, 0, [u], [u._index])
    starts = _seeds_of_columns(level, pulled, leaves)
    return ops.transpose(_walks(level, starts, leaves.size, target, level.path([u._index]), y))


def hessian(f: Function, wrt: Variable = 0) -> Callable[..., Tensor]:
    """The function ``(*args) -> H`` of a scalar f, with H[i, j] = ∂²f/∂x_i∂x_j, of shape ``x.shape + x.shape``.

    f and its gradient are evaluated once, then one walk gives each row; H is symmetric up to rounding. With Parameters,
    x is the flat θ. Exactly at a kink it is a ValueError; see `dlcore.kinks`.
    """
    require_variable(wrt, "hessian")

    def function(*args: Any, **options: Any) -> Tensor:
        with SecondOrderLevel() as level:
            leaves = Leaves.of(level, wrt, args, "hessian")
            y = require_scalar(f(*leaves.args, **options), "hessian")
            shape = leaves.shape + leaves.shape
            if leaves.size == 0:
                return ops.zeros(shape, y.dtype, y.device)
            slope = level.walk(level.seeds([(y, ones_like(y))]), leaves.indices, record=True)
            starts = _seeds_of_columns(level, slope, leaves)
            rows = _walks(level, starts, leaves.size, leaves, level.path(leaves.indices), y)
            return ops.reshape(rows, shape)

    return function
