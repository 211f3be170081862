"""The quadratic function, whose derivatives are known."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..tensor import Operand, Tensor, as_tensor


class Quadratic:
    """f(x) = ½ xᵀA x + bᵀx + c, with gradient ½(A + Aᵀ)x + b and Hessian ½(A + Aᵀ): A x + b and A for a symmetric A.

    A call is made of ops, so that every transformation applies; `gradient` and `hessian` are the closed forms.

    Parameters
    ----------
    A : (n, n); only its symmetric part matters
    b : (n,), default zeros
    c : number, default 0

    Raises
    ------
    ValueError
        If A is not a square matrix, or b is not a vector of its size.
    """

    def __init__(self, A: Operand, b: Operand | None = None, c: float = 0.0) -> None:
        matrix = as_tensor(A, name="Quadratic")
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"Quadratic: A is {matrix.shape}, expected a square matrix")
        n = matrix.shape[0]
        vector = ops.zeros((n,), matrix.dtype, matrix.device) if b is None else as_tensor(b, matrix, "Quadratic")
        if vector.shape != (n,):
            raise ValueError(f"Quadratic: b is {vector.shape}, expected ({n},)")
        if vector.dtype != matrix.dtype:
            raise TypeError(f"Quadratic: b has dtype {vector.dtype}, A has {matrix.dtype}")
        self.A = ops.affine(matrix + ops.transpose(matrix), 0.5, 0.0)  # exact for a symmetric matrix
        self.b, self.c = vector, float(c)

    def _point(self, x: Any) -> Tensor:
        point = as_tensor(x, self.b, "Quadratic")
        if point.shape != self.b.shape:
            raise ValueError(f"Quadratic: x is {point.shape}, expected {self.b.shape}")
        return point

    def __call__(self, x: Operand) -> Tensor:
        """f(x), a scalar."""
        point = self._point(x)
        return ops.dot(point, ops.affine(self.A @ point, 0.5, 0.0) + self.b) + self.c

    def gradient(self, x: Operand) -> Tensor:
        """A x + b, with the symmetric part of A."""
        return self.A @ self._point(x) + self.b

    def hessian(self) -> Tensor:
        """The symmetric part of A, the same everywhere."""
        return self.A

    def __repr__(self) -> str:
        return f"Quadratic(n={self.b.size}, dtype={self.b.dtype})"
