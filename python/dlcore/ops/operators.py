"""Python's operators and NumPy's methods on Tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import Operand, Tensor, float64, int32, tensor
from . import elementwise as e
from .comparison import equal, greater, greater_equal
from .creation import cast, is_number
from .matmul import matmul
from .movement import getitem, reshape, transpose
from .reduce import mean, sum
from .transfer import to


def _swapped(op: Any) -> Any:
    def operator(b: Tensor, a: Operand) -> Tensor:
        return op(a, b)  # type: ignore[no-any-return]

    return operator


def _comparison(compare: Any) -> Any:
    def operator(a: Tensor, b: Operand) -> Any:
        if not isinstance(b, (Tensor, np.ndarray, list, tuple, bool)) and not is_number(b):
            return NotImplemented  # == and != are then those of objects, the others a TypeError
        if a.dtype == int32 and (not isinstance(b, Tensor) or b.dtype == int32):  # exact in float64
            b = cast(b, float64) if isinstance(b, Tensor) else tensor(b, float64, a.device)
            return cast(compare(cast(a, float64), b), int32)
        return compare(a, b)

    return operator


def _not_equal(a: Tensor, b: Operand) -> Tensor:
    same = equal(a, b)
    return Tensor(same.array.device.equal(same.array, same.array.device.full((), 0, same.array.dtype)))


def install() -> None:
    """Attach the operators to Tensor (which cannot import ops: ops stand on it)."""
    methods = {
        "__add__": e.add,
        "__radd__": _swapped(e.add),
        "__sub__": e.subtract,
        "__rsub__": _swapped(e.subtract),
        "__mul__": e.multiply,
        "__rmul__": _swapped(e.multiply),
        "__truediv__": e.divide,
        "__rtruediv__": _swapped(e.divide),
        "__pow__": e.power,
        "__rpow__": _swapped(e.power),
        "__matmul__": matmul,
        "__rmatmul__": _swapped(matmul),
        "__neg__": e.negative,
        "__abs__": e.abs,
        "__eq__": _comparison(equal),
        "__ne__": _comparison(_not_equal),
        "__lt__": _comparison(_swapped(greater)),
        "__le__": _comparison(_swapped(greater_equal)),
        "__gt__": _comparison(greater),
        "__ge__": _comparison(greater_equal),
        "__getitem__": getitem,
        "reshape": reshape,
        "sum": sum,
        "mean": mean,
        "to": to,
        "T": property(transpose),
    }
    for name, method in methods.items():
        setattr(Tensor, name, method)
