"""Tensors on another device."""

from __future__ import annotations

from ..autodiff import differentiable
from ..tensor import Tensor, moved
from .broadcast import Result


def to(x: Tensor, device: str) -> Tensor:
    """x on a device, "cpu" or "cuda": itself where it is there already, else a copy, which waits for the work on x.

    Raises
    ------
    ValueError, RuntimeError
        For an unknown device, and for one that cannot be used here.
    """
    return x if x.device == device else _to(x, device)


@differentiable(1, saves=False)
def _to(x: Tensor, device: str) -> Result:
    return Tensor(moved(x.array, device)), lambda dy: to(dy, x.device)
