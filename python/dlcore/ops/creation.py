"""Constant tensors, and conversion between dtypes; native in ``csrc/elementwise.cpp``."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import placement
from ..autodiff import differentiable
from ..tensor import Tensor, int32
from .broadcast import Result


def is_number(x: object) -> bool:
    """Whether x is a real number of Python or NumPy, and no boolean."""
    return isinstance(x, (int, float, np.integer, np.floating)) and not isinstance(x, bool)


def is_integer(x: object) -> bool:
    """Whether x is an integer of Python or NumPy, and no boolean."""
    return isinstance(x, (int, np.integer)) and not isinstance(x, bool)


def full(shape: tuple[int, ...], value: float, dtype: Any = "float32", device: str | None = None) -> Tensor:
    """A tensor of one value, by default on the current device (`dlcore.on_device`)."""
    return Tensor(placement.placed(device).full(shape, value, np.dtype(dtype).name))


def zeros(shape: tuple[int, ...], dtype: Any = "float32", device: str | None = None) -> Tensor:
    """A tensor of zeros."""
    return full(shape, 0, dtype, device)


def ones(shape: tuple[int, ...], dtype: Any = "float32", device: str | None = None) -> Tensor:
    """A tensor of ones."""
    return full(shape, 1, dtype, device)


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of x's shape and dtype."""
    return Tensor(x.array.device.full(x.shape, 0, x.array.dtype))


def cast(x: Tensor, dtype: Any) -> Tensor:
    """x in another dtype; a constant to every derivative where one of the two is int32."""
    to = np.dtype(dtype)
    if to == x.dtype:
        return x
    if int32 in (to, x.dtype):
        return Tensor(x.array.device.cast(x.array, to.name))
    return _cast(x, to)


@differentiable(1, saves=False)
def _cast(x: Tensor, dtype: Any) -> Result:
    return Tensor(x.array.device.cast(x.array, np.dtype(dtype).name)), lambda dy: cast(dy, x.dtype)
