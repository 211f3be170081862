"""Python's operators and NumPy's methods on Tensor."""

from __future__ import annotations

from typing import Any

from ..tensor import Operand, Tensor
from . import elementwise as e
from .matmul import matmul
from .movement import getitem, reshape, transpose
from .reduce import mean, sum


def _swapped(op: Any) -> Any:
    def operator(b: Tensor, a: Operand) -> Tensor:
        return op(a, b)  # type: ignore[no-any-return]

    return operator


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
        "__getitem__": getitem,
        "reshape": reshape,
        "sum": sum,
        "mean": mean,
        "T": property(transpose),
    }
    for name, method in methods.items():
        setattr(Tensor, name, method)
