"""y = f(x) and y = f(a, b) with NumPy's broadcasting; native in ``csrc/elementwise.cpp``.

Each op returns y and, in the lines below it, one gradient function per input.
"""

from __future__ import annotations

from ..autodiff import differentiable
from ..tensor import Number, Operand, Tensor
from .broadcast import Result, fit
from .comparison import equal, where
from .creation import is_number, zeros_like
from .kinks import crossing_at, equal_to, piecewise


@differentiable(1)
def affine(x: Tensor, scale: float, shift: float) -> Result:
    """scale · x + shift for two numbers, in one pass."""
    return Tensor(x.array.device.affine(x.array, scale, shift)), lambda dy: affine(dy, scale, -0.0)


@differentiable(1)
def negative(x: Tensor) -> Result:
    """−x."""
    return Tensor(x.array.device.negative(x.array)), lambda dy: negative(dy)


@differentiable(1)
def abs(x: Tensor) -> Result:
    """|x|; the derivative at 0 is 0."""
    device = x.array.device

    def dx(dy: Tensor) -> Tensor:
        crossing = crossing_at("abs", lambda: equal_to(x, 0.0), "log(cosh(x)) or sqrt(x**2 + eps)")
        return piecewise(dy, x, None, Tensor(device.sign(x.array)), crossing)

    return Tensor(device.abs(x.array)), dx


@differentiable(1)
def sign(x: Tensor) -> Result:
    """−1, 0 or 1; the derivative is 0 everywhere."""
    return Tensor(x.array.device.sign(x.array)), lambda dy: zeros_like(dy)


@differentiable(1)
def square(x: Tensor) -> Result:
    """x²."""
    return Tensor(x.array.device.square(x.array)), lambda dy: affine(dy * x, 2.0, 0.0)


@differentiable(1)
def sqrt(x: Tensor) -> Result:
    """√x; NaN below 0."""
    y = Tensor(x.array.device.sqrt(x.array))
    return y, lambda dy: affine(dy / y, 0.5, 0.0)


@differentiable(1)
def reciprocal(x: Tensor) -> Result:
    """1 / x."""
    y = Tensor(x.array.device.reciprocal(x.array))
    return y, lambda dy: negative(dy * square(y))


@differentiable(1)
def exp(x: Tensor) -> Result:
    """eˣ."""
    y = Tensor(x.array.device.exp(x.array))
    return y, lambda dy: dy * y


@differentiable(1)
def expm1(x: Tensor) -> Result:
    """eˣ − 1, accurate near 0."""
    y = Tensor(x.array.device.expm1(x.array))
    return y, lambda dy: dy * affine(y, 1.0, 1.0)


@differentiable(1)
def log(x: Tensor) -> Result:
    """Natural logarithm; −inf at 0, NaN below."""
    return Tensor(x.array.device.log(x.array)), lambda dy: dy / x


@differentiable(1)
def log1p(x: Tensor) -> Result:
    """log(1 + x), accurate near 0."""
    return Tensor(x.array.device.log1p(x.array)), lambda dy: dy / affine(x, 1.0, 1.0)


@differentiable(1)
def sin(x: Tensor) -> Result:
    """sin x, in radians."""
    return Tensor(x.array.device.sin(x.array)), lambda dy: dy * cos(x)


@differentiable(1)
def cos(x: Tensor) -> Result:
    """cos x, in radians."""
    return Tensor(x.array.device.cos(x.array)), lambda dy: negative(dy * sin(x))


def add(a: Operand, b: Operand) -> Tensor:
    """a + b."""
    if is_number(b):
        return affine(a, 1.0, b)
    if is_number(a):
        return affine(b, 1.0, a)
    return _add(a, b)


@differentiable(2, saves=False)
def _add(a: Tensor, b: Tensor) -> Result:
    return Tensor(a.array.device.add(a.array, b.array)), lambda dy: fit(dy, a), lambda dy: fit(dy, b)


def subtract(a: Operand, b: Operand) -> Tensor:
    """a − b."""
    if is_number(b):
        return affine(a, 1.0, -b)  # type: ignore[operator]
    if is_number(a):
        return affine(b, -1.0, a)
    return _subtract(a, b)


@differentiable(2, saves=False)
def _subtract(a: Tensor, b: Tensor) -> Result:
    return Tensor(a.array.device.subtract(a.array, b.array)), lambda dy: fit(dy, a), lambda dy: fit(negative(dy), b)


def multiply(a: Operand, b: Operand) -> Tensor:
    """a · b, element by element."""
    if is_number(b):
        return affine(a, b, -0.0)  # adding −0 changes nothing, not even the sign of a zero
    if is_number(a):
        return affine(b, a, -0.0)
    return _multiply(a, b)


@differentiable(2)
def _multiply(a: Tensor, b: Tensor) -> Result:
    return Tensor(a.array.device.multiply(a.array, b.array)), lambda dy: fit(dy * b, a), lambda dy: fit(dy * a, b)


def divide(a: Operand, b: Operand) -> Tensor:
    """a / b."""
    if is_number(b) and isinstance(a, Tensor):  # quicker than the general conversion
        return _divide(a, Tensor(a.array.device.full((), b, a.array.dtype)))
    return _divide(a, b)


@differentiable(2)
def _divide(a: Tensor, b: Tensor) -> Result:
    y = Tensor(a.array.device.divide(a.array, b.array))
    return y, lambda dy: fit(dy / b, a), lambda dy: fit(negative(dy * y / b), b)


def power(a: Operand, b: Operand) -> Tensor:
    """aᵇ, as NumPy defines it."""
    if is_number(b):
        return square(a) if b == 2 else _power_scalar(a, b)
    return _power(a, b)


@differentiable(1)
def _power_scalar(x: Tensor, exponent: Number) -> Result:
    y = Tensor(x.array.device.power_scalar(x.array, exponent))
    if exponent == 0:
        return y, lambda dy: zeros_like(dy)
    return y, lambda dy: affine(dy * power(x, exponent - 1), exponent, 0.0)


@differentiable(2)
def _power(a: Tensor, b: Tensor) -> Result:
    y = Tensor(a.array.device.power(a.array, b.array))

    def da(dy: Tensor) -> Tensor:  # 0 where b = 0, though a^(b − 1) may be infinite there
        return fit(where(equal(b, 0.0), 0.0, dy * b * power(a, affine(b, 1.0, -1.0))), a)

    def db(dy: Tensor) -> Tensor:  # 0 where a = 0 and b >= 0, though log a is infinite there
        flat = Tensor(device.multiply(device.equal(a.array, zero), device.greater_equal(b.array, zero)))
        return fit(where(flat, 0.0, dy * y * log(a)), b)

    device = a.array.device
    zero = device.full((), 0.0, a.array.dtype)
    return y, da, db
