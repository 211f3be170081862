"""Matrix products; native in ``csrc/matmul.cpp``."""

from __future__ import annotations

from typing import Any

from ..autodiff import can_differentiate_twice, differentiable
from ..tensor import Operand, Tensor, as_tensor
from .activation import KINKED, activation_grad, parameter_of
from .activation import activation as activate
from .broadcast import Result
from .movement import reshape
from .reduce import sum, sum_over


def matmul(a: Operand, b: Operand, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """op(a) op(b) for matrices; a vector is a row on the left and a column on the right.

    Raises
    ------
    ValueError
        If the inner dimensions differ.
    """
    like = a if isinstance(a, Tensor) else b if isinstance(b, Tensor) else None
    x, y = as_tensor(a, like, "matmul"), as_tensor(b, like, "matmul")
    if x.ndim == 2 and y.ndim == 2:
        return _matmul(x, y, transpose_a, transpose_b)
    if x.ndim == 1:
        product = matmul(reshape(x, (1, x.size)), y, False, transpose_b)
        return reshape(product, product.shape[1:])
    if y.ndim == 1:
        product = matmul(x, reshape(y, (y.size, 1)), transpose_a, False)
        return reshape(product, product.shape[:1])
    raise ValueError(f"matmul: a is {x.shape}, b is {y.shape}, expected matrices or vectors")


@differentiable(2)
def _matmul(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool, out: Any = None) -> Result:
    y = Tensor(a.array.device.matmul(a.array, b.array, transpose_a, transpose_b, 1.0, 0.0, out))

    def da(dy: Tensor, out: Any = None) -> Tensor:
        if transpose_a:
            return _matmul(b, dy, transpose_b, True, out)
        return _matmul(dy, b, False, not transpose_b, out)

    def db(dy: Tensor, out: Any = None) -> Tensor:
        if transpose_b:
            return _matmul(dy, a, True, transpose_a, out)
        return _matmul(a, dy, not transpose_a, False, out)

    return y, da, db


@differentiable(3)
def linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    activation: str = "identity",
    parameter: float | None = None,
) -> Result:
    """f(x W + b) in one pass: x (n, inputs), weight (inputs, outputs), bias (outputs,), f an activation's name."""
    parameter = parameter_of(activation, parameter, "linear")
    if activation in KINKED and can_differentiate_twice():  # two ops: what the kink is looked for in is kept
        return (activate(linear(x, weight, bias), activation, parameter),)
    y = Tensor(
        x.array.device.linear(x.array, weight.array, None if bias is None else bias.array, activation, parameter)
    )
    if activation == "identity":

        def dweight_of(dy: Tensor, out: Any = None) -> Tensor:
            return _matmul(x, dy, True, False, out)

        def dbias_of(dy: Tensor, out: Any = None) -> Tensor:
            return sum_over(dy, (0,), False, out)

        return y, lambda dy: _matmul(dy, weight, False, True), dweight_of, dbias_of

    last: list[Tensor] = []  # dz of the dy seen last: the three gradients share it

    def dz(dy: Tensor) -> Tensor:
        if not last or last[0] is not dy:
            last[:] = [dy, activation_grad(dy, y, activation, parameter)]
        return last[1]

    def dx(dy: Tensor) -> Tensor:
        return _matmul(dz(dy), weight, False, True)

    def dweight(dy: Tensor, out: Any = None) -> Tensor:
        return _matmul(x, dz(dy), True, False, out)

    def dbias(dy: Tensor, out: Any = None) -> Tensor:
        return sum_over(dz(dy), (0,), False, out)

    return y, dx, dweight, dbias


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Σ a b over all elements of two tensors of one shape."""
    if a.shape != b.shape:
        raise ValueError(f"dot: shapes differ: a is {a.shape}, b is {b.shape}")
    return sum(a * b)
