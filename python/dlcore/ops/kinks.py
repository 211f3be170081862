"""Second derivatives at kinks: where the slope of an op jumps, they do not exist.

A gradient function of an op with kinks multiplies by a slope that is piecewise constant in the op's input. Its own
gradient with respect to that input, which only a second derivative asks for, is 0 away from the kinks; exactly at one
it is an error unless `dlcore.kinks("zero")` says otherwise. A kink counts where it is crossed: where neither `moves`,
the rate at which the input moves along the direction asked for, nor `weight`, the derivative of the result by the op's
output, is 0. Dead inputs, padding and units that nothing depends on therefore raise nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff import differentiable
from ..tape import state
from ..tensor import Tensor, host_view
from .broadcast import Result

Crossing = Callable[[Tensor, Tensor], None]  # (moves, weight) -> raises at a kink that is crossed


@differentiable(3)
def piecewise(dy: Tensor, a: Tensor, b: Tensor | None, slope: Tensor, crossing: Crossing) -> Result:
    """dy · slope, where slope is constant in a and b but for jumps that `crossing` knows."""

    def none(g: Tensor) -> None:
        if state.kinks == "raise":
            crossing(g, dy)

    product = Tensor(dy.array.device.multiply(dy.array, slope.array))
    return product, lambda g: piecewise(g, a, b, slope, crossing), none, none


def crossing_at(op: str, at: Callable[[], Any], instead: str) -> Crossing:
    """The crossing of an element-wise op: `at` gives an array that is 1 exactly at the kinks and 0 elsewhere."""

    def crossing(moves: Tensor, weight: Tensor) -> None:
        mask = at()
        if mask.device.sum(mask, None, False).item() == 0:
            return
        raise_where(
            op, (host_view(mask) != 0) & (host_view(moves.array) != 0) & (host_view(weight.array) != 0), instead
        )

    return crossing


def equal_to(x: Tensor, value: float) -> Any:
    """1 where x is exactly `value`, as an array of the device."""
    device = x.array.device
    return device.equal(x.array, device.full((), value, x.array.dtype))


def raise_where(op: str, crossed: Any, instead: str) -> None:
    """Raise the error of kinks at the first element that is true."""
    if not crossed.any():
        return
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(crossed)), crossed.shape))
    raise ValueError(
        f"{op}: a second derivative is asked for exactly at a kink, where it does not exist: element {index} of "
        f"{crossed.shape}; use {instead}, or `with dlcore.kinks('zero')` for the curvature beside the kink"
    )
